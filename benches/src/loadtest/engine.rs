//! Runs one trial: generators and receivers on one to four threads that do nothing else, and a
//! director that watches. It knows nothing of DPDK, so that tests run it in memory.
//!
//! ```text
//!  1 thread   everything in turn
//!  2 threads  generators | receivers
//!  4 threads  generator | generator | receiver | receiver
//! ```

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use vnf::frame::{FramePool, RxQueue, TxQueue};
use vnf::worker::Clock;

use super::direction::Direction;
use super::failure::Failure;
use super::generator::{Full, Generator, Load, Sent};
use super::lane::Lane;
use super::neighbours::Neighbours;
use super::receiver::{Receiver, Returned};
use super::shares::{Own, Watched};
use super::trial::{LaneOutcome, Outcome};

/// Between two looks of the director.
const LOOK: Duration = Duration::from_millis(10);

/// A port: where frames are sent, and which come back here.
#[derive(Debug)]
pub(crate) struct Unit<P, R, T> {
    pub(crate) pool: P,
    pub(crate) rx: R,
    pub(crate) tx: T,
    pub(crate) full: Full,
    pub(crate) neighbours: Neighbours,
    pub(crate) sends: Vec<Direction>,
    pub(crate) returns: Vec<Direction>,
}

/// All ports.
pub(crate) type Units<P, R, T> = Vec<Unit<P, R, T>>;

/// Lengths of time of a trial.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// What time series are made of.
    pub(crate) interval: Duration,
    /// How long frames may take to come back after the last was sent.
    pub(crate) drain: Duration,
}

/// What the director sees.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// Since the start.
    pub(crate) elapsed: Duration,
    pub(crate) lanes: &'a [Arc<Lane>],
}

/// Everything that a trial needs.
pub(crate) struct Trial<'a, C> {
    pub(crate) lanes: &'a [Arc<Lane>],
    pub(crate) load: &'a Load,
    pub(crate) timing: Timing,
    pub(crate) clock: &'a C,
    pub(crate) threads: usize,
    /// The relay's threads, where they can be watched.
    pub(crate) watched: Option<&'a Watched>,
}

/// What the threads and the director tell each other.
#[derive(Debug, Default)]
struct Signals {
    /// When the trial began, by the clock; 0 before.
    start: AtomicU64,
    stop: AtomicBool,
}

/// What a thread does in turn. There are at most four, and they are large either way.
#[allow(clippy::large_enum_variant)]
enum Task<P: FramePool, R: RxQueue, T> {
    Generate(Generator<P, T>),
    Receive(Receiver<R>),
}

/// Tasks, each with the number of its unit.
type Tasks<P, R, T> = Vec<(usize, Task<P, R, T>)>;

impl<C: Clock + Sync> Trial<'_, C> {
    /// Runs it. Each thread calls `enter` with its number first, and keeps what that returns until
    /// its end. The director may take its time, and breaks to end the trial.
    pub(crate) fn run<P, R, T, G>(
        &self,
        units: Units<P, R, T>,
        enter: &(impl Fn(usize) -> Result<G, Failure> + Sync),
        director: &mut dyn FnMut(&View<'_>) -> ControlFlow<()>,
    ) -> Result<(Units<P, R, T>, Outcome), Failure>
    where
        P: FramePool<Frame: Send> + Send,
        R: RxQueue<Frame = P::Frame> + Send,
        T: TxQueue<Frame = P::Frame> + Send,
    {
        let signals = Signals::default();
        let (shells, tasks) = self.tasks(units);
        let threads = divide(tasks, self.threads);
        let (ready, is_ready) = mpsc::channel();
        let watch = self.watched.map(Watched::start);
        let joined = std::thread::scope(|scope| {
            let handles: Vec<_> = threads
                .into_iter()
                .enumerate()
                .map(|(number, mut tasks)| {
                    let (ready, signals) = (ready.clone(), &signals);
                    scope.spawn(move || {
                        let entered = enter(number);
                        _ = ready.send(entered.as_ref().map(|_| ()).map_err(Clone::clone));
                        let share = match entered {
                            Ok(_guard) => self.work(&mut tasks, signals),
                            Err(_) => 0.0,
                        };
                        (tasks, share)
                    })
                })
                .collect();
            drop(ready);
            let all_ready: Result<Vec<()>, Failure> = is_ready.iter().take(handles.len()).collect();
            if all_ready.is_ok() {
                signals.start.store(self.clock.now().max(1), Ordering::Release);
                self.direct(&signals, director);
            }
            signals.stop.store(true, Ordering::Release);
            let joined: Result<Vec<_>, Failure> = handles
                .into_iter()
                .map(|handle| handle.join().map_err(|_| Failure::new("a thread broke down")))
                .collect();
            all_ready.and(joined)
        })?;
        let relay_share = watch.map(|watch| watch.least_share());
        let own_share = joined.iter().map(|(_, share)| *share).fold(1.0, f64::min);
        let tasks = joined.into_iter().flat_map(|(tasks, _)| tasks).collect();
        let (units, lanes, foreign) = reassemble(shells, tasks);
        let outcome =
            Outcome { lanes, foreign, own_share, relay_share, attempts: 1, disturbed: false };
        Ok((units, outcome))
    }

    /// What a thread does until the end; returns the share of its core that it got.
    fn work<P, R, T>(&self, tasks: &mut [(usize, Task<P, R, T>)], signals: &Signals) -> f64
    where
        P: FramePool,
        R: RxQueue<Frame = P::Frame>,
        T: TxQueue<Frame = P::Frame>,
    {
        let mut start = signals.start.load(Ordering::Acquire);
        while start == 0 && !signals.stop.load(Ordering::Acquire) {
            std::hint::spin_loop();
            start = signals.start.load(Ordering::Acquire);
        }
        let own = Own::start();
        while !signals.stop.load(Ordering::Relaxed) {
            for (_, task) in &mut *tasks {
                match task {
                    Task::Generate(generator) => generator.poll(start, self.clock),
                    Task::Receive(receiver) => receiver.poll(start, self.clock),
                }
            }
        }
        own.share()
    }

    /// Looks at the trial now and then, until all frames are back or have had their time.
    fn direct(&self, signals: &Signals, director: &mut dyn FnMut(&View<'_>) -> ControlFlow<()>) {
        let start = signals.start.load(Ordering::Relaxed);
        let mut last_return = (0, start);
        loop {
            std::thread::sleep(LOOK);
            let now = self.clock.now();
            let elapsed = Duration::from_nanos(now.saturating_sub(start));
            if director(&View { elapsed, lanes: self.lanes }).is_break() {
                self.lanes.iter().for_each(|lane| lane.stop.store(true, Ordering::Relaxed));
            }
            if self.lanes.iter().all(|lane| lane.is_complete()) {
                // A frame that comes twice comes soon.
                std::thread::sleep(LOOK);
                return;
            }
            let is_sending = self.lanes.iter().any(|lane| !lane.finished.load(Ordering::Acquire));
            let returned: u64 = self.lanes.iter().map(|lane| lane.returned.get()).sum();
            if is_sending || returned != last_return.0 {
                last_return = (returned, now);
            } else if now - last_return.1 >= self.timing.drain.as_nanos() as u64 {
                return;
            }
        }
    }

    fn lanes_of(&self, directions: &[Direction]) -> Vec<Arc<Lane>> {
        let is_here = |lane: &&Arc<Lane>| directions.contains(&lane.traffic.direction);
        self.lanes.iter().filter(is_here).cloned().collect()
    }

    /// The tasks of each unit, with its number, and what is left of the units.
    fn tasks<P, R, T>(&self, units: Units<P, R, T>) -> (Vec<Shell>, Tasks<P, R, T>)
    where
        P: FramePool,
        R: RxQueue<Frame = P::Frame>,
        T: TxQueue<Frame = P::Frame>,
    {
        let interval = self.timing.interval.as_nanos() as u64;
        let half = self.load.nanos() / 2;
        let (mut shells, mut tasks) = (Vec::new(), Vec::new());
        for (number, unit) in units.into_iter().enumerate() {
            let Unit { pool, rx, tx, full, neighbours, sends, returns } = unit;
            let (answers, to_answer) = mpsc::channel();
            let generator = Generator::new(
                (pool, tx, full),
                self.lanes_of(&sends),
                self.load.clone(),
                interval,
                to_answer,
            );
            let lanes = self.lanes_of(&returns);
            let ours = neighbours.clone();
            let receiver = Receiver::new(rx, lanes, ours, answers, (interval, half));
            tasks.push((number, Task::Generate(generator)));
            tasks.push((number, Task::Receive(receiver)));
            shells.push(Shell { full, neighbours, sends, returns });
        }
        (shells, tasks)
    }
}

/// A unit without what its tasks took.
struct Shell {
    full: Full,
    neighbours: Neighbours,
    sends: Vec<Direction>,
    returns: Vec<Direction>,
}

/// Tasks for each of so many threads.
fn divide<P: FramePool, R: RxQueue, T>(
    tasks: Tasks<P, R, T>,
    threads: usize,
) -> Vec<Tasks<P, R, T>> {
    if threads >= tasks.len() {
        return tasks.into_iter().map(|task| vec![task]).collect();
    }
    if threads < 2 {
        return vec![tasks];
    }
    let is_generator = |(_, task): &(usize, Task<P, R, T>)| matches!(task, Task::Generate(_));
    let (generators, receivers) = tasks.into_iter().partition(is_generator);
    vec![generators, receivers]
}

/// Units and results from tasks that are done.
fn reassemble<P, R, T>(
    shells: Vec<Shell>,
    tasks: Tasks<P, R, T>,
) -> (Units<P, R, T>, Vec<LaneOutcome>, u64)
where
    P: FramePool,
    R: RxQueue<Frame = P::Frame>,
    T: TxQueue<Frame = P::Frame>,
{
    let mut generators: Vec<Option<(P, T)>> = shells.iter().map(|_| None).collect();
    let mut receivers: Vec<Option<R>> = shells.iter().map(|_| None).collect();
    let mut sent: Vec<(Direction, Sent)> = Vec::new();
    let mut returned: Vec<(Direction, Returned)> = Vec::new();
    let mut foreign = 0;
    for (number, task) in tasks {
        match task {
            Task::Generate(generator) => {
                let (pool, queue, results) = generator.into_parts();
                generators[number] = Some((pool, queue));
                sent.extend(results);
            }
            Task::Receive(receiver) => {
                let (queue, results, others) = receiver.into_parts();
                receivers[number] = Some(queue);
                returned.extend(results);
                foreign += others;
            }
        }
    }
    let units = shells.into_iter().zip(generators).zip(receivers);
    let units = units.filter_map(|((shell, generator), rx)| {
        let ((pool, tx), rx) = (generator?, rx?);
        let Shell { full, neighbours, sends, returns } = shell;
        Some(Unit { pool, rx, tx, full, neighbours, sends, returns })
    });
    let lanes = sent.into_iter().filter_map(|(direction, sent)| {
        let at = returned.iter().position(|(other, _)| *other == direction)?;
        let (_, returned) = returned.swap_remove(at);
        Some(LaneOutcome { direction, sent, returned })
    });
    let mut lanes: Vec<LaneOutcome> = lanes.collect();
    lanes.sort_by_key(|lane| lane.direction.name() != Direction::Encap.name());
    (units.collect(), lanes, foreign)
}
