//! Back-to-back frames (RFC 2544 section 26.4, RFC 9004): the longest burst at the highest rate
//! that loses nothing, and so how long the relay's buffers bridge what it cannot keep up with.

use std::time::Duration;

use super::Session;
use super::throughput::shown;
use crate::direction::Directions;
use crate::failure::Failure;
use crate::mix::Mix;
use crate::report::BackToBack;
use crate::search::{Found, Search, Shown};
use crate::trial::Plan;

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// The longest burst to try.
    pub(crate) longest: Duration,
    /// How close to come to the longest burst, in parts of it.
    pub(crate) resolution: f64,
    /// How many times.
    pub(crate) repeats: usize,
}

/// Measures all frame sizes and directions.
pub(crate) fn measure(session: &mut Session, how: How) -> Result<(), Failure> {
    for (directions, mix) in session.cases() {
        let result = one(session, how, directions, &mix)?;
        session.report.back_to_back.push(result);
    }
    Ok(())
}

fn one(
    session: &mut Session,
    how: How,
    directions: Directions,
    mix: &Mix,
) -> Result<BackToBack, Failure> {
    let rate = session.highest_rate(mix);
    let (mut bursts, mut limited_by_generator) = (Vec::with_capacity(how.repeats), false);
    for _ in 0..how.repeats {
        let found = longest(rate, how, |frames| {
            let length = Duration::from_secs_f64(frames / rate);
            let plan = Plan::constant(directions, mix, rate, length);
            Ok::<_, Failure>(shown(&session.trial(&plan, rate)?))
        })?;
        limited_by_generator |= found.limited_by_generator;
        bursts.push(found.best.map_or(0.0, |(frames, _)| frames).floor());
    }
    Ok(BackToBack::of(mix.clone(), directions, rate, &bursts, limited_by_generator))
}

/// The longest burst without loss, in frames, by binary search from the longest there is.
fn longest<E>(
    rate: f64,
    how: How,
    mut burst: impl FnMut(f64) -> Result<Shown, E>,
) -> Result<Found<()>, E> {
    // A burst whose frames were lost is no accident of the measurement to be tried again: the
    // repetitions tell how often it happens.
    let search = Search {
        highest: rate * how.longest.as_secs_f64(),
        resolution: how.resolution,
        tolerance: 0.0,
        verify: 0,
    };
    search.run(|frames| Ok((burst(frames)?, ())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const HOW: How = How { longest: Duration::from_secs(2), resolution: 0.001, repeats: 1 };

    fn longest_of(buffer: f64, drained: f64) -> Option<f64> {
        let device = |frames: f64| {
            // What comes faster than it leaves fills the buffer.
            let kept = frames * (1.0 - drained);
            let loss = ((kept - buffer) / frames).max(0.0);
            Ok::<_, Infallible>(Shown { loss, generated: 1.0 })
        };
        longest(1e6, HOW, device).unwrap().best.map(|(frames, ())| frames)
    }

    #[test]
    fn a_buffer_is_found_by_the_burst_that_fills_it() {
        let found = longest_of(1_000.0, 0.9).unwrap();
        assert!((8_000.0..=10_000.0).contains(&found), "{found}: 1000 frames fill at a tenth");
        assert_eq!(longest_of(1.0, 1.0), Some(2e6), "nothing is ever lost");
        assert_eq!(longest_of(0.0, 0.0), None, "no burst passes");
    }
}
