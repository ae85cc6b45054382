//! N1, N2 and N3: what the relay says when it starts, who else has its addresses, and lists of next
//! hops.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use etherparse::{Icmpv6Slice, Ipv6Slice};
use vnf::frame::{HeapFrame, TxBurst, TxQueue};
use vnf::side::Side;
use vnf::telemetry::{AlarmKind, WorkerCounters};

use crate::lab::{
    BR1, BR2, Config, EXTERNAL, INTERNAL, LINK_LOCAL, Lab, MACS, NEXT_HOP_MACS, NEXT_HOP4, alices,
};
use crate::link::{
    BROADCAST, Mac, OVERRIDE, SOLICITED, advertisement, frame, group_mac, is_at, solicitation,
    solicited_node, who_has,
};

const STRANGER: Mac = [2, 0, 0, 0, 0, 0x77];
const STRANGER4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const STRANGER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const MLD_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// A port that keeps what is sent.
struct Kept<'a>(&'a mut Vec<Vec<u8>>);

impl TxQueue for Kept<'_> {
    type Frame = HeapFrame;

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        let count = frames.len();
        self.0.extend(frames.drain(..).map(HeapFrame::into_bytes));
        count
    }
}

/// What a relay that was just started says on a side, in each tenth of so many seconds.
fn said(lab: &Lab, side: Side, seconds: u64) -> Vec<(u64, Vec<u8>)> {
    let snapshot = lab.snapshot();
    let mut relay = lab.relay(Arc::new(WorkerCounters::default()));
    let mut said = Vec::new();
    for tenth in 0..seconds * 10 {
        relay.tick(&snapshot, tenth * 100_000_000);
        for on in Side::BOTH {
            let mut frames = Vec::new();
            let _ = relay.send(on, &mut Kept(&mut frames));
            if on == side {
                said.extend(frames.into_iter().map(|frame| (tenth, frame)));
            }
        }
    }
    said
}

#[test]
fn n1_gratuitous_arp_goes_out_at_start_for_our_own_addresses_only() {
    let lab = Lab::configured(|config| config.external = "proxy-arp = true".into());
    let announcement = who_has((MACS[0], EXTERNAL), EXTERNAL);
    // RFC 5227: first a question whether anybody has it.
    let probe = who_has((MACS[0], Ipv4Addr::UNSPECIFIED), EXTERNAL);
    let expected = [(0, probe), (0, announcement.clone()), (20, announcement)];
    assert_eq!(said(&lab, Side::External, 60), expected);
}

#[test]
fn n1_somebody_else_with_our_address_is_an_alarm_and_counted() {
    let mut lab = Lab::new();
    for claim in [
        who_has((STRANGER, EXTERNAL), STRANGER4),
        is_at((STRANGER, EXTERNAL), (MACS[0], STRANGER4)),
        frame(
            STRANGER,
            BROADCAST,
            None,
            0x0806,
            &crate::link::arp(1, (STRANGER, EXTERNAL), ([0; 6], EXTERNAL)),
        ),
    ] {
        let outcome = lab.frame(Side::External, &claim);
        assert_eq!(outcome.counted(Side::External, "address-conflicts"), 1);
        outcome.consumed();
    }
    let alarms = lab.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(
        (alarms[0].kind, alarms[0].side),
        (AlarmKind::DuplicateAddress, Some(Side::External))
    );
    assert_eq!(alarms[0].about, EXTERNAL.to_string());
    // What comes back of our own words is no conflict.
    lab.frame(Side::External, &who_has((MACS[0], EXTERNAL), EXTERNAL)).ignored("arp");
}

#[test]
fn n2_our_addresses_are_probed_once_at_start_but_for_anycast() {
    let lab = Lab::new();
    let solicitations: Vec<_> = said(&lab, Side::Internal, 60)
        .into_iter()
        .filter(|(_, frame)| frame[14 + 6] == 58 && frame[14 + 40] == 135)
        .collect();
    let probe = |address| {
        let group = solicited_node(address);
        let packet = solicitation(Ipv6Addr::UNSPECIFIED, group, address, None);
        (0, frame(MACS[1], group_mac(group), None, 0x86dd, &packet))
    };
    let expected: BTreeSet<_> = [INTERNAL, LINK_LOCAL].map(probe).into();
    assert_eq!(solicitations.len(), 2);
    assert_eq!(solicitations.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn n2_a_conflict_is_an_alarm() {
    let mut lab = Lab::new();
    let claim = advertisement(INTERNAL, ALL_NODES, INTERNAL, STRANGER, OVERRIDE);
    let claim = frame(STRANGER, group_mac(ALL_NODES), None, 0x86dd, &claim);
    let outcome = lab.frame(Side::Internal, &claim);
    assert_eq!(outcome.counted(Side::Internal, "address-conflicts"), 1);
    outcome.consumed();
    let alarms = lab.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(
        (alarms[0].kind, alarms[0].side),
        (AlarmKind::DuplicateAddress, Some(Side::Internal))
    );
    // BR addresses are anycast: others may have them.
    let other = advertisement(BR1, ALL_NODES, BR1, STRANGER, 0);
    let other = frame(STRANGER, group_mac(ALL_NODES), None, 0x86dd, &other);
    let outcome = lab.frame(Side::Internal, &other);
    assert_eq!(outcome.counted(Side::Internal, "address-conflicts"), 0);
    assert_eq!(lab.alarms().len(), 1);
}

const ALONE: &str = "br-anycast = false";

#[test]
fn n2_br_addresses_that_are_not_anycast_are_probed_and_defended() {
    let mut lab = Lab::configured(|config| config.internal = ALONE.into());
    let probe = |from: Mac, address| {
        let group = solicited_node(address);
        let packet = solicitation(Ipv6Addr::UNSPECIFIED, group, address, None);
        frame(from, group_mac(group), None, 0x86dd, &packet)
    };
    let probes: BTreeSet<_> = said(&lab, Side::Internal, 60)
        .into_iter()
        .filter(|(_, frame)| frame[14 + 6] == 58 && frame[14 + 40] == 135)
        .collect();
    let expected = [INTERNAL, LINK_LOCAL, BR1, BR2].map(|address| (0, probe(MACS[1], address)));
    assert_eq!(probes, BTreeSet::from(expected));
    // Questions are answered with the override flag, and somebody else's probe to all nodes.
    let group = solicited_node(BR1);
    let asked = solicitation(STRANGER6, group, BR1, Some(STRANGER));
    let answer = advertisement(BR1, STRANGER6, BR1, MACS[1], SOLICITED | OVERRIDE);
    lab.frame(Side::Internal, &frame(STRANGER, group_mac(group), None, 0x86dd, &asked))
        .answered(&frame(MACS[1], STRANGER, None, 0x86dd, &answer));
    let answer = advertisement(BR1, ALL_NODES, BR1, MACS[1], OVERRIDE);
    lab.frame(Side::Internal, &probe(STRANGER, BR1)).answered(&frame(
        MACS[1],
        group_mac(ALL_NODES),
        None,
        0x86dd,
        &answer,
    ));
    lab.frame(Side::Internal, &probe(MACS[1], BR1)).ignored("ndp");
    // Who else advertises one is an alarm, from that very address too.
    for (from, conflicts) in [(STRANGER6, 1), (BR2, 1)] {
        let claim = advertisement(from, ALL_NODES, BR2, STRANGER, OVERRIDE);
        let claim = frame(STRANGER, group_mac(ALL_NODES), None, 0x86dd, &claim);
        let outcome = lab.frame(Side::Internal, &claim);
        assert_eq!(outcome.counted(Side::Internal, "address-conflicts"), conflicts);
        outcome.consumed();
    }
    let alarms = lab.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(
        (alarms[0].kind, &*alarms[0].about),
        (AlarmKind::DuplicateAddress, &*BR2.to_string())
    );
}

#[test]
fn n2_a_br_address_that_is_an_internal_address_too_is_not_anycast() {
    let mut lab = Lab::configured(|config| {
        config.br_addresses.push(INTERNAL);
    });
    let group = solicited_node(INTERNAL);
    let asked = solicitation(STRANGER6, group, INTERNAL, Some(STRANGER));
    let answer = advertisement(INTERNAL, STRANGER6, INTERNAL, MACS[1], SOLICITED | OVERRIDE);
    lab.frame(Side::Internal, &frame(STRANGER, group_mac(group), None, 0x86dd, &asked))
        .answered(&frame(MACS[1], STRANGER, None, 0x86dd, &answer));
}

#[test]
fn n2_an_mldv2_report_names_each_solicited_node_group() {
    let lab = Lab::new();
    let reports: Vec<Vec<u8>> = said(&lab, Side::Internal, 60)
        .into_iter()
        .map(|(_, frame)| frame)
        // Hop-by-hop options, with a router alert, come before ICMPv6.
        .filter(|frame| frame[14 + 6] == 0)
        .collect();
    assert!(!reports.is_empty());
    let groups: BTreeSet<[u8; 16]> =
        [INTERNAL, LINK_LOCAL, BR1, BR2].map(|address| solicited_node(address).octets()).into();
    for report in reports {
        assert_eq!(report[..6], group_mac(MLD_ROUTERS));
        assert_eq!(report[6..12], MACS[1]);
        let packet = Ipv6Slice::from_slice(&report[14..]).unwrap();
        let header = packet.header().to_header();
        assert_eq!((header.hop_limit, header.source), (1, LINK_LOCAL.octets()));
        assert_eq!(header.destination, MLD_ROUTERS.octets());
        let options = &report[14 + 40..14 + 48];
        assert_eq!(options, [58, 0, 5, 2, 0, 0, 1, 0], "a router alert for MLD");
        let message = &report[14 + 48..];
        let icmp = Icmpv6Slice::from_slice(message).unwrap();
        assert!(icmp.is_checksum_valid(header.source, header.destination));
        assert_eq!(message[0], 143);
        let records = message[8..].chunks(20);
        assert_eq!(usize::from(message[7]), records.len());
        let named: Vec<[u8; 16]> = records
            .map(|record| {
                // From now on from every source: CHANGE_TO_EXCLUDE, and no sources.
                assert_eq!(record[..4], [4, 0, 0, 0]);
                record[4..].try_into().unwrap()
            })
            .collect();
        assert_eq!(named.len(), groups.len());
        assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), groups);
    }
}

const SECOND_HOP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 253);

fn listed(config: &mut Config) {
    config.next_hops[0] = format!("next-hop = [\"{NEXT_HOP4}\", \"{SECOND_HOP}\"]\n");
}

#[test]
fn n3_of_a_list_the_first_that_answers_is_used() {
    let mut lab = Lab::configured(listed);
    let asked = lab.wait(0).sent;
    let questions =
        [NEXT_HOP4, SECOND_HOP].map(|hop| (Side::External, who_has((MACS[0], EXTERNAL), hop)));
    assert_eq!(asked, questions);
    let answer = |mac, hop| is_at((mac, hop), (MACS[0], EXTERNAL));
    let leaves_to = |mac| [(Side::External, frame(MACS[0], mac, None, 0x0800, &alices().aged()))];
    lab.frame(Side::External, &answer(STRANGER, SECOND_HOP)).consumed();
    assert_eq!(lab.alice_sends(&alices()).sent, leaves_to(STRANGER));
    lab.frame(Side::External, &answer(NEXT_HOP_MACS[0], NEXT_HOP4)).consumed();
    assert_eq!(lab.alice_sends(&alices()).sent, leaves_to(NEXT_HOP_MACS[0]));
}

#[test]
fn n3_a_next_hop_that_stays_unknown_is_an_alarm() {
    let mut lab = Lab::configured(Config::ask_for_next_hops);
    drop(lab.wait(0));
    assert!(lab.alarms().is_empty());
    for _ in 0..80 {
        drop(lab.wait(100));
    }
    let alarms = lab.alarms();
    assert_eq!(alarms.len(), 2, "{alarms:?}");
    assert!(alarms.iter().all(|alarm| alarm.kind == AlarmKind::NextHopUnresolved));
    lab.frame(Side::External, &is_at((NEXT_HOP_MACS[0], NEXT_HOP4), (MACS[0], EXTERNAL)))
        .consumed();
    assert_eq!(lab.alarms().len(), 1);
}
