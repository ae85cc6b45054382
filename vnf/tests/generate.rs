//! `lwaftr generate` from outside: its files fit each other, and `check` takes them.

use std::collections::HashSet;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use etherparse::{SlicedPacket, TransportSlice};
use pcap_file::pcap::PcapReader;
use tempfile::TempDir;
use vnf::cli::{check, generate};
use vnf::config;
use vnf::replay::{Options, Session};
use vnf::side::Side;
use vnf::softwire::TableWriter;
use vnf::wire::MacAddr;

/// Runs the verb as the command line does.
fn generated(arguments: &str) -> TempDir {
    use clap::{FromArgMatches, Parser};
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: generate::Args,
    }
    let directory = TempDir::new().unwrap();
    let out = directory.path().to_str().unwrap();
    let words = ["generate", "--out", out].into_iter().chain(arguments.split_whitespace());
    let matches = <Line as clap::CommandFactory>::command().get_matches_from(words);
    generate::run(Line::from_arg_matches(&matches).unwrap().args).unwrap();
    directory
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    std::iter::from_fn(|| reader.next_packet().map(|packet| packet.unwrap().data.into_owned()))
        .collect()
}

/// Addresses and ports of a UDP packet in IPv4, after checking its lengths and checksums.
fn udp_of(packet: &[u8]) -> [(Ipv4Addr, u16); 2] {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let Some(etherparse::NetSlice::Ipv4(ipv4)) = &sliced.net else { panic!("no IPv4") };
    let header = ipv4.header();
    assert_eq!(header.to_header().calc_header_checksum(), header.header_checksum());
    assert_eq!(usize::from(header.total_len()), packet.len());
    assert_eq!(header.ttl(), 64);
    let Some(TransportSlice::Udp(udp)) = &sliced.transport else { panic!("no UDP") };
    let sum = udp.to_header().calc_checksum_ipv4(&header.to_header(), udp.payload()).unwrap();
    assert_eq!(sum, udp.checksum());
    [(header.source_addr(), udp.source_port()), (header.destination_addr(), udp.destination_port())]
}

/// Checks that both captures fit the table, frame by frame; returns the lengths of the external
/// frames.
fn check_traffic(directory: &Path) -> Vec<usize> {
    let (config, writer) = config::load_with_table(&directory.join("lwaftr.toml"))
        .map_err(|errors| errors.to_string())
        .unwrap();
    let settings = config.settings(MacAddr::default(), MacAddr::default());
    let external = frames(&directory.join("external.pcap"));
    let internal = frames(&directory.join("internal.pcap"));
    assert_eq!(external.len(), internal.len());
    let mut conversations = HashSet::new();
    for (outside, inside) in external.iter().zip(&internal) {
        assert_eq!(inside.len(), outside.len() + 40);
        assert_eq!(outside[..6], settings.external.link.mac.0);
        assert_eq!(inside[..6], settings.internal.link.mac.0);
        assert_eq!((&outside[12..14], &inside[12..14]), (&[0x08, 0x00][..], &[0x86, 0xdd][..]));
        let [remote, subscriber] = udp_of(&outside[14..]);
        assert_eq!(udp_of(&inside[54..]), [subscriber, remote]);
        assert!(conversations.insert((remote, subscriber)), "twice: {remote:?} {subscriber:?}");
        check_endpoints(&writer, subscriber, remote.0, inside);
        assert!(outside.len() - 14 <= usize::from(settings.external.link.mtu));
        assert!(inside.len() - 14 <= usize::from(settings.internal.link.mtu));
    }
    external.iter().map(Vec::len).collect()
}

/// The subscriber's softwire is the one that the tunnel packet belongs to; the remote has none.
fn check_endpoints(
    writer: &TableWriter,
    subscriber: (Ipv4Addr, u16),
    remote: Ipv4Addr,
    inside: &[u8],
) {
    let softwire = writer.table().lookup(subscriber.0, subscriber.1).unwrap();
    let outer = SlicedPacket::from_ethernet(inside).unwrap();
    let Some(etherparse::NetSlice::Ipv6(outer)) = outer.net else { panic!("no IPv6") };
    let ends = [outer.header().source_addr(), outer.header().destination_addr()];
    assert_eq!(ends, [softwire.b4, softwire.br]);
    assert!(!writer.table().has_address(remote.into()), "{}", IpAddr::from(remote));
}

#[test]
fn dense_tables_of_all_shapes() {
    for arguments in [
        "--softwires 1",
        "--softwires 5000 --flows 3000",
        "--softwires 300 --psid-len 0 --flows 900",
        "--softwires 1000 --psid-offset 6 --psid-len 8",
        "--softwires 65537 --psid-len 16 --flows 500",
    ] {
        let directory = generated(arguments);
        let lengths = check_traffic(directory.path());
        assert!(lengths.iter().all(|&length| length == 60), "{arguments}");
    }
}

#[test]
fn scattered_addresses_meet_nobody_else() {
    let directory = generated("--softwires 20000 --psid-len 2 --scattered");
    assert_eq!(check_traffic(directory.path()).len(), 16_384);
    let config = config::load(&directory.path().join("lwaftr.toml")).unwrap();
    let mut eighths: Vec<_> = config.rows().iter().map(|row| row.ipv4.octets()[0]).collect();
    eighths.sort_unstable();
    eighths.dedup();
    // All /8 but 0, 127 and 224 to 255.
    assert_eq!(eighths.len(), 222);
}

#[test]
fn frame_sizes() {
    let lengths = |size| {
        check_traffic(generated(&format!("--softwires 64 --flows 1200 --frame-size {size}")).path())
    };
    assert!(lengths("8978").iter().all(|&length| length == 8974));
    let imix = lengths("imix");
    let count = |length| imix.iter().filter(|&&other| other == length).count();
    assert_eq!([count(60), count(566), count(1514)], [700, 400, 100]);
}

#[test]
fn a_replay_forwards_every_frame_and_makes_none() {
    for arguments in [
        "--softwires 1000 --frame-size imix",
        "--softwires 3000 --psid-len 0 --scattered --frame-size 8978 --flows 500",
        "--softwires 4096 --psid-len 8 --psid-offset 6",
    ] {
        let directory = generated(arguments);
        let (config, writer) =
            config::load_with_table(&directory.path().join("lwaftr.toml")).unwrap();
        let settings = config.settings(MacAddr::default(), MacAddr::default());
        let options = Options { next_hop_mac: None, seed: 0 };
        let mut session = Session::new(settings, writer.table().clone(), &options);
        for (side, name) in [(Side::External, "external.pcap"), (Side::Internal, "internal.pcap")] {
            let captured = frames(&directory.path().join(name));
            for (now, frame) in captured.iter().enumerate() {
                session.receive(side, now as u64 * 1000, frame);
            }
            let out = session.take_output();
            assert_eq!(out.len(), captured.len(), "{arguments}: {:?}", session.totals(side));
            assert!(out.iter().all(|(to, _)| *to == side.other()));
            let totals = session.totals(side);
            assert_eq!(totals.forwarded, captured.len() as u64);
            assert_eq!(totals.unaccounted(), 0);
        }
    }
}

#[test]
fn the_same_request_gives_the_same_files() {
    let read = |arguments| {
        let directory = generated(arguments);
        ["lwaftr.toml", "softwires.csv", "external.pcap", "internal.pcap"]
            .map(|name| std::fs::read(directory.path().join(name)).unwrap())
    };
    let first = read("--softwires 700 --scattered --flows 100");
    assert_eq!(first, read("--softwires 700 --scattered --flows 100"));
    let other = read("--softwires 700 --scattered --flows 100 --seed 1");
    assert_eq!(first[..2], other[..2]);
    assert_ne!(first[2], other[2]);
}

#[test]
fn check_takes_it_and_refuses_what_was_cut() {
    let directory = generated("--softwires 1000 --flows 1");
    let path = directory.path().join("lwaftr.toml");
    check::run(check::Args { config: path.clone(), all: false }).unwrap();
    let table = directory.path().join("softwires.csv");
    let text = std::fs::read_to_string(&table).unwrap();
    std::fs::write(&table, text.replacen("10.0.0.3,0,6,9,", "10.0.0.3,0,6,8,", 1)).unwrap();
    let failure = check::run(check::Args { config: path, all: false }).unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    let text = failure.to_string();
    assert!(text.contains("softwires.csv:1002: sha256: is not that of the lines above"), "{text}");
    assert!(text.contains("softwires.csv:203: ipv4: this address and PSID"), "{text}");
}
