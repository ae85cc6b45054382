//! `lwaftr doctor`: is this machine set up as a relay wants it?

use std::path::PathBuf;

use super::Failure;
use super::output::{print, print_json};
use crate::config;
use crate::doctor::{Machine, Scene, Setup, Verdict, examine};

/// Say whether this machine is set up for a relay, and what to do where it is not
///
/// Looks at the CPU and its clock, hugepages, drivers and IOMMU, the ports of the configuration,
/// NUMA nodes, the workers' CPUs and who else uses them, and this user's rights; and, when the
/// configuration's instance runs, at its next hops and at what its ports lost. Changes nothing.
/// Each finding is ok, a warning (it works, slower or less surely), a problem (it does not work
/// like this) or `-` (does not apply), with what was seen and what to do.
///
/// The section "Host tuning" of docs/performance.md explains each check by its name.
/// Exit code 0: no problem; 1: problems, or a configuration that is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr doctor
  lwaftr doctor /etc/lwaftr/lwaftr.toml
  lwaftr doctor lwaftr.toml --json | jq '.findings[] | select(.verdict == \"problem\")'
")]
pub struct Args {
    /// The configuration file (TOML); without one, ports are not looked at
    #[arg(value_name = "CONFIG")]
    pub config: Option<PathBuf>,

    /// As JSON
    #[arg(long)]
    pub json: bool,

    /// Look at a copy of another machine's /proc and /sys in this directory (and at the output of
    /// `ethtool -k` in ethtool/INTERFACE)
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    pub root: PathBuf,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { config, json, root } = args;
    let config = config.map(|path| config::load(&path)).transpose()?;
    let machine = Machine::at(&root);
    let setup = Setup::new(&machine, config.as_ref());
    let report = examine(&Scene { machine, setup });
    if json { print_json(&report.to_json()) } else { print(&report.to_string()).map(|_| ()) }?;
    match report.count(Verdict::Problem) {
        0 => Ok(()),
        1 => Err(Failure::Refused("1 problem: see above".to_owned())),
        problems => Err(Failure::Refused(format!("{problems} problems: see above"))),
    }
}
