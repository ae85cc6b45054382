//! Pools of packet buffers.

use std::{
    ffi::CString,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dpdk_sys::{rte_mbuf, rte_mempool};

use super::{
    eal::Eal,
    error::{Cause, DpdkError},
    log,
    mbuf::Mbuf,
    poison,
};
use crate::frame::{
    Burst, FramePool,
    plan::{LARGE_CACHE, LARGE_ROOM, PoolPlan, SMALL_CACHE, SMALL_ROOM},
};

/// A pool of buffers of one size.
#[derive(Debug)]
pub struct Mempool {
    raw: NonNull<rte_mempool>,
    capacity: u32,
    room: u16,
    /// A driver that used it does not give its buffers back when its port is closed.
    kept: AtomicBool,
    eal: Eal,
}

// SAFETY: DPDK's pools may be used by any thread: they are created for several producers and
// several consumers, and the per-core caches are indexed by the calling thread.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// A pool of `count` buffers with `room` bytes for a frame behind the headroom, on the given
    /// NUMA node or any. `name` is unique in this process. Each core keeps up to `cache` of them.
    ///
    /// # Errors
    ///
    /// When there is no memory for it, or the name is taken.
    pub fn new(
        eal: &Eal,
        name: &str,
        count: u32,
        cache: u32,
        room: u16,
        numa: Option<u32>,
    ) -> Result<Arc<Self>, DpdkError> {
        let c_name = CString::new(name).map_err(|_| DpdkError::Nul { text: name.to_owned() })?;
        let socket = numa.and_then(|node| i32::try_from(node).ok());
        log::forget();
        // SAFETY: EAL runs, the name is a C string, and DPDK checks the numbers.
        let raw = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create(
                c_name.as_ptr(),
                count,
                cache.min(count / 2),
                0,
                room + dpdk_sys::RTE_PKTMBUF_HEADROOM as u16,
                socket.unwrap_or(dpdk_sys::SOCKET_ID_ANY),
            )
        };
        match NonNull::new(raw) {
            Some(raw) => Ok(Arc::new(Self {
                raw,
                capacity: count,
                room,
                kept: AtomicBool::new(false),
                eal: eal.clone(),
            })),
            None => {
                let cause = Cause::thread();
                Err(DpdkError::Pool { name: name.to_owned(), count, room, cause })
            }
        }
    }

    /// A buffer with `len` bytes of unspecified content and the usual room in front; `None` when
    /// the pool is empty or the buffers are too small.
    #[must_use]
    pub fn frame(&self, len: usize) -> Option<Mbuf> {
        let len = u16::try_from(len).ok().filter(|&len| len <= self.room)?;
        // SAFETY: the pool exists as long as `self`.
        let raw = NonNull::new(unsafe { dpdk_sys::rte_pktmbuf_alloc(self.raw.as_ptr()) })?;
        // SAFETY: a fresh mbuf: one segment, one reference, ours.
        let mut mbuf = unsafe { Mbuf::own(raw) };
        mbuf.set_len(len);
        Some(mbuf)
    }

    /// Fills the burst up with empty frames, at most `count` of them: all or, when the pool has
    /// not as many, none. Returns how many came.
    pub fn frames(&self, burst: &mut Burst<Mbuf>, count: usize) -> usize {
        let held = burst.len();
        let count = count.min(burst.remaining_capacity());
        // SAFETY: the pool exists as long as `self`. Mbuf is a transparent pointer, so the spare
        // capacity is an array of at least `count` pointers for DPDK to fill; it fills all, with
        // fresh mbufs of one segment and one reference that are ours, or none.
        unsafe {
            let spare = burst.as_mut_ptr().add(held).cast::<*mut rte_mbuf>();
            if dpdk_sys::rte_pktmbuf_alloc_bulk(self.raw.as_ptr(), spare, count as u32) != 0 {
                return 0;
            }
            for &mbuf in std::slice::from_raw_parts(spare, count) {
                poison::on_take(mbuf);
            }
            burst.set_len(held + count);
        }
        count
    }

    /// Buffers there are.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Buffers free, those in cores' caches included. Exact only while nothing moves.
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: the pool exists as long as `self`; DPDK only reads counters.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.raw.as_ptr()) }
    }

    /// Buffers that frames, rings and drivers hold.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.capacity.saturating_sub(self.available())
    }

    /// Bytes a frame may have.
    #[must_use]
    pub fn room(&self) -> u16 {
        self.room
    }

    /// A driver is known not to return its buffers when its port is closed.
    pub(super) fn expect_kept(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    pub(super) fn as_ptr(&self) -> *mut rte_mempool {
        self.raw.as_ptr()
    }
}

impl Drop for Mempool {
    fn drop(&mut self) {
        let missing = self.in_use();
        if missing == 0 {
            // SAFETY: every buffer is back and no handle is left, so nobody can use the pool.
            unsafe { dpdk_sys::rte_mempool_free(self.raw.as_ptr()) };
            return;
        }
        // A buffer in somebody's hands still points into the pool: the memory must stay, and DPDK
        // with it.
        std::mem::forget(self.eal.clone());
        if !self.kept.load(Ordering::Relaxed) {
            tracing::error!(missing, "packet buffers are missing from their pool: it is not freed");
            debug_assert!(
                std::thread::panicking(),
                "{missing} buffers are missing from their pool"
            );
        }
    }
}

/// The two pools of an instance: what ports receive into, and what jumbo frames are copied to.
#[derive(Debug, Clone)]
pub struct Pools {
    /// Ordinary buffers.
    pub small: Arc<Mempool>,
    /// Large buffers.
    pub large: Arc<Mempool>,
}

impl Pools {
    /// Pools of the planned sizes. `name` is unique in this process.
    ///
    /// # Errors
    ///
    /// When there is no memory for them.
    pub fn new(
        eal: &Eal,
        name: &str,
        plan: &PoolPlan,
        numa: Option<u32>,
    ) -> Result<Self, DpdkError> {
        let pool = |kind: &str, count, cache, room| {
            Mempool::new(eal, &format!("{name}-{kind}"), count, cache, room, numa)
        };
        Ok(Self {
            small: pool("small", plan.small, SMALL_CACHE, SMALL_ROOM)?,
            large: pool("large", plan.large, LARGE_CACHE, LARGE_ROOM)?,
        })
    }

    /// Where a worker gets new frames from.
    #[must_use]
    pub fn for_worker(&self) -> DpdkPool {
        DpdkPool { pools: self.clone() }
    }
}

/// One worker's source of new frames.
#[derive(Debug)]
pub struct DpdkPool {
    pools: Pools,
}

impl FramePool for DpdkPool {
    type Frame = Mbuf;

    fn frame(&mut self, len: usize) -> Option<Mbuf> {
        let pool =
            if len <= usize::from(SMALL_ROOM) { &self.pools.small } else { &self.pools.large };
        pool.frame(len)
    }
}
