//! `lwaftr explain`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::Failure;
use super::output::print;
use super::values::station;
use crate::config;
use crate::explain::{Explainer, Explanation};
use crate::replay::{CaptureError, CaptureReader, MACS, Options, Record, Session};
use crate::side::Side;
use crate::wire::MacAddr;

/// A next hop for those that the configuration gives by address: none is asked here.
const NEXT_HOP: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

/// Say in words what the relay does with captured frames, and why
///
/// Sends each frame of a capture through the relay, with the time of the capture, and prints what
/// was looked up, what matched, each decision with the number of its rule in docs/behaviour.md, and
/// what the packet became. The code that decides is the one that runs on the wire.
///
/// Which side a frame came by is what the capture says, if `lwaftr capture` made it, else what
/// --side says, else told by its VLAN tag or EtherType: IPv6 comes from the B4s. Frames that the relay
/// itself had sent are left out. MAC addresses of our own are compared only where the configuration
/// gives them, and next hops are taken for known.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr explain drops.pcapng --config lwaftr.toml
  lwaftr explain from-b4s.pcap --side internal --config lwaftr.toml
  lwaftr explain drops.pcapng --config lwaftr.toml --json | jq -c '[.number, .fates[].reason]'
")]
pub struct Args {
    /// The capture (pcap or pcapng, whole Ethernet frames)
    #[arg(value_name = "FILE.pcap", required_unless_present_any = ["external_in", "internal_in"])]
    file: Option<PathBuf>,

    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// The interface that every frame of FILE.pcap came by
    #[arg(long, value_name = "SIDE", value_parser = side, requires = "file")]
    side: Option<Side>,

    /// Frames received by the external interface, instead of FILE.pcap
    #[arg(long, value_name = "PCAP", conflicts_with = "file")]
    external_in: Option<PathBuf>,

    /// Frames received by the internal interface, instead of FILE.pcap
    #[arg(long, value_name = "PCAP", conflicts_with = "file")]
    internal_in: Option<PathBuf>,

    /// MAC address of next hops that the configuration gives by IP address
    #[arg(long, value_name = "MAC", value_parser = station, default_value_t = NEXT_HOP)]
    next_hop_mac: MacAddr,

    /// As JSON, an object a line
    #[arg(long)]
    json: bool,
}

fn side(text: &str) -> Result<Side, String> {
    Side::BOTH
        .into_iter()
        .find(|side| side.name() == text)
        .ok_or_else(|| "expected external or internal".to_owned())
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (config, writer) = config::load_with_table(&args.config)?;
    let mut settings = config.settings(MACS[0], MACS[1]);
    settings.external.link.promiscuous |= config.external.mac.is_none();
    settings.internal.link.promiscuous |= config.internal.mac.is_none();
    let options = Options { next_hop_mac: Some(args.next_hop_mac), seed: 0 };
    let session = Session::new(settings, writer.table().clone(), &options);
    let mut explainer = Explainer::new(session);
    let mut input = Input::open(args)?;
    let mut summary = Summary::default();
    let mut start = None;
    while let Some((given, record)) = input.next()? {
        if record.is_outbound {
            explainer.skip();
            summary.left_out += 1;
            continue;
        }
        let time = record.time.saturating_sub(*start.get_or_insert(record.time));
        let meanwhile = explainer.wait(time);
        let side = given.or_else(|| named(&record));
        let side = side.unwrap_or_else(|| explainer.session().side_of(&record.frame));
        let explanation = explainer.frame(side, time, &record.frame);
        summary.add(&explanation);
        let mut text = String::new();
        if args.json {
            if !meanwhile.is_empty() {
                text += &format!("{}\n", json!({"meanwhile": meanwhile}));
            }
            text += &format!("{}\n", json!(explanation));
        } else {
            if !meanwhile.is_empty() {
                text += &format!("{meanwhile}\n");
            }
            text += &format!("{explanation}\n");
        }
        if !print(&text)? {
            return Ok(());
        }
    }
    if args.json { Ok(()) } else { print(&summary.text()).map(|_| ()) }
}

/// The side, if an interface of the capture has its name.
fn named(record: &Record) -> Option<Side> {
    let name = record.interface.as_deref()?;
    Side::BOTH.into_iter().find(|side| side.name() == name)
}

/// The frames of one capture, or of two merged by time.
struct Input(Vec<Source>);

struct Source {
    reader: CaptureReader,
    /// The side that its frames came by, if that was said.
    side: Option<Side>,
    next: Option<Record>,
}

impl Input {
    fn open(args: &Args) -> Result<Self, Failure> {
        let external = (&args.external_in, Some(Side::External));
        let internal = (&args.internal_in, Some(Side::Internal));
        let given = [(&args.file, args.side), external, internal].into_iter();
        let files = given.filter_map(|(path, side)| Some((path.as_deref()?, side)));
        let open = |(path, side)| {
            let mut reader = CaptureReader::open(path)?;
            let next = reader.next_record()?;
            Ok(Source { reader, side, next })
        };
        files.map(open).collect::<Result<_, CaptureError>>().map(Self).map_err(Failure::from)
    }

    /// The earliest; the external side first when two are equal.
    fn next(&mut self) -> Result<Option<(Option<Side>, Record)>, Failure> {
        let time = |source: &&mut Source| source.next.as_ref().map_or(u64::MAX, |next| next.time);
        let waiting = self.0.iter_mut().filter(|source| source.next.is_some());
        let Some(source) = waiting.min_by_key(time) else { return Ok(None) };
        let record = source.next.take();
        source.next = source.reader.next_record()?;
        Ok(record.map(|record| (source.side, record)))
    }
}

/// How many frames ended how.
#[derive(Default)]
struct Summary {
    packets: u64,
    left_out: u64,
    fates: BTreeMap<String, u64>,
}

impl Summary {
    fn add(&mut self, explanation: &Explanation) {
        self.packets += 1;
        for fate in &explanation.fates {
            let reason = fate.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            *self.fates.entry(format!("{}{reason}", fate.fate)).or_default() += fate.frames;
        }
    }

    fn text(&self) -> String {
        let fates: Vec<String> =
            self.fates.iter().map(|(fate, frames)| format!("{frames} {fate}")).collect();
        let mut text = format!("{} packets: {}\n", self.packets, fates.join(", "));
        if self.left_out > 0 {
            text += &format!("{} more were sent by the relay, and left out\n", self.left_out);
        }
        text
    }
}
