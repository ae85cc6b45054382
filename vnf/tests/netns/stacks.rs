//! What real stacks do beside ping and downloads: traceroute, datagrams in fragments, protocols
//! without ports, TCP where path MTU discovery works and where it does not.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use crate::lab::{Lab, SERVER, eventually, possible, printed, reconfigure, succeed};

/// What both subscribers share, and the port of it that leads to subscriber 2's web server.
const SHARED: &str = "203.0.113.7";
const WEB: &str = "4096";

/// An address that subscriber 1 gets all of.
const WHOLE: &str = "203.0.113.9";

const RELAY: &str = "192.0.2.1";

/// A program in a node that ends with the test.
struct Running(Child);

impl Running {
    /// Waits until it has printed a line, so that it is there.
    fn start(lab: &Lab, node: &str, command: &[&str]) -> (Self, BufReader<ChildStdout>) {
        let mut child = lab.within(node, command).stdout(Stdio::piped()).spawn().expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        (Self(child), lines)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `datagrams.py` in a node, which must succeed.
fn datagrams(node: &str, lab: &Lab, arguments: &[&str]) -> String {
    succeed(&mut lab.within(node, &[&["/usr/bin/python3", DATAGRAMS], arguments].concat()))
}

const DATAGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/datagrams.py");

/// The Internet host answers datagrams of this protocol.
fn answering(lab: &Lab, protocol: &str) -> Running {
    let command = ["/usr/bin/python3", DATAGRAMS, "answer", protocol, SERVER];
    let (running, mut lines) = Running::start(lab, "host", &command);
    let mut line = String::new();
    lines.read_line(&mut line).expect("text");
    assert_eq!(line, "ready\n");
    running
}

/// The first packet that a node sees on a device, as tcpdump prints it, while `meanwhile` is done
/// over and over.
fn first_seen(lab: &Lab, place: (&str, &str), filter: &str, meanwhile: impl Fn()) -> String {
    let (node, device) = place;
    let command = ["timeout", "20", "tcpdump", "-lvni", device, "-c", "1", filter];
    let (mut running, lines) = Running::start(lab, node, &command);
    let done = eventually(Duration::from_secs(20), || {
        meanwhile();
        running.0.try_wait().expect("a child").is_some()
    });
    assert!(done, "tcpdump neither saw {filter} nor ended");
    let seen: String = lines.lines().map(|line| line.expect("text") + "\n").collect();
    assert!(!seen.is_empty(), "{node} never saw {filter} on {device}");
    seen
}

/// The addresses of the hops that traceroute prints.
fn hops(lab: &Lab, node: &str, arguments: &[&str]) -> Vec<String> {
    let command = ["traceroute", "-n", "-q", "1", "-w", "3", "-m", "5"];
    let output = succeed(&mut lab.within(node, &[&command, arguments].concat()));
    let hop = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    output.lines().skip(1).filter_map(hop).collect()
}

fn head(lab: &Lab) {
    let url = format!("http://{SERVER}/");
    let _ = lab.within("sub1", &["curl", "-sS", "-m", "2", "-o", "/dev/null", "-I", &url]).output();
}

/// Subscribers and a host trace the way to each other by UDP, ICMP and TCP, ask each other in
/// datagrams that come in fragments, one B4 with a tunnel encapsulation limit in all it sends, and
/// speak GRE and ESP where a subscriber has a whole address (E1, E2, E8, E9, D1, F1, F2, F3, P3).
#[test]
fn stacks_trace_and_send_datagrams_of_any_protocol_both_ways() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    for node in ["sub1", "sub2"] {
        assert_eq!(hops(&lab, node, &[SERVER]), [RELAY, SERVER], "{node}, UDP");
        assert_eq!(hops(&lab, node, &["-I", SERVER]), [RELAY, SERVER], "{node}, ICMP");
    }
    assert_eq!(hops(&lab, "host", &["-T", "-p", WEB, SHARED]), [RELAY, SHARED], "TCP inwards");

    let ping = || drop(lab.ping("sub2", 1, "0.2").finish());
    let limited = "ip6[6] == 60 and src host 2001:db8:2::2";
    let seen = first_seen(&lab, ("access", "relay0"), limited, ping);
    assert!(seen.contains("DSTOPT"), "no encapsulation limit: {seen}");

    let udp = answering(&lab, "udp:4000");
    for (node, address) in [("sub1", "192.168.1.10"), ("sub2", "192.168.2.10")] {
        datagrams(node, &lab, &["ask", "udp:4000", address, SERVER, "64", "1472", "4000", "9000"]);
    }
    drop(udp);

    reconfigure(&lab, &[("persist = false", "persist = false\nseveral-per-b4 = true")]);
    let add = ["softwire", "add", "--ipv4", WHOLE, "--b4", "2001:db8:1::2"];
    let added = lab.control(&add);
    assert!(added.status.success(), "{}", printed(&added));
    let address = format!("{WHOLE}/32");
    succeed(&mut lab.within("sub1", &["ip", "address", "add", &address, "dev", "lo"]));
    for protocol in ["47", "50"] {
        let _answering = answering(&lab, protocol);
        datagrams("sub1", &lab, &["ask", protocol, WHOLE, SERVER, "20", "1400", "4000"]);
    }
    lab.step("balance");
}

/// With path MTU discovery broken TCP gets stuck, and with the clamp it does not, as both ends
/// announce segments that fit; with a narrow link behind the relay, discovery finds its MTU
/// (E8, E10, I4).
#[test]
fn tcp_fits_by_the_clamp_or_by_path_mtu_discovery() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    let deaf = |verb: &str| {
        let rules = match verb {
            "add" => {
                "add table ip deaf; add chain ip deaf in { type filter hook input priority 0; }; \
                 add rule ip deaf in icmp type destination-unreachable drop"
            }
            _ => "delete table ip deaf",
        };
        succeed(&mut lab.within("host", &["nft", rules]));
    };
    deaf("add");
    let url = format!("http://{SERVER}/noise");
    let download =
        || lab.within("sub1", &["curl", "-sS", "-m", "3", "-o", "/dev/null", &url]).output();
    let stuck = download().expect("starts");
    assert_eq!(stuck.status.code(), Some(28), "it is not stuck: {}", printed(&stuck));

    reconfigure(&lab, &[("mss-clamp = \"off\"", "mss-clamp = \"auto\"")]);
    let syn = "tcp[13] & 2 != 0";
    for place in [("host", "eth0"), ("sub1", "b4")] {
        let from = if place.0 == "host" { SHARED } else { SERVER };
        let filter = format!("{syn} and src host {from}");
        let seen = first_seen(&lab, place, &filter, || head(&lab));
        assert!(seen.contains("mss 1420,"), "on {place:?}: {seen}");
    }
    lab.step("download");

    deaf("delete");
    reconfigure(&lab, &[("mss-clamp = \"auto\"", "mss-clamp = \"off\"")]);
    succeed(&mut lab.within("access", &["ip", "link", "set", "sub1", "mtu", "1400"]));
    lab.step("download");
    let route = succeed(&mut lab.within("host", &["ip", "route", "get", SHARED]));
    assert!(route.contains("mtu 1360"), "the host did not learn 1400 - 40: {route}");
    lab.step("balance");
}
