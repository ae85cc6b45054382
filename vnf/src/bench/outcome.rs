//! What was measured, as JSON and as a table.

use std::fmt::{self, Write as _};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::flooded::Flooded;
use super::measure::{Carried, Measured};
use crate::dpdk::Memory;
use crate::telemetry::{DropReason, InterfaceTotals, LatencyBook, LatencyKind};

/// FCS, preamble and the gap between frames: what a frame takes on a wire beside its bytes.
const WIRE_OVERHEAD: u64 = 4 + 8 + 12;

/// What was measured, on what.
#[derive(Debug)]
pub struct Outcome {
    pub(super) softwires: usize,
    pub(super) flows: usize,
    pub(super) pool_mbufs: u32,
    pub(super) memory: Memory,
    pub(super) tsc_hertz: u64,
    /// By worker.
    pub(super) measured: Vec<Measured>,
    pub(super) reloading: Option<Reloading>,
    pub(super) flooded: Option<Flooded>,
}

/// What was measured while the configuration was loaded over and over.
#[derive(Debug)]
pub(super) struct Reloading {
    pub(super) reloads: usize,
    /// By worker.
    pub(super) measured: Vec<Measured>,
}

/// One direction, per second of the worker's CPU time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flow {
    /// Packets that went through.
    pub packets: u64,
    /// Million packets per second.
    pub mpps: f64,
    /// What they take of the internal link, where packets are largest, in Gbit/s: with FCS,
    /// preamble and gap, so that 10 is all of a 10GbE.
    pub gbps: f64,
}

impl Outcome {
    /// From the Internet to the B4s.
    #[must_use]
    pub fn encap(&self) -> Flow {
        self.flow(|measured| measured.encap)
    }

    /// From the B4s.
    #[must_use]
    pub fn decap(&self) -> Flow {
        self.flow(|measured| measured.decap)
    }

    /// The sum over workers.
    fn flow(&self, of: impl Fn(&Measured) -> Carried) -> Flow {
        let mut sum = Flow { packets: 0, mpps: 0.0, gbps: 0.0 };
        for measured in &self.measured {
            let (seconds, Carried { packets, bytes }) =
                (measured.relay_cpu.as_secs_f64(), of(measured));
            let bits = (bytes + packets * WIRE_OVERHEAD) * 8;
            sum.packets += packets;
            sum.mpps += packets as f64 / seconds / 1e6;
            sum.gbps += bits as f64 / seconds / 1e9;
        }
        sum
    }

    /// What source, sink and pool cost a packet; of several workers, the middle one's.
    #[must_use]
    pub fn baseline_ns(&self) -> f64 {
        median(self.measured.iter().map(|one| median(one.baseline.clone())).collect())
    }

    /// What the relay costs a packet: the difference between a relay slice and the baseline slice
    /// before it. Of several workers, the middle one's.
    #[must_use]
    pub fn relay_ns(&self) -> f64 {
        relay_ns(&self.measured)
    }

    /// What it costs in cycles of the time stamp counter.
    #[must_use]
    pub fn relay_cycles(&self) -> f64 {
        self.relay_ns() * self.tsc_hertz as f64 / 1e9
    }

    /// The share of its core that the worker got; of several workers, the least.
    #[must_use]
    pub fn cpu_share(&self) -> f64 {
        let shares = self.measured.iter().map(|one| one.cpu.as_secs_f64() / one.wall.as_secs_f64());
        shares.fold(f64::INFINITY, f64::min)
    }

    fn wall(&self) -> Duration {
        self.measured.iter().map(|one| one.wall).max().unwrap_or_default()
    }

    /// The counters of all workers that were there at the end, by side.
    fn totals(&self) -> impl Iterator<Item = &InterfaceTotals> {
        let last = self.reloading.as_ref().map_or(&self.measured, |reloading| &reloading.measured);
        last.iter().flat_map(|measured| &measured.totals)
    }

    /// Frames that ended for a reason that counts as a drop, or for which no buffer was free.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let missed = self.measured.iter().map(|one| one.missed).sum::<u64>();
        self.totals().map(InterfaceTotals::dropped_packets).sum::<u64>() + missed
    }

    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let flow = |flow: Flow| json!({"packets": flow.packets, "mpps": round(flow.mpps), "gbps": round(flow.gbps)});
        let (encap, decap) = (self.encap(), self.decap());
        let mut json = json!({
            "softwires": self.softwires,
            "flows": self.flows,
            "pool_mbufs": self.pool_mbufs,
            "duration_s": round(self.wall().as_secs_f64()),
            "encap": flow(encap),
            "decap": flow(decap),
            "total_mpps": round(encap.mpps + decap.mpps),
            "baseline_ns": round(self.baseline_ns()),
            "relay_ns": round(self.relay_ns()),
            "tsc_cycles_per_packet": round(self.relay_cycles()),
            "cpu_share": round(self.cpu_share()),
            "dropped": self.dropped(),
            "latency_ns": percentiles(&latency(&self.measured)),
        });
        if let Some(Reloading { reloads, measured }) = &self.reloading {
            json["reload"] =
                json!({"reloads": reloads, "latency_ns": percentiles(&latency(measured))});
        }
        if let Some(flooded) = &self.flooded {
            json["flood"] = flooded.json(self.relay_ns());
        }
        if self.measured.len() > 1 {
            json["workers"] = self.measured.len().into();
        }
        json
    }

    /// Why frames were dropped, most frequent first.
    fn reasons(&self) -> Vec<(u64, DropReason)> {
        let of = |reason: &DropReason| {
            let counted = self.totals().map(|totals| totals.drops[reason.index()].packets);
            (counted.sum::<u64>(), *reason)
        };
        let mut reasons: Vec<_> = DropReason::ALL.iter().map(of).collect();
        reasons.retain(|(packets, _)| *packets > 0);
        reasons.sort_by_key(|&(packets, _)| std::cmp::Reverse(packets));
        reasons
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (encap, decap) = (self.encap(), self.decap());
        let (softwires, flows, mbufs) = (self.softwires, self.flows, self.pool_mbufs);
        writeln!(f, "{softwires} softwires, {flows} flows, {mbufs} buffers")?;
        writeln!(f, "{}\n", self.memory)?;
        writeln!(f, "            packets      Mpps    Gbit/s (on the internal link)")?;
        for (name, flow) in [("encap", encap), ("decap", decap)] {
            let Flow { packets, mpps, gbps } = flow;
            writeln!(f, "{name:6} {packets:>12}  {mpps:>8.2}  {gbps:>8.2}")?;
        }
        let total = Flow {
            packets: encap.packets + decap.packets,
            mpps: encap.mpps + decap.mpps,
            gbps: encap.gbps + decap.gbps,
        };
        writeln!(f, "total  {:>12}  {:>8.2}  {:>8.2}\n", total.packets, total.mpps, total.gbps)?;
        let (relay, baseline, cycles) = (self.relay_ns(), self.baseline_ns(), self.relay_cycles());
        writeln!(f, "relay     {relay:>6.1} ns per packet ({cycles:.0} TSC cycles)")?;
        writeln!(f, "baseline  {baseline:>6.1} ns per packet (copy in, free; without the relay)")?;
        writeln!(f, "latency   {}", words(&latency(&self.measured)))?;
        if let Some(Reloading { reloads, measured }) = &self.reloading {
            writeln!(f, "  reloading {}", words(&latency(measured)))?;
            writeln!(f, "            {reloads} reloads")?;
        }
        if let Some(flooded) = &self.flooded {
            writeln!(f, "{}", flooded.words(self.relay_ns()))?;
        }
        let share = self.cpu_share() * 100.0;
        let workers = match self.measured.len() {
            1 => String::new(),
            workers => format!(", the least of {workers} workers"),
        };
        writeln!(f, "CPU       {share:>6.1} % of a core for {:.1?}{workers}", self.wall())?;
        write!(f, "dropped   {:>6}", self.dropped())?;
        let mut lines = String::new();
        for (packets, reason) in self.reasons() {
            _ = write!(lines, "\n  {packets} {reason}: {}", reason.meaning().trim());
        }
        writeln!(f, "{lines}")
    }
}

/// What the relay costs a packet, by worker; the middle one's.
pub(super) fn relay_ns(measured: &[Measured]) -> f64 {
    let of_one = |measured: &Measured| {
        let pairs = measured.relay.iter().zip(&measured.baseline);
        median(pairs.map(|(relay, baseline)| relay - baseline).collect())
    };
    median(measured.iter().map(of_one).collect())
}

/// Of all packets that went through: from the moment their burst was received until the port had
/// taken what came of it.
fn latency(measured: &[Measured]) -> Histogram<u64> {
    let empty = LatencyBook::default();
    let mut sum = empty.of(LatencyKind::Encap).clone();
    for one in measured {
        for kind in [LatencyKind::Encap, LatencyKind::Decap, LatencyKind::Hairpin] {
            sum.add(one.latency.of(kind)).expect("all books have the same bounds");
        }
    }
    sum
}

fn percentiles(latency: &Histogram<u64>) -> Value {
    let at = |quantile| latency.value_at_quantile(quantile);
    json!({"p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": latency.max()})
}

fn words(latency: &Histogram<u64>) -> String {
    let micros = |value: u64| value as f64 / 1000.0;
    let at = |quantile| micros(latency.value_at_quantile(quantile));
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    format!("{p50:>6.1} us p50, {p99:.1} p99, {p999:.1} p99.9, {:.1} max", micros(latency.max()))
}

/// Three decimals are more than a measurement holds.
pub(super) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Neighbours on the machine disturb single slices: the middle one is what the program costs.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_what_is_far_off() {
        assert_eq!(median(vec![30.0, 1000.0, 31.0]), 31.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
