//! Packets of every kind, made by etherparse; and bytes of no kind at all.

use std::net::Ipv4Addr;

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv4Options};
use proptest::prelude::*;

/// A datagram of a protocol with ports, but for its addresses and ports.
#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    protocol: u8,
    ttl: u8,
    tos: u8,
    identification: u16,
    dont_fragment: bool,
    options: Vec<u8>,
    payload: Vec<u8>,
}

/// Where a datagram comes from or goes to.
pub(crate) type Endpoint = (Ipv4Addr, u16);

impl Datagram {
    /// A plain UDP datagram.
    pub(crate) fn udp(payload: Vec<u8>) -> Self {
        let (protocol, ttl, tos) = (17, 64, 0);
        let (identification, dont_fragment, options) = (7, false, Vec::new());
        Self { protocol, ttl, tos, identification, dont_fragment, options, payload }
    }

    pub(crate) fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The same of another protocol.
    pub(crate) fn with_protocol(&self, protocol: u8) -> Self {
        Self { protocol, ..self.clone() }
    }

    /// The packet from one endpoint to another.
    pub(crate) fn between(&self, from: Endpoint, to: Endpoint) -> Vec<u8> {
        let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        self.packet(from.0, to.0, &[ports, self.payload.clone()].concat(), |_| {})
    }

    /// A fragment of it; the ports are in the first one.
    pub(crate) fn fragment(
        &self,
        more: bool,
        offset: u16,
        from: Endpoint,
        to: Endpoint,
    ) -> Vec<u8> {
        let ports = if offset == 0 {
            [from.1.to_be_bytes(), to.1.to_be_bytes()].concat()
        } else {
            Vec::new()
        };
        self.packet(from.0, to.0, &[ports, self.payload.clone()].concat(), |header| {
            header.more_fragments = more;
            header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
        })
    }

    fn packet(
        &self,
        from: Ipv4Addr,
        to: Ipv4Addr,
        payload: &[u8],
        change: impl Fn(&mut Ipv4Header),
    ) -> Vec<u8> {
        let len = payload.len() as u16;
        let protocol = IpNumber(self.protocol);
        let mut header =
            Ipv4Header::new(len, self.ttl, protocol, from.octets(), to.octets()).unwrap();
        header.dscp = (self.tos >> 2).try_into().unwrap();
        header.ecn = (self.tos & 3).try_into().unwrap();
        header.identification = self.identification;
        header.dont_fragment = self.dont_fragment;
        header.options = Ipv4Options::try_from(self.options.as_slice()).unwrap();
        header.set_payload_len(payload.len()).unwrap();
        change(&mut header);
        header.header_checksum = header.calc_header_checksum();
        [header.to_bytes().as_slice(), payload].concat()
    }

    /// The packet after so many hops.
    pub(crate) fn aged(&self, packet: &[u8], hops: u8) -> Vec<u8> {
        let (mut header, payload) = Ipv4Header::from_slice(packet).unwrap();
        header.time_to_live -= hops;
        header.header_checksum = header.calc_header_checksum();
        [header.to_bytes().as_slice(), payload].concat()
    }
}

/// Any datagram with enough TTL for two hops, up to a jumbo frame's worth.
pub(crate) fn any_datagram() -> impl Strategy<Value = Datagram> {
    let protocols = prop::sample::select(vec![6_u8, 17, 33, 132, 136]);
    // No-operations and a timestamp: carried, whatever they are.
    let options = prop::sample::select(vec![vec![], vec![1; 4], vec![1; 40], vec![68, 4, 5, 0]]);
    let payload = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 1400..8800),
    ];
    (protocols, 3_u8.., any::<u8>(), any::<u16>(), any::<bool>(), options, payload).prop_map(
        |(protocol, ttl, tos, identification, dont_fragment, options, payload)| Datagram {
            protocol,
            ttl,
            tos,
            identification,
            dont_fragment,
            options,
            payload,
        },
    )
}

/// Any bytes at all, and any bytes behind the start of something that makes sense.
pub(crate) fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = || prop::collection::vec(any::<u8>(), 0..120);
    let long = || prop::collection::vec(any::<u8>(), 0..3000);
    let starts = starts();
    let started =
        (prop::sample::select(starts), any::<bool>(), noise()).prop_map(|(start, mend, noise)| {
            let mut frame = [start, noise].concat();
            if mend {
                mend_lengths(&mut frame);
            }
            frame
        });
    let flipped =
        (prop::sample::select(self::starts()), noise(), any::<prop::sample::Index>(), any::<u8>())
            .prop_map(|(start, noise, at, value)| {
                let mut frame = [start, noise].concat();
                mend_lengths(&mut frame);
                let at = at.index(frame.len());
                frame[at] = value;
                frame
            });
    prop_oneof![1 => noise(), 1 => long(), 6 => started, 6 => flipped]
}

/// Beginnings of frames: Ethernet with and without tags, IPv4, tunnels, ICMP, NDP, ARP.
fn starts() -> Vec<Vec<u8>> {
    const IPV4: &str = "45000000 00070000 40110000";
    const ICMP: &str = "45000000 00070000 40010000";
    const HOST_TO_SHARED: &str = "cb007109 c6336401";
    const SHARED_TO_HOST: &str = "c6336401 cb007109";
    const HOST_TO_US: &str = "cb007109 c0000201";
    const HOST_TO_NOBODY: &str = "cb007109 c63364aa";
    const TUNNEL: &str = "60000000 0000 04 40 20010db800b400000000000000000001 \
                          20010db800ff00000000000000000001";
    const OPTIONS: &str = "60000000 0000 3c 40 20010db800b400000000000000000001 \
                           20010db800ff00000000000000000001 0400 040104 010100";
    const ICMPV6: &str = "60000000 0000 3a ff fe8000000000000000000000000000fe \
                          20010db800010000000000000000 0001";
    const ARP: &str = "0001 0800 06 04 0001 0200000001fe c00002fe 000000000000 c0000201";
    let mut starts = Vec::new();
    for tag in ["", "8100 000a ", "8100 0014 ", "8100 0000 "] {
        let external = format!("020000000001 0200000001fe {tag}");
        let internal = format!("020000000002 0200000002fe {tag}");
        for (link, packet) in [
            (&external, format!("0800 {IPV4} {HOST_TO_SHARED} 0035 1234")),
            (&external, format!("0800 {IPV4} {HOST_TO_NOBODY} 0035 1234")),
            (&external, format!("0800 {ICMP} {HOST_TO_SHARED} 0300")),
            (&external, format!("0800 {ICMP} {HOST_TO_US} 0800 0000")),
            (&external, format!("0800 {IPV4} {HOST_TO_US} 0035 1234")),
            (&external, format!("0806 {ARP}")),
            (&external, "0800 ".into()),
            (&internal, format!("86dd {TUNNEL} {IPV4} {SHARED_TO_HOST} 1234 0035")),
            (&internal, format!("86dd {TUNNEL} {IPV4} {SHARED_TO_HOST}")),
            (&internal, format!("86dd {TUNNEL} {ICMP} {SHARED_TO_HOST} 0301")),
            (&internal, format!("86dd {TUNNEL} {ICMP} c6336401 c0000201 0800 0000")),
            (&internal, format!("86dd {TUNNEL} {IPV4} c6336401 c6336402 1234 2345")),
            (&internal, format!("86dd {OPTIONS} {IPV4} {SHARED_TO_HOST} 1234 0035")),
            (&internal, format!("86dd {TUNNEL} {IPV4} {HOST_TO_NOBODY} 1234 0035")),
            (
                &internal,
                format!("86dd {ICMPV6} 8700 0000 00000000 20010db800010000 0000000000000001"),
            ),
            (&internal, format!("86dd {ICMPV6} 8000 0000")),
        ] {
            let hex: String = format!("{link}{packet}").split_whitespace().collect();
            let digits = (0..hex.len()).step_by(2);
            starts.push(digits.map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect());
        }
    }
    starts
}

/// Writes right lengths and IPv4 checksums into a frame, so that more than these is looked at.
fn mend_lengths(frame: &mut [u8]) {
    let tagged = frame.get(12..14) == Some(&[0x81, 0]);
    let start = if tagged { 18 } else { 14 };
    let Some(packet) = frame.get_mut(start..) else { return };
    let inner = match packet.first().map(|first| first >> 4) {
        Some(6) if packet.len() >= 40 => {
            let len = (packet.len() - 40) as u16;
            packet[4..6].copy_from_slice(&len.to_be_bytes());
            match packet[6] {
                4 => &mut packet[40..],
                60 if packet.len() >= 48 => &mut packet[48..],
                _ => return,
            }
        }
        _ => packet,
    };
    if inner.first().is_some_and(|first| first >> 4 == 4) && inner.len() >= 20 {
        let len = inner.len() as u16;
        inner[2..4].copy_from_slice(&len.to_be_bytes());
        if let Ok((header, _)) = Ipv4Header::from_slice(inner) {
            let sum = header.calc_header_checksum();
            inner[10..12].copy_from_slice(&sum.to_be_bytes());
        }
    }
}
