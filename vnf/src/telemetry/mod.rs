//! What the relay counts and how it is named: counters without sharing, drop reasons, latency.

mod alarms;
mod counters;
mod examples;
mod latency;
mod reasons;
mod report;

pub use alarms::{Alarm, AlarmBook, AlarmKind, NextHopStatus};
pub use counters::{
    Counter, InterfaceCounters, InterfaceTotals, PacketBytes, PacketCounter, WorkerCounters,
};
pub use examples::{EXAMPLE_BYTES, Example, Examples};
pub use latency::{LatencyBook, LatencyKind, LatencyReader, LatencyRecorder};
pub use reasons::{DropReason, IgnoreReason};
pub use report::{PortStats, add_links, stats_json, stats_text};
