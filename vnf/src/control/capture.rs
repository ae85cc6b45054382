//! `lwaftr capture`, the control thread's end: starts a capture on every worker, hands what they
//! write to the client as long as it wants it, and stops it again, however the connection ends.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::actor::Actor;
use super::error::ControlError;
use super::protocol::{Lookup, Reply};
use super::server::send;
use super::state::Control;
use crate::capture::{Capture, Direction, Record, Ring, Slot, Wanted};
use crate::softwire::Softwire;
use crate::telemetry::DropReason;

/// Bytes of each worker's ring.
const RING: usize = 4 << 20;

/// How often the rings are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes taken out of a ring at a time.
const PART: usize = 1 << 20;

/// A client hears from us at least as often; if it is gone, we notice.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Softwires that a capture can be about: every frame is compared with each.
const MOST_SOFTWIRES: usize = 16;

/// Bytes of a frame that may be wanted.
pub const SNAP_LENGTHS: std::ops::RangeInclusive<u32> = 14..=65_535;

/// Seconds that a capture may last.
pub const DURATIONS: std::ops::RangeInclusive<u64> = 1..=86_400;

/// What to capture, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CaptureOptions {
    /// Only what is dropped.
    #[serde(default)]
    pub drops: bool,
    /// Only what is dropped for one of these reasons; none are all.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Only what belongs to this softwire, or to the softwires of this address or B4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softwire: Option<Lookup>,
    /// Only this way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// So many frames, then it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// So many seconds, then it ends.
    pub seconds: u64,
    /// So many bytes of each frame.
    pub snap_length: u32,
}

/// The workers' captures, of which there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Captures {
    slots: Vec<Slot>,
    running: tokio::sync::Mutex<()>,
    /// Ended, but perhaps still in a worker's hands.
    ended: Mutex<Vec<Arc<Capture>>>,
}

impl Captures {
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        Self { slots, ..Self::default() }
    }

    /// Frees what no worker has in its hands any more.
    pub(super) fn collect(&self) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|capture| Arc::strong_count(capture) > 1);
    }

    fn start(&self, wanted: &Wanted) -> Running<'_> {
        let start = |slot: &Slot| {
            let capture = Arc::new(Capture { wanted: wanted.clone(), ring: Ring::new(RING) });
            slot.store(Some(Arc::clone(&capture)));
            capture
        };
        Running { captures: self.slots.iter().map(start).collect(), all: self }
    }
}

/// A capture under way; it ends when this is dropped.
struct Running<'a> {
    captures: Vec<Arc<Capture>>,
    all: &'a Captures,
}

impl Running<'_> {
    /// What has been captured since the last call, and is it perhaps not all?
    fn take(&self) -> (Vec<Record>, bool) {
        let mut records = Vec::new();
        let mut more = false;
        for capture in &self.captures {
            let before = records.len();
            capture.ring.take(PART, &mut records);
            let bytes: usize = records[before..].iter().map(|record| record.frame.len()).sum();
            more |= bytes > PART / 2;
        }
        // Each worker's are in order.
        records.sort_by_key(|record| record.time);
        (records, more)
    }

    fn lost(&self) -> u64 {
        self.captures.iter().map(|capture| capture.ring.lost()).sum()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        for slot in &self.all.slots {
            slot.store(None);
        }
        let mut ended = self.all.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.append(&mut self.captures);
    }
}

/// Captures for a client; the parts of the answer are
/// `{"frames": [FRAME, ...], "lost": N}`, the end of it is `{"frames": N, "lost": N}`.
pub(super) async fn capture(
    control: &Control,
    actor: &Actor,
    options: CaptureOptions,
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> io::Result<Result<Value, ControlError>> {
    let note = |action: &str, result: Result<&str, &ControlError>| {
        control.audit().note(actor, action, &words(&options), result);
    };
    let refuse = |error| {
        note("capture", Err(&error));
        Ok(Err(error))
    };
    let wanted = match wanted(control, &options).await {
        Ok(wanted) => wanted,
        Err(error) => return refuse(error),
    };
    if control.captures().slots.is_empty() {
        return refuse(ControlError::refused("there are no workers: nothing can be captured"));
    }
    let Ok(_only) = control.captures().running.try_lock() else {
        return refuse(ControlError::refused(
            "another capture is running: wait until it has ended (`lwaftr audit` says who started \
             it)",
        ));
    };
    note("capture", Ok("started"));
    let mut sent = 0;
    let running = control.captures().start(&wanted);
    let outcome = hand_over(&running, &options, &mut sent, write).await;
    let lost = running.lost();
    drop(running);
    note("capture", Ok(&format!("ended: {sent} frames, {lost} lost")));
    outcome?;
    Ok(Ok(json!({"frames": sent, "lost": lost})))
}

async fn hand_over(
    running: &Running<'_>,
    options: &CaptureOptions,
    sent: &mut u64,
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> io::Result<()> {
    let most = options.count.unwrap_or(u64::MAX);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut heard = Instant::now();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let ends = Instant::now() >= end;
        loop {
            let (mut records, more) = running.take();
            records.truncate(usize::try_from(most - *sent).unwrap_or(usize::MAX));
            if records.is_empty() && heard.elapsed() < HEARTBEAT {
                break;
            }
            *sent += records.len() as u64;
            let frames: Vec<Value> = records.iter().map(frame_json).collect();
            let part = json!({"frames": frames, "lost": running.lost()});
            send(write, &Reply::Part(part)).await?;
            heard = Instant::now();
            if *sent == most || ends && !more {
                return Ok(());
            }
            if !more {
                break;
            }
            // Others want to be served, too.
            tokio::task::yield_now().await;
        }
        if ends {
            return Ok(());
        }
    }
}

/// What is captured, for the audit log.
fn words(options: &CaptureOptions) -> String {
    let CaptureOptions { drops, reasons, softwire, direction, .. } = options;
    let mut words = match (drops, &reasons[..]) {
        (false, []) => "all frames".to_owned(),
        (true, []) => "drops".to_owned(),
        (_, reasons) => format!("drops by {}", reasons.join(", ")),
    };
    match softwire {
        Some(Lookup::Ipv4 { ipv4, port: Some(port) }) => words += &format!(" of {ipv4}:{port}"),
        Some(Lookup::Ipv4 { ipv4, port: None }) => words += &format!(" of {ipv4}"),
        Some(Lookup::B4 { b4 }) => words += &format!(" of {b4}"),
        None => {}
    }
    match direction {
        Some(Direction::ToB4) => words += " to B4s",
        Some(Direction::FromB4) => words += " from B4s",
        None => {}
    }
    words
}

fn frame_json(record: &Record) -> Value {
    use crate::capture::Event;
    let (event, detail) = match record.event {
        Event::Received => ("received", None),
        Event::Dropped(reason) => ("dropped", Some(reason.name())),
        Event::Ignored(reason) => ("ignored", Some(reason.name())),
        Event::Sent(way) => ("sent", Some(way.name())),
        Event::Refused => ("refused", Some(DropReason::TxFull.name())),
    };
    json!({
        "time": record.time,
        "side": record.side.name(),
        "event": event,
        "detail": detail,
        "length": record.length,
        "frame": STANDARD.encode(&record.frame),
    })
}

/// What the options mean for the workers.
async fn wanted(control: &Control, options: &CaptureOptions) -> Result<Wanted, ControlError> {
    let out_of_range = |key: &str, value: u64, least: u64, most: u64| {
        ControlError::usage(format!("{key} = {value}: must be from {least} to {most}"))
    };
    let CaptureOptions { seconds, snap_length, .. } = *options;
    if !DURATIONS.contains(&seconds) {
        return Err(out_of_range("seconds", seconds, *DURATIONS.start(), *DURATIONS.end()));
    }
    if !SNAP_LENGTHS.contains(&snap_length) {
        let (least, most) = (*SNAP_LENGTHS.start(), *SNAP_LENGTHS.end());
        return Err(out_of_range("snap-length", snap_length.into(), least.into(), most.into()));
    }
    if options.count == Some(0) {
        return Err(ControlError::usage("count = 0: must be at least 1"));
    }
    let reasons = options.reasons.iter().map(|name| reason(name)).collect::<Result<Vec<_>, _>>()?;
    let softwires = match options.softwire {
        Some(lookup) => Some(softwires(control, lookup).await?),
        None => None,
    };
    let drops = (options.drops || !reasons.is_empty()).then_some(reasons);
    Ok(Wanted { drops, direction: options.direction, softwires, snap_length })
}

/// A reason by its name.
fn reason(name: &str) -> Result<DropReason, ControlError> {
    DropReason::named(name).ok_or_else(|| {
        let names = DropReason::ALL.iter().map(|reason| reason.name());
        let hint = match crate::config::nearest(name, names) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "`lwaftr stats` lists those that occur, docs/counters.md all".to_owned(),
        };
        ControlError::usage(format!("`{name}` is no reason for a drop: {hint}"))
    })
}

async fn softwires(control: &Control, lookup: Lookup) -> Result<Vec<Softwire>, ControlError> {
    let found = control.lookup(lookup).await?;
    match found.len() {
        0 => Err(ControlError::refused(
            "there is no such softwire: ask `lwaftr softwire lookup` who owns what, or capture \
             without a softwire",
        )),
        1..=MOST_SOFTWIRES => Ok(found),
        many => Err(ControlError::refused(format!(
            "these are {many} softwires, and a capture can be about {MOST_SOFTWIRES}: name one by \
             ADDRESS:PORT"
        ))),
    }
}
