//! The relay and packets in fragments: tunnelled ones in two IPv6 fragments, to be put together
//! (F1), and IPv4 packets in two fragments to shared addresses, whose ports are learned (F2).

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use vnf::config;
use vnf::frame::{BURST, Burst, Frame, FramePool, TxBurst, TxQueue};
use vnf::lwaftr::{Relay, RelayParts, Snapshot};
use vnf::replay::MACS;
use vnf::side::Side;
use vnf::telemetry::WorkerCounters;
use vnf::wire::checksum::Sum;
use vnf::wire::{ipv4, ipv6};

use crate::buffer::BufferFrame;
use crate::lab::{frames, made_up};

const ETHERNET: usize = 14;

/// The size of the IPv4 packets, and how much of them the first fragment has.
const SIZE: usize = 1400;
const FIRST: usize = 808;

/// Buffers that nobody uses: what was sent comes back to them.
#[derive(Debug, Clone, Default)]
struct Spare(Rc<RefCell<Vec<BufferFrame>>>);

impl Spare {
    fn filled(&self, bytes: &[u8]) -> BufferFrame {
        let mut frame = self.0.borrow_mut().pop().unwrap_or_default();
        frame.fill(bytes);
        frame
    }
}

impl FramePool for Spare {
    type Frame = BufferFrame;

    fn frame(&mut self, len: usize) -> Option<BufferFrame> {
        let mut frame = self.filled(&[]);
        frame.grow_back(len).then_some(frame)
    }
}

impl TxQueue for Spare {
    type Frame = BufferFrame;

    fn transmit(&mut self, frames: &mut TxBurst<BufferFrame>) -> usize {
        let count = frames.len();
        self.0.borrow_mut().extend(frames.drain(..));
        count
    }
}

/// A relay, and fragments from one side to feed it.
#[allow(missing_debug_implementations)]
pub struct FragmentLab {
    relay: Relay<Spare>,
    snapshot: Snapshot,
    side: Side,
    traffic: Vec<Vec<u8>>,
    spare: Spare,
    next: usize,
    now: u64,
}

impl FragmentLab {
    /// With fragments from this side.
    #[must_use]
    pub fn new(side: Side) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        made_up(1_000, 1_024, directory.path());
        let path = directory.path().join("lwaftr.toml");
        let (config, writer) = config::load_with_table(&path).expect("a generated configuration");
        let spare = Spare::default();
        let relay = Relay::new(RelayParts {
            pool: spare.clone(),
            counters: Arc::<WorkerCounters>::default(),
            announces: false,
            worker: 0,
            workers: 1,
            runs_timers: false,
            seed: 0,
        });
        Self {
            relay,
            snapshot: Snapshot::new(config.settings(MACS[0], MACS[1]), Arc::clone(writer.table())),
            side,
            traffic: traffic(side, directory.path()),
            spare,
            next: 0,
            now: 0,
        }
    }

    /// Fills a burst with the next fragments.
    pub fn fill(&mut self, burst: &mut Burst<BufferFrame>) {
        for _ in 0..BURST {
            burst.push(self.spare.filled(&self.traffic[self.next]));
            self.next = (self.next + 1) % self.traffic.len();
        }
    }

    /// Sends a burst of fragments through the relay.
    ///
    /// # Panics
    /// When not all were forwarded: then something else was measured.
    pub fn relay(&mut self, burst: &mut Burst<BufferFrame>) {
        let leaving = match self.side {
            Side::External => burst.len(),
            Side::Internal => burst.len() / 2,
        };
        self.now += 1_000;
        self.relay.receive(self.side, &self.snapshot, self.now, burst);
        let sent = self.relay.send(self.side.other(), &mut self.spare);
        assert_eq!(sent.forwarded as usize, leaving, "some fragments were not forwarded");
    }
}

/// The generated traffic of a side, each packet cut in two.
fn traffic(side: Side, directory: &Path) -> Vec<Vec<u8>> {
    frames(&directory.join(format!("{}.pcap", side.name())))
        .iter()
        .enumerate()
        .flat_map(|(number, frame)| match side {
            Side::External => cut_ipv4(frame, number),
            Side::Internal => cut_ipv6(frame, number),
        })
        .collect()
}

/// The packet lengthened to [`SIZE`], with the given fragment field.
fn lengthened(packet: &[u8], len: usize, field: usize, number: usize) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    bytes.resize(len, 0x5a);
    bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    bytes[4..6].copy_from_slice(&(number as u16).to_be_bytes());
    bytes[6..8].copy_from_slice(&(field as u16).to_be_bytes());
    bytes[10..12].fill(0);
    let sum = Sum::default().bytes(&bytes[..ipv4::HEADER]).finish();
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// Two frames for a frame from the Internet: its packet lengthened and cut.
fn cut_ipv4(frame: &[u8], number: usize) -> [Vec<u8>; 2] {
    const MORE: usize = 0x2000;
    let (link, packet) = frame.split_at(ETHERNET);
    let packet = &packet[..ipv4::HEADER + 8];
    let first = lengthened(packet, ipv4::HEADER + FIRST, MORE, number);
    let last = lengthened(packet, SIZE - FIRST, FIRST / 8, number);
    [first, last].map(|piece| [link, &piece[..]].concat())
}

/// Two frames for a frame from a B4: its inner packet lengthened, the outer one cut.
fn cut_ipv6(frame: &[u8], number: usize) -> [Vec<u8>; 2] {
    let (head, inner) = frame.split_at(ETHERNET + ipv6::HEADER);
    let inner = lengthened(&inner[..ipv4::HEADER + 8], SIZE, 0, number);
    [(0, FIRST), (FIRST, SIZE)].map(|(start, end)| {
        let mut bytes = head.to_vec();
        let len = (ipv6::FRAGMENT_HEADER + end - start) as u16;
        bytes[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&len.to_be_bytes());
        bytes[ETHERNET + 6] = 44;
        let mut header = [0; ipv6::FRAGMENT_HEADER];
        ipv6::write_fragment_header(&mut header, 4, start, end < SIZE, number as u32);
        [&bytes[..], &header, &inner[start..end]].concat()
    })
}
