//! What the control plane answers about the instance: who owns what and who owned it, counters,
//! latency, status.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::ControlError;
use super::history::{self, Had};
use super::protocol::Lookup;
use super::state::{Control, View, blocking};
use crate::side::Side;
use crate::softwire::{Binding, Softwire};
use crate::telemetry::{LatencyBook, add_links, stats_json};

/// How long a worker may take to hand over its histograms; a stopped one must not block us.
const LATENCY_PATIENCE: Duration = Duration::from_millis(300);

impl Control {
    /// What there was at a time.
    pub(super) async fn lookup_at(
        &self,
        lookup: Lookup,
        at: Timestamp,
    ) -> Result<Vec<Had>, ControlError> {
        if at > Timestamp::now() {
            return Err(ControlError::usage(format!("{at} is yet to come")));
        }
        // Nothing may change between what is there now and what was written of it.
        let _changing = self.changing.lock().await;
        let found = self.lookup(lookup).await?;
        let now: Vec<Binding> = {
            let view = self.view();
            let leases = self.leases();
            let now = match lookup {
                // One port now may have been another's then: the address tells.
                Lookup::Ipv4 { ipv4, .. } => view.snapshot.table.at(ipv4),
                Lookup::B4 { .. } => found,
            };
            now.into_iter().map(|softwire| leases.bind(softwire)).collect()
        };
        let days = self.with_editor(move |editor| {
            let history = editor.history.as_ref().ok_or_else(|| {
                ControlError::refused("nothing is kept of the past: softwires.retention = 0")
            })?;
            if at < history.begin() {
                return Err(ControlError::refused(format!(
                    "{at}: what is known begins at {:.0}",
                    history.begin()
                )));
            }
            history
                .day_files()
                .map_err(|error| ControlError::internal(format!("the history: {error}")))
        });
        let days = days.await??;
        let text = match lookup {
            Lookup::Ipv4 { ipv4, .. } => format!("{ipv4},"),
            Lookup::B4 { b4 } => format!(",{b4}"),
        };
        let is_wanted = move |binding: &Binding| match lookup {
            Lookup::Ipv4 { ipv4, port } => {
                let Softwire { ipv4: of, port_set, .. } = binding.softwire;
                of == ipv4 && port.is_none_or(|port| port_set.contains(port))
            }
            Lookup::B4 { b4 } => binding.softwire.b4 == b4,
        };
        blocking(move || history::had(&days, at, &now, &text, is_wanted))
            .await?
            .map_err(|error| ControlError::internal(format!("the history: {error}")))
    }

    /// Answers who owns an address, a port, or what a B4 has; in order, perhaps nothing.
    pub async fn lookup(&self, lookup: Lookup) -> Result<Vec<Softwire>, ControlError> {
        let table = |view: &View| Arc::clone(&view.snapshot.table);
        match lookup {
            Lookup::Ipv4 { ipv4, port: Some(port) } => {
                Ok(table(&self.view()).lookup(ipv4, port).into_iter().collect())
            }
            Lookup::Ipv4 { ipv4, port: None } => Ok(table(&self.view()).at(ipv4)),
            Lookup::B4 { b4 } => self.with_editor(move |editor| editor.of_b4(b4)).await,
        }
    }

    /// The counters; see docs/counters.md.
    #[must_use]
    pub fn stats(&self) -> Value {
        let snapshot = self.snapshots.load();
        let mut stats = stats_json(&self.counters, (self.ports)(), snapshot.table.len());
        let each = stats["workers"].as_array_mut().into_iter().flatten();
        for (worker, (_, progress)) in each.zip(&self.workers) {
            worker["busy-seconds"] = (progress.busy() as f64 / 1e9).into();
        }
        stats["softwires-ended"] = self.ended.load(Relaxed).into();
        self.watch_over();
        let next_hops = Side::BOTH.map(|side| snapshot.next_hops(side));
        add_links(&mut stats, self.monitor.raised(), next_hops);
        stats
    }

    /// All latency recorded since the start. A worker that does not answer in time is left out
    /// with what it recorded since the last reading.
    pub async fn latency(&self) -> LatencyBook {
        let mut readers = self.latency.lock().await;
        for reader in readers.iter_mut() {
            reader.request();
        }
        let deadline = Instant::now() + LATENCY_PATIENCE;
        // All are asked every time round: `all` would stop at the first that owes an answer.
        while readers.iter_mut().filter_map(|reader| (!reader.collect()).then_some(())).count() > 0
        {
            if Instant::now() > deadline {
                // When it is known to be stopped, that is in the log.
                if self.health().is_live() {
                    let words = "a worker did not hand over its latency histograms: is it stopped?";
                    tracing::warn!("{words}");
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut sum = LatencyBook::default();
        for reader in readers.iter() {
            sum.add(reader.total());
        }
        sum
    }

    /// The same as an HdrHistogram log.
    pub async fn latency_log(&self) -> Result<String, ControlError> {
        let mut log = Vec::new();
        self.latency()
            .await
            .write_log(&mut log, self.started_at, self.started.elapsed())
            .map_err(|error| ControlError::internal(format!("the log cannot be made: {error}")))?;
        String::from_utf8(log).map_err(|error| ControlError::internal(error.to_string()))
    }

    /// What instance this is.
    pub async fn status(&self) -> Value {
        let known = self.known().await;
        let path = std::path::absolute(&known.config.path);
        let mut status = json!({
            "name": known.config.instance.name,
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "config": path.as_deref().unwrap_or(&known.config.path),
            "uptime-seconds": self.started.elapsed().as_secs(),
            "workers": self.counters.len(),
            "softwires": known.table.softwires,
            "edits": known.table.edits,
            "table-version": known.table_version,
            "with-end": known.with_end,
            "ended": known.table.ended,
        });
        if let Some(waiting) = &known.unconfirmed {
            status["unconfirmed"] = waiting.as_str().into();
        }
        status
    }
}
