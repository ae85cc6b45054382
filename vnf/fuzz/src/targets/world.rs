//! Relays to throw frames at: the addresses and softwires of the golden cases, wired and configured
//! in all ways that matter to what is sent.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use vnf::config::{self, Config};
use vnf::replay::{Options, Session};
use vnf::side::Side;
use vnf::softwire::TableWriter;
use vnf::wire::MacAddr;

const SOFTWIRES: [(&str, u8, u8, u16, &str); 6] = [
    ("198.51.100.1", 0, 8, 0x12, "2001:db8:b4::12"),
    ("198.51.100.1", 0, 8, 0x34, "2001:db8:b4::34"),
    ("198.51.100.2", 6, 8, 0x12, "2001:db8:b4::2:12"),
    ("198.51.100.3", 0, 0, 0, "2001:db8:b4::3"),
    ("198.51.100.4", 0, 16, 4711, "2001:db8:b4::4"),
    ("198.51.100.5", 4, 0, 0, "2001:db8:b4::5"),
];

/// One way to set a relay up.
struct Variant {
    /// MTUs, external first.
    mtus: [u16; 2],
    vlans: [u16; 2],
    one_port: bool,
    /// Whether the next hops' MAC addresses are known from the start.
    knows_next_hops: bool,
    /// Whether there are several next hops, and several addresses of ours, on each side.
    lists: bool,
    /// More of each side, external first.
    sides: [&'static str; 2],
    policy: &'static str,
    /// Sections of their own.
    more: &'static str,
}

const PLAIN: Variant = Variant {
    mtus: [1500, 1500],
    vlans: [0, 0],
    one_port: false,
    knows_next_hops: true,
    lists: false,
    sides: ["", ""],
    policy: "",
    more: "",
};

const VARIANTS: [Variant; 9] = [
    PLAIN,
    Variant {
        mtus: [1500, 1280],
        vlans: [10, 20],
        policy: "decap-dscp = \"copy\"\ndscp = 9\nflow-label = \"hash\"",
        ..PLAIN
    },
    Variant { mtus: [1300, 1400], one_port: true, policy: "fragment = \"inner\"", ..PLAIN },
    Variant {
        mtus: [1280, 1300],
        vlans: [10, 20],
        one_port: true,
        policy: "too-big-df = \"fragment\"\ndecap-ttl = \"keep\"\nmss-clamp = \"auto\"",
        ..PLAIN
    },
    Variant { knows_next_hops: false, ..PLAIN },
    Variant {
        policy: "hairpinning = \"external\"\nmss-clamp = 600\necn = \"compatibility\"",
        ..PLAIN
    },
    // Filters that read all over the packet, whatever it is.
    Variant {
        mtus: [1500, 1300],
        sides: [
            "ingress-filter = \"not (tcp dst port 25) and ip[6:2] & 0x4000 != len\"\n\
             egress-filter = \"udp or icmp or ip[2:2] > 40\"",
            "ingress-filter = \"ip6[48] < 250 or ip6 proto 58 or port 53\"\n\
             egress-filter = \"ip6[40] & 0xf0 = 0x40 or ip6[6] = 44\"",
        ],
        ..PLAIN
    },
    // Fragments of which next to nothing may be kept.
    Variant {
        mtus: [1400, 1300],
        policy: "fragment = \"inner\"\ntoo-big-df = \"fragment\"",
        more: "[fragments]\nmax-fragments = 3\npackets-per-source = 2\n\
               bytes-per-source = 4096\npackets = 3\nbytes = 65536\ntimeout = 2\n\
               port-memory = 2\nheld-per-packet = 1",
        ..PLAIN
    },
    // Next hops and addresses in lists, and softwires' addresses spoken for.
    Variant {
        vlans: [10, 20],
        knows_next_hops: false,
        sides: ["proxy-arp = true\npromiscuous = true", "link-local = \"fe80::77\""],
        lists: true,
        ..PLAIN
    },
];

/// A relay that has seen nothing yet.
pub(super) struct World {
    /// To be thrown at.
    pub(super) session: Session,
    number: usize,
}

/// What was read of a variant, once in a process.
static LOADED: [Mutex<Option<(Config, TableWriter)>>; VARIANTS.len()] =
    [const { Mutex::new(None) }; VARIANTS.len()];

impl World {
    /// The variant that a byte stands for.
    pub(super) fn of(byte: u8) -> Self {
        let number = usize::from(byte) % VARIANTS.len();
        let mut loaded = LOADED[number].lock().unwrap_or_else(PoisonError::into_inner);
        let (config, table) = loaded.get_or_insert_with(|| load(&VARIANTS[number].toml()));
        let settings = config.settings(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        let session = Session::new(settings, table.table().clone(), &Options::default());
        Self { session, number }
    }

    /// The MTU of one side.
    pub(super) fn mtu(&self, side: Side) -> usize {
        VARIANTS[self.number].mtus[side.index()].into()
    }
}

impl Drop for World {
    /// What was consumed may have taught the table a path MTU: the next input must not find it.
    fn drop(&mut self) {
        if Side::BOTH.iter().any(|&side| self.session.totals(side).consumed > 0) {
            *LOADED[self.number].lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Variant {
    fn toml(&self) -> String {
        let sides = [
            (
                "external",
                ["192.0.2.1/24", "192.0.2.65/24"],
                ["192.0.2.254", "192.0.2.253"],
                "net_null0",
            ),
            (
                "internal",
                ["2001:db8:1::1/64", "2001:db8:2::1/64"],
                ["2001:db8:1::fe", "fe80::fd"],
                "net_null1",
            ),
        ];
        let mut toml = String::new();
        for (number, (side, addresses, next_hops, port)) in sides.into_iter().enumerate() {
            let port = if self.one_port { "net_null0" } else { port };
            let (mtu, vlan, more) = (self.mtus[number], self.vlans[number], self.sides[number]);
            let several = usize::from(self.lists) + 1;
            let (addresses, next_hops) = (&addresses[..several], &next_hops[..several]);
            let _ = write!(
                toml,
                "[{side}]\nport = \"{port}\"\naddress = {addresses:?}\nmtu = {mtu}\n\
                 next-hop = {next_hops:?}\n{more}\n"
            );
            if vlan != 0 {
                let _ = writeln!(toml, "vlan = {vlan}");
            }
            if self.knows_next_hops {
                let _ = writeln!(toml, "next-hop-mac = \"02:00:00:00:0{}:fe\"", number + 1);
            }
        }
        let _ = writeln!(
            toml,
            "{}\n[softwires]\nbr-addresses = [\"2001:db8:ff::1\", \"2001:db8:ff::2\"]\n[policy]\n{}",
            self.more, self.policy
        );
        for (number, (ipv4, offset, length, psid, b4)) in SOFTWIRES.into_iter().enumerate() {
            let br = 1 + u8::from(number == 1);
            let _ = writeln!(
                toml,
                "[[softwire]]\nipv4 = \"{ipv4}\"\npsid-offset = {offset}\npsid-len = {length}\n\
                 psid = {psid}\nb4-ipv6 = \"{b4}\"\nbr-ipv6 = \"2001:db8:ff::{br}\""
            );
        }
        toml
    }
}

fn load(toml: &str) -> (Config, TableWriter) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lwaftr.toml");
    std::fs::write(&path, toml).unwrap();
    config::load_with_table(&path).unwrap_or_else(|errors| panic!("{errors}\n{toml}"))
}
