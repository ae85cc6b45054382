//! How much of their cores the threads that matter got: ours, and the relay's workers where they
//! are on this machine.
//!
//! The kernel tells of each thread how long it ran and how long it waited for a CPU
//! (`/proc/PID/task/TID/schedstat`). Waiting is what counts: a worker that sleeps because nothing
//! came is not short of CPU.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::failure::Failure;

/// What a thread has waited for a CPU so far.
fn waited(task: &Path) -> Option<Duration> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    parse(&text)
}

/// The second of three numbers, in nanoseconds.
fn parse(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// The tasks of a process that are workers of a relay, or all where none is called so.
fn workers(process: &Path) -> Vec<PathBuf> {
    let tasks: Vec<PathBuf> = fs::read_dir(process.join("task"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    let is_worker = |task: &&PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("worker"))
    };
    let workers: Vec<PathBuf> = tasks.iter().filter(is_worker).cloned().collect();
    if workers.is_empty() { tasks } else { workers }
}

/// The relay's threads, where they can be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    tasks: Vec<PathBuf>,
}

impl Watched {
    /// The workers of a process.
    pub(crate) fn process(pid: u32) -> Result<Self, Failure> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let tasks = workers(&process);
        if tasks.iter().all(|task| waited(task).is_none()) {
            return Err(Failure::new(format!(
                "--pid {pid}: {} says nothing about its threads: the process id of the relay, on \
                 this machine, or no --pid",
                process.display()
            )));
        }
        Ok(Self { tasks })
    }

    /// Begins to watch.
    pub(crate) fn start(&self) -> Watch<'_> {
        Watch { watched: self, start: Instant::now(), waits: self.waits() }
    }

    fn waits(&self) -> Vec<Duration> {
        self.tasks.iter().map(|task| waited(task).unwrap_or_default()).collect()
    }
}

/// A stretch of time.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    watched: &'a Watched,
    start: Instant,
    waits: Vec<Duration>,
}

impl Watch<'_> {
    /// The share of its core that the thread which got least of it got, from 0 to 1.
    pub(crate) fn least_share(&self) -> f64 {
        let wall = self.start.elapsed();
        let pairs = self.watched.waits().into_iter().zip(&self.waits);
        let most = pairs.map(|(now, before)| now.saturating_sub(*before)).max().unwrap_or_default();
        share_without(most, wall)
    }
}

/// What is left of the time when somebody has waited that long.
fn share_without(waited: Duration, wall: Duration) -> f64 {
    (1.0 - waited.as_secs_f64() / wall.as_secs_f64().max(1e-9)).clamp(0.0, 1.0)
}

/// Watches the calling thread, which polls all the time: whatever it did not run, it lacked.
#[derive(Debug)]
pub(crate) struct Own {
    start: Instant,
    cpu: Duration,
}

impl Own {
    /// Begins to watch.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), cpu: vnf::dpdk::thread_cpu_time() }
    }

    /// The share of its core that this thread got, from 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        let cpu = vnf::dpdk::thread_cpu_time() - self.cpu;
        (cpu.as_secs_f64() / self.start.elapsed().as_secs_f64().max(1e-9)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_the_second_number() {
        assert_eq!(parse("500 73447 12\n"), Some(Duration::from_nanos(73_447)));
        assert_eq!(parse("500"), None);
    }

    #[test]
    fn workers_are_known_by_name_and_all_count_where_none_is() {
        let dir = tempfile::tempdir().unwrap();
        for (tid, name) in [("10", "lwaftr"), ("11", "worker-0"), ("12", "worker-1")] {
            let task = dir.path().join("task").join(tid);
            fs::create_dir_all(&task).unwrap();
            fs::write(task.join("comm"), format!("{name}\n")).unwrap();
            fs::write(task.join("schedstat"), "1000 0 1\n").unwrap();
        }
        assert_eq!(workers(dir.path()).len(), 2);
        let watched = Watched { tasks: workers(dir.path()) };
        let watch = watched.start();
        let task = dir.path().join("task/12");
        fs::write(task.join("schedstat"), "1000 3600000000000 1\n").unwrap();
        assert_eq!(watch.least_share(), 0.0, "one of them waited all the time");
        fs::write(task.join("comm"), "other\n").unwrap();
        fs::write(dir.path().join("task/11/comm"), "other\n").unwrap();
        assert_eq!(workers(dir.path()).len(), 3);
    }

    #[test]
    fn shares_are_parts_of_the_whole() {
        let second = Duration::from_secs(1);
        assert_eq!(share_without(Duration::from_millis(10), second), 0.99);
        assert_eq!(share_without(2 * second, second), 0.0);
        assert!(Watched::process(u32::MAX).unwrap_err().0.contains("--pid"));
        let me = Watched::process(std::process::id()).unwrap();
        let watch = me.start();
        assert!((0.0..=1.0).contains(&watch.least_share()));
        let own = Own::start();
        std::thread::sleep(Duration::from_millis(40));
        assert!(own.share() < 0.9, "it slept");
    }
}
