//! What was measured, for people and programs: [`Report`] is the JSON's shape, [`html`] and
//! [`text`] show it.

pub(crate) mod html;
mod page;
mod svg;
pub(crate) mod text;

use serde::Serialize;

use super::delay::{Point, Spread};
use super::direction::{Direction, Directions};
use super::mix::Mix;
use super::reload::Moment;
use super::trial::{LaneOutcome, Outcome};

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) setting: Setting,
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) loss: Vec<Loss>,
    pub(crate) latency: Vec<Latency>,
    pub(crate) back_to_back: Vec<BackToBack>,
    pub(crate) profiles: Vec<Profiled>,
    pub(crate) reloads: Vec<Reloaded>,
}

/// What was measured, with what, how.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Setting {
    pub(crate) version: String,
    pub(crate) command: Vec<String>,
    /// Seconds since 1970.
    pub(crate) began: u64,
    pub(crate) relay_config: String,
    pub(crate) softwires: usize,
    pub(crate) flows: usize,
    pub(crate) drivers: Vec<String>,
    pub(crate) memory: String,
    pub(crate) cpus: Vec<usize>,
    pub(crate) cpu_model: String,
    pub(crate) line_gigabits: f64,
    pub(crate) trial_seconds: f64,
    pub(crate) loss_tolerance: f64,
    pub(crate) least_cpu_share: f64,
}

/// One direction of a trial.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lane {
    pub(crate) direction: Direction,
    pub(crate) due: u64,
    pub(crate) offered: u64,
    pub(crate) returned: u64,
    pub(crate) lost: u64,
    /// Of the lost ones, frames that the relay's ring had no room for.
    pub(crate) refused: u64,
    pub(crate) duplicates: u64,
    pub(crate) corrupt: u64,
    pub(crate) misdirected: u64,
    pub(crate) reordered: u64,
    pub(crate) by_table: Vec<u64>,
    /// How often the generator had no buffer, and how many frames it was behind at worst.
    pub(crate) starved: u64,
    pub(crate) worst_lag: u64,
}

/// A trial.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Trial {
    /// Frames a second and direction that were really offered.
    pub(crate) offered_rate: f64,
    pub(crate) loss_ratio: f64,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) foreign: u64,
    pub(crate) generator_cpu_share: f64,
    pub(crate) relay_cpu_share: Option<f64>,
    pub(crate) attempts: u32,
    pub(crate) disturbed: bool,
}

impl Trial {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let lane = |lane: &LaneOutcome| Lane {
            direction: lane.direction,
            due: lane.sent.due,
            offered: lane.sent.offered,
            returned: lane.returned.seen.count(),
            lost: lane.lost(),
            refused: lane.sent.refused,
            duplicates: lane.returned.duplicates,
            corrupt: lane.returned.corrupt,
            misdirected: lane.returned.misdirected,
            reordered: lane.returned.reordered,
            by_table: lane.returned.by_table.clone(),
            starved: lane.sent.starved,
            worst_lag: lane.sent.worst_lag,
        };
        Self {
            offered_rate: outcome.offered_rate(),
            loss_ratio: outcome.loss_ratio(),
            lanes: outcome.lanes.iter().map(lane).collect(),
            foreign: outcome.foreign,
            generator_cpu_share: outcome.own_share,
            relay_cpu_share: outcome.relay_share,
            attempts: outcome.attempts,
            disturbed: outcome.disturbed,
        }
    }

    /// A sum over the directions.
    pub(crate) fn sum(&self, of: impl Fn(&Lane) -> u64) -> u64 {
        self.lanes.iter().map(of).sum()
    }

    /// Duplicates, corrupt and misdirected frames.
    pub(crate) fn wrong(&self) -> u64 {
        self.sum(|lane| lane.duplicates + lane.corrupt + lane.misdirected)
    }
}

/// The throughput of a frame size (RFC 2544 section 26.1, RFC 8219 section 7.1).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Throughput {
    pub(crate) frame_size: Mix,
    pub(crate) directions: Directions,
    /// Frames a second and direction that the internal link carries.
    pub(crate) line_rate: f64,
    /// Frames a second and direction; `None` when every rate lost frames.
    pub(crate) rate: Option<f64>,
    /// What that is of the internal link, with everything a frame takes, in Gbit/s.
    pub(crate) gigabits: f64,
    pub(crate) trials: u32,
    pub(crate) limited_by_generator: bool,
    pub(crate) best: Option<Trial>,
}

/// A frame loss curve (RFC 2544 section 26.3).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Loss {
    pub(crate) frame_size: Mix,
    pub(crate) directions: Directions,
    pub(crate) line_rate: f64,
    pub(crate) points: Vec<LossPoint>,
}

/// One rate of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LossPoint {
    /// The part of the highest rate.
    pub(crate) part: f64,
    pub(crate) intended_rate: f64,
    pub(crate) trial: Trial,
}

/// Latency and its variation (RFC 8219 sections 7.2 and 7.3), in nanoseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) frame_size: Mix,
    pub(crate) directions: Directions,
    pub(crate) rate: f64,
    pub(crate) streams: usize,
    pub(crate) typical: Spread,
    pub(crate) worst_case: Spread,
    pub(crate) pdv: Spread,
    /// By how much longer a frame took than the one before it: the smallest, median and largest
    /// difference of a stream.
    pub(crate) ipdv_min: Spread<i64>,
    pub(crate) ipdv_median: Spread<i64>,
    pub(crate) ipdv_max: Spread<i64>,
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) lost: u64,
    pub(crate) curve: Vec<Point>,
}

/// Back-to-back frames (RFC 2544 section 26.4, RFC 9004): of the longest bursts without loss that
/// were found, in frames.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BackToBack {
    pub(crate) frame_size: Mix,
    pub(crate) directions: Directions,
    /// Of the frames in a burst.
    pub(crate) rate: f64,
    pub(crate) repeats: usize,
    pub(crate) average: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) standard_deviation: f64,
    /// How long the average burst takes.
    pub(crate) seconds: f64,
    pub(crate) limited_by_generator: bool,
}

impl BackToBack {
    pub(crate) fn of(
        frame_size: Mix,
        directions: Directions,
        rate: f64,
        bursts: &[f64],
        limited_by_generator: bool,
    ) -> Self {
        let count = bursts.len().max(1) as f64;
        let average = bursts.iter().sum::<f64>() / count;
        let variance = bursts.iter().map(|burst| (burst - average).powi(2)).sum::<f64>() / count;
        Self {
            frame_size,
            directions,
            rate,
            repeats: bursts.len(),
            average,
            min: bursts.iter().copied().reduce(f64::min).unwrap_or(0.0),
            max: bursts.iter().copied().fold(0.0, f64::max),
            standard_deviation: variance.sqrt(),
            seconds: average / rate,
            limited_by_generator,
        }
    }
}

/// An interval of a time series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Slice {
    /// Its end, in seconds.
    pub(crate) second: f64,
    /// Frames sent in it, and how many of them were lost.
    pub(crate) offered: u64,
    pub(crate) lost: u64,
    /// Frames that came back in it, and how long they took, in nanoseconds.
    pub(crate) returned: u64,
    pub(crate) p50: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// A load that changed over time.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Profiled {
    pub(crate) shape: String,
    pub(crate) frame_size: Mix,
    pub(crate) directions: Directions,
    pub(crate) trial: Trial,
    pub(crate) reloads: Vec<Moment>,
    pub(crate) slices: Vec<Slice>,
    pub(crate) curve: Vec<Point>,
}

/// Reloads under a credit-based load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Reloaded {
    pub(crate) frame_size: Mix,
    pub(crate) directions: Directions,
    pub(crate) window: u64,
    /// Every frame offered came back exactly once and right.
    pub(crate) every_frame_once: bool,
    pub(crate) trial: Trial,
    pub(crate) reloads: Vec<Moment>,
    pub(crate) slices: Vec<Slice>,
    pub(crate) curve: Vec<Point>,
}

/// The time series of a trial, both directions together; latencies are the slower one's.
pub(crate) fn slices(outcome: &Outcome, interval: f64) -> Vec<Slice> {
    let count = outcome.lanes.iter().map(|lane| lane.sent.by_interval.len()).max().unwrap_or(0);
    let mut slices: Vec<Slice> = (1..=count)
        .map(|number| Slice {
            second: number as f64 * interval,
            offered: 0,
            lost: 0,
            returned: 0,
            p50: 0,
            p999: 0,
            max: 0,
        })
        .collect();
    for lane in &outcome.lanes {
        let mut before = 0;
        let lost = lane.lost_by_interval();
        for ((slice, &sent), lost) in slices.iter_mut().zip(&lane.sent.by_interval).zip(lost) {
            slice.offered += sent - before;
            slice.lost += lost;
            before = sent;
        }
        for (slice, part) in slices.iter_mut().zip(&lane.returned.intervals) {
            slice.returned += part.returned;
            slice.p50 = slice.p50.max(part.p50);
            slice.p999 = slice.p999.max(part.p999);
            slice.max = slice.max.max(part.max);
        }
    }
    slices
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::trial::tests::outcome;

    /// A report with something of everything.
    pub(crate) fn report() -> Report {
        let trial = Trial::of(&outcome(1000, 10, 0.5));
        let mix = Mix::fixed(64).unwrap();
        let directions = Directions::Both;
        let spread = Spread { median: 5_000, p1: 4_000, p99: 9_000 };
        let curve = vec![
            Point { quantile: 0.0, nanos: 3_000 },
            Point { quantile: 0.5, nanos: 5_000 },
            Point { quantile: 0.999, nanos: 90_000 },
            Point { quantile: 1.0, nanos: 2_000_000 },
        ];
        let reloads = vec![Moment { began: 0.4, ended: 0.6, table: 1 }];
        Report {
            setting: Setting {
                version: "0.1.0 <test> & more".to_owned(),
                command: vec!["lwaftr-loadtest".to_owned()],
                began: 1_700_000_000,
                relay_config: "relay.toml".to_owned(),
                softwires: 1000,
                flows: 100,
                drivers: vec!["net_memif".to_owned()],
                memory: "ordinary pages".to_owned(),
                cpus: vec![0],
                cpu_model: "some CPU".to_owned(),
                line_gigabits: 10.0,
                trial_seconds: 1.0,
                loss_tolerance: 0.0,
                least_cpu_share: 0.99,
            },
            throughput: vec![Throughput {
                frame_size: mix.clone(),
                directions,
                line_rate: 1.008e7,
                rate: Some(2e6),
                gigabits: 1.984,
                trials: 11,
                limited_by_generator: true,
                best: Some(trial.clone()),
            }],
            loss: vec![Loss {
                frame_size: mix.clone(),
                directions,
                line_rate: 1.008e7,
                points: vec![
                    LossPoint { part: 1.0, intended_rate: 1.008e7, trial: trial.clone() },
                    LossPoint { part: 0.9, intended_rate: 9.07e6, trial: trial.clone() },
                ],
            }],
            latency: vec![Latency {
                frame_size: mix.clone(),
                directions,
                rate: 2e6,
                streams: 20,
                typical: spread,
                worst_case: spread,
                pdv: spread,
                ipdv_min: Spread { median: -2_000, p1: -3_000, p99: -1_000 },
                ipdv_median: Spread { median: 10, p1: 0, p99: 20 },
                ipdv_max: Spread { median: 2_500, p1: 1_000, p99: 3_000 },
                min: 3_000,
                max: 2_000_000,
                lost: 0,
                curve: curve.clone(),
            }],
            back_to_back: vec![BackToBack::of(
                mix.clone(),
                directions,
                1e6,
                &[1000.0, 2000.0, 3000.0],
                false,
            )],
            profiles: vec![Profiled {
                shape: "hold".to_owned(),
                frame_size: mix.clone(),
                directions,
                trial: trial.clone(),
                reloads: reloads.clone(),
                slices: slices(&outcome(1000, 10, 0.5), 0.5),
                curve: curve.clone(),
            }],
            reloads: vec![Reloaded {
                frame_size: mix,
                directions,
                window: 512,
                every_frame_once: false,
                trial,
                reloads,
                slices: slices(&outcome(1000, 10, 0.5), 0.5),
                curve,
            }],
        }
    }

    #[test]
    fn slices_tell_when_frames_were_lost() {
        let slices = slices(&outcome(1000, 10, 1.0), 0.5);
        assert_eq!(slices.len(), 2);
        assert_eq!((slices[0].offered, slices[0].lost, slices[1].lost), (500, 10, 0));
        assert_eq!(slices[1].second, 1.0);
    }

    #[test]
    fn json_has_every_figure() {
        let value = serde_json::to_value(report()).unwrap();
        assert_eq!(value["throughput"][0]["frame_size"], "64");
        assert_eq!(value["throughput"][0]["best"]["lanes"][0]["lost"], 10);
        assert_eq!(value["latency"][0]["typical"]["median"], 5_000);
        assert_eq!(value["reloads"][0]["reloads"][0]["table"], 1);
        assert_eq!(value["loss"][0]["directions"], "both");
        assert_eq!(value["latency"][0]["ipdv_min"]["median"], -2_000);
        let bursts = &value["back_to_back"][0];
        assert_eq!(
            (&bursts["average"], &bursts["min"], &bursts["max"]),
            (&2e3.into(), &1e3.into(), &3e3.into())
        );
        assert_eq!((&bursts["repeats"], &bursts["seconds"]), (&3.into(), &0.002.into()));
        assert!((bursts["standard_deviation"].as_f64().unwrap() - 816.5).abs() < 0.1);
    }
}
