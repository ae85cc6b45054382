//! How the instance is, by itself and for those who ask: alarms, health, drain, metrics.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast;

use super::actor::Actor;
use super::error::ControlError;
use super::monitor::{Health, Sample};
use super::state::Control;
use crate::side::Side;
use crate::telemetry::{
    AlarmEvent, ConfigurationReading, HealthReading, Reading, WorkerReading, totals,
};
use crate::worker::Progress;

/// Seconds between a drain and silence, unless told otherwise.
pub const DRAIN_GRACE: Duration = Duration::from_secs(5);

impl Control {
    /// Takes note of what is wrong by now; the log hears what is new. To be called now and then.
    pub fn watch_over(&self) {
        if self.monitor.is_due() {
            let editor = self.try_with_editor(|editor| {
                (Arc::clone(editor.config()), editor.publisher().changed())
            });
            self.monitor.look(self.sample(), editor);
        }
        self.monitor.update(&self.snapshots.load());
    }

    fn sample(&self) -> Sample {
        Sample {
            at: self.started.elapsed(),
            interfaces: totals(&self.counters),
            ports: (self.ports)(),
            workers: self.worker_readings(),
            pools: (self.pools)(),
            ..Sample::default()
        }
    }

    fn worker_readings(&self) -> Vec<WorkerReading> {
        let reading = |(number, (cpu, progress)): (usize, &(usize, Arc<Progress>))| {
            let counters = self.counters.get(number);
            let in_packets =
                |side: Side| counters.map_or(0, |counters| counters.of(side).in_packets.get());
            let reassembly = counters.map(|counters| &counters.reassembly);
            WorkerReading {
                cpu: *cpu,
                rounds: progress.rounds(),
                busy: Duration::from_nanos(progress.busy()),
                in_packets: Side::BOTH.map(in_packets),
                reassembly: reassembly
                    .map_or([0; 2], |waits| [waits.packets.get(), waits.bytes.get()]),
            }
        };
        self.workers.iter().enumerate().map(reading).collect()
    }

    /// The alarms that are raised, and the last ones that are over; see docs/counters.md.
    #[must_use]
    pub fn alarms(&self) -> Value {
        self.watch_over();
        self.monitor.alarms()
    }

    /// Alarms from now on, as they are raised and as they end.
    #[must_use]
    pub fn alarm_events(&self) -> broadcast::Receiver<AlarmEvent> {
        self.monitor.events()
    }

    /// Whether it can forward.
    #[must_use]
    pub fn health(&self) -> Health {
        self.monitor.health(&self.snapshots.load())
    }

    /// Declares it not ready; after `grace` its sides fall silent, where the policy says so.
    pub async fn drain(&self, actor: &Actor, grace: Duration) -> Value {
        self.monitor.drain(grace);
        self.audit().note(actor, "drain", "", Ok("drained: not ready from now on")).await;
        self.health().to_json()
    }

    /// Takes that back.
    pub async fn undrain(&self, actor: &Actor) -> Result<Value, ControlError> {
        if !self.monitor.undrain() {
            return Err(ControlError::refused("it is not drained"));
        }
        self.audit().note(actor, "undrain", "", Ok("not drained any more")).await;
        self.watch_over();
        Ok(self.health().to_json())
    }

    /// Everything for Prometheus, in its text format 0.0.4; see docs/metrics.md.
    pub async fn metrics(&self) -> String {
        let latency = self.latency().await;
        let known = self.known().await;
        self.watch_over();
        let reloads = self.monitor.reloads();
        let configuration = ConfigurationReading {
            reloads: reloads.counts,
            failed: reloads.failure.is_some(),
            ..known.configuration
        };
        let (health, snapshot) = (self.health(), self.snapshots.load());
        let reading = Reading {
            name: known.config.instance.name.clone(),
            versions: [env!("CARGO_PKG_VERSION").to_owned(), dpdk_version()],
            interfaces: totals(&self.counters),
            ports: (self.ports)(),
            workers: self.worker_readings(),
            latency,
            pools: (self.pools)(),
            table: known.table,
            configuration,
            next_hops: Side::BOTH.map(|side| snapshot.next_hops(side)),
            alarms: self.monitor.counts(),
            health: HealthReading {
                ready: health.is_ready(),
                live: health.is_live(),
                draining: health.draining,
            },
        };
        reading.text()
    }
}

fn dpdk_version() -> String {
    #[cfg(feature = "dpdk")]
    return crate::dpdk::version();
    #[cfg(not(feature = "dpdk"))]
    return "none".to_owned();
}
