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
