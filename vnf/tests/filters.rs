//! Q1: filters say the same whoever runs them: libpcap itself, our interpreter, and our machine
//! code; and a reload switches them while a relay runs.

#[path = "filters/packets.rs"]
mod packets;
#[path = "filters/reload.rs"]
mod reload;

use packets::packets;
use pcap::{BpfProgram, Capture, Linktype};
use proptest::prelude::*;
use vnf::filter::Filter;

/// DLT_RAW: packets start with their IP header.
const BARE_IP: Linktype = Linktype(12);

/// Expressions, and how many of the packets match.
const EXPRESSIONS: &[(&str, usize)] = &[
    ("ip", 15),
    ("ip6", 12),
    ("tcp", 3),
    ("udp", 11),
    ("icmp", 2),
    ("icmp6", 2),
    ("sctp", 1),
    ("ip proto 4 or ip6 proto 4", 5),
    ("ip6 proto 44", 1),
    ("ip6 proto 4", 5),
    ("proto 47", 1),
    ("host 203.0.113.9", 13),
    ("src host 203.0.113.9", 11),
    ("dst host 198.51.100.1", 11),
    ("net 198.51.100.0/24", 13),
    ("src net 203.0.0.0 mask 255.255.0.0", 11),
    ("net 2001:db8:b4::/48", 10),
    ("ip6 host 2001:db8:ff::1", 10),
    ("src host 2001:db8:b4::12 and dst host 2001:db8:ff::1", 8),
    ("port 53", 7),
    ("tcp port 80", 2),
    ("src port 53", 5),
    ("portrange 80-100", 2),
    ("tcp dst portrange 4096-8191", 2),
    ("not port 53", 20),
    ("tcp[tcpflags] & tcp-syn != 0", 1),
    ("tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-ack", 1),
    ("tcp[13] = 0x12", 1),
    ("tcp[13] & 2 != 0", 1),
    ("tcp[13] & 0x80 = 0", 2),
    ("ip[6:2] & 0x1fff != 0", 2),
    ("ip[6:2] & 0x3fff != 0", 3),
    ("ip[6:2] & 0x4000 != 0", 9),
    ("ip[8] < 5", 1),
    ("ip[0] & 0xf > 5", 1),
    ("greater 100", 5),
    ("less 60", 18),
    ("len = 60", 8),
    ("len > 1000 and len <= 1500", 1),
    ("len - 20 = ip[2:2] - 20", 14),
    ("icmp[icmptype] = icmp-echo", 1),
    ("icmp[0] = 3 and icmp[8] & 0xf0 = 0x40", 1),
    ("icmp6 and ip6[40] = 128", 1),
    ("icmp6[icmp6type] = icmp6-neighborsolicit", 1),
    ("ip6[6] = 4 and ip6[40 + 9] = 17", 3),
    ("ip6[6] = 4 and ip6[56:4] = 0xcb007109", 2),
    ("tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", 1),
    ("ip[ip[0] & 0xf * 4] = 0", 14),
    ("ip[(ip[0] & 0xf) << 2:2] = 53", 5),
    ("ip[ip[16:4]] = 0", 0),
    ("ip[16:4] = 0xc6336401", 11),
    ("ip[0:4] << ip[8] = 0", 14),
    ("ip[8] >> ip[9] = 0 and ip", 13),
    ("ip[2:2] / ip[6] = 1 or ip[2:2] % ip[9] = 0", 3),
    ("-ip[8] & 0xff = 256 - ip[8]", 15),
    ("ip[8] * ip[9] > 600 and ip[8] | ip[9] != 0", 10),
    ("ip[12] ^ ip[16] = 13", 13),
    ("ip[10:2] >= 0x8000", 9),
    ("ip[4:4] = 0xfedc4000 or ip[16:4] > 0xc0000000", 14),
    ("ip multicast or ip6 multicast", 2),
    ("ip broadcast", 1),
    ("(tcp or udp) and not (host 203.0.113.9 or port 123) or icmp", 6),
    ("(ip and (tcp or udp) and (src net 203.0.113.0/24 or dst net 198.51.100.0/24)) or ip6", 19),
];

/// Who runs filters here.
struct Engines {
    expression: String,
    libpcap: BpfProgram,
    interpreted: Filter,
    native: Filter,
}

impl Engines {
    fn new(expression: &str) -> Self {
        let dead = Capture::dead(BARE_IP).unwrap();
        let libpcap =
            dead.compile(expression, true).unwrap_or_else(|e| panic!("{expression}: {e}"));
        let interpreted = Filter::new(expression).unwrap_or_else(|e| panic!("{e}"));
        Self {
            expression: expression.to_owned(),
            libpcap,
            native: {
                let mut native = interpreted.clone();
                let bytes = native.accelerate().unwrap();
                assert!(native.is_accelerated() && bytes > 0);
                native
            },
            interpreted,
        }
    }

    /// The verdict about which all agree.
    fn matches(&self, packet: &[u8]) -> bool {
        let verdict = self.libpcap.filter(packet);
        assert_eq!(self.interpreted.matches(packet), verdict, "{} {packet:02x?}", self.expression);
        assert_eq!(self.native.matches(packet), verdict, "{} {packet:02x?}", self.expression);
        verdict
    }
}

#[test]
fn q1_all_engines_agree_on_every_expression_and_packet() {
    let packets = packets();
    let mut wrong = Vec::new();
    for &(expression, expected) in EXPRESSIONS {
        let engines = Engines::new(expression);
        let matching: Vec<&str> = packets
            .iter()
            .filter(|(_, packet)| engines.matches(packet))
            .map(|&(name, _)| name)
            .collect();
        if matching.len() != expected {
            wrong.push(format!("({expression:?}, {}), {matching:?}", matching.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn q1_all_engines_agree_on_packets_cut_short_anywhere() {
    for &(expression, _) in EXPRESSIONS {
        let engines = Engines::new(expression);
        for (_, packet) in packets() {
            for len in 0..packet.len().min(120) {
                engines.matches(&packet[..len]);
            }
        }
    }
}

#[test]
fn q1_all_engines_agree_on_the_longest_packets() {
    let mut packet = packets().swap_remove(0).1;
    for len in [9_000, 65_534, 65_535, 65_536, 65_575] {
        packet.resize(len, 7);
        for expression in
            ["greater 9000", "ip[65530] = 7", "ip[65531:4] = 0x07070707", "len > 65535"]
        {
            Engines::new(expression).matches(&packet);
        }
    }
}

/// Many paths lead through such programs; making machine code must not follow each of them.
#[test]
fn q1_long_expressions_are_taken() {
    let hosts: Vec<String> = (0..250).map(|n| format!("host 10.1.{}.{n}", n % 7)).collect();
    let ports: Vec<String> = (1..60).map(|n| format!("port {}", n * 7)).collect();
    let both = format!("({}) and (tcp or udp) and ({})", hosts.join(" or "), ports.join(" or "));
    let sums: Vec<String> =
        (0..25).map(|n| format!("(ip[{n}] = {n} or ip[{}] = 1)", n + 1)).collect();
    for expression in [hosts.join(" or "), both, sums.join(" and ")] {
        let engines = Engines::new(&expression);
        for (_, packet) in packets() {
            engines.matches(&packet);
        }
    }
}

#[test]
fn q1_what_cannot_be_converted_is_refused() {
    for expression in
        ["ip6 protochain 6", "ip protochain 17", "protochain 58", "inbound", "outbound"]
    {
        let text = Filter::new(expression).unwrap_err();
        assert!(text.contains("cannot be converted to machine code"), "{expression}: {text}");
    }
    for expression in ["vlan", "vlan 5 and ip", "ether host 02:00:00:00:00:01", "arp", "mpls"] {
        assert!(Filter::new(expression).is_err(), "{expression}");
    }
}

/// Parts that random expressions are made of.
fn expression() -> impl Strategy<Value = String> {
    let field =
        (prop_oneof![Just("ip"), Just("ip6"), Just("tcp"), Just("udp"), Just("icmp")], 0..60_u32)
            .prop_flat_map(|(protocol, at)| {
                prop_oneof![
                    Just(format!("{protocol}[{at}]")),
                    Just(format!("{protocol}[{at}:2]")),
                    Just(format!("{protocol}[{at}:4]")),
                    Just(format!("{protocol}[{protocol}[{at}] & 0x3f:2]")),
                    Just(format!("{protocol}[{protocol}[{at}:4]]")),
                    Just("len".to_owned()),
                ]
            });
    let operator = prop::sample::select(vec!["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
    let number = prop_oneof![0..300_u32, any::<u32>(), Just(0x8000_0000), Just(u32::MAX)];
    let comparison = prop::sample::select(vec!["=", "!=", "<", ">", "<=", ">="]);
    let sum = (
        field.clone(),
        operator,
        prop_oneof![field.clone(), (1..32_u32).prop_map(|n| n.to_string())],
    )
        .prop_map(|(a, operator, b)| format!("({a} {operator} {b})"));
    let compared = (prop_oneof![field, sum], comparison, number)
        .prop_map(|(left, comparison, number)| format!("{left} {comparison} {number}"));
    let atom = prop_oneof![
        3 => compared,
        2 => prop::sample::select(EXPRESSIONS).prop_map(|(expression, _)| format!("({expression})")),
    ];
    atom.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

/// A packet of the collection with bytes changed and cut off, or just bytes.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((0..100_usize, any::<u8>()), 0..6);
    let changed = (prop::sample::select(packets()), changes, 0..200_usize).prop_map(
        |((_, mut packet), changes, len)| {
            for (at, byte) in changes {
                if let Some(old) = packet.get_mut(at) {
                    *old = byte;
                }
            }
            packet.truncate(if len < 100 { len } else { usize::MAX });
            packet
        },
    );
    prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..100)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn q1_all_engines_agree_on_random_expressions_and_packets(
        expression in expression(),
        packets in prop::collection::vec(packet(), 20),
    ) {
        // libpcap finds out of some that they cannot match, or divide by zero.
        let accepted = Filter::new(&expression);
        let by_libpcap = Capture::dead(BARE_IP).unwrap().compile(&expression, true).is_ok();
        if let Err(refused) = &accepted {
            let ours = ["beyond", "no packet has", "not in the packet"];
            prop_assert!(!by_libpcap || ours.iter().any(|words| refused.contains(words)), "{refused}");
            return Ok(());
        }
        let engines = Engines::new(&expression);
        for packet in packets {
            engines.matches(&packet);
        }
    }

    #[test]
    fn q1_any_text_is_an_expression_or_an_error(text in "\\PC{0,60}") {
        if let Err(said) = Filter::new(&text) {
            prop_assert!(!said.is_empty());
        }
    }
}
