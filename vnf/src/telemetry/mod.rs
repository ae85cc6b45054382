//! What the relay counts and how it is named: counters without sharing, drop reasons, latency, and how
//! people, programs and Prometheus read them.

mod alarm_book;
mod alarms;
mod counters;
mod examples;
mod latency;
mod metrics;
mod reasons;
mod report;

pub use alarm_book::{AlarmBook, AlarmCount, AlarmEvent, alarm_report, alarms_json};
pub use alarms::{Alarm, AlarmKind, NextHopStatus, Severity};
pub use counters::{
    Counter, Gauge, InterfaceCounters, InterfaceTotals, PacketBytes, PacketCounter, Reassembly,
    WorkerCounters,
};
pub use examples::{EXAMPLE_BYTES, Example, Examples};
pub use latency::{LatencyBook, LatencyKind, LatencyReader, LatencyRecorder};
pub use metrics::{
    ConfigurationReading, HealthReading, PoolStats, Reading, TableReading, WorkerReading,
};
pub use reasons::{DropReason, IgnoreReason};
pub use report::{LinkStatus, PortStats, RingStatus, add_links, stats_json, stats_text, totals};
