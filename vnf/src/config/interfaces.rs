//! What the keys of the two interfaces must observe.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::address::{ipv4_host_problem, ipv6_host_problem};
use super::reader::Reader;
use super::rules::repeated;
use super::{Config, ExternalInterface, Interface, InternalInterface};
use crate::side::Side;
use crate::wire::MacAddr;

/// Next hops of a side: each is asked for every few seconds.
const MOST_NEXT_HOPS: usize = 8;

pub(super) fn check(config: &Config, reader: &mut Reader) {
    link(&config.external, Side::External, reader);
    link(&config.internal, Side::Internal, reader);
    external(&config.external, reader);
    internal(&config.internal, &config.softwires.br_addresses, reader);
    let fits = config.tunnel_mtu();
    if fits < config.external.mtu {
        let external_mtu = config.external.mtu;
        reader.warn(
            "internal.mtu",
            &format!(
                "{} is less than external.mtu + 40 = {}: IPv4 packets of {} to {external_mtu} bytes \
                 from the Internet do not fit the tunnel and need path MTU discovery (with DF set, \
                 their sender is told {fits})",
                config.internal.mtu,
                external_mtu + 40,
                fits + 1,
            ),
        );
    }
}

/// What both sides have in common.
fn link<A: Copy + Ord + Display, N>(interface: &Interface<A, N>, side: Side, reader: &mut Reader) {
    let macs = [("mac", interface.mac), ("next-hop-mac", interface.next_hop_mac)];
    for (name, mac) in macs.iter().filter_map(|&(name, mac)| Some((name, mac?))) {
        let problem = if mac.is_multicast() {
            "is a group address"
        } else if mac == MacAddr::default() {
            "is no address"
        } else if name == "next-hop-mac" && interface.mac == Some(mac) {
            "is our own mac"
        } else {
            continue;
        };
        reader.wrong(&format!("{side}.{name}"), format!("{mac} {problem}: one host's MAC address"));
    }
    let key = format!("{side}.next-hop");
    let mac_key = format!("{side}.next-hop-mac");
    if !reader.has(&key)
        && !reader.has(&mac_key)
        && reader.is_readable()
        && reader.has(side.name())
        && reader.is_right(side.name())
    {
        let problem = "missing: the address of the router on this side (or next-hop-mac)";
        reader.wrong(&key, problem);
    }
    let address_key = format!("{side}.address");
    if reader.has(&address_key) && interface.addresses.is_empty() && reader.is_right(&address_key) {
        reader.wrong(&address_key, "is empty: at least one address with its prefix length");
    }
}

fn external(interface: &ExternalInterface, reader: &mut Reader) {
    const ADDRESS: &str = "external.address";
    for network in &interface.addresses {
        let address = network.addr();
        if let Some(problem) = ipv4_host_problem(address).or_else(|| edge_of(network, address)) {
            reader.wrong(ADDRESS, format!("{network} is {problem}: a host's address"));
        }
    }
    let own: Vec<Ipv4Addr> = interface.addresses.iter().map(Ipv4Net::addr).collect();
    if let Some(twice) = repeated(&own) {
        reader.wrong(ADDRESS, format!("names {twice} twice: each address once"));
    }
    next_hops(&interface.next_hops, Side::External, reader);
    for &next_hop in &interface.next_hops {
        let link = interface.addresses.iter().find(|network| network.contains(&next_hop));
        let problem = ipv4_host_problem(next_hop)
            .or_else(|| own.contains(&next_hop).then_some("our own address"))
            .or_else(|| link.and_then(|network| edge_of(network, next_hop)));
        if let Some(problem) = problem {
            let right = "the address of the router towards the Internet";
            reader.wrong("external.next-hop", format!("{next_hop} is {problem}: {right}"));
        } else if link.is_none() && !interface.on_link && !own.is_empty() {
            off_link("external", next_hop, &interface.addresses, reader);
        }
    }
}

fn internal(interface: &InternalInterface, br_addresses: &[Ipv6Addr], reader: &mut Reader) {
    const ADDRESS: &str = "internal.address";
    for network in &interface.addresses {
        let address = network.addr();
        let problem = ipv6_host_problem(address).or_else(|| {
            address.is_unicast_link_local().then_some("link-local (the key for it is link-local)")
        });
        if let Some(problem) = problem {
            reader.wrong(ADDRESS, format!("{network} is {problem}: a global address of ours"));
        }
    }
    let own: Vec<Ipv6Addr> = interface.addresses.iter().map(Ipv6Net::addr).collect();
    if let Some(twice) = repeated(&own) {
        reader.wrong(ADDRESS, format!("names {twice} twice: each address once"));
    }
    let link_local = interface.link_local.or(interface.mac.map(MacAddr::link_local));
    if let Some(address) = interface.link_local
        && !address.is_unicast_link_local()
    {
        let problem = format!("{address} is not link-local: an address in fe80::/10");
        reader.wrong("internal.link-local", problem);
    }
    next_hops(&interface.next_hops, Side::Internal, reader);
    for &next_hop in &interface.next_hops {
        let is_ours = own.contains(&next_hop)
            || link_local == Some(next_hop)
            || br_addresses.contains(&next_hop);
        let on_link = interface.on_link
            || next_hop.is_unicast_link_local()
            || interface.addresses.iter().any(|network| network.contains(&next_hop));
        let problem = ipv6_host_problem(next_hop).or_else(|| is_ours.then_some("our own address"));
        if let Some(problem) = problem {
            let right = "the address of the router towards the B4s";
            reader.wrong("internal.next-hop", format!("{next_hop} is {problem}: {right}"));
        } else if !on_link && !own.is_empty() {
            off_link("internal", next_hop, &interface.addresses, reader);
        }
    }
}

/// What a list of next hops must observe as a whole.
fn next_hops<A: Copy + Ord + Display>(list: &[A], side: Side, reader: &mut Reader) {
    let key = format!("{side}.next-hop");
    if let Some(twice) = repeated(list) {
        reader
            .wrong(&key, format!("names {twice} twice: each router once, the preferred one first"));
    }
    if list.len() > MOST_NEXT_HOPS {
        let count = list.len();
        reader.wrong(&key, format!("names {count} routers: at most {MOST_NEXT_HOPS}"));
    }
    let alone = !reader.has(&format!("{side}.next-hop-mac"));
    if list.is_empty() && alone && reader.has(&key) && reader.is_right(&key) {
        reader
            .wrong(&key, "is empty: the address of the router on this side, or a list".to_owned());
    }
}

fn off_link<A: Display, N: Display>(side: &str, next_hop: A, networks: &[N], reader: &mut Reader) {
    let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
    reader.wrong(
        &format!("{side}.next-hop"),
        format!(
            "{next_hop} is not on the link ({}): a router that is, or on-link = true",
            networks.join(", ")
        ),
    );
}

/// Whether an address is the first or last of its network, where those are no host's.
fn edge_of(network: &Ipv4Net, address: Ipv4Addr) -> Option<&'static str> {
    if network.prefix_len() > 30 {
        None
    } else if address == network.network() {
        Some("the address of the network itself")
    } else if address == network.broadcast() {
        Some("the broadcast address of its network")
    } else {
        None
    }
}
