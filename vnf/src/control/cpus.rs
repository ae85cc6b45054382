//! Which CPUs the workers have to themselves, and which are left for everything else.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::error::ControlError;

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
        let allowed = sched_getaffinity(None).map_err(failed)?;
        let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
        let cpus = Self::choose(key, wanted, &allowed)?;
        let mut set = CpuSet::new();
        for &cpu in &cpus.control {
            set.set(cpu);
        }
        sched_setaffinity(None, &set).map_err(failed)?;
        Ok(cpus)
    }

    fn choose(key: &str, wanted: &[usize], allowed: &[usize]) -> Result<Self, ControlError> {
        if let Some(absent) = wanted.iter().find(|cpu| !allowed.contains(cpu)) {
            return Err(ControlError::refused(format!(
                "{key}: CPU {absent} is not one that this process may use: {}",
                list(allowed)
            )));
        }
        let workers = match wanted {
            [] => allowed.last().copied().into_iter().collect(),
            cpus => cpus.to_vec(),
        };
        let mut control: Vec<usize> =
            allowed.iter().copied().filter(|cpu| !workers.contains(cpu)).collect();
        if control.is_empty() {
            tracing::warn!(
                "no CPU is left for the control plane: it shares CPU {} with the workers, and \
                 packets wait while it works",
                list(allowed)
            );
            control = allowed.to_vec();
        }
        Ok(Self { workers, control })
    }
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
            Cpus::choose("workers.cpus", wanted, allowed).map(|cpus| (cpus.workers, cpus.control))
        };
        assert_eq!(choose(&[], &[0, 1, 5]), Ok((vec![5], vec![0, 1])));
        assert_eq!(choose(&[1, 0], &[0, 1, 5]), Ok((vec![1, 0], vec![5])));
        assert_eq!(choose(&[], &[3]), Ok((vec![3], vec![3])));
        let error = choose(&[7], &[0, 1]).unwrap_err();
        assert!(
            error.message.starts_with("workers.cpus: CPU 7") && error.message.ends_with("0, 1"),
            "{error}"
        );
    }
}
