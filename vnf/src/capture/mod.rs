//! Frames of a running relay for somebody to look at: `lwaftr capture`.
//!
//! ```text
//!  worker --[Tap]--> [Ring] --> control thread --> client, which writes the file
//! ```
//!
//! A worker looks for a capture when its timers run, a hundred times a second. While there is
//! one, it copies the frames that are [`Wanted`] into the ring; what does not fit is lost and
//! counted, never waited for. While there is none, a burst costs one branch.

mod file;
mod record;
mod ring;
mod wanted;

pub use file::{INBOUND, Writer};
pub use record::{Event, Record, Way};
pub use ring::{Position, Ring};
pub use wanted::{Direction, Wanted};

use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// What is captured, and where to.
#[derive(Debug)]
pub struct Capture {
    /// Which frames.
    pub wanted: Wanted,
    /// One worker writes to it.
    pub ring: Ring,
}

/// Where a worker finds the capture that it is to take part in.
pub type Slot = Arc<ArcSwapOption<Capture>>;
