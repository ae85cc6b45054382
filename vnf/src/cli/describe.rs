//! A configuration in plain words.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::config::{Config, Idle, Interface};
use crate::filter::Filter;
use crate::frame::plan::{LARGE_ROOM, PoolPlan, SMALL_ROOM};
use crate::softwire::{Softwire, TableWriter};

/// So many prefixes are listed unless all are asked for.
const LISTED: usize = 32;

/// Says what a configuration does. `all` lists every prefix.
pub(super) fn describe(config: &Config, writer: &TableWriter, all: bool) -> String {
    let mut text = Text(String::new());
    text.line(format_args!("{}: valid", config.path.display()));
    process(config, &mut text);
    interfaces(config, &mut text);
    let table = Summary::of(writer.table().softwires());
    softwires(config, writer, &table, &mut text);
    policy(config, &mut text);
    routing(config, &table, all, &mut text);
    if !config.warnings.is_empty() {
        text.heading("Warnings");
        for warning in &config.warnings {
            text.item(warning);
        }
    }
    text.0
}

/// Lines of text, in headings and items.
struct Text(String);

impl Text {
    fn line(&mut self, line: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn heading(&mut self, heading: impl Display) {
        self.line(format_args!("\n{heading}"));
    }

    fn item(&mut self, item: impl Display) {
        self.line(format_args!("  {item}"));
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.item(format_args!("{name:<15}{value}"));
    }
}

fn process(config: &Config, text: &mut Text) {
    text.heading(format_args!("Instance {}", config.instance.name));
    text.field("control socket", config.instance.control_socket.display());
    text.field("API", api(config));
    text.field(
        "workers",
        match &config.workers.cpus[..] {
            [] => "1, on the last CPU that the process may use".to_owned(),
            cpus => format!("{}, on CPU {}", cpus.len(), join(cpus)),
        },
    );
    text.field(
        "when idle",
        match config.workers.idle {
            Idle::Auto => "ask again at once on physical ports, sleep up to 100 us on virtual ones",
            Idle::Poll => "ask again at once",
            Idle::Adaptive => "sleep up to 100 us",
        },
    );
    let PoolPlan { small, large, megabytes } = PoolPlan::derive(&config.pool_needs());
    text.field(
        "buffers",
        format_args!(
            "{} of {SMALL_ROOM} bytes and {} of {LARGE_ROOM} bytes: {megabytes} MiB, in hugepages \
             where there are some",
            grouped(small as usize),
            grouped(large as usize),
        ),
    );
    text.field(
        "fragments",
        format_args!(
            "up to {} MiB besides, taken as tunnelled packets in fragments need it",
            config.fragments.bytes.div_ceil(1 << 20)
        ),
    );
    if config.instance.watch {
        text.field("reload", "by itself when a file changes");
    }
    if !config.instance.devices.is_empty() {
        text.field("more devices", join(&config.instance.devices));
    }
}

/// Where the management API is.
fn api(config: &Config) -> String {
    let mut all = vec![config.api.socket.display().to_string()];
    all.extend(config.api.addresses().iter().map(|address| {
        let scheme = if address.ip().is_loopback() { "http" } else { "https" };
        format!("{scheme}://{address}")
    }));
    all.join(", ")
}

fn interfaces(config: &Config, text: &mut Text) {
    interface(&config.external, "External interface (IPv4, the Internet's side)", "ARP", text);
    text.field("MTU", format_args!("{} bytes of IPv4", config.external.mtu));
    interface(
        &config.internal,
        "Internal interface (IPv6, the B4s' side)",
        "neighbour discovery",
        text,
    );
    if let Some(address) = config.internal.link_local {
        text.field("link-local", address);
    }
    text.field(
        "MTU",
        format_args!(
            "{} bytes of IPv6: IPv4 packets of up to {} bytes in the tunnel",
            config.internal.mtu,
            config.tunnel_mtu()
        ),
    );
    if config.on_a_stick() {
        let apart = if config.external.vlan == config.internal.vlan { "EtherType" } else { "VLAN" };
        text.line(format_args!("Both sides share the port; {apart} tells their frames apart."));
    }
}

fn interface<A: Display, N: Display>(
    interface: &Interface<A, N>,
    heading: &str,
    resolution: &str,
    text: &mut Text,
) {
    text.heading(heading);
    text.field("port", &interface.port);
    text.field(
        "MAC",
        match interface.mac {
            Some(mac) => mac.to_string(),
            None => "the port's own".to_owned(),
        },
    );
    text.field(
        "VLAN",
        match interface.vlan {
            0 => "untagged".to_owned(),
            vlan => vlan.to_string(),
        },
    );
    if interface.promiscuous {
        text.field("promiscuous", "frames to any unicast MAC are taken");
    }
    text.field("address", join(&interface.addresses));
    let addresses = join(&interface.next_hops);
    let next_hop = match (&interface.next_hops[..], interface.next_hop_mac) {
        ([], mac) => format!("always {}", mac.unwrap_or_default()),
        (_, Some(mac)) => {
            format!("always {mac}; {addresses}: not resolved, as next-hop-mac is given")
        }
        ([_], None) => format!("{addresses}, resolved by {resolution}"),
        (_, None) => format!("the first that answers of {addresses}, resolved by {resolution}"),
    };
    text.field("next hop", next_hop);
    filter(interface.ingress_filter.as_ref(), "ingress filter", "received", text);
    filter(interface.egress_filter.as_ref(), "egress filter", "to be sent", text);
}

fn filter(filter: Option<&Filter>, name: &str, which: &str, text: &mut Text) {
    let Some(filter) = filter else { return };
    text.field(
        name,
        format_args!(
            "of packets {which}, only those pass that match `{}` ({} instructions)",
            filter.expression(),
            filter.program().len()
        ),
    );
}

fn softwires(config: &Config, writer: &TableWriter, table: &Summary, text: &mut Text) {
    text.heading("Softwires");
    let addresses = grouped(table.addresses.len());
    text.field(
        "number",
        format_args!("{} on {addresses} IPv4 addresses", grouped(table.softwires)),
    );
    for (&(offset, length), &count) in &table.layouts {
        let count = grouped(count);
        match length {
            0 => text.item(format_args!("{count} with a whole address")),
            _ => text.item(format_args!(
                "{count} sharing theirs 1:{} (psid-offset {offset}, psid-len {length}), \
                 {} each",
                1_u32 << length,
                match ports(offset, length) {
                    1 => "1 port".to_owned(),
                    ports => format!("{ports} ports"),
                },
            )),
        }
    }
    if let Some(file) = &config.softwires.file {
        text.field("table file", file.display());
    }
    text.field("memory", format_args!("{} MiB", writer.memory().div_ceil(1 << 20)));
    text.field(
        "reload",
        format_args!("removing more than {} % of them needs --force", config.softwires.max_removal),
    );
    if config.softwires.several_per_b4 {
        text.field("B4s", "may have several softwires each");
    }
    let edits = if config.softwires.persist {
        "survive reloads and restarts"
    } else {
        "last until the next reload or restart"
    };
    text.field("edits", format_args!("made at run time {edits}"));
}

fn policy(config: &Config, text: &mut Text) {
    text.heading("Policy");
    let choices = config.policy_choices();
    if choices.is_empty() {
        text.item("all as by default");
    }
    for choice in choices {
        let default = if choice.old.is_empty() { "not set" } else { &choice.old };
        text.item(format_args!("{} = {} (default: {default})", choice.key.path(), choice.new));
    }
}

fn routing(config: &Config, table: &Summary, all: bool, text: &mut Text) {
    let own = config.external.addresses.first().map(Ipv4Net::addr);
    text.heading(format_args!(
        "On the external side, the network must route to {}",
        own.map(|address| address.to_string()).unwrap_or_default()
    ));
    list(&Ipv4Net::aggregate(&table.addresses), all, text);
    let own = config.internal.addresses.first().map(Ipv6Net::addr);
    text.heading(format_args!(
        "On the internal side, the network must route to {}",
        own.map(|address| address.to_string()).unwrap_or_default()
    ));
    let on_link = |br: &Ipv6Net| config.internal.addresses.iter().any(|net| net.contains(br));
    let (neighbours, routed): (Vec<_>, Vec<_>) =
        config.softwires.br_addresses.iter().map(|&br| Ipv6Net::from(br)).partition(on_link);
    list(&Ipv6Net::aggregate(&routed), all, text);
    if !neighbours.is_empty() {
        let neighbours: Vec<_> = neighbours.iter().map(Ipv6Net::addr).collect();
        text.item(format_args!("{}: on the link itself, answered for", join(&neighbours)));
    }
}

fn list<N: Display>(prefixes: &[N], all: bool, text: &mut Text) {
    let listed = if all { prefixes.len() } else { prefixes.len().min(LISTED) };
    for prefix in &prefixes[..listed] {
        text.item(prefix);
    }
    match prefixes.len() - listed {
        0 if prefixes.is_empty() => text.item("nothing"),
        0 => {}
        more => text.item(format_args!("and {} more (--all lists them)", grouped(more))),
    }
}

/// What a table amounts to.
#[derive(Default)]
struct Summary {
    softwires: usize,
    /// The IPv4 addresses, ascending.
    addresses: Vec<Ipv4Net>,
    /// Softwires by (psid-offset, psid-len).
    layouts: BTreeMap<(u8, u8), usize>,
}

impl Summary {
    /// Of softwires in the order of their addresses.
    fn of(softwires: impl Iterator<Item = Softwire>) -> Self {
        let mut summary = Self::default();
        for Softwire { ipv4, port_set, .. } in softwires {
            summary.softwires += 1;
            if summary.addresses.last().is_none_or(|last| last.addr() != ipv4) {
                summary.addresses.push(ipv4.into());
            }
            let offset = if port_set.is_whole_address() { 0 } else { port_set.offset() };
            *summary.layouts.entry((offset, port_set.length())).or_default() += 1;
        }
        summary
    }
}

/// How many ports each of 2^k subscribers has.
fn ports(offset: u8, length: u8) -> u32 {
    let blocks = if offset == 0 { 1 } else { (1_u32 << offset) - 1 };
    blocks << (16 - offset - length)
}

fn join<D: Display>(items: &[D]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A number with a space between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softwire::PortSet;

    #[test]
    fn thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }

    #[test]
    fn ports_are_as_many_as_the_port_set_has() {
        for offset in 0..=16 {
            for length in 1..=16 - offset {
                let set = PortSet::new(offset, length, 0).unwrap();
                let counted: u32 =
                    set.ranges().map(|range| u32::from(range.end() - range.start()) + 1).sum();
                assert_eq!(ports(offset, length), counted, "a={offset} k={length}");
            }
        }
    }
}
