//! What `vnf/tests/abuse/run.sh` counts the instructions of: `flooded KIND ROUNDS` takes so many
//! bursts from each side through a relay on plain memory, of a flood or of packets that are
//! forwarded (`forwarded`), and prints how many packets these were. Only [`measured`] is counted.

use std::sync::Arc;

use benches::buffer::BufferFrame;
use benches::lab::{frames, made_up};
use vnf::config;
use vnf::frame::{BURST, Burst, Frame, FramePool, TxBurst, TxQueue};
use vnf::generate::Flood;
use vnf::lwaftr::{Relay, RelayParts, Snapshot};
use vnf::replay::MACS;
use vnf::side::Side;
use vnf::telemetry::WorkerCounters;

/// Nanoseconds from one burst to the next: ten million packets a second.
const BURST_TIME: u64 = 6_400;

/// Bursts from each side before anything is counted: then the relay remembers as much as it ever
/// will.
const WARM_UP: u64 = 300;

/// Frames of a flood before they repeat themselves, on each side.
const FRAMES: usize = 1 << 15;

/// Where frames come from, and where they are sent.
struct Buffers;

impl FramePool for Buffers {
    type Frame = BufferFrame;

    fn frame(&mut self, len: usize) -> Option<BufferFrame> {
        let mut frame = BufferFrame::default();
        frame.grow_back(len).then_some(frame)
    }
}

impl TxQueue for Buffers {
    type Frame = BufferFrame;

    fn transmit(&mut self, frames: &mut TxBurst<BufferFrame>) -> usize {
        let count = frames.len();
        frames.clear();
        count
    }
}

fn main() {
    let usage = "flooded KIND ROUNDS, the kind as of `lwaftr bench --flood`, or `forwarded`";
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().expect(usage);
    let rounds: u64 = arguments.next().and_then(|text| text.parse().ok()).expect(usage);

    let directory = tempfile::tempdir().expect("a temporary directory");
    made_up(1000, 1000, directory.path());
    let path = directory.path().join("lwaftr.toml");
    let (config, writer) = config::load_with_table(&path).expect("a generated configuration");
    let settings = config.settings(MACS[0], MACS[1]);
    let traffic = match kind.as_str() {
        "forwarded" => ["external.pcap", "internal.pcap"]
            .map(|capture| frames(&directory.path().join(capture))),
        kind => {
            let flood = Flood::ALL.into_iter().find(|flood| flood.name() == kind).expect(usage);
            Side::BOTH.map(|side| flood.frames(side, FRAMES, &settings, writer.table(), 1))
        }
    };
    // Enough buffers for all that is under way at a time.
    drop((0..4096).map(|_| BufferFrame::default()).collect::<Vec<_>>());
    let relay = Relay::new(RelayParts {
        pool: Buffers,
        counters: Arc::<WorkerCounters>::default(),
        worker: 0,
        workers: 1,
        runs_timers: false,
        announces: false,
        seed: 0,
    });
    let snapshot = Snapshot::new(settings, Arc::clone(writer.table()));
    println!("{}", run(relay, &snapshot, &traffic, rounds));
}

/// Serves the bursts; returns how many packets they had.
fn run(
    mut relay: Relay<Buffers>,
    snapshot: &Snapshot,
    traffic: &[Vec<Vec<u8>>; 2],
    rounds: u64,
) -> u64 {
    let mut sources = traffic.each_ref().map(|frames| frames.iter().cycle());
    let (mut burst, mut packets) = (Burst::new(), 0);
    for round in 0..WARM_UP + rounds {
        for side in Side::BOTH {
            for bytes in sources[side.index()].by_ref().take(BURST) {
                let mut frame = BufferFrame::default();
                frame.fill(bytes);
                burst.push(frame);
            }
            let now = round * BURST_TIME;
            if round < WARM_UP {
                serve(&mut relay, snapshot, side, now, &mut burst);
            } else if !burst.is_empty() {
                packets += burst.len() as u64;
                measured(&mut relay, snapshot, side, now, &mut burst);
            }
        }
    }
    packets
}

/// One burst through the relay, counted.
#[inline(never)]
fn measured(
    relay: &mut Relay<Buffers>,
    snapshot: &Snapshot,
    side: Side,
    now: u64,
    burst: &mut Burst<BufferFrame>,
) {
    serve(relay, snapshot, side, now, burst);
}

#[inline(always)]
fn serve(
    relay: &mut Relay<Buffers>,
    snapshot: &Snapshot,
    side: Side,
    now: u64,
    burst: &mut Burst<BufferFrame>,
) {
    relay.receive(side, snapshot, now, burst);
    for side in Side::BOTH {
        relay.send(side, &mut Buffers);
    }
}
