//! Worker threads: ordinary threads of ours, pinned to a CPU and made known to DPDK.

use std::marker::PhantomData;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::{
    eal::Eal,
    error::{Cause, DpdkError},
    log,
};

/// This thread is pinned and known to DPDK, until this is dropped. A thread DPDK does not know
/// works too, but goes to the shared pool for every single buffer.
///
/// Only the thread itself can undo it:
///
/// ```compile_fail,E0277
/// fn may_move<T: Send>() {}
/// may_move::<vnf::dpdk::ThreadRegistration>();
/// ```
#[derive(Debug)]
pub struct ThreadRegistration {
    _eal: Eal,
    /// It belongs to the thread that made it.
    _this_thread: PhantomData<*const ()>,
}

impl ThreadRegistration {
    /// Pins the calling thread to `cpu` and registers it.
    ///
    /// # Errors
    ///
    /// When there is no such CPU for us, or DPDK has too many threads.
    pub fn pinned(eal: &Eal, cpu: usize) -> Result<Self, DpdkError> {
        if cpu >= CpuSet::MAX_CPU {
            return Err(DpdkError::Pin { cpu, cause: "there is no such CPU".to_owned() });
        }
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set)
            .map_err(|cause| DpdkError::Pin { cpu, cause: cause.to_string() })?;
        log::forget();
        // SAFETY: EAL runs as long as the handle kept below.
        if unsafe { dpdk_sys::rte_thread_register() } < 0 {
            return Err(DpdkError::Register { cause: Cause::thread() });
        }
        Ok(Self { _eal: eal.clone(), _this_thread: PhantomData })
    }
}

impl Drop for ThreadRegistration {
    fn drop(&mut self) {
        // SAFETY: not Send, so this is the thread that was registered.
        unsafe { dpdk_sys::rte_thread_unregister() }
    }
}
