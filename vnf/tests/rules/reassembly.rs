//! F1 and F6: tunnelled packets in IPv6 fragments, and floods of them.

use std::net::Ipv6Addr;
use std::sync::Arc;

use vnf::frame::{Burst, HeapFrame, TxBurst, TxQueue};
use vnf::side::Side;
use vnf::telemetry::{InterfaceTotals, WorkerCounters};

use crate::lab::{
    ALICE, ALICES, BOB, BOBS, BR1, BR2, DNS, INTERNAL, Lab, alices, at_alice, our_error6, to_alice,
};
use crate::outcome::Outcome;
use crate::packets::{Bytes, Ipv4};
use crate::tunnel::Ipv6;

/// A packet from ALICE in a tunnel, cut at these places of what the tunnel carries.
fn cut(packet: &Ipv4, at: &[usize], identification: u32) -> Vec<Ipv6> {
    let whole = Ipv6::tunnel(ALICE, BR1, packet);
    let ends = at.iter().copied().chain([whole.payload.len()]);
    let starts = [0].into_iter().chain(at.iter().copied());
    starts.zip(ends).map(|(start, end)| whole.piece(start..end, identification)).collect()
}

/// The last fragment came, and the packet of so many left for the Internet.
#[track_caller]
fn completes(outcome: &Outcome, fragments: u64, packet: &Ipv4) {
    assert_eq!(outcome.counted(Side::Internal, "absorbed-packets"), fragments);
    assert_eq!(outcome.counted(Side::Internal, "reassembled-packets"), 1);
    assert_eq!(outcome.counted(Side::Internal, "forwarded-packets"), 1);
    assert_eq!(outcome.packets(Side::External), [packet.aged().bytes()]);
}

/// Fragments that wait for others.
#[track_caller]
fn wait(lab: &mut Lab, fragments: &[Ipv6]) {
    for fragment in fragments {
        let outcome = lab.b4s_send(fragment);
        assert_eq!(outcome.fate(), "held-packets");
        assert!(outcome.sent.is_empty());
    }
}

#[test]
fn f1_fragments_are_put_together_in_any_order() {
    let mut lab = Lab::new();
    let packet = Ipv4::udp(ALICES, DNS, 1200);
    for (number, order) in
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].into_iter().enumerate()
    {
        let pieces = cut(&packet, &[8, 808], number as u32);
        wait(&mut lab, &[pieces[order[0]].clone(), pieces[order[1]].clone()]);
        completes(&lab.b4s_send(&pieces[order[2]]), 3, &packet);
    }
    assert_eq!(lab.counter(Side::Internal, "held-packets"), 0);
}

#[test]
fn f1_what_is_put_together_is_checked_like_any_packet() {
    let mut lab = Lab::new();
    let spoofed = Ipv4::udp(BOBS, DNS, 900);
    let pieces = cut(&spoofed, &[400], 1);
    wait(&mut lab, &pieces[..1]);
    let outcome = lab.b4s_send(&pieces[1]);
    assert_eq!(outcome.counted(Side::Internal, "drop source-wrong-b4"), 1);
    let error = our_error6((1, 5), 0, &Ipv6::tunnel(ALICE, BR1, &spoofed));
    assert_eq!(outcome.packets(Side::Internal), [error.bytes()]);
}

#[test]
fn f1_exact_copies_are_tolerated() {
    let mut lab = Lab::new();
    let packet = Ipv4::udp(ALICES, DNS, 1200);
    let pieces = cut(&packet, &[400, 800], 1);
    wait(&mut lab, &pieces[..2]);
    for piece in &pieces[..2] {
        lab.b4s_send(piece).dropped("ipv6-fragment-duplicate");
    }
    completes(&lab.b4s_send(&pieces[2]), 3, &packet);
}

#[test]
fn f1_any_overlap_discards_the_whole_packet() {
    let packet = Ipv4::udp(ALICES, DNS, 1200);
    let whole = Ipv6::tunnel(ALICE, BR1, &packet);
    for range in [0..8, 392..408, 0..808, 408..800, 8..16] {
        let mut lab = Lab::new();
        let pieces = cut(&packet, &[400, 800], 1);
        wait(&mut lab, &pieces[..2]);
        let outcome = lab.b4s_send(&whole.piece(range, 1));
        // Those that waited go with it, and what still comes.
        assert_eq!(outcome.counted(Side::Internal, "drop ipv6-fragment-overlap"), 3);
        lab.b4s_send(&pieces[2]).dropped("ipv6-fragment-overlap");
        lab.b4s_send(&pieces[0]).dropped("ipv6-fragment-overlap");
        // Others are not harmed.
        let others = cut(&packet, &[400], 2);
        wait(&mut lab, &others[..1]);
        completes(&lab.b4s_send(&others[1]), 2, &packet);
    }
}

#[test]
fn f1_an_atomic_fragment_is_a_packet_of_its_own() {
    let mut lab = Lab::new();
    let packet = Ipv4::udp(ALICES, DNS, 1200);
    let pieces = cut(&packet, &[400], 1);
    wait(&mut lab, &pieces[..1]);
    let atomic = Ipv6::tunnel(ALICE, BR1, &alices());
    let len = atomic.payload.len();
    lab.b4s_send(&atomic.piece(0..len, 1)).forwarded(&[&alices().aged()]);
    completes(&lab.b4s_send(&pieces[1]), 2, &packet);
}

/// RFC 3168 section 5.3: what any fragment is marked with, the packet is.
#[test]
fn f1_the_marks_of_fragments_are_merged() {
    let mut lab = Lab::new();
    const ECT_0: u8 = 2;
    const CE: u8 = 3;
    for (number, marks) in [[ECT_0, CE], [CE, ECT_0], [CE, CE]].into_iter().enumerate() {
        let packet = Ipv4::udp(ALICES, DNS, 900).tos(ECT_0);
        let [first, last] = cut(&packet, &[400], number as u32).try_into().unwrap();
        wait(&mut lab, &[first.traffic_class(marks[0])]);
        completes(&lab.b4s_send(&last.traffic_class(marks[1])), 2, &packet.tos(CE));
    }
}

/// N4 too: what a BR address is asked in an atomic fragment is answered like anything else, but
/// nobody solicits in one (RFC 6980).
#[test]
fn f1_an_atomic_fragment_to_ourselves_is_answered() {
    let mut lab = Lab::new();
    let atomic = |packet: &Ipv6| packet.piece(0..packet.payload.len(), 5);
    let echo = |from, to, kind| Ipv6::icmp(from, to, (kind, 0), [0, 7, 0, 9], b"hello");
    for address in [BR1, INTERNAL] {
        let sent = lab.b4s_send(&atomic(&echo(ALICE, address, 128)));
        assert_eq!(sent.fate(), "answered-packets");
        assert_eq!(sent.packets(Side::Internal), [echo(address, ALICE, 129).hop_limit(64).bytes()]);
        let udp = atomic(&Ipv6::new(17, ALICE, address, &[0, 9, 0, 9, 0, 8, 1, 1]));
        let told = our_error6((1, 4), 0, &udp);
        lab.b4s_send(&udp).dropped_and_told("unsupported-protocol", &told);
    }
    let solicited =
        Ipv6::icmp(ALICE, INTERNAL, (135, 0), [0; 4], &INTERNAL.octets()).hop_limit(255);
    assert_eq!(lab.b4s_send(&solicited).fate(), "answered-packets");
    lab.b4s_send(&atomic(&solicited)).dropped("ndp-malformed");
}

#[test]
fn f1_fragments_that_are_none_are_malformed() {
    let mut lab = Lab::new();
    let whole = Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(ALICES, DNS, 1200));
    // Nothing in it, odd in the middle, beyond 65 535 bytes.
    for range in [0..0, 0..9, 8..23] {
        lab.b4s_send(&whole.piece(range, 1)).dropped("ipv6-fragment-malformed");
    }
    let mut far = whole.piece(800..1228, 1);
    far.payload[2] = 0xff;
    far.payload[3] = 0xf8;
    lab.b4s_send(&far).dropped("ipv6-fragment-malformed");
}

#[test]
fn f1_a_packet_has_at_most_64_fragments_and_65535_bytes() {
    let mut lab = Lab::new();
    let places: Vec<usize> = (1..64).map(|at| at * 16).collect();
    let packet = Ipv4::udp(ALICES, DNS, 64 * 16 - 28);
    let pieces = cut(&packet, &places, 1);
    wait(&mut lab, &pieces[..63]);
    completes(&lab.b4s_send(&pieces[63]), 64, &packet);
    let places: Vec<usize> = (1..65).map(|at| at * 16).collect();
    let pieces = cut(&Ipv4::udp(ALICES, DNS, 65 * 16 - 28), &places, 2);
    wait(&mut lab, &pieces[..64]);
    let outcome = lab.b4s_send(&pieces[64]);
    assert_eq!(outcome.counted(Side::Internal, "drop ipv6-fragment-too-many"), 65);
    let largest = Ipv4::udp(ALICES, DNS, 65_535 - 28);
    let places: Vec<usize> = (1..46).map(|at| at * 1448).collect();
    let pieces = cut(&largest, &places, 3);
    wait(&mut lab, &pieces[..45]);
    let outcome = lab.b4s_send(&pieces[45]);
    assert_eq!(outcome.counted(Side::Internal, "reassembled-packets"), 1);
    let data: usize = outcome.packets(Side::External).iter().map(|piece| piece.len() - 20).sum();
    assert_eq!(data, 65_515);
}

#[test]
fn f1_headers_before_the_fragment_s_count_to_the_65535_bytes() {
    const HOP_BY_HOP: u8 = 0;
    for (size, extended, fits) in
        [(65_535, false, true), (65_528, true, false), (65_527, true, true)]
    {
        let mut lab = Lab::new();
        let whole = Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(ALICES, DNS, size - 28));
        let starts: Vec<usize> = (0..size).step_by(1448).collect();
        let mut pieces: Vec<Ipv6> =
            starts.iter().map(|&at| whole.piece(at..(at + 1448).min(size), 1)).collect();
        if extended {
            pieces = pieces
                .into_iter()
                .map(|piece| piece.extended(HOP_BY_HOP, &[1, 4, 0, 0, 0, 0]))
                .collect();
        }
        let (last, others) = pieces.split_last().unwrap();
        wait(&mut lab, others);
        let outcome = lab.b4s_send(last);
        if fits {
            assert_eq!(outcome.counted(Side::Internal, "forwarded-packets"), 1);
        } else {
            outcome.dropped("ipv6-fragment-malformed");
        }
    }
}

#[test]
fn f1_a_link_local_sender_is_told_at_its_station() {
    let mut lab = Lab::new();
    let b4: Ipv6Addr = "fe80::b4".parse().unwrap();
    let whole = Ipv6::tunnel(b4, BR1, &Ipv4::udp(ALICES, DNS, 1400));
    let first = whole.piece(0..800, 1);
    wait(&mut lab, std::slice::from_ref(&first));
    let error = our_error6((3, 1), 0, &first);
    assert_eq!(lab.wait(61_000).packets(Side::Internal), [error.bytes()]);
}

#[test]
fn f1_a_source_with_more_than_16_packets_loses_its_own_oldest() {
    let mut lab = Lab::new();
    let packet = Ipv4::udp(ALICES, DNS, 600);
    let bobs = Ipv4::udp(BOBS, DNS, 600);
    let tunnel = Ipv6::tunnel(BOB, BR2, &bobs);
    let len = tunnel.payload.len();
    wait(&mut lab, &[tunnel.piece(0..400, 1)]);
    for number in 0..16 {
        wait(&mut lab, &cut(&packet, &[400], number)[..1]);
    }
    let outcome = lab.b4s_send(&cut(&packet, &[400], 16)[0]);
    assert_eq!(outcome.counted(Side::Internal, "drop ipv6-fragment-limit"), 1);
    completes(&lab.b4s_send(&tunnel.piece(400..len, 1)), 2, &bobs);
    for number in 1..17 {
        completes(&lab.b4s_send(&cut(&packet, &[400], number)[1]), 2, &packet);
    }
    assert_eq!(lab.counter(Side::Internal, "held-packets"), 0);
}

#[test]
fn f1_after_60_s_the_sender_of_a_first_fragment_is_told() {
    let mut lab = Lab::new();
    let packet = Ipv4::udp(ALICES, DNS, 1400);
    let first = &cut(&packet, &[800], 1)[0];
    let last = &cut(&packet, &[800], 2)[1];
    wait(&mut lab, &[first.clone(), last.clone()]);
    assert!(lab.wait(59_000).sent.is_empty());
    assert_eq!(lab.counter(Side::Internal, "held-packets"), 2);
    let outcome = lab.wait(2_000);
    assert_eq!(outcome.counted(Side::Internal, "drop ipv6-fragment-timeout"), 2);
    let error = our_error6((3, 1), 0, first);
    assert_eq!(outcome.packets(Side::Internal), [error.bytes()]);
    assert_eq!(lab.counter(Side::Internal, "held-packets"), 0);
}

/// The first fragments of so many packets, each from a source of its own, in bursts.
fn flood(lab: &mut Lab, sources: std::ops::Range<u16>) {
    let frames: Vec<Vec<u8>> = sources
        .map(|number| {
            let source = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, number);
            let packet = Ipv6::tunnel(source, BR1, &Ipv4::udp(ALICES, DNS, 200));
            lab.incoming(Side::Internal, &packet.piece(0..160, u32::from(number)))
        })
        .collect();
    for burst in frames.chunks(vnf::frame::BURST) {
        let burst: Vec<&[u8]> = burst.iter().map(Vec::as_slice).collect();
        assert!(lab.burst(Side::Internal, &burst).sent.is_empty());
    }
}

#[test]
fn f6_a_flood_of_ipv6_fragments_takes_bounded_memory_and_nothing_from_others() {
    const MOST: u64 = 16_384;
    let mut lab = Lab::new();
    let packet = Ipv4::udp(ALICES, DNS, 900);
    for round in 0..20_u16 {
        let pieces = cut(&packet, &[400], 7);
        wait(&mut lab, &pieces[..1]);
        flood(&mut lab, round * 2_000..(round + 1) * 2_000);
        assert!(lab.counter(Side::Internal, "held-packets") <= MOST);
        // Fragments and whole packets of others go on as if nothing was.
        completes(&lab.b4s_send(&pieces[1]), 2, &packet);
        lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
        lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    }
    // All but the place that ALICE's last packet had.
    assert_eq!(lab.counter(Side::Internal, "held-packets"), MOST - 1);
    assert_eq!(lab.counter(Side::Internal, "drop ipv6-fragment-limit"), 40_000 - (MOST - 1));
}

/// What is not whole yet is known to whoever watches, and that it is over.
#[test]
fn f6_how_much_waits_is_said() {
    let mut lab = Lab::new();
    let pieces = cut(&Ipv4::udp(ALICES, DNS, 900), &[400, 800], 7);
    wait(&mut lab, &pieces[..2]);
    drop(lab.wait(200));
    // Of two frames, two blocks of 256 bytes each.
    assert_eq!(lab.reassembly(), [1, 2 * 512]);
    drop(lab.b4s_send(&pieces[2]));
    drop(lab.wait(200));
    assert_eq!(lab.reassembly(), [0, 0]);
}

/// What a port that hashes addresses alone does for two workers: whatever the hash, a packet's
/// fragments go one way, and each worker puts together what is its own.
#[test]
fn f7_spread_by_outer_addresses_each_worker_puts_its_packets_together() {
    let lab = Lab::new();
    let snapshot = lab.snapshot();
    let counters = [0, 1].map(|_| Arc::new(WorkerCounters::default()));
    let mut workers = [0, 1].map(|number| lab.worker(number, 2, counters[number].clone()));
    let packets = [(ALICE, BR1, ALICES), (BOB, BR2, BOBS)];
    let mut pieces = Vec::new();
    for identification in 0..8 {
        for (b4, br, endpoint) in packets {
            let whole = Ipv6::tunnel(b4, br, &Ipv4::udp(endpoint, DNS, 1000));
            pieces.push(whole.piece(0..400, identification));
            pieces.push(whole.piece(400..whole.payload.len(), identification));
        }
    }
    // First all second halves, then all first ones.
    pieces.sort_by_key(|piece| piece.payload.len() > 600);
    for piece in &pieces {
        let worker = usize::from(piece.header.source == BOB.octets());
        let frame = lab.incoming(Side::Internal, piece);
        let mut burst: Burst<HeapFrame> = [HeapFrame::new(&frame)].into_iter().collect();
        workers[worker].receive(Side::Internal, &snapshot, 0, &mut burst);
        let _ = workers[worker].send(Side::External, &mut Everything);
    }
    for counters in &counters {
        let mut totals = InterfaceTotals::default();
        totals.add(counters.of(Side::Internal));
        assert_eq!((totals.reassembled, totals.forwarded, totals.held), (8, 8, 0));
        assert_eq!(totals.unaccounted(), 0);
    }
}

/// A port that takes all there is.
struct Everything;

impl TxQueue for Everything {
    type Frame = HeapFrame;

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        let taken = frames.len();
        frames.clear();
        taken
    }
}
