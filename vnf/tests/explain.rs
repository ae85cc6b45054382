//! `lwaftr explain`: what it says is what the relay does.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use etherparse::PacketBuilder;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use serde_json::Value;
use tempfile::TempDir;
use vnf::capture::{Event, Record, Way, Writer};
use vnf::side::Side;
use vnf::telemetry::DropReason;

const CONFIG: &str = r#"
[external]
port = "net_null0"
address = "192.0.2.1/24"
next-hop = "192.0.2.254"
[internal]
port = "net_null1"
address = "2001:db8:0:1::1/64"
next-hop = "2001:db8:0:1::ff"
[softwires]
br-addresses = "2001:db8:ffff::1"
[[softwire]]
ipv4 = "203.0.113.7"
psid-len = 6
psid = 3
b4-ipv6 = "2001:db8:b4::3"
[[softwire]]
ipv4 = "203.0.113.7"
psid-len = 6
psid = 4
b4-ipv6 = "2001:db8:b4::4"
"#;

/// Ports 3072 to 4095 are PSID 3, 4096 to 5119 PSID 4.
const HERS: u16 = 3_100;
const HIS: u16 = 4_711;

/// From the Internet to a port of the shared address. The MAC address is anybody's.
fn from_internet(port: u16, ttl: u8) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 9, 9], [0x52, 0x54, 0, 1, 2, 3])
        .ipv4([198, 51, 100, 80], [203, 0, 113, 7], ttl)
        .udp(443, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[7; 32]).unwrap();
    frame
}

/// From the B4 of PSID `b4`, whose inner packet comes from this port.
fn from_b4(b4: u8, port: u16) -> Vec<u8> {
    let inner = from_internet(port, 64).split_off(14);
    let mut inner_packet = inner;
    // Turned round: from the subscriber to the Internet.
    let (source, destination) = ([203, 0, 113, 7], [198, 51, 100, 80]);
    let builder = PacketBuilder::ipv4(source, destination, 64).udp(port, 443);
    inner_packet.clear();
    builder.write(&mut inner_packet, &[7; 32]).unwrap();
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let b4 = address(&format!("2001:db8:b4::{b4}"));
    let mut frame = vec![0x52, 0x54, 0, 9, 9, 9, 2, 0, 0, 0, 9, 9, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, 0, inner_packet.len() as u8, 4, 64]);
    frame.extend(b4);
    frame.extend(address("2001:db8:ffff::1"));
    frame.extend(inner_packet);
    frame
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        std::fs::write(files.path("lwaftr.toml"), CONFIG).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn pcap(&self, frames: &[Vec<u8>]) {
        let file = File::create(self.path("a.pcap")).unwrap();
        let mut writer = PcapWriter::new(file).unwrap();
        for (number, bytes) in frames.iter().enumerate() {
            let time = Duration::from_millis(number as u64);
            writer.write_packet(&PcapPacket::new(time, bytes.len() as u32, bytes)).unwrap();
        }
    }

    fn explain(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lwaftr"))
            .args(["explain", "--config", "lwaftr.toml"])
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .unwrap()
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.explain(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.text(&[arguments, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The rules of an explanation, in order.
fn rules(explanation: &Value) -> Vec<String> {
    let decisions = explanation["decisions"].as_array().unwrap();
    let rules = decisions.iter().flat_map(|decision| decision["rules"].as_array().unwrap());
    rules.map(|rule| rule.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_packet_into_the_tunnel_in_words() {
    let files = Files::new();
    files.pcap(&[from_internet(HIS, 64)]);
    let text = files.text(&["a.pcap"]);
    let expected = "\
packet 1, external side, 0.000000 s
  received  74 bytes: UDP 198.51.100.80:443 -> 203.0.113.7:4711, 60 bytes, TTL 64, DF
  E1        looked up the destination 203.0.113.7 port 4711: the softwire of 203.0.113.7 psid 4 \
(a=0 k=6), ports 4096-5119, B4 2001:db8:b4::4, BR 2001:db8:ffff::1
  E6        TTL 64 -> 63
";
    assert!(text.starts_with(expected), "{text}");
    for words in [
        "E3,E4,E5  put into the tunnel 2001:db8:ffff::1 -> 2001:db8:b4::4: hop limit 64",
        "sent      internal: 114 bytes: IPv6 2001:db8:ffff::1 -> 2001:db8:b4::4, 100 bytes",
        "1 packets: 1 forwarded",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn why_packets_are_dropped() {
    let files = Files::new();
    files.pcap(&[
        from_internet(9_999, 64),
        from_internet(HERS, 1),
        from_b4(4, HERS),
        from_b4(9, 60_000),
        vec![0xff; 20],
    ]);
    let explanations = files.json(&["a.pcap"]);
    let told: Vec<_> = explanations
        .iter()
        .map(|explanation| {
            let fate = &explanation["fates"][0];
            assert_eq!(explanation["fates"].as_array().unwrap().len(), 1);
            (explanation["side"].as_str().unwrap(), fate["reason"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("external", "no-softwire"),
            ("external", "ttl-expired"),
            ("internal", "source-wrong-b4"),
            ("internal", "source-no-softwire"),
            ("external", "unknown-ethertype"),
        ]
    );
    // What was looked up, what the reason says, and who is told.
    assert_eq!(rules(&explanations[0]), ["E1", "E7", "D6", "I5"]);
    assert_eq!(rules(&explanations[1]), ["E1", "E6", "D4", "I5"]);
    assert_eq!(rules(&explanations[2]), ["D2", "D2", "I5"]);
    let text = files.text(&["a.pcap"]);
    for words in [
        "nobody; 2 softwires have other ports of the address",
        "host unreachable (3/1)",
        "TTL exceeded (11/0)",
        "ICMPv6 source address failed ingress policy (1/5)",
        "dropped, source-wrong-b4: A tunnelled packet from an address that is not that softwire's B4",
        "5 packets: 1 dropped (no-softwire)",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn out_of_the_tunnel_and_from_one_b4_to_another() {
    let files = Files::new();
    files.pcap(&[from_b4(3, HERS)]);
    let [explanation] = &files.json(&["a.pcap"])[..] else { panic!() };
    assert_eq!(rules(explanation), ["D2", "D1", "D4"]);
    assert_eq!(explanation["sent"][0]["side"], "external");
    assert_eq!(explanation["sent"][0]["ipv4"]["ttl"], 63);
    assert_eq!(explanation["received"]["ipv6"]["source"], "2001:db8:b4::3");
}

#[test]
fn the_side_can_be_said_and_two_captures_are_merged() {
    let files = Files::new();
    files.pcap(&[from_internet(HIS, 64)]);
    let [wrong] = &files.json(&["a.pcap", "--side", "internal"])[..] else { panic!() };
    assert_eq!(wrong["fates"][0]["reason"], "unknown-ethertype");
    std::fs::copy(files.path("a.pcap"), files.path("b.pcap")).unwrap();
    files.pcap(&[from_b4(3, HERS)]);
    let both = files.json(&["--external-in", "b.pcap", "--internal-in", "a.pcap"]);
    let sides: Vec<_> = both.iter().map(|explanation| explanation["side"].clone()).collect();
    assert_eq!(sides, ["external", "internal"]);
}

/// A file of `lwaftr capture`: sides and directions stand in it.
#[test]
fn what_lwaftr_captured_is_explained_without_being_told_the_side() {
    let files = Files::new();
    let mut writer = Writer::new(File::create(files.path("c.pcapng")).unwrap(), 65_535).unwrap();
    let dropped = Event::Dropped(DropReason::NoSoftwire);
    for (side, event, frame) in [
        (Side::External, dropped, from_internet(9_999, 64)),
        (Side::External, Event::Sent(Way::Originated), from_internet(1, 64)),
        // IPv4 on the internal side: the EtherType alone would say otherwise.
        (Side::Internal, Event::Received, from_internet(HIS, 64)),
    ] {
        let length = frame.len() as u32;
        writer
            .write(&Record { time: 1_700_000_000_000_000_123, side, event, length, frame })
            .unwrap();
    }
    writer.flush().unwrap();
    let explanations = files.json(&["c.pcapng"]);
    let told: Vec<_> = explanations
        .iter()
        .map(|explanation| {
            (explanation["number"].clone(), explanation["fates"][0]["reason"].clone())
        })
        .collect();
    assert_eq!(told, [(1.into(), "no-softwire".into()), (3.into(), "unknown-ethertype".into())]);
    assert!(files.text(&["c.pcapng"]).contains("1 more were sent by the relay, and left out"));
}

#[test]
fn what_cannot_be_read_is_said() {
    let files = Files::new();
    std::fs::write(files.path("a.pcap"), b"rubbish, not a capture").unwrap();
    let output = files.explain(&["a.pcap"]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("a.pcap: not a capture that can be read"), "{words}");
    let output = files.explain(&[]);
    assert_eq!(output.status.code(), Some(2), "no capture named");
}
