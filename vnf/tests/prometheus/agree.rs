//! At rest, the command line, the API and the metrics agree on every counter.

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

#[test]
fn at_rest_every_counter_is_the_same_everywhere() {
    if !possible() {
        return;
    }
    let relay = Relay::start("", FIXED, "");
    let sent = frames().len() as u64;
    eventually("all frames came", 30, || {
        (relay.stats()["interfaces"]["external"]["in-packets"] == sent).then_some(())
    });
    // Timers may still say something: what is compared was the same before and after.
    let (stats, mut api, metrics) = eventually("it is at rest", 30, || {
        let before = relay.stats();
        let api: Value = serde_json::from_str(&relay.get("/api/stats")).unwrap();
        let metrics = relay.get("/metrics");
        (relay.stats() == before).then_some((before, api, metrics))
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
    assert_eq!(samples(&succeed(&mut relay.verb(&["metrics"])))[dropped], 1.0);
}
