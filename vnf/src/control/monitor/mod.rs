//! Watches over the instance: looks at it once a second, keeps the book of alarms, knows whether it
//! can forward, and has routers turn away when it cannot.
//!
//! ```text
//!  counters, ports, workers, pools --> judge --+
//!  next hops, duplicate addresses -------------+--> book of alarms --> log, API, metrics
//!  reloads ------------------------------------+
//!  links, next hops, workers, drain --> health --> /readyz, sides that fall silent
//! ```

mod health;
mod judge;

pub use health::Health;
pub(super) use judge::Sample;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::sync::broadcast;

use self::judge::Judge;
use super::error::ControlError;
use crate::config::Config;
use crate::lwaftr::Snapshot;
use crate::side::Side;
use crate::telemetry::{
    Alarm, AlarmBook, AlarmCount, AlarmEvent, AlarmKind, LinkStatus, alarms_json,
};

/// Between looks at counters and ports.
const LOOK: Duration = Duration::from_secs(1);

/// Events that wait for a listener who is slow; the oldest go first.
const WAITING: usize = 256;

/// What is known of the instance's well-being.
pub(super) struct Monitor {
    known: Mutex<Known>,
    events: broadcast::Sender<AlarmEvent>,
}

struct Known {
    book: AlarmBook,
    judge: Judge,
    /// What the last look found.
    found: Vec<Alarm>,
    links: [Option<LinkStatus>; 2],
    /// Whether a side's link was found up again, and nobody there was told yet.
    returned: [bool; 2],
    config: Arc<Config>,
    table_changed: SystemTime,
    next_look: Instant,
    reloads: Reloads,
    drain: Option<Drain>,
}

/// What came of the reloads so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Reloads {
    /// Taken, and refused.
    pub(super) counts: [u64; 2],
    /// Why the last one was refused, if it was.
    pub(super) failure: Option<String>,
}

/// Somebody asked for a drain.
#[derive(Debug, Clone, Copy)]
struct Drain {
    /// Answers end then, where the policy says so.
    silent_from: Instant,
}

impl Monitor {
    pub(super) fn new(config: Arc<Config>) -> Self {
        let known = Known {
            book: AlarmBook::default(),
            judge: Judge::default(),
            found: Vec::new(),
            links: [None; 2],
            returned: [false; 2],
            config,
            table_changed: SystemTime::now(),
            next_look: Instant::now(),
            reloads: Reloads::default(),
            drain: None,
        };
        Self { known: Mutex::new(known), events: broadcast::channel(WAITING).0 }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is it time for another look?
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.known().next_look
    }

    /// Takes what a look has found. `editor` says, unless it was busy, which configuration counts
    /// by now and when the table was changed.
    pub(super) fn look(&self, mut sample: Sample, editor: Option<(Arc<Config>, SystemTime)>) {
        let mut known = self.known();
        known.next_look = Instant::now() + LOOK;
        let before =
            std::mem::replace(&mut known.links, sample.ports.each_ref().map(|port| port.link));
        let is = |link: Option<LinkStatus>, up| link.is_some_and(|link| link.up == up);
        for side in Side::BOTH.map(Side::index) {
            known.returned[side] |= is(before[side], false) && is(known.links[side], true);
        }
        if let Some((config, changed)) = editor {
            (known.config, known.table_changed) = (config, changed);
        }
        sample.table_age = known.table_changed.elapsed().unwrap_or_default();
        let config = Arc::clone(&known.config);
        known.found = known.judge.take(sample, &config);
    }

    /// Takes note of what is wrong by now, and has the sides answer or be silent accordingly.
    pub(super) fn update(&self, snapshot: &Snapshot) {
        let mut known = self.known();
        let mut alarms = snapshot.alarms();
        alarms.extend(known.found.iter().cloned());
        alarms.extend(known.reload_failed());
        for event in known.book.update(alarms, SystemTime::now()) {
            // Nobody may be listening.
            _ = self.events.send(event);
        }
        for side in Side::BOTH {
            if std::mem::take(&mut known.returned[side.index()]) {
                snapshot.link_returned(side);
            }
        }
        let health = known.health(snapshot);
        let drained = known.drain.is_some_and(|drain| Instant::now() >= drain.silent_from);
        for side in Side::BOTH {
            // A side that cannot forward itself has to be heard, to be found again.
            let other_is_down = !health.can_forward(side.other()) && health.can_forward(side);
            snapshot.silence(side, drained || other_is_down);
        }
    }

    /// A reload was taken or refused.
    pub(super) fn reloaded<T>(&self, outcome: &Result<T, ControlError>) {
        let Reloads { counts, failure } = &mut self.known().reloads;
        *failure = outcome.as_ref().err().map(|error| error.message.clone());
        counts[usize::from(outcome.is_err())] += 1;
    }

    /// What came of the reloads so far.
    pub(super) fn reloads(&self) -> Reloads {
        self.known().reloads.clone()
    }

    /// From now on it is not ready. After `grace` its sides are silent, where the policy says so.
    pub(super) fn drain(&self, grace: Duration) {
        let silent_from = Instant::now() + grace;
        self.known().drain = Some(Drain { silent_from });
    }

    /// Takes that back; false when there was nothing to take back.
    pub(super) fn undrain(&self) -> bool {
        self.known().drain.take().is_some()
    }

    /// Whether it can forward, by what the last look has found.
    pub(super) fn health(&self, snapshot: &Snapshot) -> Health {
        self.known().health(snapshot)
    }

    /// The alarms that are raised, as JSON.
    pub(super) fn raised(&self) -> Value {
        self.known().book.to_json()
    }

    /// The alarms that are raised and those that are over, as JSON.
    pub(super) fn alarms(&self) -> Value {
        alarms_json(&self.known().book)
    }

    /// How often each alarm is raised, and ever was.
    pub(super) fn counts(&self) -> Vec<AlarmCount> {
        self.known().book.counts()
    }

    /// Alarms as they are raised and as they end.
    pub(super) fn events(&self) -> broadcast::Receiver<AlarmEvent> {
        self.events.subscribe()
    }
}

impl Known {
    fn health(&self, snapshot: &Snapshot) -> Health {
        let is_stalled = |alarm: &&Alarm| alarm.kind == AlarmKind::WorkerStalled;
        let stalled = self.found.iter().filter(is_stalled).map(|alarm| alarm.about.clone());
        Health::of(snapshot, self.links, stalled.collect(), self.drain.is_some())
    }

    fn reload_failed(&self) -> Option<Alarm> {
        let words = self.reloads.failure.as_ref()?;
        let (first, more) = words.split_once('\n').map_or((&**words, ""), |(first, more)| {
            (first, if more.is_empty() { "" } else { " (and more)" })
        });
        Some(Alarm {
            kind: AlarmKind::ReloadFailed,
            side: None,
            about: self.config.path.display().to_string(),
            text: format!("{first}{more}"),
        })
    }
}
