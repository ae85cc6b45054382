//! What the relay costs: the production worker loop with the real table, mempools and mbufs, on
//! ports in memory.
//!
//! ```text
//!  relay     Source --fresh mbufs, frames copied in--> Worker --> Sink, frees them
//!  baseline  Source --fresh mbufs, frames copied in-------------> Sink, frees them
//! ```
//!
//! Both run in turns on one thread, for a few milliseconds each, so that they see the same machine;
//! what the relay itself costs is the difference. Time is the thread's CPU time: machines are
//! shared.

mod measure;
mod outcome;
mod ports;
mod setup;
mod traffic;

pub use outcome::{Flow, Outcome};
pub use setup::{Direction, Request, run};
