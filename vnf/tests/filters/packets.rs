//! Packets of every kind that filters are asked about, from their IP header on.

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{
    IcmpEchoHeader, Icmpv4Type, Icmpv6Type, IpFragOffset, IpNumber, Ipv4Header, PacketBuilder,
};

const HOST: [u8; 4] = [203, 0, 113, 9];
const SHARED: [u8; 4] = [198, 51, 100, 1];

fn address6(text: &str) -> [u8; 16] {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

fn built<S>(
    step: etherparse::PacketBuilderStep<S>,
    write: impl FnOnce(etherparse::PacketBuilderStep<S>, &mut Vec<u8>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(step, &mut bytes);
    bytes
}

fn udp(source: [u8; 4], destination: [u8; 4], ports: (u16, u16), size: usize) -> Vec<u8> {
    let step = PacketBuilder::ipv4(source, destination, 60).udp(ports.0, ports.1);
    built(step, |step, out| step.write(out, &vec![7; size]).unwrap())
}

fn udp6(source: &str, destination: &str, ports: (u16, u16)) -> Vec<u8> {
    let step =
        PacketBuilder::ipv6(address6(source), address6(destination), 60).udp(ports.0, ports.1);
    built(step, |step, out| step.write(out, &[7; 12]).unwrap())
}

/// An IPv4 packet with any protocol, fragment offset (in units of 8 bytes) and options.
fn raw(protocol: u8, offset: u16, more: bool, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let protocol = IpNumber(protocol);
    let mut header = Ipv4Header::new(payload.len() as u16, 60, protocol, HOST, SHARED).unwrap();
    header.dont_fragment = false;
    header.more_fragments = more;
    header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
    header.options = options.try_into().unwrap();
    header.header_checksum = header.calc_header_checksum();
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(payload);
    bytes
}

/// An IPv6 packet with any next header.
fn raw6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let (b4, br) = (address6("2001:db8:b4::12"), address6("2001:db8:ff::1"));
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next_header, 64]);
    bytes.extend(b4);
    bytes.extend(br);
    bytes.extend(payload);
    bytes
}

/// The collection, each packet with its name.
pub(crate) fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let dns = udp(HOST, SHARED, (53, 0x1234), 32);
    let out = udp(SHARED, HOST, (0x1234, 53), 32);
    let tcp4 = |source, destination| PacketBuilder::ipv4(source, destination, 60);
    let syn = built(tcp4(HOST, SHARED).tcp(80, 0x1234, 1, 512).syn().ack(2), |step, out| {
        step.write(out, &[]).unwrap();
    });
    let get = built(tcp4(SHARED, HOST).tcp(0x1234, 80, 1, 512).ack(2).psh(), |step, out| {
        step.write(out, b"GET / HTTP/1.1\r\n").unwrap();
    });
    let echo = IcmpEchoHeader { id: 0x1234, seq: 1 };
    let ping = built(tcp4(HOST, SHARED).icmpv4(Icmpv4Type::EchoRequest(echo)), |step, out| {
        step.write(out, &[1; 32]).unwrap();
    });
    let unreachable = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Host);
    let error = built(tcp4(HOST, SHARED).icmpv4(unreachable), |step, bytes| {
        step.write(bytes, &out[..28]).unwrap();
    });
    let tcp6 = PacketBuilder::ipv6(address6("2001:db8:b4::12"), address6("2001:db8:9::9"), 60);
    let tcp6 = built(tcp6.tcp(4711, 8080, 1, 512).fin().ack(3), |step, out| {
        step.write(out, &[3; 9]).unwrap();
    });
    let v6 = || PacketBuilder::ipv6(address6("2001:db8:b4::12"), address6("2001:db8:ff::1"), 255);
    let ping6 = built(v6().icmpv6(Icmpv6Type::EchoRequest(echo)), |step, out| {
        step.write(out, &[1; 8]).unwrap();
    });
    let ask = PacketBuilder::ipv6(address6("2001:db8:1::fe"), address6("ff02::1:ff00:1"), 255);
    let ask = ask.icmpv6(Icmpv6Type::Unknown { type_u8: 135, code_u8: 0, bytes5to8: [0; 4] });
    let ask = built(ask, |step, out| step.write(out, &address6("2001:db8:ff::1")).unwrap());
    let mut expiring = dns.clone();
    expiring[8] = 1;
    let mut broadcast = udp([192, 0, 2, 9], [255; 4], (67, 68), 4);
    broadcast[4] = 0x80;
    let hop_by_hop = [&[4, 0, 1, 4, 0, 0, 0, 0][..], &out].concat();
    let fragment = [&[4, 0, 0, 1, 0, 0, 0, 9][..], &out].concat();
    vec![
        ("dns in", dns.clone()),
        ("dns out", out.clone()),
        ("syn", syn),
        ("get", get.clone()),
        ("ping", ping),
        ("unreachable", error),
        ("gre", raw(47, 0, false, &[], &[0; 12])),
        ("sctp", raw(132, 0, false, &[], &[0x12, 0x34, 0, 53, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("first fragment", raw(17, 0, true, &[], &dns[20..60])),
        ("later fragment", raw(17, 5, true, &[], &[0, 53, 0, 53, 0, 0, 0, 0])),
        ("last fragment", raw(17, 6, false, &[], &[9; 40])),
        ("options", raw(17, 0, false, &[1, 1, 1, 1], &dns[20..])),
        ("expiring", expiring),
        ("long", udp([192, 0, 2, 200], [10, 0, 0, 1], (123, 123), 1200)),
        ("broadcast", broadcast),
        ("tunnelled dns", raw6(4, &out)),
        ("tunnelled get", raw6(4, &get)),
        ("tunnelled, hop-by-hop", raw6(0, &hop_by_hop)),
        ("tunnelled, fragment", raw6(44, &fragment)),
        ("tunnelled, short", raw6(4, &out[..19])),
        ("to a b4", {
            let mut bytes = raw6(4, &dns);
            bytes[8..24].copy_from_slice(&address6("2001:db8:ff::1"));
            bytes[24..40].copy_from_slice(&address6("2001:db8:b4::12"));
            bytes
        }),
        ("udp6", udp6("2001:db8:9::9", "2001:db8:ff::1", (53, 5000))),
        ("tcp6", tcp6),
        ("ping6", ping6),
        ("solicitation", ask),
        ("udp6 to traceroute", udp6("2001:db8:b4::12", "2001:db8:ff::1", (33000, 33434))),
        ("nothing there", raw6(59, &[])),
    ]
}
