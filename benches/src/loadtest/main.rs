//! `lwaftr-loadtest`: a generator and receiver on two DPDK ports that speaks both sides of the
//! relay, and measures it as RFC 2544, RFC 8219, RFC 4814 and ETSI GS NFV-TST 009 ask.
//!
//! ```text
//!  args --> measure/* --> rig (DPDK, ports) --> engine (threads of one trial)
//!              |                                   |- generator: flows, mix -> frames -> port
//!              |- search, loss steps, profiles     |- receiver:  port -> verify -> books
//!              '- report/* (text, JSON, HTML)      '- lane: what the two share
//! ```
//!
//! What a frame looks like follows from its sequence number alone (`flows`, `mix`), so the receiver
//! builds what must come back and compares (`frames`, `verify`).

mod args;
mod delay;
mod direction;
mod engine;
mod failure;
mod flows;
mod frames;
mod generator;
mod lane;
mod links;
mod measure;
mod mix;
mod neighbours;
mod profile;
mod progress;
mod rate;
mod receiver;
mod relay;
mod reload;
mod report;
mod rig;
mod search;
mod seen;
mod shares;
#[cfg(test)]
mod simulation;
mod stamp;
mod trial;
mod verify;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser as _;
use vnf::dpdk::Hugepages;

use args::{Cli, Common, LatencyArgs, ReloadArgs, SearchArgs, What};
use engine::Timing;
use failure::Failure;
use measure::{Session, latency, loss, throughput};
use progress::Progress;
use relay::Relay;
use reload::{How, Reloader};
use report::{Report, Setting, html, text};
use rig::{Demands, Placement, Rig};
use shares::Watched;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.what) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("lwaftr-loadtest: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports. False when the answer is a negative one.
fn run(what: &What) -> Result<bool, Failure> {
    let mut session = open(what)?;
    session.check()?;
    let reloader = what.reload().map(|args| reloader(args, &session.rig.relay));
    if let Some(reloader) = &reloader {
        reloader.check()?;
    }
    session.warm_up()?;
    let measured = measure(what, &mut session, reloader);
    // What was measured before something went wrong is worth keeping.
    write(&session.report, what.common())?;
    // A reader that has gone away is no failure of the measurement.
    _ = std::io::stdout().write_all(text::text(&session.report).as_bytes());
    measured
}

fn measure(
    what: &What,
    session: &mut Session,
    reloader: Option<Reloader>,
) -> Result<bool, Failure> {
    match (what, reloader) {
        (What::Throughput { search, .. }, _) => throughput::measure(session, searching(*search))?,
        (What::Loss { loss, .. }, _) => loss::measure(session, loss.step)?,
        (What::Latency { search, latency, .. }, _) => {
            latency::measure(session, delaying(*search, *latency))?;
        }
        (What::BackToBack { bursts, .. }, _) => {
            let how = measure::back_to_back::How {
                longest: bursts.longest,
                resolution: bursts.burst_resolution,
                repeats: bursts.repeats as usize,
            };
            measure::back_to_back::measure(session, how)?;
        }
        (What::Suite { search, loss, latency, .. }, _) => {
            throughput::measure(session, searching(*search))?;
            loss::measure(session, loss.step)?;
            latency::measure(session, delaying(*search, *latency))?;
        }
        (What::Profile { shape, rates, reload_at, .. }, Some(reloader)) => {
            let (rates, reload_at) = (rates.clone(), reload_at.clone());
            let how = measure::profile::How { shape: *shape, rates, reload_at, reloader };
            measure::profile::measure(session, &how)?;
        }
        (What::Reload { window, reloads, pause, .. }, Some(reloader)) => {
            let how = measure::reload::How {
                window: *window,
                reloads: *reloads,
                pause: *pause,
                reloader,
            };
            return measure::reload::measure(session, &how);
        }
        (What::Profile { .. } | What::Reload { .. }, None) => {}
    }
    Ok(true)
}

fn searching(args: SearchArgs) -> throughput::How {
    throughput::How {
        resolution: args.resolution,
        tolerance: args.loss_tolerance,
        verify: args.verify_loss,
    }
}

fn delaying(search: SearchArgs, args: LatencyArgs) -> latency::How {
    let streams = args.streams as usize;
    latency::How { rate: args.rate, streams, search: searching(search) }
}

fn reloader(args: &ReloadArgs, relay: &Relay) -> Reloader {
    let how = match &args.reload_command {
        Some(command) => How::Command(command.clone()),
        None => How::Socket {
            socket: args
                .socket
                .clone()
                .unwrap_or_else(|| relay.config.instance.control_socket.clone()),
            file: relay.config.softwires.file.clone(),
        },
    };
    Reloader { how, tables: relay.tables.clone() }
}

/// Reads the relay's configuration, takes the ports and finds the relay.
fn open(what: &What) -> Result<Session, Failure> {
    let common = what.common();
    if common.cpus.is_empty() || common.cpus.len() == 3 || common.cpus.len() > 4 {
        return Err(Failure::new("--cpus: one, two or four CPUs"));
    }
    let tables = what.reload().map(|args| args.tables.clone()).unwrap_or_default();
    if tables.len() > usize::from(u8::MAX) {
        return Err(Failure::new("--tables: at most 255 of them"));
    }
    let watched = common.pid.map(Watched::process).transpose()?;
    let relay = Relay::read(&common.config, &tables, common.flows as usize, common.seed)?;
    let placement = Placement {
        external_port: common.external_port.clone(),
        internal_port: common.internal_port.clone(),
        cpus: common.cpus.clone(),
        huge: if common.no_huge { Hugepages::Never } else { Hugepages::Auto },
        patience: common.wait,
    };
    let timing = Timing { interval: common.interval, drain: common.drain };
    let demands = Demands { least_share: common.min_cpu_share, attempts: common.attempts };
    let mut progress = Progress::new();
    let (softwires, flows) = (relay.softwires, relay.flow_count());
    progress.say(&format!("{softwires} softwires, {flows} flows; looking for the relay"));
    let rig = Rig::open(relay, &placement, watched, timing, demands)?;
    Ok(Session {
        progress,
        report: Report {
            setting: setting(common, what, &rig),
            throughput: Vec::new(),
            loss: Vec::new(),
            latency: Vec::new(),
            back_to_back: Vec::new(),
            profiles: Vec::new(),
            reloads: Vec::new(),
        },
        mixes: given_or(&common.frame_sizes, what.usual_sizes())?,
        directions: given_or(&common.directions, what.usual_directions())?,
        duration: common.trial_duration,
        settle: common.settle,
        line_gigabits: common.line_rate,
        highest: common.max_rate,
        rig,
    })
}

/// What was given, or else what is usual.
fn given_or<T: FromStr<Err = String> + Clone>(given: &[T], usual: &str) -> Result<Vec<T>, Failure> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    usual.split(',').map(|text| text.parse().map_err(Failure)).collect()
}

fn setting(common: &Common, what: &What, rig: &Rig) -> Setting {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let tolerance = match what {
        What::Suite { search, .. } | What::Throughput { search, .. } => search.loss_tolerance,
        _ => 0.0,
    };
    Setting {
        version: format!("{} ({})", env!("CARGO_PKG_VERSION"), vnf::dpdk::version()),
        command: std::env::args().collect(),
        began: now.as_secs(),
        relay_config: common.config.display().to_string(),
        softwires: rig.relay.softwires,
        flows: rig.relay.flow_count(),
        drivers: rig.drivers.clone(),
        memory: rig.memory.clone(),
        cpus: common.cpus.clone(),
        cpu_model: cpu_model(),
        line_gigabits: common.line_rate,
        trial_seconds: common.trial_duration.as_secs_f64(),
        loss_tolerance: tolerance,
        least_cpu_share: common.min_cpu_share,
    }
}

/// What the kernel calls the CPU.
fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, model)| model).to_owned()
}

fn write(report: &Report, common: &Common) -> Result<(), Failure> {
    let to = |path: &Path, text: String| {
        fs::write(path, text).map_err(|error| {
            Failure::new(format!("{}: cannot be written: {error}", path.display()))
        })
    };
    if let Some(path) = &common.json {
        let json = serde_json::to_string_pretty(report)
            .map_err(|error| Failure::new(format!("the report: {error}")))?;
        to(path, json + "\n")?;
    }
    if let Some(path) = &common.html {
        to(path, html::html(report))?;
    }
    Ok(())
}
