//! What was found in an instance at one moment, to be named for Prometheus.

use std::time::{Duration, SystemTime};

use crate::telemetry::{AlarmCount, InterfaceTotals, LatencyBook, NextHopStatus, PortStats};

/// What was found in an instance at one moment.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The instance's name.
    pub name: String,
    /// The program's version, and DPDK's.
    pub versions: [String; 2],
    /// Both interfaces' counters, summed over workers.
    pub interfaces: [InterfaceTotals; 2],
    /// The ports' own counters.
    pub ports: [PortStats; 2],
    /// Each worker.
    pub workers: Vec<WorkerReading>,
    /// All latency since the start.
    pub latency: LatencyBook,
    /// The pools of packet buffers.
    pub pools: Vec<PoolStats>,
    /// The binding table.
    pub table: TableReading,
    /// The configuration.
    pub configuration: ConfigurationReading,
    /// Both sides' next hops.
    pub next_hops: [Vec<NextHopStatus>; 2],
    /// How often each alarm is and was raised.
    pub alarms: Vec<AlarmCount>,
    /// Whether it can forward, lives, and is drained.
    pub health: HealthReading,
}

/// One worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerReading {
    /// The CPU it has.
    pub cpu: usize,
    /// Rounds over its ports.
    pub rounds: u64,
    /// Time spent in rounds that brought frames.
    pub busy: Duration,
    /// Frames received from each side.
    pub in_packets: [u64; 2],
    /// Packets that wait to be reassembled, and the bytes of memory that they take.
    pub reassembly: [u64; 2],
}

/// A pool of packet buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStats {
    /// Its name.
    pub name: &'static str,
    /// Buffers there are.
    pub capacity: u32,
    /// Buffers that nobody has.
    pub free: u32,
}

/// The binding table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableReading {
    /// Softwires.
    pub softwires: usize,
    /// Those that have ended by themselves.
    pub ended: u64,
    /// Bytes of memory.
    pub bytes: usize,
    /// When it was loaded or edited last.
    pub changed: Option<SystemTime>,
    /// Softwires that differ from the files by edits; `None` when edits are not kept.
    pub edits: Option<usize>,
}

/// The configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConfigurationReading {
    /// When it was read last and taken.
    pub loaded: Option<SystemTime>,
    /// Reloads that were taken, and refused, since the start.
    pub reloads: [u64; 2],
    /// The last reload was refused.
    pub failed: bool,
    /// The newest generation of what workers read.
    pub generation: u64,
    /// Replaced tables and parts of tables that a worker or a reader may still hold.
    pub unfreed: usize,
}

/// Whether an instance can forward, lives, and is drained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HealthReading {
    /// Both sides can forward, and nobody has asked for a drain.
    pub ready: bool,
    /// All workers make progress.
    pub live: bool,
    /// Somebody has asked for a drain.
    pub draining: bool,
}
