//! What is counted beside the frames of an interface: examples of dropped frames (A2), and what
//! each softwire carried (A3). Frames are made by etherparse.

use etherparse::{IpHeaders, IpNumber, Ipv6Extensions, Ipv6FlowLabel, Ipv6Header, PacketBuilder};
use serde_json::Value;
use vnf::replay::{Options, Session};
use vnf::side::Side;
use vnf::softwire::{BindingTable, Tally};
use vnf::telemetry::{PortStats, stats_json};
use vnf::wire::MacAddr;

const HOST: [u8; 4] = [198, 51, 100, 9];
const ALICE: [u8; 4] = [203, 0, 113, 1];
const BOB: [u8; 4] = [203, 0, 113, 2];
const MAC: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const NEXT_HOP: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// A relay with Alice's and Bob's softwires, and its table.
fn relay(softwires: &str) -> (Session, std::sync::Arc<BindingTable>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lwaftr.toml");
    let text = format!(
        r#"
[external]
port = "net_null0"
address = "192.0.2.1/24"
next-hop-mac = "02:00:00:00:00:09"
[internal]
port = "net_null1"
address = "2001:db8:1::1/64"
next-hop-mac = "02:00:00:00:00:09"
[softwires]
br-addresses = "2001:db8:ff::1"
{softwires}
[[softwire]]
ipv4 = "203.0.113.1"
b4-ipv6 = "2001:db8:b4::1"
[[softwire]]
ipv4 = "203.0.113.2"
b4-ipv6 = "2001:db8:b4::2"
"#
    );
    std::fs::write(&path, text).unwrap();
    let (config, writer) = vnf::config::load_with_table(&path).unwrap_or_else(|e| panic!("{e}"));
    let settings = config.settings(MacAddr(MAC[0]), MacAddr(MAC[1]));
    let table = writer.table().clone();
    (Session::new(settings, table.clone(), &Options::default()), table)
}

fn udp(from: [u8; 4], to: [u8; 4], payload: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(from, to, 64)
        .udp(1000, 2000)
        .write(&mut bytes, &vec![0x5a; payload])
        .unwrap();
    bytes
}

fn from_internet(packet: &[u8]) -> Vec<u8> {
    let mut frame = [&MAC[0][..], &NEXT_HOP, &[8, 0]].concat();
    frame.extend(packet);
    frame
}

fn from_b4(number: u8, packet: &[u8]) -> Vec<u8> {
    let address = |net, host| [0x20, 0x01, 0x0d, 0xb8, 0, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
    let (b4, br) = (address(0xb4, number), address(0xff, 1));
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(NEXT_HOP, MAC[1])
        .ip(IpHeaders::Ipv6(
            Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: packet.len() as u16,
                next_header: IpNumber::IPV4,
                hop_limit: 64,
                source: b4,
                destination: br,
            },
            Ipv6Extensions::default(),
        ))
        .write(&mut frame, IpNumber::IPV4, packet)
        .unwrap();
    frame
}

fn example(session: &Session, side: &str, reason: &str) -> (u64, u64, String) {
    let stats = stats(session);
    let counted = &stats["interfaces"][side]["drops"][reason];
    let number = |value: &Value| value.as_u64().unwrap();
    (
        number(&counted["packets"]),
        number(&counted["example"]["length"]),
        counted["example"]["frame"].as_str().unwrap().to_owned(),
    )
}

fn stats(session: &Session) -> Value {
    stats_json(&[std::sync::Arc::clone(session.counters())], [PortStats::default(); 2], 0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a2_each_reason_keeps_the_first_64_bytes_of_one_frame_a_burst() {
    let (mut session, _) = relay("");
    let stranger = from_internet(&udp(HOST, [203, 0, 113, 99], 100));
    let other = from_internet(&udp(HOST, [203, 0, 113, 98], 100));
    let short = &stranger[..13];
    session.receive_burst(Side::External, 0, &[&stranger, &other, short]);
    let (packets, length, frame) = example(&session, "external", "no-softwire");
    assert_eq!((packets, length), (2, stranger.len() as u64));
    assert_eq!(frame, hex(&stranger[..64]), "the first of the burst");
    let (packets, length, frame) = example(&session, "external", "frame-too-short");
    assert_eq!((packets, length, frame), (1, 13, hex(short)), "no more than there is");
    session.receive(Side::External, 1_000, &other);
    let (packets, _, frame) = example(&session, "external", "no-softwire");
    assert_eq!((packets, frame), (3, hex(&other[..64])), "a recent one");
    assert_eq!(stats(&session)["interfaces"]["internal"]["drops"], serde_json::json!({}));
}

#[test]
fn a3_each_softwire_counts_packets_and_bytes_both_ways() {
    let (mut session, table) = relay("counters = true");
    let softwires: Vec<_> = table.softwires().collect();
    let inbound = udp(HOST, ALICE, 100);
    let outbound = udp(ALICE, HOST, 50);
    let hairpin = udp(BOB, ALICE, 10);
    for _ in 0..3 {
        session.receive(Side::External, 0, &from_internet(&inbound));
    }
    session.receive_burst(
        Side::Internal,
        0,
        &[&from_b4(1, &outbound), &from_b4(2, &outbound), &from_b4(2, &hairpin)],
    );
    let alice = Tally {
        to_b4_packets: 4,
        to_b4_bytes: (3 * inbound.len() + hairpin.len()) as u64,
        from_b4_packets: 1,
        from_b4_bytes: outbound.len() as u64,
    };
    // What claimed to be Alice's but came from Bob's B4 was dropped, and is nobody's.
    let bob = Tally { from_b4_packets: 1, from_b4_bytes: hairpin.len() as u64, ..Tally::default() };
    assert_eq!(table.tally(&softwires[0]), Some(alice));
    assert_eq!(table.tally(&softwires[1]), Some(bob));
    let stats = stats(&session);
    let drops = &stats["interfaces"]["internal"]["drops"];
    assert_eq!(drops["source-wrong-b4"]["packets"], 1);
}

#[test]
fn a3_nothing_is_counted_unless_it_is_wanted() {
    let (mut session, table) = relay("");
    session.receive(Side::External, 0, &from_internet(&udp(HOST, ALICE, 100)));
    assert!(!table.counts());
    assert_eq!(table.tallies().count(), 0);
    assert_eq!(stats(&session)["interfaces"]["external"]["forwarded-packets"], 1);
}
