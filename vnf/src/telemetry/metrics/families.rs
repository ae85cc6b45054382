//! Families of metrics as they are put together for one scrape.

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

/// Labels of one sample, names and values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The families of one scrape, in the order they are shown.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<MetricFamily>);

/// One family, whose samples are added one by one.
pub(super) struct Family<'a>(&'a mut MetricFamily);

impl Families {
    /// A counter: it only grows.
    pub(super) fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(MetricType::COUNTER, name, help)
    }

    /// A gauge: what is there now.
    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(MetricType::GAUGE, name, help)
    }

    /// A histogram.
    pub(super) fn histogram(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(MetricType::HISTOGRAM, name, help)
    }

    fn family(&mut self, kind: MetricType, name: &str, help: &str) -> Family<'_> {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.trim().to_owned());
        family.set_field_type(kind);
        let position = self.0.len();
        self.0.push(family);
        Family(&mut self.0[position])
    }

    /// What every process has: memory, CPU time, open files.
    pub(super) fn process(&mut self) {
        self.0.extend(ProcessCollector::for_self().collect());
    }

    /// In the text format 0.0.4. Families that nobody has given a sample are left out.
    pub(super) fn text(mut self) -> String {
        self.0.retain(|family| !family.get_metric().is_empty());
        let mut text = Vec::new();
        // It can only fail for families without a name or samples, and in writing.
        let encoded = TextEncoder::new().encode(&self.0, &mut text);
        debug_assert!(encoded.is_ok(), "{encoded:?}");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) -> &mut Self {
        let mut metric = labelled(labels);
        if self.0.get_field_type() == MetricType::COUNTER {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.push(metric)
    }

    /// Adds a histogram: its count, its sum, and how many values each upper bound has below it.
    pub(super) fn buckets(
        &mut self,
        labels: Labels<'_>,
        count: u64,
        sum: f64,
        buckets: impl Iterator<Item = (f64, u64)>,
    ) -> &mut Self {
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(count);
        histogram.set_sample_sum(sum);
        let bucket = |(bound, below)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(below);
            bucket
        };
        histogram.set_bucket(buckets.map(bucket).collect());
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        self.push(metric)
    }

    fn push(&mut self, metric: Metric) -> &mut Self {
        self.0.mut_metric().push(metric);
        self
    }
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}
