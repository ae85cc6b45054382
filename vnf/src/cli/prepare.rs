//! `lwaftr prepare`: make the machine ready, on the first day and after each boot.

use std::path::PathBuf;

use super::Failure;
use super::output::print;
use crate::config;
use crate::doctor::{Machine, Scene, Setup, Verdict, examine};
use crate::prepare::Plan;

/// Make this machine ready for a configuration: hugepages, drivers, cards for DPDK
///
/// Hands the network cards that the configuration names to DPDK, by vfio-pci where there is an IOMMU,
/// by uio_pci_generic otherwise, and reserves the hugepages that it needs, of 1 GiB where that is
/// worth it. What is done already is left alone; other cards are not touched, nor is the last one with
/// a default route. When something cannot be, nothing is done, and it says why. Ends with the
/// problems that `lwaftr doctor` finds then.
///
/// What it does lasts until the machine is booted: the service lwaftr-prepare does it each time.
/// Isolated CPUs need options of the kernel's command line, which `lwaftr doctor` spells out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr prepare --dry-run /etc/lwaftr/lwaftr.toml
  lwaftr prepare /etc/lwaftr/lwaftr.toml && lwaftr run /etc/lwaftr/lwaftr.toml
")]
pub struct Args {
    /// The configuration file (TOML)
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,

    /// With --dry-run: look at a copy of another machine's /proc and /sys in this directory
    #[arg(long, value_name = "DIRECTORY", default_value = "/", requires = "dry_run")]
    pub root: PathBuf,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { config, dry_run, root } = args;
    let config = config::load(&config)?;
    let plan = Plan::new(Machine::at(&root), &config).map_err(|wrong| {
        Failure::Refused(format!("nothing was changed:\n  {}", wrong.join("\n  ")))
    })?;
    if plan.steps.is_empty() {
        print("this machine is ready\n")?;
    }
    if dry_run {
        for step in &plan.steps {
            print(&format!("would {step}\n"))?;
        }
        return Ok(());
    }
    // Whether anybody reads it or not, it is done.
    let tell = |step: &crate::prepare::Step| _ = print(&format!("{step}\n"));
    plan.carry_out(tell).map_err(Failure::Refused)?;
    problems(&config)
}

/// What the doctor does not like afterwards. Whether it can run like that is for `run` to say.
fn problems(config: &config::Config) -> Result<(), Failure> {
    let machine = Machine::at("/".as_ref());
    let setup = Setup::new(&machine, Some(config));
    let report = examine(&Scene { machine, setup });
    for (check, finding) in &report.findings {
        if finding.verdict == Verdict::Problem {
            print(&format!("doctor: {check}: {}\n  -> {}\n", finding.seen, finding.advice))?;
        }
    }
    Ok(())
}
