//! Captures through the relay, without ports: the same code as production with one worker, on
//! ordinary memory. The clock is the captures' timestamps.

mod capture;
mod session;

pub use capture::{CaptureError, CaptureReader, CaptureWriter, Record};
pub use session::{Options, Session};

use crate::wire::MacAddr;

/// MAC addresses of interfaces, external first, whose configuration gives none: there is no port
/// to ask.
pub const MACS: [MacAddr; 2] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
