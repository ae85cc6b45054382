//! What tells one subscriber of a shared address from another: a port, or what ICMP has instead
//! of one (E1, I1, I3).

use std::net::Ipv4Addr;

use crate::softwire::Key;
use crate::telemetry::DropReason;
use crate::wire::icmpv4::{self, Icmpv4};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::protocol;
use crate::wire::transport::{Ports, has_ports};

/// Which end of a packet the subscriber is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A packet from a B4.
    Source,
    /// A packet to a B4.
    Destination,
}

/// How to find a packet's softwire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup {
    pub(super) key: Key,
    /// Why the packet is dropped should it have no port and its address be shared.
    pub(super) without_port: DropReason,
}

impl Lookup {
    /// How to find the softwire at this end of a packet that is no fragment.
    #[inline]
    pub(super) fn of(packet: &Ipv4<'_>, end: End) -> Self {
        Self::at(end.address(packet), end.port(packet))
    }

    /// The same for a packet that stands in an error, and may be cut short.
    pub(super) fn of_quoted(packet: &Ipv4<'_>, end: End) -> Self {
        let port = end.quoted_port(packet).or_else(|reason| {
            // What stands in an error may itself be an error that was forwarded.
            let may_be = packet.protocol() == protocol::ICMPV4 && !packet.is_later_fragment();
            match Icmpv4::parse(packet.payload()) {
                Some(icmp) if may_be && icmpv4::is_error(icmp.kind()) => {
                    end.embedded_port(end.address(packet), icmp.body())
                }
                _ => Err(reason),
            }
        });
        Self::at(end.address(packet), port)
    }

    /// How to find the softwire of an address and what tells its port.
    #[inline]
    pub(super) fn at(address: Ipv4Addr, port: Result<u16, DropReason>) -> Self {
        match port {
            Ok(port) => Self {
                key: Key::with_port(address.into(), port),
                without_port: DropReason::PortLessProtocol,
            },
            Err(without_port) => Self { key: Key::address_only(address.into()), without_port },
        }
    }
}

impl End {
    pub(super) fn address(self, packet: &Ipv4<'_>) -> Ipv4Addr {
        match self {
            Self::Source => packet.source(),
            Self::Destination => packet.destination(),
        }
    }

    /// Where the subscriber stands in a packet going the other way.
    fn opposite(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }

    fn of(self, ports: Ports) -> u16 {
        match self {
            Self::Source => ports.source,
            Self::Destination => ports.destination,
        }
    }

    /// What tells the subscriber at this end of a packet, which may be a first fragment.
    #[inline]
    pub(super) fn port(self, packet: &Ipv4<'_>) -> Result<u16, DropReason> {
        if has_ports(packet.protocol()) {
            let ports = Ports::parse(packet.payload()).ok_or(DropReason::TransportTruncated)?;
            Ok(self.of(ports))
        } else if packet.protocol() == protocol::ICMPV4 {
            self.icmp_port(packet)
        } else {
            Err(DropReason::PortLessProtocol)
        }
    }

    fn icmp_port(self, packet: &Ipv4<'_>) -> Result<u16, DropReason> {
        let icmp = Icmpv4::parse(packet.payload()).ok_or(DropReason::IcmpTruncated)?;
        if !packet.is_fragment() && !icmp.verifies() {
            return Err(DropReason::IcmpBadChecksum);
        }
        match icmp.kind() {
            icmpv4::ECHO_REQUEST | icmpv4::ECHO_REPLY => Ok(icmp.identifier()),
            icmpv4::UNREACHABLE | icmpv4::TIME_EXCEEDED | icmpv4::PARAMETER_PROBLEM => {
                self.embedded_port(self.address(packet), icmp.body())
            }
            _ => Err(DropReason::IcmpType),
        }
    }

    /// The port in the packet that an error is about. That packet went the other way: an error to
    /// a subscriber is about what the subscriber sent.
    fn embedded_port(self, subscriber: Ipv4Addr, about: &[u8]) -> Result<u16, DropReason> {
        let packet = Ipv4::parse_embedded(about).map_err(|malformed| match malformed {
            ipv4::Malformed::Truncated => DropReason::IcmpTruncated,
            ipv4::Malformed::BadHeader | ipv4::Malformed::BadChecksum => DropReason::IcmpEmbedded,
        })?;
        let end = self.opposite();
        if end.address(&packet) != subscriber {
            return Err(DropReason::IcmpEmbedded);
        }
        end.quoted_port(&packet)
    }

    /// The port at this end of a packet that stands in an error, and may be cut short.
    fn quoted_port(self, packet: &Ipv4<'_>) -> Result<u16, DropReason> {
        if packet.is_later_fragment() {
            return Err(DropReason::IcmpEmbedded);
        }
        if has_ports(packet.protocol()) {
            let ports = Ports::parse(packet.payload()).ok_or(DropReason::IcmpTruncated)?;
            return Ok(self.of(ports));
        }
        if packet.protocol() != protocol::ICMPV4 {
            return Err(DropReason::IcmpEmbedded);
        }
        let icmp = Icmpv4::parse(packet.payload()).ok_or(DropReason::IcmpTruncated)?;
        match icmp.kind() {
            icmpv4::ECHO_REQUEST | icmpv4::ECHO_REPLY => Ok(icmp.identifier()),
            _ => Err(DropReason::IcmpEmbedded),
        }
    }
}

/// A hash of what makes a flow (RFC 6438): the 5-tuple, or addresses and protocol where there are
/// no ports to be seen in every packet.
#[inline]
pub(super) fn flow_hash(packet: &Ipv4<'_>) -> u32 {
    let ports = if !packet.is_fragment() && has_ports(packet.protocol()) {
        packet.payload().first_chunk().map_or(0, |ports| u32::from_be_bytes(*ports))
    } else {
        0
    };
    hash_of_flow(packet.source().into(), packet.destination().into(), ports, packet.protocol())
}

/// The same of a packet whose fields are at hand.
#[inline(always)]
pub(super) fn hash_of_flow(source: u32, destination: u32, ports: u32, protocol: u8) -> u32 {
    let addresses = u64::from(source) << 32 | u64::from(destination);
    let rest = u64::from(ports) << 8 | u64::from(protocol);
    let mixed = (addresses ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ mixed >> 32 ^ rest).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (mixed >> 44) as u32
}
