//! Captures: frames as they came, as they left, and why they were dropped (A2 at full length).

use std::sync::Arc;

use vnf::capture::{Capture, Direction, Event, Record, Ring, Slot, Wanted, Way};
use vnf::side::Side;
use vnf::softwire::{PortSet, Softwire};
use vnf::telemetry::{DropReason, IgnoreReason};

use crate::lab::{
    ALICE, ALICES, BOBS, BR1, Config, DNS, Lab, NOBODYS, SHARED, UNKNOWN, alices, at_alice,
    to_alice,
};
use crate::packets::{Bytes as _, Ipv4};
use crate::tunnel::Ipv6;

const ALL: Wanted = Wanted { drops: None, direction: None, softwires: None, snap_length: 65_535 };

const DROPS: Wanted = Wanted { drops: Some(Vec::new()), ..ALL };

/// A capture that runs on this relay.
struct Running {
    slot: Slot,
    capture: Arc<Capture>,
}

impl Running {
    fn start(lab: &mut Lab, wanted: Wanted) -> Self {
        let slot = Slot::default();
        lab.watch_captures(Arc::clone(&slot));
        let capture = Arc::new(Capture { wanted, ring: Ring::new(1 << 20) });
        slot.store(Some(Arc::clone(&capture)));
        let _ = lab.wait(200);
        Self { slot, capture }
    }

    fn take(&self) -> Vec<Record> {
        let mut records = Vec::new();
        self.capture.ring.take(usize::MAX, &mut records);
        records
    }

    fn events(&self) -> Vec<(Side, Event)> {
        self.take().iter().map(|record| (record.side, record.event)).collect()
    }
}

const RECEIVED: (Side, Event) = (Side::External, Event::Received);
const TUNNELLED: (Side, Event) = (Side::Internal, Event::Sent(Way::Forwarded));

#[test]
fn a2_a_packet_is_seen_as_it_came_and_as_it_left() {
    let mut lab = Lab::new();
    let running = Running::start(&mut lab, ALL);
    let came = lab.incoming(Side::External, &to_alice());
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    let records = running.take();
    let [first, second] = &records[..] else { panic!("{records:?}") };
    assert_eq!((first.side, first.event), RECEIVED);
    assert_eq!(first.frame, came);
    assert_eq!((second.side, second.event), TUNNELLED);
    assert_eq!(second.frame.len(), came.len() + 40);
    assert_eq!(second.length as usize, came.len() + 40);
    assert!(first.time > 1_600_000_000_000_000_000, "the time of day");
    assert_eq!(first.time, second.time);
}

#[test]
fn a2_every_fate_has_its_event() {
    let mut lab = Lab::new();
    let running = Running::start(&mut lab, ALL);
    let dropped = |side, reason| (side, Event::Dropped(reason));
    let own = |side| (side, Event::Sent(Way::Originated));
    // E7, and the sender is told.
    let _ = lab.internet_sends(&Ipv4::udp(DNS, (UNKNOWN, 7), 8));
    let reason = DropReason::NoSoftwire;
    assert_eq!(running.events(), [dropped(Side::External, reason), own(Side::External)]);
    // D2.
    let _ = lab.b4s_send(&Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(BOBS, DNS, 8)));
    let reason = DropReason::SourceWrongB4;
    assert_eq!(running.events(), [dropped(Side::Internal, reason), own(Side::Internal)]);
    // D6.
    let _ = lab.alice_sends(&Ipv4::udp(ALICES, BOBS, 8));
    let hairpinned = (Side::Internal, Event::Sent(Way::Hairpinned));
    assert_eq!(running.events(), [(Side::Internal, Event::Received), hairpinned]);
    // P1.
    let _ = lab.frame(
        Side::External,
        &[[1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 9, 9, 0, 38].as_slice(), &[0; 46]].concat(),
    );
    let ignored = Event::Ignored(IgnoreReason::LinkControl);
    assert_eq!(running.events(), [(Side::External, ignored)]);
}

#[test]
fn a2_only_drops_of_a_reason() {
    let mut lab = Lab::new();
    let wanted = Wanted { drops: Some(vec![DropReason::SourceWrongB4]), ..ALL };
    let running = Running::start(&mut lab, wanted);
    let _ = lab.internet_sends(&to_alice());
    let _ = lab.internet_sends(&Ipv4::udp(DNS, NOBODYS, 8));
    let spoofed = Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(BOBS, DNS, 8));
    let frame = lab.incoming(Side::Internal, &spoofed);
    // All of a burst, not only the first of them (as the examples of A2).
    let _ = lab.burst(Side::Internal, &[&frame, &frame, &frame]);
    let records = running.take();
    assert_eq!(records.len(), 3);
    for record in records {
        assert_eq!(record.event, Event::Dropped(DropReason::SourceWrongB4));
        assert_eq!(record.frame, frame);
    }
}

#[test]
fn a2_drops_by_an_egress_filter_are_seen_as_they_would_have_left() {
    let mut lab = Lab::configured(|config: &mut Config| {
        config.internal = "egress-filter = \"not ip6\"\n".to_owned();
    });
    let running = Running::start(&mut lab, DROPS);
    lab.internet_sends(&to_alice()).dropped("filter-egress");
    let records = running.take();
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.event, Event::Dropped(DropReason::FilterEgress));
    assert_eq!(record.frame[14..], at_alice(&to_alice().aged()).bytes());
}

/// Also frames that waited in vain for others of their packet are among the drops, as they came.
#[test]
fn a2_fragments_that_are_given_up_are_seen() {
    let mut lab = Lab::new();
    let running = Running::start(&mut lab, DROPS);
    let whole = Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(ALICES, DNS, 900));
    let mut pieces = vec![whole.piece(0..400, 1), whole.piece(400..800, 1)];
    pieces.extend([whole.piece(0..400, 2), whole.piece(392..928, 2)]);
    let frames: Vec<_> = pieces.iter().map(|piece| lab.incoming(Side::Internal, piece)).collect();
    let dropped = |reason| (Side::Internal, Event::Dropped(reason));
    for piece in &pieces[..3] {
        let _ = lab.b4s_send(piece);
    }
    assert_eq!(running.events(), []);
    // The last contradicts the one before, which is not used either.
    let _ = lab.b4s_send(&pieces[3]);
    let records = running.take();
    let overlap = dropped(DropReason::Ipv6FragmentOverlap);
    assert!(records.iter().all(|record| (record.side, record.event) == overlap), "{records:?}");
    let seen: Vec<_> = records.iter().map(|record| record.frame.clone()).collect();
    assert_eq!(seen, frames[2..]);
    // Nothing more comes of the first packet.
    let _ = lab.wait(61_000);
    let records = running.take();
    let seen: Vec<_> = records.iter().map(|record| record.frame.clone()).collect();
    assert_eq!(seen, frames[..2]);
    let late = dropped(DropReason::Ipv6FragmentTimeout);
    assert!(records.iter().all(|record| (record.side, record.event) == late), "{records:?}");
    assert_eq!(records[0].length as usize, frames[0].len());
}

#[test]
fn a2_one_softwire_and_nobody_elses_frames() {
    let mut lab = Lab::new();
    let alice =
        Softwire { ipv4: SHARED, port_set: PortSet::new(0, 8, 0x12).unwrap(), b4: ALICE, br: BR1 };
    let running = Running::start(&mut lab, Wanted { softwires: Some(vec![alice]), ..ALL });
    let _ = lab.internet_sends(&to_alice());
    let _ = lab.internet_sends(&Ipv4::udp(DNS, BOBS, 8));
    let _ = lab.internet_sends(&Ipv4::udp(DNS, NOBODYS, 8));
    assert_eq!(running.events(), [RECEIVED, TUNNELLED]);
    let _ = lab.alice_sends(&alices());
    let left = (Side::External, Event::Sent(Way::Forwarded));
    assert_eq!(running.events(), [(Side::Internal, Event::Received), left]);
    // Somebody else claims to be her: her address and port, not her B4.
    let _ = lab.b4s_send(&Ipv6::tunnel(crate::lab::BOB, BR1, &alices()));
    assert_eq!(running.events()[0].1, Event::Dropped(DropReason::SourceWrongB4));
    // What has no IPv4 packet in it, by her B4's address.
    let _ = lab.b4s_send(&Ipv6::icmp(ALICE, BR1, (128, 0), [0; 4], &[1, 2, 3]));
    assert_eq!(running.events().len(), 2, "her ping of the BR and its answer");
}

#[test]
fn a2_one_direction_and_the_headers_only() {
    let mut lab = Lab::new();
    let wanted = Wanted { direction: Some(Direction::ToB4), snap_length: 34, ..ALL };
    let running = Running::start(&mut lab, wanted);
    let _ = lab.alice_sends(&alices());
    let _ = lab.internet_sends(&to_alice());
    let records = running.take();
    let seen: Vec<_> = records.iter().map(|record| (record.side, record.event)).collect();
    assert_eq!(seen, [RECEIVED, TUNNELLED]);
    for record in records {
        assert_eq!(record.frame.len(), 34);
        assert!(record.length > 34);
    }
}

#[test]
fn a2_a_full_ring_loses_frames_and_the_relay_none() {
    let mut lab = Lab::new();
    let slot = Slot::default();
    lab.watch_captures(Arc::clone(&slot));
    let capture = Arc::new(Capture { wanted: ALL, ring: Ring::new(1 << 10) });
    slot.store(Some(Arc::clone(&capture)));
    let _ = lab.wait(200);
    for _ in 0..100 {
        lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    }
    let mut records = Vec::new();
    capture.ring.take(usize::MAX, &mut records);
    assert!(!records.is_empty());
    assert_eq!(records.len() as u64 + capture.ring.lost(), 200);
}

#[test]
fn a2_after_its_end_nothing_is_captured_and_nobody_holds_it() {
    let mut lab = Lab::new();
    let running = Running::start(&mut lab, ALL);
    let _ = lab.internet_sends(&to_alice());
    assert_eq!(running.take().len(), 2);
    running.slot.store(None);
    let _ = lab.wait(200);
    let _ = lab.internet_sends(&to_alice());
    assert_eq!(running.take(), []);
    assert_eq!(Arc::strong_count(&running.capture), 1);
}
