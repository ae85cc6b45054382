//! Reloads while frames flow, credit-based: every frame offered must come back exactly once, made
//! by the old or by the new table.

use std::time::Duration;

use super::Session;
use crate::delay::curve;
use crate::failure::Failure;
use crate::generator::Load;
use crate::reload::{Reloader, Reloads, Schedule};
use crate::report::{Reloaded, Trial, slices};
use crate::trial::Plan;

/// A trial without end: it ends after the last reload.
const ENDLESS: u64 = u64::MAX / 4;

/// What to do.
#[derive(Debug, Clone)]
pub(crate) struct How {
    /// Frames under way at most, in each direction.
    pub(crate) window: u64,
    pub(crate) reloads: usize,
    /// Before and after each reload.
    pub(crate) pause: Duration,
    pub(crate) reloader: Reloader,
}

/// Reloads in each direction and with each frame size. True when every frame came back once.
pub(crate) fn measure(session: &mut Session, how: &How) -> Result<bool, Failure> {
    let mut all = true;
    for (directions, mix) in session.cases() {
        let load = Load::Credit { window: how.window, nanos: ENDLESS };
        let plan = Plan { directions, mix: mix.clone(), load };
        let what = format!("{} reloads, {directions} {mix}", how.reloads);
        let schedule = Schedule::Times(how.reloads, how.pause);
        let mut reloads = Reloads::new(&how.reloader, schedule, session.rig.table);
        std::thread::sleep(session.settle);
        let Session { rig, progress, .. } = session;
        let mut told = 0;
        let outcome = rig.attempt(&plan, &mut |view| {
            progress.show(&what, view, None);
            let flow = reloads.look(view);
            if let Some(moment) = reloads.done.get(told) {
                told += 1;
                let took = (moment.ended - moment.began) * 1e3;
                progress.say(&format!("reload {told} took {took:.0} ms"));
            }
            flow
        })?;
        session.rig.table = reloads.table;
        if let Some(failure) = reloads.failure {
            return Err(failure);
        }
        let trial = Trial::of(&outcome);
        let every_frame_once =
            trial.sum(|lane| lane.lost) == 0 && trial.wrong() == 0 && outcome.offered() > 0;
        all &= every_frame_once;
        let interval = session.rig.timing.interval.as_secs_f64();
        session.report.reloads.push(Reloaded {
            frame_size: mix,
            directions,
            window: how.window,
            every_frame_once,
            trial,
            reloads: reloads.done,
            slices: slices(&outcome, interval),
            curve: curve(&outcome.latency()),
        });
    }
    Ok(all)
}
