//! The configurations that frames are thrown at: every choice of policy at least once, and tables
//! with every kind of port set.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::fragments::{Limits, State};
use crate::rng::Rng;
use crate::world::{Filter, Filters, Hairpinning, Link, MssClamp, Policy, Softwire, World};

/// Where softwires' IPv4 addresses are.
const SHARED_NET: [u8; 3] = [198, 51, 100];

/// (a, k) of the addresses of a table, in turn.
const SHAPES: [(u32, u32); 12] = [
    (0, 8),
    (6, 8),
    (0, 0),
    (0, 16),
    (4, 0),
    (8, 8),
    (0, 1),
    (15, 1),
    (1, 1),
    (4, 6),
    (0, 4),
    (16, 0),
];

/// Filters (Q1), as the relay and as the model understand them.
const MOST_PORTS: Filter = Filter {
    expression: "not (udp and ip[6:2] & 0x1fff = 0 and dst port 0x100 or ip[1] = 0x2e)",
    passes: |packet| {
        let header = usize::from(packet[0] & 15) * 4;
        let is_first = packet[6] & 0x1f == 0 && packet[7] == 0;
        // What cannot be looked at matches nothing, whatever is said of it.
        match packet.get(header + 2..header + 4) {
            _ if packet[9] != 17 || !is_first => packet[1] != 0x2e,
            Some(port) => port != [1, 0] && packet[1] != 0x2e,
            None => false,
        }
    },
};
const TTL_IS_EVEN: Filter =
    Filter { expression: "ip[8] & 1 = 0", passes: |packet| packet[8] % 2 == 0 };
const NOT_LONG: Filter =
    Filter { expression: "ip6 and less 400", passes: |packet| packet.len() <= 400 };
const INNER_IS_TCP_OR_LONG: Filter = Filter {
    expression: "ip6 proto 4 and (ip6[49] = 6 or len > 1000)",
    passes: |packet| packet[49] == 6 || packet.len() > 1000,
};

/// A configuration, different for each number.
pub(crate) fn world(number: usize) -> World {
    let mut rng = Rng::new(number as u64 + 1);
    let br_addresses: Vec<Ipv6Addr> = match number % 3 {
        0 => vec!["2001:db8:ff::1".parse().unwrap()],
        _ => ["2001:db8:ff::1", "2001:db8:ff::2", "2001:db8:aa::9"]
            .map(|br| br.parse().unwrap())
            .into(),
    };
    let mac = |last| [2, 0, 0, 0, 0, last];
    let link = |number: u8, vlan, mtu, promiscuous| Link {
        mac: mac(number),
        next_hop: mac(0xf0 | number),
        vlan,
        mtu,
        promiscuous,
    };
    let tagged = number % 2 == 1;
    World {
        external: link(1, tagged.then_some(10), [1500, 1400, 9000][number % 3], number % 5 == 4),
        internal: link(
            2,
            tagged.then_some(20),
            [1500, 1280, 1540, 9000][number % 4],
            number % 7 == 6,
        ),
        external_addresses: vec![[192, 0, 2, 1].into(), [192, 0, 2, 7].into()],
        internal_addresses: vec!["2001:db8:1::1".parse().unwrap()],
        // EUI-64 of the MAC address (RFC 4291 appendix A).
        link_local: "fe80::ff:fe00:2".parse().unwrap(),
        softwires: softwires(&mut rng, &br_addresses),
        br_addresses,
        policy: policy(number),
        external_filters: Filters {
            ingress: (number % 4 == 3).then_some(MOST_PORTS),
            egress: (number % 6 == 2).then_some(TTL_IS_EVEN),
        },
        internal_filters: Filters {
            ingress: (number % 5 == 4).then_some(NOT_LONG),
            egress: (number % 7 == 1).then_some(INNER_IS_TCP_OR_LONG),
        },
        fragments: fragments(number),
        state: State::default(),
        path_mtus: RefCell::default(),
    }
}

fn softwires(rng: &mut Rng, brs: &[Ipv6Addr]) -> HashMap<Ipv4Addr, Vec<Softwire>> {
    let mut table: HashMap<Ipv4Addr, Vec<Softwire>> = HashMap::new();
    let mut subscriber = 0_u16;
    for (index, (a, k)) in SHAPES.into_iter().enumerate() {
        let [x, y, z] = SHARED_NET;
        let ipv4 = Ipv4Addr::new(x, y, z, index as u8 * 3);
        let wanted = (1_usize << k).min(5);
        let mut psids: Vec<u32> = Vec::new();
        while psids.len() < wanted {
            let psid = rng.below(1 << k) as u32;
            if !psids.contains(&psid) {
                psids.push(psid);
            }
        }
        for psid in psids {
            subscriber += 1;
            let b4 = Ipv6Addr::new(0x2001, 0xdb8, 0xb4, 0, 0, 0, index as u16, subscriber);
            let softwire = Softwire { ipv4, a, k, psid, b4, br: *rng.pick(brs) };
            table.entry(ipv4).or_default().push(softwire);
        }
    }
    table
}

/// Narrow limits, each in some world, so that they are reached.
fn fragments(number: usize) -> Limits {
    const SECOND: u64 = 1_000_000_000;
    let limits = Limits {
        max_fragments: 64,
        packets_per_source: 16,
        bytes_per_source: 256 << 10,
        packets: 16_384,
        bytes: 64 << 20,
        timeout: 60 * SECOND,
        port_memory: 30 * SECOND,
        hold: SECOND,
        held_per_packet: 4,
    };
    match number % 5 {
        0 => limits,
        1 => Limits { max_fragments: 4, timeout: SECOND, port_memory: SECOND, ..limits },
        2 => Limits { packets_per_source: 2, held_per_packet: 1, ..limits },
        // More than a burst can have, so that the order within one does not matter.
        3 => Limits { packets: 70, bytes_per_source: 1024, ..limits },
        _ => Limits { bytes: 8192, bytes_per_source: 4096, timeout: SECOND, ..limits },
    }
}

fn policy(number: usize) -> Policy {
    Policy {
        hop_limit: [64, 255, 17][number % 3],
        dscp: [None, None, Some(0), Some(46)][number % 4],
        ecn_compatibility: number % 5 == 3,
        flow_label: [0, 0xfffff, 0x12345][number % 3],
        decap_dscp_copy: number % 4 == 2,
        decap_ttl_keep: number % 5 == 1,
        hairpinning: match number % 6 {
            4 => Hairpinning::External,
            5 => Hairpinning::Drop,
            _ => Hairpinning::Local,
        },
        fragment_inner: number % 3 == 2,
        fragment_despite_df: number % 5 == 4,
        mss_clamp: [MssClamp::Auto, MssClamp::Auto, MssClamp::Most(536), MssClamp::Off]
            [number % 7 % 4],
        generate_icmpv4_errors: number % 7 != 5,
        generate_icmpv6_errors: number % 7 != 3,
        allow_incoming_icmpv4: number % 8 != 7,
        allow_source_route: number % 3 == 1,
        icmpv4_source: (number % 4 == 3).then(|| [203, 0, 113, 200].into()),
    }
}
