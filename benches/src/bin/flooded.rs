//! What `vnf/tests/abuse/run.sh` counts the instructions of: `flooded KIND ROUNDS` takes so many
//! bursts from each side through a relay on plain memory, of a flood or of packets that are
//! forwarded (`forwarded`), and prints how many packets these were. Only [`measured`] is counted.

use std::cell::RefCell;
use std::rc::Rc;
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

/// Frames of a flood before they repeat themselves, on each side.
const FRAMES: usize = 1 << 15;

/// Buffers that nobody uses: what was sent comes back to them.
#[derive(Clone, Default)]
struct Spare(Rc<RefCell<Vec<BufferFrame>>>);

impl FramePool for Spare {
    type Frame = BufferFrame;

    fn frame(&mut self, len: usize) -> Option<BufferFrame> {
        let mut frame = self.0.borrow_mut().pop()?;
        frame.fill(&[]);
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
    let spare = Spare::default();
    spare.0.borrow_mut().resize(4096, BufferFrame::default());
    let relay = Relay::new(RelayParts {
        pool: spare.clone(),
        counters: Arc::<WorkerCounters>::default(),
        worker: 0,
        workers: 1,
        runs_timers: false,
        announces: false,
        seed: 0,
    });
    let snapshot = Snapshot::new(settings, Arc::clone(writer.table()));
    println!("{}", run(relay, &snapshot, spare, &traffic, rounds));
}

/// Serves the bursts; returns how many packets they had.
fn run(
    mut relay: Relay<Spare>,
    snapshot: &Snapshot,
    mut spare: Spare,
    traffic: &[Vec<Vec<u8>>; 2],
    rounds: u64,
) -> u64 {
    let mut sources = traffic.each_ref().map(|frames| frames.iter().cycle());
    let (mut burst, mut packets) = (Burst::new(), 0);
    for round in 0..rounds {
        for side in Side::BOTH {
            for bytes in sources[side.index()].by_ref().take(BURST) {
                // Frames that were dropped or wait are gone: others take their place.
                let mut frame = spare.0.borrow_mut().pop().unwrap_or_default();
                frame.fill(bytes);
                burst.push(frame);
            }
            packets += burst.len() as u64;
            if !burst.is_empty() {
                measured(&mut relay, snapshot, side, round * BURST_TIME, &mut burst, &mut spare);
            }
        }
    }
    packets
}

/// One burst through the relay.
#[inline(never)]
fn measured(
    relay: &mut Relay<Spare>,
    snapshot: &Snapshot,
    side: Side,
    now: u64,
    burst: &mut Burst<BufferFrame>,
    spare: &mut Spare,
) {
    relay.receive(side, snapshot, now, burst);
    for side in Side::BOTH {
        relay.send(side, spare);
    }
}
