//! At rest, the command line, the API with its page, RESTCONF and the metrics agree on every counter.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::relay::{Relay, eventually, frames, possible};
use crate::shipped::succeed;

const FIXED: &str = "next-hop-mac = \"02:00:00:00:01:fe\"";

/// Samples of the text format, by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// The samples that the counters of `lwaftr stats --json` must be.
fn expected(stats: &Value) -> BTreeMap<String, f64> {
    let mut expected = BTreeMap::new();
    let mut add = |name: String, value: &Value| {
        expected.insert(name, value.as_f64().unwrap());
    };
    for side in ["external", "internal"] {
        let interface = stats["interfaces"][side].as_object().unwrap();
        for (key, value) in interface {
            let name = key.replace('-', "_");
            match (key.as_str(), value) {
                // The sum over reasons, which each have a sample.
                ("ignored-packets", _) => {}
                ("held-packets", value) => {
                    add(format!("lwaftr_interface_{name}{{interface=\"{side}\"}}"), value);
                }
                (_, Value::Number(_)) => {
                    add(format!("lwaftr_interface_{name}_total{{interface=\"{side}\"}}"), value);
                }
                ("drops" | "ignored", Value::Object(reasons)) => {
                    let what = if key == "drops" { "dropped" } else { "ignored" };
                    for (reason, counted) in reasons {
                        for unit in ["packets", "bytes"] {
                            let labels = format!("interface=\"{side}\",reason=\"{reason}\"");
                            add(format!("lwaftr_{what}_{unit}_total{{{labels}}}"), &counted[unit]);
                        }
                    }
                }
                ("port", Value::Object(counters)) => {
                    for (key, value) in counters.iter().filter(|(_, value)| value.is_number()) {
                        let name = key.replace('-', "_");
                        add(format!("lwaftr_port_{name}_total{{interface=\"{side}\"}}"), value);
                    }
                }
                (other, value) => panic!("{other}: {value} is new: what is its metric?"),
            }
        }
    }
    add("lwaftr_softwires".to_owned(), &stats["softwires"]);
    expected
}

/// One of our counters as docs/counters.md names it, or the sum of those that a `*` stands for.
fn counter(stats: &Value, name: &str) -> i64 {
    if name == "softwires" {
        return stats[name].as_i64().unwrap();
    }
    let (side, name) = name.split_once('.').unwrap();
    let interface = &stats["interfaces"][if side == "ext" { "external" } else { "internal" }];
    let mut steps = name.split('.');
    let first = steps.next().unwrap();
    let Some(reason) = steps.next() else { return interface[first].as_i64().unwrap() };
    let unit = steps.next().unwrap();
    let (start, end) = reason.split_once('*').unwrap_or((reason, ""));
    let fits = |name: &str| match reason.contains('*') {
        true => name.starts_with(start) && name.ends_with(end),
        false => name == reason,
    };
    let reasons = interface[first].as_object().unwrap().iter().filter(|(name, _)| fits(name));
    reasons.map(|(_, counted)| counted[unit].as_i64().unwrap()).sum()
}

/// The leaves of `traffic-stat` with the sums that docs/counters.md says, but for the time.
fn documented_leaves(stats: &Value) -> Vec<(String, i64)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/counters.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("| leaf | sum |").unwrap();
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let lines = lines.filter(|line| !line.contains("discontinuity-time"));
    let cells = lines.map(|line| line.trim_matches('|').split_once('|').unwrap());
    let leaves = cells.map(|(leaf, sum)| {
        let terms: Vec<&str> = sum.split('`').collect();
        let value = |term: &[&str]| {
            let value = counter(stats, term[1]);
            if term[0].trim() == "-" { -value } else { value }
        };
        (leaf.trim().trim_matches('`').to_owned(), terms.chunks_exact(2).map(value).sum())
    });
    leaves.collect()
}

/// What RESTCONF says of the instance and of its ports is the same as well.
fn restconf_agrees(stats: &Value, data: &Value) {
    let softwires = &data["ietf-restconf:data"]["ietf-softwire-br:br-instances"];
    let served = &softwires["binding"]["bind-instance"][0]["traffic-stat"];
    let leaves = documented_leaves(stats);
    for (leaf, value) in &leaves {
        let served = &served[leaf];
        let text = served.as_str().map_or_else(|| served.to_string(), str::to_owned);
        assert_eq!(text, value.to_string(), "{leaf}");
    }
    assert_eq!(leaves.len() + 1, served.as_object().unwrap().len(), "{served}");
    assert!(leaves.iter().filter(|(_, value)| *value > 0).count() > 10, "{leaves:?}");

    let ports = data["ietf-restconf:data"]["ietf-interfaces:interfaces"]["interface"].as_array();
    let ports = ports.unwrap();
    assert_eq!(ports.len(), 2);
    for (port, side) in ports.iter().zip(["external", "internal"]) {
        let (counted, served) = (&stats["interfaces"][side], &port["statistics"]);
        assert_eq!(port["name"], side);
        let link_up = counted["port"]["link"]["up"].as_bool().unwrap();
        assert_eq!(port["oper-status"], if link_up { "up" } else { "down" });
        for (leaf, name) in [("in-octets", "in-bytes"), ("out-octets", "out-bytes")] {
            assert_eq!(served[leaf], counted[name].to_string(), "{side} {leaf}");
        }
        let drops = counted["drops"].as_object().unwrap().values();
        let dropped: u64 = drops.map(|drop| drop["packets"].as_u64().unwrap()).sum();
        let port = |name: &str| counted["port"][name].as_u64().unwrap();
        assert_eq!(served["in-discards"], dropped + port("rx-missed") + port("rx-nombuf"));
        assert_eq!(served["in-errors"], port("rx-errors"));
        assert_eq!(served["out-errors"], port("tx-errors"));
    }
}

#[test]
fn at_rest_every_counter_is_the_same_everywhere() {
    if !possible() {
        return;
    }
    let relay = Relay::start("", FIXED, "");
    let sent = frames().len() as u64;
    eventually("all frames came", 30, || {
        (relay.running.stats()["interfaces"]["external"]["in-packets"] == sent).then_some(())
    });
    // Timers may still say something: what is compared was the same before and after.
    let (stats, mut api, page, restconf, metrics) = eventually("it is at rest", 30, || {
        let before = relay.running.stats();
        let api: Value = serde_json::from_str(&relay.get("/api/stats")).unwrap();
        let page: Value = serde_json::from_str(&relay.get("/api/page")).unwrap();
        let restconf = serde_json::from_str(&relay.get("/restconf/data")).unwrap();
        let metrics = relay.get("/metrics");
        (relay.running.stats() == before).then_some((before, api, page, restconf, metrics))
    });
    let (found, expected) = (samples(&metrics), expected(&stats));
    for (name, value) in &expected {
        assert_eq!(found.get(name), Some(value), "{name}");
    }
    // What is no counter of the statistics' is none of the metrics' either, and all else is 0.
    let ours = |name: &str| {
        [
            "lwaftr_interface_",
            "lwaftr_dropped_",
            "lwaftr_ignored_",
            "lwaftr_port_rx",
            "lwaftr_port_tx",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    };
    for (name, value) in found.iter().filter(|(name, _)| ours(name)) {
        assert_eq!(expected.get(name).unwrap_or(&0.0), value, "{name}");
    }
    assert!(expected.len() > 40, "{expected:?}");
    let dropped = "lwaftr_dropped_packets_total{interface=\"external\",reason=\"no-softwire\"}";
    assert_eq!(found[dropped], 1.0);
    let count = "lwaftr_packet_latency_seconds_count{direction=\"encap\"}";
    assert_eq!(found[count], 60.0);
    assert_eq!(stats["interfaces"]["external"]["forwarded-packets"], 60);

    restconf_agrees(&stats, &restconf);

    // The API has no examples of dropped frames for everybody.
    let mut stats = stats;
    for stats in [&mut stats, &mut api] {
        for side in ["external", "internal"] {
            for (_, drop) in stats["interfaces"][side]["drops"].as_object_mut().unwrap() {
                drop.as_object_mut().unwrap().remove("example");
            }
        }
    }
    assert_eq!(api, stats);
    assert_eq!(page["stats"]["interfaces"], stats["interfaces"]);
    assert_eq!(samples(&succeed(&mut relay.running.command(&["metrics"])))[dropped], 1.0);
}
