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
//! shared. Several workers do so at the same time, each with its share of the frames and a port of
//! its own on either side, all on one table. With reloads, a second measurement follows, during
//! which the configuration is loaded anew over and over, as an instance does it. With a flood, one
//! follows in which only one frame of ten is legitimate.

mod flooded;
mod measure;
mod outcome;
mod ports;
mod reloads;
mod setup;
mod traffic;

pub use outcome::{Flow, Outcome};
pub use setup::{Direction, Request, run};
