//! A1 to A3: accounting. That the counters balance is checked after each test of all the others.

use std::sync::Arc;

use vnf::frame::{Burst, HeapFrame, TxBurst, TxQueue};
use vnf::side::Side;
use vnf::softwire::Tally;
use vnf::telemetry::{DropReason, InterfaceTotals, WorkerCounters};

use crate::lab::{
    ALICE, ALICES, BOBS, BR1, Config, DAVES, DNS, EXTERNAL, HOST, Lab, NOBODYS, alices, to_alice,
};
use crate::outcome::Outcome;
use crate::packets::{Bytes, Ipv4};
use crate::tunnel::Ipv6;

#[test]
fn a1_every_frame_is_counted_once() {
    let mut lab = Lab::configured(|config| {
        config.vlans = [Some(10), None];
        config.mtus[1] = 1280;
    });
    let frames = [
        lab.incoming(Side::External, &to_alice()),
        lab.incoming(Side::External, &Ipv4::udp(DNS, ALICES, 3000)),
        lab.incoming(Side::External, &Ipv4::udp(DNS, NOBODYS, 9)),
        lab.incoming(Side::External, &Ipv4::echo(8, HOST, EXTERNAL, 1)),
        lab.incoming(Side::External, &Ipv4::new(17, HOST, ALICES.0, &[])),
    ];
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let outcome = lab.burst(Side::External, &frames);
    let external = |name| outcome.counted(Side::External, name);
    let internal = |name| outcome.counted(Side::Internal, name);
    assert_eq!(external("in-packets"), 5);
    // With the tag, without FCS.
    let bytes: usize = frames.iter().map(|frame| frame.len()).sum();
    assert_eq!(external("in-bytes"), bytes as u64);
    assert_eq!(external("forwarded-packets"), 2);
    assert_eq!(external("drop no-softwire"), 1);
    assert_eq!(external("drop no-softwire bytes"), frames[2].len() as u64);
    assert_eq!(external("drop transport-truncated"), 1);
    assert_eq!(external("answered-packets"), 1);
    assert_eq!(external("originated-packets"), 1);
    assert_eq!(external("out-packets"), 2);
    // 3028 bytes and 40 do not fit in fewer than three fragments.
    assert_eq!(internal("extra-fragments"), 2);
    assert_eq!(internal("out-packets"), 4);
    let sent = |side: Side| -> usize {
        outcome.sent.iter().filter(|(on, _)| *on == side).map(|(_, frame)| frame.len()).sum()
    };
    assert_eq!(external("out-bytes"), sent(Side::External) as u64);
    assert_eq!(internal("out-bytes"), sent(Side::Internal) as u64);
}

/// What RFC 8676 asks for beyond the identity: errors of our own, hairpinned packets and fragments,
/// each with its bytes.
#[test]
fn a1_errors_hairpinned_packets_and_fragments_have_bytes_of_their_own() {
    #[track_caller]
    fn counts(outcome: &Outcome, side: Side, name: &str, packets: u64, bytes: usize) {
        assert_eq!(outcome.counted(side, &format!("{name}-packets")), packets, "{name}");
        assert_eq!(outcome.counted(side, &format!("{name}-bytes")), bytes as u64, "{name}");
    }
    const ERRORS: [&str; 2] = ["icmpv4-error", "icmpv6-error"];
    let (external, internal) = (Side::External, Side::Internal);
    let mut lab = Lab::new();
    let told = |outcome: &Outcome, side: Side, error: &str| {
        for on in Side::BOTH {
            for name in ERRORS {
                let is_it = on == side && name == error;
                let sent = outcome.sent[0].1.len();
                counts(outcome, on, name, u64::from(is_it), if is_it { sent } else { 0 });
            }
        }
        assert_eq!(outcome.counted(side, "originated-packets"), 1);
    };
    told(&lab.internet_sends(&Ipv4::udp(DNS, NOBODYS, 9)), external, "icmpv4-error");
    told(&lab.alice_sends(&Ipv4::udp(ALICES, NOBODYS, 9)), internal, "icmpv4-error");
    told(&lab.alice_sends(&Ipv4::udp(BOBS, DNS, 9)), internal, "icmpv6-error");

    // Also where it leaves in pieces: the bytes are those that came.
    for size in [9, 1500] {
        let mut lab = Lab::configured(|config| config.mtus[1] = 1280);
        let packet = Ipv4::udp(ALICES, BOBS, size);
        let came = lab.incoming(internal, &Ipv6::tunnel(ALICE, BR1, &packet)).len();
        let outcome = lab.alice_sends(&packet);
        counts(&outcome, internal, "hairpinned", 1, came);
        assert_eq!(outcome.sent.len(), if size > 1280 { 2 } else { 1 });
        assert_eq!(outcome.counted(internal, "originated-packets"), 0);
    }

    let whole = Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(ALICES, DNS, 900));
    let pieces = [whole.piece(0..400, 1), whole.piece(400..928, 1)];
    let came: usize = pieces.iter().map(|piece| lab.incoming(internal, piece).len()).sum();
    counts(&lab.b4s_send(&pieces[0]), internal, "absorbed", 0, 0);
    counts(&lab.b4s_send(&pieces[1]), internal, "absorbed", 2, came);
}

#[test]
fn a1_what_leaves_is_not_padded() {
    let mut lab = Lab::new();
    let tiny = Ipv4::udp(ALICES, DNS, 0);
    let outcome = lab.alice_sends(&tiny);
    assert_eq!(outcome.sent[0].1.len(), 14 + 28);
    outcome.forwarded(&[&tiny.aged()]);
}

#[test]
fn a1_what_waits_is_held_and_the_only_thing_that_can_fall() {
    let mut lab = Lab::configured(Config::ask_for_next_hops);
    drop(lab.wait(0));
    drop(lab.internet_sends(&to_alice()));
    assert_eq!(lab.counter(Side::External, "held-packets"), 1);
    drop(lab.wait(10_000));
    assert_eq!(lab.counter(Side::External, "held-packets"), 0);
}

/// A port that takes so many frames at once, and no more.
struct Narrow(usize);

impl TxQueue for Narrow {
    type Frame = HeapFrame;

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        let taken = self.0.min(frames.len());
        frames.drain(..taken);
        self.0 -= taken;
        taken
    }
}

/// A packet is forwarded when the port has accepted the last piece of it.
#[test]
fn a1_what_the_port_refuses_is_the_receivers_drop() {
    // A packet in three fragments, and one whole.
    for room in 0..=4 {
        let lab = Lab::configured(|config| config.mtus[1] = 1280);
        let snapshot = lab.snapshot();
        let counters = Arc::new(WorkerCounters::default());
        let mut relay = lab.relay(counters.clone());
        let large = lab.incoming(Side::External, &Ipv4::udp(DNS, DAVES, 3000));
        let small = lab.incoming(Side::External, &to_alice());
        let mut burst: Burst<HeapFrame> =
            [&large, &small].into_iter().map(|bytes| HeapFrame::new(bytes)).collect();
        relay.receive(Side::External, &snapshot, 0, &mut burst);
        let _ = relay.send(Side::Internal, &mut Narrow(room));
        let mut external = InterfaceTotals::default();
        external.add(counters.of(Side::External));
        let forwarded = u64::from(room >= 3) + u64::from(room >= 4);
        assert_eq!(external.forwarded, forwarded, "room for {room}");
        let refused = external.drops[DropReason::TxFull.index()];
        assert_eq!(refused.packets, 2 - forwarded);
        let bytes = [large.len(), small.len()][forwarded as usize % 2..].iter().sum::<usize>();
        assert_eq!(refused.bytes, if forwarded == 2 { 0 } else { bytes as u64 });
        assert_eq!(external.unaccounted(), 0);
    }
}

#[test]
fn a2_each_reason_has_packets_bytes_and_an_example() {
    let mut lab = Lab::new();
    let nobodys = |port| lab.incoming(Side::External, &Ipv4::udp((HOST, port), NOBODYS, 100));
    let (first, second, third) = (nobodys(1), nobodys(2), nobodys(3));
    let short = &first[..30];
    assert_eq!(lab.example(Side::External, DropReason::NoSoftwire), None);
    drop(lab.burst(Side::External, &[&first, short, &second]));
    let example = lab.example(Side::External, DropReason::NoSoftwire).unwrap();
    assert_eq!((example.start.as_slice(), example.length), (&first[..64], first.len()));
    let example = lab.example(Side::External, DropReason::Ipv4Truncated).unwrap();
    assert_eq!((example.start.as_slice(), example.length), (short, 30));
    assert_eq!(lab.counter(Side::External, "drop no-softwire"), 2);
    let bytes = (first.len() + second.len()) as u64;
    assert_eq!(lab.counter(Side::External, "drop no-softwire bytes"), bytes);
    // A recent one.
    drop(lab.frame(Side::External, &third));
    let example = lab.example(Side::External, DropReason::NoSoftwire).unwrap();
    assert_eq!(example.start, third[..64]);
    assert_eq!(lab.example(Side::Internal, DropReason::NoSoftwire), None);
}

#[test]
fn a2_what_was_put_together_and_what_waited_in_vain_leave_examples() {
    let mut lab = Lab::new();
    let spoofed = Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(BOBS, DNS, 900));
    let len = spoofed.payload.len();
    drop(lab.b4s_send(&spoofed.piece(0..400, 1)));
    drop(lab.b4s_send(&spoofed.piece(400..len, 1)));
    let example = lab.example(Side::Internal, DropReason::SourceWrongB4).unwrap();
    let mut whole = lab.incoming(Side::Internal, &spoofed);
    // The flow label is not kept.
    whole[15..18].fill(0);
    assert_eq!((example.start.as_slice(), example.length), (&whole[..64], whole.len()));
    let lonely = spoofed.piece(400..len, 2);
    drop(lab.b4s_send(&lonely));
    drop(lab.wait(61_000));
    let example = lab.example(Side::Internal, DropReason::Ipv6FragmentTimeout).unwrap();
    let frame = lab.incoming(Side::Internal, &lonely);
    assert_eq!((example.start.as_slice(), example.length), (&frame[..64], frame.len()));
}

#[test]
fn a3_softwires_count_what_they_carry_when_that_is_switched_on() {
    let packets = [to_alice(), Ipv4::udp(DNS, DAVES, 9), Ipv4::udp(DNS, NOBODYS, 9)];
    let mut lab = Lab::configured(|config| config.softwires = "counters = true".into());
    for packet in &packets {
        drop(lab.internet_sends(packet));
    }
    drop(lab.alice_sends(&alices()));
    let to_dave = Ipv4::udp(ALICES, DAVES, 50);
    drop(lab.alice_sends(&to_dave));
    // What is not hers is not counted as hers.
    drop(lab.alice_sends(&Ipv4::udp(DAVES, DNS, 9)));
    let len = |packet: &Ipv4| packet.bytes().len() as u64;
    let alice = Tally {
        to_b4_packets: 1,
        to_b4_bytes: len(&packets[0]),
        from_b4_packets: 2,
        from_b4_bytes: len(&alices()) + len(&to_dave),
    };
    let dave = Tally {
        to_b4_packets: 2,
        to_b4_bytes: len(&packets[1]) + len(&to_dave),
        ..Tally::default()
    };
    let tallies = lab.tallies();
    assert_eq!(tallies.len(), 2, "{tallies:?}");
    for (softwire, tally) in tallies {
        let expected = if softwire.b4 == ALICE { &alice } else { &dave };
        assert_eq!(tally, *expected, "{softwire}");
    }
    let mut lab = Lab::new();
    drop(lab.internet_sends(&to_alice()));
    assert!(lab.tallies().is_empty());
}
