//! What the relay counts and how it is named: counters without sharing, drop reasons, latency.

mod counters;
mod reasons;

pub use counters::{
    Counter, InterfaceCounters, InterfaceTotals, PacketBytes, PacketCounter, WorkerCounters,
};
pub use reasons::{DropReason, IgnoreReason};
