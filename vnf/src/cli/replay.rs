//! `lwaftr replay`: captures through the relay, without NIC, EAL or root.

use std::path::{Path, PathBuf};

use super::output::print;
use super::values::station;
use super::{Failure, distinct};
use crate::config;
use crate::replay::{CaptureError, CaptureReader, CaptureWriter, MACS, Options, Record, Session};
use crate::side::Side;
use crate::telemetry::{PortStats, add_links, stats_json};
use crate::wire::MacAddr;

/// Send captured frames through the relay and write what it sends
///
/// The same code as `run`, with one worker, on files instead of ports. Time is what the captures
/// say: frames are taken in the order of their timestamps, the external side first when two are
/// equal, and timers follow that clock. Next hops that are given by address stay unresolved until
/// an answer of theirs stands in a capture, unless --next-hop-mac is given.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lwaftr replay lwaftr.toml --external-in from-internet.pcap \\\n    \
    --internal-out to-b4s.pcap --counters counters.json"
)]
pub struct Args {
    /// Configuration file
    config: PathBuf,
    /// Frames received by the external interface (pcap or pcapng)
    #[arg(long, value_name = "PCAP")]
    external_in: Option<PathBuf>,
    /// Frames received by the internal interface (pcap or pcapng)
    #[arg(long, value_name = "PCAP")]
    internal_in: Option<PathBuf>,
    /// Where to write the frames that the external interface sends
    #[arg(long, value_name = "PCAP")]
    external_out: Option<PathBuf>,
    /// Where to write the frames that the internal interface sends
    #[arg(long, value_name = "PCAP")]
    internal_out: Option<PathBuf>,
    /// Where to write the counters, as `stats --json` shows them
    #[arg(long, value_name = "FILE")]
    counters: Option<PathBuf>,
    /// MAC address of next hops that the configuration gives by IP address
    #[arg(long, value_name = "MAC", value_parser = station)]
    next_hop_mac: Option<MacAddr>,
    /// Let the timers run on until so many seconds after the first frame
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    until: Option<f64>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// A time that can come.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds from 0 to 1000000000, like 2.5".to_owned()),
    }
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.external_in.is_none() && args.internal_in.is_none() {
        return Err(Failure::Usage(
            "nothing to replay: give --external-in or --internal-in".into(),
        ));
    }
    let (config, writer) = config::load_with_table(&args.config)?;
    distinct::check(
        &[
            ("the configuration", Some(&args.config)),
            ("the table", config.softwires.file.as_deref()),
            ("--external-in", args.external_in.as_deref()),
            ("--internal-in", args.internal_in.as_deref()),
        ],
        &[
            ("--external-out", args.external_out.as_deref()),
            ("--internal-out", args.internal_out.as_deref()),
            ("--counters", args.counters.as_deref()),
        ],
    )?;
    let options = Options { next_hop_mac: args.next_hop_mac, seed: args.seed };
    let settings = config.settings(MACS[0], MACS[1]);
    let mut session = Session::new(settings, writer.table().clone(), &options);
    let mut input = Input::open(args)?;
    let mut output = Output::create(args)?;
    let mut start = None;
    while let Some((side, record)) = input.next()? {
        let start = *start.get_or_insert(record.time);
        session.receive(side, record.time.saturating_sub(start), &record.frame);
        output.write(&mut session, record.time)?;
    }
    if let Some(seconds) = args.until {
        let until = (seconds * 1e9) as u64;
        session.advance(until);
        output.write(&mut session, start.unwrap_or(0).saturating_add(until))?;
    }
    output.finish()?;
    report(args, &session)
}

fn report(args: &Args, session: &Session) -> Result<(), Failure> {
    let snapshot = session.snapshot();
    let counters = session.counters();
    let mut json =
        stats_json(&[counters.as_ref()], [PortStats::default(); 2], snapshot.table.len());
    let alarms = snapshot.alarms().iter().map(|alarm| alarm.to_json(None)).collect();
    add_links(&mut json, alarms, Side::BOTH.map(|side| snapshot.next_hops(side)));
    if let Some(path) = &args.counters {
        let text = format!("{json:#}\n");
        std::fs::write(path, text)
            .map_err(|error| Failure::Refused(format!("{}: {error}", path.display())))?;
        return Ok(());
    }
    print(&crate::telemetry::stats_text(&json, false)).map(|_| ())
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Both captures, merged by time.
struct Input {
    readers: [Option<CaptureReader>; 2],
    next: [Option<Record>; 2],
}

impl Input {
    fn open(args: &Args) -> Result<Self, CaptureError> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(CaptureReader::open).transpose();
        let mut input = Self {
            readers: [open(&args.external_in)?, open(&args.internal_in)?],
            next: [None, None],
        };
        for side in Side::BOTH {
            input.refill(side)?;
        }
        Ok(input)
    }

    fn next(&mut self) -> Result<Option<(Side, Record)>, CaptureError> {
        let side = match &self.next {
            [Some(external), Some(internal)] if internal.time < external.time => Side::Internal,
            [Some(_), _] => Side::External,
            [None, Some(_)] => Side::Internal,
            [None, None] => return Ok(None),
        };
        let record = self.next[side.index()].take();
        self.refill(side)?;
        Ok(record.map(|record| (side, record)))
    }

    fn refill(&mut self, side: Side) -> Result<(), CaptureError> {
        if let Some(reader) = &mut self.readers[side.index()] {
            self.next[side.index()] = reader.next_record()?;
        }
        Ok(())
    }
}

/// The captures of what was sent, where they are wanted.
struct Output {
    writers: [Option<CaptureWriter>; 2],
}

impl Output {
    fn create(args: &Args) -> Result<Self, CaptureError> {
        let create = |path: &Option<PathBuf>| {
            path.as_deref().map(Path::new).map(CaptureWriter::create).transpose()
        };
        Ok(Self { writers: [create(&args.external_out)?, create(&args.internal_out)?] })
    }

    fn write(&mut self, session: &mut Session, time: u64) -> Result<(), CaptureError> {
        for (side, frame) in session.take_output() {
            if let Some(writer) = &mut self.writers[side.index()] {
                writer.write(time, &frame)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), CaptureError> {
        self.writers.into_iter().flatten().try_for_each(CaptureWriter::finish)
    }
}
