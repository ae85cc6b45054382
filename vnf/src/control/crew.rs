//! The workers of an instance, each on a thread pinned to its CPU.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use arc_swap::{ArcSwap, Cache};
use tokio::sync::Notify;

use super::clock::TscClock;
use super::error::ControlError;
use super::ports::Queues;
use crate::capture::Slot;
use crate::dpdk::{DpdkError, DpdkPool, Eal, ThreadRegistration};
use crate::lwaftr::{Relay, RelayParts, Snapshot};
use crate::memory::Reader;
use crate::telemetry::{LatencyReader, LatencyRecorder, WorkerCounters};
use crate::worker::{Idle, Progress, Worker};

/// All workers, and what they share.
pub(super) struct Crew {
    snapshots: Arc<ArcSwap<Snapshot>>,
    eal: Eal,
    clock: TscClock,
    idle: Idle,
    ended: Arc<Notify>,
    members: Vec<Member>,
}

struct Member {
    thread: JoinHandle<Option<Queues>>,
    cpu: usize,
    progress: Arc<Progress>,
    counters: Arc<WorkerCounters>,
    captures: Slot,
}

impl Crew {
    /// Nobody yet.
    pub(super) fn new(snapshots: Arc<ArcSwap<Snapshot>>, eal: &Eal, idle: Idle) -> Self {
        Self {
            snapshots,
            eal: eal.clone(),
            clock: TscClock::start(eal),
            idle,
            ended: Arc::default(),
            members: Vec::new(),
        }
    }

    /// Starts one of `workers` workers, and waits until it is where it belongs.
    pub(super) fn hire(
        &mut self,
        cpu: usize,
        queues: Queues,
        reader: Reader,
        pool: DpdkPool,
        workers: usize,
    ) -> Result<LatencyReader, ControlError> {
        let (latency, histograms) = LatencyRecorder::new();
        let (counters, progress) = (Arc::<WorkerCounters>::default(), Arc::<Progress>::default());
        let number = self.members.len();
        let mut relay = Relay::new(RelayParts {
            pool,
            counters: Arc::clone(&counters),
            worker: number,
            workers,
            runs_timers: number == 0,
            announces: true,
            seed: unpredictable(),
        });
        let captures = Slot::default();
        relay.watch_captures(Arc::clone(&captures));
        let mut worker = Worker {
            relay,
            ports: queues,
            snapshot: Cache::new(Arc::clone(&self.snapshots)),
            reader,
            clock: self.clock,
            latency,
            idle: self.idle.clone(),
            progress: Arc::clone(&progress),
        };
        let (eal, bell) = (self.eal.clone(), Bell(Arc::clone(&self.ended)));
        let (ready, readiness) = mpsc::channel::<Result<(), DpdkError>>();
        let thread = thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                let _bell = bell;
                match ThreadRegistration::pinned(&eal, cpu) {
                    Ok(_registered) => {
                        _ = ready.send(Ok(()));
                        worker.run();
                        Some(worker.ports)
                    }
                    Err(error) => {
                        _ = ready.send(Err(error));
                        None
                    }
                }
            })
            .map_err(|error| ControlError::internal(format!("worker {number}: {error}")))?;
        self.members.push(Member { thread, cpu, progress, counters, captures });
        match readiness.recv() {
            Ok(ready) => ready?,
            Err(_) => {
                return Err(ControlError::internal(format!("worker {number} broke down at once")));
            }
        }
        Ok(histograms)
    }

    /// What each worker counts.
    pub(super) fn counters(&self) -> Vec<Arc<WorkerCounters>> {
        self.members.iter().map(|member| Arc::clone(&member.counters)).collect()
    }

    /// What each worker has done so far.
    pub(super) fn progress(&self) -> Vec<Arc<Progress>> {
        self.members.iter().map(|member| Arc::clone(&member.progress)).collect()
    }

    /// Where each worker is, and how it gets on.
    pub(super) fn workers(&self) -> Vec<(usize, Arc<Progress>)> {
        self.members.iter().map(|member| (member.cpu, Arc::clone(&member.progress))).collect()
    }

    /// Where each worker looks for captures.
    pub(super) fn captures(&self) -> Vec<Slot> {
        self.members.iter().map(|member| Arc::clone(&member.captures)).collect()
    }

    /// Notified when a worker ends, for whatever reason.
    pub(super) fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }

    /// Tells all workers to stop, and takes their queues back; the error says that one had broken
    /// down.
    pub(super) fn dismiss(mut self) -> (Vec<Queues>, Result<(), ControlError>) {
        let (mut queues, mut outcome) = (Vec::new(), Ok(()));
        for member in &self.members {
            member.progress.stop();
        }
        for (number, member) in self.members.drain(..).enumerate() {
            match member.thread.join() {
                Ok(returned) => queues.extend(returned),
                Err(_) => {
                    let words =
                        format!("worker {number} broke down; its last words are in the log");
                    outcome = Err(ControlError::internal(words));
                }
            }
        }
        (queues, outcome)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // Not dismissed: something failed on the way up. Nobody may poll ports that close now.
        for member in &self.members {
            member.progress.stop();
        }
        for member in self.members.drain(..) {
            _ = member.thread.join();
        }
    }
}

/// A number nobody can guess: the standard library's hash keys come from the kernel.
fn unpredictable() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Rings when its thread ends, in whatever way.
struct Bell(Arc<Notify>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
