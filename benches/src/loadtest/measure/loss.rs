//! The frame loss curve (RFC 2544 section 26.3).

use super::Session;
use crate::failure::Failure;
use crate::report::{Loss, LossPoint, Trial};
use crate::trial::Plan;

/// The rates of a curve, in parts of the highest: from it down in even steps.
pub(crate) fn parts(step: f64) -> impl Iterator<Item = f64> {
    let count = (1.0 / step + 1e-9) as u32;
    (0..count).map(move |number| 1.0 - f64::from(number) * step).take_while(|part| *part > 1e-9)
}

/// Measures the curves of all frame sizes and directions. `step` is a part of the highest rate.
pub(crate) fn measure(session: &mut Session, step: f64) -> Result<(), Failure> {
    for (directions, mix) in session.cases() {
        let highest = session.highest_rate(&mix);
        let mut points: Vec<LossPoint> = Vec::new();
        for part in parts(step) {
            let rate = highest * part;
            let plan = Plan::constant(directions, &mix, rate, session.duration);
            let trial = Trial::of(&session.trial(&plan, rate)?);
            points.push(LossPoint { part, intended_rate: rate, trial });
            // Two rates in a row without loss end the curve.
            let free = points.iter().rev().take_while(|point| point.trial.loss_ratio == 0.0);
            if free.take(2).count() == 2 {
                break;
            }
        }
        let line_rate = session.line_rate(&mix);
        session.report.loss.push(Loss { frame_size: mix, directions, line_rate, points });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_steps_of_a_tenth() {
        let parts: Vec<i32> = parts(0.1).map(|part| (part * 100.0).round() as i32).collect();
        assert_eq!(parts, [100, 90, 80, 70, 60, 50, 40, 30, 20, 10]);
        assert_eq!(super::parts(0.3).count(), 3);
        assert_eq!(super::parts(1.0).count(), 1);
    }
}
