//! What was measured, as JSON and as a table.

use std::fmt::{self, Write as _};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::measure::{Carried, Measured};
use crate::dpdk::Memory;
use crate::telemetry::{DropReason, InterfaceTotals, LatencyKind};

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
    pub(super) measured: Measured,
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
        self.flow(self.measured.encap)
    }

    /// From the B4s.
    #[must_use]
    pub fn decap(&self) -> Flow {
        self.flow(self.measured.decap)
    }

    fn flow(&self, Carried { packets, bytes }: Carried) -> Flow {
        let seconds = self.measured.relay_cpu.as_secs_f64();
        let bits = (bytes + packets * WIRE_OVERHEAD) * 8;
        Flow { packets, mpps: packets as f64 / seconds / 1e6, gbps: bits as f64 / seconds / 1e9 }
    }

    /// What source, sink and pool cost a packet.
    #[must_use]
    pub fn baseline_ns(&self) -> f64 {
        median(self.measured.baseline.clone())
    }

    /// What the relay costs a packet: the difference between a relay slice and the baseline slice
    /// before it.
    #[must_use]
    pub fn relay_ns(&self) -> f64 {
        let pairs = self.measured.relay.iter().zip(&self.measured.baseline);
        median(pairs.map(|(relay, baseline)| relay - baseline).collect())
    }

    /// What it costs in cycles of the time stamp counter.
    #[must_use]
    pub fn relay_cycles(&self) -> f64 {
        self.relay_ns() * self.tsc_hertz as f64 / 1e9
    }

    /// The share of its core that the worker got.
    #[must_use]
    pub fn cpu_share(&self) -> f64 {
        self.measured.cpu.as_secs_f64() / self.measured.wall.as_secs_f64()
    }

    /// Frames that ended for a reason that counts as a drop, or for which no buffer was free.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let drops = self.measured.totals.iter().map(InterfaceTotals::dropped_packets);
        drops.sum::<u64>() + self.measured.missed
    }

    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let flow = |flow: Flow| json!({"packets": flow.packets, "mpps": round(flow.mpps), "gbps": round(flow.gbps)});
        let (encap, decap) = (self.encap(), self.decap());
        let latency = self.latency();
        let at = |quantile| latency.value_at_quantile(quantile);
        json!({
            "softwires": self.softwires,
            "flows": self.flows,
            "pool_mbufs": self.pool_mbufs,
            "duration_s": round(self.measured.wall.as_secs_f64()),
            "encap": flow(encap),
            "decap": flow(decap),
            "total_mpps": round(encap.mpps + decap.mpps),
            "baseline_ns": round(self.baseline_ns()),
            "relay_ns": round(self.relay_ns()),
            "tsc_cycles_per_packet": round(self.relay_cycles()),
            "cpu_share": round(self.cpu_share()),
            "dropped": self.dropped(),
            "latency_ns": {
                "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": latency.max(),
            },
        })
    }

    /// Of all packets that went through: from the moment their burst was received until the port
    /// had taken what came of it.
    fn latency(&self) -> Histogram<u64> {
        let mut sum = self.measured.latency.of(LatencyKind::Encap).clone();
        for kind in [LatencyKind::Decap, LatencyKind::Hairpin] {
            sum.add(self.measured.latency.of(kind)).expect("all books have the same bounds");
        }
        sum
    }

    /// Why frames were dropped, most frequent first.
    fn reasons(&self) -> Vec<(u64, DropReason)> {
        let [external, internal] = &self.measured.totals;
        let of = |reason: &DropReason| {
            let index = reason.index();
            (external.drops[index].packets + internal.drops[index].packets, *reason)
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
        let latency = self.latency();
        let micros = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
        writeln!(
            f,
            "latency   {:>6.1} us p50, {:.1} p99, {:.1} p99.9, {:.1} max",
            micros(0.5),
            micros(0.99),
            micros(0.999),
            latency.max() as f64 / 1000.0
        )?;
        let share = self.cpu_share() * 100.0;
        writeln!(f, "CPU       {share:>6.1} % of a core for {:.1?}", self.measured.wall)?;
        write!(f, "dropped   {:>6}", self.dropped())?;
        let mut lines = String::new();
        for (packets, reason) in self.reasons() {
            _ = write!(lines, "\n  {packets} {reason}: {}", reason.meaning().trim());
        }
        writeln!(f, "{lines}")
    }
}

/// Three decimals are more than a measurement holds.
fn round(value: f64) -> f64 {
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
