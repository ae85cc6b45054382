//! What the control plane has, behind one handle that every connection shares. What it answers is in
//! `answers` and `well_being`, what it does in `orders` and `access`.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::broadcast;

use super::audit::Audit;
use super::binding::Leases;
use super::capture::Captures;
use super::editor::Editor;
use super::error::ControlError;
use super::event::Event;
use super::known::Known;
use super::monitor::Monitor;
use crate::capture::Slot;
use crate::config::Config;
use crate::lwaftr::Snapshot;
use crate::telemetry::{LatencyReader, PoolStats, PortStats, WorkerCounters};
use crate::worker::Progress;

/// Why there are no counters of softwires.
pub const NOT_COUNTED: &str =
    "what each softwire carries is not counted: set softwires.counters = true and reload";

/// Reads both ports' own counters.
pub type ReadPorts = Box<dyn Fn() -> [PortStats; 2] + Send + Sync>;

/// Reads how full the pools of packet buffers are.
pub type ReadPools = Box<dyn Fn() -> Vec<PoolStats> + Send + Sync>;

/// What can be read of the data plane while it runs.
pub struct Instruments {
    /// Each worker's counters.
    pub counters: Vec<Arc<WorkerCounters>>,
    /// Each worker's latency histograms.
    pub latency: Vec<LatencyReader>,
    /// The ports' counters.
    pub ports: ReadPorts,
    /// Each worker's CPU and progress.
    pub workers: Vec<(usize, Arc<Progress>)>,
    /// The pools of packet buffers.
    pub pools: ReadPools,
    /// Where each worker looks for captures.
    pub captures: Vec<Slot>,
}

impl Default for Instruments {
    /// Of an instance without workers and ports.
    fn default() -> Self {
        Self {
            counters: Vec::new(),
            latency: Vec::new(),
            ports: Box::new(|| [PortStats::default(); 2]),
            workers: Vec::new(),
            pools: Box::new(Vec::new),
            captures: Vec::new(),
        }
    }
}

/// The control plane of one instance.
pub struct Control {
    pub(super) editor: Arc<Mutex<Editor>>,
    pub(super) snapshots: Arc<ArcSwap<Snapshot>>,
    /// The editor's, to be read while it works.
    config: ArcSwap<Config>,
    /// What it said of itself last.
    pub(super) known: ArcSwap<Known>,
    leases: Arc<RwLock<Leases>>,
    /// Softwires that have ended by themselves.
    pub(super) ended: Arc<AtomicU64>,
    events: broadcast::Sender<Arc<Event>>,
    pub(super) counters: Vec<Arc<WorkerCounters>>,
    pub(super) latency: tokio::sync::Mutex<Vec<LatencyReader>>,
    captures: Arc<Captures>,
    pub(super) audit: Audit,
    pub(super) ports: ReadPorts,
    pub(super) workers: Vec<(usize, Arc<Progress>)>,
    pub(super) pools: ReadPools,
    /// Alarms, and whether it can forward.
    pub(super) monitor: Monitor,
    /// Held while something changes: edits and reloads come one after the other.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Held by whoever reads the table; parts of it are not freed meanwhile.
    reading: Arc<()>,
    /// Held by whoever compares two looks at the table's counters.
    pub(super) looking: tokio::sync::Mutex<()>,
    pub(super) started: Instant,
    pub(super) started_at: SystemTime,
}

/// A reader's view of the table. Parts of the table are not freed as long as it is there.
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    _reading: Arc<()>,
}

impl Control {
    /// Puts an editor, and what can be read of its workers, under control.
    #[must_use]
    pub fn new(editor: Editor, instruments: Instruments) -> Self {
        let audit = Audit::at(editor.state_file("audit"));
        let Instruments { counters, latency, ports, workers, pools, captures } = instruments;
        let monitor = Monitor::new(Arc::clone(editor.config()));
        Self {
            snapshots: Arc::clone(editor.publisher().snapshots()),
            config: ArcSwap::new(Arc::clone(editor.config())),
            known: ArcSwap::from_pointee(Known::of(&editor)),
            leases: Arc::clone(&editor.leases),
            ended: Arc::clone(&editor.ended),
            events: editor.events_sender(),
            editor: Arc::new(Mutex::new(editor)),
            counters,
            latency: tokio::sync::Mutex::new(latency),
            ports,
            captures: Arc::new(Captures::new(captures)),
            audit,
            workers,
            pools,
            monitor,
            changing: tokio::sync::Mutex::new(()),
            reading: Arc::new(()),
            looking: tokio::sync::Mutex::new(()),
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// Does something with the editor on another thread: it may be busy, and it may take its time.
    pub(super) async fn with_editor<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Editor) -> T + Send + 'static,
    ) -> Result<T, ControlError> {
        let editor = Arc::clone(&self.editor);
        // The editor changes by whole steps, so it is sound even after a panic in one of them.
        blocking(move || work(&mut editor.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// The same, where the configuration may be another one afterwards.
    pub(super) async fn change_editor<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Editor) -> T + Send + 'static,
    ) -> Result<T, ControlError> {
        let work = |editor: &mut Editor| (work(editor), Arc::clone(editor.config()));
        let (done, config) = self.with_editor(work).await?;
        self.config.store(config);
        Ok(done)
    }

    /// The configuration that counts.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The files whose change is a change of the configuration.
    pub(super) async fn files(&self) -> Result<Vec<PathBuf>, ControlError> {
        self.with_editor(|editor| editor.config().files().map(Into::into).collect()).await
    }

    /// The table, to read on the control thread.
    pub(super) fn view(&self) -> View {
        let reading = Arc::clone(&self.reading);
        View { snapshot: self.snapshots.load_full(), _reading: reading }
    }

    /// Frees what no worker can hold any more. To be called on the control thread, where views
    /// are made: a view made later cannot reach what is freed here.
    pub fn collect(&self) {
        self.captures.collect();
        let reading = Arc::strong_count(&self.reading) > 1;
        self.try_with_editor(|editor| editor.collect(reading));
    }

    /// Does something brief with the editor, unless it is busy.
    pub(super) fn try_with_editor<T>(&self, work: impl FnOnce(&mut Editor) -> T) -> Option<T> {
        match self.editor.try_lock() {
            Ok(mut editor) => Some(work(&mut editor)),
            Err(TryLockError::Poisoned(editor)) => Some(work(&mut editor.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Who changed what; also for orders of other kinds that somebody may ask about later.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// What runs, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        let (softwires, workers) = (self.snapshots.load().table.len(), self.counters.len());
        format!("{softwires} softwires, {workers} worker{}", if workers == 1 { "" } else { "s" })
    }

    /// Tells of every change from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// When softwires end.
    pub(super) fn leases(&self) -> RwLockReadGuard<'_, Leases> {
        self.leases.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn captures(&self) -> &Arc<Captures> {
        &self.captures
    }

    /// Says no when what softwires carry is not counted.
    pub(super) fn must_count(&self) -> Result<(), ControlError> {
        if self.view().snapshot.table.counts() {
            return Ok(());
        }
        Err(ControlError::refused(NOT_COUNTED))
    }
}

/// Runs something that takes its time on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ControlError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ControlError::internal(format!("the work broke down: {error}")))
}
