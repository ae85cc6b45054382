//! Expectation against result, in words a person can work with.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::fs::File;
use std::path::Path;

use pcap_file::pcap::PcapReader;
use serde_json::Value;

use crate::identification;

/// The frames of a capture.
pub(crate) fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reader = PcapReader::new(file).unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.unwrap().data.into_owned());
    }
    frames
}

/// What is different between two captures: the first frame that is, and their numbers.
///
/// The identification of an IPv6 fragment is the relay's to choose (F5): it need not be the expected
/// one, but must be one and the same for all fragments of a packet and another for each packet.
pub(crate) fn captures(side: &str, expected: &[Vec<u8>], got: &[Vec<u8>]) -> Vec<String> {
    let mut problems = Vec::new();
    let got = &as_expected(expected, got);
    if expected.len() != got.len() {
        let (wanted, came) = (expected.len(), got.len());
        problems.push(format!("{side}: {wanted} frames expected, {came} came out"));
    }
    let pairs = expected.iter().zip(got).enumerate();
    if let Some((index, (wanted, came))) = pairs.into_iter().find(|(_, (a, b))| a != b) {
        problems.push(format!("{side}: frame {} differs\n{}", index + 1, difference(wanted, came)));
    } else if let Some(extra) = got.get(expected.len()) {
        problems.push(format!("{side}: not expected\n{}", difference(&[], extra)));
    } else if let Some(missing) = expected.get(got.len()) {
        problems.push(format!("{side}: missing\n{}", difference(missing, &[])));
    }
    problems
}

/// The frames that came, each with the identification that was expected, as long as packets and
/// identifications go together one to one. Where they do not, it is one that differs.
fn as_expected(expected: &[Vec<u8>], got: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    let translated = |(index, frame): (usize, &Vec<u8>)| {
        let mut frame = frame.clone();
        let pair = expected
            .get(index)
            .and_then(|wanted| Some((identification::of(wanted)?, identification::of(&frame)?)));
        if let Some((wanted, came)) = pair {
            let consistent = *there.entry(wanted).or_insert(came) == came
                && *back.entry(came).or_insert(wanted) == wanted;
            let value = if consistent { wanted } else { !wanted };
            let range = identification::place(&frame).unwrap();
            frame[range].copy_from_slice(&value.to_be_bytes());
        }
        frame
    };
    got.iter().enumerate().map(translated).collect()
}

/// Both frames as hexadecimal rows; rows that differ are shown twice, with carets below.
fn difference(expected: &[u8], got: &[u8]) -> String {
    const ROW: usize = 16;
    let mut text = format!("expected {} bytes, got {}\n", expected.len(), got.len());
    let row =
        |bytes: &[u8], at: usize| -> Vec<u8> { bytes.iter().skip(at).take(ROW).copied().collect() };
    for at in (0..expected.len().max(got.len())).step_by(ROW) {
        let (wanted, came) = (row(expected, at), row(got, at));
        if wanted == came {
            let _ = writeln!(text, "  {at:04x}  {}", hex(&wanted));
            continue;
        }
        let _ = writeln!(text, "- {at:04x}  {}", hex(&wanted));
        let _ = writeln!(text, "+ {at:04x}  {}", hex(&came));
        let carets: String =
            (0..ROW).map(|i| if wanted.get(i) == came.get(i) { "   " } else { "^^ " }).collect();
        let _ = writeln!(text, "        {}", carets.trim_end());
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect::<String>().trim_end().to_owned()
}

/// Every counter of an interface that is not zero must be expected, with the same value.
pub(crate) fn counters(expected: &Value, got: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for side in ["external", "internal"] {
        let wanted = flat(&expected["interfaces"][side]);
        let came = flat(&got["interfaces"][side]);
        if came.is_empty() && !wanted.is_empty() {
            problems.push(format!("{side}: no counters"));
        }
        let mut names: Vec<&String> = wanted.keys().chain(came.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (wanted, came) = (wanted.get(name), came.get(name));
            if wanted != came {
                let (wanted, came) = (wanted.unwrap_or(&0), came.unwrap_or(&0));
                problems.push(format!("{side}: {name} should be {wanted}, is {came}"));
            }
        }
    }
    problems
}

/// The alarms that are raised in the end: which, and about what.
pub(crate) fn alarms(expected: &Value, got: &Value) -> Vec<String> {
    let raised = |stats: &Value| -> Vec<String> {
        let alarms = stats["alarms"].as_array().into_iter().flatten();
        let word = |alarm: &Value, key: &str| alarm[key].as_str().unwrap_or("?").to_owned();
        alarms.map(|a| ["name", "side", "about"].map(|key| word(a, key)).join(" ")).collect()
    };
    let (wanted, came) = (raised(expected), raised(got));
    if wanted == came {
        return Vec::new();
    }
    vec![format!("alarms should be {wanted:?}, are {came:?}")]
}

/// The counters of one interface that are not zero, by the path of their names; the port's own
/// counters are not the relay's, and examples of frames are no counters.
fn flat(interface: &Value) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut pending = vec![(String::new(), interface)];
    while let Some((path, value)) = pending.pop() {
        match value {
            Value::Object(entries) => {
                for (key, value) in
                    entries.iter().filter(|(key, _)| *key != "port" && *key != "example")
                {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    pending.push((path, value));
                }
            }
            Value::Number(number) => {
                if let Some(number) = number.as_u64().filter(|number| *number > 0) {
                    found.insert(path, number);
                }
            }
            _ => {}
        }
    }
    found
}

/// A1: what came in on an interface is what became of it, and what left is what was sent.
pub(crate) fn identity(got: &Value) -> Vec<String> {
    let counts = ["external", "internal"].map(|side| flat(&got["interfaces"][side]));
    let mut problems = Vec::new();
    for (index, side) in ["external", "internal"].iter().enumerate() {
        let read = |of: usize, name: &str| {
            counts[of].get(name).or_else(|| counts[of].get(&format!("{name}-packets"))).copied()
        };
        let sum = |names: &[&str]| names.iter().filter_map(|name| read(index, name)).sum::<u64>();
        let drops: u64 = counts[index]
            .iter()
            .filter(|(name, _)| name.starts_with("drops.") && name.ends_with(".packets"))
            .map(|(_, count)| count)
            .sum();
        let came = sum(&["in", "reassembled"]);
        let went = drops
            + sum(&[
                "forwarded",
                "hairpinned",
                "answered",
                "consumed",
                "ignored",
                "absorbed",
                "held",
            ]);
        if came != went {
            problems
                .push(format!("{side}: A1 does not balance: {came} came, {went} accounted for"));
        }
        let left = sum(&["out"]);
        let sent = read(1 - index, "forwarded").unwrap_or(0)
            + sum(&["hairpinned", "answered", "originated", "extra-fragments"]);
        if left != sent {
            problems.push(format!("{side}: A1 does not balance: {left} left, {sent} were sent"));
        }
    }
    problems
}
