//! The command line: one file per verb, each with its `Args` and `run`.
//!
//! Exit codes: 0 ok, 1 refused or a negative answer, 2 usage, 3 no instance answers, 4 our fault.

pub mod alarms;
pub mod audit;
#[cfg(feature = "dpdk")]
pub mod bench;
pub mod capture;
pub mod check;
pub mod config;
mod describe;
mod distinct;
pub mod doctor;
pub mod explain;
mod failure;
pub mod generate;
pub mod generated;
pub mod health;
pub mod latency;
pub mod log;
pub mod metrics;
mod output;
pub mod prepare;
pub mod reload;
pub mod replay;
pub mod run;
pub mod softwire;
mod softwire_history;
mod softwire_top;
pub mod stats;
pub mod status;
mod target;
pub mod top;
mod values;

pub use failure::Failure;
pub use target::Target;

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};

/// The border relay of lightweight 4over6 (lwAFTR, RFC 7596)
///
/// Carries IPv4 over an IPv6 network: packets from the Internet are put into the tunnel (softwire)
/// of the subscriber who owns the destination address and port, packets from subscribers are taken
/// out of it after a check that they may send them.
#[derive(Debug, Parser)]
#[command(
    name = "lwaftr",
    version = VERSION.as_str(),
    propagate_version = true,
    after_help = "Examples:
  lwaftr check lwaftr.toml                     is it right, and what would it do?
  lwaftr doctor lwaftr.toml                    is this machine ready for it?
  lwaftr prepare lwaftr.toml                   make it ready: hugepages, drivers, cards
  lwaftr run lwaftr.toml                       do it
  lwaftr reload --dry-run                      what would the edited file change?
  lwaftr softwire lookup 203.0.113.7:4711      whose port is that?
  lwaftr stats                                 where do packets go?
  lwaftr latency                               how long do they take?
  lwaftr alarms                                what should somebody look after?
  lwaftr top                                   what is going on right now?
  lwaftr capture --drops -w drops.pcapng       which packets are dropped, and why?
  lwaftr explain drops.pcapng --config lwaftr.toml
                                               how was each of them decided about?

Exit codes: 0 ok, 1 refused or negative answer, 2 usage, 3 no instance answers, 4 internal error.
"
)]
pub struct Cli {
    /// What to log on standard error: error, warn, info, debug, trace, or per module
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,

    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do. Each verb's own description is the one that `--help` shows.
#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
pub enum Verb {
    Run(run::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Prepare(prepare::Args),
    Replay(replay::Args),
    Generate(generate::Args),
    #[cfg(feature = "dpdk")]
    Bench(bench::Args),
    Reload(reload::Args),
    Config(config::Args),
    Softwire(softwire::Args),
    Stats(stats::Args),
    Latency(latency::Args),
    Status(status::Args),
    Audit(audit::Args),
    Log(log::Args),
    Alarms(alarms::Args),
    Health(health::Args),
    Drain(health::DrainArgs),
    Undrain(health::UndrainArgs),
    Metrics(metrics::Args),
    Top(top::Args),
    Capture(capture::Args),
    Explain(explain::Args),
    Completions(generated::CompletionArgs),
    Man(generated::ManArgs),
}

/// The version, and DPDK's.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    #[cfg(feature = "dpdk")]
    let dpdk = crate::dpdk::version();
    #[cfg(not(feature = "dpdk"))]
    let dpdk = "without DPDK: no `run`";
    format!("{} ({dpdk})", env!("CARGO_PKG_VERSION"))
});

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way, too; a closed pipe is no failure.
            _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let log = crate::log::start(cli.log_level.as_deref())
        .map_err(|wrong| Failure::Usage(format!("--log-level {wrong}")));
    match log.and_then(|()| execute(cli.verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure != Failure::Negative {
                eprintln!("{}", failure.report());
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Run(args) => run::run(&args),
        Verb::Check(args) => check::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Prepare(args) => prepare::run(args),
        Verb::Generate(args) => generate::run(args),
        #[cfg(feature = "dpdk")]
        Verb::Bench(args) => bench::run(args),
        Verb::Replay(args) => replay::run(&args),
        Verb::Reload(args) => reload::run(args),
        Verb::Config(args) => config::run(args),
        Verb::Softwire(args) => softwire::run(args),
        Verb::Stats(args) => stats::run(args),
        Verb::Latency(args) => latency::run(args),
        Verb::Status(args) => status::run(args),
        Verb::Audit(args) => audit::run(args),
        Verb::Log(args) => log::run(args),
        Verb::Alarms(args) => alarms::run(args),
        Verb::Health(args) => health::run(args),
        Verb::Drain(args) => health::drain(args),
        Verb::Undrain(args) => health::undrain(args),
        Verb::Metrics(args) => metrics::run(&args),
        Verb::Top(args) => top::run(args),
        Verb::Capture(args) => capture::run(args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Completions(args) => generated::completions(args),
        Verb::Man(args) => generated::man(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_explains_itself_and_its_arguments() {
        fn check(command: &clap::Command) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no description");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name}: {} has no help", argument.get_id());
            }
            for verb in command.get_subcommands() {
                check(verb);
            }
        }
        check(&Cli::command());
    }
}
