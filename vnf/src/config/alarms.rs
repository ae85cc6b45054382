//! `[alarms]`: when something is worth an alarm.

use std::fmt;
use std::str::FromStr;

use super::key::{Key, Table, keys};
use super::value::{Integer, List, Parsed, Text};
use crate::telemetry::DropReason;

/// `[alarms]`: when something is worth an alarm. A limit of 0 raises none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarms {
    /// Frames a second dropped for one reason.
    pub drop_rate: u32,
    /// The same for single reasons.
    pub drop_rates: Vec<ReasonRate>,
    /// ICMP errors and answers a second that rate limits hold back.
    pub suppressed_rate: u32,
    /// Frames a second that a port loses.
    pub missed_rate: u32,
    /// Per cent of a pool's buffers that should be free.
    pub mempool_free: u8,
    /// Per cent of a worker's share of reassembly that should be free.
    pub reassembly_free: u8,
    /// Per cent of its time that a worker may be busy.
    pub worker_busy: u8,
    /// Seconds without progress of a worker.
    pub worker_stall: u16,
    /// Seconds since the binding table was loaded or edited last.
    pub table_age: u32,
}

impl Default for Alarms {
    fn default() -> Self {
        Self {
            drop_rate: 1_000,
            drop_rates: Vec::new(),
            suppressed_rate: 100,
            missed_rate: 1,
            mempool_free: 10,
            reassembly_free: 20,
            worker_busy: 95,
            worker_stall: 3,
            table_age: 0,
        }
    }
}

impl Alarms {
    /// Frames a second dropped for this reason that are worth an alarm.
    #[must_use]
    pub fn drop_rate(&self, reason: DropReason) -> u32 {
        let own = self.drop_rates.iter().find(|rate| rate.reason == reason);
        own.map_or(self.drop_rate, |own| own.rate)
    }
}

/// Frames a second dropped for one reason, as `no-softwire=50000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonRate {
    /// The reason.
    pub reason: DropReason,
    /// Frames a second; 0 for no alarm.
    pub rate: u32,
}

impl fmt::Display for ReasonRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.reason, self.rate)
    }
}

impl FromStr for ReasonRate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, rate) = text.split_once('=').ok_or(())?;
        let known = DropReason::ALL.iter().find(|reason| reason.name() == name.trim());
        let rate = rate.trim().parse().ok().filter(|&rate| rate <= MOST).ok_or(())?;
        Ok(Self { reason: *known.ok_or(())?, rate })
    }
}

impl Text for ReasonRate {
    const NAME: &str = "a reason for drops with frames a second, like \"no-softwire=50000\"";
}

/// The highest rate, in frames per second.
const MOST: u32 = 1_000_000_000;

impl Table for Alarms {
    const NAME: &str = "alarms";

    fn keys() -> Vec<Key<Self>> {
        keys![Self;
            "drop-rate" OPTIONAL drop_rate = Integer(0, MOST);
            "drop-rates" OPTIONAL drop_rates = List(Parsed);
            "suppressed-rate" OPTIONAL suppressed_rate = Integer(0, MOST);
            "missed-rate" OPTIONAL missed_rate = Integer(0, MOST);
            "mempool-free" OPTIONAL mempool_free = Integer(0, 90);
            "reassembly-free" OPTIONAL reassembly_free = Integer(0, 90);
            "worker-busy" OPTIONAL worker_busy = Integer(0, 100);
            "worker-stall" OPTIONAL worker_stall = Integer(0, 3600);
            "table-age" OPTIONAL table_age = Integer(0, 31_536_000);
        ]
    }
}
