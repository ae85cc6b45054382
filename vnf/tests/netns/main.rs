//! End to end, in real network namespaces: the demo, and what happens to its traffic when the
//! table changes, the process stops, or a link goes away. They need root, and skip without it.

#![cfg(feature = "dpdk")]

mod lab;
mod neighbours;
mod stacks;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use lab::{Lab, SERVER, demo, eventually, leftovers, possible, printed, succeed};
use rustix::process::{Pid, Signal, kill_process_group};

/// `make demo KEEP=1`, all steps; it goes on running, and ends when told to.
#[test]
fn the_demo_passes_and_can_be_kept() {
    if !possible() {
        return;
    }
    let child = demo(&[]).env("KEEP", "1").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("starts");
    let id = child.id().to_string();
    let output = child.wait_with_output().expect("ends");
    let kept = demo(&["step", &id, "ping"]).output().expect("starts");
    succeed(&mut demo(&["down", &id]));

    assert!(output.status.success(), "{}", printed(&output));
    assert!(printed(&output).contains("All 8 steps passed."), "{}", printed(&output));
    assert!(kept.status.success(), "it was not left running: {}", printed(&kept));
    assert_eq!(leftovers(&id), [""; 0]);
}

/// `make demo`, twice in a row, the second time ended with Ctrl-C in the middle.
#[test]
fn the_demo_cleans_up_after_its_end_and_after_ctrl_c() {
    if !possible() {
        return;
    }
    let child = demo(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let id = child.id().to_string();
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", printed(&output));
    assert_eq!(leftovers(&id), [""; 0]);

    let mut child = demo(&[]).process_group(0).stdout(Stdio::piped()).spawn().expect("starts");
    let id = child.id().to_string();
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("* HTTP") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).expect("text"), 0, "ended before its second step");
    }
    assert_eq!(leftovers(&id).len(), 6, "five namespaces and a directory");
    kill_process_group(Pid::from_child(&child), Signal::INT).expect("it runs");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("ends").code(), Some(130), "{rest}");
    assert_eq!(leftovers(&id), [""; 0]);
}

/// The steps are no formality: without the relay they fail.
#[test]
fn a_step_fails_when_the_relay_is_gone() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    lab.signal_relay(Signal::TERM);
    assert!(eventually(Duration::from_secs(10), || !lab.reachable()));
    for step in ["traceroute", "hairpin", "spoof", "balance"] {
        let output = lab.step_command(step).output().expect("starts");
        assert!(!output.status.success(), "{step}: {}", printed(&output));
        assert!(printed(&output).contains("FAILED"), "{step} does not say that it failed");
    }
}

/// Port sets of 63 ranges of 16 ports each (PSID offset 6), instead of one range.
#[test]
fn port_sets_of_many_ranges_carry_traffic() {
    if !possible() {
        return;
    }
    let lab = Lab::with_psid_offset(6);
    for step in ["ping", "download", "hairpin", "spoof", "balance"] {
        lab.step(step);
    }
}

/// Twenty reloads that grow and change the table, under 400 pings a second from each subscriber.
#[test]
fn reloads_under_traffic_lose_nothing() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    let first = fs::read_to_string(lab.file("first.csv")).expect("the table");
    let pings = ["sub1", "sub2"].map(|node| lab.ping(node, 2000, "0.0025"));
    for round in 1..=20 {
        // Each reload adds an address of 64 softwires and moves the B4s of the earlier ones.
        publish(&lab, &(first.clone() + &strangers(round, round)));
        let output = lab.control(&["reload"]);
        assert!(output.status.success(), "{}", printed(&output));
        assert_eq!(lab.softwires(), 3 + 64 * u64::from(round));
    }
    for ping in pings {
        ping.finish_without_loss();
    }
    lab.step("download");
    lab.step("balance");
}

/// A table with a mistake, a configuration with a mistake and a table that lost most of its rows:
/// each is refused with the place of the mistake, and nothing changes.
#[test]
fn what_is_refused_changes_nothing() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    let toml = fs::read_to_string(lab.file("demo.toml")).expect("the configuration");
    let table = fs::read_to_string(lab.file("first.csv")).expect("the table") + &strangers(4, 0);
    publish(&lab, &table);
    assert!(lab.control(&["reload"]).status.success());
    let ping = lab.ping("sub1", 300, "0.01");

    let refused = |expected: &str| {
        let output = lab.control(&["reload"]);
        assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
        assert!(printed(&output).contains(expected), "no {expected} in: {}", printed(&output));
        assert_eq!(lab.softwires(), 3 + 4 * 64);
    };
    publish(&lab, &table.replacen("203.0.113.7,0,6,4,", "203.0.113.7,0,6,64,", 1));
    refused("demo-softwires.csv:3");
    publish(&lab, table.split_inclusive('\n').take(10).collect::<String>().as_str());
    refused("max-removal");
    publish(&lab, &table);
    fs::write(lab.file("demo.toml"), toml.replace("mtu = 1500", "mtu = 1279")).expect("writes");
    refused("mtu");
    fs::write(lab.file("demo.toml"), &toml).expect("writes");
    assert!(lab.control(&["reload"]).status.success());

    ping.finish_without_loss();
    lab.step("balance");
}

/// Pings of 3000 bytes come in IPv4 fragments. Where the B4 is ours these do not fit the tunnel and
/// are cut once more; the replies are cut by the relay (F1, F2, F3, E8).
#[test]
fn large_pings_pass_in_fragments_both_ways() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    assert!(eventually(Duration::from_secs(5), || lab.reachable()));
    for node in ["sub1", "sub2"] {
        let ping = ["ping", "-n", "-c", "5", "-i", "0.2", "-W", "5", "-s", "3000", SERVER];
        let output = succeed(&mut lab.within(node, &ping));
        assert!(output.contains(" 0% packet loss"), "{output}");
    }
    let stats = lab.control(&["stats", "--json"]);
    let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).expect("JSON");
    let count = |side: &str, name: &str| stats["interfaces"][side][name].as_u64().unwrap_or(0);
    assert!(count("internal", "extra-fragments") >= 10, "{stats}");
    let kind = fs::read_to_string(lab.file("sub1.b4")).expect("the kind of B4");
    if kind.trim() == "tun" {
        assert!(count("internal", "reassembled-packets") >= 10, "{stats}");
    }
    lab.step("balance");
}

/// The whole process stands still for a second, as under a debugger or a frozen hypervisor.
#[test]
fn a_stopped_relay_goes_on_where_it_was() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    let ping = lab.ping("sub1", 60, "0.05");
    thread::sleep(Duration::from_millis(500));
    lab.signal_relay(Signal::STOP);
    assert!(!lab.reachable(), "the relay forwards while it is stopped");
    lab.signal_relay(Signal::CONT);
    let output = ping.finish();
    assert!(!output.contains(" 100% packet loss"), "{output}");

    assert!(eventually(Duration::from_secs(5), || lab.reachable()));
    for step in ["ping", "download", "balance"] {
        lab.step(step);
    }
}

/// Each link goes down and up again, and the table is reloaded while it is down.
#[test]
fn a_link_that_flaps_during_a_reload_comes_back() {
    if !possible() {
        return;
    }
    let lab = Lab::up();
    let first = fs::read_to_string(lab.file("first.csv")).expect("the table");
    for (round, device) in [(1, "ext0"), (2, "int0")] {
        let ping = lab.ping("sub1", 100, "0.02");
        let link = |state| {
            succeed(&mut lab.within("relay", &["ip", "link", "set", device, state]));
        };
        link("down");
        assert!(!lab.reachable(), "{device} is down and yet carries traffic");
        publish(&lab, &(first.clone() + &strangers(round, 0)));
        let output = lab.control(&["reload"]);
        assert!(output.status.success(), "{}", printed(&output));
        link("up");
        assert!(eventually(Duration::from_secs(10), || lab.reachable()), "{device} stays dead");
        drop(ping);
    }
    // The hosts' own neighbour tables may take a moment longer than the first answer.
    let pings = || lab.step_command("ping").output().is_ok_and(|output| output.status.success());
    assert!(eventually(Duration::from_secs(20), pings), "pings are lost long after the flap");
    for step in ["download", "hairpin", "balance"] {
        lab.step(step);
    }
}

/// Replaces the table file as an operator should: written aside, then renamed.
fn publish(lab: &Lab, table: &str) {
    let aside = lab.file("table.new");
    fs::write(&aside, table).expect("writes");
    fs::rename(&aside, lab.file("demo-softwires.csv")).expect("renames");
}

/// Softwires of nobody in this lab: `count` addresses of 64 each, their B4s in a prefix of their
/// own.
fn strangers(count: u32, prefix: u32) -> String {
    let mut rows = String::new();
    for address in 16..16 + count {
        for psid in 0..64 {
            let b4 = format!("2001:db8:1000:{prefix:x}:{address:x}::{psid:x}");
            writeln!(rows, "203.0.113.{address},0,6,{psid},{b4},2001:db8::1").expect("a string");
        }
    }
    rows
}
