//! The configuration as it is now, and its changes: single softwires here, reloads in `reload`.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::change::{Change, Changes};
use super::error::ControlError;
use super::filters;
use super::journal::{Journal, JournalError};
use super::publisher::Publisher;
use super::row::Key;
use crate::config::Config;
use crate::lwaftr::Settings;
use crate::memory::Generations;
use crate::softwire::{Edit, RowError, RowProblem, Rules, Softwire, TableWriter};
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
    state: PathBuf,
}

/// Softwires to add or to remove, as one step.
#[derive(Debug, Clone)]
pub enum Batch {
    /// These come.
    Add {
        /// The softwires.
        softwires: Vec<Softwire>,
        /// Softwires that have a port of theirs go.
        replace: bool,
    },
    /// These go.
    Remove(Vec<Key>),
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
        config.forget_rows();
        let state = journal.to_owned();
        let mut journal = open_journal(&config, journal)?;
        if let Some(journal) = &mut journal {
            let kept = if discard_edits {
                Changes::default()
            } else {
                lay_over_what_fits(journal.changes(), &mut writer, &config.rules())
            };
            journal.rewrite(kept).map_err(|error| cannot_write(&error))?;
        }
        let publisher = Publisher::new(settings(&config, macs), writer, generations);
        Ok(Self {
            config: Arc::new(config),
            publisher,
            journal,
            macs,
            largest_mtus: [u16::MAX; 2],
            state,
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

    /// What workers read.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Frees what no worker can hold any more; see [`Publisher::collect`].
    pub fn collect(&mut self, reading: bool) -> usize {
        self.publisher.collect(reading)
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
        batch: &Batch,
        name: impl Fn(usize) -> String,
    ) -> Result<Edited, ControlError> {
        let (edits, numbers) = self.edits(batch);
        let config = Arc::clone(&self.config);
        let rules = config.rules();
        let refuse = |editor: &Self, errors: Vec<RowError>| {
            refused(&errors, &edits, &numbers, &name, &|error| {
                editor.there(&edits[error.row], error)
            })
        };
        let larger =
            self.publisher.prepare(&edits, &rules).map_err(|errors| refuse(self, errors))?;
        let changes = Changes::of_batch(&edits, self.publisher.table());
        if let Some(journal) = &mut self.journal {
            journal.append(&changes).map_err(|error| cannot_write(&error))?;
        }
        if let Err(errors) = self.publisher.edit(&edits, &rules, larger) {
            if let Some(journal) = &mut self.journal {
                journal.append(&changes.inverse()).map_err(|error| cannot_write(&error))?;
            }
            return Err(refuse(self, errors));
        }
        let added = edits.iter().filter(|edit| matches!(edit, Edit::Add(_))).count();
        Ok(Edited { added, removed: edits.len() - added })
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

    /// The edits of a batch, each with the number of the softwire in the batch that it is about;
    /// those that `replace` implies have none.
    fn edits(&self, batch: &Batch) -> (Vec<Edit>, Vec<Option<usize>>) {
        let remove = |key: &Key| Edit::Remove { ipv4: key.ipv4, psid: key.psid };
        match batch {
            Batch::Remove(keys) => {
                (keys.iter().map(remove).collect(), (0..keys.len()).map(Some).collect())
            }
            Batch::Add { softwires, replace } => {
                let (mut edits, mut numbers) = (Vec::new(), Vec::new());
                let mut unchanged = HashSet::new();
                if *replace {
                    let wanted: HashSet<&Softwire> = softwires.iter().collect();
                    for old in self.in_the_way(softwires) {
                        if wanted.contains(&old) {
                            unchanged.insert(old);
                        } else {
                            edits.push(remove(&Key::of(&old)));
                            numbers.push(None);
                        }
                    }
                }
                for (number, softwire) in softwires.iter().enumerate() {
                    if !unchanged.contains(softwire) {
                        edits.push(Edit::Add(*softwire));
                        numbers.push(Some(number));
                    }
                }
                (edits, numbers)
            }
        }
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

/// Lays over a table those edits that do not contradict it, and says which do. Returns what is to
/// be kept: both.
fn lay_over_what_fits(changes: &Changes, writer: &mut TableWriter, rules: &Rules<'_>) -> Changes {
    let (mut fitting, mut left_out) = (changes.clone(), Vec::new());
    let mut kept = loop {
        match fitting.lay_over(writer, rules) {
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
