//! What is exported, and that docs/metrics.md tells of it.

use std::time::Duration;

use super::*;
use crate::telemetry::{AlarmBook, LinkStatus, RingStatus};

/// A reading in which everything is there.
fn reading() -> Reading {
    let link = Some(LinkStatus { up: true, megabits: Some(10_000) });
    let hop = NextHopStatus {
        address: Some([192, 0, 2, 254].into()),
        mac: None,
        answers: false,
        in_use: false,
    };
    let mut reading = Reading {
        name: "a \"b\"".to_owned(),
        versions: ["1".to_owned(), "2".to_owned()],
        ports: [PortStats {
            rx_missed: 7,
            link,
            rx_ring: Some(RingStatus { size: 1024, fullest: 300 }),
            offloads: &["rss"],
            ..PortStats::default()
        }; 2],
        workers: vec![WorkerReading {
            cpu: 3,
            rounds: 5,
            busy: Duration::from_millis(1_500),
            in_packets: [8, 9],
            reassembly: [10, 11],
        }],
        pools: vec![PoolStats { name: "small", capacity: 10, free: 4 }],
        next_hops: [vec![hop], vec![]],
        alarms: AlarmBook::default().counts(),
        ..Reading::default()
    };
    reading.table.edits = Some(0);
    reading.table.ended = 2;
    reading.table.changed = Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    reading.configuration.loaded = reading.table.changed;
    reading.interfaces[0].in_packets = 12;
    reading.interfaces[1].drops[DropReason::TooBig.index()] = PacketBytes { packets: 1, bytes: 60 };
    reading
}

#[test]
fn names_derive_from_those_of_the_statistics() {
    let text = reading().text();
    let has = |line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    has("lwaftr_build_info{name=\"a \\\"b\\\"\",version=\"1\",dpdk=\"2\"} 1");
    has("lwaftr_interface_in_packets_total{interface=\"external\"} 12");
    has("# TYPE lwaftr_interface_held_packets gauge");
    has("lwaftr_dropped_bytes_total{interface=\"internal\",reason=\"too-big\"} 60");
    has("lwaftr_port_rx_missed_total{interface=\"external\"} 7");
    has("lwaftr_port_receive_ring_frames{interface=\"internal\"} 300");
    has("lwaftr_port_receive_ring_size_frames{interface=\"external\"} 1024");
    has("lwaftr_softwires_ended_total 2");
    has("lwaftr_port_link_speed_bytes{interface=\"internal\"} 1250000000");
    has("lwaftr_worker_busy_seconds_total{worker=\"0\",cpu=\"3\"} 1.5");
    has("lwaftr_worker_in_packets_total{worker=\"0\",cpu=\"3\",interface=\"internal\"} 9");
    has("lwaftr_worker_reassembly_packets{worker=\"0\",cpu=\"3\"} 10");
    has("lwaftr_worker_reassembly_bytes{worker=\"0\",cpu=\"3\"} 11");
    has("lwaftr_mempool_free_buffers{pool=\"small\"} 4");
    has("lwaftr_next_hop_up{interface=\"external\",address=\"192.0.2.254\"} 0");
    has("lwaftr_table_changed_timestamp_seconds 1700000000");
    has("lwaftr_configuration_last_reload_successful 1");
    has("lwaftr_alarms_active{alarm=\"link-down\",severity=\"critical\"} 0");
    for (name, _) in InterfaceTotals::default().named() {
        assert!(text.contains(&metric("lwaftr_interface", name, "")), "{name}");
    }
    for reason in DropReason::ALL {
        has(&format!(
            "lwaftr_dropped_packets_total{{interface=\"external\",reason=\"{reason}\"}} 0"
        ));
    }
}

#[test]
fn the_documentation_has_every_metric() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let text = reading().text();
    let (mut help, mut documented) = ("", 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap().1;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let row = format!("| `{name}` | {kind} | ");
            let found = manual.lines().find(|line| line.starts_with(&row));
            let found = found.unwrap_or_else(|| panic!("docs/metrics.md lacks {row} {help} |"));
            assert!(found.ends_with(&format!("| {help} |")), "{found}\nshould say {help}");
            documented += 1;
        }
    }
    let rows = manual.lines().filter(|line| line.starts_with("| `lwaftr_"));
    let process = manual.lines().filter(|line| line.starts_with("| `process_"));
    assert_eq!(rows.chain(process).count(), documented, "docs/metrics.md has too many");
}
