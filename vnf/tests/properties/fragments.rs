//! Fragments in any order, repeated, lost and overlapped: never a wrong packet, and every frame
//! accounted for.

use proptest::prelude::*;
use proptest::sample::Index;
use vnf::side::Side;

use crate::oracle;
use crate::packets::{Datagram, any_datagram};
use crate::setup::{self, B4, BR, HOST, SHARED, Softwire};

/// Shared by 16, so that a port is needed.
fn shared() -> Softwire {
    Softwire::shared(0, 4, 3)
}

/// A port of it, and of its neighbour.
const PORT: u16 = 0x3039;
const OTHER_PORT: u16 = 0x4039;

/// Where a packet of `len` bytes is cut, at multiples of 8.
fn cuts(len: usize, at: &[Index]) -> Vec<(usize, usize)> {
    let mut ends: Vec<usize> = at.iter().map(|at| at.index(len.div_ceil(8)) * 8).collect();
    ends.extend([0, len]);
    ends.sort_unstable();
    ends.dedup();
    ends.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// An IPv6 fragment of a tunnelled packet.
fn piece6(packet: &[u8], (start, end): (usize, usize), identification: u32) -> Vec<u8> {
    let more = u16::from(end < packet.len());
    let field = (start as u16 | more).to_be_bytes();
    let id = identification.to_be_bytes();
    let mut bytes = [
        &[0x60, 0, 0, 0, 0, 0, 44, 64][..],
        &B4.octets(),
        &BR.octets(),
        &[4, 0, field[0], field[1], id[0], id[1], id[2], id[3]],
        &packet[start..end],
    ]
    .concat();
    let len = (bytes.len() - 40) as u16;
    bytes[4..6].copy_from_slice(&len.to_be_bytes());
    setup::from_b4(&bytes)
}

/// Any order of `count` things, with some repeated.
fn order(count: usize, picks: &[Index]) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..count).chain(picks.iter().map(|pick| pick.index(count))).collect();
    for (at, pick) in picks.iter().enumerate() {
        let (len, from) = (order.len(), at % order.len());
        order.swap(from, pick.index(len));
    }
    order
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// F1: whatever the order, the packet comes out once, as it was, when its last piece has come.
    /// (Copies that come later wait in vain.)
    #[test]
    fn what_was_cut_comes_out_whole(
        datagram in any_datagram(),
        at in prop::collection::vec(any::<Index>(), 0..20),
        picks in prop::collection::vec(any::<Index>(), 0..30),
        lost in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let mut session = setup::session(&shared(), "");
        let packet = datagram.between((SHARED, PORT), (HOST, 53));
        let pieces = cuts(packet.len(), &at);
        let lost = lost.map(|lost| lost.index(pieces.len()));
        let mut missing: std::collections::HashSet<usize> = (0..pieces.len()).collect();
        for (now, which) in (1..).zip(order(pieces.len(), &picks)) {
            if Some(which) == lost {
                continue;
            }
            let was_whole = missing.is_empty();
            missing.remove(&which);
            session.receive(Side::Internal, now * 1_000, &piece6(&packet, pieces[which], 7));
            let sent = session.take_output();
            if missing.is_empty() && !was_whole {
                prop_assert_eq!(sent.len(), 1);
                prop_assert_eq!(setup::payload(&sent[0].1), datagram.aged(&packet, 1));
            } else if pieces.len() > 1 && !was_whole {
                prop_assert!(sent.is_empty());
            }
        }
        session.advance(200_000_000_000);
        prop_assert_eq!(session.totals(Side::Internal).held, 0);
        oracle::balanced(&session)?;
    }

    /// F1, RFC 5722: pieces of another packet with the same identification among them, cut
    /// elsewhere. What comes out is one of both, never a mixture.
    #[test]
    fn overlaps_never_make_a_packet_that_nobody_sent(
        (one, other) in (any_datagram(), any_datagram()),
        at in prop::collection::vec(any::<Index>(), 1..6),
        at_other in prop::collection::vec(any::<Index>(), 1..6),
        picks in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let mut session = setup::session(&shared(), "");
        let packets = [
            one.between((SHARED, PORT), (HOST, 53)),
            other.between((SHARED, PORT + 1), (HOST, 54)),
        ];
        let both = [cuts(packets[0].len(), &at), cuts(packets[1].len(), &at_other)];
        // Where both are cut at one place nobody could tell the halves apart.
        prop_assume!(both[0].iter().skip(1).all(|(at, _)| both[1].iter().all(|(b, _)| at != b)));
        let mut frames: Vec<Vec<u8>> = Vec::new();
        for (packet, cuts) in packets.iter().zip(&both) {
            frames.extend(cuts.iter().map(|cut| piece6(packet, *cut, 7)));
        }
        let right = [one.aged(&packets[0], 1), other.aged(&packets[1], 1)];
        for (now, which) in (1..).zip(order(frames.len(), &picks)) {
            session.receive(Side::Internal, now * 1_000, &frames[which]);
            for (side, sent) in session.take_output() {
                prop_assert_eq!(side, Side::External);
                prop_assert!(right.iter().any(|right| setup::payload(&sent) == &right[..]));
            }
        }
        session.advance(200_000_000_000);
        prop_assert_eq!(session.totals(Side::Internal).held, 0);
        oracle::balanced(&session)?;
    }

    /// F2: each IPv4 fragment goes to the B4 of its packet's port, unchanged but for its TTL; F3:
    /// and comes from there.
    #[test]
    fn ipv4_fragments_follow_their_first(
        payload in prop::collection::vec(any::<u8>(), 40..3000),
        offsets in prop::collection::vec(2..400_u16, 1..8),
        picks in prop::collection::vec(any::<Index>(), 0..12),
        (ours, outbound) in (any::<bool>(), any::<bool>()),
    ) {
        let mut session = setup::session(&shared(), "generate-icmpv4-errors = false\n\
            generate-icmpv6-errors = false");
        let datagram = Datagram::udp(payload);
        let subscriber = (SHARED, if ours { PORT } else { OTHER_PORT });
        let (from, to) =
            if outbound { (subscriber, (HOST, 53)) } else { ((HOST, 53), subscriber) };
        let mut pieces = vec![datagram.fragment(true, 0, from, to)];
        pieces.extend(offsets.iter().map(|&at| datagram.fragment(at % 2 == 0, at, from, to)));
        let (mut waiting, mut first_came) = (0, false);
        for (now, which) in (1..).zip(order(pieces.len(), &picks)) {
            let (side, frame) = if outbound {
                (Side::Internal, setup::from_b4(&setup::tunnelled(&pieces[which])))
            } else {
                (Side::External, setup::from_internet(&pieces[which]))
            };
            session.receive(side, now * 1_000, &frame);
            let sent = session.take_output();
            let expected = match (which, first_came) {
                (0, false) => 1 + std::mem::take(&mut waiting),
                (_, true) => 1,
                (_, false) => {
                    waiting = usize::min(waiting + 1, 4);
                    0
                }
            };
            first_came |= which == 0;
            prop_assert_eq!(sent.len(), if ours { expected } else { 0 });
            for (_, frame) in sent {
                let packet = setup::payload(&frame);
                let inner = if outbound { packet } else { &packet[40..] };
                prop_assert!(pieces.iter().any(|piece| datagram.aged(piece, 1) == inner));
                prop_assert!(outbound || packet[24..40] == B4.octets());
            }
            oracle::balanced(&session)?;
        }
    }
}

/// F6: fragments whose packets never become whole, from everywhere, of both kinds; what else comes
/// is forwarded all the same, and when time has passed nothing is left.
#[test]
fn a_flood_of_fragments_takes_nothing_from_others() {
    let mut session = setup::session(&shared(), "");
    let datagram = Datagram::udp(vec![7; 1000]);
    let packet = datagram.between((HOST, 53), (SHARED, PORT));
    let whole = datagram.between((SHARED, PORT), (HOST, 53));
    for number in 0..40_000_u32 {
        let now = u64::from(number) * 1_000;
        let mut stray = datagram.fragment(true, 9, (HOST, 53), (SHARED, PORT));
        stray[12..16].copy_from_slice(&(0x0a00_0000 + number).to_be_bytes());
        setup::fix_checksum(&mut stray);
        session.receive(Side::External, now, &setup::from_internet(&stray));
        let mut stray = piece6(&whole, (0, 800), number);
        // Another source each time.
        stray[14 + 8 + 12..14 + 8 + 16].copy_from_slice(&number.to_be_bytes());
        session.receive(Side::Internal, now, &stray);
        assert!(session.take_output().is_empty());
        if number % 1000 == 0 {
            session.receive(Side::External, now, &setup::from_internet(&packet));
            session.receive(Side::Internal, now, &setup::from_b4(&setup::tunnelled(&whole)));
            assert_eq!(session.take_output().len(), 2);
            let [external, internal] = Side::BOTH.map(|side| session.totals(side).held);
            assert!(external <= 512 && internal <= 16_384, "{external} and {internal} wait");
        }
    }
    session.advance(70_000_000_000);
    assert_eq!(Side::BOTH.map(|side| session.totals(side).held), [0, 0]);
    oracle::balanced(&session).unwrap();
}
