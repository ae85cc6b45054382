//! `lwaftr bench` as people run it: through the real EAL, on generated captures.

#![cfg(feature = "dpdk")]
#![allow(missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn lwaftr(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lwaftr")).args(arguments).output().unwrap()
}

fn generated(softwires: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    let output = lwaftr(&["generate", "--softwires", softwires, "--flows", "500", "--out", out]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory
}

fn bench(directory: &Path, more: &[&str]) -> Output {
    bench_for("1", directory, more)
}

fn bench_for(seconds: &str, directory: &Path, more: &[&str]) -> Output {
    let at = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (config, external, internal) =
        (at("lwaftr.toml"), at("external.pcap"), at("internal.pcap"));
    let captures = ["--external-in", &external, "--internal-in", &internal];
    lwaftr(&[&["bench", config.as_str(), "--duration", seconds], &captures[..], more].concat())
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn every_field_is_there_and_nothing_is_dropped() {
    let directory = generated("1000");
    let report = json(&bench(directory.path(), &["--json"]));
    let keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "softwires",
        "flows",
        "pool_mbufs",
        "duration_s",
        "encap",
        "decap",
        "total_mpps",
        "baseline_ns",
        "relay_ns",
        "tsc_cycles_per_packet",
        "cpu_share",
        "dropped",
        "latency_ns",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&report["softwires"], &report["flows"]), (&1000.into(), &500.into()));
    assert_eq!(report["dropped"], 0, "{report}");
    assert!(number(&report["duration_s"]) >= 1.0);
    assert!(number(&report["pool_mbufs"]) > 1024.0);
    let share = number(&report["cpu_share"]);
    assert!(share > 0.0 && share < 1.1, "{share}");
    // The same number each way, and rates that belong to them.
    assert_eq!(report["encap"]["packets"], report["decap"]["packets"]);
    let rates = number(&report["encap"]["mpps"]) + number(&report["decap"]["mpps"]);
    assert!((rates - number(&report["total_mpps"])).abs() < 0.01);
    // A frame of 60 bytes is 100 in the tunnel and 124 on the wire.
    for direction in ["encap", "decap"] {
        let ratio = number(&report[direction]["gbps"]) / number(&report[direction]["mpps"]);
        assert!((ratio - 0.124 * 8.0).abs() < 0.02, "{direction}: {ratio}");
    }
    assert!(number(&report["baseline_ns"]) > 0.0 && number(&report["relay_ns"]) > 0.0);
    let latency = |name: &str| number(&report["latency_ns"][name]);
    assert!(0.0 < latency("p50") && latency("p50") <= latency("p99"));
    assert!(latency("p99") <= latency("p999") && latency("p999") <= latency("max"));
}

#[test]
fn one_way_and_for_people() {
    let directory = generated("100");
    let report = json(&bench(directory.path(), &["--json", "--direction", "decap"]));
    assert_eq!(report["encap"]["packets"], 0);
    assert!(number(&report["decap"]["packets"]) > 0.0);

    let output = bench(directory.path(), &["--direction", "encap"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["100 softwires", "packet memory:", "encap", "relay", "baseline", "dropped"] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
}

/// On one port both sides' frames come together, told apart by EtherType.
#[test]
fn on_a_stick() {
    let directory = generated("100");
    let path = directory.path().join("lwaftr.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let lines = config.lines().map(|line| match line.split_once(" = ") {
        Some(("port", _)) => "port = \"net_null0\"",
        Some(("mac", _)) => "mac = \"02:00:00:00:00:01\"",
        _ => line,
    });
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    // Frames of the internal side are to the other address: taken all the same.
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("[internal]\n", "[internal]\npromiscuous = true\n"))
        .unwrap();
    let report = json(&bench(directory.path(), &["--json"]));
    assert_eq!(report["dropped"], 0, "{report}");
    assert_eq!(report["encap"]["packets"], report["decap"]["packets"]);
}

#[test]
fn workers_share_the_table_and_reloads_disturb_nobody() {
    let directory = generated("1000");
    let report = json(&bench(directory.path(), &["--json", "--workers", "2", "--reload"]));
    assert_eq!((&report["workers"], &report["dropped"]), (&2.into(), &0.into()), "{report}");
    assert!(number(&report["reload"]["reloads"]) >= 1.0, "{report}");
    assert!(number(&report["reload"]["latency_ns"]["p999"]) > 0.0, "{report}");
    assert_eq!(report["encap"]["packets"], report["decap"]["packets"]);
}

/// Nine frames of ten are a flood, and not one of the others is lost. What a flood's packet costs is
/// printed and judged elsewhere, by instructions (`vnf/tests/abuse`).
#[test]
fn no_flood_costs_a_legitimate_packet() {
    let directory = generated("1000");
    for kind in ["table-miss", "spoofed-b4", "icmp", "fragments", "neighbours"] {
        let report = json(&bench_for("0.1", directory.path(), &["--json", "--flood", kind]));
        let flood = &report["flood"];
        assert_eq!((&flood["kind"], &report["dropped"]), (&kind.into(), &0.into()), "{report}");
        let legitimate = &flood["legitimate"];
        assert_eq!(legitimate["offered"], legitimate["forwarded"], "{report}");
        let (offered, floods) = (number(&legitimate["offered"]), number(&flood["flood_packets"]));
        let sides = if ["fragments", "neighbours"].contains(&kind) { 1.0 } else { 2.0 };
        assert!((floods * sides / offered - 9.0).abs() < 0.1, "{report}");
        assert!(number(&flood["relay_ns_without"]) > 0.0, "{report}");
    }
    let output = bench_for("0.1", directory.path(), &["--flood", "icmp"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("ns per packet of icmp"), "{text}");
}

#[test]
fn says_what_is_missing() {
    let directory = generated("10");
    let config = directory.path().join("lwaftr.toml");
    let output = lwaftr(&["bench", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("--external-in is missing") && text.contains("--direction"), "{text}");

    let output = bench(directory.path(), &["--cpu", "9999"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("--cpu: CPU 9999"), "{text}");

    let capture = directory.path().join("external.pcap");
    let header = std::fs::read(&capture).unwrap();
    std::fs::write(&capture, &header[..24]).unwrap();
    let output = bench(directory.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no frame in it"), "{text}");
}
