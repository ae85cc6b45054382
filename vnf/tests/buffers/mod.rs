//! Frames in buffers with room in front, like mbufs: they grow and shrink in place, so that what
//! allocates or panics is the relay and not its memory. And a relay with softwires on such frames.

use std::sync::Arc;

use vnf::config;
use vnf::frame::{BURST, Burst, Frame, FramePool, TxBurst, TxQueue};
use vnf::lwaftr::{Relay, RelayParts, Snapshot};
use vnf::side::Side;
use vnf::telemetry::{InterfaceTotals, WorkerCounters};
use vnf::wire::MacAddr;

/// Bytes in front of a fresh frame.
const HEADROOM: usize = 128;

/// Bytes of a buffer.
const SIZE: usize = HEADROOM + 2048;

/// A frame in a buffer of its own.
#[derive(Debug)]
pub(crate) struct BufferFrame {
    buffer: Box<[u8; SIZE]>,
    start: usize,
    end: usize,
}

impl BufferFrame {
    /// A frame without bytes.
    pub(crate) fn new() -> Self {
        Self { buffer: Box::new([0; SIZE]), start: HEADROOM, end: HEADROOM }
    }

    /// Makes it a fresh frame with these bytes.
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        (self.start, self.end) = (HEADROOM, HEADROOM + bytes.len());
        self.buffer[self.start..self.end].copy_from_slice(bytes);
    }
}

impl Frame for BufferFrame {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }

    #[inline]
    fn grow_front(&mut self, n: usize) -> bool {
        self.start.checked_sub(n).map(|start| self.start = start).is_some()
    }

    #[inline]
    fn shrink_front(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
    }

    #[inline]
    fn grow_back(&mut self, n: usize) -> bool {
        let fits = n <= SIZE.saturating_sub(self.end);
        self.end += if fits { n } else { 0 };
        fits
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
    }
}

/// Hands out frames that were made before.
#[derive(Debug)]
pub(crate) struct Stock(Vec<BufferFrame>);

impl FramePool for Stock {
    type Frame = BufferFrame;

    #[inline]
    fn frame(&mut self, len: usize) -> Option<BufferFrame> {
        let mut frame = self.0.pop()?;
        (frame.start, frame.end) = (HEADROOM, HEADROOM + len.min(SIZE - HEADROOM));
        Some(frame)
    }
}

/// Takes everything.
#[derive(Debug)]
struct Sink;

impl TxQueue for Sink {
    type Frame = BufferFrame;

    fn transmit(&mut self, frames: &mut TxBurst<BufferFrame>) -> usize {
        let count = frames.len();
        frames.clear();
        count
    }
}

/// A relay on such frames, and how to reach its softwires.
#[allow(missing_debug_implementations)]
pub(crate) struct Lab {
    relay: Box<Relay<Stock>>,
    counters: Arc<WorkerCounters>,
    snapshot: Snapshot,
    burst: Box<Burst<BufferFrame>>,
    now: u64,
}

const CONFIG: &str = r#"[external]
port = "net_null0"
address = "192.0.2.1/24"
next-hop = "192.0.2.254"
next-hop-mac = "02:00:00:00:01:fe"
[internal]
port = "net_null1"
address = "2001:db8:1::1/64"
next-hop = "2001:db8:1::fe"
next-hop-mac = "02:00:00:00:02:fe"
mtu = 1540
[softwires]
br-addresses = "2001:db8:ff::1"
[[softwire]]
ipv4 = "198.51.100.1"
b4-ipv6 = "2001:db8:b4::1"
[[softwire]]
ipv4 = "198.51.100.2"
psid-len = 8
psid = 18
psid-offset = 0
b4-ipv6 = "2001:db8:b4::2"
"#;

pub(crate) const HOST: [u8; 4] = [203, 0, 113, 9];
pub(crate) const WHOLE: [u8; 4] = [198, 51, 100, 1];
pub(crate) const SHARED: [u8; 4] = [198, 51, 100, 2];
/// A port of the shared address that somebody has.
pub(crate) const PORT: u16 = 18 << 8;
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

impl Lab {
    /// With so many frames of its own to send errors in.
    pub(crate) fn new(stock: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lwaftr.toml");
        std::fs::write(&path, CONFIG).unwrap();
        let (config, writer) =
            config::load_with_table(&path).unwrap_or_else(|errors| panic!("{errors}"));
        let counters = Arc::<WorkerCounters>::default();
        let relay = Relay::new(RelayParts {
            pool: Stock((0..stock).map(|_| BufferFrame::new()).collect()),
            counters: Arc::clone(&counters),
            announces: false,
            worker: 0,
            workers: 1,
            runs_timers: true,
            seed: 0,
        });
        Self {
            relay: Box::new(relay),
            counters,
            snapshot: Snapshot::new(
                config.settings(MacAddr(MACS[0]), MacAddr(MACS[1])),
                Arc::clone(writer.table()),
            ),
            burst: Box::default(),
            now: 0,
        }
    }

    /// Puts a burst of this frame before the relay.
    pub(crate) fn fill(&mut self, frame: &[u8]) {
        self.fill_each(&[frame; BURST]);
    }

    /// Puts a burst of these frames before the relay.
    pub(crate) fn fill_each(&mut self, frames: &[impl AsRef<[u8]>]) {
        self.burst.clear();
        for frame in frames {
            let mut buffer = BufferFrame::new();
            buffer.fill(frame.as_ref());
            self.burst.push(buffer);
        }
    }

    /// Has the relay take it and send what comes of it.
    pub(crate) fn relay(&mut self, side: Side) {
        self.now += 1_000_000;
        self.relay.receive(side, &self.snapshot, self.now, &mut self.burst);
        for side in Side::BOTH {
            self.relay.send(side, &mut Sink);
        }
    }

    /// The counters of one side.
    pub(crate) fn totals(&self, side: Side) -> InterfaceTotals {
        let mut totals = InterfaceTotals::default();
        totals.add(self.counters.of(side));
        totals
    }
}

/// A UDP packet.
pub(crate) fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), ttl: u8) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ipv4(from.0, to.0, ttl).udp(from.1, to.1);
    let mut packet = Vec::new();
    builder.write(&mut packet, &[7; 64]).unwrap();
    packet
}

/// A frame with a packet from the Internet.
pub(crate) fn from_internet(packet: &[u8]) -> Vec<u8> {
    [&MACS[0], &[2, 0, 0, 0, 1, 0xfe], &[8, 0][..], packet].concat()
}

/// A frame with a packet from the B4 of this number.
pub(crate) fn from_b4(number: u16, packet: &[u8]) -> Vec<u8> {
    let len = (packet.len() as u16).to_be_bytes();
    let b4 = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xb4, 0, 0, 0, 0, number).octets();
    let br = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 1).octets();
    let header = [0x60, 0, 0, 0, len[0], len[1], 4, 64];
    [&MACS[1], &[2, 0, 0, 0, 2, 0xfe], &[0x86, 0xdd][..], &header, &b4, &br, packet].concat()
}
