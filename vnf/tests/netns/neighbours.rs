//! The relay among real neighbours (N1, N2, N3): hosts that learn its address, hosts that have its
//! address, a bridge that asks who listens, and two routers of which one goes away.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, eventually, possible, printed, reconfigure, succeed};

/// The relay's next external address.
const NEW: &str = "192.0.2.9";

fn stats(lab: &Lab) -> Value {
    let output = lab.control(&["stats", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", printed(&output)))
}

/// The alarms that are raised, as "name side about".
fn alarms(lab: &Lab) -> Vec<String> {
    let stats = stats(lab);
    let word = |alarm: &Value, key: &str| alarm[key].as_str().unwrap_or_default().to_owned();
    let alarms = stats["alarms"].as_array().expect("a list of alarms");
    alarms.iter().map(|a| ["name", "side", "about"].map(|key| word(a, key)).join(" ")).collect()
}

/// Waits until exactly these alarms are raised.
fn expect_alarms(lab: &Lab, seconds: u64, expected: &[&str]) {
    let limit = Duration::from_secs(seconds);
    assert!(eventually(limit, || alarms(lab) == expected), "{:?}", alarms(lab));
}

fn ip(lab: &Lab, node: &str, arguments: &str) -> String {
    let command: Vec<&str> = ["ip"].into_iter().chain(arguments.split(' ')).collect();
    succeed(&mut lab.within(node, &command))
}

/// The external next hop that packets go to.
fn in_use(lab: &Lab) -> String {
    let stats = stats(lab);
    let hops = stats["next-hops"]["external"].as_array().expect("a list of next hops");
    let used = hops.iter().find(|hop| hop["in-use"] == true);
    used.and_then(|hop| hop["address"].as_str()).unwrap_or("none").to_owned()
}

/// A host that knows another MAC address for an address learns the relay's as soon as the relay
/// has it; a host that takes an address of the relay finds it taken, but for anycast ones.
#[test]
fn neighbours_learn_and_respect_the_relays_addresses() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    assert_eq!(alarms(&lab), [""; 0]);
    let mac = |address: &str| ip(&lab, "host", &format!("neigh show {address} dev eth0"));
    let relay = mac("192.0.2.1");
    let relay = relay.split(' ').nth(2).expect("the relay's MAC address");
    ip(&lab, "host", &format!("neigh add {NEW} lladdr 02:00:00:00:77:77 nud stale dev eth0"));
    reconfigure(&lab, &[("\"192.0.2.1/24\"", "[\"192.0.2.1/24\", \"192.0.2.9/24\"]")]);
    let learned = eventually(Duration::from_secs(3), || mac(NEW).contains(relay));
    assert!(learned, "not {relay} but {}", mac(NEW));

    let dad = |address: &str| ip(&lab, "access", &format!("address show dev relay0 to {address}"));
    ip(&lab, "access", "address add 2001:db8:100::1/128 dev relay0");
    let failed =
        eventually(Duration::from_secs(10), || dad("2001:db8:100::1").contains("dadfailed"));
    assert!(failed, "{}", dad("2001:db8:100::1"));
    ip(&lab, "access", "address add 2001:db8::1/128 dev relay0");
    let done = eventually(Duration::from_secs(10), || !dad("2001:db8::1").contains("tentative"));
    assert!(done && !dad("2001:db8::1").contains("dadfailed"), "{}", dad("2001:db8::1"));
    assert_eq!(alarms(&lab), [""; 0], "who asked first and got an answer has no address of ours");
}

/// Addresses that a host has already, IPv4 and IPv6: both raise an alarm, in statistics and log,
/// until the relay gives them up.
#[test]
fn an_address_that_a_host_has_raises_an_alarm() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    ip(&lab, "host", &format!("address add {NEW}/32 dev lo"));
    ip(&lab, "access", "address add 2001:db8:100::9/64 dev relay0 nodad");
    let changes = [
        ("\"192.0.2.1/24\"", "[\"192.0.2.1/24\", \"192.0.2.9/24\"]"),
        ("\"2001:db8:100::1/64\"", "[\"2001:db8:100::1/64\", \"2001:db8:100::9/64\"]"),
    ];
    reconfigure(&lab, &changes);
    let raised =
        ["duplicate-address external 192.0.2.9", "duplicate-address internal 2001:db8:100::9"];
    expect_alarms(&lab, 5, &raised);
    let stats = stats(&lab);
    for side in ["external", "internal"] {
        assert_ne!(stats["interfaces"][side]["address-conflicts"], 0, "{side}");
    }
    assert!(printed(&lab.control(&["stats"])).contains("duplicate-address: external, 192.0.2.9"));
    assert!(lab.reachable(), "a duplicate of another address stops the traffic");

    reconfigure(&lab, &changes.map(|(old, new)| (new, old)));
    expect_alarms(&lab, 5, &[]);
    let log = fs::read_to_string(lab.file("relay.log")).expect("the log");
    for words in ["alarm: duplicate-address", "alarm cleared: duplicate-address"] {
        assert_eq!(log.matches(words).count(), 2, "{words}\n{log}");
    }
    lab.step("balance");
}

/// A bridge of the kernel asks which groups there are, in either version of MLD, and learns them:
/// with snooping, solicitations would not reach the relay otherwise.
#[test]
fn a_snooping_bridge_learns_the_relays_groups() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    for version in ["1", "2"] {
        let bridge = format!("br{version}");
        // A bridge asks at once, when its own address is still tentative, and then not for half a
        // minute: here it asks every second.
        let options = "type bridge mcast_snooping 1 mcast_querier 1 \
             mcast_query_response_interval 100 \
             mcast_startup_query_interval 100 mcast_startup_query_count 40";
        ip(&lab, "access", &format!("link add {bridge} {options} mcast_mld_version {version}"));
        ip(&lab, "access", &format!("link set relay0 master {bridge}"));
        ip(&lab, "access", &format!("link set {bridge} up"));
        let groups =
            || succeed(&mut lab.within("access", &["bridge", "mdb", "show", "dev", &bridge]));
        let port = "port relay0 grp ff02::1:ff00:1";
        let learned = eventually(Duration::from_secs(40), || groups().contains(port));
        assert!(learned, "version {version}: {}", groups());
        ip(&lab, "access", "link set relay0 nomaster");
        ip(&lab, "access", &format!("link delete {bridge}"));
    }
}

/// Of two routers the preferred one goes away while subscribers ping, and comes back.
#[test]
fn the_second_router_takes_over_and_gives_back() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    // A second station on the host's cable, each answering for its own address only.
    ip(&lab, "host", "link add link eth0 name eth1 type macvlan mode bridge");
    for key in ["all/arp_ignore", "eth0/arp_ignore", "eth1/arp_ignore"] {
        let command = format!("echo 1 > /proc/sys/net/ipv4/conf/{key}");
        succeed(&mut lab.within("host", &["sh", "-c", &command]));
    }
    for key in ["all/rp_filter", "eth0/rp_filter", "eth1/rp_filter"] {
        let command = format!("echo 0 > /proc/sys/net/ipv4/conf/{key}");
        succeed(&mut lab.within("host", &["sh", "-c", &command]));
    }
    ip(&lab, "host", "link set eth1 up");
    ip(&lab, "host", "address add 192.0.2.253/32 dev eth1");
    reconfigure(&lab, &[("\"192.0.2.254\"", "[\"192.0.2.253\", \"192.0.2.254\"]")]);
    assert!(
        eventually(Duration::from_secs(5), || in_use(&lab) == "192.0.2.253"),
        "{}",
        in_use(&lab)
    );
    assert!(eventually(Duration::from_secs(5), || lab.reachable()));
    assert_eq!(alarms(&lab), [""; 0]);

    let ping = lab.ping("sub1", 600, "0.05");
    ip(&lab, "host", "link set eth1 down");
    let taken = eventually(Duration::from_secs(8), || in_use(&lab) == "192.0.2.254");
    assert!(taken, "still {} though it is gone", in_use(&lab));
    assert!(lab.reachable(), "the second router is used and nothing arrives");
    expect_alarms(&lab, 2, &["next-hop-fallback external 192.0.2.253"]);

    ip(&lab, "host", "link set eth1 up");
    ip(&lab, "host", "address replace 192.0.2.253/32 dev eth1");
    let back = eventually(Duration::from_secs(12), || in_use(&lab) == "192.0.2.253");
    assert!(back, "still {} though the first is back", in_use(&lab));
    assert!(lab.reachable());
    expect_alarms(&lab, 2, &[]);
    let output = ping.finish();
    // Five seconds until the silence is noticed, of thirty.
    let lost: f64 = output
        .split(' ')
        .find_map(|word| word.strip_suffix('%')?.parse().ok())
        .unwrap_or_else(|| panic!("{output}"));
    assert!(lost < 30.0, "{output}");
    lab.step("balance");
}

/// A next hop that nobody has: packets are dropped by name, and there is an alarm until it is there.
#[test]
fn a_next_hop_that_is_not_there_is_an_alarm() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    assert!(lab.reachable());
    reconfigure(&lab, &[("next-hop = \"192.0.2.254\"", "next-hop = \"192.0.2.250\"")]);
    expect_alarms(&lab, 8, &["next-hop-unresolved external 192.0.2.250"]);
    assert!(!lab.reachable(), "what was known of another next hop is used for this one");
    let dropped =
        || stats(&lab)["interfaces"]["internal"]["drops"]["next-hop-unresolved"].is_object();
    assert!(eventually(Duration::from_secs(8), dropped));
    ip(&lab, "host", "address add 192.0.2.250/32 dev eth0");
    expect_alarms(&lab, 12, &[]);
    assert!(lab.reachable());
    lab.step("balance");
}
