//! `lwaftr run`.

use std::path::PathBuf;

use super::Failure;
#[cfg(feature = "dpdk")]
use crate::api::Api;
#[cfg(feature = "dpdk")]
use crate::control::supervise;

/// Carry traffic
///
/// Reads and checks the configuration as `check` does, takes the ports, and forwards packets until
/// SIGTERM or SIGINT. SIGHUP reloads the configuration, as `lwaftr reload` does. Everything that is
/// missing or wrong is said before the first packet. The log goes to standard error.
///
/// Softwires that were added, removed or replaced by hand in an earlier run are in force again,
/// unless softwires.persist = false. They are kept below $STATE_DIRECTORY, or in /var/lib/lwaftr.
///
/// Needs root, or the capabilities CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_RAWIO and permission to
/// use the devices, as its ports require.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr run /etc/lwaftr/lwaftr.toml
  lwaftr run lwaftr.toml --log-level debug
")]
pub struct Args {
    /// The configuration file (TOML)
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// Give up all softwires that were added, removed or replaced by hand in earlier runs
    #[arg(long)]
    pub discard_edits: bool,
}

/// Runs the verb.
#[cfg(feature = "dpdk")]
pub fn run(args: &Args) -> Result<(), Failure> {
    let open = |config: &_| {
        let api = Api::open(config)?;
        Ok(move |control| api.serve(control))
    };
    Ok(supervise(&args.config, args.discard_edits, open)?)
}

/// Says that this build cannot.
#[cfg(not(feature = "dpdk"))]
pub fn run(args: &Args) -> Result<(), Failure> {
    Err(Failure::Refused(format!(
        "{}: this program was built without DPDK and has no ports to run on: build it with \
         `make build`; `lwaftr replay` works without",
        args.config.display()
    )))
}
