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
    policy: &'static str,
}

const PLAIN: Variant = Variant {
    mtus: [1500, 1500],
    vlans: [0, 0],
    one_port: false,
    knows_next_hops: true,
    policy: "",
};

const VARIANTS: [Variant; 6] = [
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
            ("external", "192.0.2.1/24", "192.0.2.254", "net_null0"),
            ("internal", "2001:db8:1::1/64", "2001:db8:1::fe", "net_null1"),
        ];
        let mut toml = String::new();
        for (number, (side, address, next_hop, port)) in sides.into_iter().enumerate() {
            let port = if self.one_port { "net_null0" } else { port };
            let (mtu, vlan) = (self.mtus[number], self.vlans[number]);
            let _ = write!(
                toml,
                "[{side}]\nport = \"{port}\"\naddress = \"{address}\"\nmtu = {mtu}\n\
                 next-hop = \"{next_hop}\"\n"
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
            "[softwires]\nbr-addresses = [\"2001:db8:ff::1\", \"2001:db8:ff::2\"]\n[policy]\n{}",
            self.policy
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
