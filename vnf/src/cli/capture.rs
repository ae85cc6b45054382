//! `lwaftr capture`.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write, stdout};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{Failure, Target};
use crate::capture::{Direction, Event, Record, Way, Writer};
use crate::control::capture::{CaptureOptions, DURATIONS, SNAP_LENGTHS, USUAL_SECONDS};
use crate::control::protocol::{Lookup, Request};
use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason};

/// Write frames of a running instance to a file for Wireshark
///
/// Frames as they came and as they left, on two interfaces, external and internal; a frame that was
/// dropped has the reason as its comment. The file is pcapng, readable by its owner only. Ends after
/// --count frames, after --duration, or on Ctrl-C, and says how many frames did not fit in between:
/// the relay never waits for a capture.
///
/// For support and troubleshooting, not for lawful interception: see docs/captures.md.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr capture --drops -w drops.pcapng               what is dropped, and why
  lwaftr capture --drops --reason source-wrong-b4 --count 10 -w spoofed.pcapng
  lwaftr capture --softwire 203.0.113.7:4711 -w subscriber.pcapng
  lwaftr capture --softwire 2001:db8:0:7::1 --direction to-b4 --snap-length 128 -w headers.pcapng
  lwaftr capture --drops -w - | tshark -r - -T fields -e frame.interface_name -e frame.comment
  lwaftr explain drops.pcapng --config lwaftr.toml     what the relay would do with it, and why
")]
pub struct Args {
    /// Where to write; - is standard output, for tshark or wireshark behind a pipe
    #[arg(short = 'w', long = "write", value_name = "FILE.pcapng")]
    write: PathBuf,

    /// Only frames that are dropped
    #[arg(long)]
    drops: bool,

    /// Only frames that are dropped for this reason; may be given several times
    #[arg(long = "reason", value_name = "REASON", requires = "drops")]
    reasons: Vec<String>,

    /// Only frames of one softwire: IPv4-ADDRESS:PORT, or all of an IPv4 address or of a B4
    #[arg(long, value_name = "SOFTWIRE")]
    softwire: Option<Lookup>,

    /// Only one direction: to-b4 is received on the external side or sent on the internal one
    #[arg(long, value_enum)]
    direction: Option<Direction>,

    /// End after so many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after so many seconds, 86400 at most
    #[arg(long, value_name = "SECONDS", default_value_t = USUAL_SECONDS,
          value_parser = clap::value_parser!(u64).range(DURATIONS))]
    duration: u64,

    /// Keep so many bytes of each frame; 128 hold the headers
    #[arg(long, value_name = "BYTES", default_value_t = 65_535,
          value_parser = clap::value_parser!(u32).range(i64::from(*SNAP_LENGTHS.start())..=i64::from(*SNAP_LENGTHS.end())))]
    snap_length: u32,

    /// Which instance.
    #[command(flatten)]
    target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { write, drops, reasons, softwire, direction, count, duration, snap_length, target } =
        args;
    let options = CaptureOptions {
        drops,
        reasons,
        softwire,
        direction,
        count,
        seconds: duration,
        snap_length,
    };
    let mut client = target.connect()?;
    let told_to_stop = stop_flag()?;
    let cannot_write = |error: &io::Error| {
        Failure::Refused(format!("{}: cannot be written: {error}", write.display()))
    };
    let mut file = open(&write)
        .and_then(|out| Writer::new(out, snap_length))
        .map_err(|error| cannot_write(&error))?;
    let (mut captured, mut lost) = (0_u64, 0);
    client.ask_for_parts(Request::Capture(options), |part| {
        lost = part["lost"].as_u64().unwrap_or(lost);
        let frames = part["frames"].as_array().map(Vec::as_slice).unwrap_or_default();
        let written = frames.iter().try_for_each(|frame| {
            let record = record(frame).ok_or_else(|| {
                io::Error::other(
                    "the instance sent a frame that cannot be read: is it of another version?",
                )
            })?;
            captured += 1;
            file.write(&record)
        });
        match written.and_then(|()| file.flush()) {
            Ok(()) => Ok(!told_to_stop.load(Relaxed)),
            // Whoever reads has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(cannot_write(&error)),
        }
    })?;
    eprintln!("{captured} frames captured, {lost} lost");
    Ok(())
}

/// Becomes true when the process is told to stop; a second time it stops at once.
fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
            .map_err(|error| Failure::Internal(format!("signals: {error}")))?;
    }
    Ok(flag)
}

fn open(path: &Path) -> io::Result<BufWriter<Box<dyn Write>>> {
    let out: Box<dyn Write> = if path.as_os_str() == "-" {
        if stdout().is_terminal() {
            return Err(io::Error::other("a terminal cannot show it: pipe it into tshark -r -"));
        }
        Box::new(stdout())
    } else {
        let mut options = OpenOptions::new();
        // Subscribers' packets are nobody else's business.
        Box::new(options.write(true).create(true).truncate(true).mode(0o600).open(path)?)
    };
    Ok(BufWriter::new(out))
}

/// A frame as the instance sent it.
fn record(frame: &Value) -> Option<Record> {
    let name = frame["detail"].as_str().unwrap_or_default();
    let event = match frame["event"].as_str()? {
        "received" => Event::Received,
        "dropped" => Event::Dropped(DropReason::named(name)?),
        "ignored" => Event::Ignored(IgnoreReason::named(name)?),
        "sent" => Event::Sent(Way::named(name)?),
        "refused" => Event::Refused,
        _ => return None,
    };
    Some(Record {
        time: frame["time"].as_u64()?,
        side: Side::BOTH.into_iter().find(|side| frame["side"] == side.name())?,
        event,
        length: u32::try_from(frame["length"].as_u64()?).ok()?,
        frame: STANDARD.decode(frame["frame"].as_str()?).ok()?,
    })
}
