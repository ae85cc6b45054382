//! What is refused, and with which words.

use crate::{TABLE, changed, load, messages, table_messages};

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
            "\"net_null1\"",
            "\"eth0\"",
            "relay.toml:6: internal.port: `eth0`: `eth0` is neither a card nor a virtual driver: for example 0000:01:00.0, nic:1, mac:52:54:00:00:00:01 or net_af_xdp,iface=eth1",
        ),
        (
            "\"net_null1\"",
            "\"net_nul1\"",
            "relay.toml:6: internal.port: `net_nul1`: there is no driver `net_nul`: net_af_xdp, net_af_packet, net_tap, net_bonding, net_virtio_user, net_vhost, net_memif, net_pcap, net_ring, net_null",
        ),
        (
            "\"net_null1\"",
            "\"net_null0,size=100\"",
            "relay.toml:6: internal.port: `net_null0,size=100` is a device that is named already: each device once, or the very same text as port of both sides (on-a-stick)",
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
            "next-hop = []",
            "relay.toml:4: external.next-hop: is empty: the address of the router on this side, or a list",
        ),
        (
            "next-hop = \"192.0.2.1\"",
            "next-hop = [\"192.0.2.1\", \"192.0.2.3\", \"192.0.2.1\"]",
            "relay.toml:4: external.next-hop: names 192.0.2.1 twice: each router once, the preferred one first",
        ),
        (
            "next-hop = \"192.0.2.1\"",
            "next-hop = [\"192.0.2.1\", \"192.0.2.2\"]",
            "relay.toml:4: external.next-hop: 192.0.2.2 is our own address: the address of the router towards the Internet",
        ),
        (
            "next-hop = \"2001:db8:0:1::1\"",
            "next-hop = [\"2001:db8:0:1::11\", \"2001:db8:0:1::12\", \"2001:db8:0:1::13\", \"2001:db8:0:1::14\", \"2001:db8:0:1::15\", \"2001:db8:0:1::16\", \"2001:db8:0:1::17\", \"2001:db8:0:1::18\", \"2001:db8:0:1::19\"]",
            "relay.toml:8: internal.next-hop: names 9 routers: at most 8",
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
            "[external]",
            "[instance]\ncrash-directory = \"crash\"\n[external]",
            "relay.toml:2: instance.crash-directory: is a relative path: a path that starts with \"/\", to be found after a crash",
        ),
        (
            "[external]",
            "[instance]\ncrash-directory = \"/dev/null\"\n[external]",
            "relay.toml:2: instance.crash-directory: \"/dev/null\" is no directory: the path of a directory, or of nothing yet",
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
            "relay.toml:15: policy.hop-limit: stands twice in its table: once",
        ),
        (
            "[policy]",
            "[internal]\nmtu = 1500\n[policy]",
            "relay.toml:13: internal: stands twice: one table of that name, with all its keys\n\
             relay.toml:14: internal.mtu: stands twice in its table: once",
        ),
        (
            "mtu = 1540",
            "vlan.id = 3\nvlan = 4",
            "relay.toml:9: internal.vlan: a table is not accepted: must be an integer from 0 to 4094\n\
             relay.toml:10: internal.vlan: stands twice in its table: once",
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
fn what_is_too_deep_is_refused_with_its_key() {
    let deep = format!("[policy]\nmartians = {}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(
        messages("[policy]", &deep),
        "relay.toml:14: policy.martians: lists or tables too deep in one another: no key takes such a value"
    );
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
            "2: row: 3 columns: 5 to 7 separated by commas: ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6,valid-until",
        ),
        (
            "1.2.3.4,0,0,0,2001:db8::1,2001:db8:ffff::1,x,y",
            "2: row: 8 columns: 5 to 7 separated by commas: ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6,valid-until",
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
            "table.csv:1: row: 1 columns: 5 to 7 separated by commas: {},valid-until",
            "ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6"
        )
    );
}

/// Q1: a filter's message shows the expression and points into it.
#[test]
fn a_filter_that_is_wrong_is_shown_with_the_place() {
    let cases = [
        (
            "tcp prot 80",
            "relay.toml:9: internal.ingress-filter: \"prot\" cannot stand here: an expression as \
             tcpdump takes it, see pcap-filter(7)\n    tcp prot 80\n        ^^^^",
        ),
        (
            "udp and (port 53",
            "relay.toml:9: internal.ingress-filter: ends too early: an expression as tcpdump takes \
             it, see pcap-filter(7)\n    udp and (port 53\n                    ^",
        ),
        (
            "host 192.0.2.300",
            "relay.toml:9: internal.ingress-filter: invalid IPv4 address '192.0.2.300': \
             four numbers from 0 to 255, like 192.0.2.1\n    \
             host 192.0.2.300\n         ^^^^^^^^^^^",
        ),
        (
            "ip6 protochain 6",
            "relay.toml:9: internal.ingress-filter: needs a loop, which cannot be converted to \
             machine code: protochain walks a chain of headers; proto looks at the first one only\n    \
             ip6 protochain 6\n        ^^^^^^^^^^",
        ),
        (
            "vlan 5",
            "relay.toml:9: internal.ingress-filter: no VLAN support for Raw IP: filters see packets \
             from their IPv4 or IPv6 header on\n    vlan 5\n    ^^^^",
        ),
    ];
    for (expression, expected) in cases {
        assert_eq!(messages("mtu = 1540", &format!("ingress-filter = \"{expression}\"")), expected);
    }
    let kind = "must be a filter expression, like \"udp port 53\"";
    for value in ["\"\"", "7", "\"  \""] {
        let text = messages("mtu = 1540", &format!("egress-filter = {value}"));
        assert!(text.starts_with("relay.toml:9: internal.egress-filter: "), "{text}");
        assert!(text.ends_with(kind), "{text}");
    }
}

/// Q1: an expression may go over several lines, and is one line wherever it is shown.
#[test]
fn a_filter_may_go_over_several_lines() {
    let text =
        changed("mtu = 1540", "mtu = 1540\negress-filter = \"\"\"\nip6\n  and less 100\"\"\"");
    let config = load(text.as_bytes(), TABLE.as_bytes()).unwrap();
    let filter = config.internal.egress_filter.unwrap();
    assert_eq!(filter.expression(), "ip6 and less 100");
    assert!(config.internal.ingress_filter.is_none());
}
