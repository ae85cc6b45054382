//! The configuration from outside: what is accepted and what it means.

mod fuzz;
mod judge;
mod manual;
mod messages;
mod table;

use std::path::Path;

use vnf::config;
use vnf::lwaftr::{Dscp, FlowLabel, NextHop, Policy};
use vnf::wire::MacAddr;

use judge::load;

/// A valid configuration; its lines are numbered in the messages below.
const BASE: &str = r#"[external]
port = "net_null0"
address = "192.0.2.2/24"
next-hop = "192.0.2.1"
[internal]
port = "net_null1"
address = "2001:db8:0:1::2/64"
next-hop = "2001:db8:0:1::1"
mtu = 1540
[softwires]
br-addresses = "2001:db8:ffff::1"
file = "table.csv"
[policy]
icmpv4-source = "9.9.9.9"
"#;

/// A valid table.
const TABLE: &str = "\
ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6
203.0.113.7,6,6,0,2001:db8:0:200::1,2001:db8:ffff::1
203.0.113.7,6,6,1,2001:db8:0:201::1
";

/// `BASE` with `old` replaced by `new`.
fn changed(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "{old}");
    BASE.replacen(old, new, 1)
}

/// The messages about `BASE` with `old` replaced by `new`.
fn messages(old: &str, new: &str) -> String {
    load(changed(old, new).as_bytes(), TABLE.as_bytes()).map(drop).unwrap_err()
}

/// The messages about a table.
fn table_messages(csv: &str) -> String {
    load(BASE.as_bytes(), csv.as_bytes()).map(drop).unwrap_err()
}

#[test]
fn the_base_is_right_and_means_what_it_says() {
    let config = load(BASE.as_bytes(), TABLE.as_bytes()).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.instance.name, "lwaftr");
    assert_eq!(config.instance.control_socket, Path::new("/run/lwaftr/lwaftr.sock"));
    assert_eq!(config.rows().len(), 2);
    assert!(config.origin(1).ends_with("table.csv:3"));
    let macs = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
    let settings = config.settings(macs[0], macs[1]);
    assert_eq!(settings.external.link.mac, macs[0]);
    assert_eq!(settings.external.next_hop, NextHop::Addresses(vec![[192, 0, 2, 1].into()]));
    assert_eq!(settings.internal.link_local, macs[1].link_local());
    assert_eq!(settings.internal.link.mtu, 1540);
    assert!(!settings.on_a_stick);
    assert_eq!(
        settings.policy,
        Policy { icmpv4_source: Some([9, 9, 9, 9].into()), ..Policy::default() }
    );
}

#[test]
fn what_works_but_should_be_known() {
    let warnings = |old: &str, new: &str, csv: &str| {
        let config = load(changed(old, new).as_bytes(), csv.as_bytes()).unwrap();
        let name = |warning: &String| {
            warning
                .rsplit_once("relay.toml:")
                .or(warning.rsplit_once("table.csv:"))
                .map(|(_, text)| text.to_owned())
                .unwrap()
        };
        config.warnings.iter().map(name).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        warnings("mtu = 1540\n", "", TABLE),
        "5: internal.mtu: 1500 is less than external.mtu + 40 = 1540: IPv4 packets of 1461 to 1500 \
         bytes from the Internet do not fit the tunnel and need path MTU discovery (with DF set, \
         their sender is told 1460)"
    );
    assert!(warnings("icmpv4-source = \"9.9.9.9\"", "", TABLE).starts_with(
        "3: external.address: ICMPv4 errors come from 192.0.2.2, which is not globally routable"
    ));
    assert!(
        warnings("\"9.9.9.9\"", "\"10.0.0.1\"", TABLE)
            .starts_with("14: policy.icmpv4-source: ICMPv4 errors come from 10.0.0.1,")
    );
    assert!(
        warnings("[policy]", "[policy]\ntoo-big-rate = 0", TABLE)
            .starts_with("14: policy.too-big-rate: no \"packet too big\"")
    );
    assert_eq!(
        warnings("[policy]", "[policy]", "# none\n"),
        "10: softwires: there are no softwires: nothing is forwarded"
    );
    let low = "1.2.3.4,0,0,0,2001:db8::1\n1.2.3.5,0,2,1,2001:db8::2\n1.2.3.5,0,2,0,2001:db8::3\n1.2.3.6,7,2,3,2001:db8::4\n";
    assert!(
        warnings("[policy]", "[policy]", low)
            .starts_with("3: ipv4: shared softwires that hold ports below 1024, which servers refuse or trust: 2, the first one here"),
        "{}",
        warnings("[policy]", "[policy]", low)
    );
    assert!(
        warnings("[policy]", "[policy]", "240.0.0.1,0,0,0,2001:db8::1\n")
            .starts_with("1: ipv4: softwires with an address in one of policy.martians: 1,")
    );
    assert!(
        warnings("[policy]", "[policy]", "192.0.2.9,0,0,0,2001:db8::1\n")
            .starts_with("1: ipv4: softwires with an address on the external link: 1,")
    );
}

#[test]
fn values_in_their_other_forms() {
    let toml =
        changed("mtu = 1540", "mtu = 1_540\nvlan = 0x64\nnext-hop-mac = \"02:00:00:00:00:09\"")
            .replace("port = \"net_null1\"", "port = \"net_null0\"")
            .replace(
                "address = \"192.0.2.2/24\"",
                "address = [\"192.0.2.2/24\", \"198.51.100.2/31\"]",
            )
            .replace("[policy]", "[policy]\ndscp = 46\nflow-label = 0\nmartians = []");
    let config = load(toml.as_bytes(), TABLE.as_bytes()).unwrap();
    let settings = config.settings(MacAddr::default(), MacAddr::default());
    assert!(settings.on_a_stick);
    assert_eq!(settings.internal.link.vlan, Some(100));
    assert_eq!(settings.external.link.vlan, None);
    assert_eq!(settings.internal.next_hop, NextHop::Fixed(MacAddr([2, 0, 0, 0, 0, 9])));
    assert_eq!(settings.external.addresses.len(), 2);
    assert_eq!(settings.policy.dscp, Dscp::Fixed(46));
    assert_eq!(settings.policy.flow_label, FlowLabel::Fixed(0));
    assert!(settings.policy.martians.is_empty());
    let choices: Vec<_> = config.policy_choices().iter().map(ToString::to_string).collect();
    assert_eq!(
        choices,
        [
            "policy.dscp: \"copy\" -> 46",
            "policy.flow-label: \"hash\" -> 0",
            "policy.martians: [\"0.0.0.0/8\", \"127.0.0.0/8\", \"169.254.0.0/16\", \"224.0.0.0/4\", \"240.0.0.0/4\"] -> []",
            "policy.icmpv4-source: (none) -> \"9.9.9.9\"",
        ]
    );
}

#[test]
fn off_link_next_hops_are_taken_where_that_is_meant() {
    for (old, new) in [
        ("next-hop = \"192.0.2.1\"", "next-hop = \"198.51.100.1\"\non-link = true"),
        ("next-hop = \"2001:db8:0:1::1\"", "next-hop = \"2001:db8:9::1\"\non-link = true"),
        ("next-hop = \"2001:db8:0:1::1\"", "next-hop = \"fe80::1\""),
        ("next-hop = \"192.0.2.1\"", "next-hop-mac = \"02:00:00:00:00:01\""),
        ("next-hop = \"192.0.2.1\"", "next-hop = []\nnext-hop-mac = \"02:00:00:00:00:01\""),
    ] {
        load(changed(old, new).as_bytes(), TABLE.as_bytes()).unwrap();
    }
}

#[test]
fn next_hops_keep_their_order() {
    let toml = changed("next-hop = \"192.0.2.1\"", "next-hop = [\"192.0.2.9\", \"192.0.2.1\"]");
    let config = load(toml.as_bytes(), TABLE.as_bytes()).unwrap();
    let settings = config.settings(MacAddr::default(), MacAddr::default());
    let addresses = [[192, 0, 2, 9].into(), [192, 0, 2, 1].into()];
    assert_eq!(settings.external.next_hop, NextHop::Addresses(addresses.into()));
}

#[test]
fn differences_name_what_needs_a_restart() {
    let load = |toml: &str| load(toml.as_bytes(), TABLE.as_bytes()).unwrap();
    let new = changed("net_null1", "net_tap0").replace("mtu = 1540", "mtu = 2000");
    let found = config::differences(&load(BASE), &load(&new));
    let found: Vec<_> = found.iter().map(|found| (found.to_string(), found.key.restart)).collect();
    assert_eq!(
        found[..2],
        [
            ("internal.port: \"net_null1\" -> \"net_tap0\"".to_owned(), true),
            ("internal.mtu: 1540 -> 2000".to_owned(), false),
        ]
    );
}

/// Q2: only what a process, its threads, sockets and ports are made with needs a restart.
#[test]
fn q2_only_what_is_no_policy_needs_a_restart() {
    let fixed: Vec<_> = config::all_keys().into_iter().filter(|key| key.restart).collect();
    let fixed: Vec<_> = fixed.iter().map(config::KeyInfo::path).collect();
    assert_eq!(
        fixed,
        [
            "instance.name",
            "instance.control-socket",
            "instance.crash-directory",
            "instance.watch",
            "instance.devices",
            "workers.cpus",
            "workers.idle",
            "external.port",
            "external.mac",
            "internal.port",
            "internal.mac",
            "softwires.persist",
            "api.listen",
            "api.socket",
        ]
    );
}

/// Q2: whatever the data plane goes by comes from the keys that a reload reads anew: each of them
/// makes other settings, which a reload publishes.
#[test]
fn q2_each_policy_key_makes_other_settings() {
    let values = [
        ("external.address", "\"192.0.2.3/24\""),
        ("external.vlan", "7"),
        ("external.mtu", "1400"),
        ("external.promiscuous", "true"),
        ("external.next-hop", "\"192.0.2.9\""),
        ("external.next-hop-mac", "\"02:00:00:00:00:09\""),
        ("external.ingress-filter", "\"udp\""),
        ("external.egress-filter", "\"udp\""),
        ("external.proxy-arp", "true"),
        ("internal.address", "\"2001:db8:0:1::3/64\""),
        ("internal.vlan", "7"),
        ("internal.mtu", "1400"),
        ("internal.promiscuous", "true"),
        ("internal.next-hop", "\"2001:db8:0:1::9\""),
        ("internal.next-hop-mac", "\"02:00:00:00:00:09\""),
        ("internal.ingress-filter", "\"ip6\""),
        ("internal.egress-filter", "\"ip6\""),
        ("internal.link-local", "\"fe80::77\""),
        ("internal.br-anycast", "false"),
        ("policy.hop-limit", "9"),
        ("policy.dscp", "9"),
        ("policy.ecn", "\"compatibility\""),
        ("policy.flow-label", "9"),
        ("policy.decap-dscp", "\"copy\""),
        ("policy.decap-ttl", "\"keep\""),
        ("policy.hairpinning", "\"drop\""),
        ("policy.fragment", "\"inner\""),
        ("policy.too-big-df", "\"fragment\""),
        ("policy.mss-clamp", "\"off\""),
        ("policy.generate-icmpv4-errors", "false"),
        ("policy.generate-icmpv6-errors", "false"),
        ("policy.allow-incoming-icmpv4", "false"),
        ("policy.icmpv4-rate", "9"),
        ("policy.allow-source-route", "true"),
        ("policy.martians", "[]"),
        ("policy.stop-answering-when-down", "true"),
        ("policy.icmpv4-source", "\"9.9.9.8\""),
        ("policy.too-big-rate", "9"),
        ("policy.time-exceeded-rate", "9"),
        ("policy.icmpv4-error-rate", "9"),
        ("policy.icmpv6-rate", "9"),
        ("policy.echo-rate", "9"),
        ("policy.per-destination-rate", "9"),
        ("fragments.max-fragments", "9"),
        ("fragments.packets-per-source", "9"),
        ("fragments.bytes-per-source", "90000"),
        ("fragments.packets", "900"),
        ("fragments.bytes", "900000"),
        ("fragments.timeout", "9"),
        ("fragments.port-memory", "9"),
        ("fragments.hold", "9"),
        ("fragments.held-per-packet", "9"),
    ];
    let settings = |toml: &str| {
        let config =
            load(toml.as_bytes(), TABLE.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{toml}"));
        config.settings(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]))
    };
    let base = settings(BASE);
    for (path, value) in values {
        assert_ne!(settings(&with_key(path, value)), base, "{path} = {value}");
    }
    // None is missing. `on-link` only says that a next hop is accepted.
    let is_policy = |key: &config::KeyInfo| {
        !key.restart
            && key.name != "on-link"
            && matches!(key.table, "external" | "internal" | "policy" | "fragments")
    };
    let keys = config::all_keys();
    let missing: Vec<_> = keys
        .iter()
        .filter(|key| is_policy(key))
        .map(config::KeyInfo::path)
        .filter(|path| !values.iter().any(|(known, _)| known == path))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// `BASE` with another value of a key, whether it has one or not.
fn with_key(path: &str, value: &str) -> String {
    let (table, name) = path.split_once('.').unwrap();
    let header = format!("[{table}]\n");
    let text = if BASE.contains(&header) { BASE.to_owned() } else { format!("{BASE}{header}") };
    let (before, rest) = text.split_once(&header).unwrap();
    let (body, after) = rest.split_at(rest.find("\n[").map_or(rest.len(), |end| end + 1));
    let others: Vec<_> =
        body.lines().filter(|line| !line.starts_with(&format!("{name} ="))).collect();
    format!("{before}{header}{name} = {value}\n{}\n{after}", others.join("\n"))
}
