//! F5 and F7: fragments.

use std::collections::BTreeSet;

use vnf::side::Side;

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
