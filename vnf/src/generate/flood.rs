//! Floods: frames that nobody honest sends, and of which the relay forwards none. Everything in
//! them that an attacker can choose freely is random, so that no two have to be alike.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::network::random_port;
use super::random::Random;
use crate::lwaftr::Settings;
use crate::side::Side;
use crate::softwire::{BindingTable, Softwire};
use crate::wire::arp::{Arp, Operation};
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{Template, ethertype};
use crate::wire::ipv6::Outer;
use crate::wire::ndp::{self, Kind, Neighbour};
use crate::wire::{MacAddr, icmpv4, ipv4, ipv6, protocol};

/// Softwires that a flood is about: more make no difference.
const SOFTWIRES: usize = 1 << 14;

/// Hosts that floods come from: 198.18.0.0/15 (RFC 2544).
const HOSTS: u32 = 0xc612_0000;

const TTL: u8 = 64;
const UDP: usize = 8;

/// What a flood is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Flood {
    /// From the Internet, to addresses and ports that nobody has
    TableMiss,
    /// From B4s whose softwire it is not
    SpoofedB4,
    /// From the Internet: pings of us and of nobody, errors about what nobody sent
    Icmp,
    /// From both sides, of packets that never become whole
    Fragments,
    /// ARP requests and neighbour solicitations from random senders, for us and for others
    Neighbours,
}

impl Flood {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::TableMiss, Self::SpoofedB4, Self::Icmp, Self::Fragments, Self::Neighbours];

    /// As the command line has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TableMiss => "table-miss",
            Self::SpoofedB4 => "spoofed-b4",
            Self::Icmp => "icmp",
            Self::Fragments => "fragments",
            Self::Neighbours => "neighbours",
        }
    }

    /// So many frames that `side` would receive; none where such a flood does not come from that
    /// side, or the table has nothing that it could be about. The same seed gives the same frames.
    #[must_use]
    pub fn frames(
        self,
        side: Side,
        count: usize,
        settings: &Settings,
        table: &BindingTable,
        seed: u64,
    ) -> Vec<Vec<u8>> {
        let mut maker = Maker {
            random: Random::new(seed),
            settings,
            table,
            softwires: table.softwires().take(SOFTWIRES).collect(),
        };
        let maker = &mut maker;
        (0..count)
            .map_while(|number| match (self, side) {
                (Self::TableMiss, Side::External) => Some(maker.table_miss()),
                (Self::SpoofedB4, Side::Internal) => maker.spoofed(),
                (Self::Icmp, Side::External) => Some(maker.icmp(number)),
                (Self::Fragments, Side::External) => maker.ipv4_fragment(),
                (Self::Fragments, Side::Internal) => maker.ipv6_fragment(),
                (Self::Neighbours, Side::External) => Some(maker.arp_request(number)),
                (Self::Neighbours, Side::Internal) => Some(maker.solicitation(number)),
                (Self::TableMiss | Self::Icmp, Side::Internal)
                | (Self::SpoofedB4, Side::External) => None,
            })
            .collect()
    }
}

/// Makes frames.
struct Maker<'a> {
    random: Random,
    settings: &'a Settings,
    table: &'a BindingTable,
    softwires: Vec<Softwire>,
}

impl Maker<'_> {
    fn table_miss(&mut self) -> Vec<u8> {
        let to = self.nobody();
        let from = self.host();
        self.internet(&udp(from, to))
    }

    /// A packet of one subscriber, from a B4 that is not theirs.
    fn spoofed(&mut self) -> Option<Vec<u8>> {
        let softwire = self.softwire(|_| true)?;
        let port = random_port(softwire.port_set, &mut self.random);
        let to = self.host();
        let packet = udp((softwire.ipv4, port), to);
        let wrong = u128::from(softwire.b4) ^ u128::from(self.random.next() | 1);
        Some(self.b4(wrong, softwire.br, protocol::IPV4, &packet))
    }

    /// In turn: a ping of us, a ping of nobody, an error about what nobody sent, and one about so
    /// little of a packet that it says nothing.
    fn icmp(&mut self, number: usize) -> Vec<u8> {
        let (nobody, us) = (self.nobody(), self.settings.external.addresses[0].addr());
        let mut message = vec![0; icmpv4::HEADER];
        let (to, kind, code, last) = match number % 4 {
            0 => (us, icmpv4::ECHO_REQUEST, 0, self.random.next() as u32),
            1 => {
                let identifier = u32::from(nobody.1) << 16;
                (nobody.0, icmpv4::ECHO_REQUEST, 0, identifier)
            }
            2 => {
                let about = udp(nobody, self.host());
                message.extend_from_slice(&about[..ipv4::HEADER + UDP]);
                (nobody.0, icmpv4::UNREACHABLE, icmpv4::PORT_UNREACHABLE, 0)
            }
            _ => {
                let to = self.softwire(|_| true).map_or(nobody.0, |softwire| softwire.ipv4);
                message.extend_from_slice(&udp((to, 9), self.host())[..icmpv4::HEADER]);
                (to, icmpv4::UNREACHABLE, icmpv4::PORT_UNREACHABLE, 0)
            }
        };
        icmpv4::write_error(&mut message, kind, code, last);
        let from = self.host().0;
        self.internet(&packet(protocol::ICMPV4, from, to, &message))
    }

    /// Not the first of its packet, which alone has the ports.
    fn ipv4_fragment(&mut self) -> Option<Vec<u8>> {
        let to = self.softwire(|softwire| !softwire.port_set.is_whole_address())?.ipv4;
        let from = self.host().0;
        let mut packet = packet(protocol::UDP, from, to, &[0x5a; 64]);
        let more = self.random.below(2) << 13;
        let field = ((1 + self.random.below(1 << 12)) | more) as u16;
        packet[4..6].copy_from_slice(&(self.random.next() as u16).to_be_bytes());
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        packet[10..12].fill(0);
        let sum = Sum::default().bytes(&packet[..ipv4::HEADER]).finish();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        Some(self.internet(&packet))
    }

    /// Of a packet that a B4 sends, or one that pretends to be one; more are said to follow.
    fn ipv6_fragment(&mut self) -> Option<Vec<u8>> {
        let softwire = self.softwire(|_| true)?;
        let port = random_port(softwire.port_set, &mut self.random);
        let inner = udp((softwire.ipv4, port), self.host());
        let offset = self.random.below(2) as usize * 8 * (1 + self.random.below(1 << 10) as usize);
        let mut payload = vec![0; ipv6::FRAGMENT_HEADER];
        let identification = self.random.next() as u32;
        if let Some(head) = payload.first_chunk_mut() {
            ipv6::write_fragment_header(head, protocol::IPV4, offset, true, identification);
        }
        payload.extend_from_slice(&inner[..inner.len() & !7]);
        let pretended = u128::from(self.random.next()) * u128::from(self.random.below(2));
        let from = u128::from(softwire.b4) ^ pretended;
        Some(self.b4(from, softwire.br, protocol::FRAGMENT, &payload))
    }

    /// For us and for somebody else in turn.
    fn arp_request(&mut self, number: usize) -> Vec<u8> {
        let net = self.settings.external.addresses[0];
        let mut neighbour = || {
            let host = self.random.next() as u32 & u32::from(net.hostmask());
            Ipv4Addr::from(u32::from(net.network()) | host)
        };
        let (sender, other) = (neighbour(), neighbour());
        let target = if number.is_multiple_of(2) { net.addr() } else { other };
        let mac = self.mac();
        let request = Arp {
            operation: Operation::Request,
            sender_mac: mac,
            sender,
            target_mac: MacAddr([0; 6]),
            target,
        };
        let vlan = self.settings.external.link.vlan;
        framed(
            &Template::new(MacAddr::BROADCAST, mac, vlan, ethertype::ARP),
            &[&request.to_bytes()[..], &[0; 18]].concat(),
        )
    }

    /// For us and for somebody else in turn.
    fn solicitation(&mut self, number: usize) -> Vec<u8> {
        let net = self.settings.internal.addresses[0];
        let mut neighbour = || {
            let host = u128::from(self.random.next()) & u128::from(net.hostmask());
            Ipv6Addr::from(u128::from(net.network()) | host)
        };
        let (sender, other) = (neighbour(), neighbour());
        let target = if number.is_multiple_of(2) { net.addr() } else { other };
        let mac = self.mac();
        let neighbour = Neighbour { kind: Kind::Solicitation, target, link_layer: Some(mac) };
        let mut message = vec![0; neighbour.message_len()];
        let group = ipv6::solicited_node(target);
        // The message was made as long as it wants to be.
        let _ = neighbour.write(&mut message, sender, group);
        let packet =
            tunnelled(sender.into(), group.into(), protocol::ICMPV6, ndp::HOP_LIMIT, &message);
        let to = MacAddr::of_ipv6_multicast(group);
        let vlan = self.settings.internal.link.vlan;
        framed(&Template::new(to, mac, vlan, ethertype::IPV6), &packet)
    }

    /// A frame from the Internet.
    fn internet(&mut self, packet: &[u8]) -> Vec<u8> {
        let link = &self.settings.external.link;
        let header = Template::new(link.mac, self.mac(), link.vlan, ethertype::IPV4);
        framed(&header, packet)
    }

    /// A frame from a B4.
    fn b4(&mut self, b4: u128, br: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
        let link = &self.settings.internal.link;
        let header = Template::new(link.mac, self.mac(), link.vlan, ethertype::IPV6);
        framed(&header, &tunnelled(b4, br.into(), next, TTL, payload))
    }

    /// A softwire of that kind, if the table has any.
    fn softwire(&mut self, is_fit: impl Fn(&Softwire) -> bool) -> Option<Softwire> {
        let start = self.random.below((self.softwires.len() as u32).max(1)) as usize;
        let (before, after) = self.softwires.split_at_checked(start)?;
        after.iter().chain(before).find(|softwire| is_fit(softwire)).copied()
    }

    /// An address and port that nobody has: half the time near somebody's.
    fn nobody(&mut self) -> (Ipv4Addr, u16) {
        let near = self.softwire(|_| true).map_or(HOSTS, |softwire| u32::from(softwire.ipv4));
        loop {
            let bits = self.random.next();
            let (spread, port) = (bits as u32 & 0xffff, (bits >> 32) as u16);
            let address = if bits >> 63 == 0 { near } else { near ^ spread };
            let ports = [port, port ^ (bits >> 48) as u16];
            for (address, port) in ports.map(|port| (Ipv4Addr::from(address), port)) {
                if self.table.lookup(address, port).is_none() && !self.is_ours(address) {
                    return (address, port);
                }
            }
            // Where every address nearby is taken, there are others.
            if bits.is_multiple_of(16) {
                return (Ipv4Addr::from(HOSTS | bits as u32 & 0x1_ffff), port);
            }
        }
    }

    fn is_ours(&self, address: Ipv4Addr) -> bool {
        self.settings.external.addresses.iter().any(|net| net.addr() == address)
    }

    fn host(&mut self) -> (Ipv4Addr, u16) {
        let bits = self.random.next();
        (Ipv4Addr::from(HOSTS | bits as u32 & 0x1_ffff), (bits >> 32) as u16)
    }

    /// A station's, locally administered.
    fn mac(&mut self) -> MacAddr {
        let [.., a, b, c, d] = self.random.next().to_be_bytes();
        MacAddr([2, 0xf1, a, b, c, d])
    }
}

fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut datagram = vec![0x5a; UDP + 32];
    let len = datagram.len() as u16;
    // Without a checksum.
    for (field, word) in datagram.chunks_mut(2).zip([from.1, to.1, len, 0]) {
        field.copy_from_slice(&word.to_be_bytes());
    }
    packet(protocol::UDP, from.0, to.0, &datagram)
}

fn packet(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut head = [0; ipv4::HEADER];
    let len = (ipv4::HEADER + payload.len()) as u16;
    ipv4::write_header(&mut head, len, TTL, protocol, from, to);
    [&head, payload].concat()
}

fn tunnelled(source: u128, destination: u128, next: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let mut head = [0; ipv6::HEADER];
    let outer = Outer {
        traffic_class: 0,
        flow_label: 0,
        payload_len: payload.len() as u16,
        next_header: next,
        hop_limit,
        source,
        destination,
    };
    ipv6::write_header(&mut head, &outer);
    [&head, payload].concat()
}

fn framed(header: &Template, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; header.header_len() + packet.len()];
    if let Some(room) = header.write(&mut frame) {
        room.copy_from_slice(packet);
    }
    frame
}
