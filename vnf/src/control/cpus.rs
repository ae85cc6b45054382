//! Which CPUs the workers have to themselves, and which are left for everything else.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::error::ControlError;
use crate::memory::numa::cpu_list;

/// Who runs where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cpus {
    /// One worker on each.
    pub(crate) workers: Vec<usize>,
    /// The control thread, its helpers and DPDK's threads share these.
    pub(crate) control: Vec<usize>,
}

impl Cpus {
    /// Gives the workers the CPUs they were promised (by default, the last one there is), and
    /// moves this thread, and so all threads it starts from now on, to the others. `key` is where
    /// the promise stands.
    pub(crate) fn divide(key: &str, wanted: &[usize]) -> Result<Self, ControlError> {
        let failed = |error: rustix::io::Errno| {
            ControlError::internal(format!("the CPUs of this process: {error}"))
        };
        let own = sched_getaffinity(None).map_err(failed)?;
        let cpus = Self::choose(key, wanted, &members(&own), &isolated())?;
        let mut set = CpuSet::new();
        for &cpu in &cpus.control {
            set.set(cpu);
        }
        sched_setaffinity(None, &set).map_err(failed)?;
        Ok(cpus)
    }

    /// From this process's `own` CPUs and those that are `isolated`: no process is started on these,
    /// any may go there, and the kernel spreads no load over them, so they are for workers only.
    fn choose(
        key: &str,
        wanted: &[usize],
        own: &[usize],
        isolated: &[usize],
    ) -> Result<Self, ControlError> {
        let mut allowed = [own, isolated].concat();
        allowed.sort_unstable();
        allowed.dedup();
        if let Some(absent) = wanted.iter().find(|cpu| !allowed.contains(cpu)) {
            return Err(ControlError::refused(format!(
                "{key}: CPU {absent} is not one that this process may use: {}",
                list(&allowed)
            )));
        }
        let workers = match wanted {
            [] => allowed.last().copied().into_iter().collect(),
            cpus => cpus.to_vec(),
        };
        let mut control: Vec<usize> =
            own.iter().copied().filter(|cpu| !workers.contains(cpu)).collect();
        if control.is_empty() {
            tracing::warn!(
                "no CPU is left for the control plane: it shares CPU {} with the workers, and \
                 packets wait while it works",
                list(own)
            );
            control = own.to_vec();
        }
        Ok(Self { workers, control })
    }
}

fn members(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

/// The CPUs of `isolcpus`, as far as this process's control group lets it go there.
fn isolated() -> Vec<usize> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
    let reachable = |&cpu: &usize| {
        let mut only = CpuSet::new();
        if cpu < CpuSet::MAX_CPU {
            only.set(cpu);
        }
        // On a thread of its own, which ends there.
        std::thread::spawn(move || sched_setaffinity(None, &only).is_ok()).join().unwrap_or(false)
    };
    cpu_list(&list).into_iter().filter(reachable).collect()
}

/// "0, 1, 2"
fn list(cpus: &[usize]) -> String {
    cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// "CPU 1", or "CPUs 0, 1, 2"
pub(crate) fn named(cpus: &[usize]) -> String {
    format!("{} {}", if cpus.len() == 1 { "CPU" } else { "CPUs" }, list(cpus))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_and_control_do_not_meet_unless_they_must() {
        let choose = |wanted: &[usize], allowed: &[usize]| {
            Cpus::choose("workers.cpus", wanted, allowed, &[])
                .map(|cpus| (cpus.workers, cpus.control))
        };
        assert_eq!(choose(&[], &[0, 1, 5]), Ok((vec![5], vec![0, 1])));
        assert_eq!(choose(&[1, 0], &[0, 1, 5]), Ok((vec![1, 0], vec![5])));
        assert_eq!(choose(&[], &[3]), Ok((vec![3], vec![3])));
        let apart = |wanted: &[usize]| {
            let cpus = Cpus::choose("workers.cpus", wanted, &[0], &[1, 2]).unwrap();
            (cpus.workers, cpus.control)
        };
        assert_eq!(apart(&[]), (vec![2], vec![0]));
        assert_eq!(apart(&[1]), (vec![1], vec![0]));
        let error = choose(&[7], &[0, 1]).unwrap_err();
        assert!(
            error.message.starts_with("workers.cpus: CPU 7") && error.message.ends_with("0, 1"),
            "{error}"
        );
    }
}
