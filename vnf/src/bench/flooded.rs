//! What a flood costs, and whether legitimate packets get through it.

use serde_json::{Value, json};

use super::measure::Measured;
use super::outcome::{relay_ns, round};
use super::ports::Served;
use crate::generate::Flood;

/// What was measured under a flood.
#[derive(Debug)]
pub(super) struct Flooded {
    pub(super) kind: Flood,
    /// By worker.
    pub(super) measured: Vec<Measured>,
}

impl Flooded {
    fn offered(&self) -> Served {
        let offered = self.measured.iter().map(|measured| measured.offered);
        offered.fold(Served::default(), std::ops::Add::add)
    }

    /// Packets that went through: a flood's never do.
    fn forwarded(&self) -> u64 {
        self.measured.iter().map(|one| one.encap.packets + one.decap.packets).sum()
    }

    /// What the relay costs a packet of the flood, if a legitimate one costs what it costs without.
    fn flood_ns(&self, without: f64) -> f64 {
        let Served { legitimate, flood } = self.offered();
        let (legitimate, flood) = (legitimate as f64, flood as f64);
        if flood == 0.0 {
            return 0.0;
        }
        let all = relay_ns(&self.measured) * (legitimate + flood);
        (all - without * legitimate) / flood
    }

    /// For programs; `without` is what the relay costs a packet without the flood.
    pub(super) fn json(&self, without: f64) -> Value {
        let offered = self.offered();
        let flood = self.flood_ns(without);
        json!({
            "kind": self.kind.name(),
            "flood_packets": offered.flood,
            "flood_ns": round(flood),
            "relay_ns_without": round(without),
            "ratio": round(flood / without),
            "legitimate": {"offered": offered.legitimate, "forwarded": self.forwarded()},
        })
    }

    /// For people.
    pub(super) fn words(&self, without: f64) -> String {
        let (offered, kind) = (self.offered(), self.kind.name());
        let flood = self.flood_ns(without);
        format!(
            "flood     {flood:>6.1} ns per packet of {kind}, {:.2} times a forwarded one\n  \
             {} packets of it; of {} legitimate ones {} were forwarded",
            flood / without,
            offered.flood,
            offered.legitimate,
            self.forwarded()
        )
    }
}
