//! The few things the relay needs of the memory a packet lives in and of the queues it comes from
//! and goes to. Two bodies each: DPDK's mbufs and queues (`crate::dpdk`), and plain memory
//! ([`HeapFrame`], used by replay and by tests). Everything above this module is generic over it,
//! so that offline replay, benchmarks and production run the same code.

pub mod device;
mod heap;
pub mod nic;
pub mod plan;
mod roomy;

pub use heap::{HeapFrame, HeapPool};
pub use roomy::RoomyFrame;

use arrayvec::ArrayVec;

/// Frames received at once.
pub const BURST: usize = 64;

/// The largest batch that the stages of the fast path work on: half a burst, so that its packets,
/// keys and entries stay in the first-level cache from one stage to the next.
pub const BATCH: usize = 32;

/// Frames that may wait for one transmit call: what one burst forwards, in as many pieces as a
/// burst of the largest frames is cut into, and the answers and errors it gives rise to.
pub const TX_BURST: usize = 640;

/// A batch of received frames.
pub type Burst<F> = ArrayVec<F, BURST>;

/// A batch of frames to send, in order.
pub type TxBurst<F> = ArrayVec<F, TX_BURST>;

/// An Ethernet frame in memory, without FCS: contiguous bytes that can grow and shrink at both
/// ends. Dropping it gives the memory back.
pub trait Frame: Sized {
    /// The frame's bytes, from the destination MAC on.
    fn bytes(&self) -> &[u8];

    /// The same bytes, to write.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Adds `n` bytes in front, their content unspecified. False, and nothing changed, when there
    /// is no room.
    #[must_use]
    fn grow_front(&mut self, n: usize) -> bool;

    /// Takes `n` bytes away in front; at most all there are.
    fn shrink_front(&mut self, n: usize);

    /// Adds `n` bytes at the end, their content unspecified. False, and nothing changed, when
    /// there is no room.
    #[must_use]
    fn grow_back(&mut self, n: usize) -> bool;

    /// Cuts the frame to its first `len` bytes; longer than it is changes nothing.
    fn truncate(&mut self, len: usize);

    /// Makes the frame consist of `front` bytes of unspecified content and the `len` bytes that
    /// start at `start`. False, and the frame perhaps cut behind those bytes, when there is no room
    /// in front or no such bytes.
    #[must_use]
    fn reframe(&mut self, front: usize, start: usize, len: usize) -> bool {
        if start + len > self.bytes().len() {
            return false;
        }
        self.truncate(start + len);
        if let Some(more) = front.checked_sub(start) {
            self.grow_front(more)
        } else {
            self.shrink_front(start - front);
            true
        }
    }

    /// The port has verified the checksum of the IPv4 header that follows the Ethernet header.
    fn ipv4_checksum_verified(&self) -> bool {
        false
    }

    /// Asks the CPU to fetch the frame's bookkeeping (an mbuf's first line).
    fn prefetch_header(&self) {}

    /// Asks the CPU to fetch the frame's first bytes; reads the bookkeeping.
    fn prefetch_bytes(&self) {}
}

/// Where new frames come from (ICMP errors, ARP requests).
pub trait FramePool {
    /// The kind of frame it makes.
    type Frame: Frame;

    /// A frame of `len` bytes, their content unspecified, with room in front for the largest
    /// header the relay adds; `None` when the pool is empty or `len` does not fit a buffer.
    fn frame(&mut self, len: usize) -> Option<Self::Frame>;
}

/// One receive queue, owned by one worker.
pub trait RxQueue {
    /// The kind of frame it yields.
    type Frame: Frame;

    /// Appends what has arrived, up to the burst's capacity. Every frame is contiguous.
    fn receive(&mut self, burst: &mut Burst<Self::Frame>);

    /// Frames that arrived but could not be made contiguous since the last call (jumbo frames in
    /// several pieces when no large buffer was free), as (packets, bytes). They count as received.
    fn take_unreadable(&mut self) -> (u64, u64) {
        (0, 0)
    }
}

/// One transmit queue, owned by one worker.
pub trait TxQueue {
    /// The kind of frame it takes.
    type Frame: Frame;

    /// Bytes that a frame may have, where the port would not refuse a longer one.
    fn longest(&self) -> Option<u16> {
        None
    }

    /// Sends frames from the front of `frames`, in order, and returns how many the port accepted;
    /// those are gone from `frames`, the others remain in it.
    fn transmit(&mut self, frames: &mut TxBurst<Self::Frame>) -> usize;
}
