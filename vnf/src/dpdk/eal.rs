//! DPDK's environment: started once per process, shut down with its last handle.

use std::{
    ffi::{CStr, CString, OsStr, c_char},
    fmt, fs,
    os::unix::ffi::OsStrExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    error::{Cause, DpdkError},
    hugepages, log,
};

/// How DPDK is to be started.
#[derive(Debug, Clone)]
pub struct EalConfig {
    /// Tells instances on one machine apart.
    pub name: String,
    /// The CPUs of the control side: where DPDK's own threads and the thread that starts it run.
    pub control_cpus: Vec<usize>,
    /// MiB that pools and drivers will need ([`crate::frame::plan::PoolPlan::megabytes`]).
    pub megabytes: u64,
    /// Whether to use hugepages.
    pub hugepages: Hugepages,
}

/// Whether to use hugepages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hugepages {
    /// When enough are free.
    #[default]
    Auto,
    /// Refuse to start without.
    Required,
    /// Never.
    Never,
}

/// What packet memory consists of; its text is the line to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Hugepages.
    Huge {
        /// MiB that were free at start.
        free: u64,
        /// MiB needed.
        needed: u64,
    },
    /// Ordinary pages.
    Ordinary {
        /// MiB of hugepages that were free at start.
        free: u64,
        /// MiB needed.
        needed: u64,
        /// Hugepages were not wanted.
        by_choice: bool,
    },
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Huge { free, needed } => {
                write!(f, "packet memory: hugepages ({needed} MiB of {free} MiB free)")
            }
            Self::Ordinary { needed, by_choice: true, .. } => {
                write!(f, "packet memory: ordinary pages, as configured ({needed} MiB)")
            }
            Self::Ordinary { free, needed, .. } => write!(
                f,
                "packet memory: ordinary pages ({needed} MiB; only {free} MiB of hugepages are free)"
            ),
        }
    }
}

/// A handle to running DPDK.
#[derive(Debug, Clone)]
pub struct Eal {
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    memory: Memory,
}

/// The DPDK release this was built with.
#[must_use]
pub fn version() -> String {
    format!("DPDK {}.{:02}", dpdk_sys::RTE_VER_YEAR, dpdk_sys::RTE_VER_MONTH)
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts DPDK. It takes no device by itself: ports are attached one by one.
    ///
    /// # Errors
    ///
    /// When it has been started before in this process, when hugepages are required and missing,
    /// or when DPDK refuses.
    pub fn init(config: &EalConfig) -> Result<Self, DpdkError> {
        let memory = choose_memory(config)?;
        let arguments = arguments(config, memory)
            .into_iter()
            .map(|text| CString::new(text.clone()).map_err(|_| DpdkError::Nul { text }))
            .collect::<Result<Vec<_>, _>>()?;
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(DpdkError::StartedBefore);
        }
        log::take_over();

        // EAL pins the calling thread to the main core, and every thread started from it later
        // would inherit that.
        let affinity = rustix::thread::sched_getaffinity(None);
        // EAL keeps pointers into its arguments and permutes the array: both live for ever.
        let pointers: Vec<*mut c_char> = arguments.into_iter().map(CString::into_raw).collect();
        let pointers = pointers.leak();
        let count = i32::try_from(pointers.len()).unwrap_or(i32::MAX);
        // SAFETY: `pointers` are `count` C strings that live as long as the process, and the
        // atomic above lets exactly one call through.
        let parsed = unsafe { dpdk_sys::rte_eal_init(count, pointers.as_mut_ptr()) };
        let cause = (parsed < 0).then(Cause::thread);
        if let Ok(affinity) = affinity {
            let _ = rustix::thread::sched_setaffinity(None, &affinity);
        }
        remove_runtime_directory();
        match cause {
            Some(cause) => Err(DpdkError::Start { cause }),
            None => Ok(Self { running: Arc::new(Running { memory }) }),
        }
    }

    /// What packet memory consists of.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.running.memory
    }
}

/// EAL makes a directory for what several processes would share, and leaves it behind. We share
/// nothing, so it is empty.
fn remove_runtime_directory() {
    // SAFETY: a constant C string, empty until EAL has chosen.
    let path = unsafe { CStr::from_ptr(dpdk_sys::rte_eal_get_runtime_dir()) };
    let _ = fs::remove_dir(OsStr::from_bytes(path.to_bytes()));
}

impl Drop for Running {
    fn drop(&mut self) {
        // SAFETY: EAL runs, and whatever uses it holds a handle: this was the last.
        unsafe {
            dpdk_sys::rte_eal_cleanup();
        }
    }
}

fn choose_memory(config: &EalConfig) -> Result<Memory, DpdkError> {
    let free = hugepages::free_megabytes();
    let needed = config.megabytes;
    let enough = free >= needed;
    match config.hugepages {
        Hugepages::Required if !enough => {
            Err(DpdkError::Hugepages { needed, free, pages: needed.div_ceil(2) })
        }
        Hugepages::Never => Ok(Memory::Ordinary { free, needed, by_choice: true }),
        Hugepages::Auto if !enough => Ok(Memory::Ordinary { free, needed, by_choice: false }),
        Hugepages::Auto | Hugepages::Required => Ok(Memory::Huge { free, needed }),
    }
}

fn arguments(config: &EalConfig, memory: Memory) -> Vec<String> {
    let cpus: Vec<String> = config.control_cpus.iter().map(ToString::to_string).collect();
    let cpus = if cpus.is_empty() { "0".to_owned() } else { cpus.join(",") };
    let mut arguments: Vec<String> = [
        "lwaftr",
        // one EAL core, which may run on any of the control CPUs; workers are registered threads
        &format!("--lcores=0@({cpus})"),
        &format!("--file-prefix={}", config.name),
        "--no-telemetry",
        "--log-level=warning",
        // an allow-list with one device that does not exist: EAL takes none at start
        "--allow=ffff:ff:1f.7",
    ]
    .map(str::to_owned)
    .into();
    match memory {
        // Pages in anonymous files: nothing is left behind, whatever becomes of the process, and
        // no mount is needed. virtio-user and memif pass the files on, so there must be few.
        Memory::Huge { .. } => {
            arguments.extend(["--in-memory", "--single-file-segments"].map(str::to_owned));
        }
        // Devices can then only use virtual addresses: those of ordinary pages change.
        Memory::Ordinary { needed, .. } => arguments.extend([
            "--no-huge".to_owned(),
            "--no-shconf".to_owned(),
            "--iova-mode=va".to_owned(),
            "-m".to_owned(),
            needed.to_string(),
        ]),
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(hugepages: Hugepages, megabytes: u64) -> EalConfig {
        EalConfig { name: "t".into(), control_cpus: vec![0, 2], megabytes, hugepages }
    }

    #[test]
    fn says_which_memory_it_uses_and_why() {
        let never = choose_memory(&config(Hugepages::Never, 64)).unwrap();
        assert_eq!(never.to_string(), "packet memory: ordinary pages, as configured (64 MiB)");
        let auto = choose_memory(&config(Hugepages::Auto, u64::MAX)).unwrap();
        assert!(auto.to_string().contains("MiB of hugepages are free"), "{auto}");
        let required = choose_memory(&config(Hugepages::Required, u64::MAX)).unwrap_err();
        assert!(required.to_string().contains("nr_hugepages"), "{required}");
    }

    #[test]
    fn one_core_on_the_control_cpus_and_no_devices() {
        let memory = Memory::Ordinary { free: 0, needed: 64, by_choice: true };
        let arguments = arguments(&config(Hugepages::Never, 64), memory);
        assert!(arguments.contains(&"--lcores=0@(0,2)".to_owned()), "{arguments:?}");
        assert!(arguments.contains(&"--file-prefix=t".to_owned()));
        assert!(arguments.contains(&"--no-huge".to_owned()));
        assert!(!arguments.contains(&"--in-memory".to_owned()));
    }
}
