//! A capture under way: it takes the frames that the workers have put into their rings, as long as
//! somebody wants them, and stops however that ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{CaptureOptions, wanted, words};
use crate::capture::{Capture, Record, Ring, Slot, Wanted};
use crate::control::actor::Actor;
use crate::control::audit::Audit;
use crate::control::error::ControlError;
use crate::control::state::Control;

/// Bytes of each worker's ring.
const RING: usize = 4 << 20;

/// How often the rings are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes taken out of a ring at a time.
const PART: usize = 1 << 20;

/// There is a part at least as often; if whoever wants them is gone, that is noticed.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The workers' captures, of which there is one at a time.
#[derive(Debug, Default)]
pub(in crate::control) struct Captures {
    slots: Vec<Slot>,
    running: Arc<tokio::sync::Mutex<()>>,
    /// Ended, but perhaps still in a worker's hands.
    ended: Mutex<Vec<Arc<Capture>>>,
}

impl Captures {
    pub(in crate::control) fn new(slots: Vec<Slot>) -> Self {
        Self { slots, ..Self::default() }
    }

    /// Frees what no worker has in its hands any more.
    pub(in crate::control) fn collect(&self) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|capture| Arc::strong_count(capture) > 1);
    }

    /// Makes it the only one, unless there is one already.
    fn claim(&self) -> Result<OwnedMutexGuard<()>, ControlError> {
        if self.slots.is_empty() {
            return Err(ControlError::refused("there are no workers: nothing can be captured"));
        }
        Arc::clone(&self.running).try_lock_owned().map_err(|_| {
            ControlError::refused(
                "another capture is running: wait until it has ended (`lwaftr audit` says who \
                 started it)",
            )
        })
    }

    fn start(&self, wanted: &Wanted) -> Vec<Arc<Capture>> {
        let start = |slot: &Slot| {
            let capture = Arc::new(Capture { wanted: wanted.clone(), ring: Ring::new(RING) });
            slot.store(Some(Arc::clone(&capture)));
            capture
        };
        self.slots.iter().map(start).collect()
    }

    /// From now on, workers put nothing more into the rings.
    fn silence(&self) {
        for slot in &self.slots {
            slot.store(None);
        }
    }

    fn stop(&self, captures: &mut Vec<Arc<Capture>>) {
        self.silence();
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.append(captures);
    }
}

/// Frames that were captured, and how many were lost so far.
#[derive(Debug)]
pub struct Part {
    /// Perhaps none: nothing has come for a while.
    pub records: Vec<Record>,
    /// All that did not fit into a ring since the beginning.
    pub lost: u64,
}

/// A capture under way; it ends when this is dropped. Its beginning and its end are in the audit log.
#[derive(Debug)]
pub struct Session {
    all: Arc<Captures>,
    /// One for each worker; none when it has ended.
    captures: Vec<Arc<Capture>>,
    _only: OwnedMutexGuard<()>,
    audit: Audit,
    actor: Actor,
    /// What is captured, in words.
    what: String,
    /// Frames that are still wanted, and those that were sent.
    left: u64,
    sent: u64,
    lost: u64,
    end: Instant,
    look: Interval,
    heard: Instant,
    /// The rings had more than one part takes.
    more: bool,
}

impl Control {
    /// Starts a capture on every worker.
    pub async fn begin_capture(
        &self,
        actor: &Actor,
        options: CaptureOptions,
    ) -> Result<Session, ControlError> {
        let what = words(&options);
        let ready = match wanted(self, &options).await {
            Ok(wanted) => self.captures().claim().map(|only| (wanted, only)),
            Err(error) => Err(error),
        };
        let audit = self.audit().clone();
        audit.note(actor, "capture", &what, ready.as_ref().map(|_| "started")).await;
        let (wanted, only) = ready?;
        let all = Arc::clone(self.captures());
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Ok(Session {
            captures: all.start(&wanted),
            all,
            _only: only,
            audit,
            actor: actor.clone(),
            what,
            left: options.count.unwrap_or(u64::MAX),
            sent: 0,
            lost: 0,
            end: now + Duration::from_secs(options.seconds),
            look,
            heard: now,
            more: false,
        })
    }
}

impl Session {
    /// What has been captured since the last call, when there is something, or nothing for a while;
    /// `None` at the end.
    pub async fn next(&mut self) -> Option<Part> {
        loop {
            if self.more {
                // Others want to be served, too.
                tokio::task::yield_now().await;
            } else {
                self.look.tick().await;
            }
            if self.left == 0 || self.captures.is_empty() {
                return None;
            }
            let ends = Instant::now() >= self.end;
            if ends {
                // What is in the rings comes to an end.
                self.all.silence();
            }
            let mut records = self.take();
            records.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            if ends && !self.more {
                self.left = records.len() as u64;
            }
            if records.is_empty() && self.heard.elapsed() < HEARTBEAT && self.left > 0 {
                continue;
            }
            self.left -= records.len() as u64;
            self.sent += records.len() as u64;
            self.heard = Instant::now();
            return Some(Part { records, lost: self.count_lost() });
        }
    }

    /// Ends it; says how many frames there were, and how many were lost. Ready when that is in the
    /// audit log.
    pub async fn end(mut self) -> [u64; 2] {
        if let Some(words) = self.stop() {
            self.audit.note(&self.actor, "capture", &self.what, Ok(&words)).await;
        }
        [self.sent, self.lost]
    }

    fn take(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        self.more = false;
        for capture in &self.captures {
            let before = records.len();
            capture.ring.take(PART, &mut records);
            let bytes: usize = records[before..].iter().map(|record| record.frame.len()).sum();
            self.more |= bytes > PART / 2;
        }
        // Each worker's are in order.
        records.sort_by_key(|record| record.time);
        records
    }

    fn count_lost(&mut self) -> u64 {
        self.lost = self.captures.iter().map(|capture| capture.ring.lost()).sum();
        self.lost
    }

    /// Stops the workers' captures; what there is to say of that, the first time.
    fn stop(&mut self) -> Option<String> {
        if self.captures.is_empty() {
            return None;
        }
        let lost = self.count_lost();
        self.all.stop(&mut self.captures);
        Some(format!("ended: {} frames, {lost} lost", self.sent))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(words) = self.stop() else { return };
        // Whoever wanted the frames has gone away.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (audit, actor) = (self.audit.clone(), self.actor.clone());
        let what = std::mem::take(&mut self.what);
        runtime.spawn(async move { audit.note(&actor, "capture", &what, Ok(&words)).await });
    }
}
