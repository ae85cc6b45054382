//! The configuration from outside: what is accepted, what is refused and with which words.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use vnf::config::{self, Config};
use vnf::lwaftr::{Dscp, FlowLabel, NextHop, Policy};
use vnf::softwire::{PortSet, Softwire, file};
use vnf::wire::MacAddr;

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

/// Loads a configuration and its table from a directory of their own. The directory's name is
/// taken out of the messages.
fn load(toml: &[u8], csv: &[u8]) -> Result<Config, String> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("relay.toml");
    fs::write(&path, toml).unwrap();
    fs::write(directory.path().join("table.csv"), csv).unwrap();
    let prefix = format!("{}/", directory.path().display());
    config::load(&path).map_err(|errors| errors.to_string().replace(&prefix, ""))
}

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

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
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
    assert_eq!(settings.external.next_hop, NextHop::Address([192, 0, 2, 1].into()));
    assert_eq!(settings.internal.link_local, macs[1].link_local());
    assert_eq!(settings.internal.link.mtu, 1540);
    assert!(!settings.on_a_stick);
    assert_eq!(
        settings.policy,
        Policy { icmpv4_source: Some([9, 9, 9, 9].into()), ..Policy::default() }
    );
}

/// Replacements in `BASE` and the message that each causes, alone.
#[test]
fn every_mistake_has_its_message() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "mtu = 1540",
            "mtu = 900",
            "relay.toml:9: internal.mtu: 900 is not accepted: must be an integer from 1280 to 9000",
        ),
        (
            "mtu = 1540",
            "mtu = \"1540\"",
            "relay.toml:9: internal.mtu: \"1540\" is not accepted: must be an integer from 1280 to 9000",
        ),
        (
            "mtu = 1540",
            "mtuu = 1540",
            "relay.toml:9: internal.mtuu: unknown key: did you mean mtu?",
        ),
        (
            "mtu = 1540",
            "hop-limit = 9",
            "relay.toml:9: internal.hop-limit: unknown key: it belongs in [policy]",
        ),
        (
            "mtu = 1540",
            "vlan = 4095",
            "relay.toml:9: internal.vlan: 4095 is not accepted: must be an integer from 0 to 4094",
        ),
        (
            "mtu = 1540",
            "mac = \"01:00:5e:00:00:01\"",
            "relay.toml:9: internal.mac: 01:00:5e:00:00:01 is a group address: one host's MAC address",
        ),
        (
            "mtu = 1540",
            "next-hop-mac = \"00:00:00:00:00:00\"",
            "relay.toml:9: internal.next-hop-mac: 00:00:00:00:00:00 is no address: one host's MAC address",
        ),
        (
            "mtu = 1540",
            "mac = \"02:00:00\"",
            "relay.toml:9: internal.mac: \"02:00:00\" is not accepted: must be a MAC address, like \"02:00:00:00:00:01\"",
        ),
        (
            "mtu = 1540",
            "link-local = \"2001:db8::1\"",
            "relay.toml:9: internal.link-local: 2001:db8::1 is not link-local: an address in fe80::/10",
        ),
        ("[policy]", "[polciy]", "relay.toml:13: polciy: unknown table: did you mean [policy]?"),
        ("[policy]", "[[policy]]", "relay.toml:13: policy: is there as [[policy]]: one [policy]"),
        (
            "[external]",
            "mtu = 1500\n[external]",
            "relay.toml:1: mtu: unknown key: it belongs in [external]",
        ),
        (
            "next-hop = \"192.0.2.1\"\n",
            "",
            "relay.toml:1: external.next-hop: missing: the address of the router on this side (or next-hop-mac)",
        ),
        (
            "port = \"net_null0\"\n",
            "",
            "relay.toml:1: external.port: missing: a DPDK device, like \"0000:00:05.0\" or \"net_tap0\"",
        ),
        (
            "next-hop = \"192.0.2.1\"",
            "next-hop = \"198.51.100.1\"",
            "relay.toml:4: external.next-hop: 198.51.100.1 is not on the link (192.0.2.2/24): a router that is, or on-link = true",
        ),
        (
            "next-hop = \"192.0.2.1\"",
            "next-hop = \"192.0.2.2\"",
            "relay.toml:4: external.next-hop: 192.0.2.2 is our own address: the address of the router towards the Internet",
        ),
        (
            "next-hop = \"192.0.2.1\"",
            "next-hop = \"192.0.2.255\"",
            "relay.toml:4: external.next-hop: 192.0.2.255 is the broadcast address of its network: the address of the router towards the Internet",
        ),
        (
            "next-hop = \"2001:db8:0:1::1\"",
            "next-hop = \"2001:db8:0:2::1\"",
            "relay.toml:8: internal.next-hop: 2001:db8:0:2::1 is not on the link (2001:db8:0:1::2/64): a router that is, or on-link = true",
        ),
        (
            "next-hop = \"2001:db8:0:1::1\"",
            "next-hop = \"2001:db8:ffff::1\"",
            "relay.toml:8: internal.next-hop: 2001:db8:ffff::1 is our own address: the address of the router towards the B4s",
        ),
        (
            "\"192.0.2.2/24\"",
            "\"192.0.2.2\"",
            "relay.toml:3: external.address: \"192.0.2.2\" is not accepted: must be an IPv4 address with its prefix length, like \"192.0.2.2/24\"",
        ),
        (
            "\"192.0.2.2/24\"",
            "[]",
            "relay.toml:3: external.address: is empty: at least one address with its prefix length",
        ),
        (
            "\"192.0.2.2/24\"",
            "[\"192.0.2.2/24\", \"192.0.2.2/25\"]",
            "relay.toml:3: external.address: names 192.0.2.2 twice: each address once",
        ),
        (
            "\"2001:db8:0:1::2/64\"",
            "[\"2001:db8:0:1::2/64\", \"fe80::2/64\"]",
            "relay.toml:7: internal.address: fe80::2/64 is link-local (the key for it is link-local): a global address of ours",
        ),
        (
            "br-addresses = \"2001:db8:ffff::1\"",
            "br-addresses = []",
            "relay.toml:11: softwires.br-addresses: is empty: at least one tunnel endpoint of the relay",
        ),
        (
            "br-addresses = \"2001:db8:ffff::1\"",
            "br-addresses = [\"2001:db8:ffff::1\", \"ff02::1\"]",
            "relay.toml:11: softwires.br-addresses: ff02::1 is a multicast address: an address that B4s can send to\n\
             table.csv:3: br-ipv6: missing: one of the br-addresses, as there are several",
        ),
        (
            "[external]",
            "[workers]\ncpus = [2, 3, 2]\n[external]",
            "relay.toml:2: workers.cpus: names CPU 2 twice: one worker a CPU",
        ),
        (
            "[external]",
            "[workers]\nidle = \"spin\"\n[external]",
            "relay.toml:2: workers.idle: \"spin\" is not accepted: must be \"auto\" or \"poll\" or \"adaptive\"",
        ),
        (
            "[external]",
            "[instance]\nname = \"a/b\"\n[external]",
            "relay.toml:2: instance.name: \"a/b\" is not accepted: at most 32 letters, digits, \"-\", \"_\" and \".\", no \".\" in front",
        ),
        (
            "[external]",
            "[instance]\ncontrol-socket = \"x.sock\"\n[external]",
            "relay.toml:2: instance.control-socket: is a relative path: a path that starts with \"/\", as other programs look for it",
        ),
        (
            "[policy]",
            "[policy]\ndscp = 64",
            "relay.toml:14: policy.dscp: 64 is not accepted: must be \"copy\" or an integer from 0 to 63",
        ),
        (
            "[policy]",
            "[policy]\nmartians = [\"10.0.0.0/8\",\n 5,\n \"x\"]",
            "relay.toml:15: policy.martians: 5 is not accepted: must be an IPv4 address with its prefix length, like \"192.0.2.2/24\"\n\
             relay.toml:16: policy.martians: \"x\" is not accepted: must be an IPv4 address with its prefix length, like \"192.0.2.2/24\"",
        ),
        (
            "[policy]",
            "[policy]\nhop-limit = 1\nhop-limit = 2",
            "relay.toml:15: TOML syntax: duplicate key",
        ),
        (
            "[policy]",
            "[policy]\nhairpinning = \"lokal\"\nhop-limit 1",
            "relay.toml:14: policy.hairpinning: \"lokal\" is not accepted: must be \"local\" or \"external\" or \"drop\"\n\
             relay.toml:15: TOML syntax: key with no value, expected `=`",
        ),
        (
            "file = \"table.csv\"",
            "file = \"nowhere.csv\"",
            "relay.toml:12: softwires.file: nowhere.csv cannot be read (No such file or directory (os error 2)): the path of a table file",
        ),
        (
            "[policy]",
            "[[softwire]]\nipv4 = \"203.0.113.9\"\n[policy]",
            "relay.toml:13: softwire.b4-ipv6: missing: an IPv6 address, like \"2001:db8::1\"",
        ),
        (
            "[policy]",
            "[[softwire]]\nipv4 = \"203.0.113.9\"\npsid = 4\nb4-ipv6 = \"2001:db8::9\"\n[policy]",
            "relay.toml:13: softwire.psid: 4 does not fit psid-len 0: a number from 0 to 0",
        ),
        (
            "[policy]",
            "[[softwire]]\nipv4 = \"203.0.113.9\"\nb4-ipv6 = \"2001:db8:0:201::1\"\n[policy]",
            "table.csv:3: b4-ipv6: this B4 has a softwire already: use another B4 address, or set several-per-b4 = true (the other one: relay.toml:13)",
        ),
    ];
    for (old, new, message) in cases {
        assert_eq!(&messages(old, new), message, "{new}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_files() {
    let toml = changed("mtu = 1540", "mtu = 1").replace("\"192.0.2.2/24\"", "3");
    let csv = format!("{TABLE}203.0.113.8,0,0\n203.0.113.7,6,6,1,2001:db8:0:202::1\n");
    let text = load(toml.as_bytes(), csv.as_bytes()).map(drop).unwrap_err();
    let places: Vec<_> = text
        .lines()
        .map(|line| line.splitn(4, ':').take(3).collect::<Vec<_>>().join(":"))
        .collect();
    assert_eq!(
        places,
        [
            "relay.toml:3: external.address",
            "relay.toml:9: internal.mtu",
            "table.csv:4: row",
            "table.csv:5: ipv4",
        ]
    );
}

#[test]
fn too_many_mistakes_are_counted() {
    let csv = "x\n".repeat(120);
    let text = table_messages(&csv);
    assert_eq!(text.lines().count(), 51);
    assert!(text.ends_with("\nand 70 more"), "{text}");
    let rows: String =
        (0..120).map(|row| format!("203.0.113.9,0,0,0,2001:db8::{row:x}\n")).collect();
    let text = table_messages(&rows);
    assert_eq!(text.lines().count(), 51);
    assert!(text.ends_with("\nand 69 more"), "{text}");
}

/// Rows after `TABLE`'s header (line 1), and the message about them.
#[test]
fn every_mistake_in_a_table_has_its_message() {
    let cases = [
        (
            "203.0.113.7,6,6",
            "2: row: 3 columns: 5 or 6 separated by commas: ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6",
        ),
        (
            "1.2.3.4,0,0,0,2001:db8::1,2001:db8:ffff::1,x",
            "2: row: 7 columns: 5 or 6 separated by commas: ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6",
        ),
        (
            "1.2.3.256,0,0,0,2001:db8::1",
            "2: ipv4: \"1.2.3.256\" is not accepted: an IPv4 address, like 203.0.113.7",
        ),
        (
            "1.2.3.4,17,0,0,2001:db8::1",
            "2: psid-offset: \"17\" is not accepted: a number from 0 to 16",
        ),
        ("1.2.3.4,,0,0,2001:db8::1", "2: psid-offset: missing: a number from 0 to 16"),
        ("1.2.3.4,0,x,0,2001:db8::1", "2: psid-len: \"x\" is not accepted: a number from 0 to 16"),
        (
            "1.2.3.4,10,7,0,2001:db8::1",
            "2: psid-len: psid-offset 10 and psid-len 7 are more than the 16 bits of a port: psid-len at most 6",
        ),
        (
            "1.2.3.4,0,6,64,2001:db8::1",
            "2: psid: 64 does not fit psid-len 6: a number from 0 to 63",
        ),
        (
            "1.2.3.4,0,6,0x1f,2001:db8::1",
            "2: psid: \"0x1f\" is not accepted: a number from 0 to 65535, below 2^psid-len",
        ),
        (
            "1.2.3.4,0,0,0,2001:db8:::1",
            "2: b4-ipv6: \"2001:db8:::1\" is not accepted: an IPv6 address, like 2001:db8::7",
        ),
        (
            "1.2.3.4,0,0,0,fe80::1",
            "2: b4-ipv6: B4 address fe80::1 is a link-local address: use a global unicast address",
        ),
        (
            "1.2.3.4,0,0,0,2001:db8:0:1::2",
            "2: b4-ipv6: B4 address 2001:db8:0:1::2 is the relay's own: use the customer's",
        ),
        (
            "1.2.3.4,0,0,0,2001:db8:ffff::1",
            "2: b4-ipv6: B4 address 2001:db8:ffff::1 is the relay's own: use the customer's",
        ),
        (
            "192.0.2.2,0,0,0,2001:db8::1",
            "2: ipv4: 192.0.2.2 is the relay's own external address: softwires need others",
        ),
        (
            "1.2.3.4,0,0,0,2001:db8::1,2001:db8:fffe::1",
            "2: br-ipv6: 2001:db8:fffe::1 is not a BR address of this relay: use one of br-addresses",
        ),
        (
            "1.2.3.4,0,1,1,2001:db8::1\n\n1.2.3.4,0,1,1,2001:db8::2",
            "4: ipv4: this address and PSID has a softwire already: give it to one B4 only (the other one: table.csv:2)",
        ),
        (
            "1.2.3.4,0,1,1,2001:db8::1\n#\n1.2.3.4,0,2,1,2001:db8::2",
            "4: psid-len: psid-offset 0, psid-len 2 on an address that has psid-offset 0, psid-len 1: all softwires of an address share one layout (the other one: table.csv:2)",
        ),
        (
            "1.2.3.4,0,1,1,2001:db8::1\n1.2.3.3,0,1,1,2001:db8::1",
            "3: b4-ipv6: this B4 has a softwire already: use another B4 address, or set several-per-b4 = true (the other one: table.csv:2)",
        ),
        (
            "# rows=0 sha256=12",
            "2: trailer: \"# rows=0 sha256=12\" is not one: # rows=N sha256=HEX (64 hexadecimal digits)",
        ),
        (
            "# rows=1 sha256=2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "2: rows: announces 1 rows, the file has 0: the complete file as it was made, or no trailer",
        ),
        (
            "# rows=0 sha256=2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "2: sha256: is not that of the lines above (38335697e80ef31e949fc03f654410a54196b2636001cfa138598de2a16659cb): the complete file as it was made, or no trailer",
        ),
        (
            "# rows=0 sha256=0\n1.2.3.4,0,0,0,2001:db8::1",
            "2: trailer: rows follow it: the last line of the file",
        ),
    ];
    let header = TABLE.lines().next().unwrap();
    for (rows, message) in cases {
        let text = table_messages(&format!("{header}\n{rows}\n"));
        assert_eq!(text, format!("table.csv:{message}"), "{rows}");
    }
    assert_eq!(
        table_messages("ipv4,psid-len,psid-offset,psid,b4-ipv6\n"),
        "table.csv:1: header: \"ipv4,psid-len,psid-offset,psid,b4-ipv6\" is not it: \
         ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6"
    );
    assert_eq!(
        table_messages(&"z".repeat(99)),
        format!(
            "table.csv:1: row: 1 columns: 5 or 6 separated by commas: {}",
            "ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6"
        )
    );
}

#[test]
fn a_table_may_look_different_and_mean_the_same() {
    let expected = load(BASE.as_bytes(), TABLE.as_bytes()).unwrap().rows().to_vec();
    let (_, rows) = TABLE.split_once('\n').unwrap();
    let same = [
        rows.to_owned(),
        TABLE.trim_end().to_owned(),
        TABLE.replace('\n', "\r\n"),
        TABLE.replace('\n', "\n\n# a remark, with commas, in it\n  \n"),
        TABLE.replace(',', "\t, "),
        format!("\u{feff}{TABLE}"),
        TABLE.to_uppercase().replace("IPV4,PSID-OFFSET,PSID-LEN,PSID,B4-IPV6,BR-IPV6", ""),
        TABLE.replace("2001:db8:0:201::1", "2001:db8:0:201:0:0:0.0.0.1,"),
    ];
    for csv in same {
        assert_eq!(load(BASE.as_bytes(), csv.as_bytes()).unwrap().rows(), expected, "{csv:?}");
    }
}

#[test]
fn a_table_that_was_cut_is_refused() {
    let rows = (0..500_u16).map(|row| Softwire {
        ipv4: [203, 0, 113, (row / 64) as u8].into(),
        port_set: PortSet::new(4, 6, row % 64).unwrap(),
        b4: [0x2001, 0xdb8, 0, row, 0, 0, 0, 1].into(),
        br: [0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1].into(),
    });
    let mut csv = Vec::new();
    assert_eq!(file::write(&mut csv, rows.clone()).unwrap(), 500);
    let config = load(BASE.as_bytes(), &csv).unwrap();
    assert!(rows.eq(config.rows().iter().copied()));
    assert!(config.origin(499).ends_with("table.csv:501"));

    let text = String::from_utf8(csv).unwrap();
    let without = |line: usize| {
        let kept = text.lines().enumerate().filter(|&(number, _)| number != line);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(
        table_messages(&without(7)),
        "table.csv:501: rows: announces 500 rows, the file has 499: \
         the complete file as it was made, or no trailer"
    );
    let changed = text.replacen("2001:db8:0:7::1", "2001:db8:1:7::1", 1);
    assert!(table_messages(&changed).starts_with("table.csv:502: sha256: is not that"));
    assert!(
        load(BASE.as_bytes(), changed.lines().take(501).collect::<Vec<_>>().join("\n").as_bytes())
            .is_ok()
    );
    assert!(
        load(BASE.as_bytes(), format!("{}\n\n \n", text.replace("sha256=", " sha256=")).as_bytes())
            .is_ok()
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
    ] {
        load(changed(old, new).as_bytes(), TABLE.as_bytes()).unwrap();
    }
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

#[test]
fn the_configurations_that_come_along_are_right() {
    let directory = repository().join("configs");
    let mut seen = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let config = config::load(&path).map_err(|errors| errors.to_string()).unwrap();
            assert!(!config.rows().is_empty(), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 3);
}

/// Every key, as `configs/lwaftr.toml` has it when "# " is taken away: it loads, and shows each
/// default as it is.
#[test]
fn the_full_configuration_names_every_key_and_its_default() {
    let path = repository().join("configs/lwaftr.toml");
    let text = fs::read_to_string(&path).unwrap();
    let mut table = "";
    let mut shown = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']']);
        }
        let (is_default, line) = match line.strip_prefix("# ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        if let Some((name, value)) = line.split_once(" = ")
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            shown.push((format!("{table}.{name}"), value, is_default));
        }
    }
    let keys = config::all_keys();
    for key in &keys {
        let (_, value, is_default) = shown
            .iter()
            .find(|(path, ..)| *path == key.path())
            .unwrap_or_else(|| panic!("configs/lwaftr.toml lacks {}", key.path()));
        // Where nothing is the default, the file shows an example.
        if *is_default && !key.default.is_empty() && key.path() != "workers.cpus" {
            assert_eq!(*value, key.default, "{}", key.path());
        }
    }
    for (path, ..) in &shown {
        assert!(keys.iter().any(|key| key.path() == *path), "{path} is no key");
    }
    // With every default and example spelled out, it is still a valid configuration.
    let spelled_out: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.contains(" = ") && rest.starts_with(|c: char| c.is_ascii_lowercase()) =>
            {
                rest
            }
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lwaftr.toml");
    fs::write(&path, spelled_out).unwrap();
    fs::copy(repository().join("configs/softwires.csv"), directory.path().join("softwires.csv"))
        .unwrap();
    config::load(&path).map_err(|errors| errors.to_string()).unwrap();
}

#[test]
fn the_manual_has_a_row_for_every_key() {
    let manual = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    for key in config::all_keys() {
        let (_, section) = manual
            .split_once(&format!("\n## `[{}]`", key.table))
            .or(manual.split_once(&format!("\n## `[[{}]]`", key.table)))
            .unwrap_or_else(|| panic!("docs/configuration.md lacks [{}]", key.table));
        let section = section.split("\n## ").next().unwrap();
        let default = match (key.required, key.default.as_str()) {
            (true, _) => "required".to_owned(),
            (false, "") => "none".to_owned(),
            (false, default) => format!("`{default}`"),
        };
        let change = if key.restart { "restart" } else { "reload" };
        let row = format!("| `{}` | {} | {default} | {change} |", key.name, key.kind);
        assert!(section.contains(&row), "docs/configuration.md, [{}], lacks\n{row}", key.table);
    }
}

/// The manual's example of a bad configuration gives the messages that the manual shows.
#[test]
fn the_manual_shows_real_messages() {
    let manual = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let block = |after: &str| {
        let (_, rest) = manual.split_once(after).unwrap_or_else(|| panic!("no {after:?}"));
        let (_, rest) = rest.split_once("```").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let table = file::parse(block("## The table file").as_bytes(), None);
    assert_eq!((table.softwires.len(), table.errors), (2, vec![]));
    let toml = block("<!-- relay.toml -->");
    let csv = block("<!-- table.csv -->");
    let text = load(toml.as_bytes(), csv.as_bytes()).map(drop).unwrap_err();
    assert_eq!(text + "\n", block("<!-- messages -->"));
}

/// Replaces, removes, doubles and inserts pieces of a text.
fn mutated(text: &str, edits: &[(u8, prop::sample::Index, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (kind, place, piece) in edits {
        let at = place.index(bytes.len().max(1)).min(bytes.len());
        let end = (at + piece.len()).min(bytes.len());
        match kind % 4 {
            0 => drop(bytes.splice(at..end, piece.iter().copied())),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, piece.iter().copied())),
            _ => {
                let line = bytes[at..].iter().position(|&byte| byte == b'\n').unwrap_or(0);
                let copy = bytes[at..at + line].to_vec();
                drop(bytes.splice(at..at, copy));
            }
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, Vec<u8>)>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        "[\\[\\]{}=\",.#:0-9a-f \n]{0,5}".prop_map(String::into_bytes),
    ];
    prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), piece), 1..6)
}

/// Whatever a file holds, it is taken or refused with words; each message has a line that is there.
fn taken_or_refused(toml: &[u8], csv: &[u8]) {
    let Err(text) = load(toml, csv) else { return };
    assert!(!text.is_empty());
    for message in text.lines().filter(|line| !line.starts_with("and ")) {
        let (file, rest) = message.split_once(':').unwrap();
        let bytes = if file == "relay.toml" { toml } else { csv };
        let lines = 1 + bytes.iter().filter(|&&byte| byte == b'\n').count();
        let line: usize = rest.split_once(':').unwrap().0.parse().unwrap();
        assert!((1..=lines).contains(&line), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_make_it_panic(toml: Vec<u8>, csv: Vec<u8>) {
        taken_or_refused(&toml, &csv);
        taken_or_refused(BASE.as_bytes(), &csv);
    }

    #[test]
    fn no_slip_makes_it_panic(in_toml in edits(), in_csv in edits()) {
        taken_or_refused(&mutated(BASE, &in_toml), TABLE.as_bytes());
        taken_or_refused(BASE.as_bytes(), &mutated(TABLE, &in_csv));
    }

    #[test]
    fn no_slip_in_the_full_configuration_makes_it_panic(in_toml in edits()) {
        let text = include_str!("../../configs/lwaftr.toml").replace("# ", "");
        taken_or_refused(&mutated(&text, &in_toml), TABLE.as_bytes());
    }

    #[test]
    fn what_is_written_is_read(softwires in prop::collection::vec(any_softwire(), 0..40)) {
        let mut csv = Vec::new();
        file::write(&mut csv, softwires.iter().copied()).unwrap();
        let parsed = file::parse(&csv, None);
        prop_assert_eq!(parsed.errors, []);
        for row in 0..softwires.len() {
            prop_assert_eq!(parsed.lines.of(row), row + 2);
        }
        prop_assert_eq!(parsed.softwires, softwires);
    }

    #[test]
    fn rows_know_their_lines(gaps in prop::collection::vec(0..3_usize, 1..30)) {
        let mut csv = String::new();
        let mut expected = Vec::new();
        for (row, gap) in gaps.iter().enumerate() {
            csv.push_str(&"#\n".repeat(*gap));
            csv += &format!("1.2.3.{row},0,0,0,2001:db8::{row:x},::1\n");
            expected.push(csv.lines().count());
        }
        let parsed = file::parse(csv.as_bytes(), None);
        let lines: Vec<_> = (0..gaps.len()).map(|row| parsed.lines.of(row)).collect();
        prop_assert_eq!(lines, expected);
    }
}

fn any_softwire() -> impl Strategy<Value = Softwire> {
    let set = (0..=16_u8).prop_flat_map(|offset| (Just(offset), 0..=16 - offset, any::<u16>()));
    (any::<u32>(), set, any::<u128>(), any::<u128>()).prop_map(
        |(ipv4, (offset, length, psid), b4, br)| Softwire {
            ipv4: ipv4.into(),
            port_set: PortSet::new(offset, length, psid & ((1_u32 << length) - 1) as u16).unwrap(),
            b4: b4.into(),
            br: br.into(),
        },
    )
}
