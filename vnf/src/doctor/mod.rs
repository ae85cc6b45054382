//! `lwaftr doctor`: is this machine set up as a relay wants it, and if not, what to do about it?
//!
//! A check looks at the machine ([`Machine`]: `/proc` and `/sys` below a root directory) and at
//! what a configuration asks of it ([`Setup`]), and says what it found. Each check has a function
//! of its own and a line in [`CHECKS`]; docs/performance.md explains each by its name.

mod clock;
mod cores;
mod cpu;
mod finding;
mod instance;
mod kernel_ports;
mod machine;
mod memory;
mod neighbours;
pub(crate) mod numa;
mod pci;
mod ports;
mod rights;
mod setup;

pub use finding::{Finding, Report, Verdict};
pub use machine::Machine;
pub(crate) use setup::Port;
pub use setup::Setup;

/// What the checks look at.
pub struct Scene {
    /// The machine.
    pub machine: Machine,
    /// What is asked of it.
    pub setup: Setup,
}

/// One thing to look at.
pub struct Check {
    /// What it is called, in reports and in docs/performance.md.
    pub name: &'static str,
    look: fn(&Scene) -> Vec<Finding>,
}

const fn check(name: &'static str, look: fn(&Scene) -> Vec<Finding>) -> Check {
    Check { name, look }
}

/// All checks, in the order of the report.
pub const CHECKS: [Check; 20] = [
    check("cpu-level", cpu::level),
    check("clock", clock::look),
    check("hugepages", memory::hugepages),
    check("hugepage-nodes", memory::nodes),
    check("hugepage-mount", memory::mount),
    check("kernel-drivers", pci::drivers),
    check("iommu", pci::iommu),
    check("port-binding", ports::binding),
    check("port-offloads", ports::offloads),
    check("port-kernel-stack", kernel_ports::kernel_stack),
    check("numa", numa::look),
    check("worker-cores", cores::workers),
    check("isolated-cores", cores::isolation),
    check("smt-siblings", cores::siblings),
    check("governor", cores::governor),
    check("interrupts", neighbours::interrupts),
    check("core-neighbours", neighbours::tasks),
    check("next-hops", instance::next_hops),
    check("queue-sizes", instance::queues),
    check("privileges", rights::look),
];

/// Looks at everything.
#[must_use]
pub fn examine(scene: &Scene) -> Report {
    let mut report = Report::default();
    for check in &CHECKS {
        report
            .findings
            .extend((check.look)(scene).into_iter().map(|finding| (check.name, finding)));
    }
    report
}
