//! N1 to N4: on the link.

use std::net::{Ipv4Addr, Ipv6Addr};

use vnf::side::Side;

use crate::lab::{
    ALICE, ALICES, BR1, BR2, Config, DAVES, EXTERNAL, HOST, INTERNAL, LINK_LOCAL, Lab, MACS,
    NEXT_HOP_MACS, NEXT_HOP4, NEXT_HOP6, SHARED, UNKNOWN, WHOLE, alices, at_alice, at_dave,
    our_error, our_error6, to_alice,
};
use crate::link::{
    BROADCAST, Mac, OVERRIDE, SOLICITED, advertisement, arp, frame, group_mac, is_at, solicitation,
    solicited_node, who_has,
};
use crate::packets::{Bytes, Ipv4, data, with_bytes};
use crate::tunnel::Ipv6;

const STRANGER: Mac = [2, 0, 0, 0, 0, 0x77];
const STRANGER4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const STRANGER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

#[test]
fn n1_requests_for_our_address_are_answered() {
    let mut lab = Lab::new();
    let answer = is_at((MACS[0], EXTERNAL), (STRANGER, STRANGER4));
    lab.frame(Side::External, &who_has((STRANGER, STRANGER4), EXTERNAL)).answered(&answer);
    // A probe has no sender address yet.
    let answer = is_at((MACS[0], EXTERNAL), (STRANGER, Ipv4Addr::UNSPECIFIED));
    let probe = who_has((STRANGER, Ipv4Addr::UNSPECIFIED), EXTERNAL);
    lab.frame(Side::External, &probe).answered(&answer);
    // To the hardware address in the request, whoever sends the frame.
    let request = arp(1, (STRANGER, STRANGER4), ([0; 6], EXTERNAL));
    let relayed = frame(NEXT_HOP_MACS[0], BROADCAST, None, 0x0806, &request);
    let answer = is_at((MACS[0], EXTERNAL), (STRANGER, STRANGER4));
    lab.frame(Side::External, &relayed).answered(&answer);
    lab.frame(Side::External, &who_has((STRANGER, STRANGER4), SHARED)).ignored("arp");
}

#[test]
fn n1_proxy_arp_answers_for_the_tables_addresses() {
    let mut lab = Lab::configured(|config| config.external = "proxy-arp = true".into());
    for address in [SHARED, WHOLE, EXTERNAL] {
        let answer = is_at((MACS[0], address), (STRANGER, STRANGER4));
        lab.frame(Side::External, &who_has((STRANGER, STRANGER4), address)).answered(&answer);
    }
    lab.frame(Side::External, &who_has((STRANGER, STRANGER4), UNKNOWN)).ignored("arp");
}

#[test]
fn n1_what_others_say_of_a_softwires_address_is_not_answered_but_a_probe_is() {
    let mut lab = Lab::configured(|config| config.external = "proxy-arp = true".into());
    // Announced by a question, as most do, and by an answer.
    lab.frame(Side::External, &who_has((STRANGER, SHARED), SHARED)).ignored("arp");
    let announced = arp(2, (STRANGER, SHARED), (BROADCAST, SHARED));
    let announced = frame(STRANGER, BROADCAST, None, 0x0806, &announced);
    lab.frame(Side::External, &announced).ignored("arp");
    assert_eq!(lab.alarms(), []);
    // RFC 5227: who wants the address is told that it is taken, by a subscriber.
    let answer = is_at((MACS[0], SHARED), (STRANGER, Ipv4Addr::UNSPECIFIED));
    lab.frame(Side::External, &who_has((STRANGER, Ipv4Addr::UNSPECIFIED), SHARED))
        .answered(&answer);
    // Without the key it is nobody's here.
    let mut lab = Lab::new();
    lab.frame(Side::External, &who_has((STRANGER, Ipv4Addr::UNSPECIFIED), SHARED)).ignored("arp");
}

#[test]
fn n1_our_own_probe_that_comes_back_is_not_answered() {
    let mut lab = Lab::new();
    let probe = who_has((MACS[0], Ipv4Addr::UNSPECIFIED), EXTERNAL);
    lab.frame(Side::External, &probe).ignored("arp");
    assert_eq!(lab.alarms(), []);
}

/// We never ask from a subscriber's address, so what is told to it is no answer.
#[test]
fn n1_an_answer_to_a_softwires_address_makes_no_next_hop_known() {
    let mut lab = Lab::configured(|config| {
        config.external = "proxy-arp = true".into();
        config.ask_for_next_hops();
    });
    drop(lab.wait(0));
    let told = is_at((NEXT_HOP_MACS[0], NEXT_HOP4), (MACS[0], SHARED));
    lab.frame(Side::External, &told).consumed();
    assert_eq!(lab.alice_sends(&alices()).fate(), "held-packets");
    let outcome = lab.frame(Side::External, &next_hop4_answers(NEXT_HOP_MACS[0]));
    assert_eq!(outcome.packets(Side::External), [alices().aged().bytes()]);
}

const TURN_AWAY: &str = "stop-answering-when-down = true";

#[test]
fn n1_a_silent_side_does_not_answer_arp() {
    let request = who_has((STRANGER, STRANGER4), EXTERNAL);
    let mut lab = Lab::configured(|config| {
        config.policy = TURN_AWAY.into();
        config.external = "proxy-arp = true".into();
    });
    lab.silence(Side::Internal, true);
    lab.frame(Side::External, &request)
        .answered(&is_at((MACS[0], EXTERNAL), (STRANGER, STRANGER4)));
    lab.silence(Side::External, true);
    lab.frame(Side::External, &request).consumed();
    lab.frame(Side::External, &who_has((STRANGER, STRANGER4), SHARED)).consumed();
    // It forwards what comes, and hears what others say.
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    lab.frame(Side::External, &who_has((STRANGER, EXTERNAL), STRANGER4)).consumed();
    assert_eq!(lab.alarms().len(), 1);
    lab.silence(Side::External, false);
    lab.frame(Side::External, &request)
        .answered(&is_at((MACS[0], EXTERNAL), (STRANGER, STRANGER4)));
    // Only where the policy says so.
    let mut lab = Lab::new();
    lab.silence(Side::External, true);
    lab.frame(Side::External, &request)
        .answered(&is_at((MACS[0], EXTERNAL), (STRANGER, STRANGER4)));
}

#[test]
fn n2_a_silent_side_does_not_answer_solicitations() {
    let mut lab = Lab::with_policy(TURN_AWAY);
    lab.silence(Side::Internal, true);
    for target in [INTERNAL, LINK_LOCAL, BR1] {
        lab.frame(Side::Internal, &solicit(target, Some(STRANGER))).consumed();
    }
    lab.silence(Side::Internal, false);
    let answer = advertisement(BR1, STRANGER6, BR1, MACS[1], SOLICITED);
    let answer = frame(MACS[1], STRANGER, None, 0x86dd, &answer);
    lab.frame(Side::Internal, &solicit(BR1, Some(STRANGER))).answered(&answer);
}

#[test]
fn n3_a_silent_side_does_not_ask_for_its_next_hops() {
    let mut lab = Lab::configured(|config| {
        config.policy = TURN_AWAY.into();
        config.ask_for_next_hops();
    });
    lab.silence(Side::Internal, true);
    let [external, internal] = questions().map(|question| vec![question]);
    assert_eq!(lab.wait(0).sent, external);
    lab.silence(Side::External, true);
    assert_eq!(lab.wait(60_000).sent, []);
    lab.silence(Side::Internal, false);
    assert_eq!(lab.wait(100).sent, internal);
}

#[test]
fn n1_arp_that_contradicts_itself_is_malformed() {
    let mut lab = Lab::new();
    let right = who_has((STRANGER, STRANGER4), EXTERNAL);
    // Hardware type, protocol type, lengths, operation.
    for (at, value) in [(15, 6), (16, 9), (18, 8), (19, 16), (21, 9)] {
        let wrong = with_bytes(&right, &[(at, value)]);
        let outcome = lab.frame(Side::External, &wrong);
        assert_eq!(outcome.fate(), "drop arp-malformed", "byte {at}");
        assert!(outcome.sent.is_empty());
    }
    let group = ([1, 0, 0x5e, 0, 0, 1], STRANGER4);
    let from_group = arp(1, group, ([0; 6], EXTERNAL));
    let from_group = frame(STRANGER, BROADCAST, None, 0x0806, &from_group);
    lab.frame(Side::External, &from_group).dropped("arp-malformed");
    lab.frame(Side::External, &right[..41]).dropped("frame-too-short");
}

/// A solicitation from a stranger to an address's group, in its frame.
fn solicit(target: Ipv6Addr, mac: Option<Mac>) -> Vec<u8> {
    let group = solicited_node(target);
    let packet = solicitation(STRANGER6, group, target, mac);
    frame(STRANGER, group_mac(group), None, 0x86dd, &packet)
}

#[test]
fn n2_solicitations_for_our_addresses_are_answered() {
    let mut lab = Lab::new();
    // BR addresses are anycast: they do not override.
    for (target, flags) in [
        (INTERNAL, SOLICITED | OVERRIDE),
        (LINK_LOCAL, SOLICITED | OVERRIDE),
        (BR1, SOLICITED),
        (BR2, SOLICITED),
    ] {
        let answer = advertisement(target, STRANGER6, target, MACS[1], flags);
        let answer = frame(MACS[1], STRANGER, None, 0x86dd, &answer);
        lab.frame(Side::Internal, &solicit(target, Some(STRANGER))).answered(&answer);
        // Without the option the answer goes to the frame's source.
        lab.frame(Side::Internal, &solicit(target, None)).answered(&answer);
        // Asked of us alone.
        let asked = solicitation(STRANGER6, target, target, Some(STRANGER));
        let asked = frame(NEXT_HOP_MACS[1], MACS[1], None, 0x86dd, &asked);
        lab.frame(Side::Internal, &asked).answered(&answer);
    }
    lab.frame(Side::Internal, &solicit(NEXT_HOP6, Some(STRANGER))).ignored("ndp");
}

#[test]
fn n2_a_probe_is_answered_to_all_nodes_but_for_anycast() {
    let mut lab = Lab::new();
    let probe = |target| {
        let group = solicited_node(target);
        let packet = solicitation(Ipv6Addr::UNSPECIFIED, group, target, None);
        frame(STRANGER, group_mac(group), None, 0x86dd, &packet)
    };
    let answer = advertisement(INTERNAL, ALL_NODES, INTERNAL, MACS[1], OVERRIDE);
    let answer = frame(MACS[1], group_mac(ALL_NODES), None, 0x86dd, &answer);
    lab.frame(Side::Internal, &probe(INTERNAL)).answered(&answer);
    lab.frame(Side::Internal, &probe(BR1)).consumed();
    // A probe says nothing of its sender, and goes to the group.
    let group = solicited_node(INTERNAL);
    let with_mac = solicitation(Ipv6Addr::UNSPECIFIED, group, INTERNAL, Some(STRANGER));
    let with_mac = frame(STRANGER, group_mac(group), None, 0x86dd, &with_mac);
    lab.frame(Side::Internal, &with_mac).dropped("ndp-malformed");
    let direct = solicitation(Ipv6Addr::UNSPECIFIED, INTERNAL, INTERNAL, None);
    lab.b4s_send(&direct).dropped("ndp-malformed");
}

#[test]
fn n2_what_rfc_4861_says_to_discard_is_discarded() {
    let mut lab = Lab::new();
    let right = || solicitation(STRANGER6, INTERNAL, INTERNAL, Some(STRANGER));
    lab.b4s_send(&right().hop_limit(254)).dropped("ndp-malformed");
    let icmp = |kind, target: Ipv6Addr, rest: &[u8]| {
        let body = [&target.octets()[..], rest].concat();
        Ipv6::icmp(STRANGER6, INTERNAL, kind, [0; 4], &body).hop_limit(255)
    };
    // Code, target, an option without length or beyond the end, too short.
    lab.b4s_send(&icmp((135, 1), INTERNAL, &[])).dropped("ndp-malformed");
    lab.b4s_send(&icmp((135, 0), ALL_NODES, &[])).dropped("ndp-malformed");
    lab.b4s_send(&icmp((135, 0), INTERNAL, &[1, 0, 2, 0, 0, 0, 0, 9])).dropped("ndp-malformed");
    lab.b4s_send(&icmp((135, 0), INTERNAL, &[1, 2, 2, 0, 0, 0, 0, 9])).dropped("ndp-malformed");
    let short = Ipv6::icmp(STRANGER6, INTERNAL, (135, 0), [0; 4], &[0; 15]).hop_limit(255);
    lab.b4s_send(&short).dropped("ndp-malformed");
    lab.b4s_send(&with_bytes(&right(), &[(42, 9), (43, 9)])).dropped("icmpv6-bad-checksum");
    // An advertisement to a group cannot have been solicited.
    let advertised = advertisement(STRANGER6, ALL_NODES, NEXT_HOP6, STRANGER, SOLICITED);
    let advertised = frame(STRANGER, group_mac(ALL_NODES), None, 0x86dd, &advertised);
    lab.frame(Side::Internal, &advertised).dropped("ndp-malformed");
}

#[test]
fn n2_received_packets_never_make_a_neighbour_known() {
    let mut lab = Lab::configured(Config::ask_for_next_hops);
    drop(lab.wait(0));
    // The next hops speak, but answer nothing.
    let asked = who_has((NEXT_HOP_MACS[0], NEXT_HOP4), EXTERNAL);
    let answer = is_at((MACS[0], EXTERNAL), (NEXT_HOP_MACS[0], NEXT_HOP4));
    lab.frame(Side::External, &asked).answered(&answer);
    let asked = solicitation(NEXT_HOP6, INTERNAL, INTERNAL, Some(NEXT_HOP_MACS[1]));
    assert_eq!(lab.b4s_send(&asked).fate(), "answered-packets");
    assert_eq!(lab.internet_sends(&to_alice()).fate(), "held-packets");
    assert_eq!(lab.alice_sends(&alices()).fate(), "held-packets");
}

/// What the relay asks the link for when it starts.
fn questions() -> [(Side, Vec<u8>); 2] {
    let group = solicited_node(NEXT_HOP6);
    let solicited = solicitation(INTERNAL, group, NEXT_HOP6, Some(MACS[1]));
    [
        (Side::External, who_has((MACS[0], EXTERNAL), NEXT_HOP4)),
        (Side::Internal, frame(MACS[1], group_mac(group), None, 0x86dd, &solicited)),
    ]
}

fn next_hop4_answers(mac: Mac) -> Vec<u8> {
    is_at((mac, NEXT_HOP4), (MACS[0], EXTERNAL))
}

fn next_hop6_answers(mac: Mac, flags: u8) -> Vec<u8> {
    let answer = advertisement(NEXT_HOP6, INTERNAL, NEXT_HOP6, mac, flags);
    frame(mac, MACS[1], None, 0x86dd, &answer)
}

#[test]
fn n3_next_hops_are_asked_for_at_once_then_ever_slower_and_for_ever() {
    let mut lab = Lab::configured(Config::ask_for_next_hops);
    let mut asked = Vec::new();
    for tenth in 0..400_u64 {
        let sent = lab.wait(if tenth == 0 { 0 } else { 100 }).sent;
        let ours = questions();
        assert!(sent.iter().all(|frame| ours.contains(frame)), "{sent:02x?}");
        if !sent.is_empty() {
            assert_eq!(sent, ours);
            asked.push(tenth);
        }
    }
    assert_eq!(asked, [0, 10, 30, 70, 150, 230, 310, 390]);
}

#[test]
fn n3_a_link_local_next_hop_is_asked_from_our_link_local_address() {
    let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
    let mut lab = Lab::configured(|config| {
        config.next_hops[1] = format!("next-hop = \"{router}\"\n");
    });
    let group = solicited_node(router);
    let asked = solicitation(LINK_LOCAL, group, router, Some(MACS[1]));
    let asked = frame(MACS[1], group_mac(group), None, 0x86dd, &asked);
    assert_eq!(lab.wait(0).sent, [(Side::Internal, asked)]);
}

#[test]
fn n3_what_waits_leaves_when_the_next_hop_answers() {
    let mut lab = Lab::configured(Config::ask_for_next_hops);
    drop(lab.wait(0));
    assert_eq!(lab.internet_sends(&to_alice()).fate(), "held-packets");
    assert_eq!(lab.alice_sends(&alices()).fate(), "held-packets");
    let outcome = lab.frame(Side::External, &next_hop4_answers(NEXT_HOP_MACS[0]));
    assert_eq!(outcome.packets(Side::External), [alices().aged().bytes()]);
    assert_eq!(outcome.counted(Side::Internal, "forwarded-packets"), 1);
    let flags = SOLICITED | OVERRIDE;
    let outcome = lab.frame(Side::Internal, &next_hop6_answers(NEXT_HOP_MACS[1], flags));
    assert_eq!(outcome.packets(Side::Internal), [at_alice(&to_alice().aged()).bytes()]);
    assert_eq!(outcome.counted(Side::External, "forwarded-packets"), 1);
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
}

/// A packet from one B4 to another that waits is decided about twice, and counted once.
#[test]
fn a3_a_hairpin_that_waits_is_counted_once() {
    let mut lab = Lab::configured(|config| {
        config.ask_for_next_hops();
        config.softwires = "counters = true".into();
    });
    drop(lab.wait(0));
    assert_eq!(lab.alice_sends(&Ipv4::udp(ALICES, DAVES, 50)).fate(), "held-packets");
    assert!(lab.tallies().is_empty());
    let answer = next_hop6_answers(NEXT_HOP_MACS[1], SOLICITED | OVERRIDE);
    let outcome = lab.frame(Side::Internal, &answer);
    assert_eq!(outcome.counted(Side::Internal, "hairpinned-packets"), 1);
    for (softwire, tally) in lab.tallies() {
        let from_alice = softwire.b4 == ALICE;
        let expected = if from_alice { (1, 0) } else { (0, 1) };
        assert_eq!((tally.from_b4_packets, tally.to_b4_packets), expected, "{softwire}");
    }
    assert_eq!(lab.tallies().len(), 2);
}

/// Which next hop is known decides about nobody but who leaves by it.
#[test]
fn n3_a_hairpin_waits_for_the_internal_next_hop_alone() {
    let mut lab = Lab::configured(|config| {
        let known = config.next_hops[0].clone();
        config.ask_for_next_hops();
        config.next_hops[0] = known;
    });
    drop(lab.wait(0));
    let hairpin = Ipv4::udp(ALICES, DAVES, 50);
    assert_eq!(lab.alice_sends(&hairpin).fate(), "held-packets");
    let nobodys = Ipv4::udp(ALICES, (SHARED, 0x7777), 50);
    lab.alice_sends(&nobodys).dropped_in_silence("no-softwire");
    lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
    let answer = next_hop6_answers(NEXT_HOP_MACS[1], SOLICITED | OVERRIDE);
    let outcome = lab.frame(Side::Internal, &answer);
    assert_eq!(outcome.counted(Side::Internal, "hairpinned-packets"), 1);
    lab.alice_sends(&hairpin).hairpinned(&at_dave(&hairpin.aged()));
}

/// I6: what waits for a next hop is charged when it is answered, and once.
#[test]
fn d7_an_echo_that_waits_is_charged_once() {
    let mut lab = Lab::configured(|config| {
        config.ask_for_next_hops();
        config.policy = "echo-rate = 1".into();
    });
    drop(lab.wait(0));
    let request = Ipv4::echo(8, SHARED, EXTERNAL, ALICES.1);
    assert_eq!(lab.alice_sends(&request).fate(), "held-packets");
    let answer = next_hop6_answers(NEXT_HOP_MACS[1], SOLICITED | OVERRIDE);
    let outcome = lab.frame(Side::Internal, &answer);
    let reply = Ipv4::echo(0, EXTERNAL, SHARED, ALICES.1).ttl(64);
    assert_eq!(outcome.packets(Side::Internal), [at_alice(&reply).bytes()]);
    lab.alice_sends(&request).dropped("rate-limited");
}

#[test]
fn n3_a_bounded_queue_waits_and_the_rest_is_dropped() {
    let mut lab = Lab::configured(Config::ask_for_next_hops);
    drop(lab.wait(0));
    for _ in 0..vnf::lwaftr::MOST_HELD {
        assert_eq!(lab.internet_sends(&to_alice()).fate(), "held-packets");
    }
    lab.internet_sends(&to_alice()).dropped("next-hop-unresolved");
    let held = vnf::lwaftr::MOST_HELD as u64;
    assert_eq!(lab.counter(Side::External, "held-packets"), held);
    // Nobody waits for ever.
    drop(lab.wait(10_000));
    assert_eq!(lab.counter(Side::External, "held-packets"), 0);
    assert_eq!(lab.counter(Side::External, "drop next-hop-unresolved"), held + 1);
}

#[test]
fn n3_a_known_next_hop_is_asked_again_and_followed() {
    let mut lab = Lab::configured(Config::ask_for_next_hops);
    drop(lab.wait(0));
    let flags = SOLICITED | OVERRIDE;
    lab.frame(Side::External, &next_hop4_answers(NEXT_HOP_MACS[0])).consumed();
    lab.frame(Side::Internal, &next_hop6_answers(NEXT_HOP_MACS[1], flags)).consumed();
    let mut asked = 0;
    for _ in 0..21 {
        asked += lab.wait(1_000).sent.len();
        assert_eq!(lab.internet_sends(&to_alice()).fate(), "forwarded-packets");
    }
    assert_eq!(asked, 2, "once on each side every 20 s");
    // Another MAC address.
    lab.frame(Side::External, &next_hop4_answers(STRANGER)).consumed();
    let left = lab.alice_sends(&alices()).sent;
    assert_eq!(left, [(Side::External, frame(MACS[0], STRANGER, None, 0x0800, &alices().aged()))]);
    // Without the override flag another one is not believed.
    lab.frame(Side::Internal, &next_hop6_answers(STRANGER, SOLICITED)).consumed();
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    lab.frame(Side::Internal, &next_hop6_answers(STRANGER, flags)).consumed();
    let left = lab.internet_sends(&to_alice()).sent;
    let expected = frame(MACS[1], STRANGER, None, 0x86dd, &at_alice(&to_alice().aged()));
    assert_eq!(left, [(Side::Internal, expected)]);
}

#[test]
fn n4_echo_requests_to_our_addresses_are_answered() {
    let mut lab = Lab::new();
    // The TTL does not matter, and neither does the next hop: the station that asked is answered.
    let request = Ipv4::echo(8, STRANGER4, EXTERNAL, 9).ttl(1).tos(0x28);
    let reply = Ipv4::echo(0, EXTERNAL, STRANGER4, 9).ttl(64).tos(0x28);
    let answer = frame(MACS[0], STRANGER, None, 0x0800, &reply);
    let asked = frame(STRANGER, MACS[0], None, 0x0800, &request);
    lab.frame(Side::External, &asked).answered(&answer);
    let body = data(40);
    for ours in [INTERNAL, LINK_LOCAL, BR1, BR2] {
        let request = Ipv6::icmp(STRANGER6, ours, (128, 0), [1, 2, 3, 4], &body)
            .traffic_class(0xb8)
            .flow_label(7)
            .hop_limit(1);
        let reply = Ipv6::icmp(ours, STRANGER6, (129, 0), [1, 2, 3, 4], &body).traffic_class(0xb8);
        let answer = frame(MACS[1], STRANGER, None, 0x86dd, &reply);
        let asked = frame(STRANGER, MACS[1], None, 0x86dd, &request);
        lab.frame(Side::Internal, &asked).answered(&answer);
        // Extension headers are not repeated.
        let extended = request.extended(60, &[1, 4, 0, 0, 0, 0]);
        let asked = frame(STRANGER, MACS[1], None, 0x86dd, &extended);
        lab.frame(Side::Internal, &asked).answered(&answer);
    }
    let mut closed = Lab::with_policy("allow-incoming-icmpv4 = false");
    closed.frame(Side::External, &asked).answered(&frame(MACS[0], STRANGER, None, 0x0800, &reply));
}

#[test]
fn n4_udp_gets_port_unreachable() {
    let mut lab = Lab::new();
    let probe = Ipv4::udp((HOST, 9), (EXTERNAL, 33434), 9).ttl(1);
    let error = our_error((3, 3), 0, &probe, HOST);
    lab.internet_sends(&probe).dropped_and_told("unsupported-protocol", &error);
    let probe = Ipv6::new(17, ALICE, BR1, &Ipv4::udp((HOST, 9), ALICES, 9).payload).hop_limit(1);
    let error = our_error6((1, 4), 0, &probe);
    lab.b4s_send(&probe).dropped_and_told("unsupported-protocol", &error);
}

#[test]
fn n4_the_rest_is_dropped() {
    let mut lab = Lab::new();
    for protocol in [6, 47, 50, 132] {
        lab.internet_sends(&Ipv4::new(protocol, HOST, EXTERNAL, &data(32)))
            .dropped("unsupported-protocol");
    }
    lab.internet_sends(&Ipv4::echo(8, HOST, EXTERNAL, 1).fragment(true, 0))
        .dropped("ipv4-fragment-to-us");
    lab.internet_sends(&Ipv4::echo(0, HOST, EXTERNAL, 1)).dropped("icmp-type");
    lab.internet_sends(&Ipv4::error(HOST, EXTERNAL, (3, 1), &alices())).dropped("icmp-type");
    // Timestamp, information and address mask requests, and what nobody knows.
    for kind in [13, 15, 17, 99] {
        let asked = Ipv4::icmp(HOST, EXTERNAL, (kind, 0), [0; 4], &data(12));
        lab.internet_sends(&asked).dropped("icmp-type");
    }
    let large = Ipv4::icmp(HOST, EXTERNAL, (8, 0), [0; 4], &data(1500));
    lab.internet_sends(&large).dropped("too-big");
    lab.b4s_send(&Ipv6::icmp(ALICE, BR1, (128, 0), [0; 4], &data(1500))).dropped("too-big");
    // An echo reply, and an error and a message that nobody knows.
    for kind in [129, 99, 200] {
        let message = Ipv6::icmp(ALICE, BR1, (kind, 0), [0; 4], &data(9));
        lab.b4s_send(&message).dropped("icmpv6-type");
    }
}
