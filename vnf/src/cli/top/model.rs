//! What is shown: rates and percentiles between two readings, and some history.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::source::{Answer, Reading};
use crate::side::Side;
use crate::telemetry::LatencyKind;

/// Points of history that are kept: more than a terminal is wide.
const HISTORY: usize = 400;

/// In what order drops are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// The most frequent now.
    #[default]
    Rate,
    /// The most frequent ever.
    Total,
}

/// One interface, per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Throughput {
    pub(super) in_packets: f64,
    pub(super) in_bits: f64,
    pub(super) out_packets: f64,
    pub(super) out_bits: f64,
    pub(super) drops: f64,
}

/// Why frames are dropped.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drops {
    pub(super) side: Side,
    pub(super) reason: String,
    pub(super) rate: f64,
    pub(super) total: u64,
}

/// How long the packets of the last interval took, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Latency {
    pub(super) rate: f64,
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) p999: u64,
    pub(super) max: u64,
}

/// One worker.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Load {
    pub(super) packets: f64,
    /// The share of its time in which it had something to do, from 0 to 1, if that is measured.
    pub(super) busy: Option<f64>,
}

/// The busiest softwires.
#[derive(Debug, Clone, Default)]
pub(super) enum Busiest {
    /// Not asked yet.
    #[default]
    Unknown,
    /// Why they are not known.
    Not(String),
    /// As `softwire-top` answers.
    Known(Value),
}

/// What is shown, and how.
#[derive(Debug, Default)]
pub(super) struct Model {
    last: Option<Reading>,
    measured: bool,
    pub(super) throughput: [Throughput; 2],
    pub(super) drops: Vec<Drops>,
    pub(super) latency: [Latency; LatencyKind::ALL.len()],
    pub(super) workers: Vec<Load>,
    pub(super) alarms: Vec<String>,
    pub(super) busiest: Busiest,
    /// Packets per second received on both sides, and the longest 99th percentile.
    pub(super) packets_history: VecDeque<u64>,
    pub(super) latency_history: VecDeque<u64>,
    /// Why nothing moves, if the instance is gone.
    pub(super) gone: Option<String>,
    pub(super) help: bool,
    pub(super) paused: bool,
    pub(super) order: Order,
    pub(super) scroll: usize,
}

impl Model {
    /// Have there been two readings?
    pub(super) fn is_measured(&self) -> bool {
        self.measured
    }

    pub(super) fn knows_softwires(&self) -> bool {
        !matches!(self.busiest, Busiest::Unknown)
    }

    /// What instance it is.
    pub(super) fn status(&self) -> &Value {
        self.last.as_ref().map_or(&Value::Null, |reading| &reading.status)
    }

    /// Takes what was answered.
    pub(super) fn take(&mut self, answer: Answer) {
        if self.paused {
            // The next reading after the pause is compared with the last one before it: the rates
            // are those of the whole pause.
            return;
        }
        match answer {
            Answer::Reading(reading) => {
                self.gone = None;
                self.read(*reading);
            }
            Answer::Softwires(softwires) => self.busiest = Busiest::Known(softwires),
            Answer::NoSoftwires(words) => self.busiest = Busiest::Not(words),
            Answer::Gone(words) => self.gone = Some(words),
        }
    }

    fn read(&mut self, now: Reading) {
        self.alarms = alarms(&now.stats);
        if let Some(before) = self.last.take() {
            let seconds = now.at.duration_since(before.at).as_secs_f64();
            let restarted = before.status["pid"] != now.status["pid"];
            if seconds > 0.0 && !restarted {
                self.compare(&before, &now, seconds);
                self.measured = true;
            }
        }
        self.last = Some(now);
    }

    fn compare(&mut self, before: &Reading, now: &Reading, seconds: f64) {
        let sides = |stats: &Value| Side::BOTH.map(|side| stats["interfaces"][side.name()].clone());
        let (then, these) = (sides(&before.stats), sides(&now.stats));
        self.drops.clear();
        for side in Side::BOTH {
            let (then, these) = (&then[side.index()], &these[side.index()]);
            let rate = |key: &str| rate(&then[key], &these[key], seconds);
            let mut dropped = 0.0;
            for (reason, counted) in these["drops"].as_object().into_iter().flatten() {
                let before = &then["drops"][reason]["packets"];
                let per_second = self::rate(before, &counted["packets"], seconds);
                dropped += per_second;
                self.drops.push(Drops {
                    side,
                    reason: reason.clone(),
                    rate: per_second,
                    total: counted["packets"].as_u64().unwrap_or_default(),
                });
            }
            self.throughput[side.index()] = Throughput {
                in_packets: rate("in-packets"),
                in_bits: rate("in-bytes") * 8.0,
                out_packets: rate("out-packets"),
                out_bits: rate("out-bytes") * 8.0,
                drops: dropped,
            };
        }
        self.workers = workers(&before.stats, &now.stats, seconds);
        for kind in LatencyKind::ALL {
            let name = kind.name();
            self.latency[kind as usize] =
                latency(&before.latency[name], &now.latency[name], seconds);
        }
        let packets: f64 = self.throughput.iter().map(|side| side.in_packets).sum();
        remember(&mut self.packets_history, packets as u64);
        let longest = self.latency.iter().map(|latency| latency.p99).max();
        remember(&mut self.latency_history, longest.unwrap_or_default());
    }

    /// Drops in the order that is wanted.
    pub(super) fn sorted_drops(&self) -> Vec<&Drops> {
        let mut drops: Vec<&Drops> = self.drops.iter().collect();
        drops.sort_by(|a, b| {
            let by_rate = b.rate.total_cmp(&a.rate);
            let by_total = b.total.cmp(&a.total);
            match self.order {
                Order::Rate => by_rate.then(by_total),
                Order::Total => by_total.then(by_rate),
            }
        });
        drops
    }
}

fn remember(history: &mut VecDeque<u64>, value: u64) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    history.push_back(value);
}

fn rate(before: &Value, now: &Value, seconds: f64) -> f64 {
    let [before, now] = [before, now].map(|value| value.as_u64().unwrap_or_default());
    now.saturating_sub(before) as f64 / seconds
}

fn workers(before: &Value, now: &Value, seconds: f64) -> Vec<Load> {
    let each = |stats: &Value| stats["workers"].as_array().cloned().unwrap_or_default();
    let (then, these) = (each(before), each(now));
    let load = |(then, now): (&Value, &Value)| {
        let packets = Side::BOTH.map(|side| {
            let received = |worker: &Value| worker["interfaces"][side.name()]["in-packets"].clone();
            rate(&received(then), &received(now), seconds)
        });
        let busy = then["busy-seconds"].as_f64().zip(now["busy-seconds"].as_f64());
        let busy = busy.map(|(then, now)| ((now - then) / seconds).clamp(0.0, 1.0));
        Load { packets: packets.iter().sum(), busy }
    };
    then.iter().zip(&these).map(load).collect()
}

/// Percentiles of what was recorded between two readings.
fn latency(before: &Value, now: &Value, seconds: f64) -> Latency {
    let values = |reading: &Value| -> BTreeMap<u64, u64> {
        let steps = reading["values"].as_array().into_iter().flatten();
        steps.filter_map(|step| Some((step[0].as_u64()?, step[1].as_u64()?))).collect()
    };
    let before = values(before);
    let new: Vec<(u64, u64)> = values(now)
        .into_iter()
        .map(|(value, count)| {
            (value, count.saturating_sub(before.get(&value).copied().unwrap_or_default()))
        })
        .filter(|&(_, count)| count > 0)
        .collect();
    let total: u64 = new.iter().map(|(_, count)| count).sum();
    let percentile = |share: f64| {
        let wanted = (total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let mut reached = new.iter().filter(|&&(_, count)| {
            seen += count;
            seen >= wanted
        });
        reached.next().map_or(0, |&(value, _)| value)
    };
    Latency {
        rate: total as f64 / seconds,
        p50: percentile(0.5),
        p99: percentile(0.99),
        p999: percentile(0.999),
        max: new.last().map_or(0, |&(value, _)| value),
    }
}

/// A sentence for each alarm that is raised.
fn alarms(stats: &Value) -> Vec<String> {
    let words = |alarm: &Value| {
        let word = |key: &str| alarm[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {}: {}", word("name"), word("about"), word("text"))
    };
    stats["alarms"].as_array().into_iter().flatten().map(words).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;
    use std::time::{Duration, Instant};

    /// A reading so many seconds after the first one, with so many thousands of everything.
    pub(crate) fn reading(start: Instant, seconds: u64) -> Answer {
        let n = seconds * 1_000;
        let interface = json!({
            "in-packets": 20 * n, "in-bytes": 20_000 * n, "out-packets": 19 * n, "out-bytes": 20_000 * n,
            "drops": {"no-softwire": {"packets": n, "bytes": 100 * n}, "ttl-expired": {"packets": 7, "bytes": 700}},
        });
        let worker = json!({"busy-seconds": seconds as f64 / 4.0, "interfaces": {
            "external": {"in-packets": 10 * n}, "internal": {"in-packets": 10 * n},
        }});
        let histogram = json!({"values": [[1_000, 98 * n], [5_000, n], [90_000, n]]});
        Answer::Reading(Box::new(Reading {
            at: start + Duration::from_secs(seconds),
            status: json!({"name": "edge1", "pid": 7, "uptime-seconds": 3_600 * 50 + seconds,
                "workers": 2, "softwires": 123_456, "version": "0.1.0"}),
            stats: json!({"interfaces": {"external": interface, "internal": interface},
                "workers": [worker, worker],
                "alarms": [{"name": "next-hop-unresolved", "about": "192.0.2.254", "text": "no answer"}]}),
            latency: json!({"encap": histogram, "decap": histogram}),
        }))
    }

    #[test]
    fn rates_are_between_two_readings_and_per_second() {
        let start = Instant::now();
        let mut model = Model::default();
        model.take(reading(start, 10));
        assert!(!model.is_measured());
        model.take(reading(start, 12));
        assert!(model.is_measured());
        let external = model.throughput[0];
        assert_eq!((external.in_packets, external.in_bits), (20_000.0, 160e6));
        assert_eq!((external.out_packets, external.drops), (19_000.0, 1_000.0));
        let drops: Vec<_> =
            model.sorted_drops().iter().map(|drops| (drops.reason.clone(), drops.rate)).collect();
        assert_eq!(drops[0], ("no-softwire".to_owned(), 1_000.0));
        assert_eq!(drops[2], ("ttl-expired".to_owned(), 0.0));
        assert_eq!(model.workers[1], Load { packets: 20_000.0, busy: Some(0.25) });
        let latency = model.latency[LatencyKind::Encap as usize];
        assert_eq!(
            (latency.p50, latency.p99, latency.p999, latency.max),
            (1_000, 5_000, 90_000, 90_000)
        );
        assert_eq!(latency.rate, 100_000.0);
    }

    #[test]
    fn another_process_is_not_compared_with_the_one_before() {
        let start = Instant::now();
        let mut model = Model::default();
        model.take(reading(start, 10));
        let Answer::Reading(mut other) = reading(start, 11) else { panic!() };
        other.status["pid"] = 8.into();
        model.take(Answer::Reading(other));
        assert!(!model.is_measured());
    }

    #[test]
    fn an_instance_that_is_gone_is_said_and_forgotten_when_it_is_back() {
        let start = Instant::now();
        let mut model = Model::default();
        model.take(Answer::Gone("no instance answers".to_owned()));
        assert!(model.gone.is_some());
        model.take(reading(start, 1));
        assert!(model.gone.is_none());
    }
}
