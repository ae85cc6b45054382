//! Loads that change over time, or are held while the relay reloads.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::Session;
use crate::delay::curve;
use crate::failure::Failure;
use crate::generator::Load;
use crate::profile::Profile;
use crate::rate::Rate;
use crate::reload::{Reloader, Reloads, Schedule};
use crate::report::{Profiled, Trial, slices};
use crate::trial::Plan;

/// How the rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// Each of the rates for the same time
    Step,
    /// Evenly from each rate to the next
    Ramp,
    /// The first rate all the time
    Hold,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Ramp => "ramp",
            Self::Hold => "hold",
        }
    }
}

/// What to do.
#[derive(Debug, Clone)]
pub(crate) struct How {
    pub(crate) shape: Shape,
    pub(crate) rates: Vec<Rate>,
    /// Reload at these times.
    pub(crate) reload_at: Vec<Duration>,
    pub(crate) reloader: Reloader,
}

/// Runs the load in each direction and of each frame size, once: what disturbs it is to be seen.
pub(crate) fn measure(session: &mut Session, how: &How) -> Result<(), Failure> {
    for (directions, mix) in session.cases() {
        let line = session.line_rate(&mix);
        let rates: Vec<f64> = how.rates.iter().map(|rate| rate.frames(line)).collect();
        let profile = match how.shape {
            Shape::Step => Profile::steps(&rates, session.duration),
            Shape::Ramp => Profile::ramps(&rates, session.duration),
            Shape::Hold => Profile::constant(rates[0], session.duration),
        };
        let load = Load::Open(Arc::new(profile));
        let plan = Plan { directions, mix: mix.clone(), load };
        let what = format!("{} {directions} {mix}", how.shape.name());
        let schedule = Schedule::At(how.reload_at.clone());
        let mut reloads = Reloads::new(&how.reloader, schedule, session.rig.table);
        std::thread::sleep(session.settle);
        let Session { rig, progress, duration, .. } = session;
        let outcome = rig.attempt(&plan, &mut |view| -> ControlFlow<()> {
            progress.show(&what, view, Some(*duration));
            reloads.look(view)
        })?;
        session.rig.table = reloads.table;
        if let Some(failure) = reloads.failure {
            return Err(failure);
        }
        let interval = session.rig.timing.interval.as_secs_f64();
        session.report.profiles.push(Profiled {
            shape: how.shape.name().to_owned(),
            frame_size: mix,
            directions,
            trial: Trial::of(&outcome),
            reloads: reloads.done,
            slices: slices(&outcome, interval),
            curve: curve(&outcome.latency()),
        });
    }
    Ok(())
}
