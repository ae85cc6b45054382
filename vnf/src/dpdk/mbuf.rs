//! One packet buffer, owned. Its fields are read and written here in Rust: a call into C for each
//! would cost more than a nanosecond per packet.

use std::{
    arch::x86_64::{_MM_HINT_T0, _mm_prefetch},
    fmt,
    ptr::NonNull,
    slice,
};

use dpdk_sys::rte_mbuf;

use super::poison;
use crate::frame::{Frame, TxBurst};

/// A packet buffer of one segment that nobody else holds. Dropping it returns it to its pool.
///
/// It has one owner:
///
/// ```
/// fn pass(mbuf: vnf::dpdk::Mbuf) -> vnf::dpdk::Mbuf {
///     mbuf
/// }
/// ```
///
/// ```compile_fail,E0599
/// fn pass(mbuf: vnf::dpdk::Mbuf) -> vnf::dpdk::Mbuf {
///     mbuf.clone()
/// }
/// ```
///
/// It is gone once it is handed over for sending:
///
/// ```
/// # use vnf::{dpdk::{Mbuf, TxQueue}, frame::{Frame, TxBurst, TxQueue as _}};
/// fn send(queue: &mut TxQueue, mbuf: Mbuf) -> usize {
///     let len = mbuf.bytes().len();
///     let mut frames = TxBurst::from_iter([mbuf]);
///     queue.transmit(&mut frames);
///     len
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use vnf::{dpdk::{Mbuf, TxQueue}, frame::{Frame, TxBurst, TxQueue as _}};
/// fn send(queue: &mut TxQueue, mbuf: Mbuf) -> usize {
///     let mut frames = TxBurst::from_iter([mbuf]);
///     queue.transmit(&mut frames);
///     mbuf.bytes().len()
/// }
/// ```
#[repr(transparent)]
pub struct Mbuf {
    raw: NonNull<rte_mbuf>,
}

// SAFETY: an mbuf may be used and freed by any thread; a thread DPDK does not know merely bypasses
// the pool's per-core cache.
unsafe impl Send for Mbuf {}
// SAFETY: a shared reference only reads.
unsafe impl Sync for Mbuf {}

impl Mbuf {
    /// Takes ownership.
    ///
    /// # Safety
    ///
    /// `raw` is a valid mbuf of one segment, with a reference count of one, and the caller gives
    /// it up.
    pub(super) unsafe fn own(raw: NonNull<rte_mbuf>) -> Self {
        // SAFETY: it is ours alone.
        unsafe { poison::on_take(raw.as_ptr()) };
        Self { raw }
    }

    /// Sets the length of a frame that was just allocated. `len` must fit the buffer.
    pub(super) fn set_len(&mut self, len: u16) {
        debug_assert!(len <= self.tailroom() + self.len());
        // SAFETY: the mbuf is ours.
        unsafe {
            let mbuf = self.raw.as_ptr();
            (*mbuf).data_len = len;
            (*mbuf).pkt_len = u32::from(len);
        }
    }

    /// Drops many at once, which costs a pool less than one at a time.
    pub fn free_all(frames: &mut TxBurst<Self>) {
        let count = frames.len();
        // SAFETY: Mbuf is a transparent pointer, so `frames` is an array of `count` pointers to
        // mbufs that are ours and valid. The length is zero before DPDK takes them, so nothing
        // frees them again.
        unsafe {
            frames.set_len(0);
            let first = frames.as_mut_ptr().cast::<*mut rte_mbuf>();
            for &mbuf in slice::from_raw_parts(first, count) {
                poison::on_free(mbuf);
            }
            dpdk_sys::rte_pktmbuf_free_bulk(first, count as u32);
        }
    }

    #[cfg(test)]
    pub(super) fn raw(&self) -> *mut rte_mbuf {
        self.raw.as_ptr()
    }

    fn len(&self) -> u16 {
        // SAFETY: the mbuf is ours, and its bookkeeping is initialised.
        unsafe { (*self.raw.as_ptr()).data_len }
    }

    fn headroom(&self) -> u16 {
        // SAFETY: as above.
        unsafe { (*self.raw.as_ptr()).data_off }
    }

    fn tailroom(&self) -> u16 {
        // SAFETY: as above.
        let size = unsafe { (*self.raw.as_ptr()).buf_len };
        size.saturating_sub(self.headroom()).saturating_sub(self.len())
    }

    fn start(&self) -> *mut u8 {
        // SAFETY: `data_off` lies within the buffer.
        unsafe {
            let mbuf = self.raw.as_ptr();
            (*mbuf).buf_addr.cast::<u8>().add(usize::from((*mbuf).data_off))
        }
    }

    /// Moves the first byte, and the lengths with it. Both ends lie within the buffer.
    fn set_start(&mut self, headroom: u16, len: u16) {
        // SAFETY: the mbuf is ours.
        unsafe {
            let mbuf = self.raw.as_ptr();
            (*mbuf).data_off = headroom;
            (*mbuf).data_len = len;
            (*mbuf).pkt_len = u32::from(len);
        }
    }
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: the mbuf is ours and nobody uses it after this.
        unsafe {
            poison::on_free(self.raw.as_ptr());
            dpdk_sys::rte_pktmbuf_free(self.raw.as_ptr());
        }
    }
}

impl Frame for Mbuf {
    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `data_len` bytes at `start` are within the buffer, initialised by a driver or
        // at the pool's creation, and borrowed from us for as long as the slice lives.
        unsafe { slice::from_raw_parts(self.start(), usize::from(self.len())) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and a reference count of one makes the bytes ours alone.
        unsafe { slice::from_raw_parts_mut(self.start(), usize::from(self.len())) }
    }

    #[inline]
    fn grow_front(&mut self, n: usize) -> bool {
        let Ok(n) = u16::try_from(n) else { return false };
        match (self.headroom().checked_sub(n), self.len().checked_add(n)) {
            (Some(headroom), Some(len)) => {
                self.set_start(headroom, len);
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn shrink_front(&mut self, n: usize) {
        let n = u16::try_from(n).unwrap_or(u16::MAX).min(self.len());
        self.set_start(self.headroom() + n, self.len() - n);
    }

    #[inline]
    fn grow_back(&mut self, n: usize) -> bool {
        match u16::try_from(n) {
            Ok(n) if n <= self.tailroom() => {
                self.set_len(self.len() + n);
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        if let Ok(len) = u16::try_from(len)
            && len < self.len()
        {
            self.set_len(len);
        }
    }

    #[inline]
    fn reframe(&mut self, front: usize, start: usize, len: usize) -> bool {
        // The new first byte, counted from the buffer's start.
        let first = (usize::from(self.headroom()) + start).checked_sub(front);
        let (Some(first), true) = (first, start + len <= usize::from(self.len())) else {
            return false;
        };
        // Both are at most the end of the bytes there were, which a u16 counts.
        self.set_start(first as u16, (front + len) as u16);
        true
    }

    #[inline]
    fn ipv4_checksum_verified(&self) -> bool {
        // Of a tunnelled packet, which the port may know as one, the first flag is the inner
        // header's, and the other the outer one's.
        const FLAGS: u64 = (dpdk_sys::RTE_MBUF_F_RX_IP_CKSUM_MASK
            | dpdk_sys::RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD) as u64;
        // SAFETY: the mbuf is ours, and its bookkeeping is initialised.
        let flags = unsafe { (*self.raw.as_ptr()).ol_flags };
        flags & FLAGS == u64::from(dpdk_sys::RTE_MBUF_F_RX_IP_CKSUM_GOOD)
    }

    #[inline]
    fn prefetch_header(&self) {
        // SAFETY: a hint, valid for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(self.raw.as_ptr().cast()) };
    }

    #[inline]
    fn prefetch_bytes(&self) {
        // SAFETY: a hint, valid for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(self.start().cast()) };
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mbuf")
            .field("len", &self.len())
            .field("headroom", &self.headroom())
            .finish()
    }
}
