//! F5 and F7: fragments.

use std::collections::BTreeSet;
use std::sync::Arc;

use vnf::frame::{Burst, Frame, HeapFrame, TxBurst, TxQueue};
use vnf::side::Side;
use vnf::telemetry::WorkerCounters;

use crate::lab::{ALICES, DNS, Lab, at_alice};
use crate::oracle;
use crate::packets::{Bytes, Ipv4};

fn narrow(seed: u64) -> Lab {
    Lab::configured(|config| {
        config.mtus[1] = 1280;
        config.policy = "flow-label = 0x54321".into();
        config.seed = seed;
    })
}

#[test]
fn f5_fragments_of_a_packet_share_what_makes_them_one() {
    let mut lab = narrow(0);
    let packet = Ipv4::udp(DNS, ALICES, 4000).tos(0xba);
    let whole = at_alice(&packet.aged()).flow_label(0x54321);
    let sent = lab.internet_sends(&packet);
    let (identification, _) = oracle::identification(&sent.packets(Side::Internal)[0]);
    // 1232 bytes each, a multiple of 8, but for the last.
    let len = whole.payload.len();
    let pieces: Vec<_> = (0..len)
        .step_by(1232)
        .map(|at| whole.piece(at..len.min(at + 1232), identification))
        .collect();
    assert_eq!(pieces.len(), 4);
    let pieces: Vec<&dyn Bytes> = pieces.iter().map(|piece| piece as &dyn Bytes).collect();
    sent.forwarded(&pieces);
}

#[test]
fn f5_identifications_cannot_be_foretold_but_repeat_under_a_seed() {
    let identifications = |seed| -> Vec<u32> {
        let mut lab = narrow(seed);
        let packet = Ipv4::udp(DNS, ALICES, 1300);
        let mut next = || {
            let sent = lab.internet_sends(&packet).packets(Side::Internal);
            oracle::identification(&sent[0]).0
        };
        (0..500).map(|_| next()).collect()
    };
    let (once, again, otherwise) = (identifications(1), identifications(1), identifications(2));
    assert_eq!(once, again);
    let distinct: BTreeSet<u32> = once.iter().chain(&otherwise).copied().collect();
    assert!(distinct.len() > 998, "{} of 1000", distinct.len());
    let steps: BTreeSet<u32> = once.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
    assert!(steps.len() > 497, "{} of 499 steps", steps.len());
}

/// Workers count by themselves: none can tell what another's next is (RFC 7739).
#[test]
fn f5_each_worker_has_a_sequence_of_its_own() {
    let lab = narrow(0);
    let snapshot = lab.snapshot();
    let frame = lab.incoming(Side::External, &Ipv4::udp(DNS, ALICES, 1300));
    let mut seen = BTreeSet::new();
    for number in 0..2 {
        let counters = Arc::new(WorkerCounters::default());
        let mut worker = lab.worker(number, 2, counters);
        for _ in 0..100 {
            let mut burst: Burst<HeapFrame> = [HeapFrame::new(&frame)].into_iter().collect();
            worker.receive(Side::External, &snapshot, 0, &mut burst);
            let mut port = Kept(Vec::new());
            let _ = worker.send(Side::Internal, &mut port);
            let [first, last] = port.0.try_into().unwrap();
            let [first, last] =
                [first, last].map(|frame: Vec<u8>| oracle::identification(&frame[14..]).0);
            assert_eq!(first, last);
            seen.insert(first);
        }
    }
    assert_eq!(seen.len(), 200);
}

/// A port that keeps what it is given.
struct Kept(Vec<Vec<u8>>);

impl TxQueue for Kept {
    type Frame = HeapFrame;

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        let taken = frames.len();
        self.0.extend(frames.drain(..).map(|frame| frame.bytes().to_vec()));
        taken
    }
}
