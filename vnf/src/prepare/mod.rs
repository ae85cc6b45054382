//! `lwaftr prepare`: makes a machine ready for its configuration, a server as well as a VM on its
//! first day.
//!
//! [`Plan::new`] looks at the machine, below a root directory as the doctor does, and says what is
//! to be done: kernel modules, hugepages, cards handed to DPDK. It changes nothing, and is complete
//! or an error that names all that cannot be. [`Plan::carry_out`] does it. On a machine that is
//! ready the plan is empty, so it can run before each start of the service.

mod apply;
mod cards;
mod hugepages;
mod step;

pub use step::Step;

use crate::config::Config;
use crate::doctor::{Machine, Scene, Setup};

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Each thing to do.
    pub steps: Vec<Step>,
}

impl Plan {
    /// What this machine needs for this configuration, or everything that cannot be.
    pub fn new(machine: Machine, config: &Config) -> Result<Self, Vec<String>> {
        let setup = Setup::new(&machine, Some(config));
        let scene = Scene { machine, setup };
        let mut steps = Vec::new();
        let mut wrong = Vec::new();
        match cards::steps(&scene) {
            Ok(found) => steps.extend(found),
            Err(problems) => wrong.extend(problems),
        }
        match hugepages::steps(&scene) {
            Ok(found) => steps.extend(found),
            Err(problem) => wrong.push(problem),
        }
        if wrong.is_empty() { Ok(Self { steps }) } else { Err(wrong) }
    }

    /// Does it, and tells each step before it is done; ends with the first that fails.
    pub fn carry_out(&self, tell: impl Fn(&Step)) -> Result<(), String> {
        for step in &self.steps {
            tell(step);
            apply::step(step).map_err(|problem| format!("{step}: {problem}"))?;
        }
        Ok(())
    }
}
