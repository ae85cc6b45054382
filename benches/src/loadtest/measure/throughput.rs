//! Throughput by binary search (RFC 2544 section 26.1, RFC 8219 section 7.1).

use super::Session;
use crate::direction::Directions;
use crate::failure::Failure;
use crate::mix::Mix;
use crate::report::{Throughput, Trial};
use crate::search::{Search, Shown};
use crate::trial::{Outcome, Plan};

/// How to search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// In parts of the highest rate.
    pub(crate) resolution: f64,
    /// The part of the frames that may be lost.
    pub(crate) tolerance: f64,
    /// How often a rate with loss is tried again.
    pub(crate) verify: u32,
}

/// What a trial shows. A frame that came back wrong is a frame lost.
pub(super) fn shown(outcome: &Outcome) -> Shown {
    let wrong = outcome.lost() + outcome.wrong();
    Shown {
        loss: wrong as f64 / outcome.offered().max(1) as f64,
        generated: outcome.generated_ratio(),
    }
}

/// Searches for all frame sizes and directions.
pub(crate) fn measure(session: &mut Session, how: How) -> Result<(), Failure> {
    for (directions, mix) in session.cases() {
        let result = one(session, how, directions, &mix)?;
        let found = result.rate.map_or("every rate loses".to_owned(), crate::rate::shown);
        session.progress.say(&format!("{directions} {mix}: throughput {found}"));
        session.report.throughput.push(result);
    }
    Ok(())
}

/// Searches for one of them.
pub(crate) fn one(
    session: &mut Session,
    how: How,
    directions: Directions,
    mix: &Mix,
) -> Result<Throughput, Failure> {
    let search = Search {
        highest: session.highest_rate(mix),
        resolution: how.resolution,
        tolerance: how.tolerance,
        verify: how.verify,
    };
    let found = search.run(|rate| {
        let plan = Plan::constant(directions, mix, rate, session.duration);
        let outcome = session.trial(&plan, rate)?;
        Ok::<_, Failure>((shown(&outcome), Trial::of(&outcome)))
    })?;
    let rate = found.best.as_ref().map(|(rate, _)| *rate);
    let bits = mix.bits_on_the_wire(session.rig.relay.tag());
    Ok(Throughput {
        frame_size: mix.clone(),
        directions,
        line_rate: session.line_rate(mix),
        rate,
        gigabits: rate.unwrap_or(0.0) * bits / 1e9,
        trials: found.trials,
        limited_by_generator: found.limited_by_generator,
        best: found.best.map(|(_, trial)| trial),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::tests::outcome;

    #[test]
    fn a_wrong_frame_is_a_lost_frame_and_a_slow_generator_is_seen() {
        let mut some = outcome(1000, 0, 1.0);
        assert_eq!(shown(&some), Shown { loss: 0.0, generated: 1.0 });
        some.lanes[0].returned.corrupt = 1;
        assert_eq!(shown(&some).loss, 0.001);
        some.lanes[0].sent.due = 2000;
        assert_eq!(shown(&some).generated, 0.5);
        some.lanes[0].sent.nanos *= 2;
        assert_eq!(shown(&some).generated, 0.25, "it also took twice the time");
    }
}
