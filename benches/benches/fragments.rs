//! What fragments cost (F1, F2): tunnelled packets in two IPv6 fragments, and IPv4 packets in two
//! fragments to shared addresses. Elements are fragments.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use benches::buffer::BufferFrame;
use benches::lab::{frames, made_up};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vnf::config;
use vnf::frame::{BURST, Burst, Frame, FramePool, TxBurst, TxQueue};
use vnf::lwaftr::{Relay, RelayParts, Snapshot};
use vnf::replay::MACS;
use vnf::side::Side;
use vnf::telemetry::WorkerCounters;
use vnf::wire::checksum::Sum;
use vnf::wire::{ipv4, ipv6};

const ETHERNET: usize = 14;

/// The size of the IPv4 packets, and how much of them the first fragment has.
const SIZE: usize = 1400;
const FIRST: usize = 808;

/// Buffers that nobody uses: what was sent comes back to them.
#[derive(Clone, Default)]
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

fn fragments(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    made_up(1_000, 1_024, directory.path());
    let path = directory.path().join("lwaftr.toml");
    let (config, writer) = config::load_with_table(&path).expect("a generated configuration");
    let snapshot = Snapshot::new(config.settings(MACS[0], MACS[1]), Arc::clone(writer.table()));
    let mut group = criterion.benchmark_group("fragments");
    group.throughput(Throughput::Elements(BURST as u64));
    for (side, name, capture, sent) in [
        (Side::External, "learn_port", "external.pcap", BURST),
        (Side::Internal, "reassemble", "internal.pcap", BURST / 2),
    ] {
        let traffic: Vec<Vec<u8>> = frames(&directory.path().join(capture))
            .iter()
            .enumerate()
            .flat_map(|(number, frame)| match side {
                Side::External => cut_ipv4(frame, number),
                Side::Internal => cut_ipv6(frame, number),
            })
            .collect();
        let mut spare = Spare::default();
        let mut relay = Relay::new(RelayParts {
            pool: spare.clone(),
            counters: Arc::<WorkerCounters>::default(),
            announces: false,
            worker: 0,
            workers: 1,
            runs_timers: false,
            seed: 0,
        });
        let (mut next, mut now, mut burst) = (0, 0, Burst::new());
        group.bench_function(name, |bench| {
            bench.iter(|| {
                for _ in 0..BURST {
                    burst.push(spare.filled(&traffic[next]));
                    next = (next + 1) % traffic.len();
                }
                now += 1_000;
                relay.receive(side, &snapshot, now, &mut burst);
                let done = relay.send(side.other(), &mut spare).forwarded as usize;
                assert_eq!(done, sent, "some fragments were not forwarded");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fragments);
criterion_main!(benches);
