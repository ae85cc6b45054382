//! What the control plane knows and may do, behind one handle that every connection shares.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::actor::{Actor, Order};
use super::audit::Audit;
use super::binding::{Leases, key};
use super::capture::Captures;
use super::diff::{self, DiffReport};
use super::editor::{Batch, Edited, Editor};
use super::error::ControlError;
use super::event::Event;
use super::fold::{self, Folded};
use super::history::{self, Had};
use super::monitor::Monitor;
use super::protocol::Lookup;
use super::reload::{ReloadOptions, ReloadReport, prepare};
use super::row::{Key, Row};
use super::systemd;
use super::undo::impatience;
use crate::capture::Slot;
use crate::config::Config;
use crate::lwaftr::Snapshot;
use crate::side::Side;
use crate::softwire::{Binding, Softwire, file};
use crate::telemetry::{
    LatencyBook, LatencyReader, PoolStats, PortStats, WorkerCounters, add_links, stats_json,
};
use crate::worker::Progress;

/// Why there are no counters of softwires.
pub const NOT_COUNTED: &str =
    "what each softwire carries is not counted: set softwires.counters = true and reload";

/// So many softwires are named in the audit log.
const NAMED: usize = 5;

/// How long a worker may take to hand over its histograms; a stopped one must not block us.
const LATENCY_PATIENCE: Duration = Duration::from_millis(300);

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
    editor: Arc<Mutex<Editor>>,
    pub(super) snapshots: Arc<ArcSwap<Snapshot>>,
    /// The editor's, to be read while it works.
    config: ArcSwap<Config>,
    leases: Arc<RwLock<Leases>>,
    /// Softwires that have ended by themselves.
    pub(super) ended: Arc<AtomicU64>,
    events: broadcast::Sender<Arc<Event>>,
    pub(super) counters: Vec<Arc<WorkerCounters>>,
    latency: tokio::sync::Mutex<Vec<LatencyReader>>,
    captures: Captures,
    audit: Audit,
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
            leases: Arc::clone(&editor.leases),
            ended: Arc::clone(&editor.ended),
            events: editor.events_sender(),
            editor: Arc::new(Mutex::new(editor)),
            counters,
            latency: tokio::sync::Mutex::new(latency),
            ports,
            captures: Captures::new(captures),
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
    async fn change_editor<T: Send + 'static>(
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
        self.editor.try_lock().ok().map(|mut editor| work(&mut editor))
    }

    /// Who changed what; also for orders of other kinds that somebody may ask about later.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Reads the configuration anew. The caller and the log hear what came of it.
    pub async fn reload(
        &self,
        actor: &Actor,
        options: ReloadOptions,
    ) -> Result<ReloadReport, ControlError> {
        let _changing = self.changing.lock().await;
        self.take_up(actor, options).await
    }

    /// The same for whoever sees to it that nothing else changes meanwhile.
    pub(super) async fn take_up(
        &self,
        actor: &Actor,
        options: ReloadOptions,
    ) -> Result<ReloadReport, ControlError> {
        let basis = self.with_editor(|editor| editor.basis()).await?;
        if options.dry_run {
            return blocking(move || Ok(prepare(&basis, options)?.report)).await?;
        }
        let within = options.confirm_within;
        systemd::reloading();
        let outcome = match blocking(move || prepare(&basis, options)).await? {
            Ok(prepared) => {
                let actor = actor.clone();
                self.change_editor(move |editor| {
                    editor.commit(&order(&actor, "reload", within), prepared)
                })
                .await?
            }
            Err(error) => Err(error),
        };
        systemd::ready(&self.summary());
        self.monitor.reloaded(&outcome);
        match &outcome {
            Ok(report) => {
                let difference = &report.softwires;
                let summary = format!(
                    "configuration reloaded: {} keys differ; {} softwires: {} added, {} removed, {} changed",
                    report.settings.len(),
                    report.total,
                    difference.added,
                    difference.removed,
                    difference.changed,
                );
                let keys = report.settings.join("; ");
                self.audit.note(actor, "reload", &keys, Ok(&summary));
                for warning in &report.warnings {
                    tracing::warn!("{warning}");
                }
            }
            Err(error) => {
                tracing::error!("configuration not reloaded, the old one stays: {error}");
                self.audit.note(actor, "reload", "", Err(error));
            }
        }
        outcome
    }

    /// Adds softwires, given as rows or as the text of a table file.
    pub(super) async fn add(
        &self,
        actor: &Actor,
        rows: Vec<Row>,
        csv: Option<String>,
        (replace, within): (bool, Option<u32>),
    ) -> Result<Edited, ControlError> {
        let what = named(rows.iter().map(Row::key), rows.len(), csv.is_some());
        let order = (actor, "softwire-add", what, within);
        self.change(order, rows.len(), csv, move |editor, listed| {
            let mut softwires = Vec::new();
            let br_addresses = &editor.config().softwires.br_addresses;
            let mut errors = Vec::new();
            for (number, row) in rows.iter().enumerate() {
                match row.binding(br_addresses) {
                    Ok(softwire) => softwires.push(softwire),
                    Err(problem) => errors.push(format!("softwire {}: {problem}", number + 1)),
                }
            }
            if !errors.is_empty() {
                return Err(ControlError::refused(errors.join("\n")));
            }
            softwires.extend_from_slice(listed);
            Ok(Batch::Add { softwires, replace })
        })
        .await
    }

    /// Removes softwires, given by their keys or as the text of a table file.
    pub(super) async fn remove(
        &self,
        actor: &Actor,
        keys: Vec<Key>,
        csv: Option<String>,
        within: Option<u32>,
    ) -> Result<Edited, ControlError> {
        let what = named(keys.iter().copied(), keys.len(), csv.is_some());
        let order = (actor, "softwire-del", what, within);
        self.change(order, keys.len(), csv, move |_, listed| {
            Ok(Batch::Remove(keys.into_iter().chain(listed.iter().map(key)).collect()))
        })
        .await
    }

    /// Makes a batch and applies it, off the control thread: fsync takes its time. `rows` is how
    /// many softwires of the batch come before those of the text.
    async fn change(
        &self,
        (actor, action, what, within): (&Actor, &'static str, String, Option<u32>),
        rows: usize,
        csv: Option<String>,
        batch: impl FnOnce(&Editor, &[Binding]) -> Result<Batch, ControlError> + Send + 'static,
    ) -> Result<Edited, ControlError> {
        let _changing = self.changing.lock().await;
        let by = actor.clone();
        let edited = self.with_editor(move |editor| {
            let listed =
                csv.map_or_else(|| Ok(file::Parsed::default()), |csv| parse(&csv, editor))?;
            let all: Vec<Binding> = listed.bindings().collect();
            let batch = batch(editor, &all)?;
            editor.edit(&order(&by, action, within), &batch, |number| {
                match number.checked_sub(rows) {
                    Some(row) => format!("line {}", listed.lines.of(row)),
                    None => format!("softwire {}", number + 1),
                }
            })
        });
        let edited = edited.await?;
        let summary = edited
            .as_ref()
            .map(|edited| format!("{} added, {} removed", edited.added, edited.removed));
        self.audit.note(actor, action, &what, summary.as_deref().map_err(|error| *error));
        edited
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

    /// Says where what runs and what the files say differ.
    pub async fn diff(&self) -> Result<DiffReport, ControlError> {
        let _changing = self.changing.lock().await;
        let basis = self.with_editor(|editor| editor.basis()).await?;
        blocking(move || diff::report(&basis)).await?
    }

    /// Writes the edits that were made by hand into the files.
    pub async fn fold(&self, actor: &Actor) -> Result<Folded, ControlError> {
        let _changing = self.changing.lock().await;
        let folded = self.change_editor(fold::fold).await?;
        let summary = folded.as_ref().map(ToString::to_string);
        self.audit.note(actor, "fold", "", summary.as_deref().map_err(|error| *error));
        folded
    }

    /// Takes the last change back.
    pub async fn roll_back(&self, actor: &Actor) -> Result<String, ControlError> {
        let _changing = self.changing.lock().await;
        let by = actor.clone();
        let undone = self
            .change_editor(move |editor| editor.roll_back(&order(&by, "rollback", None)))
            .await?;
        self.audit.note(actor, "rollback", "the last change", undone.as_deref());
        undone
    }

    /// Keeps the change that waits for its confirmation.
    pub async fn confirm(&self, actor: &Actor) -> Result<String, ControlError> {
        let _changing = self.changing.lock().await;
        let confirmed = self.with_editor(Editor::confirm).await?;
        self.audit.note(actor, "confirm", "the last change", confirmed.as_deref());
        confirmed
    }

    /// Waits until no change waits for its confirmation.
    pub(super) async fn settled(&self) {
        while !matches!(self.with_editor(|editor| editor.unconfirmed()).await, Ok(None)) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Something has to be done because of the time; false while the editor is busy.
    pub(super) fn is_due(&self) -> bool {
        let editor = self.editor.try_lock();
        editor.is_ok_and(|editor| editor.is_overdue() || editor.has_ended(Timestamp::now()))
    }

    /// Takes away softwires that have ended, and takes back what was not confirmed in time.
    pub(super) async fn do_what_is_due(&self) {
        let _changing = self.changing.lock().await;
        let actor = impatience();
        let by = actor.clone();
        let undone = self.change_editor(move |editor| {
            editor.is_overdue().then(|| editor.roll_back(&order(&by, "undo", None)))
        });
        if let Ok(Some(undone)) = undone.await {
            match &undone {
                Ok(what) => tracing::error!("{what}: not confirmed in time, and undone"),
                Err(error) => tracing::error!("what was not confirmed stays for now: {error}"),
            }
            self.audit.note(&actor, "undo", "the last change", undone.as_deref());
        }
        let now = Timestamp::now();
        let ended = self.with_editor(move |editor| editor.has_ended(now).then(|| editor.end(now)));
        let (actor, ended) = (Actor::instance("valid-until"), ended.await);
        match ended {
            Ok(Some(Ok(keys))) => {
                let (what, count) = (named(keys.iter().copied(), keys.len(), false), keys.len());
                self.audit.note(&actor, "expire", &what, Ok(&format!("{count} removed")));
            }
            Ok(Some(Err(error))) => self.audit.note(&actor, "expire", "", Err(&error)),
            Ok(None) | Err(_) => {}
        }
    }

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

    pub(super) fn captures(&self) -> &Captures {
        &self.captures
    }

    /// Says no when what softwires carry is not counted.
    pub(super) fn must_count(&self) -> Result<(), ControlError> {
        if self.view().snapshot.table.counts() {
            return Ok(());
        }
        Err(ControlError::refused(NOT_COUNTED))
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
    pub async fn status(&self) -> Result<Value, ControlError> {
        let (uptime, workers) = (self.started.elapsed().as_secs(), self.counters.len());
        self.with_editor(move |editor| {
            let config = editor.config();
            let path = std::path::absolute(&config.path);
            let mut status = json!({
                "name": config.instance.name,
                "version": env!("CARGO_PKG_VERSION"),
                "pid": std::process::id(),
                "config": path.as_deref().unwrap_or(&config.path),
                "uptime-seconds": uptime,
                "workers": workers,
                "softwires": editor.publisher().table().len(),
                "edits": editor.journalled(),
                "table-version": editor.version(),
                "with-end": editor.leases().len(),
                "ended": editor.ended.load(Relaxed),
            });
            if let Some(waiting) = editor.unconfirmed() {
                status["unconfirmed"] = waiting.into();
            }
            status
        })
        .await
    }
}

/// What somebody wants; confirmed within so many seconds, perhaps.
fn order<'a>(actor: &'a Actor, action: &'a str, within: Option<u32>) -> Order<'a> {
    let confirm_within = within.map(|seconds| Duration::from_secs(seconds.into()));
    Order { confirm_within, ..Order::new(actor, action) }
}

/// What an order is about: the first softwires that it names.
fn named(keys: impl Iterator<Item = Key>, count: usize, and_listed: bool) -> String {
    let mut names: Vec<String> = keys.take(NAMED).map(|key| key.to_string()).collect();
    if count > NAMED {
        names.push(format!("{} more", count - NAMED));
    }
    if and_listed {
        names.push("those of a file".to_owned());
    }
    names.join(", ")
}

/// The softwires of a table file's text.
fn parse(csv: &str, editor: &Editor) -> Result<file::Parsed, ControlError> {
    let only_br = match editor.config().softwires.br_addresses[..] {
        [br] => Some(br),
        _ => None,
    };
    let parsed = file::parse(csv.as_bytes(), only_br);
    if parsed.errors.is_empty() {
        return Ok(parsed);
    }
    let mut lines: Vec<String> = parsed
        .errors
        .iter()
        .map(|error| format!("line {}: {}: {}", error.line, error.key, error.problem))
        .collect();
    if parsed.more_errors > 0 {
        lines.push(format!("and {} more", parsed.more_errors));
    }
    Err(ControlError::refused(lines.join("\n")))
}

/// Runs something that takes its time on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ControlError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ControlError::internal(format!("the work broke down: {error}")))
}
