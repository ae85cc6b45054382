//! Alarms are raised once and cleared once, each at its limit.

use super::*;
use crate::config::ReasonRate;
use crate::control::testing;
use crate::telemetry::LinkStatus;

struct Watch {
    judge: Judge,
    config: Config,
    sample: Sample,
}

impl Watch {
    fn new() -> Self {
        let worker = WorkerReading::default();
        let sample = Sample { workers: vec![worker, worker], ..Sample::default() };
        Self { judge: Judge::default(), config: testing::config().0, sample }
    }

    /// Looks once a second for so long, after `each` has changed what is seen; says when which
    /// alarms are raised and when not any more.
    fn seconds(&mut self, seconds: u64, mut each: impl FnMut(&mut Sample)) -> Vec<String> {
        let mut said = Vec::new();
        for second in 1..=seconds {
            self.sample.at += Duration::from_secs(1);
            for worker in &mut self.sample.workers {
                worker.rounds += 1;
            }
            each(&mut self.sample);
            let names = |alarms: &[Alarm]| -> Vec<String> {
                let name = |alarm: &Alarm| format!("{} {}", alarm.kind.name(), alarm.about);
                alarms.iter().map(name).collect()
            };
            let before = names(&self.judge.raised);
            let now = names(&self.judge.take(self.sample.clone(), &self.config));
            let new = now.iter().filter(|name| !before.contains(name));
            said.extend(new.map(|name| format!("{second} + {name}")));
            let over = before.iter().filter(|name| !now.contains(name));
            said.extend(over.map(|name| format!("{second} - {name}")));
        }
        said
    }
}

fn drop(sample: &mut Sample, reason: DropReason, frames: u64) {
    sample.interfaces[0].drops[reason.index()].packets += frames;
}

#[test]
fn a_rate_around_its_limit_is_one_alarm() {
    let mut watch = Watch::new();
    let reason = DropReason::NotOurMac;
    assert_eq!(watch.seconds(20, |sample| drop(sample, reason, 990)), [""; 0]);
    let raised = watch.seconds(20, |sample| drop(sample, reason, 1_100));
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert!(raised[0].ends_with("+ drop-rate not-our-mac"), "{raised:?}");
    let mut even = false;
    let around = watch.seconds(60, |sample| {
        even = !even;
        drop(sample, reason, if even { 700 } else { 1_200 });
    });
    assert_eq!(around, [""; 0]);
    let over = watch.seconds(20, |_| {});
    assert_eq!(over.len(), 1);
    assert!(over[0].ends_with("- drop-rate not-our-mac"), "{over:?}");
}

#[test]
fn a_reason_may_have_a_limit_of_its_own() {
    let mut watch = Watch::new();
    let rate = |reason, rate| ReasonRate { reason, rate };
    watch.config.alarms.drop_rates =
        vec![rate(DropReason::NoSoftwire, 0), rate(DropReason::TooBig, 10)];
    let said = watch.seconds(20, |sample| {
        drop(sample, DropReason::NoSoftwire, 1_000_000);
        drop(sample, DropReason::TooBig, 11);
    });
    assert_eq!(said, ["6 + drop-rate too-big"]);
}

#[test]
fn limiters_ports_and_the_table() {
    let mut watch = Watch::new();
    watch.config.alarms.table_age = 30;
    let said = watch.seconds(12, |sample| {
        sample.interfaces[1].suppressed_errors += 100;
        sample.ports[0].rx_missed += 1;
        sample.ports[1].rx_nombuf += 1;
        sample.table_age += Duration::from_secs(3);
    });
    assert_eq!(
        said,
        [
            "6 + rate-limiter-active suppressed-errors",
            "6 + port-misses-packets net_null0",
            "6 + port-misses-packets net_null1",
            "10 + table-stale binding table",
        ]
    );
    let said = watch.seconds(12, |sample| sample.table_age = Duration::ZERO);
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(said[0], "1 - table-stale binding table");
}

#[test]
fn a_link_that_flaps_is_one_alarm() {
    let mut watch = Watch::new();
    let set = |sample: &mut Sample, up| {
        sample.ports[0].link = Some(LinkStatus { up, megabits: None });
    };
    assert_eq!(watch.seconds(5, |sample| set(sample, true)), [""; 0]);
    let mut up = true;
    let said = watch.seconds(10, |sample| {
        up = !up;
        set(sample, up);
    });
    assert_eq!(said, ["1 + link-down net_null0"]);
    assert_eq!(watch.seconds(9, |sample| set(sample, true)), ["2 - link-down net_null0"]);
}

#[test]
fn few_buffers_and_busy_or_stalled_workers() {
    let mut watch = Watch::new();
    let pool = |free| vec![PoolStats { name: "small", capacity: 1_000, free }];
    assert_eq!(watch.seconds(3, |sample| sample.pools = pool(101)), [""; 0]);
    let said = watch.seconds(3, |sample| sample.pools = pool(100));
    assert_eq!(said, ["1 + mempool-low pool small"]);
    assert_eq!(watch.seconds(3, |sample| sample.pools = pool(150)), [""; 0]);
    assert_eq!(watch.seconds(1, |sample| sample.pools = pool(151)), ["1 - mempool-low pool small"]);

    let mut watch = Watch::new();
    let busy = |sample: &mut Sample, ms| sample.workers[1].busy += Duration::from_millis(ms);
    assert_eq!(watch.seconds(20, |sample| busy(sample, 940)), [""; 0]);
    let said = watch.seconds(20, |sample| busy(sample, 990));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("+ worker-overloaded worker 1"), "{said:?}");
    assert_eq!(watch.seconds(20, |sample| busy(sample, 860)), [""; 0]);
    assert_eq!(watch.seconds(20, |sample| busy(sample, 500)).len(), 1);

    // Its rounds stand still: what is added is taken away.
    let said = watch.seconds(5, |sample| sample.workers[0].rounds -= 1);
    assert_eq!(said, ["3 + worker-stalled worker 0"]);
    assert_eq!(watch.seconds(5, |_| {}), ["1 - worker-stalled worker 0"]);
}

/// RFC 6333 section 6.3: the operator hears of it before fragments have to go.
#[test]
fn reassembly_that_is_nearly_full() {
    // Of two workers' halves of 16384 packets and 64 MiB.
    let mut watch = Watch::new();
    let waits = |sample: &mut Sample, packets, bytes| {
        sample.workers[1].reassembly = [packets, bytes];
    };
    let (most, bytes) = (8_192, 32 << 20);
    assert_eq!(watch.seconds(3, |sample| waits(sample, most * 4 / 5, bytes * 4 / 5)), [""; 0]);
    let said = watch.seconds(3, |sample| waits(sample, most * 4 / 5 + 1, 0));
    assert_eq!(said, ["1 + reassembly-low worker 1"]);
    assert_eq!(watch.seconds(3, |sample| waits(sample, 0, bytes * 7 / 10 + 1)), [""; 0]);
    let said = watch.seconds(3, |sample| waits(sample, 0, bytes * 7 / 10));
    assert_eq!(said, ["1 - reassembly-low worker 1"]);
    assert_eq!(watch.seconds(3, |sample| waits(sample, 0, bytes)).len(), 1);
    watch.config.alarms.reassembly_free = 0;
    assert_eq!(watch.seconds(1, |sample| waits(sample, most, bytes)).len(), 1);
}
