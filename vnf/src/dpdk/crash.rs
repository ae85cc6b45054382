//! What a crash leaves behind: a capture of the frames that were received last, for the report.
//!
//! A fatal signal, or the panic of a worker, writes them to a file whose name was made at the
//! start; nothing is allocated and no lock taken then. The signal kills the process afterwards as
//! it would have done anyway, core dump included.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use libc::{c_int, c_void};

use super::last_frames;

/// The signals that end a process for its own fault.
const FATAL: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
];

/// Captures of earlier crashes that are kept for each instance.
const KEPT: usize = 15;

/// The capture that a crash of this process would write.
static CAPTURE: OnceLock<CString> = OnceLock::new();

static STATE: AtomicU8 = AtomicU8::new(READY);
const READY: u8 = 0;
const WRITING: u8 = 1;
const WRITTEN: u8 = 2;

/// From now on, a crash leaves a capture in `directory`, which is made if it is not there; where,
/// is returned. Of earlier ones, the newest stay. To be called once; later calls change nothing.
///
/// # Errors
///
/// When the directory cannot be made or read.
pub fn leave_captures(directory: &Path, instance: &str) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    remove_old(directory, instance)?;
    let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let path = directory.join(format!("{instance}-{start:010}-{}.pcap", std::process::id()));
    let name = CString::new(path.as_os_str().as_bytes())?;
    if CAPTURE.set(name).is_ok() {
        catch_signals();
        catch_panics();
    }
    Ok(path)
}

/// Removes all captures of an instance but the newest: their names begin with the time.
fn remove_old(directory: &Path, instance: &str) -> io::Result<()> {
    let is_ours = |name: &str| {
        let rest = name.strip_prefix(instance).and_then(|rest| rest.strip_prefix('-'));
        let stem = rest.and_then(|rest| rest.strip_suffix(".pcap"));
        stem.is_some_and(|stem| stem.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
    };
    let mut ours: Vec<PathBuf> = fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_ours))
        .collect();
    ours.sort();
    for path in ours.iter().rev().skip(KEPT) {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn catch_signals() {
    for (signal, _) in FATAL {
        // SAFETY: an all-zero sigaction is a valid one; the handler has the signature that
        // SA_SIGINFO asks for and calls only what a signal handler may. It runs on the stack that
        // Rust sets aside for this on each of its threads.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(_, _, _) as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
}

extern "C" fn on_signal(signal: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    let name = FATAL.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, n)| n);
    write_capture(name);
    // SAFETY: both calls are allowed in a handler. The signal waits until this handler returns,
    // and then has its usual effect.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// A worker's panic ends the process, in order; that of a control connection only ends that.
fn catch_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if thread::current().name().is_some_and(|name| name.starts_with("worker-")) {
            write_capture("the panic of a worker");
        }
    }));
}

/// Writes the capture, once in a process. Whoever comes while another thread is at it waits, for
/// what it does next may end the process.
fn write_capture(why: &str) {
    let Some(path) = CAPTURE.get() else { return };
    if STATE.compare_exchange(READY, WRITING, SeqCst, SeqCst).is_err() {
        for _ in 0..200 {
            if STATE.load(SeqCst) == WRITTEN {
                return;
            }
            let pause = libc::timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            // SAFETY: a call that a handler may make, with a structure of ours.
            unsafe { libc::nanosleep(&raw const pause, ptr::null_mut()) };
        }
        return;
    }
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    // SAFETY: `path` is a C string that lives as long as the process.
    let file = Descriptor(unsafe { libc::open(path.as_ptr(), flags, 0o600) });
    let frames = file.write_pcap();
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(file.0) };
    let messages = Descriptor(libc::STDERR_FILENO);
    messages.write(b"lwaftr: ");
    messages.write(why.as_bytes());
    messages.write(b": ");
    match frames {
        Some(count) => {
            messages.write(decimal(count, &mut [0; 20]));
            messages.write(b" of the last frames received are in ")
        }
        None => messages.write(b"the last frames received could not be written to "),
    };
    messages.write(path.as_bytes());
    messages.write(b"\n");
    STATE.store(WRITTEN, SeqCst);
}

/// Digits without allocation.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// A file descriptor that somebody else closes.
struct Descriptor(c_int);

impl Descriptor {
    /// Writes all; whether that worked.
    fn write(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            // SAFETY: the bytes are there; the kernel checks the descriptor.
            let written = unsafe { libc::write(self.0, bytes.as_ptr().cast(), bytes.len()) };
            match usize::try_from(written).ok().and_then(|written| bytes.get(written..)) {
                Some(rest) if rest.len() < bytes.len() => bytes = rest,
                _ => return false,
            }
        }
        true
    }

    /// Writes a classic capture of the last frames; how many there are.
    fn write_pcap(&self) -> Option<usize> {
        // Magic of microseconds, version 2.4, no time zone, longest record, Ethernet.
        let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1];
        let mut all_well = self.write(as_bytes(&header, &mut [0; 24]));
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a call that a handler may make; the structure is ours to fill.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
        let (seconds, micros) = (now.tv_sec as u32, (now.tv_nsec / 1_000) as u32);
        let mut count = 0;
        last_frames::for_each(|frame| {
            let len = frame.len() as u32;
            all_well = all_well
                && self.write(as_bytes(&[seconds, micros, len, len], &mut [0; 16]))
                && self.write(frame);
            count += 1;
        });
        all_well.then_some(count)
    }
}

/// Words as a file of this machine holds them.
fn as_bytes<'a, const BYTES: usize>(words: &[u32], bytes: &'a mut [u8; BYTES]) -> &'a [u8] {
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_digits() {
        for number in [0, 7, 10, 64, 4096, usize::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }

    #[test]
    fn only_so_many_old_captures_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let touch = |name: String| fs::write(directory.path().join(name), "").unwrap();
        (0..20).for_each(|n| touch(format!("a-00000000{n:02}-7.pcap")));
        for other in ["a-b-0000000001-7.pcap", "a-note.txt"] {
            touch(other.to_owned());
        }
        remove_old(directory.path(), "a").unwrap();
        let mut left: Vec<String> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left.len(), KEPT + 2);
        assert_eq!(left[0], "a-0000000005-7.pcap");
    }
}
