//! The tables of the configuration file and their keys. To add a key: a field, its default, a
//! line in `keys!`, and its description in docs/configuration.md and configs/lwaftr.toml.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;

use super::key::{Key, Table, keys};
use super::value::{Boolean, Expression, Integer, List, Maybe, OneOf, Parsed, Text, WordOr, Words};
use crate::filter::Filter;
use crate::log;
use crate::lwaftr::{
    DecapDscp, DecapTtl, Dscp, Ecn, FlowLabel, Fragment, Fragments, Hairpinning, MssClamp, Policy,
    TooBigDf,
};
use crate::softwire::file::{COLUMNS, VALID_UNTIL};
use crate::wire::MacAddr;

/// `[instance]`: this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Tells several instances apart: in logs, and in the default control socket.
    pub name: String,
    /// Where `lwaftr reload`, `stats` and the like reach it.
    pub control_socket: PathBuf,
    /// Where a crash leaves the frames that were received last; empty for the usual place.
    pub crash_directory: PathBuf,
    /// Reload by itself when a file of the configuration changes.
    pub watch: bool,
    /// Seconds for which packets are carried after SIGTERM.
    pub shutdown_grace: u32,
    /// What is logged: a level, or `module=level` pairs.
    pub log_level: String,
    /// How.
    pub log_format: LogFormat,
    /// Device arguments for DPDK that are no port of ours, probed before the ports: the members
    /// of a bond, for example.
    pub devices: Vec<String>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people, or for systemd's journal.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            name: "lwaftr".to_owned(),
            control_socket: PathBuf::new(),
            crash_directory: PathBuf::new(),
            watch: false,
            shutdown_grace: 0,
            log_level: log::USUAL.to_owned(),
            log_format: LogFormat::Text,
            devices: Vec::new(),
        }
    }
}

impl Table for Instance {
    const NAME: &str = "instance";

    fn keys() -> Vec<Key<Self>> {
        keys![Self;
            "name" FIXED name = Words("a name of at most 32 letters, digits, \"-\", \"_\" and \".\"");
            "control-socket" FIXED control_socket = Words("the path of a Unix socket, like \"/run/lwaftr/lwaftr.sock\"");
            "crash-directory" FIXED crash_directory = Words("the path of a directory, like \"/var/lib/lwaftr/crash\"");
            "watch" FIXED watch = Boolean;
            "shutdown-grace" OPTIONAL shutdown_grace = Integer(0, 3600);
            "log-level" OPTIONAL log_level = Words("a level, like \"info\", or levels of modules, like \"info,vnf::control=debug\"");
            "log-format" OPTIONAL log_format = OneOf(&[
                ("text", LogFormat::Text), ("json", LogFormat::Json),
            ]);
            "devices" FIXED devices = List(Words("a DPDK device argument, like \"0000:00:05.0\""));
        ]
    }
}

/// `[workers]`: the cores that move packets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workers {
    /// One worker on each; none given: one worker on the last CPU the process may use.
    pub cpus: Vec<usize>,
    /// What a worker does when there is nothing to do.
    pub idle: Idle,
}

impl Workers {
    /// How many there are.
    #[must_use]
    pub fn number(&self) -> usize {
        self.cpus.len().max(1)
    }
}

/// What a worker does when there is nothing to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Idle {
    /// `Poll` on physical ports, `Adaptive` on virtual ones.
    #[default]
    Auto,
    /// Ask the port again at once.
    Poll,
    /// Sleep so briefly that the port's ring cannot fill meanwhile.
    Adaptive,
}

impl Table for Workers {
    const NAME: &str = "workers";

    fn keys() -> Vec<Key<Self>> {
        keys![Self;
            "cpus" FIXED cpus = List(Integer(0, 1023));
            "idle" FIXED idle = OneOf(&[
                ("auto", Idle::Auto), ("poll", Idle::Poll), ("adaptive", Idle::Adaptive),
            ]);
        ]
    }
}

/// `[external]` or `[internal]`: an interface with addresses `A`, written with prefix as `N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface<A, N> {
    /// The DPDK device: a PCI address or a device argument.
    pub port: String,
    /// Our addresses with the prefixes of the link.
    pub addresses: Vec<N>,
    /// Our link-local address (internal side only); from the MAC address unless given.
    pub link_local: Option<A>,
    /// Other relays may have our BR addresses too (internal side only).
    pub br_anycast: bool,
    /// Our MAC address; the port's own unless given.
    pub mac: Option<MacAddr>,
    /// The 802.1Q VLAN; 0 for untagged.
    pub vlan: u16,
    /// IP bytes, without Ethernet header, tag and FCS.
    pub mtu: u16,
    /// Take unicast frames to any MAC address.
    pub promiscuous: bool,
    /// Answer ARP for every softwire's address (external side only).
    pub proxy_arp: bool,
    /// The routers that get everything that leaves here: the first that answers.
    pub next_hops: Vec<A>,
    /// Its MAC address, when it is not to be asked for.
    pub next_hop_mac: Option<MacAddr>,
    /// The next hop is reached directly although no prefix of ours covers it.
    pub on_link: bool,
    /// Packets received that do not match are dropped (Q1).
    pub ingress_filter: Option<Filter>,
    /// Packets to be sent that do not match are dropped (Q1).
    pub egress_filter: Option<Filter>,
}

/// `[external]`.
pub type ExternalInterface = Interface<Ipv4Addr, Ipv4Net>;
/// `[internal]`.
pub type InternalInterface = Interface<Ipv6Addr, Ipv6Net>;

impl<A, N> Default for Interface<A, N> {
    fn default() -> Self {
        Self {
            port: String::new(),
            addresses: Vec::new(),
            link_local: None,
            br_anycast: true,
            mac: None,
            vlan: 0,
            mtu: 1500,
            promiscuous: false,
            proxy_arp: false,
            next_hops: Vec::new(),
            next_hop_mac: None,
            on_link: false,
            ingress_filter: None,
            egress_filter: None,
        }
    }
}

fn interface_keys<A: Text, N: Text>() -> Vec<Key<Interface<A, N>>> {
    keys![Interface<A, N>;
        "port" REQUIRED_FIXED port = Words("a DPDK device, like \"0000:00:05.0\" or \"net_tap0\"");
        "address" REQUIRED addresses = List(Parsed);
        "mac" FIXED mac = Maybe(Parsed);
        "vlan" OPTIONAL vlan = Integer(0, 4094);
        "mtu" OPTIONAL mtu = Integer(1280, 9000);
        "promiscuous" OPTIONAL promiscuous = Boolean;
        "next-hop" OPTIONAL next_hops = List(Parsed);
        "next-hop-mac" OPTIONAL next_hop_mac = Maybe(Parsed);
        "on-link" OPTIONAL on_link = Boolean;
        "ingress-filter" OPTIONAL ingress_filter = Maybe(Expression);
        "egress-filter" OPTIONAL egress_filter = Maybe(Expression);
    ]
}

impl Table for ExternalInterface {
    const NAME: &str = "external";

    fn keys() -> Vec<Key<Self>> {
        let mut keys = interface_keys();
        keys.extend(keys![Self; "proxy-arp" OPTIONAL proxy_arp = Boolean;]);
        keys
    }
}

impl Table for InternalInterface {
    const NAME: &str = "internal";

    fn keys() -> Vec<Key<Self>> {
        let mut keys = interface_keys();
        keys.extend(keys![Self;
            "link-local" OPTIONAL link_local = Maybe(Parsed);
            "br-anycast" OPTIONAL br_anycast = Boolean;
        ]);
        keys
    }
}

/// `[softwires]`: where the binding table comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftwiresConfig {
    /// The table file; none: only `[[softwire]]`.
    pub file: Option<PathBuf>,
    /// Our tunnel endpoints.
    pub br_addresses: Vec<Ipv6Addr>,
    /// One B4 may have several softwires.
    pub several_per_b4: bool,
    /// At most so many softwires; 0 for as many as there is memory for.
    pub max_softwires: u32,
    /// A reload that removes more per cent of the softwires than this needs `--force`.
    pub max_removal: u8,
    /// Single softwires added and removed at run time survive a restart.
    pub persist: bool,
    /// Days for which it is known who had which address; 0 for not at all.
    pub retention: u16,
    /// What each softwire carries is counted (A3).
    pub counters: bool,
}

impl Default for SoftwiresConfig {
    fn default() -> Self {
        Self {
            file: None,
            br_addresses: Vec::new(),
            several_per_b4: false,
            max_softwires: 0,
            max_removal: 10,
            persist: true,
            retention: 30,
            counters: false,
        }
    }
}

impl Table for SoftwiresConfig {
    const NAME: &str = "softwires";

    fn keys() -> Vec<Key<Self>> {
        keys![Self;
            "br-addresses" REQUIRED br_addresses = List(Parsed);
            "file" OPTIONAL file = Maybe(Words("the path of a table file, like \"softwires.csv\""));
            "several-per-b4" OPTIONAL several_per_b4 = Boolean;
            "max-softwires" OPTIONAL max_softwires = Integer(0, u32::MAX);
            "max-removal" OPTIONAL max_removal = Integer(0, 100);
            "persist" FIXED persist = Boolean;
            "retention" OPTIONAL retention = Integer(0, 3650);
            "counters" OPTIONAL counters = Boolean;
        ]
    }
}

/// `[[softwire]]`: a softwire in the configuration file itself.
#[derive(Debug, Clone, Default)]
pub(super) struct InlineSoftwire {
    pub(super) ipv4: Option<Ipv4Addr>,
    pub(super) psid_offset: u8,
    pub(super) psid_len: u8,
    pub(super) psid: u16,
    pub(super) b4: Option<Ipv6Addr>,
    pub(super) br: Option<Ipv6Addr>,
    pub(super) until: Option<Timestamp>,
}

impl Table for InlineSoftwire {
    const NAME: &str = "softwire";

    fn keys() -> Vec<Key<Self>> {
        let keys = keys![Self;
            "ipv4" REQUIRED ipv4 = Maybe(Parsed);
            "psid-offset" OPTIONAL psid_offset = Integer(0, 16);
            "psid-len" OPTIONAL psid_len = Integer(0, 16);
            "psid" OPTIONAL psid = Integer(0, 65535);
            "b4-ipv6" REQUIRED b4 = Maybe(Parsed);
            "br-ipv6" OPTIONAL br = Maybe(Parsed);
            "valid-until" OPTIONAL until = Maybe(Parsed);
        ];
        debug_assert!(keys.iter().map(|key| key.name).eq(COLUMNS.into_iter().chain([VALID_UNTIL])));
        keys
    }
}

/// `[policy]`: the rules that have a choice in them.
impl Table for Policy {
    const NAME: &str = "policy";

    fn keys() -> Vec<Key<Self>> {
        keys![Self;
            "hop-limit" OPTIONAL hop_limit = Integer(1, 255);
            "dscp" OPTIONAL dscp = WordOr {
                word: OneOf(&[("copy", Dscp::Copy)]),
                integer: Integer(0, 63),
                wrap: Dscp::Fixed,
                unwrap: |dscp| match dscp { Dscp::Fixed(value) => Some(*value), Dscp::Copy => None },
            };
            "ecn" OPTIONAL ecn = OneOf(&[
                ("normal", Ecn::Normal), ("compatibility", Ecn::Compatibility),
            ]);
            "flow-label" OPTIONAL flow_label = WordOr {
                word: OneOf(&[("hash", FlowLabel::Hash)]),
                integer: Integer(0, 0xf_ffff),
                wrap: FlowLabel::Fixed,
                unwrap: |label| match label {
                    FlowLabel::Fixed(value) => Some(*value),
                    FlowLabel::Hash => None,
                },
            };
            "decap-dscp" OPTIONAL decap_dscp = OneOf(&[
                ("keep", DecapDscp::Keep), ("copy", DecapDscp::Copy),
            ]);
            "decap-ttl" OPTIONAL decap_ttl = OneOf(&[
                ("decrement", DecapTtl::Decrement), ("keep", DecapTtl::Keep),
            ]);
            "hairpinning" OPTIONAL hairpinning = OneOf(&[
                ("local", Hairpinning::Local),
                ("external", Hairpinning::External),
                ("drop", Hairpinning::Drop),
            ]);
            "fragment" OPTIONAL fragment = OneOf(&[
                ("outer", Fragment::Outer), ("inner", Fragment::Inner),
            ]);
            "too-big-df" OPTIONAL too_big_df = OneOf(&[
                ("drop", TooBigDf::Drop), ("fragment", TooBigDf::Fragment),
            ]);
            "mss-clamp" OPTIONAL mss_clamp = WordOr {
                word: OneOf(&[("auto", MssClamp::Auto), ("off", MssClamp::Off)]),
                integer: Integer(64, 8920),
                wrap: MssClamp::Most,
                unwrap: |clamp| match clamp {
                    MssClamp::Most(bytes) => Some(*bytes),
                    MssClamp::Auto | MssClamp::Off => None,
                },
            };
            "generate-icmpv4-errors" OPTIONAL generate_icmpv4_errors = Boolean;
            "generate-icmpv6-errors" OPTIONAL generate_icmpv6_errors = Boolean;
            "allow-incoming-icmpv4" OPTIONAL allow_incoming_icmpv4 = Boolean;
            "icmpv4-rate" OPTIONAL icmpv4_rate = Integer(0, RATE);
            "allow-source-route" OPTIONAL allow_source_route = Boolean;
            "martians" OPTIONAL martians = List(Parsed);
            "stop-answering-when-down" OPTIONAL stop_answering_when_down = Boolean;
            "icmpv4-source" OPTIONAL icmpv4_source = Maybe(Parsed);
            "too-big-rate" OPTIONAL rates.too_big = Integer(0, RATE);
            "time-exceeded-rate" OPTIONAL rates.time_exceeded = Integer(0, RATE);
            "icmpv4-error-rate" OPTIONAL rates.icmpv4_error = Integer(0, RATE);
            "icmpv6-rate" OPTIONAL rates.icmpv6 = Integer(0, RATE);
            "echo-rate" OPTIONAL rates.echo = Integer(0, RATE);
            "per-destination-rate" OPTIONAL rates.per_destination = Integer(0, RATE);
        ]
    }
}

/// `[fragments]`: what fragments may cost.
impl Table for Fragments {
    const NAME: &str = "fragments";

    fn keys() -> Vec<Key<Self>> {
        keys![Self;
            "max-fragments" OPTIONAL max_fragments = Integer(2, 8191);
            "packets-per-source" OPTIONAL packets_per_source = Integer(1, 1024);
            "bytes-per-source" OPTIONAL bytes_per_source = Integer(2048, 1 << 30);
            "packets" OPTIONAL packets = Integer(1, 1 << 20);
            "bytes" OPTIONAL bytes = Integer(2048, 1 << 31);
            "timeout" OPTIONAL timeout = Integer(1, 600);
            "port-memory" OPTIONAL port_memory = Integer(1, 600);
            "hold" OPTIONAL hold = Integer(0, 60);
            "held-per-packet" OPTIONAL held_per_packet = Integer(0, 64);
        ]
    }
}

/// The highest rate, in packets per second.
const RATE: u32 = 100_000_000;
