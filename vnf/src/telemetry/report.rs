//! Counters for people and programs: one JSON schema for `lwaftr stats --json` and
//! `lwaftr replay --counters`, and the text of `lwaftr stats`. docs/counters.md describes both.

use std::borrow::Borrow;
use std::fmt::Write as _;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::alarm_book::alarms_text;
use super::{
    DropReason, Example, IgnoreReason, InterfaceTotals, NextHopStatus, PacketBytes, WorkerCounters,
};
use crate::side::Side;

/// What a port itself lost: frames that no worker ever saw, or that it failed to send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames the port dropped because its receive ring was full.
    pub rx_missed: u64,
    /// Frames the port dropped because there was no buffer for them.
    pub rx_nombuf: u64,
    /// Frames the port received damaged.
    pub rx_errors: u64,
    /// Frames the port failed to send after it had accepted them.
    pub tx_errors: u64,
    /// What it does of a packet's work, because it was asked to and can.
    pub offloads: &'static [&'static str],
    /// Its link, where there is one.
    pub link: Option<LinkStatus>,
    /// Its receive rings, where the driver can say how full they are.
    pub rx_ring: Option<RingStatus>,
}

/// How full a port's receive rings are: that of one worker is full when that worker is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingStatus {
    /// Frames that each can hold.
    pub size: u32,
    /// Frames that wait in the fullest.
    pub fullest: u32,
}

/// The state of a port's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkStatus {
    /// It carries frames.
    pub up: bool,
    /// Its speed in Mbit/s, where known.
    pub megabits: Option<u32>,
}

impl PortStats {
    /// Its counters with the names they are reported under, and what they mean.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64, &'static str); 4] {
        [
            ("rx-missed", self.rx_missed, "Frames lost because the receive ring was full."),
            ("rx-nombuf", self.rx_nombuf, "Frames lost because no buffer was free."),
            ("rx-errors", self.rx_errors, "Frames that arrived damaged."),
            ("tx-errors", self.tx_errors, "Frames the port had accepted and then failed to send."),
        ]
    }

    fn json(&self) -> Value {
        let counters = self.named().map(|(name, value, _)| (name.to_owned(), value.into()));
        let mut json: Map<String, Value> = counters.into_iter().collect();
        json.insert("offloads".to_owned(), self.offloads.into());
        if let Some(LinkStatus { up, megabits }) = self.link {
            json.insert("link".to_owned(), json!({"up": up, "megabits": megabits}));
        }
        if let Some(RingStatus { size, fullest }) = self.rx_ring {
            json.insert("rx-ring".to_owned(), json!({"size": size, "fullest": fullest}));
        }
        json.into()
    }
}

/// The counters as JSON: summed over workers, then of each worker.
pub fn stats_json<W: Borrow<WorkerCounters>>(
    workers: &[W],
    ports: [PortStats; 2],
    softwires: usize,
) -> Value {
    let each: Vec<[InterfaceTotals; 2]> =
        workers.iter().map(|one| totals(std::slice::from_ref(one))).collect();
    let mut interfaces = Map::new();
    for (side, all) in Side::BOTH.into_iter().zip(totals(workers)) {
        let mut object = interface_json(&all);
        add_examples(&mut object, workers, side);
        object.insert("port".to_owned(), ports[side.index()].json());
        interfaces.insert(side.name().to_owned(), object.into());
    }
    let workers: Vec<Value> = each
        .iter()
        .map(|[external, internal]| {
            json!({"interfaces": {
                "external": interface_json(external),
                "internal": interface_json(internal),
            }})
        })
        .collect();
    json!({"interfaces": interfaces, "workers": workers, "softwires": softwires})
}

/// Adds to them what is wrong on the links, and how the next hops of each side are.
pub fn add_links(stats: &mut Value, alarms: Value, next_hops: [Vec<NextHopStatus>; 2]) {
    stats["alarms"] = alarms;
    for (side, hops) in Side::BOTH.into_iter().zip(next_hops) {
        stats["next-hops"][side.name()] = hops.iter().map(NextHopStatus::to_json).collect();
    }
}

/// Both interfaces' counters, summed over these workers.
pub fn totals<W: Borrow<WorkerCounters>>(workers: &[W]) -> [InterfaceTotals; 2] {
    Side::BOTH.map(|side| {
        let mut totals = InterfaceTotals::default();
        for worker in workers {
            totals.add(worker.borrow().of(side));
        }
        totals
    })
}

fn interface_json(totals: &InterfaceTotals) -> Map<String, Value> {
    let mut object: Map<String, Value> =
        totals.named().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    object.insert("ignored-packets".to_owned(), totals.ignored_packets().into());
    object.insert(
        "drops".to_owned(),
        reasons_json(DropReason::ALL.iter().map(|reason| reason.name()), &totals.drops),
    );
    object.insert(
        "ignored".to_owned(),
        reasons_json(IgnoreReason::ALL.iter().map(|reason| reason.name()), &totals.ignored),
    );
    object
}

/// Adds to each reason for drops the first bytes of a frame, of whichever worker has one.
fn add_examples<W: Borrow<WorkerCounters>>(
    object: &mut Map<String, Value>,
    workers: &[W],
    side: Side,
) {
    let Some(drops) = object.get_mut("drops").and_then(Value::as_object_mut) else { return };
    for reason in DropReason::ALL {
        let mut examples =
            workers.iter().filter_map(|worker| worker.borrow().examples(side).get(*reason));
        if let Some(counted) = drops.get_mut(reason.name())
            && let Some(example) = examples.next()
        {
            counted["example"] = example.json();
        }
    }
}

/// The reasons that ever occurred.
fn reasons_json(names: impl Iterator<Item = &'static str>, counts: &[PacketBytes]) -> Value {
    names
        .zip(counts)
        .filter(|(_, counted)| counted.packets > 0)
        .map(|(name, PacketBytes { packets, bytes })| {
            (name.to_owned(), json!({"packets": packets, "bytes": bytes}))
        })
        .collect::<Map<_, _>>()
        .into()
}

/// The same for people, from what [`stats_json`] made: the two interfaces side by side, then why
/// frames were dropped or ignored, the busiest reason first, each with its meaning and, if wanted,
/// with the first bytes of such a frame.
#[must_use]
pub fn stats_text(stats: &Value, examples: bool) -> String {
    let sides = Side::BOTH.map(|side| &stats["interfaces"][side.name()]);
    let mut text = alarms_text(&stats["alarms"], SystemTime::now());
    let mut row = |name: &str, cells: [String; 2]| {
        let [external, internal] = cells;
        _ = writeln!(text, "{name:<22}{external:>20}{internal:>20}");
    };
    row("", Side::BOTH.map(|side| side.name().to_owned()));
    for (name, _) in InterfaceTotals::default().named() {
        row(name, sides.map(|side| number(&side[name])));
        if name == "consumed-packets" {
            row("ignored-packets", sides.map(|side| number(&side["ignored-packets"])));
            row("dropped-packets", sides.map(|side| digits(dropped(side))));
        }
    }
    for (name, ..) in PortStats::default().named() {
        row(&format!("port {name}"), sides.map(|side| number(&side["port"][name])));
    }
    row("port offloads", sides.map(|side| offloads(&side["port"]["offloads"])));
    for (title, key) in [("dropped", "drops"), ("ignored", "ignored")] {
        for side in Side::BOTH {
            text += &reasons_text(title, side, &stats["interfaces"][side.name()][key], examples);
        }
    }
    let workers = stats["workers"].as_array().map_or(0, Vec::len);
    let workers = if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") };
    let ended = match stats["softwires-ended"].as_u64() {
        None | Some(0) => String::new(),
        Some(ended) => format!(" ({} have ended by themselves)", digits(ended)),
    };
    _ = writeln!(text, "\n{} softwires{ended}, {workers}", number(&stats["softwires"]));
    text
}

fn reasons_text(title: &str, side: Side, reasons: &Value, examples: bool) -> String {
    let mut busiest: Vec<(&String, u64, &Value)> = reasons
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, counted)| (name, packets(counted), counted))
        .collect();
    busiest.sort_by_key(|&(name, packets, _)| (std::cmp::Reverse(packets), name));
    let mut text = String::new();
    if !busiest.is_empty() {
        _ = writeln!(text, "\n{:<22}{:>20}{:>20}", format!("{title}, {side}"), "packets", "bytes");
    }
    for (name, packets, counted) in busiest {
        let (packets, bytes) = (digits(packets), number(&counted["bytes"]));
        _ = writeln!(text, "  {name:<20}{packets:>20}{bytes:>20}  {}", meaning(name));
        if examples {
            text += &Example::text(&counted["example"]);
        }
    }
    text
}

/// The meaning of a reason of either kind.
fn meaning(name: &str) -> &'static str {
    let drops = DropReason::ALL.iter().map(|reason| (reason.name(), reason.meaning()));
    let ignored = IgnoreReason::ALL.iter().map(|reason| (reason.name(), reason.meaning()));
    let found = drops.chain(ignored).find(|&(known, _)| known == name);
    found.map_or("", |(_, meaning)| meaning.trim())
}

fn offloads(names: &Value) -> String {
    let names: Vec<&str> =
        names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(",") }
}

fn dropped(side: &Value) -> u64 {
    side["drops"].as_object().into_iter().flatten().map(|(_, counted)| packets(counted)).sum()
}

fn packets(counted: &Value) -> u64 {
    counted["packets"].as_u64().unwrap_or_default()
}

fn number(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), digits)
}

/// 1234567 as `1 234 567`: long counters are read by people here.
fn digits(number: u64) -> String {
    let plain = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in plain.chars().enumerate() {
        if position > 0 && (plain.len() - position).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::AlarmKind;
    use std::sync::Arc;

    fn two_workers() -> [Arc<WorkerCounters>; 2] {
        let workers = [Arc::new(WorkerCounters::default()), Arc::new(WorkerCounters::default())];
        for worker in &workers {
            let external = worker.of(Side::External);
            external.in_packets.add(10);
            external.in_bytes.add(600);
            external.forwarded.add(6);
            external.drops[DropReason::NoSoftwire.index()].count(60);
            external.ignored[IgnoreReason::Arp.index()].count(60);
            worker.of(Side::Internal).out_packets.add(6);
        }
        workers[0].of(Side::External).drops[DropReason::TtlExpired.index()].add(2, 120);
        workers
    }

    #[test]
    fn the_schema_has_every_key_of_the_contract() {
        let offloads = &["ipv4-checksum"];
        let ports =
            [PortStats { rx_missed: 7, offloads, ..PortStats::default() }, PortStats::default()];
        let stats = stats_json(&two_workers(), ports, 3);
        let external = &stats["interfaces"]["external"];
        for key in [
            "in-packets",
            "in-bytes",
            "forwarded-packets",
            "hairpinned-packets",
            "answered-packets",
            "consumed-packets",
            "ignored-packets",
            "absorbed-packets",
            "reassembled-packets",
            "held-packets",
            "originated-packets",
            "extra-fragments",
            "out-packets",
            "out-bytes",
        ] {
            for side in Side::BOTH {
                assert!(stats["interfaces"][side.name()][key].is_u64(), "{side} {key}");
            }
        }
        assert_eq!(external["in-packets"], 20);
        assert_eq!(external["ignored-packets"], 2);
        assert_eq!(external["ignored"], json!({"arp": {"packets": 2, "bytes": 120}}));
        assert_eq!(
            external["drops"],
            json!({
                "no-softwire": {"packets": 2, "bytes": 120},
                "ttl-expired": {"packets": 2, "bytes": 120},
            })
        );
        assert_eq!(
            external["port"],
            json!({
                "rx-missed": 7, "rx-nombuf": 0, "rx-errors": 0, "tx-errors": 0,
                "offloads": ["ipv4-checksum"],
            })
        );
        assert_eq!(stats["interfaces"]["internal"]["drops"], json!({}));
        assert_eq!(stats["softwires"], 3);
        assert_eq!(stats["workers"].as_array().unwrap().len(), 2);
        assert_eq!(stats["workers"][1]["interfaces"]["external"]["in-packets"], 10);
        assert_eq!(
            stats["workers"][1]["interfaces"]["external"]["drops"]["ttl-expired"],
            Value::Null
        );
    }

    #[test]
    fn the_text_shows_the_busiest_reason_first() {
        let workers = two_workers();
        workers[1].of(Side::External).drops[DropReason::TxFull.index()].add(1_234_567, 5);
        workers[1].examples(Side::External).put(DropReason::TxFull, &[0xab; 70], 70);
        let stats = stats_json(&workers, [PortStats::default(); 2], 1_000_000);
        let text = stats_text(&stats, false);
        assert!(!text.contains("ab ab"));
        assert!(stats_text(&stats, true).contains("      0030  ab ab"));
        assert_eq!(stats["interfaces"]["external"]["drops"]["tx-full"]["example"]["length"], 70);
        let position =
            |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle}: {text}"));
        assert!(position("tx-full") < position("no-softwire"));
        assert!(position("no-softwire") < position("ttl-expired"));
        assert!(text.contains("1 234 567"));
        assert!(text.contains(DropReason::TxFull.meaning().trim()));
        assert!(text.contains("1 000 000 softwires, 2 workers"));
        assert!(!text.contains("dropped, internal"));
        let mut stats = stats;
        stats["softwires-ended"] = 3.into();
        let text = stats_text(&stats, false);
        assert!(text.contains("1 000 000 softwires (3 have ended by themselves), 2 workers"));
    }

    #[test]
    fn the_documentation_names_every_counter_and_reason_with_its_meaning() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/counters.md");
        let text = std::fs::read_to_string(path).unwrap();
        let drops = DropReason::ALL.iter().map(|reason| (reason.name(), reason.meaning()));
        let ignored = IgnoreReason::ALL.iter().map(|reason| (reason.name(), reason.meaning()));
        for (name, meaning) in drops.chain(ignored) {
            let line = format!("| `{name}` | {} |", meaning.trim());
            assert!(text.contains(&line), "docs/counters.md lacks the line\n{line}");
        }
        for alarm in AlarmKind::ALL {
            let (name, severity) = (alarm.name(), alarm.severity().name());
            let (meaning, remedy) = (alarm.meaning().trim(), alarm.remedy());
            let line = format!("| `{name}` | {severity} | {meaning} | {remedy} |");
            assert!(text.contains(&line), "docs/counters.md lacks the line\n{line}");
        }
        let counters = InterfaceTotals::default().named().into_iter().map(|(name, _)| name);
        let port = PortStats::default().named().into_iter().map(|(name, ..)| name);
        for name in counters.chain(port).chain(["offloads", "ignored-packets"]) {
            assert!(text.contains(&format!("`{name}`")), "docs/counters.md lacks {name}");
        }
    }
}
