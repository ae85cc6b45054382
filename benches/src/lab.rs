//! The relay on plain memory, with generated softwires and traffic.

use std::path::Path;
use std::sync::Arc;

use vnf::config;
use vnf::frame::{BURST, Burst, FramePool, TxBurst, TxQueue};
use vnf::generate::{Network, Request, generate};
use vnf::lwaftr::{Relay, RelayParts, Snapshot};
use vnf::replay::{CaptureReader, MACS};
use vnf::side::Side;
use vnf::telemetry::WorkerCounters;
use vnf::wire::checksum::Sum;
use vnf::wire::{ethernet, ipv4, ipv6};

use crate::buffer::BufferFrame;

/// Where the inner packet of a B4's frame starts, and its ports.
const INNER: usize = ethernet::HEADER + ipv6::HEADER;
const PORTS: usize = INNER + ipv4::HEADER;

/// Makes no frames: forwarding needs none.
#[derive(Debug)]
pub struct NoPool;

impl FramePool for NoPool {
    type Frame = BufferFrame;

    fn frame(&mut self, _len: usize) -> Option<BufferFrame> {
        None
    }
}

/// Takes everything, and keeps the buffers for the next burst.
struct Sink<'a>(&'a mut Vec<BufferFrame>);

impl TxQueue for Sink<'_> {
    type Frame = BufferFrame;

    fn transmit(&mut self, frames: &mut TxBurst<BufferFrame>) -> usize {
        let count = frames.len();
        self.0.extend(frames.drain(..));
        count
    }
}

/// A relay, its snapshot, and frames to feed it.
#[allow(missing_debug_implementations)]
pub struct Lab {
    relay: Relay<NoPool>,
    counters: Arc<WorkerCounters>,
    snapshot: Snapshot,
    traffic: [Vec<Vec<u8>>; 2],
    next: [usize; 2],
    spare: Vec<BufferFrame>,
    hairpins: bool,
    now: u64,
}

impl Lab {
    /// With so many softwires, and flows of the smallest frames.
    #[must_use]
    pub fn new(softwires: u32, flows: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        made_up(softwires, flows, directory.path());
        let path = directory.path().join("lwaftr.toml");
        let (config, writer) = config::load_with_table(&path).expect("a generated configuration");
        let settings = config.settings(MACS[0], MACS[1]);
        let counters = Arc::<WorkerCounters>::default();
        let relay = Relay::new(RelayParts {
            pool: NoPool,
            counters: Arc::clone(&counters),
            worker: 0,
            workers: 1,
            runs_timers: false,
            announces: false,
            seed: 0,
        });
        Self {
            relay,
            counters,
            snapshot: Snapshot::new(settings, Arc::clone(writer.table())),
            traffic: ["external.pcap", "internal.pcap"]
                .map(|name| frames(&directory.path().join(name))),
            next: [0; 2],
            spare: (0..BURST).map(|_| BufferFrame::default()).collect(),
            hairpins: false,
            now: 0,
        }
    }

    /// The same in a VLAN on both sides.
    #[must_use]
    pub fn tagged(mut self, vlan: u16) -> Self {
        let mut settings = self.snapshot.settings.clone();
        settings.external.link.vlan = Some(vlan);
        settings.internal.link.vlan = Some(vlan);
        self.snapshot = Snapshot::new(settings, Arc::clone(&self.snapshot.table));
        let [high, low] = vlan.to_be_bytes();
        for frame in self.traffic.iter_mut().flatten() {
            frame.splice(12..12, [0x81, 0, high, low]);
        }
        self
    }

    /// Redirects what B4s send: each frame goes to the B4 whose frame comes next.
    #[must_use]
    pub fn hairpinned(mut self) -> Self {
        const SOURCE: usize = INNER + 12;
        const DESTINATION: usize = INNER + 16;
        let frames = &mut self.traffic[Side::Internal.index()];
        let ends: Vec<([u8; 4], [u8; 2])> = frames
            .iter()
            .map(|frame| {
                let address = frame[SOURCE..].first_chunk().expect("a whole frame");
                let port = frame[PORTS..].first_chunk().expect("a whole frame");
                (*address, *port)
            })
            .collect();
        for (frame, (address, port)) in frames.iter_mut().zip(ends.iter().cycle().skip(1)) {
            frame[DESTINATION..DESTINATION + 4].copy_from_slice(address);
            frame[PORTS + 2..PORTS + 4].copy_from_slice(port);
            frame[INNER + 10..INNER + 12].fill(0);
            let sum = Sum::default().bytes(&frame[INNER..PORTS]).finish();
            frame[INNER + 10..INNER + 12].copy_from_slice(&sum.to_be_bytes());
        }
        self.hairpins = true;
        self
    }

    /// Fills a burst with the next frames of one side.
    pub fn fill(&mut self, side: Side, burst: &mut Burst<BufferFrame>) {
        self.fill_to(side, BURST, burst);
    }

    /// Fills a burst with so many of them.
    pub fn fill_to(&mut self, side: Side, size: usize, burst: &mut Burst<BufferFrame>) {
        let (frames, next) = (&self.traffic[side.index()], &mut self.next[side.index()]);
        let rest = self.spare.len().saturating_sub(size);
        for mut frame in self.spare.drain(rest..) {
            frame.fill(&frames[*next]);
            *next = (*next + 1) % frames.len();
            burst.push(frame);
        }
    }

    /// Takes a burst's buffers back, without the relay.
    pub fn put_back(&mut self, burst: &mut Burst<BufferFrame>) {
        self.spare.extend(burst.drain(..));
    }

    /// Sends a burst from one side through the relay.
    ///
    /// # Panics
    /// When not all frames were forwarded: then something else was measured.
    pub fn relay(&mut self, side: Side, burst: &mut Burst<BufferFrame>) {
        let frames = burst.len() as u64;
        self.now += 1_000;
        self.relay.receive(side, &self.snapshot, self.now, burst);
        let to = if self.hairpins { side } else { side.other() };
        let sent = self.relay.send(to, &mut Sink(&mut self.spare));
        assert_eq!(sent.forwarded + sent.hairpinned, frames, "some frames were not forwarded");
    }

    /// What the relay counted.
    #[must_use]
    pub fn counters(&self) -> &WorkerCounters {
        &self.counters
    }
}

/// Writes a configuration, its table and traffic into a directory.
///
/// # Panics
/// When that cannot be written.
pub fn made_up(softwires: u32, flows: u32, directory: &Path) {
    let network = Network::new(softwires, 0, 6, false).expect("a network of shared addresses");
    let sizes = "64".parse().expect("a frame size");
    let request = Request { network, sizes, flows, seed: 0 };
    generate(&request, directory).expect("room in the temporary directory");
}

/// The frames of a capture.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = CaptureReader::open(path).expect("a generated capture");
    let mut frames = Vec::new();
    while let Some(record) = reader.next_record().expect("a whole capture") {
        frames.push(record.frame);
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use vnf::frame::Frame as _;

    #[test]
    fn what_goes_in_comes_out() {
        let mut lab = Lab::new(100, 100);
        let mut burst = Burst::new();
        for side in Side::BOTH {
            for _ in 0..3 {
                lab.fill(side, &mut burst);
                assert_eq!(burst.len(), BURST);
                assert!(burst.iter().all(|frame| frame.bytes().len() >= 60));
                lab.relay(side, &mut burst);
            }
            assert_eq!(lab.counters().of(side).forwarded.get(), 3 * BURST as u64);
        }
        lab.fill_to(Side::External, 5, &mut burst);
        assert_eq!(burst.len(), 5);
    }

    #[test]
    fn tagged_frames_come_out_tagged() {
        let mut lab = Lab::new(100, 100).tagged(7);
        let mut burst = Burst::new();
        for side in Side::BOTH {
            lab.fill(side, &mut burst);
            lab.relay(side, &mut burst);
            assert!(lab.spare.iter().all(|frame| frame.bytes()[12..16] == [0x81, 0, 0, 7]));
        }
    }

    #[test]
    fn b4s_meet_each_other() {
        let mut lab = Lab::new(100, 100).hairpinned();
        let mut burst = Burst::new();
        lab.fill(Side::Internal, &mut burst);
        lab.relay(Side::Internal, &mut burst);
        assert_eq!(lab.counters().of(Side::Internal).hairpinned.get(), BURST as u64);
    }
}
