//! What can go wrong between us and DPDK, in words an operator can act on.

use std::ffi::CStr;

use thiserror::Error;

use super::log;
use crate::frame::device::BadArgument;

/// Why DPDK would not do what it was asked for.
#[derive(Debug, Error)]
pub enum DpdkError {
    /// EAL starts once per process.
    #[error("DPDK has been started in this process already")]
    StartedBefore,

    /// A file prefix, pool name or device argument that C cannot take.
    #[error("`{text}` holds a NUL byte")]
    Nul {
        /// The text.
        text: String,
    },

    /// `rte_eal_init` failed.
    #[error("DPDK does not start: {cause}")]
    Start {
        /// Its reason and its last words.
        cause: Cause,
    },

    /// Hugepages were required, and there are not enough.
    #[error(
        "{needed} MiB of hugepages are needed, {free} MiB are free; reserve some, for example \
         `echo {pages} > /proc/sys/vm/nr_hugepages` for pages of 2 MiB"
    )]
    Hugepages {
        /// MiB needed.
        needed: u64,
        /// MiB free.
        free: u64,
        /// Pages of 2 MiB that would do.
        pages: u64,
    },

    /// A thread cannot run where it should.
    #[error(
        "a worker cannot be pinned to CPU {cpu}: {cause}; see `lscpu -e` for the CPUs there are"
    )]
    Pin {
        /// The CPU.
        cpu: usize,
        /// The kernel's reason.
        cause: String,
    },

    /// `rte_thread_register` failed.
    #[error("DPDK does not accept another thread: {cause}")]
    Register {
        /// Its reason and its last words.
        cause: Cause,
    },

    /// No memory for a pool.
    #[error("no memory for the pool {name} of {count} buffers of {room} bytes: {cause}")]
    Pool {
        /// The pool's name.
        name: String,
        /// Buffers asked for.
        count: u32,
        /// Bytes of frame in each.
        room: u16,
        /// DPDK's reason and its last words.
        cause: Cause,
    },

    /// A device argument that makes no sense, or names something that is not there.
    #[error(transparent)]
    Argument(#[from] BadArgument),

    /// The driver would not take the device.
    #[error("port `{argument}`: {wrong}: {cause}")]
    Attach {
        /// The argument.
        argument: String,
        /// What failed.
        wrong: String,
        /// DPDK's reason and its last words.
        cause: Cause,
    },

    /// More queues than the port can have, or must have.
    #[error("port `{port}`: {asked} queues are not possible: {reason}")]
    Queues {
        /// The port.
        port: String,
        /// Queues asked for.
        asked: u16,
        /// Why not.
        reason: String,
    },

    /// Packets larger than the port can carry.
    #[error(
        "port `{port}`: MTU {asked} is not possible: {driver} carries at most {most} bytes of IP"
    )]
    Mtu {
        /// The port.
        port: String,
        /// Its driver.
        driver: String,
        /// MTU asked for.
        asked: u16,
        /// The largest possible.
        most: u16,
    },

    /// A step of setting a port up failed.
    #[error("port `{port}`: {step} failed: {cause}")]
    Setup {
        /// The port.
        port: String,
        /// The step.
        step: &'static str,
        /// DPDK's reason and its last words.
        cause: Cause,
    },
}

/// An error number of DPDK's, and what it logged about it.
#[derive(Debug)]
pub struct Cause {
    errno: i32,
    logged: Vec<String>,
}

impl Cause {
    /// From a function's negative return value.
    pub(super) fn returned(value: i32) -> Self {
        Self { errno: -value, logged: log::recent() }
    }

    /// From `rte_errno`.
    pub(super) fn thread() -> Self {
        // SAFETY: reads a thread-local variable of DPDK's.
        let errno = unsafe { dpdk_sys::lwaftr_errno() };
        Self { errno, logged: log::recent() }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.errno > 0 {
            // SAFETY: rte_strerror returns a constant string, or one in a thread-local buffer that
            // lives until this thread's next call.
            let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.errno)) };
            f.write_str(&text.to_string_lossy())?;
        } else {
            f.write_str("no reason given")?;
        }
        if !self.logged.is_empty() {
            write!(f, " (DPDK: {})", self.logged.join("; "))?;
        }
        Ok(())
    }
}
