//! The configuration as it is now, with all that belongs to it. Each kind of change has a file: edits
//! of softwires `making`, reloads `reload`, what takes changes back `undo`, ends of softwires `expiry`.
//! What is on disk is opened by `opening`.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::binding::Leases;
use super::change::Changes;
use super::error::ControlError;
use super::event::{Event, channel};
use super::expiry::drop_ended;
use super::filters;
use super::history::History;
use super::journal::Journal;
use super::making::cannot_write;
use super::opening::{lay_over_what_fits, open_history, open_journal};
use super::publisher::Publisher;
use super::steering::{Steering, TakeAll};
use super::undo::{Undo, give_up_unconfirmed};
use crate::config::{Config, LogFormat};
use crate::log::{self, Format};
use crate::lwaftr::Settings;
use crate::memory::Generations;
use crate::softwire::{Binding, Softwire, TableWriter};
use crate::wire::MacAddr;

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
    pub(super) ports: Steering,
    /// When softwires end; shared with those who show them.
    pub(super) leases: Arc<RwLock<Leases>>,
    pub(super) history: Option<History>,
    /// The last change, to be taken back.
    pub(super) undo: Option<Undo>,
    /// Softwires that have ended by themselves.
    pub(super) ended: Arc<AtomicU64>,
    pub(super) version: u64,
    /// When the table became what it is.
    pub(super) modified: Timestamp,
    pub(super) events: broadcast::Sender<Arc<Event>>,
    pub(super) state: PathBuf,
    pub(super) loaded: SystemTime,
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
            ports: Steering::default(),
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

    /// From now on ports are told what a new configuration wants them to take.
    pub fn steer_ports(&mut self, take_all: TakeAll) {
        self.ports = Steering::new(take_all);
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
