//! Captures of a running instance: what can be asked for, and what that means for the workers. A
//! capture under way is a `session`; to a client of the control socket it goes by `parts`.

mod parts;
mod session;

use serde::{Deserialize, Serialize};

use super::error::ControlError;
use super::protocol::Lookup;
use super::state::Control;
use crate::capture::{Direction, Wanted};
use crate::softwire::Softwire;
use crate::telemetry::DropReason;

pub(super) use parts::capture;
pub(super) use session::Captures;
pub use session::{Part, Session};

/// Softwires that a capture can be about: every frame is compared with each.
const MOST_SOFTWIRES: usize = 16;

/// Bytes of a frame that may be wanted.
pub const SNAP_LENGTHS: std::ops::RangeInclusive<u32> = 14..=65_535;

/// Seconds that a capture may last.
pub const DURATIONS: std::ops::RangeInclusive<u64> = 1..=86_400;

/// Seconds that a capture lasts unless told otherwise.
pub const USUAL_SECONDS: u64 = 300;

const fn usual_seconds() -> u64 {
    USUAL_SECONDS
}

const fn all_bytes() -> u32 {
    *SNAP_LENGTHS.end()
}

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
    #[serde(default = "usual_seconds")]
    pub seconds: u64,
    /// So many bytes of each frame.
    #[serde(default = "all_bytes")]
    pub snap_length: u32,
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
