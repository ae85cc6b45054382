//! The measurements: each makes trials and adds its results to the report.

pub(crate) mod back_to_back;
pub(crate) mod latency;
pub(crate) mod loss;
pub(crate) mod profile;
pub(crate) mod reload;
pub(crate) mod throughput;

use std::ops::ControlFlow;
use std::time::Duration;

use super::direction::Directions;
use super::failure::Failure;
use super::mix::Mix;
use super::progress::Progress;
use super::rate::{self, Rate};
use super::report::Report;
use super::rig::Rig;
use super::trial::{Outcome, Plan};

/// Frames that are sent each way to see whether anything comes back, and a second.
const FIRST_FRAMES: f64 = 200.0;
const FIRST_SECONDS: f64 = 0.25;

/// How often that is tried at most until some come back each way: next hops may have to be
/// resolved first. And at least, until all do.
const FIRST_TRIES: u32 = 12;
const SECOND_LOOKS: u32 = 3;

/// What is measured, and what all measurements have in common.
pub(crate) struct Session {
    pub(crate) rig: Rig,
    pub(crate) progress: Progress,
    pub(crate) report: Report,
    /// Frame sizes and directions, each with each.
    pub(crate) mixes: Vec<Mix>,
    pub(crate) directions: Vec<Directions>,
    /// How long a trial sends.
    pub(crate) duration: Duration,
    /// Rest between trials (RFC 2544 section 23).
    pub(crate) settle: Duration,
    pub(crate) line_gigabits: f64,
    /// The highest rate to try.
    pub(crate) highest: Rate,
}

impl Session {
    /// Each direction with each frame size.
    pub(crate) fn cases(&self) -> Vec<(Directions, Mix)> {
        let of = |directions: &Directions| {
            let directions = *directions;
            self.mixes.iter().map(move |mix| (directions, mix.clone())).collect::<Vec<_>>()
        };
        self.directions.iter().flat_map(of).collect()
    }

    /// Frames a second and direction that the internal link carries.
    pub(crate) fn line_rate(&self, mix: &Mix) -> f64 {
        mix.line_rate(self.line_gigabits, self.rig.relay.tag())
    }

    /// The highest rate to try.
    pub(crate) fn highest_rate(&self, mix: &Mix) -> f64 {
        self.highest.frames(self.line_rate(mix))
    }

    /// Nothing is measured that cannot be: every frame must fit, every direction have flows.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.mixes.iter().try_for_each(|mix| self.rig.relay.check_fits(mix))?;
        let mut each = self.directions.iter().flat_map(|directions| directions.each());
        each.try_for_each(|direction| self.rig.relay.flows(direction).map(|_| ()))
    }

    /// Lets a few frames through, so that everybody knows everybody (RFC 2544 section 23).
    pub(crate) fn warm_up(&mut self) -> Result<(), Failure> {
        let mix = self.mixes.first().cloned().unwrap_or_else(Mix::imix);
        let duration = Duration::from_secs_f64(FIRST_SECONDS);
        for directions in self.directions.clone() {
            let plan = Plan::constant(directions, &mix, FIRST_FRAMES, duration);
            let mut outcome = None;
            for number in 1..=FIRST_TRIES {
                let tried = self.rig.attempt(&plan, &mut |_| ControlFlow::Continue(()))?;
                let is_complete = tried.lost() == 0;
                let has_some = tried.lanes.iter().all(|lane| lane.returned.seen.count() > 0);
                outcome = Some(tried);
                if is_complete || (has_some && number >= SECOND_LOOKS) {
                    break;
                }
            }
            let Some(outcome) = outcome else { continue };
            for lane in &outcome.lanes {
                let returned = lane.returned.seen.count();
                if returned == 0 {
                    return Err(Failure::new(format!(
                        "{}: of {} frames at {FIRST_FRAMES:.0} a second none came back as it must \
                         ({} corrupt, {} in a wrong tunnel): the relay running with this \
                         configuration and this table; `lwaftr stats` says where they went",
                        lane.direction.name(),
                        lane.sent.offered,
                        lane.returned.corrupt,
                        lane.returned.misdirected,
                    )));
                }
                if lane.lost() > 0 {
                    self.progress.say(&format!(
                        "{}: even at {FIRST_FRAMES:.0} frames a second {} of {} are lost",
                        lane.direction.name(),
                        lane.lost(),
                        lane.sent.offered
                    ));
                }
            }
        }
        Ok(())
    }

    /// Makes a trial, after a rest, and says how it goes.
    pub(crate) fn trial(&mut self, plan: &Plan, rate: f64) -> Result<Outcome, Failure> {
        std::thread::sleep(self.settle);
        let what = format!("{} {} at {}", plan.directions, plan.mix, rate::shown(rate));
        let whole = Duration::from_nanos(plan.load.nanos());
        let progress = &mut self.progress;
        let outcome = self.rig.trial(plan, &mut |attempt, view| {
            if attempt > 1 {
                progress.show(&format!("{what}, attempt {attempt}"), view, Some(whole));
            } else {
                progress.show(&what, view, Some(whole));
            }
            ControlFlow::Continue(())
        })?;
        let (lost, offered) = (outcome.lost(), outcome.offered());
        let mut line = format!("{what}: {lost} of {offered} lost");
        if outcome.wrong() > 0 {
            line += &format!(", {} wrong", outcome.wrong());
        }
        if outcome.disturbed {
            let share = outcome.least_share() * 100.0;
            line += &format!(" (disturbed {} times: {share:.1} % of a core)", outcome.attempts);
        }
        self.progress.say(&line);
        Ok(outcome)
    }
}
