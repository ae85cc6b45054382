//! A port in memory: a receive queue that makes frames, a transmit queue that frees them.

use std::sync::Arc;

use super::traffic::Traffic;
use crate::dpdk::{Mbuf, Mempool};
use crate::frame::{BURST, Burst, Frame as _, RxQueue, TxBurst, TxQueue};
use crate::worker::Progress;

/// Serves a slice of so many frames, each copied into a fresh mbuf as a NIC's DMA would do, then
/// tells the worker to stop.
#[derive(Debug)]
pub(super) struct Source {
    pool: Arc<Mempool>,
    traffic: Arc<Traffic>,
    next: usize,
    left: u64,
    /// Frames for which no buffer was free.
    missed: u64,
    progress: Arc<Progress>,
}

impl Source {
    /// Without frames to serve it stays silent.
    pub(super) fn new(pool: Arc<Mempool>, traffic: Arc<Traffic>) -> Self {
        Self { pool, traffic, next: 0, left: 0, missed: 0, progress: Arc::default() }
    }

    /// Begins a slice, at whose end `progress` is told.
    pub(super) fn begin(&mut self, frames: u64, progress: &Arc<Progress>) {
        self.left = if self.traffic.len() == 0 { 0 } else { frames };
        self.progress = Arc::clone(progress);
    }

    /// Whether the slice has more to serve.
    pub(super) fn has_more(&self) -> bool {
        self.left > 0
    }

    /// Frames for which no buffer was free, ever.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }
}

impl RxQueue for Source {
    type Frame = Mbuf;

    #[inline]
    fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        let wanted = self.left.min(BURST as u64) as usize;
        if wanted == 0 {
            return;
        }
        let held = burst.len();
        let got = self.pool.frames(burst, wanted);
        for mbuf in &mut burst[held..] {
            let frame = self.traffic.frame(self.next);
            self.next = if self.next + 1 == self.traffic.len() { 0 } else { self.next + 1 };
            if mbuf.grow_back(frame.len()) {
                mbuf.bytes_mut().copy_from_slice(frame);
            }
        }
        self.missed += (wanted - got) as u64;
        self.left -= wanted as u64;
        if self.left == 0 {
            self.progress.stop();
        }
    }
}

/// Accepts everything and frees it.
#[derive(Debug, Default)]
pub(super) struct Sink;

impl TxQueue for Sink {
    type Frame = Mbuf;

    #[inline]
    fn transmit(&mut self, frames: &mut TxBurst<Mbuf>) -> usize {
        let accepted = frames.len();
        Mbuf::free_all(frames);
        accepted
    }
}
