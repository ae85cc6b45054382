//! Frames: mostly ones that could really come, then damaged in some way in one of five cases.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::bytes::{
    ICMP, ICMPV6, IPIP, Ipv4Fields, Ipv6Fields, TCP, UDP, be16, checksum4, checksum6, ethernet,
    fix_ipv4_checksum, icmp_message, icmp6_message,
};
use crate::link::Arrived;
use crate::pieces;
use crate::rng::Rng;
use crate::world::{Link, Softwire, World};

/// Makes frames for one world.
pub(crate) struct Generator<'a> {
    world: &'a World,
    softwires: Vec<&'a Softwire>,
    rng: Rng,
    /// May frames change what the relay knows?
    pub(crate) may_teach: bool,
    /// Fragments yet to come, on the external and on the internal side.
    pieces: [Vec<Vec<u8>>; 2],
    identification: u32,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(world: &'a World, seed: u64) -> Self {
        let mut softwires: Vec<&Softwire> = world.softwires.values().flatten().collect();
        // A hash map's order differs from run to run.
        softwires.sort_by_key(|softwire| softwire.b4);
        Self {
            world,
            softwires,
            rng: Rng::new(seed),
            may_teach: false,
            pieces: Default::default(),
            identification: 0,
        }
    }

    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// A frame that arrives on this side.
    pub(crate) fn frame(&mut self, side: Arrived) -> Vec<u8> {
        if self.rng.chance(2) {
            self.cut(side);
        }
        if self.rng.chance(15)
            && let Some(piece) = self.pieces[side as usize].pop()
        {
            let ethertype = if side == Arrived::External { 0x0800 } else { 0x86dd };
            return self.framed(side, ethertype, &piece);
        }
        let (ethertype, mut packet) = match side {
            Arrived::External => self.internet_packet(),
            Arrived::Internal => self.b4_packet(),
        };
        if self.rng.chance(20) {
            self.damage(&mut packet);
        }
        if self.rng.chance(10) {
            let padding = self.rng.below(60);
            packet.extend((0..padding).map(|i| i as u8));
        }
        self.framed(side, ethertype, &packet)
    }

    // Fragments.

    /// Cuts a packet that is to arrive on this side; its pieces come among those of others.
    fn cut(&mut self, side: Arrived) {
        // Nearly always another one: what is used again within a burst depends on its order.
        self.identification += 1;
        let identification = self.identification;
        let pieces = match side {
            Arrived::External => {
                let (ethertype, packet) = self.internet_packet();
                if ethertype != 0x0800 || !pieces::can_cut_ipv4(&packet) {
                    return;
                }
                pieces::of_ipv4(&mut self.rng, &packet, identification as u16)
            }
            Arrived::Internal => {
                let packet = self.tunnelled();
                if packet.len() < 49 {
                    return;
                }
                let inner = &packet[40..];
                if packet[6] == IPIP && pieces::can_cut_ipv4(inner) && self.rng.chance(40) {
                    let mut pieces = Vec::new();
                    for inner in pieces::of_ipv4(&mut self.rng, inner, identification as u16) {
                        let mut piece = [&packet[..40], &inner].concat();
                        piece[4..6].copy_from_slice(&(inner.len() as u16).to_be_bytes());
                        if self.rng.chance(10) {
                            self.identification += 1;
                            let identification = self.identification;
                            pieces.extend(pieces::of_ipv6(&mut self.rng, &piece, identification));
                        } else {
                            pieces.push(piece);
                        }
                    }
                    pieces
                } else {
                    pieces::of_ipv6(&mut self.rng, &packet, identification)
                }
            }
        };
        let pending = &mut self.pieces[side as usize];
        for piece in pieces {
            // Close together, but not always behind one another.
            let least = pending.len().saturating_sub(6);
            let at = least + self.rng.below(pending.len() - least + 1);
            pending.insert(at, piece);
        }
        if pending.len() > 60 {
            pending.truncate(60);
        }
    }

    // Ethernet.

    fn framed(&mut self, side: Arrived, ethertype: u16, packet: &[u8]) -> Vec<u8> {
        let link: &Link = match side {
            Arrived::External => &self.world.external,
            Arrived::Internal => &self.world.internal,
        };
        let to = match self.rng.below(120) {
            0 => [0xff; 6],
            1 => [0x33, 0x33, 0, 0, 0, 1],
            2 => [0x01, 0x00, 0x5e, 0, 0, 5],
            3 => [2, 0, 0, 0, 0x99, self.rng.byte()],
            4 if self.rng.chance(20) => [0x01, 0x80, 0xc2, 0, 0, self.rng.byte() % 32],
            _ => link.mac,
        };
        let from = match self.rng.below(200) {
            0 => [3, 0, 0, 0, 0x77, 0x77],
            1 => link.mac,
            2..20 => [2, 0, 0, 0, 0x77, 0x77],
            _ => link.next_hop,
        };
        let vlan = match self.rng.below(100) {
            0 => Some(0),
            1 => None,
            2 => Some(99),
            _ => link.vlan,
        };
        let ethertype = match self.rng.below(60) {
            0 => *self.rng.pick(&[0x0800, 0x0806, 0x86dd, 0x88cc, 0x8100, 0x88a8]),
            _ => ethertype,
        };
        let mut frame = ethernet(to, from, vlan, ethertype, packet);
        if self.rng.chance(1) {
            frame.truncate(self.rng.below(20));
        }
        frame
    }

    // From the Internet.

    fn internet_packet(&mut self) -> (u16, Vec<u8>) {
        if self.rng.chance(2) {
            return (0x0806, self.arp());
        }
        let softwire = *self.rng.pick(&self.softwires);
        let source = self.host();
        let destination = match self.rng.below(20) {
            0 => *self.rng.pick(&self.world.external_addresses),
            1 => self.host(),
            2 => {
                let [a, b, c, _] = softwire.ipv4.octets();
                [a, b, c, self.rng.byte()].into()
            }
            _ => softwire.ipv4,
        };
        let port = self.port_of(softwire);
        (0x0800, self.ipv4(source, destination, Ends { theirs: None, ours: port }))
    }

    /// An IPv4 host on the Internet, or an address that is none.
    fn host(&mut self) -> Ipv4Addr {
        match self.rng.below(60) {
            0 => *self.rng.pick(&self.world.external_addresses),
            1 => [192, 0, 2, 255].into(),
            2 => {
                let first = *self.rng.pick(&[0_u8, 127, 224, 239, 240, 255, 10, 100]);
                [first, self.rng.byte(), self.rng.byte(), self.rng.byte()].into()
            }
            3 => [169, *self.rng.pick(&[253, 254]), 1, 1].into(),
            4 => self.rng.pick(&self.softwires).ipv4,
            _ => [203, 0, 113, self.rng.byte()].into(),
        }
    }

    /// Usually a port of this softwire, sometimes its neighbour's or anything.
    fn port_of(&mut self, softwire: &Softwire) -> u16 {
        let m = 16 - softwire.a - softwire.k;
        let block = self.rng.below(1 << softwire.a) as u32;
        let within = self.rng.below(1 << m) as u32;
        let port = (block << (softwire.k + m) | softwire.psid << m | within) as u16;
        match self.rng.below(20) {
            0 => self.rng.word(),
            1 => port.wrapping_add((1_u32 << m) as u16),
            2 => port % 2048,
            _ => port,
        }
    }

    /// An IPv4 packet whose subscriber's end is at the destination, or at the source.
    fn ipv4(&mut self, source: Ipv4Addr, destination: Ipv4Addr, ends: Ends) -> Vec<u8> {
        let protocol = match self.rng.below(20) {
            0..6 => UDP,
            6..11 => TCP,
            11..17 => ICMP,
            17 | 18 => *self.rng.pick(&[33, 132, 136]),
            _ => *self.rng.pick(&[0, 2, 4, 41, 47, 50, 51, 255]),
        };
        let mut fields = Ipv4Fields::new(source, destination, protocol, 60);
        fields.tos = self.rng.byte();
        fields.identification = self.rng.word();
        fields.dont_fragment = self.rng.chance(60);
        if self.rng.chance(10) {
            fields.ttl = self.rng.byte() % 4;
        }
        if self.rng.chance(3) {
            fields.more_fragments = self.rng.chance(50);
            // No further than that all of it is within the 64 KiB of a packet.
            fields.fragment_offset = if self.rng.chance(60) { self.rng.word() & 0xfff } else { 0 };
        }
        if self.rng.chance(6) {
            fields.options = self.ipv4_options();
        }
        let payload = match protocol {
            ICMP => self.icmp(source, destination, ends),
            TCP if self.rng.chance(70) => self.tcp(source, destination, ends),
            _ => self.transport(ends),
        };
        fields.with(&payload)
    }

    /// A TCP segment, usually one that opens a connection.
    fn tcp(&mut self, source: Ipv4Addr, destination: Ipv4Addr, ends: Ends) -> Vec<u8> {
        let (from, to) = self.ports(ends);
        let mut options = Vec::new();
        for _ in 0..self.rng.below(5) {
            match self.rng.below(8) {
                0 => options.push(1),
                1 => options.extend([3, 3, 7]),
                2 => options.extend([8, 10, 0, 0, 0, 5, 0, 0, 0, 6]),
                3 => options.extend([self.rng.byte() % 6, self.rng.byte() % 6]),
                4 => options.push(self.rng.byte() % 3),
                _ => {
                    let mss = *self.rng.pick(&[536, 537, 1200, 1201, 1419, 1420, 1460, 8960]);
                    let mss = if self.rng.chance(80) { mss } else { self.rng.word() };
                    options.extend([2, 4]);
                    options.extend(mss.to_be_bytes());
                }
            }
        }
        options.resize(options.len().div_ceil(4) * 4, 0);
        options.truncate(40);
        let flags = *self.rng.pick(&[0x02, 0x02, 0x12, 0x12, 0xc2, 0x10, 0x18, 0x04]);
        let mut segment = from.to_be_bytes().to_vec();
        segment.extend(to.to_be_bytes());
        segment.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        segment.extend([(5 + options.len() as u8 / 4) << 4, flags, 0x20, 0, 0, 0, 0, 0]);
        segment.extend(options);
        let len = self.payload_len();
        segment.resize(segment.len() + len, 0x5a);
        if self.rng.chance(3) {
            segment.truncate(self.rng.below(24));
        } else {
            let sum = checksum4(source, destination, TCP, &segment);
            segment[16..18].copy_from_slice(&sum.to_be_bytes());
        }
        if self.rng.chance(3) {
            let at = self.rng.below(segment.len().max(1));
            if let Some(byte) = segment.get_mut(at) {
                *byte ^= 1 << self.rng.below(8);
            }
        }
        segment
    }

    fn ipv4_options(&mut self) -> Vec<u8> {
        let mut options = Vec::new();
        for _ in 0..=self.rng.below(2) {
            match self.rng.below(5) {
                0 => options.extend([1, 1]),
                1 => options.extend([7, 7, 4, 0, 0, 0, 0]),
                2 => options.extend([*self.rng.pick(&[131, 137]), 7, 4, 1, 2, 3, 4]),
                3 => options.extend([148, 4, 0, 0]),
                _ => options.extend([self.rng.byte(), self.rng.byte()]),
            }
        }
        options.resize(options.len().div_ceil(4) * 4, 0);
        options
    }

    /// Ports and some bytes; sometimes cut, sometimes at the edge of an MTU.
    fn transport(&mut self, ends: Ends) -> Vec<u8> {
        let (from, to) = self.ports(ends);
        let mut payload = from.to_be_bytes().to_vec();
        payload.extend(to.to_be_bytes());
        let len = self.payload_len();
        payload.resize(4 + len, 0x5a);
        if self.rng.chance(3) {
            payload.truncate(self.rng.below(5));
        }
        payload
    }

    fn ports(&mut self, ends: Ends) -> (u16, u16) {
        let other = self.rng.word();
        match ends {
            Ends { theirs: Some(source), ours: destination } => (source, destination),
            Ends { theirs: None, ours } => (other, ours),
        }
    }

    fn payload_len(&mut self) -> usize {
        match self.rng.below(40) {
            0 => 1200 + self.rng.below(60),
            1 => 1340 + self.rng.below(60),
            2 => 1400 + self.rng.below(120),
            3 if self.rng.chance(10) => 8900 + self.rng.below(80),
            _ => self.rng.below(90),
        }
    }

    /// ICMP: echo with the identifier as port, errors about packets that went the other way, and
    /// anything else.
    fn icmp(&mut self, source: Ipv4Addr, destination: Ipv4Addr, ends: Ends) -> Vec<u8> {
        let identifier = ends.theirs.unwrap_or(ends.ours);
        let [high, low] = identifier.to_be_bytes();
        let len = self.payload_len();
        let mut message = match self.rng.below(10) {
            0..5 => {
                let kind = *self.rng.pick(&[0, 8]);
                icmp_message(kind, 0, [high, low, 0, 1], &vec![0x77; len])
            }
            5..9 => {
                let kind = *self.rng.pick(&[3, 11, 12]);
                let code = self.rng.byte() % 5;
                let about = self.embedded(source, destination, ends);
                icmp_message(kind, code, [0, 0, 5, 0xdc], &about)
            }
            _ => {
                let kind = self.rng.byte();
                icmp_message(kind, 0, [high, low, 0, 1], &vec![0x77; len])
            }
        };
        if self.rng.chance(4) {
            let at = self.rng.below(message.len());
            message[at] ^= 1 << self.rng.below(8);
        }
        if self.rng.chance(3) {
            message.truncate(self.rng.below(40));
        }
        message
    }

    /// The packet that an ICMP error from `source` to `destination` is about.
    fn embedded(&mut self, source: Ipv4Addr, destination: Ipv4Addr, ends: Ends) -> Vec<u8> {
        let protocol = *self.rng.pick(&[UDP, UDP, TCP, TCP, ICMP, 132, 47]);
        let router = self.rng.chance(30);
        // From a subscriber the error's destination may be anyone; its source is the subscriber's.
        let (mut from, mut to) = (destination, source);
        if router && ends.theirs.is_none() {
            to = [203, 0, 113, 99].into();
        } else if router {
            from = [203, 0, 113, 99].into();
        }
        if self.rng.chance(4) {
            from = self.host();
        }
        let mut fields = Ipv4Fields::new(from, to, protocol, 1);
        if self.rng.chance(5) {
            fields.fragment_offset = self.rng.word() & 3;
        }
        if self.rng.chance(10) {
            fields.options = self.ipv4_options();
        }
        let (from_port, to_port) = self.ports(ends);
        // It went the other way.
        let payload = if protocol == ICMP {
            let kind = *self.rng.pick(&[8, 8, 8, 0, 3]);
            let identifier = ends.theirs.unwrap_or(ends.ours);
            let [high, low] = identifier.to_be_bytes();
            icmp_message(kind, 0, [high, low, 0, 1], &[0; 8])
        } else {
            let mut payload = to_port.to_be_bytes().to_vec();
            payload.extend(from_port.to_be_bytes());
            payload.extend([0; 16]);
            payload
        };
        let mut packet = fields.with(&payload);
        if self.rng.chance(15) {
            packet.truncate(fields.options.len() + 20 + self.rng.below(12));
        }
        if self.rng.chance(3) {
            packet.truncate(self.rng.below(20));
        }
        if self.rng.chance(3) {
            let at = self.rng.below(packet.len().max(1));
            if let Some(byte) = packet.get_mut(at) {
                *byte ^= 1 << self.rng.below(8);
            }
        }
        packet
    }

    fn arp(&mut self) -> Vec<u8> {
        let operation = *self.rng.pick(&[1, 1, 1, 1, 2, 3]);
        let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, operation];
        let first = if self.rng.chance(95) { 2 } else { 3 };
        let ours = self.world.external.mac;
        bytes.extend(if self.rng.chance(5) { ours } else { [first, 0, 0, 0, 1, 0xfe] });
        let claimed = *self.rng.pick(&self.world.external_addresses);
        bytes.extend(if self.rng.chance(10) { claimed } else { self.host() }.octets());
        bytes.extend([0; 6]);
        let ours = *self.rng.pick(&self.world.external_addresses);
        let target = if self.rng.chance(60) { ours } else { self.host() };
        bytes.extend(target.octets());
        bytes
    }

    // From a B4.

    fn b4_packet(&mut self) -> (u16, Vec<u8>) {
        let packet = match self.rng.below(30) {
            0 => self.neighbour_discovery(),
            1 => self.ours_v6(),
            2 => self.multicast_v6(),
            3 if self.rng.chance(30) => self.listener_query(),
            3 if self.may_teach => self.tunnel_error(),
            _ => self.tunnelled(),
        };
        let packet = if packet.len() >= 40 && self.rng.chance(3) {
            self.as_atomic_fragment(packet)
        } else {
            packet
        };
        (0x86dd, packet)
    }

    /// The same packet with the header of a fragment that is all of it, or nearly such a header.
    fn as_atomic_fragment(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        let next = std::mem::replace(&mut packet[6], 44);
        let low = if self.rng.chance(90) { self.rng.byte() & 6 } else { self.rng.byte() };
        packet.splice(40..40, [next, 0, 0, low, 1, 2, 3, 4]);
        let len = be16(&packet, 4) + 8;
        packet[4..6].copy_from_slice(&len.to_be_bytes());
        packet
    }

    fn tunnelled(&mut self) -> Vec<u8> {
        let softwire = *self.rng.pick(&self.softwires);
        let mut source = softwire.ipv4;
        if self.rng.chance(4) {
            source = self.host();
        }
        let port = self.port_of(softwire);
        let other = *self.rng.pick(&self.softwires);
        let (destination, other_port) = match self.rng.below(20) {
            0..4 => (other.ipv4, self.port_of(other)),
            4 => (*self.rng.pick(&self.world.external_addresses), self.rng.word()),
            _ => (self.host(), self.rng.word()),
        };
        let ends = Ends { theirs: Some(port), ours: other_port };
        let mut inner = self.ipv4(source, destination, ends);
        if self.rng.chance(8) {
            self.damage(&mut inner);
        }
        let b4 = match self.rng.below(25) {
            0 => self.rng.pick(&self.softwires).b4,
            1 => self.any_ipv6(),
            _ => softwire.b4,
        };
        let br = match self.rng.below(25) {
            0 => *self.rng.pick(&self.world.br_addresses),
            1 => self.any_ipv6(),
            _ => softwire.br,
        };
        let mut header = Ipv6Fields::new(b4, br, IPIP, 63);
        header.traffic_class = self.rng.byte();
        header.flow_label = (self.rng.next() & 0xf_ffff) as u32;
        let payload = if self.rng.chance(12) {
            let (first, chain) = self.extension_headers(IPIP);
            header.next_header = first;
            [chain, inner].concat()
        } else {
            inner
        };
        if self.rng.chance(2) {
            header.next_header = *self.rng.pick(&[0, 6, 17, 41, 43, 44, 47, 50, 58, 59, 60, 89]);
        }
        header.with(&payload)
    }

    /// What a router says of a packet of ours to a B4, or of something like it.
    fn tunnel_error(&mut self) -> Vec<u8> {
        let softwire = *self.rng.pick(&self.softwires);
        let other = *self.rng.pick(&self.softwires);
        let (source, other_port) = match self.rng.below(20) {
            0..6 => (other.ipv4, self.port_of(other)),
            6 => (*self.rng.pick(&self.world.external_addresses), self.rng.word()),
            _ => (self.host(), self.rng.word()),
        };
        let port = self.port_of(softwire);
        let ends = Ends { theirs: Some(other_port), ours: port };
        let mut quoted = self.ipv4(source, softwire.ipv4, ends);
        if self.rng.chance(5) {
            self.damage(&mut quoted);
        }
        let mut header = Ipv6Fields::new(softwire.br, softwire.b4, IPIP, 60);
        if self.rng.chance(20) {
            header.next_header = 44;
            let low = if self.rng.chance(80) { self.rng.byte() & 1 } else { self.rng.byte() };
            let next = if self.rng.chance(90) { IPIP } else { self.rng.byte() };
            quoted = [&[next, 0, 0, low, 1, 2, 3, 4], &quoted[..]].concat();
        }
        let mut quoted = header.with(&quoted);
        let len = quoted.len();
        quoted.truncate(1280 - 48);
        if self.rng.chance(8) {
            quoted.truncate(self.rng.below(quoted.len()));
        }
        if self.rng.chance(8) && !quoted.is_empty() {
            let at = self.rng.below(quoted.len().min(70));
            quoted[at] ^= 1 << self.rng.below(8);
        }
        let mtu = *self.rng.pick(&[1280, 1281, 1287, 1300, 1400, 1279, len, len - 1, 9000]);
        let kind = *self.rng.pick(&[2, 2, 2, 2, 1, 3, 4]);
        let code = if self.rng.chance(80) { 0 } else { self.rng.byte() % 3 };
        let to = if self.rng.chance(95) { softwire.br } else { self.any_ipv6() };
        let from = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 1);
        let body = [&(mtu as u32).to_be_bytes()[..], &quoted].concat();
        Ipv6Fields::new(from, to, ICMPV6, 60).with(&icmp6_message(from, to, kind, code, &body))
    }

    /// Headers in front of a payload of this kind, and what the first of them is.
    fn extension_headers(&mut self, last: u8) -> (u8, Vec<u8>) {
        let count = if self.rng.chance(90) { 1 + self.rng.below(3) } else { 7 + self.rng.below(4) };
        let mut next = last;
        let mut chain = Vec::new();
        for index in 0..count {
            let kind = match self.rng.below(10) {
                0 => 43,
                1 => 0,
                _ if index + 1 == count && self.rng.chance(30) => 0,
                _ => 60,
            };
            let units = if self.rng.chance(90) { self.rng.below(2) } else { self.rng.below(40) };
            let mut header = vec![next, units as u8];
            if kind == 43 {
                header.extend([*self.rng.pick(&[0, 2, 2, 4]), self.rng.byte() & 1]);
                header.resize(8 + units * 8, 0);
            } else {
                self.options(&mut header, 8 + units * 8);
            }
            header.extend(chain);
            (next, chain) = (kind, header);
        }
        (next, chain)
    }

    /// Options that fill a header up to `len` bytes.
    fn options(&mut self, header: &mut Vec<u8>, len: usize) {
        if self.rng.chance(60) {
            header.extend([4, 1, 4]);
        } else if self.rng.chance(30) {
            header.extend([self.rng.byte(), 1, 0]);
        }
        match len - header.len() {
            0 => {}
            1 => header.push(0),
            rest if rest < 258 => {
                header.extend([1, rest as u8 - 2]);
                header.resize(len, 0);
            }
            _ => header.resize(len, 0),
        }
    }

    fn any_ipv6(&mut self) -> Ipv6Addr {
        let last = self.rng.word();
        match self.rng.below(9) {
            0 => Ipv6Addr::UNSPECIFIED,
            1 => Ipv6Addr::LOCALHOST,
            2 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
            3 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last),
            4 => self.world.link_local,
            5 => *self.rng.pick(&self.world.internal_addresses),
            6 => *self.rng.pick(&self.world.br_addresses),
            _ => Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, last),
        }
    }

    fn neighbour_discovery(&mut self) -> Vec<u8> {
        let target = self.any_ipv6();
        let source = match self.rng.below(20) {
            0..3 => Ipv6Addr::UNSPECIFIED,
            3..6 => target,
            _ => "fe80::fe".parse().unwrap(),
        };
        let destination = match self.rng.below(20) {
            0..12 => solicited_node(target),
            12..15 => "ff02::1".parse().unwrap(),
            _ => target,
        };
        let kind = *self.rng.pick(&[135, 135, 135, 136, 134, 133, 137]);
        let flags = if self.rng.chance(50) { self.rng.byte() } else { 0x20 };
        let mut body = vec![flags, 0, 0, 0];
        body.extend(target.octets());
        if self.rng.chance(70) {
            let option = if kind == 136 { 2 } else { 1 };
            body.extend([option, u8::from(self.rng.chance(95))]);
            let ours = self.world.internal.mac;
            body.extend(if self.rng.chance(5) { ours } else { [2, 0, 0, 0, 1, 0xfe] });
        }
        let code = u8::from(self.rng.chance(3));
        let message = icmp6_message(source, destination, kind, code, &body);
        let hop_limit = if self.rng.chance(95) { 255 } else { 64 };
        Ipv6Fields::new(source, destination, ICMPV6, hop_limit).with(&message)
    }

    /// A router asks which groups we listen to, or something like it.
    fn listener_query(&mut self) -> Vec<u8> {
        let asked = solicited_node(self.any_ipv6());
        let group = if self.rng.chance(40) { Ipv6Addr::UNSPECIFIED } else { asked };
        let all_nodes = "ff02::1".parse().unwrap();
        let destination = match self.rng.below(10) {
            0 => self.any_ipv6(),
            1..5 if !group.is_unspecified() => group,
            _ => all_nodes,
        };
        let group = if self.rng.chance(5) { all_nodes } else { group };
        let source =
            if self.rng.chance(90) { "fe80::fe".parse().unwrap() } else { self.any_ipv6() };
        let mut body = vec![0, self.rng.byte() & 0x7f, 0, 0];
        body.extend(group.octets());
        if self.rng.chance(70) {
            let sources = self.rng.below(3);
            body.extend([2, 125, 0, sources as u8]);
            body.resize(body.len() + 16 * sources, 0x20);
        }
        if self.rng.chance(5) {
            body.truncate(self.rng.below(body.len()));
        }
        let message = icmp6_message(source, destination, 130, 0, &body);
        let alert: &[u8] = match self.rng.below(20) {
            0 => &[],
            1 => &[ICMPV6, 0, 5, 2, 0, 1, 1, 0],
            2 => &[ICMPV6, 0, 0, 0, 5, 2, 0, 0],
            3 => &[ICMPV6, 1, 1, 6, 0, 0, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0],
            _ => &[ICMPV6, 0, 5, 2, 0, 0, 1, 0],
        };
        let next = if alert.is_empty() { ICMPV6 } else { 0 };
        let hop_limit = if self.rng.chance(95) { 1 } else { 255 };
        let header = Ipv6Fields::new(source, destination, next, hop_limit);
        let mut packet = header.with(&[alert, &message].concat());
        if self.rng.chance(5) {
            self.damage(&mut packet);
        }
        packet
    }

    fn ours_v6(&mut self) -> Vec<u8> {
        let source = self.any_ipv6();
        let destination = self.any_ipv6();
        let protocol = *self.rng.pick(&[ICMPV6, ICMPV6, ICMPV6, UDP, TCP, 47, IPIP]);
        let len = self.payload_len();
        let payload = if protocol == ICMPV6 {
            let kind = *self.rng.pick(&[128, 128, 128, 129, 1, 2, 143, 200]);
            let mut body = vec![0, 9, 0, 1];
            body.resize(4 + len, 0x33);
            icmp6_message(source, destination, kind, 0, &body)
        } else {
            vec![0x44; len]
        };
        let mut header = Ipv6Fields::new(source, destination, protocol, 1 + self.rng.byte() % 3);
        header.traffic_class = self.rng.byte();
        if protocol != ICMPV6 || self.rng.chance(80) {
            return header.with(&payload);
        }
        let (first, chain) = self.extension_headers(protocol);
        header.next_header = first;
        header.with(&[chain, payload].concat())
    }

    fn multicast_v6(&mut self) -> Vec<u8> {
        let group = *self.rng.pick(&[1_u16, 2, 5, 9, 0x12, 0x16, 0xfb]);
        let destination = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, group);
        let source = "fe80::fe".parse().unwrap();
        let protocol = *self.rng.pick(&[ICMPV6, 89, 112, 103, UDP, IPIP, 50, 51]);
        let kind = *self.rng.pick(&[130, 131, 143, 133, 134, 128, 200]);
        let message = icmp6_message(source, destination, kind, 0, &[0; 12]);
        let mut payload = if protocol == ICMPV6 { message } else { vec![0; 24] };
        match protocol {
            UDP => payload[2..4].copy_from_slice(&self.rng.pick(&[521_u16, 5353]).to_be_bytes()),
            51 => payload[..2]
                .copy_from_slice(&[*self.rng.pick(&[89, 112, UDP]), self.rng.byte() % 8]),
            _ => {}
        }
        let (first, chain) = self.extension_headers(protocol);
        Ipv6Fields::new(source, destination, first, 1).with(&[chain, payload].concat())
    }

    // Damage.

    /// Flips, cuts or lengthens; now and then mends the checksum, so that what was damaged is not
    /// all that is found.
    fn damage(&mut self, packet: &mut Vec<u8>) {
        if packet.is_empty() {
            return;
        }
        match self.rng.below(8) {
            0 => packet.truncate(self.rng.below(packet.len())),
            1 => packet.truncate(self.rng.below(packet.len().min(70))),
            2 => {
                let at = self.rng.below(packet.len());
                packet[at] = self.rng.byte();
            }
            3 => {
                let value = self.rng.byte();
                let at = *self.rng.pick(&[2, 3, 4, 5]);
                if let Some(byte) = packet.get_mut(at) {
                    *byte = value;
                }
            }
            _ => {
                let at = self.rng.below(packet.len().min(80));
                packet[at] ^= 1 << self.rng.below(8);
            }
        }
        if self.rng.chance(60) {
            mend(packet);
        }
    }
}

/// RFC 4291 section 2.7.1.
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c].into()
}

/// Both ports of a packet. From the Internet the subscriber's is `ours`; from a B4 it is `theirs`.
#[derive(Debug, Clone, Copy)]
struct Ends {
    theirs: Option<u16>,
    ours: u16,
}

/// Makes the checksum of the outermost header right again, where there is one.
fn mend(packet: &mut [u8]) {
    match packet.first().map(|first| first >> 4) {
        Some(4) => {
            let header_len = usize::from(packet[0] & 15) * 4;
            if header_len >= 20 && header_len <= packet.len() {
                fix_ipv4_checksum(packet);
            }
        }
        Some(6) if packet.len() >= 48 && packet[6] == ICMPV6 => {
            let len = usize::from(be16(packet, 4)).min(packet.len() - 40);
            if len >= 4 {
                let source = crate::bytes::ipv6_at(packet, 8);
                let destination = crate::bytes::ipv6_at(packet, 24);
                packet[42..44].fill(0);
                let sum = checksum6(source, destination, &packet[40..40 + len]);
                packet[42..44].copy_from_slice(&sum.to_be_bytes());
            }
        }
        _ => {}
    }
}
