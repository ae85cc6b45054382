//! A port in memory: a receive queue that makes frames, a transmit queue that frees them.

use std::ops::Add;
use std::sync::Arc;

use super::traffic::{FLOOD, Reel, Traffic};
use crate::dpdk::{Mbuf, Mempool};
use crate::frame::{BURST, Burst, Frame as _, RxQueue, TxBurst, TxQueue};
use crate::worker::Progress;

/// Serves a slice of so many frames, each copied into a fresh mbuf as a NIC's DMA would do, then
/// tells the worker to stop.
///
/// In a flood, one frame of ten is legitimate. A side that such a flood does not come from serves
/// one burst of ten, so that its legitimate frames keep pace with the other side's.
#[derive(Debug)]
pub(super) struct Source {
    pool: Arc<Mempool>,
    legitimate: Reel,
    flood: Option<Reel>,
    /// Frames of a flood since the last legitimate one, or silent bursts.
    turn: u32,
    left: u64,
    served: Served,
    /// Frames for which no buffer was free.
    missed: u64,
    progress: Arc<Progress>,
}

/// Frames that were served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) legitimate: u64,
    pub(super) flood: u64,
}

impl Add for Served {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { legitimate: self.legitimate + other.legitimate, flood: self.flood + other.flood }
    }
}

impl Source {
    /// Without frames to serve it stays silent.
    pub(super) fn new(pool: Arc<Mempool>, traffic: Traffic) -> Self {
        Self {
            pool,
            legitimate: Reel::new(traffic),
            flood: None,
            turn: 0,
            left: 0,
            served: Served::default(),
            missed: 0,
            progress: Arc::default(),
        }
    }

    /// From now on there is a flood, of these frames on this side.
    pub(super) fn flood(&mut self, frames: Traffic) {
        self.flood = Some(Reel::new(frames));
    }

    /// Begins a slice, at whose end `progress` is told.
    pub(super) fn begin(&mut self, frames: u64, progress: &Arc<Progress>) {
        self.left = if self.legitimate.is_empty() { 0 } else { frames };
        self.served = Served::default();
        self.progress = Arc::clone(progress);
    }

    /// Whether the slice has more to serve.
    pub(super) fn has_more(&self) -> bool {
        self.left > 0
    }

    /// What the present slice has served.
    pub(super) fn served(&self) -> Served {
        self.served
    }

    /// Frames for which no buffer was free, ever.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    /// Is it a flood's turn, rather than that of legitimate traffic?
    #[inline]
    fn is_floods_turn(&mut self) -> bool {
        self.turn = if self.turn == FLOOD { 0 } else { self.turn + 1 };
        self.turn != 0
    }

    fn serve(&mut self, burst: &mut Burst<Mbuf>, wanted: usize) {
        let held = burst.len();
        let got = self.pool.frames(burst, wanted);
        let floods = self.flood.as_ref().is_some_and(|flood| !flood.is_empty());
        for mbuf in &mut burst[held..] {
            let is_flood = floods && self.is_floods_turn();
            let frame = match &mut self.flood {
                Some(flood) if is_flood => {
                    self.served.flood += 1;
                    flood.next()
                }
                _ => {
                    self.served.legitimate += 1;
                    self.legitimate.next()
                }
            };
            if mbuf.grow_back(frame.len()) {
                mbuf.bytes_mut().copy_from_slice(frame);
            }
        }
        self.missed += (wanted - got) as u64;
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
        let elsewhere = self.flood.as_ref().is_some_and(Reel::is_empty);
        if !elsewhere || !self.is_floods_turn() {
            self.serve(burst, wanted);
        }
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
