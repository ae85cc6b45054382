//! An instance as Prometheus reads it: text format 0.0.4, counters and classic histograms.
//!
//! A [`Reading`] is what was found in the instance at one moment; [`Reading::text`] names it. What
//! `lwaftr stats` reports has the same name here, with `_` for `-`: `in-packets` of an interface is
//! `lwaftr_interface_in_packets_total`. docs/metrics.md lists all; a test compares.

mod families;
mod latency;
mod process;
mod reading;

pub use reading::{
    ConfigurationReading, HealthReading, PoolStats, Reading, TableReading, WorkerReading,
};

use std::time::{SystemTime, UNIX_EPOCH};

use self::families::Families;
use super::{
    AlarmCount, AlarmKind, DropReason, IgnoreReason, InterfaceTotals, NextHopStatus, PacketBytes,
    PortStats, RingStatus,
};
use crate::side::Side;

impl Reading {
    /// All of it in the text format 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let mut families = Families::default();
        let [program, dpdk] = &self.versions;
        families
            .gauge("lwaftr_build_info", "Always 1; the labels say what runs here.")
            .sample(&[("name", &self.name), ("version", program), ("dpdk", dpdk)], 1.0);
        self.health(&mut families);
        self.interfaces(&mut families);
        self.reasons(&mut families);
        self.ports(&mut families);
        latency::add(&self.latency, &mut families);
        self.workers(&mut families);
        self.pools(&mut families);
        self.table(&mut families);
        self.next_hops(&mut families);
        self.alarms(&mut families);
        process::add(&mut families);
        families.text()
    }

    fn health(&self, families: &mut Families) {
        let HealthReading { ready, live, draining } = self.health;
        for (name, help, value) in [
            (
                "lwaftr_ready",
                "1 when both sides can forward and nobody has asked for a drain.",
                ready,
            ),
            ("lwaftr_live", "1 when all workers make progress.", live),
            ("lwaftr_draining", "1 after `lwaftr drain`, until `lwaftr undrain`.", draining),
        ] {
            families.gauge(name, help).sample(&[], truth(value));
        }
    }

    fn interfaces(&self, families: &mut Families) {
        let named = self.interfaces.each_ref().map(InterfaceTotals::named);
        for (index, help) in InterfaceTotals::MEANINGS.iter().enumerate() {
            let (key, _) = named[0][index];
            let mut family = if key == InterfaceTotals::HELD {
                families.gauge(&metric("lwaftr_interface", key, ""), help)
            } else {
                families.counter(&metric("lwaftr_interface", key, "_total"), help)
            };
            for side in Side::BOTH {
                let (_, value) = named[side.index()][index];
                family.sample(&[("interface", side.name())], value as f64);
            }
        }
    }

    /// Every reason has a sample from the beginning: what is not there has no rate when it comes.
    fn reasons(&self, families: &mut Families) {
        let dropped: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        let ignored: Vec<_> = IgnoreReason::ALL.iter().map(|reason| reason.name()).collect();
        let of = self.interfaces.each_ref();
        let dropped_of = of.map(|totals| &totals.drops[..]);
        let ignored_of = of.map(|totals| &totals.ignored[..]);
        for (what, help, names, counts) in [
            ("lwaftr_dropped", "dropped, by reason (docs/counters.md).", dropped, dropped_of),
            ("lwaftr_ignored", "of no business of ours, by kind.", ignored, ignored_of),
        ] {
            for (unit, title, value) in [
                ("packets", "Frames", (|of| of.packets) as fn(&PacketBytes) -> u64),
                ("bytes", "Bytes of frames", |of| of.bytes),
            ] {
                let name = format!("{what}_{unit}_total");
                let mut family = families.counter(&name, &format!("{title} {help}"));
                for side in Side::BOTH {
                    for (reason, counted) in names.iter().zip(counts[side.index()]) {
                        let labels = [("interface", side.name()), ("reason", *reason)];
                        family.sample(&labels, value(counted) as f64);
                    }
                }
            }
        }
    }

    fn ports(&self, families: &mut Families) {
        let named = self.ports.each_ref().map(PortStats::named);
        for (index, &(key, _, help)) in named[0].iter().enumerate() {
            let mut family = families.counter(&metric("lwaftr_port", key, "_total"), help);
            for side in Side::BOTH {
                family.sample(&[("interface", side.name())], named[side.index()][index].1 as f64);
            }
        }
        let links = || {
            let link = |side: Side| Some((side, self.ports[side.index()].link?));
            Side::BOTH.into_iter().filter_map(link)
        };
        let mut up = families.gauge("lwaftr_port_link_up", "1 when the port's link is up.");
        for (side, link) in links() {
            up.sample(&[("interface", side.name())], truth(link.up));
        }
        let rings = || {
            let ring = |side: Side| Some((side, self.ports[side.index()].rx_ring?));
            Side::BOTH.into_iter().filter_map(ring)
        };
        for (name, help, value) in [
            (
                "lwaftr_port_receive_ring_frames",
                "Frames that wait in the fullest of the port's receive rings, where it can tell.",
                (|ring| ring.fullest) as fn(&RingStatus) -> u32,
            ),
            (
                "lwaftr_port_receive_ring_size_frames",
                "Frames that each of the port's receive rings can hold.",
                |ring| ring.size,
            ),
        ] {
            let mut family = families.gauge(name, help);
            for (side, ring) in rings() {
                family.sample(&[("interface", side.name())], f64::from(value(&ring)));
            }
        }
        let help = "Always 1; the label says what the port does of a packet's work.";
        let mut offloads = families.gauge("lwaftr_port_offload", help);
        for side in Side::BOTH {
            for offload in self.ports[side.index()].offloads {
                offloads.sample(&[("interface", side.name()), ("offload", offload)], 1.0);
            }
        }
        let help = "The link's speed in bytes a second, where it is known.";
        let mut speed = families.gauge("lwaftr_port_link_speed_bytes", help);
        for (side, link) in links() {
            if let Some(megabits) = link.megabits {
                speed.sample(&[("interface", side.name())], f64::from(megabits) * 125_000.0);
            }
        }
    }

    fn workers(&self, families: &mut Families) {
        let workers: Vec<_> = self
            .workers
            .iter()
            .enumerate()
            .map(|(number, worker)| (number.to_string(), worker.cpu.to_string(), worker))
            .collect();
        for (name, help, value) in [
            (
                "lwaftr_worker_busy_seconds_total",
                "Time in rounds that brought frames: its rate is the worker's load, 0 to 1.",
                (|worker| worker.busy.as_secs_f64()) as fn(&WorkerReading) -> f64,
            ),
            ("lwaftr_worker_rounds_total", "Rounds over the ports; one that lives never stops.", {
                |worker| worker.rounds as f64
            }),
        ] {
            let mut family = families.counter(name, help);
            for (number, cpu, worker) in &workers {
                family.sample(&[("worker", number), ("cpu", cpu)], value(worker));
            }
        }
        for (name, help, value) in [
            (
                "lwaftr_worker_reassembly_packets",
                "Packets that wait to be reassembled (F1).",
                (|worker| worker.reassembly[0] as f64) as fn(&WorkerReading) -> f64,
            ),
            ("lwaftr_worker_reassembly_bytes", "Bytes of memory that their fragments take.", {
                |worker| worker.reassembly[1] as f64
            }),
        ] {
            let mut family = families.gauge(name, help);
            for (number, cpu, worker) in &workers {
                family.sample(&[("worker", number), ("cpu", cpu)], value(worker));
            }
        }
        let help = "Frames received, by worker: are they spread evenly?";
        let mut family = families.counter("lwaftr_worker_in_packets_total", help);
        for (number, cpu, worker) in &workers {
            for side in Side::BOTH {
                family.sample(
                    &[("worker", number), ("cpu", cpu), ("interface", side.name())],
                    worker.in_packets[side.index()] as f64,
                );
            }
        }
    }

    fn pools(&self, families: &mut Families) {
        for (name, help, value) in [
            (
                "lwaftr_mempool_buffers",
                "Packet buffers there are.",
                (|pool| pool.capacity) as fn(&PoolStats) -> u32,
            ),
            ("lwaftr_mempool_free_buffers", "Packet buffers that nobody has.", |pool| pool.free),
        ] {
            let mut family = families.gauge(name, help);
            for pool in &self.pools {
                family.sample(&[("pool", pool.name)], f64::from(value(pool)));
            }
        }
    }

    fn table(&self, families: &mut Families) {
        let TableReading { softwires, ended, bytes, changed, edits } = self.table;
        let ConfigurationReading { loaded, reloads, failed, generation, unfreed } =
            self.configuration;
        let count = |count: usize| Some(count as f64);
        for (name, help, value) in [
            ("lwaftr_softwires", "Softwires in the binding table.", count(softwires)),
            ("lwaftr_table_bytes", "Memory of the binding table.", count(bytes)),
            (
                "lwaftr_table_edits",
                "Softwires that differ from the files because of edits, where these are kept.",
                edits.and_then(count),
            ),
            (
                "lwaftr_table_changed_timestamp_seconds",
                "When the binding table was loaded or edited last.",
                changed.map(seconds),
            ),
            (
                "lwaftr_configuration_loaded_timestamp_seconds",
                "When the configuration was read last and taken.",
                loaded.map(seconds),
            ),
            (
                "lwaftr_configuration_last_reload_successful",
                "0 when the last reload was refused; the configuration before it runs on.",
                Some(truth(!failed)),
            ),
            (
                "lwaftr_generation",
                "The newest generation of what workers read.",
                Some(generation as f64),
            ),
            (
                "lwaftr_generations_unfreed",
                "Replaced tables, and parts of them, that wait until no worker can hold them.",
                count(unfreed),
            ),
        ] {
            let mut family = families.gauge(name, help);
            if let Some(value) = value {
                family.sample(&[], value);
            }
        }
        let help = "Softwires that have ended by themselves (valid-until).";
        families.counter("lwaftr_softwires_ended_total", help).sample(&[], ended as f64);
        let mut family =
            families.counter("lwaftr_reloads_total", "Reloads asked for, by what came of them.");
        for (result, reloads) in ["taken", "refused"].into_iter().zip(reloads) {
            family.sample(&[("result", result)], reloads as f64);
        }
    }

    fn next_hops(&self, families: &mut Families) {
        for (name, help, value) in [
            (
                "lwaftr_next_hop_up",
                "1 when the next hop answers, or need not be asked.",
                (|hop| hop.answers) as fn(&NextHopStatus) -> bool,
            ),
            ("lwaftr_next_hop_resolved", "1 when the next hop's MAC address is known.", |hop| {
                hop.mac.is_some()
            }),
            ("lwaftr_next_hop_in_use", "1 for the next hop that packets go to.", |hop| hop.in_use),
        ] {
            let mut family = families.gauge(name, help);
            for side in Side::BOTH {
                for hop in &self.next_hops[side.index()] {
                    let address = hop.address.map(|address| address.to_string());
                    let address = address.as_deref().unwrap_or("fixed");
                    let labels = [("interface", side.name()), ("address", address)];
                    family.sample(&labels, truth(value(hop)));
                }
            }
        }
    }

    fn alarms(&self, families: &mut Families) {
        let help = "Alarms of this kind that are raised now (docs/counters.md).";
        let mut active = families.gauge("lwaftr_alarms_active", help);
        for AlarmCount { kind, active: now, .. } in &self.alarms {
            active.sample(&alarm_labels(*kind), *now as f64);
        }
        let help = "How often an alarm of this kind was raised.";
        let mut raised = families.counter("lwaftr_alarms_raised_total", help);
        for AlarmCount { kind, raised: ever, .. } in &self.alarms {
            raised.sample(&alarm_labels(*kind), *ever as f64);
        }
    }
}

fn alarm_labels(kind: AlarmKind) -> [(&'static str, &'static str); 2] {
    [("alarm", kind.name()), ("severity", kind.severity().name())]
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// `in-packets` as `lwaftr_interface_in_packets_total`.
fn metric(prefix: &str, key: &str, suffix: &str) -> String {
    format!("{prefix}_{}{suffix}", key.replace('-', "_"))
}

#[cfg(test)]
mod tests;
