//! Captures through the relay, without ports: the same code as production with one worker, on
//! ordinary memory. The clock is the captures' timestamps.

mod capture;
mod session;

pub use capture::{CaptureError, CaptureReader, CaptureWriter, Record};
pub use session::{Options, Session};
