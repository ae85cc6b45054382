//! The configuration as it is now, and its changes: single softwires here, reloads in `reload`, what
//! takes changes back in `undo`, ends of softwires in `expiry`.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::actor::{Actor, Order};
use super::binding::{Leases, key};
use super::change::{Change, Changes};
use super::error::ControlError;
use super::event::{Event, channel};
use super::expiry::drop_ended;
use super::filters;
use super::history::History;
use super::journal::{Journal, JournalError};
use super::publisher::{Larger, Publisher};
use super::row::Key;
use super::undo::{Undo, give_up_unconfirmed};
use crate::config::{Config, LogFormat};
use crate::log::{self, Format};
use crate::lwaftr::Settings;
use crate::memory::Generations;
use crate::softwire::{Binding, BindingTable, Edit, RowError, RowProblem, Softwire, TableWriter};
use crate::wire::MacAddr;

/// So many refused softwires are named; the others are counted.
const NAMED: usize = 50;

/// So many softwires in the way of one edit are named.
const THERE: usize = 8;

/// The MAC addresses that the two ports have of their own, by side.
pub type PortMacs = [MacAddr; 2];

/// Owns the configuration, the publisher and the journal. One change is made at a time.
#[derive(Debug)]
pub struct Editor {
    pub(super) config: Arc<Config>,
    pub(super) publisher: Publisher,
    pub(super) journal: Option<Journal>,
    pub(super) macs: PortMacs,
    pub(super) largest_mtus: [u16; 2],
    /// When softwires end; shared with those who show them.
    pub(super) leases: Arc<RwLock<Leases>>,
    pub(super) history: Option<History>,
    /// The last change, to be taken back.
    pub(super) undo: Option<Undo>,
    /// Softwires that have ended by themselves.
    pub(super) ended: Arc<AtomicU64>,
    version: u64,
    /// When the table became what it is.
    modified: Timestamp,
    events: broadcast::Sender<Arc<Event>>,
    state: PathBuf,
    pub(super) loaded: SystemTime,
}

/// Softwires to add or to remove, as one step.
#[derive(Debug, Clone)]
pub enum Batch {
    /// These come.
    Add {
        /// The softwires, with their ends.
        softwires: Vec<Binding>,
        /// Softwires that have a port of theirs go.
        replace: bool,
    },
    /// These go.
    Remove(Vec<Key>),
    /// These go, then those come.
    Change {
        /// What goes.
        remove: Vec<Key>,
        /// What comes.
        add: Vec<Binding>,
    },
}

/// What a batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited {
    /// Softwires added.
    pub added: usize,
    /// Softwires removed.
    pub removed: usize,
}

impl Editor {
    /// Publishes a configuration for the first time: what the files say, and the edits in the
    /// journal at this path. With `discard_edits` those are given up. Edits that contradict the
    /// files are not in force, but they stay in the journal: traffic does not wait for somebody to
    /// decide.
    pub fn start(
        (mut config, mut writer): (Config, TableWriter),
        macs: PortMacs,
        generations: Arc<Generations>,
        journal: &Path,
        discard_edits: bool,
    ) -> Result<Self, ControlError> {
        let (state, now) = (journal.to_owned(), Timestamp::now());
        let mut leases = Leases::of(config.ends());
        config.forget_rows();
        configure_log(&config);
        let mut journal = open_journal(&config, journal)?;
        give_up_unconfirmed(&state, journal.as_mut())?;
        if let Some(journal) = &mut journal {
            let kept = if discard_edits {
                Changes::default()
            } else {
                lay_over_what_fits(journal.changes(), (&mut writer, &mut leases), &config, now)
            };
            journal.rewrite(kept).map_err(|error| cannot_write(&error))?;
        }
        let ended = drop_ended(&mut writer, &mut leases, &config.rules(), now)?;
        let (history, version) = open_history(&config, &state, writer.table(), &leases)?;
        let publisher = Publisher::new(settings(&config, macs), writer, generations);
        Ok(Self {
            config: Arc::new(config),
            publisher,
            journal,
            macs,
            largest_mtus: [u16::MAX; 2],
            leases: Arc::new(RwLock::new(leases)),
            history,
            undo: None,
            ended: Arc::new(ended.into()),
            version,
            events: channel(),
            state,
            loaded: SystemTime::now(),
            modified: Timestamp::now(),
        })
    }

    /// Tells what the ports can carry, by side, in IP bytes: no reload may want more.
    pub fn limit_mtus(&mut self, largest: [u16; 2]) {
        self.largest_mtus = largest;
    }

    /// The file with this extension beside the journal.
    #[must_use]
    pub fn state_file(&self, extension: &str) -> PathBuf {
        self.state.with_extension(extension)
    }

    /// The configuration that counts.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// When it was read and taken.
    #[must_use]
    pub fn loaded(&self) -> SystemTime {
        self.loaded
    }

    /// When the table, or anything else, became what it is.
    #[must_use]
    pub fn modified(&self) -> Timestamp {
        self.modified
    }

    /// A softwire of the table, with its end.
    #[must_use]
    pub fn bind(&self, softwire: Softwire) -> Binding {
        self.leases().bind(softwire)
    }

    /// What workers read.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Frees what no worker can hold any more; see [`Publisher::collect`].
    pub fn collect(&mut self, reading: bool) -> usize {
        self.publisher.collect(reading)
    }

    /// The version of the table: every change makes a new one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Tells of every change from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// For those who hand such receivers out.
    pub(super) fn events_sender(&self) -> broadcast::Sender<Arc<Event>> {
        self.events.clone()
    }

    /// When softwires end.
    pub(super) fn leases(&self) -> RwLockReadGuard<'_, Leases> {
        self.leases.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many softwires differ from the files because of edits; `None` when edits are not kept.
    #[must_use]
    pub fn journalled(&self) -> Option<usize> {
        self.journal.as_ref().map(|journal| journal.changes().len())
    }

    /// The softwires of a B4.
    #[must_use]
    pub fn of_b4(&self, b4: Ipv6Addr) -> Vec<Softwire> {
        self.publisher.writer().of_b4(b4)
    }

    /// Makes a batch of edits, all or nothing: checked, journalled, applied. `name` tells what the
    /// caller calls the n-th softwire of the batch.
    pub fn edit(
        &mut self,
        order: &Order<'_>,
        batch: &Batch,
        name: impl Fn(usize) -> String,
    ) -> Result<Edited, ControlError> {
        self.must_be_settled()?;
        let Plan { edits, numbers, moved } = self.plan(batch);
        let config = Arc::clone(&self.config);
        let refuse = |editor: &Self, errors: Vec<RowError>| {
            refused(&errors, &edits, &numbers, &name, &|error| {
                editor.there(&edits[error.row], error)
            })
        };
        let larger = self
            .publisher
            .prepare(&edits, &config.rules())
            .map_err(|errors| refuse(self, errors))?;
        let mut changes =
            Changes::of_batch(&edits, self.publisher.table(), &self.leases(), &batch.ends());
        for change in moved {
            changes.add(change);
        }
        let added = edits.iter().filter(|edit| matches!(edit, Edit::Add(_))).count();
        let edited = Edited { added, removed: edits.len() - added };
        if changes.is_empty() && edits.is_empty() {
            return Ok(edited);
        }
        let undo = Undo::of_edit(order, &changes);
        undo.prepare(&self.state)?;
        match self.carry_out(order, &edits, &changes, larger) {
            Ok(()) => {
                self.undo = Some(undo);
                Ok(edited)
            }
            Err(error) => {
                undo.forget(&self.state);
                Err(match error {
                    Broken::Rows(errors) => refuse(self, errors),
                    Broken::Disk(error) => error,
                })
            }
        }
    }

    /// Makes changes that have been checked: journalled first, then applied.
    pub(super) fn carry_out(
        &mut self,
        order: &Order<'_>,
        edits: &[Edit],
        changes: &Changes,
        larger: Larger,
    ) -> Result<(), Broken> {
        let config = Arc::clone(&self.config);
        self.journal_append(changes)?;
        let all: Vec<Change> = changes.iter().copied().collect();
        if let Err(error) = self.record(order, &all) {
            self.journal_append(&changes.inverse())?;
            return Err(Broken::Disk(error));
        }
        if let Err(errors) = self.publisher.edit(edits, &config.rules(), larger) {
            self.journal_append(&changes.inverse())?;
            let back: Vec<Change> = all.iter().map(Change::inverse).collect();
            self.record(order, &back).map_err(Broken::Disk)?;
            return Err(Broken::Rows(errors));
        }
        self.move_ends(&all);
        self.announce(order, &all);
        Ok(())
    }

    fn journal_append(&mut self, changes: &Changes) -> Result<(), Broken> {
        match &mut self.journal {
            Some(journal) => {
                journal.append(changes).map_err(|error| Broken::Disk(cannot_write(&error)))
            }
            None => Ok(()),
        }
    }

    /// Takes down in the history what is about to change.
    pub(super) fn record(
        &mut self,
        order: &Order<'_>,
        changes: &[Change],
    ) -> Result<(), ControlError> {
        let Some(history) = &mut self.history else {
            self.version += 1;
            return Ok(());
        };
        history.append(order.actor, order.action, changes).map_err(|error| {
            ControlError::internal(format!(
                "the history of bindings cannot be written ({error}): nothing was changed: make \
                 room, or do without it by softwires.retention = 0"
            ))
        })?;
        self.version = history.version();
        Ok(())
    }

    /// Follows, in when softwires end, changes that were made.
    pub(super) fn move_ends(&self, changes: &[Change]) {
        let mut leases = self.leases.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            if let Some(key) = change.key() {
                leases.set(key, change.after.and_then(|after| after.until));
            }
        }
    }

    /// Tells those who listen what has changed.
    pub(super) fn announce(&mut self, order: &Order<'_>, changes: &[Change]) {
        self.modified = Timestamp::now();
        // Nobody may be listening.
        _ = self.events.send(Arc::new(Event::new(order, self.version, changes)));
        let leases = self.leases.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(history) = &mut self.history {
            let table = self.publisher.table();
            history.tidy(table.len(), table.softwires().map(|softwire| leases.bind(softwire)));
        }
    }

    /// What the table has that an edit did not reckon with: " (there: ...)", or nothing.
    fn there(&self, edit: &Edit, error: &RowError) -> String {
        let table = self.publisher.table();
        let found = match (edit, &error.problem) {
            (Edit::Remove { ipv4, .. }, RowProblem::NotThere) => table.at(*ipv4),
            (
                Edit::Add(new),
                RowProblem::Duplicate { other: None } | RowProblem::Layout { other: None, .. },
            ) => self.in_the_way(&[*new]),
            (Edit::Add(new), RowProblem::B4Twice { other: None }) => self.of_b4(new.b4),
            _ => return String::new(),
        };
        let mut names: Vec<String> = match edit {
            Edit::Remove { .. } => {
                found.iter().map(|old| format!("psid {}", Key::of(old).psid)).collect()
            }
            Edit::Add(_) => found.iter().map(ToString::to_string).collect(),
        };
        let more = names.len().saturating_sub(THERE);
        names.truncate(THERE);
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        if names.is_empty() { String::new() } else { format!(" (there: {})", names.join(", ")) }
    }

    /// What a batch comes to.
    fn plan(&self, batch: &Batch) -> Plan {
        let remove = |key: &Key| Edit::Remove { ipv4: key.ipv4, psid: key.psid };
        let mut plan = Plan::default();
        match batch {
            Batch::Remove(keys) => {
                plan.edits = keys.iter().map(remove).collect();
                plan.numbers = (0..keys.len()).map(Some).collect();
            }
            Batch::Change { remove: gone, add } => {
                let new = add.iter().map(|new| Edit::Add(new.softwire));
                plan.edits = gone.iter().map(remove).chain(new).collect();
                plan.numbers = gone.iter().map(|_| None).chain((0..add.len()).map(Some)).collect();
            }
            Batch::Add { softwires, replace } => {
                let mut unchanged = HashSet::new();
                if *replace {
                    let new: Vec<Softwire> = softwires.iter().map(|new| new.softwire).collect();
                    let wanted: HashSet<&Softwire> = new.iter().collect();
                    for old in self.in_the_way(&new) {
                        if wanted.contains(&old) {
                            unchanged.insert(old);
                        } else {
                            plan.edits.push(remove(&Key::of(&old)));
                            plan.numbers.push(None);
                        }
                    }
                }
                for (number, new) in softwires.iter().enumerate() {
                    if !unchanged.contains(&new.softwire) {
                        plan.edits.push(Edit::Add(new.softwire));
                        plan.numbers.push(Some(number));
                        continue;
                    }
                    let old = self.leases().bind(new.softwire);
                    if old != *new {
                        plan.moved.push(Change { before: Some(old), after: Some(*new) });
                    }
                }
            }
        }
        plan
    }

    /// The softwires that have a port of one of these.
    fn in_the_way(&self, softwires: &[Softwire]) -> Vec<Softwire> {
        let mut by_address = HashMap::<Ipv4Addr, Vec<&Softwire>>::new();
        for softwire in softwires {
            by_address.entry(softwire.ipv4).or_default().push(softwire);
        }
        let mut found = Vec::new();
        for (address, new) in by_address {
            let taken = Ports::of(&new);
            found.extend(
                self.publisher.table().at(address).into_iter().filter(|old| taken.meet(old)),
            );
        }
        found
    }
}

/// What a batch comes to.
#[derive(Debug, Default)]
struct Plan {
    edits: Vec<Edit>,
    /// For each edit the softwire in the batch that it is about; those that `replace` implies have
    /// none.
    numbers: Vec<Option<usize>>,
    /// Softwires that stay as they are, but end at another time.
    moved: Vec<Change>,
}

/// Why changes that had been checked were not made.
#[derive(Debug)]
pub(super) enum Broken {
    /// The table does not take them.
    Rows(Vec<RowError>),
    /// They cannot be kept.
    Disk(ControlError),
}

impl Batch {
    /// When its softwires end.
    fn ends(&self) -> HashMap<Key, Timestamp> {
        let (Self::Add { softwires: new, .. } | Self::Change { add: new, .. }) = self else {
            return HashMap::new();
        };
        new.iter().filter_map(|new| Some((key(new), new.until?))).collect()
    }
}

/// Ports of one address, as a bit each.
struct Ports(Vec<u64>);

impl Ports {
    fn of(softwires: &[&Softwire]) -> Self {
        let mut bits = vec![0; 1 << 10];
        for range in softwires.iter().flat_map(|softwire| softwire.port_set.ranges()) {
            for port in range {
                bits[usize::from(port / 64)] |= 1 << (port % 64);
            }
        }
        Self(bits)
    }

    fn meet(&self, softwire: &Softwire) -> bool {
        let mut ports = softwire.port_set.ranges().flatten();
        ports.any(|port| self.0[usize::from(port / 64)] >> (port % 64) & 1 == 1)
    }
}

/// The settings a configuration comes to on these ports.
pub(super) fn settings(config: &Config, [external, internal]: PortMacs) -> Settings {
    let mut settings = config.settings(external, internal);
    filters::accelerate(&mut settings.filters);
    settings
}

/// Logs as the configuration wants it.
pub(super) fn configure_log(config: &Config) {
    let format = match config.instance.log_format {
        LogFormat::Text => Format::usual(),
        LogFormat::Json => Format::Json,
    };
    log::configure(&config.instance.log_level, format);
}

/// The journal, when the configuration wants one.
fn open_journal(config: &Config, path: &Path) -> Result<Option<Journal>, ControlError> {
    if !config.softwires.persist {
        return Ok(None);
    }
    Journal::open(path).map(Some).map_err(|error| match error {
        JournalError::Io { .. } => ControlError::refused(format!(
            "the journal of edited softwires cannot be used: {error}: run as root, or let \
             $STATE_DIRECTORY name a directory that this user may write to (systemd: \
             StateDirectory=), or do without it by softwires.persist = false"
        )),
        JournalError::InUse { .. } | JournalError::Corrupt { .. } => {
            ControlError::refused(error.to_string())
        }
    })
}

/// The history of bindings, when the configuration wants one, and the version of the table.
fn open_history(
    config: &Config,
    state: &Path,
    table: &BindingTable,
    leases: &Leases,
) -> Result<(Option<History>, u64), ControlError> {
    let directory = state.with_extension("history");
    if config.softwires.retention == 0 {
        History::remove(&directory);
        return Ok((None, 0));
    }
    let table = table.softwires().map(|softwire| leases.bind(softwire));
    let opened = History::open(&directory, config.softwires.retention, table);
    let kept = opened.and_then(|(mut history, missed)| {
        history.append(&Actor::instance("start"), "start", &missed)?;
        Ok((history.version(), history))
    });
    kept.map(|(version, history)| (Some(history), version)).map_err(|error| {
        ControlError::refused(format!(
            "the history of bindings in {} cannot be kept: {error}: run as root, or let \
             $STATE_DIRECTORY name a directory that this user may write to (systemd: \
             StateDirectory=), or do without it by softwires.retention = 0",
            directory.display()
        ))
    })
}

/// Lays over a table those edits that do not contradict it, and says which do. Returns what is to
/// be kept: both.
fn lay_over_what_fits(
    changes: &Changes,
    (writer, leases): (&mut TableWriter, &mut Leases),
    config: &Config,
    now: Timestamp,
) -> Changes {
    let (mut fitting, mut left_out) = (changes.clone(), Vec::new());
    let mut kept = loop {
        match fitting.lay_over(writer, leases, &config.rules(), now) {
            Ok(kept) => break kept,
            Err(conflicts) => {
                // Without these, others may not fit any more.
                for (change, _) in &conflicts {
                    fitting.remove(change);
                }
                left_out.extend(conflicts);
            }
        }
    };
    if !left_out.is_empty() {
        tracing::error!(
            "edits that were made by hand contradict the configuration and are NOT in force; what \
             the file says is:\n{}\nthey are kept, and every reload is refused until they are \
             put into the table file, made anew, or given up: `lwaftr reload --discard-edits` \
             gives up all {} edits",
            described(&left_out),
            changes.len()
        );
    }
    for (change, _) in left_out {
        kept.add(change);
    }
    kept
}

pub(super) fn cannot_write(error: &std::io::Error) -> ControlError {
    ControlError::internal(format!(
        "the journal of edited softwires cannot be written ({error}): nothing was changed"
    ))
}

/// Edits and files that contradict each other.
pub(super) fn conflict(conflicts: &[(Change, String)], edits: usize) -> ControlError {
    ControlError::refused(format!(
        "the configuration would undo edits that were made by hand:\n{}\nput them into the table \
         file, or use --discard-edits to give up all {edits} edits",
        described(conflicts)
    ))
}

/// One line for each conflict, the first of them.
fn described(conflicts: &[(Change, String)]) -> String {
    let mut lines: Vec<String> = conflicts
        .iter()
        .take(NAMED)
        .map(|(change, problem)| format!("  {change}: {problem}"))
        .collect();
    if conflicts.len() > NAMED {
        lines.push(format!("  and {} more", conflicts.len() - NAMED));
    }
    lines.join("\n")
}

/// Names every edit that cannot be, in the caller's words.
fn refused(
    errors: &[RowError],
    edits: &[Edit],
    numbers: &[Option<usize>],
    name: &impl Fn(usize) -> String,
    there: &impl Fn(&RowError) -> String,
) -> ControlError {
    let number = |edit: usize| numbers.get(edit).copied().flatten();
    let name = |edit| number(edit).map_or_else(|| "replaced".to_owned(), name);
    let describe = |error: &RowError| {
        let what = match edits[error.row] {
            Edit::Add(softwire) => softwire.to_string(),
            Edit::Remove { ipv4, psid } => Key { ipv4, psid }.to_string(),
        };
        let other = error.problem.other().map(|other| format!(" (see {})", name(other)));
        let other = other.unwrap_or_default();
        format!("{}: {what}: {}{other}{}", name(error.row), error.problem, there(error))
    };
    let mut lines: Vec<String> = errors.iter().take(NAMED).map(describe).collect();
    if errors.len() > NAMED {
        lines.push(format!("and {} more", errors.len() - NAMED));
    }
    ControlError::refused(lines.join("\n"))
}
