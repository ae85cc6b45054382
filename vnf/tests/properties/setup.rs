//! Relays with one softwire, configured by TOML as anybody would, and frames to and from them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use proptest::prelude::*;
use vnf::lwaftr::Settings;
use vnf::replay::{Options, Session};
use vnf::side::Side;
use vnf::softwire::TableWriter;
use vnf::wire::MacAddr;

/// The softwire's address, its ends, and a host on the Internet.
pub(crate) const SHARED: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const B4: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xb4, 0, 0, 0, 0, 1);
pub(crate) const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 1);
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

const MAC: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const NEXT_HOP: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 0xfe], [2, 0, 0, 0, 2, 0xfe]];

/// A port set.
#[derive(Debug, Clone)]
pub(crate) struct Softwire {
    offset: u32,
    length: u32,
    psid: u32,
}

impl Softwire {
    /// The whole address.
    pub(crate) const WHOLE: Self = Self { offset: 0, length: 0, psid: 0 };

    /// One of several.
    pub(crate) const fn shared(offset: u32, length: u32, psid: u32) -> Self {
        Self { offset, length, psid }
    }

    /// RFC 7597 section 5.1 and E2, port by port.
    pub(crate) fn owns(&self, port: u16) -> bool {
        let bits = format!("{port:016b}");
        let (a, rest) = bits.split_at(self.offset as usize);
        let psid = &rest[..self.length as usize];
        self.length == 0
            || (self.offset == 0 || a.contains('1'))
                && u32::from_str_radix(psid, 2) == Ok(self.psid)
    }

    /// One of its ports.
    pub(crate) fn port(&self, index: &prop::sample::Index) -> u16 {
        let ports: Vec<u16> = (0..=u16::MAX).filter(|&port| self.quickly_owns(port)).collect();
        *index.get(&ports)
    }

    /// The same as `owns`, for going through all ports.
    fn quickly_owns(&self, port: u16) -> bool {
        let m = 16 - self.offset - self.length;
        let port = u32::from(port);
        self.length == 0
            || (self.offset == 0 || port >> (16 - self.offset) > 0)
                && port >> m & ((1 << self.length) - 1) == self.psid
    }
}

/// Any a, k and PSID that owns a port at all.
pub(crate) fn any_softwire() -> impl Strategy<Value = Softwire> {
    (0..=16_u32)
        .prop_flat_map(|offset| (Just(offset), 0..=16 - offset))
        .prop_flat_map(|(offset, length)| (Just(offset), Just(length), 0..1_u32 << length))
        .prop_map(|(offset, length, psid)| Softwire { offset, length, psid })
}

/// A relay with this softwire and these lines of policy.
pub(crate) fn session(softwire: &Softwire, policy: &str) -> Session {
    let Softwire { offset, length, psid } = softwire;
    let toml = format!(
        "[external]\nport = \"net_null0\"\naddress = \"192.0.2.1/24\"\nmtu = 9000\n\
         next-hop-mac = \"02:00:00:00:01:fe\"\nnext-hop = \"192.0.2.254\"\n\
         [internal]\nport = \"net_null1\"\naddress = \"2001:db8:1::1/64\"\nmtu = 9000\n\
         next-hop-mac = \"02:00:00:00:02:fe\"\nnext-hop = \"2001:db8:1::fe\"\n\
         [softwires]\nbr-addresses = [\"{BR}\"]\n\
         [[softwire]]\nipv4 = \"{SHARED}\"\npsid-offset = {offset}\npsid-len = {length}\n\
         psid = {psid}\nb4-ipv6 = \"{B4}\"\nbr-ipv6 = \"{BR}\"\n[policy]\n{policy}\n"
    );
    load(&toml).session()
}

/// How many configurations [`variant`] knows.
pub(crate) const VARIANTS: usize = 4;

/// Relays that differ in all that matters to what they send: tags, MTUs, resolution, policy.
pub(crate) fn variant(number: usize) -> Session {
    seeded_variant(number, 0)
}

/// The same with a seed for what is random.
pub(crate) fn seeded_variant(number: usize, seed: u64) -> Session {
    static LOADED: LazyLock<Vec<Loaded>> =
        LazyLock::new(|| (0..VARIANTS).map(|number| load(&variant_toml(number))).collect());
    LOADED[number].seeded_session(seed)
}

fn variant_toml(number: usize) -> String {
    let [external, internal] = [
        ["", "vlan = 10\n", "mtu = 1300\n", "next-hop = \"192.0.2.254\"\n"],
        ["", "vlan = 20\nmtu = 1280\n", "mtu = 1400\n", "next-hop = \"2001:db8:1::fe\"\n"],
    ]
    .map(|lines| lines[number]);
    let fixed = |last| match number {
        3 => String::new(),
        _ => format!("next-hop-mac = \"02:00:00:00:0{last}:fe\"\n"),
    };
    let next_hops = match number {
        3 => ["", ""],
        _ => ["next-hop = \"192.0.2.254\"\n", "next-hop = \"2001:db8:1::fe\"\n"],
    };
    let policy = ["", "dscp = 9", "decap-dscp = \"copy\"\ndecap-ttl = \"keep\"", ""][number];
    let (fixed_external, fixed_internal) = (fixed(1), fixed(2));
    format!(
        "[external]\nport = \"net_null0\"\naddress = \"192.0.2.1/24\"\n{external}{}{fixed_external}\
         [internal]\nport = \"net_null{}\"\naddress = \"2001:db8:1::1/64\"\n{internal}{}\
         {fixed_internal}\
         [softwires]\nbr-addresses = [\"{BR}\"]\n\
         [[softwire]]\nipv4 = \"{SHARED}\"\npsid-len = 0\npsid = 0\nb4-ipv6 = \"{B4}\"\n\
         [[softwire]]\nipv4 = \"198.51.100.2\"\npsid-offset = 4\npsid-len = 6\npsid = 5\n\
         b4-ipv6 = \"2001:db8:b4::2\"\n\
         [policy]\n{policy}\n",
        next_hops[0],
        number % 2,
        next_hops[1],
    )
}

/// The MTU of a variant's side.
pub(crate) fn mtu(variant: usize, side: Side) -> usize {
    match side {
        Side::External => [1500, 1500, 1300, 1500][variant],
        Side::Internal => [1500, 1280, 1400, 1500][variant],
    }
}

/// A configuration file that was read.
struct Loaded {
    settings: Settings,
    table: TableWriter,
}

impl Loaded {
    fn session(&self) -> Session {
        self.seeded_session(0)
    }

    fn seeded_session(&self, seed: u64) -> Session {
        let options = Options { seed, ..Options::default() };
        Session::new(self.settings.clone(), self.table.table().clone(), &options)
    }
}

fn load(toml: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lwaftr.toml");
    std::fs::write(&path, toml).unwrap();
    let (config, table) =
        vnf::config::load_with_table(&path).unwrap_or_else(|errors| panic!("{errors}\n{toml}"));
    let settings = config.settings(MacAddr(MAC[0]), MacAddr(MAC[1]));
    Loaded { settings, table }
}

/// A frame with a packet from the Internet.
pub(crate) fn from_internet(packet: &[u8]) -> Vec<u8> {
    [&MAC[0], &NEXT_HOP[0], &[8, 0][..], packet].concat()
}

/// A frame with a packet from a B4.
pub(crate) fn from_b4(packet: &[u8]) -> Vec<u8> {
    [&MAC[1], &NEXT_HOP[1], &[0x86, 0xdd][..], packet].concat()
}

/// An IPv4 packet as the B4 sends it.
pub(crate) fn tunnelled(packet: &[u8]) -> Vec<u8> {
    let len = (packet.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0, len[0], len[1], 4, 64], &B4.octets()[..], &BR.octets(), packet].concat()
}

/// Computes the checksum of an IPv4 header anew.
pub(crate) fn fix_checksum(packet: &mut [u8]) {
    let (header, _) = etherparse::Ipv4Header::from_slice(packet).unwrap();
    packet[10..12].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
}

/// What an untagged frame carries.
pub(crate) fn payload(frame: &[u8]) -> &[u8] {
    &frame[14..]
}
