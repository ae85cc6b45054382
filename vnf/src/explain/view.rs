//! A frame as a person reads it: who to whom, through which tunnel, with what. Whatever cannot be
//! read is left out; why that matters, the relay says.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::wire::ethernet::{Ethernet, ethertype};
use crate::wire::icmpv6;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{Fragment as Ipv6Fragment, Ipv6};
use crate::wire::transport::{Ports, has_ports};
use crate::wire::{arp, protocol};

/// What stands in a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct View {
    /// Bytes of the frame.
    pub length: usize,
    /// The VLAN tag, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// The IPv6 packet, if it is one: the tunnel, most often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Outer>,
    /// The IPv4 packet, in a tunnel or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Inner>,
    /// What it is, if it is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
}

/// An IPv6 packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub struct Outer {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub length: usize,
    pub hop_limit: u8,
    pub traffic_class: u8,
    pub flow_label: u32,
    /// What it carries, if that is not an IPv4 packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carries: Option<String>,
}

/// An IPv4 packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub struct Inner {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// Type, code, and what the message is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<(u8, u8, &'static str)>,
    /// The segment size that a TCP SYN offers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mss: Option<u16>,
    pub length: u16,
    pub ttl: u8,
    pub tos: u8,
    pub dont_fragment: bool,
    /// Where in its packet it belongs, if it is a fragment; and does more follow?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment: Option<(usize, bool)>,
}

impl View {
    /// What stands in these bytes.
    #[must_use]
    pub fn of(frame: &[u8]) -> Self {
        let mut view =
            Self { length: frame.len(), vlan: None, ipv6: None, ipv4: None, other: None };
        let Some(ethernet) = Ethernet::parse(frame) else {
            view.other = Some("too short for an Ethernet frame".to_owned());
            return view;
        };
        view.vlan = ethernet.vlan;
        let bytes = frame.get(ethernet.header_len()..).unwrap_or_default();
        match ethernet.ethertype {
            ethertype::IPV4 => view.ipv4 = Inner::of(bytes),
            ethertype::IPV6 => (view.ipv6, view.ipv4) = ipv6(bytes),
            _ => {}
        }
        if view.ipv4.is_none() && view.ipv6.is_none() {
            view.other = Some(other(&ethernet, bytes));
        }
        view
    }

    /// Is its IPv4 packet an ICMP message?
    pub(super) fn is_icmp(&self) -> bool {
        self.ipv4.as_ref().is_some_and(|packet| packet.protocol == "ICMP")
    }
}

fn ipv6(bytes: &[u8]) -> (Option<Outer>, Option<Inner>) {
    let Ok(packet) = Ipv6::parse_embedded(bytes) else { return (None, None) };
    let upper = packet.upper_unchecked().ok();
    let inner = upper
        .filter(|upper| upper.protocol == protocol::IPV4)
        .and_then(|upper| Inner::of(upper.payload));
    let carries = match (&inner, upper) {
        (Some(_), _) => None,
        (None, None) => Some("extension headers that cannot be walked".to_owned()),
        (None, Some(upper)) => Some(match upper.protocol {
            protocol::ICMPV6 => icmpv6_words(upper.payload),
            protocol::FRAGMENT => fragment_words(upper.payload),
            protocol::IPV4 => "something that is no IPv4 packet".to_owned(),
            other => protocol_name(other),
        }),
    };
    let label =
        bytes.first_chunk().map_or(0, |&head: &[u8; 4]| u32::from_be_bytes(head) & 0xf_ffff);
    let outer = Outer {
        source: packet.source().into(),
        destination: packet.destination().into(),
        length: 40 + packet.payload_len(),
        hop_limit: packet.hop_limit(),
        traffic_class: packet.traffic_class(),
        flow_label: label,
        carries,
    };
    (Some(outer), inner)
}

impl Inner {
    fn of(bytes: &[u8]) -> Option<Self> {
        let packet = Ipv4::parse_embedded(bytes).ok()?;
        let is_first = !packet.is_later_fragment();
        let ports = (is_first && has_ports(packet.protocol()))
            .then(|| Ports::parse(packet.payload()))
            .flatten();
        let icmp = (is_first && packet.protocol() == protocol::ICMPV4)
            .then(|| packet.payload().first_chunk::<2>())
            .flatten();
        let more = packet.header().get(6).is_some_and(|flags| flags & 0x20 != 0);
        Some(Self {
            source: packet.source(),
            destination: packet.destination(),
            protocol: protocol_name(packet.protocol()),
            source_port: ports.as_ref().map(|ports| ports.source),
            destination_port: ports.as_ref().map(|ports| ports.destination),
            icmp: icmp.map(|&[kind, code]| (kind, code, icmpv4_name(kind, code))),
            mss: (is_first && packet.protocol() == protocol::TCP)
                .then(|| mss(packet.payload()))
                .flatten(),
            length: packet.total_len(),
            ttl: packet.ttl(),
            tos: packet.tos(),
            dont_fragment: packet.dont_fragment(),
            fragment: packet.is_fragment().then(|| (packet.fragment_offset(), more)),
        })
    }
}

fn mss(segment: &[u8]) -> Option<u16> {
    let header = usize::from(segment.get(12)? >> 4) * 4;
    let mut options = segment.get(20..header)?;
    loop {
        options = match options {
            [2, 4, high, low, ..] => return Some(u16::from_be_bytes([*high, *low])),
            [] | [0, ..] => return None,
            [1, rest @ ..] => rest,
            [_, length, ..] => options.get(usize::from(*length).max(2)..)?,
            [_] => return None,
        };
    }
}

fn other(ethernet: &Ethernet, bytes: &[u8]) -> String {
    match ethernet.ethertype {
        ethertype::ARP => match arp::Arp::parse(bytes) {
            Some(arp) => match arp.operation {
                arp::Operation::Request => {
                    format!("ARP: who has {}? Tell {}", arp.target, arp.sender)
                }
                arp::Operation::Reply => format!("ARP: {} is at {}", arp.sender, arp.sender_mac),
            },
            None => "an ARP packet that cannot be read".to_owned(),
        },
        ethertype::IPV4 => "an IPv4 packet that cannot be read".to_owned(),
        ethertype::IPV6 => "an IPv6 packet that cannot be read".to_owned(),
        ethertype::LLDP => "LLDP".to_owned(),
        other => format!("EtherType 0x{other:04x}"),
    }
}

fn protocol_name(number: u8) -> String {
    match number {
        protocol::ICMPV4 => "ICMP",
        protocol::IGMP => "IGMP",
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        protocol::DCCP => "DCCP",
        protocol::SCTP => "SCTP",
        protocol::UDP_LITE => "UDP-Lite",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        other => return format!("protocol {other}"),
    }
    .to_owned()
}

fn icmpv4_name(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (0, _) => "echo reply",
        (3, 0) => "network unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed",
        (3, 13) => "administratively prohibited",
        (3, _) => "destination unreachable",
        (4, _) => "source quench",
        (5, _) => "redirect",
        (8, _) => "echo request",
        (11, 0) => "TTL exceeded",
        (11, _) => "reassembly time exceeded",
        (12, _) => "parameter problem",
        _ => "other message",
    }
}

fn icmpv6_words(message: &[u8]) -> String {
    let [kind, code, ..] = *message else { return "ICMPv6, cut short".to_owned() };
    let name = match (kind, code) {
        (icmpv6::UNREACHABLE, icmpv6::PORT_UNREACHABLE) => "port unreachable",
        (icmpv6::UNREACHABLE, icmpv6::SOURCE_POLICY) => "source address failed ingress policy",
        (icmpv6::UNREACHABLE, _) => "destination unreachable",
        (icmpv6::PACKET_TOO_BIG, _) => "packet too big",
        (icmpv6::TIME_EXCEEDED, icmpv6::REASSEMBLY_TIMEOUT) => "reassembly time exceeded",
        (icmpv6::TIME_EXCEEDED, _) => "hop limit exceeded",
        (icmpv6::PARAMETER_PROBLEM, _) => "parameter problem",
        (icmpv6::ECHO_REQUEST, _) => "echo request",
        (icmpv6::ECHO_REPLY, _) => "echo reply",
        (icmpv6::ROUTER_SOLICITATION, _) => "router solicitation",
        (icmpv6::ROUTER_ADVERTISEMENT, _) => "router advertisement",
        (icmpv6::NEIGHBOUR_SOLICITATION, _) => "neighbour solicitation",
        (icmpv6::NEIGHBOUR_ADVERTISEMENT, _) => "neighbour advertisement",
        (icmpv6::LISTENER_QUERY, _) => "multicast listener query",
        (icmpv6::LISTENER_REPORT_1 | icmpv6::LISTENER_REPORT_2, _) => "multicast listener report",
        _ => "other message",
    };
    format!("ICMPv6 {name} ({kind}/{code})")
}

fn fragment_words(payload: &[u8]) -> String {
    match Ipv6Fragment::parse(payload) {
        Some(fragment) => {
            let (from, more) = (fragment.offset, fragment.more);
            let to = from + fragment.data.len();
            let more = if more { ", more follow" } else { ", the last" };
            format!(
                "a fragment: bytes {from} to {to}{more}, identification {:#010x}",
                fragment.identification
            )
        }
        None => "a fragment header that is cut short".to_owned(),
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(vlan) = self.vlan {
            write!(f, "VLAN {vlan}, ")?;
        }
        match (&self.ipv6, &self.ipv4, &self.other) {
            (Some(outer), Some(inner), _) => write!(f, "{outer}, in it {inner}"),
            (Some(outer), None, _) => write!(f, "{outer}"),
            (None, Some(inner), _) => write!(f, "{inner}"),
            (None, None, Some(other)) => f.write_str(other),
            (None, None, None) => f.write_str("nothing that can be read"),
        }
    }
}

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, length, hop_limit, .. } = self;
        write!(f, "IPv6 {source} -> {destination}, {length} bytes, hop limit {hop_limit}")?;
        self.carries.as_ref().map_or(Ok(()), |carries| write!(f, ", {carries}"))
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = |port: Option<u16>| port.map(|port| format!(":{port}")).unwrap_or_default();
        let (from, to) = (port(self.source_port), port(self.destination_port));
        write!(f, "{} {}{from} -> {}{to}", self.protocol, self.source, self.destination)?;
        if let Some((kind, code, name)) = self.icmp {
            write!(f, ", {name} ({kind}/{code})")?;
        }
        write!(f, ", {} bytes, TTL {}", self.length, self.ttl)?;
        if self.dont_fragment {
            write!(f, ", DF")?;
        }
        match self.fragment {
            Some((0, _)) => write!(f, ", the first fragment"),
            Some((offset, true)) => write!(f, ", a fragment from byte {offset}"),
            Some((offset, false)) => write!(f, ", the last fragment, from byte {offset}"),
            None => Ok(()),
        }
    }
}
