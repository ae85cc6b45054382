//! The busiest softwires: what each carried between two looks at the table's counters.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ControlError;
use super::row::{CountedRow, Key, Row};
use super::state::{Control, blocking};
use crate::softwire::{Softwire, Tally};

/// The most softwires of one answer.
const MOST: usize = 1_000;

/// How long may lie between the two looks, in milliseconds.
pub const INTERVALS: std::ops::RangeInclusive<u64> = 100..=10_000;

/// What makes a softwire busy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Busy {
    /// Bits in both directions.
    #[default]
    Bits,
    /// Packets in both directions.
    Packets,
}

/// Which softwires are wanted, and measured for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TopOptions {
    /// So many, at most.
    pub count: usize,
    /// Milliseconds between the two looks.
    pub interval_ms: u64,
    /// In this order.
    #[serde(default)]
    pub by: Busy,
}

impl Busy {
    fn of(self, tally: &Tally) -> u64 {
        match self {
            Self::Bits => tally.to_b4_bytes + tally.from_b4_bytes,
            Self::Packets => tally.to_b4_packets + tally.from_b4_packets,
        }
    }
}

/// Looks twice and answers
/// `{"seconds", "active", "total": COUNTERS, "softwires": [ROW with "counters", ...]}`; what was
/// carried meanwhile, the busiest first. One client at a time: a look at a large table takes memory.
pub(super) async fn busiest(control: &Control, options: TopOptions) -> Result<Value, ControlError> {
    let TopOptions { count, interval_ms, by } = options;
    if !INTERVALS.contains(&interval_ms) {
        return Err(ControlError::usage(format!(
            "interval-ms = {interval_ms}: must be from {} to {}",
            INTERVALS.start(),
            INTERVALS.end()
        )));
    }
    control.must_count()?;
    let _only = control.looking.lock().await;
    let before = look(control).await?;
    let started = Instant::now();
    tokio::time::sleep(Duration::from_millis(interval_ms)).await;
    let after = look(control).await?;
    let seconds = started.elapsed().as_secs_f64();
    blocking(move || answer(before, after, count.min(MOST), by, seconds)).await
}

type Look = Vec<(Softwire, Tally)>;

async fn look(control: &Control) -> Result<Look, ControlError> {
    let view = control.view();
    blocking(move || view.snapshot.table.tallies()).await
}

/// By softwire: while an older table drains, one may come several times.
fn summed(look: Look) -> HashMap<(Key, Ipv6Addr), (Softwire, Tally)> {
    let mut sums = HashMap::new();
    for (softwire, tally) in look {
        let nothing = (softwire, Tally::default());
        sums.entry((Key::of(&softwire), softwire.b4)).or_insert(nothing).1 += tally;
    }
    sums
}

fn answer(before: Look, after: Look, count: usize, by: Busy, seconds: f64) -> Value {
    let before = summed(before);
    let mut total = Tally::default();
    let mut busy: Look = Vec::new();
    for (key, (softwire, now)) in summed(after) {
        let then = before.get(&key).map(|(_, then)| *then).unwrap_or_default();
        let carried = now.since(&then);
        if !carried.is_zero() {
            total += carried;
            busy.push((softwire, carried));
        }
    }
    let active = busy.len();
    busy.sort_unstable_by_key(|(softwire, tally)| (Reverse(by.of(tally)), Key::of(softwire)));
    busy.truncate(count);
    let softwires: Vec<_> = busy
        .into_iter()
        .map(|(softwire, tally)| CountedRow { row: Row::from(softwire), counters: Some(tally) })
        .collect();
    json!({"seconds": seconds, "active": active, "total": total, "softwires": softwires})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing;

    fn carried(packets: u64, bytes: u64) -> Tally {
        Tally { to_b4_packets: packets, to_b4_bytes: bytes, ..Tally::default() }
    }

    #[test]
    fn the_busiest_comes_first_and_what_was_there_before_does_not_count() {
        let [a, b, c] = [1, 2, 3].map(|n| testing::whole_address(0x0b00_0000 + n));
        let before = vec![(a, carried(1_000, 1_000_000)), (b, carried(5, 300))];
        let after =
            vec![(a, carried(1_001, 1_000_060)), (b, carried(7, 420)), (c, carried(1, 1_500))];
        let by = |by, count| answer(before.clone(), after.clone(), count, by, 1.0);
        let order = |value: &Value| -> Vec<String> {
            let rows = value["softwires"].as_array().unwrap();
            rows.iter().map(|row| row["ipv4"].as_str().unwrap().to_owned()).collect()
        };
        let bits = by(Busy::Bits, 10);
        assert_eq!(order(&bits), ["11.0.0.3", "11.0.0.2", "11.0.0.1"]);
        assert_eq!(bits["active"], 3);
        assert_eq!(bits["total"]["to-b4-bytes"], 60 + 120 + 1_500);
        assert_eq!(bits["softwires"][1]["counters"]["to-b4-packets"], 2);
        let packets = by(Busy::Packets, 1);
        assert_eq!(order(&packets), ["11.0.0.2"]);
        assert_eq!(packets["active"], 3, "those not shown are counted");
        let idle = answer(after.clone(), after, 10, Busy::Bits, 1.0);
        assert_eq!((idle["active"].as_u64(), order(&idle).len()), (Some(0), 0));
    }
}
