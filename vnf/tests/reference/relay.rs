//! The relay under test, set up from the model's configuration.

use vnf::filter::Filter;
use vnf::lwaftr::{
    DecapDscp, DecapTtl, Dscp, Ecn, External, Filters, FlowLabel, Fragment, Fragments, Hairpinning,
    Internal, Link, MssClamp, NextHop, Policy, Rates, Settings, TooBigDf,
};
use vnf::replay::{Options, Session};
use vnf::side::Side;
use vnf::softwire::{PortSet, Rules, Softwire, TableWriter};
use vnf::telemetry::{DropReason, IgnoreReason, InterfaceTotals};
use vnf::wire::MacAddr;

use crate::fragments::Limits;
use crate::link::Arrived;
use crate::world::{self, World};

impl From<Arrived> for Side {
    fn from(arrived: Arrived) -> Self {
        match arrived {
            Arrived::External => Self::External,
            Arrived::Internal => Self::Internal,
        }
    }
}

/// A relay that limits nothing: the model knows no rates (the golden cases do).
pub(crate) fn session(world: &World, on_a_stick: bool) -> Session {
    let softwires: Vec<Softwire> = world.softwires.values().flatten().map(softwire).collect();
    let rules = Rules {
        br_addresses: &world.br_addresses,
        own_ipv4: &world.external_addresses,
        own_ipv6: &world.internal_addresses,
        ..Rules::default()
    };
    let table = TableWriter::build(&softwires, &rules).unwrap();
    Session::new(settings(world, on_a_stick), table.table().clone(), &Options::default())
}

fn softwire(of: &world::Softwire) -> Softwire {
    let port_set = PortSet::new(of.a as u8, of.k as u8, of.psid as u16).unwrap();
    Softwire { ipv4: of.ipv4, port_set, b4: of.b4, br: of.br }
}

fn settings(world: &World, on_a_stick: bool) -> Settings {
    let link = |of: &world::Link| Link {
        mac: MacAddr(of.mac),
        vlan: of.vlan,
        mtu: of.mtu as u16,
        promiscuous: of.promiscuous,
    };
    let ipv4 = world.external_addresses.iter().map(|a| format!("{a}/24").parse().unwrap());
    let ipv6 = world.internal_addresses.iter().map(|a| format!("{a}/64").parse().unwrap());
    Settings {
        external: External {
            proxy_arp: false,
            link: link(&world.external),
            addresses: ipv4.collect(),
            next_hop: NextHop::Fixed(MacAddr(world.external.next_hop)),
        },
        internal: Internal {
            link: link(&world.internal),
            addresses: ipv6.collect(),
            link_local: world.link_local,
            br_anycast: true,
            next_hop: NextHop::Fixed(MacAddr(world.internal.next_hop)),
        },
        on_a_stick,
        br_addresses: world.br_addresses.clone(),
        policy: policy(&world.policy),
        fragments: fragments(&world.fragments),
        filters: filters(world),
    }
}

fn filters(world: &World) -> Filters {
    let filter = |of: Option<world::Filter>| of.map(|of| Filter::new(of.expression).unwrap());
    let sides = [world.external_filters, world.internal_filters];
    Filters {
        ingress: sides.map(|side| filter(side.ingress)),
        egress: sides.map(|side| filter(side.egress)),
    }
}

fn fragments(of: &Limits) -> Fragments {
    let seconds = |nanoseconds: u64| (nanoseconds / 1_000_000_000) as u32;
    Fragments {
        max_fragments: of.max_fragments as u16,
        packets_per_source: of.packets_per_source as u32,
        bytes_per_source: of.bytes_per_source as u32,
        packets: of.packets as u32,
        bytes: of.bytes as u32,
        timeout: seconds(of.timeout),
        port_memory: seconds(of.port_memory),
        hold: seconds(of.hold),
        held_per_packet: of.held_per_packet as u8,
    }
}

fn policy(of: &world::Policy) -> Policy {
    const PLENTY: u32 = 1_000_000_000;
    Policy {
        hop_limit: of.hop_limit,
        dscp: of.dscp.map_or(Dscp::Copy, Dscp::Fixed),
        ecn: if of.ecn_compatibility { Ecn::Compatibility } else { Ecn::Normal },
        flow_label: FlowLabel::Fixed(of.flow_label),
        decap_dscp: if of.decap_dscp_copy { DecapDscp::Copy } else { DecapDscp::Keep },
        decap_ttl: if of.decap_ttl_keep { DecapTtl::Keep } else { DecapTtl::Decrement },
        hairpinning: match of.hairpinning {
            world::Hairpinning::Local => Hairpinning::Local,
            world::Hairpinning::External => Hairpinning::External,
            world::Hairpinning::Drop => Hairpinning::Drop,
        },
        fragment: if of.fragment_inner { Fragment::Inner } else { Fragment::Outer },
        too_big_df: if of.fragment_despite_df { TooBigDf::Fragment } else { TooBigDf::Drop },
        mss_clamp: match of.mss_clamp {
            world::MssClamp::Auto => MssClamp::Auto,
            world::MssClamp::Off => MssClamp::Off,
            world::MssClamp::Most(most) => MssClamp::Most(most),
        },
        generate_icmpv4_errors: of.generate_icmpv4_errors,
        generate_icmpv6_errors: of.generate_icmpv6_errors,
        allow_incoming_icmpv4: of.allow_incoming_icmpv4,
        allow_source_route: of.allow_source_route,
        icmpv4_source: of.icmpv4_source,
        rates: Rates {
            too_big: PLENTY,
            time_exceeded: PLENTY,
            icmpv4_error: PLENTY,
            icmpv6: PLENTY,
            echo: PLENTY,
            per_destination: PLENTY,
        },
        ..Policy::default()
    }
}

/// What a relay has counted of fates on one side, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally(std::collections::BTreeMap<&'static str, u64>);

impl Tally {
    /// What the relay counted so far.
    pub(crate) fn of(totals: &InterfaceTotals) -> Self {
        let mut tally = Self::default();
        tally.add("forwarded", totals.forwarded);
        tally.add("hairpinned", totals.hairpinned);
        tally.add("answered", totals.answered);
        tally.add("consumed", totals.consumed);
        tally.add("address-conflicts", totals.address_conflicts);
        tally.add("extra-fragments", totals.extra_fragments);
        tally.add("suppressed", totals.suppressed_errors);
        tally.add("held", totals.held);
        tally.add("absorbed", totals.absorbed);
        tally.add("reassembled", totals.reassembled);
        for reason in DropReason::ALL {
            tally.add(reason.name(), totals.drops[reason.index()].packets);
        }
        for reason in IgnoreReason::ALL {
            tally.add(reason.name(), totals.ignored[reason.index()].packets);
        }
        tally
    }

    pub(crate) fn sub(&mut self, name: &'static str, count: u64) {
        let left = self.0.remove(name).unwrap_or(0) - count;
        self.add(name, left);
    }

    pub(crate) fn add(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(name).or_default() += count;
        }
    }
}
