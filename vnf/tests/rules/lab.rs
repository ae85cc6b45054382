//! A relay to try rules on: configured by TOML as anybody would, with frames on the heap, and
//! softwires of each kind. Whatever happens to it, its counters must balance (A1).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use vnf::frame::HeapPool;
use vnf::lwaftr::{Relay, RelayParts, Settings, Snapshot};
use vnf::replay::{Options, Session};
use vnf::side::Side;
use vnf::softwire::{BindingTable, Softwire, TableWriter, Tally};
use vnf::telemetry::{Alarm, DropReason, Example, WorkerCounters};
use vnf::wire::MacAddr;

use crate::link::{self, Mac, Wire};
use crate::oracle;
use crate::outcome::{Counts, Outcome};
use crate::packets::{Bytes, Endpoint, Ipv4};
use crate::tunnel::Ipv6;

const fn v6(a: u16, b: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, a, 0, 0, 0, 0, b)
}

/// The relay and its next hops.
pub(crate) const MACS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
pub(crate) const NEXT_HOP_MACS: [Mac; 2] = [[2, 0, 0, 0, 1, 0xfe], [2, 0, 0, 0, 2, 0xfe]];
pub(crate) const EXTERNAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const NEXT_HOP4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
pub(crate) const INTERNAL: Ipv6Addr = v6(1, 1);
pub(crate) const NEXT_HOP6: Ipv6Addr = v6(1, 0xfe);
/// From the MAC address (RFC 4291 appendix A).
pub(crate) const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0x00ff, 0xfe00, 2);
pub(crate) const BR1: Ipv6Addr = v6(0xff, 1);
pub(crate) const BR2: Ipv6Addr = v6(0xff, 2);

/// A host on the Internet.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
pub(crate) const DNS: Endpoint = (HOST, 53);

/// Shared by 256 (a = 0, k = 8): the PSID is the port's upper byte. ALICE has 0x12 and BR1, BOB
/// 0x34 and BR2; nobody has the others.
pub(crate) const SHARED: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const ALICE: Ipv6Addr = v6(0xb4, 0x12);
pub(crate) const ALICES: Endpoint = (SHARED, 0x1234);
pub(crate) const BOB: Ipv6Addr = v6(0xb4, 0x34);
pub(crate) const BOBS: Endpoint = (SHARED, 0x3456);
pub(crate) const NOBODYS: Endpoint = (SHARED, 0x7777);

/// Shared with an offset (a = 6, k = 8): CAROL's PSID 0x12 stands in bits 9 to 2 of the port.
pub(crate) const OFFSET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
pub(crate) const CAROL: Ipv6Addr = v6(0xb4, 2);
pub(crate) const CAROLS: Endpoint = (OFFSET, 0b0000_0100_0100_1001);

/// DAVE's alone.
pub(crate) const WHOLE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 3);
pub(crate) const DAVE: Ipv6Addr = v6(0xb4, 3);
pub(crate) const DAVES: Endpoint = (WHOLE, 7);

/// ERIN's alone, with an offset that means nothing.
pub(crate) const WHOLE_OFFSET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 4);
pub(crate) const ERIN: Ipv6Addr = v6(0xb4, 4);

/// An address that is in no softwire.
pub(crate) const UNKNOWN: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 99);

/// An IPv6 address that is nobody's here.
pub(crate) const ELSEWHERE: Ipv6Addr = v6(0xee, 1);

/// A configuration: lines of TOML.
pub(crate) struct Config {
    pub(crate) external: String,
    pub(crate) internal: String,
    pub(crate) policy: String,
    /// Of `[softwires]`.
    pub(crate) softwires: String,
    pub(crate) br_addresses: Vec<Ipv6Addr>,
    pub(crate) ports: [&'static str; 2],
    /// How the next hops are given.
    pub(crate) next_hops: [String; 2],
    pub(crate) mtus: [usize; 2],
    pub(crate) macs: [Mac; 2],
    pub(crate) vlans: [Option<u16>; 2],
    pub(crate) seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        let mac = |mac: Mac| format!("next-hop-mac = \"{}\"\n", MacAddr(mac));
        Self {
            external: String::new(),
            internal: String::new(),
            policy: String::new(),
            softwires: String::new(),
            br_addresses: vec![BR1, BR2],
            ports: ["net_null0", "net_null1"],
            next_hops: NEXT_HOP_MACS.map(mac),
            mtus: [1500, 1500],
            macs: MACS,
            vlans: [None, None],
            seed: 0,
        }
    }
}

impl Config {
    /// Next hops that must be asked for.
    pub(crate) fn ask_for_next_hops(&mut self) {
        self.next_hops =
            [format!("next-hop = \"{NEXT_HOP4}\"\n"), format!("next-hop = \"{NEXT_HOP6}\"\n")];
    }

    /// Both sides on one port (P5).
    pub(crate) fn on_a_stick(&mut self) {
        self.ports = ["net_null0", "net_null0"];
    }

    fn toml(&self) -> String {
        let softwires = [
            (SHARED, "psid-len = 8\npsid = 0x12", ALICE, BR1),
            (SHARED, "psid-len = 8\npsid = 0x34", BOB, BR2),
            (OFFSET, "psid-offset = 6\npsid-len = 8\npsid = 0x12", CAROL, BR1),
            (WHOLE, "psid-len = 0", DAVE, BR1),
            (WHOLE_OFFSET, "psid-offset = 4\npsid-len = 0", ERIN, BR1),
        ]
        .map(|(ipv4, port_set, b4, br)| {
            format!(
                "[[softwire]]\nipv4 = \"{ipv4}\"\n{port_set}\nb4-ipv6 = \"{b4}\"\n\
                 br-ipv6 = \"{br}\"\n"
            )
        });
        let link = |side: usize| {
            let vlan = self.vlans[side].map_or(String::new(), |vlan| format!("vlan = {vlan}\n"));
            let (port, mtu) = (self.ports[side], self.mtus[side]);
            format!("port = \"{port}\"\nmtu = {mtu}\n{vlan}{}", self.next_hops[side])
        };
        let br_addresses: Vec<_> = self.br_addresses.iter().map(|br| format!("\"{br}\"")).collect();
        // A label that is known beforehand; E5 has tests of its own.
        let label = if self.policy.contains("flow-label") { "" } else { "flow-label = 0\n" };
        format!(
            "[external]\naddress = \"{EXTERNAL}/24\"\n{}{}\n[internal]\naddress = \"{INTERNAL}/64\"\n\
             {}{}\n[softwires]\nbr-addresses = {}\n{}\n{}[policy]\n{label}{}\n",
            link(0),
            self.external,
            link(1),
            self.internal,
            format_args!("[{}]", br_addresses.join(", ")),
            self.softwires,
            softwires.concat(),
            self.policy,
        )
    }
}

/// A relay, and the clock of its world.
pub(crate) struct Lab {
    session: Session,
    settings: Settings,
    table: Arc<BindingTable>,
    now: u64,
    mtus: [usize; 2],
    wires: [Wire; 2],
}

impl Lab {
    /// Everything as it is by default.
    pub(crate) fn new() -> Self {
        Self::configured(|_| {})
    }

    /// With these lines of policy.
    pub(crate) fn with_policy(policy: &str) -> Self {
        Self::configured(|config| config.policy = policy.to_owned())
    }

    pub(crate) fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let (settings, table) = load(&config.toml(), config.macs);
        let options = Options { seed: config.seed, ..Options::default() };
        let table = table.table().clone();
        let session = Session::new(settings.clone(), table.clone(), &options);
        let wires = Side::BOTH.map(|side| Wire {
            mac: config.macs[side.index()],
            vlan: config.vlans[side.index()],
            next_hop: NEXT_HOP_MACS[side.index()],
            ethertype: [0x0800, 0x86dd][side.index()],
        });
        Self { session, settings, table, now: 0, mtus: config.mtus, wires }
    }

    /// From now on captures are looked for here.
    pub(crate) fn watch_captures(&mut self, slot: vnf::capture::Slot) {
        self.session.watch_captures(slot);
    }

    /// A packet arrives from the Internet.
    pub(crate) fn internet_sends(&mut self, packet: &impl Bytes) -> Outcome {
        let frame = self.incoming(Side::External, packet);
        self.frame(Side::External, &frame)
    }

    /// A packet arrives from the B4s' side.
    pub(crate) fn b4s_send(&mut self, packet: &impl Bytes) -> Outcome {
        let frame = self.incoming(Side::Internal, packet);
        self.frame(Side::Internal, &frame)
    }

    /// ALICE sends an IPv4 packet through her softwire.
    pub(crate) fn alice_sends(&mut self, packet: &Ipv4) -> Outcome {
        self.b4s_send(&Ipv6::tunnel(ALICE, BR1, packet))
    }

    /// DAVE does.
    pub(crate) fn dave_sends(&mut self, packet: &Ipv4) -> Outcome {
        self.b4s_send(&Ipv6::tunnel(DAVE, BR1, packet))
    }

    /// The frame in which the next hop of a side sends a packet to the relay.
    pub(crate) fn incoming(&self, side: Side, packet: &impl Bytes) -> Vec<u8> {
        let Wire { mac, vlan, next_hop, ethertype } = self.wires[side.index()];
        link::frame(next_hop, mac, vlan, ethertype, packet)
    }

    /// A frame arrives, a millisecond after the last one.
    pub(crate) fn frame(&mut self, side: Side, frame: &[u8]) -> Outcome {
        self.now += 1_000_000;
        self.burst(side, &[frame])
    }

    /// Frames arrive at once.
    pub(crate) fn burst(&mut self, side: Side, frames: &[&[u8]]) -> Outcome {
        let now = self.now;
        self.observe(|session| session.receive_burst(side, now, frames))
    }

    /// So many milliseconds pass.
    pub(crate) fn wait(&mut self, milliseconds: u64) -> Outcome {
        self.now += milliseconds * 1_000_000;
        let now = self.now;
        self.observe(|session| session.advance(now))
    }

    /// A counter of one side, by its name in the documentation.
    pub(crate) fn counter(&self, side: Side, name: &str) -> u64 {
        Counts::of(&self.session).get(side, name)
    }

    /// The alarms that are raised now.
    pub(crate) fn alarms(&self) -> Vec<Alarm> {
        self.session.snapshot().alarms()
    }

    /// Tells a side to be silent, as the control side does, or not any more.
    pub(crate) fn silence(&self, side: Side, silent: bool) {
        self.session.snapshot().silence(side, silent);
    }

    /// What a relay of one's own can be given.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.settings.clone(), self.table.clone())
    }

    /// A relay of one's own, whose ports and clock are the caller's.
    pub(crate) fn relay(&self, counters: Arc<WorkerCounters>) -> Relay<HeapPool> {
        self.worker(0, 1, counters)
    }

    /// The same of one of several workers.
    pub(crate) fn worker(
        &self,
        worker: usize,
        workers: usize,
        counters: Arc<WorkerCounters>,
    ) -> Relay<HeapPool> {
        Relay::new(RelayParts {
            pool: HeapPool,
            counters,
            worker,
            workers,
            runs_timers: worker == 0,
            announces: worker == 0,
            seed: worker as u64,
        })
    }

    /// The first bytes of a recent frame that was dropped for this reason (A2).
    pub(crate) fn example(&self, side: Side, reason: DropReason) -> Option<Example> {
        self.session.counters().examples(side).get(reason)
    }

    /// Packets that wait to be reassembled, and the memory that they take.
    pub(crate) fn reassembly(&self) -> [u64; 2] {
        let reassembly = &self.session.counters().reassembly;
        [reassembly.packets.get(), reassembly.bytes.get()]
    }

    /// What the softwires carried (A3), those that carried anything.
    pub(crate) fn tallies(&self) -> Vec<(Softwire, Tally)> {
        self.table.tallies()
    }

    fn observe(&mut self, act: impl FnOnce(&mut Session)) -> Outcome {
        let before = Counts::of(&self.session);
        act(&mut self.session);
        let counts = Counts::of(&self.session).since(&before);
        if let Err(wrong) = oracle::balanced(&self.session) {
            panic!("A1 does not balance: {wrong}\n{counts:?}");
        }
        let sent = self.session.take_output();
        for (side, frame) in &sent {
            if let Err(wrong) = oracle::well_formed(*side, frame, self.mtus[side.index()]) {
                panic!("{wrong}\nleft on the {side} side: {frame:02x?}");
            }
        }
        Outcome::new(counts, sent, self.wires)
    }
}

fn load(toml: &str, macs: [Mac; 2]) -> (Settings, TableWriter) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lwaftr.toml");
    std::fs::write(&path, toml).unwrap();
    let (config, table) =
        vnf::config::load_with_table(&path).unwrap_or_else(|errors| panic!("{errors}\n{toml}"));
    (config.settings(MacAddr(macs[0]), MacAddr(macs[1])), table)
}

/// A datagram from the Internet to ALICE.
pub(crate) fn to_alice() -> Ipv4 {
    Ipv4::udp(DNS, ALICES, 32)
}

/// A datagram from ALICE to the Internet.
pub(crate) fn alices() -> Ipv4 {
    Ipv4::udp(ALICES, DNS, 32)
}

/// As the relay sends a packet to ALICE's B4.
pub(crate) fn at_alice(packet: &Ipv4) -> Ipv6 {
    Ipv6::tunnel(BR1, ALICE, packet)
}

/// As the relay sends a packet to DAVE's B4.
pub(crate) fn at_dave(packet: &Ipv4) -> Ipv6 {
    Ipv6::tunnel(BR1, DAVE, packet)
}

/// An ICMPv4 error of the relay's own (I5).
pub(crate) fn our_error(kind: (u8, u8), mtu: u16, about: &impl Bytes, to: Ipv4Addr) -> Ipv4 {
    let mut about = about.bytes();
    about.truncate(576 - 28);
    let [high, low] = mtu.to_be_bytes();
    let error = Ipv4::icmp(EXTERNAL, to, kind, [0, 0, high, low], &about);
    error.ttl(64).tos(0xc0).identification(0).dont_fragment()
}

/// An ICMPv6 error of the relay's own (I5).
pub(crate) fn our_error6(kind: (u8, u8), parameter: u32, about: &Ipv6) -> Ipv6 {
    let mut body = about.bytes();
    body.truncate(1280 - 48);
    let (from, to) = (about.header.destination.into(), about.header.source.into());
    Ipv6::error(from, to, kind, parameter, &body)
}
