//! DPDK's own log, which would go to standard output and syslog: each line becomes a warning of
//! ours, and the last few are kept for the error message of the call that failed.

use std::{
    collections::VecDeque,
    ffi::{c_char, c_void},
    ptr,
    sync::{Mutex, PoisonError},
};

/// Lines kept.
const KEPT: usize = 4;

static RECENT: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Takes over DPDK's log. To be called before EAL starts.
pub(super) fn take_over() {
    let functions = dpdk_sys::cookie_io_functions_t {
        write: Some(write),
        ..dpdk_sys::cookie_io_functions_t::default()
    };
    // SAFETY: the mode is a C string; the functions are copied; the stream is never closed, so
    // DPDK may use it until the process ends.
    unsafe {
        let stream = dpdk_sys::fopencookie(ptr::null_mut(), c"w".as_ptr(), functions);
        if !stream.is_null() {
            dpdk_sys::setvbuf(stream, ptr::null_mut(), libc::_IOLBF, 0);
            dpdk_sys::rte_openlog_stream(stream);
        }
    }
}

/// Forgets earlier lines, before a call whose failure they would not explain.
pub(super) fn forget() {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// The lines logged since [`forget`], oldest first; the last few of them.
pub(super) fn recent() -> Vec<String> {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

unsafe extern "C" fn write(_cookie: *mut c_void, text: *const c_char, len: usize) -> i64 {
    // SAFETY: the C library calls this with `len` bytes at `text`.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    for line in String::from_utf8_lossy(bytes).lines().map(str::trim).filter(|l| !l.is_empty()) {
        tracing::warn!(target: "dpdk", "{line}");
        let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(line.to_owned());
    }
    len as i64
}
