//! What of counters, ports, workers and pools is worth an alarm. Rates are means over the last ten
//! seconds, and an alarm stays until its rate is well below what raised it: what goes up and down
//! around a limit is one alarm, not many.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Config;
use crate::lwaftr::Fragments;
use crate::side::Side;
use crate::telemetry::{
    Alarm, AlarmKind, DropReason, InterfaceTotals, PoolStats, PortStats, WorkerReading,
};

/// Samples that a rate is taken over, one a second.
const WINDOW: usize = 10;

/// Over less than this a rate is none yet.
const ENOUGH: Duration = Duration::from_secs(5);

/// Samples in a row that a link must be up in for its alarm to be over.
const STEADY: usize = 3;

/// Per cent of its time that a worker must be less busy than what raised the alarm.
const RELIEF: f64 = 10.0;

/// One look at an instance.
#[derive(Debug, Clone, Default)]
pub(in crate::control) struct Sample {
    /// Time since the start.
    pub(in crate::control) at: Duration,
    pub(in crate::control) interfaces: [InterfaceTotals; 2],
    pub(in crate::control) ports: [PortStats; 2],
    pub(in crate::control) workers: Vec<WorkerReading>,
    pub(in crate::control) pools: Vec<PoolStats>,
    /// Time since the binding table was loaded or edited.
    pub(in crate::control) table_age: Duration,
}

/// Looks, and what they came to.
#[derive(Debug, Default)]
pub(super) struct Judge {
    samples: VecDeque<Sample>,
    raised: Vec<Alarm>,
    /// For how many looks each worker has made no progress.
    stalls: Vec<u32>,
}

/// Something measured, and the limits that it is measured by.
struct Measured {
    kind: AlarmKind,
    side: Option<Side>,
    about: String,
    value: f64,
    /// Raises an alarm from here on; 0: never.
    raises: f64,
    /// Keeps it up from here on.
    keeps: f64,
    text: String,
}

impl Judge {
    /// Takes another look, and says what is wrong by now.
    pub(super) fn take(&mut self, sample: Sample, config: &Config) -> Vec<Alarm> {
        self.count_stalls(&sample);
        if self.samples.len() > WINDOW {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        let measured = [
            self.links(config),
            self.drops(config),
            self.suppressed(config),
            self.missed(config),
            self.pools(config),
            self.reassembly(config),
            self.workers(config),
            self.table(config),
        ];
        let alarms = measured.into_iter().flatten().filter_map(|one| self.judge(one)).collect();
        self.raised.clone_from(&alarms);
        alarms
    }

    fn judge(&self, measured: Measured) -> Option<Alarm> {
        let Measured { kind, side, about, value, raises, keeps, text } = measured;
        let alarm = Alarm { kind, side, about, text };
        let is_raised = || {
            let mut raised = self.raised.iter();
            raised.any(|one| (one.kind, one.side, &one.about) == (kind, side, &alarm.about))
        };
        let is_wrong = raises > 0.0 && (value >= raises || value >= keeps && is_raised());
        is_wrong.then_some(alarm)
    }

    fn last(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// How much a counter grew each second; 0 while the looks do not go back far enough.
    fn rate(&self, counter: impl Fn(&Sample) -> Option<f64>) -> f64 {
        let growth = || {
            let (first, last) = (self.samples.front()?, self.samples.back()?);
            let time = last.at.checked_sub(first.at).filter(|&time| time >= ENOUGH)?;
            Some((counter(last)? - counter(first)?) / time.as_secs_f64())
        };
        growth().unwrap_or_default()
    }

    fn per_side(&self, counter: impl Fn(&Sample, Side) -> u64, side: Side) -> f64 {
        self.rate(|sample| Some(counter(sample, side) as f64))
    }

    fn links(&self, config: &Config) -> Vec<Measured> {
        let sides = sides_with_ports(config).filter_map(|(side, port)| {
            self.last()?.ports[side.index()].link?;
            let is_down =
                |sample: &&Sample| sample.ports[side.index()].link.is_some_and(|link| !link.up);
            let down_for = self.samples.iter().rev().take_while(is_down).count();
            let lately = self.samples.iter().rev().take(STEADY).filter(is_down).count();
            Some(Measured {
                kind: AlarmKind::LinkDown,
                side: Some(side),
                about: port.to_owned(),
                value: if down_for > 0 { 2.0 } else { f64::from(u8::from(lately > 0)) },
                raises: 2.0,
                keeps: 1.0,
                text: "nothing is sent or received".to_owned(),
            })
        });
        sides.collect()
    }

    fn drops(&self, config: &Config) -> Vec<Measured> {
        let both = Side::BOTH
            .into_iter()
            .flat_map(|side| DropReason::ALL.iter().map(move |reason| (side, *reason)));
        let measured = both.map(|(side, reason)| {
            let dropped = |sample: &Sample, side: Side| {
                sample.interfaces[side.index()].drops[reason.index()].packets
            };
            let rate = self.per_side(dropped, side);
            let about = reason.name().to_owned();
            let limit = config.alarms.drop_rate(reason);
            rate_of(AlarmKind::DropRate, side, about, rate, limit, "frames a second are dropped")
        });
        measured.collect()
    }

    fn suppressed(&self, config: &Config) -> Vec<Measured> {
        let limit = config.alarms.suppressed_rate;
        let of_side = |side: Side| {
            let suppressed =
                |sample: &Sample, side: Side| sample.interfaces[side.index()].suppressed_errors;
            let rate = self.per_side(suppressed, side);
            let about = "suppressed-errors".to_owned();
            rate_of(AlarmKind::RateLimiterActive, side, about, rate, limit, "a second are not sent")
        };
        Side::BOTH.map(of_side).into()
    }

    fn missed(&self, config: &Config) -> Vec<Measured> {
        let limit = config.alarms.missed_rate;
        let sides = sides_with_ports(config).map(|(side, port)| {
            let missed = |sample: &Sample, side: Side| {
                let PortStats { rx_missed, rx_nombuf, .. } = sample.ports[side.index()];
                rx_missed + rx_nombuf
            };
            let rate = self.per_side(missed, side);
            let (kind, about) = (AlarmKind::PortMissesPackets, port.to_owned());
            rate_of(kind, side, about, rate, limit, "frames a second are lost")
        });
        sides.collect()
    }

    fn pools(&self, config: &Config) -> Vec<Measured> {
        let free = f64::from(config.alarms.mempool_free);
        let pools = self.last().into_iter().flat_map(|sample| &sample.pools);
        let measured = pools.filter(|pool| pool.capacity > 0).map(|pool| {
            let share = 100.0 * f64::from(pool.free) / f64::from(pool.capacity);
            Measured {
                kind: AlarmKind::MempoolLow,
                side: None,
                about: format!("pool {}", pool.name),
                value: 100.0 - share,
                raises: if free > 0.0 { 100.0 - free } else { 0.0 },
                keeps: 100.0 - 1.5 * free,
                text: format!("{} of {} buffers are free", pool.free, pool.capacity),
            }
        });
        measured.collect()
    }

    fn reassembly(&self, config: &Config) -> Vec<Measured> {
        let free = f64::from(config.alarms.reassembly_free);
        let Some(sample) = self.last() else { return Vec::new() };
        let workers = sample.workers.len();
        let limits = [config.fragments.packets, config.fragments.bytes]
            .map(|limit| Fragments::share(limit, workers) as f64);
        let measured = sample.workers.iter().enumerate().map(|(number, worker)| {
            let [packets, bytes] = worker.reassembly;
            let shares = [packets as f64 / limits[0], bytes as f64 / limits[1]];
            Measured {
                kind: AlarmKind::ReassemblyLow,
                side: Some(Side::Internal),
                about: format!("worker {number}"),
                value: 100.0 * shares[0].max(shares[1]),
                raises: if free > 0.0 { 100.0 - free } else { 0.0 },
                keeps: 100.0 - 1.5 * free,
                text: format!("{packets} packets wait for fragments, in {bytes} bytes"),
            }
        });
        measured.collect()
    }

    fn workers(&self, config: &Config) -> Vec<Measured> {
        let limits = &config.alarms;
        let measured = self.stalls.iter().enumerate().flat_map(|(number, &looks)| {
            let about = format!("worker {number}");
            let busy = |sample: &Sample| Some(sample.workers.get(number)?.busy.as_secs_f64());
            // Two clocks, read at different times, may come to a little more.
            let busy = (100.0 * self.rate(busy)).min(100.0);
            let stalled = Measured {
                kind: AlarmKind::WorkerStalled,
                side: None,
                about: about.clone(),
                value: f64::from(looks),
                raises: f64::from(limits.worker_stall),
                keeps: f64::from(limits.worker_stall),
                text: format!("no progress for {looks} s"),
            };
            let most = f64::from(limits.worker_busy);
            let overloaded = Measured {
                kind: AlarmKind::WorkerOverloaded,
                side: None,
                about,
                value: busy,
                raises: most,
                keeps: most - RELIEF,
                text: format!("busy {busy:.0} per cent of its time"),
            };
            [stalled, overloaded]
        });
        measured.collect()
    }

    fn table(&self, config: &Config) -> Vec<Measured> {
        let Some(sample) = self.last() else { return Vec::new() };
        let (age, most) = (sample.table_age.as_secs_f64(), f64::from(config.alarms.table_age));
        vec![Measured {
            kind: AlarmKind::TableStale,
            side: None,
            about: "binding table".to_owned(),
            value: age,
            raises: most,
            keeps: most,
            text: format!("loaded or edited {age:.0} s ago"),
        }]
    }

    /// Looks are counted, not seconds: a process that was stopped as a whole has workers that have
    /// not had their chance yet.
    fn count_stalls(&mut self, sample: &Sample) {
        self.stalls.resize(sample.workers.len(), 0);
        let Some(before) = self.samples.back() else { return };
        for ((stall, now), before) in
            self.stalls.iter_mut().zip(&sample.workers).zip(&before.workers)
        {
            *stall = if now.rounds == before.rounds { *stall + 1 } else { 0 };
        }
    }
}

/// A rate that keeps its alarm up as long as it is half of what raised it.
fn rate_of(
    kind: AlarmKind,
    side: Side,
    about: String,
    rate: f64,
    limit: u32,
    words: &str,
) -> Measured {
    let raises = f64::from(limit);
    let text = format!("{rate:.0} {words}");
    Measured { kind, side: Some(side), about, value: rate, raises, keeps: raises / 2.0, text }
}

/// The sides whose ports are to be looked at; one that both share is looked at once.
fn sides_with_ports(config: &Config) -> impl Iterator<Item = (Side, &str)> {
    let both = [(Side::External, &*config.external.port), (Side::Internal, &*config.internal.port)];
    both.into_iter().take(if config.on_a_stick() { 1 } else { 2 })
}

#[cfg(test)]
mod tests;
