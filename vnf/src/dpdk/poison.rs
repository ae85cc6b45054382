//! Debug builds overwrite a freed buffer and mark it, so that a second free and a read of stale
//! bytes show. The mark lies in the headroom, where only we write; it is taken away when the
//! buffer comes back to us.

use std::slice;

use dpdk_sys::rte_mbuf;

const MARK: u64 = 0xdead_f4ee_dead_f4ee;
const PATTERN: u8 = 0xdb;
const FOREIGN: u64 = dpdk_sys::RTE_MBUF_F_INDIRECT | dpdk_sys::RTE_MBUF_F_EXTERNAL;

/// To be called before an mbuf is freed.
///
/// # Safety
///
/// `mbuf` is a valid mbuf that nobody else uses.
#[inline]
pub(super) unsafe fn on_free(mbuf: *mut rte_mbuf) {
    if cfg!(debug_assertions) {
        // SAFETY: the caller's promise.
        if let Some(buffer) = unsafe { own_buffer(mbuf) } {
            assert!(
                buffer.get(..8) != Some(&MARK.to_ne_bytes()[..]),
                "mbuf {mbuf:p} is freed twice"
            );
            buffer.fill(PATTERN);
            if let Some(mark) = buffer.get_mut(..8) {
                mark.copy_from_slice(&MARK.to_ne_bytes());
            }
        }
    }
}

/// To be called when an mbuf has become ours.
///
/// # Safety
///
/// `mbuf` is a valid mbuf that nobody else uses.
#[inline]
pub(super) unsafe fn on_take(mbuf: *mut rte_mbuf) {
    if cfg!(debug_assertions) {
        // SAFETY: the caller's promise.
        if let Some(mark) = unsafe { own_buffer(mbuf) }.and_then(|buffer| buffer.get_mut(..8)) {
            mark.fill(0);
        }
    }
}

/// Has this mbuf been freed, and its bytes are not what they were? Only reads, whoever has it.
///
/// # Safety
///
/// `mbuf` is an mbuf of a pool that exists.
pub(super) unsafe fn is_freed(mbuf: *const rte_mbuf) -> bool {
    // SAFETY: the caller's promise; a buffer has room for the mark.
    cfg!(debug_assertions) && unsafe { (*mbuf).buf_addr.cast::<u64>().read_unaligned() == MARK }
}

/// The whole buffer, unless it belongs to another mbuf or to a driver, or another mbuf refers to it.
unsafe fn own_buffer<'a>(mbuf: *mut rte_mbuf) -> Option<&'a mut [u8]> {
    // SAFETY: `mbuf` is valid by the caller's promise; an mbuf that is neither indirect nor
    // external owns `buf_len` bytes at `buf_addr`, and a count of one says that nobody else does.
    unsafe {
        let alone = (*mbuf).ol_flags & FOREIGN == 0 && (*mbuf).refcnt == 1;
        alone.then(|| {
            slice::from_raw_parts_mut((*mbuf).buf_addr.cast::<u8>(), usize::from((*mbuf).buf_len))
        })
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    fn mbuf(buffer: &mut [u8]) -> rte_mbuf {
        rte_mbuf {
            buf_addr: buffer.as_mut_ptr().cast(),
            buf_len: buffer.len() as u16,
            refcnt: 1,
            ..rte_mbuf::default()
        }
    }

    #[test]
    fn freed_bytes_are_overwritten() {
        let mut buffer = [1; 64];
        let mut mbuf = mbuf(&mut buffer);
        // SAFETY: a valid mbuf of our own.
        unsafe { on_free(&raw mut mbuf) };
        assert!(buffer[8..].iter().all(|&b| b == PATTERN));
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn a_second_free_is_caught() {
        let mut buffer = [1; 64];
        let mut mbuf = mbuf(&mut buffer);
        // SAFETY: a valid mbuf of our own; nothing is really freed.
        unsafe {
            on_free(&raw mut mbuf);
            on_free(&raw mut mbuf);
        }
    }

    #[test]
    fn a_buffer_that_came_back_may_be_freed_again() {
        let mut buffer = [1; 64];
        let mut mbuf = mbuf(&mut buffer);
        // SAFETY: a valid mbuf of our own; nothing is really freed.
        unsafe {
            on_free(&raw mut mbuf);
            on_take(&raw mut mbuf);
            on_free(&raw mut mbuf);
        }
    }

    #[test]
    fn a_buffer_others_refer_to_is_left_alone() {
        let mut buffer = [1; 64];
        let mut shared = rte_mbuf { refcnt: 2, ..mbuf(&mut buffer) };
        let mut indirect =
            rte_mbuf { ol_flags: dpdk_sys::RTE_MBUF_F_INDIRECT, ..mbuf(&mut buffer) };
        // SAFETY: valid mbufs of our own.
        unsafe {
            on_free(&raw mut shared);
            on_free(&raw mut indirect);
        }
        assert_eq!(buffer, [1; 64]);
    }
}
