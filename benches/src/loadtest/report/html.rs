//! The report as one HTML file that needs nothing else.

use super::page::Page;
use super::svg::{self, Axis, Scale, Series};
use super::text;
use super::{Report, Slice};
use crate::delay::Point;
use crate::reload::Moment;

const MEGA: f64 = 1e6;
const MICRO: f64 = 1e3;

/// All of it.
pub(crate) fn html(report: &Report) -> String {
    let mut page = Page::new("lwaftr load test");
    let setting = &report.setting;
    let rows = [
        ("relay", setting.relay_config.clone()),
        ("softwires", setting.softwires.to_string()),
        ("flows", setting.flows.to_string()),
        ("generator", format!("lwaftr-loadtest {}", setting.version)),
        ("ports", setting.drivers.join(", ")),
        ("memory", setting.memory.clone()),
        ("CPU", format!("{} (generator on {:?})", setting.cpu_model, setting.cpus)),
        ("link", format!("{} Gbit/s", setting.line_gigabits)),
        ("trials", format!("{} s each", setting.trial_seconds)),
        ("began", format!("{} s after 1970", setting.began)),
        ("command", setting.command.join(" ")),
    ];
    let mut table = vec![vec!["setting".to_owned(), String::new()]];
    table.extend(rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]));
    page.table(&table);
    for warning in text::warnings(report) {
        page.warning(&warning);
    }
    throughput(&mut page, report);
    loss(&mut page, report);
    latency(&mut page, report);
    back_to_back(&mut page, report);
    over_time(&mut page, report);
    page.finish()
}

fn throughput(page: &mut Page, report: &Report) {
    if report.throughput.is_empty() {
        return;
    }
    page.section(
        "Throughput",
        "The highest rate at which no frame was lost (RFC 2544 section 26.1, RFC 8219 section \
         7.1), by binary search with loss verification (ETSI GS NFV-TST 009). Frames a second in \
         each direction, beside what the internal link could carry.",
    );
    let mut sizes: Vec<String> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for result in &report.throughput {
        let (size, name) = (result.frame_size.to_string(), result.directions.name());
        if !sizes.contains(&size) {
            sizes.push(size);
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let at = |size: &str| sizes.iter().position(|other| other == size).unwrap_or(0) as f64;
    let mut line: Vec<(f64, f64)> = Vec::new();
    for result in &report.throughput {
        let category = at(&result.frame_size.to_string());
        if !line.iter().any(|point| point.0 == category) {
            line.push((category, result.line_rate));
        }
    }
    let mut series = vec![Series { name: "line rate".to_owned(), points: line }];
    for name in names {
        let of = report.throughput.iter().filter(|result| result.directions.name() == name);
        let points = of.map(|r| (at(&r.frame_size.to_string()), r.rate.unwrap_or(0.0))).collect();
        series.push(Series { name: name.to_owned(), points });
    }
    let x =
        Axis { title: "frame size (bytes, IPv4 side, with FCS)", scale: Scale::Linear, unit: 1.0 };
    let y = Axis { title: "Mpps per direction", scale: Scale::Linear, unit: MEGA };
    page.plot(&svg::bars("Throughput by frame size", &x, &y, &sizes, &series));
    page.table(&text::throughput_rows(report));
}

fn loss(page: &mut Page, report: &Report) {
    if report.loss.is_empty() {
        return;
    }
    page.section(
        "Frame loss",
        "The part of the offered frames that did not come back, by the rate offered (RFC 2544 \
         section 26.3): from the highest rate down until two rates lost nothing.",
    );
    let series: Vec<Series> = report
        .loss
        .iter()
        .map(|curve| Series {
            name: format!("{} {}", curve.directions.name(), curve.frame_size),
            points: curve.points.iter().map(|p| (p.part, p.trial.loss_ratio)).collect(),
        })
        .collect();
    let x = Axis { title: "offered rate, % of the highest", scale: Scale::Linear, unit: 0.01 };
    let y = Axis { title: "frames lost, %", scale: Scale::Linear, unit: 0.01 };
    page.plot(&svg::lines("Frame loss by rate", &x, &y, &series, &[]));
    page.table(&text::loss_rows(report));
}

fn latency(page: &mut Page, report: &Report) {
    if report.latency.is_empty() {
        return;
    }
    page.section(
        "Latency",
        "From just before a frame was given to our port until it was taken from it, at the rate \
         shown. Typical: the median of a stream. Worst case: the 99.9th percentile. PDV: the \
         99.9th percentile less the smallest. IPDV: by how much longer a frame took than the one \
         sent before it, the smallest, median and largest difference (RFC 8219 sections 7.2 and \
         7.3). Each is the median over the streams.",
    );
    let named = |name: String, curve: &[Point]| Series { name, points: points(curve) };
    let series: Vec<Series> = report
        .latency
        .iter()
        .map(|result| {
            named(format!("{} {}", result.directions.name(), result.frame_size), &result.curve)
        })
        .collect();
    page.plot(&percentiles(&series));
    page.table(&text::latency_rows(report));
}

fn back_to_back(page: &mut Page, report: &Report) {
    if report.back_to_back.is_empty() {
        return;
    }
    page.section(
        "Back-to-back frames",
        "The longest burst at the highest rate of which no frame was lost, in frames (RFC 2544 \
         section 26.4, RFC 9004): average and standard deviation over the repetitions. A burst \
         that ends at the longest one tried means that the relay keeps up.",
    );
    page.table(&text::back_to_back_rows(report));
}

fn points(curve: &[Point]) -> Vec<(f64, f64)> {
    curve.iter().map(|point| (point.quantile, point.nanos as f64)).collect()
}

fn percentiles(series: &[Series]) -> String {
    let x = Axis { title: "percentile of the frames", scale: Scale::Nines, unit: 1.0 };
    let y = Axis { title: "latency, µs", scale: Scale::Log, unit: MICRO };
    svg::lines("Latency by percentile", &x, &y, series, &[])
}

fn over_time(page: &mut Page, report: &Report) {
    if !report.profiles.is_empty() {
        page.section("Load over time", "Both directions together; reloads are shaded.");
    }
    for result in &report.profiles {
        page.heading(&format!("{}, {} {}", result.shape, result.directions, result.frame_size));
        page.table(&text::trial_rows(&result.trial));
        time_plots(page, &result.slices, &result.reloads, &result.curve);
    }
    if !report.reloads.is_empty() {
        page.section(
            "Reloads under load",
            "Credit-based: no more than a window of frames is under way, so that a frame that does \
             not come back is lost by the relay and not by a full ring. Every frame must come back \
             exactly once, with every byte as the old or the new table makes it; after a reload, \
             as the new one. Reloads are shaded.",
        );
    }
    for result in &report.reloads {
        let verdict = if result.every_frame_once {
            "every frame came back exactly once"
        } else {
            "NOT every frame came back exactly once"
        };
        page.heading(&format!(
            "{} reloads, window {}: {verdict}",
            result.reloads.len(),
            result.window
        ));
        page.table(&text::trial_rows(&result.trial));
        time_plots(page, &result.slices, &result.reloads, &result.curve);
    }
}

fn time_plots(page: &mut Page, slices: &[Slice], reloads: &[Moment], curve: &[Point]) {
    let marks: Vec<(f64, f64)> =
        reloads.iter().map(|moment| (moment.began, moment.ended)).collect();
    let mut before = 0.0;
    let (mut offered, mut returned, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for slice in slices {
        let length = (slice.second - before).max(1e-9);
        before = slice.second;
        offered.push((slice.second, slice.offered as f64 / length));
        returned.push((slice.second, slice.returned as f64 / length));
        lost.push((slice.second, slice.lost as f64 / length));
    }
    let series = |name: &str, points| Series { name: name.to_owned(), points };
    let x = Axis { title: "seconds", scale: Scale::Linear, unit: 1.0 };
    let y = Axis { title: "frames a second, thousands", scale: Scale::Linear, unit: 1e3 };
    let rates = [series("offered", offered), series("returned", returned), series("lost", lost)];
    page.plot(&svg::lines("Frames over time", &x, &y, &rates, &marks));
    let of = |value: fn(&Slice) -> u64| {
        let with_frames = slices.iter().filter(|slice| slice.returned > 0);
        with_frames.map(|slice| (slice.second, value(slice) as f64)).collect::<Vec<_>>()
    };
    let delays = [
        series("median", of(|slice| slice.p50)),
        series("99.9 %", of(|slice| slice.p999)),
        series("slowest", of(|slice| slice.max)),
    ];
    let y = Axis { title: "latency, µs", scale: Scale::Log, unit: MICRO };
    page.plot(&svg::lines("Latency over time", &x, &y, &delays, &marks));
    page.plot(&percentiles(&[series("all frames", points(curve))]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    /// Tags open and close in order. Attribute values hold no angle brackets here.
    pub(crate) fn assert_well_formed(html: &str) {
        let mut open = Vec::new();
        for piece in html.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').expect("every tag ends");
            let name: String =
                tag.chars().take_while(|c| !c.is_whitespace() && *c != '/').collect();
            match tag {
                tag if tag.starts_with('!') || tag.ends_with('/') => {}
                _ if name == "meta" => {}
                tag if tag.starts_with('/') => assert_eq!(open.pop().as_deref(), Some(&tag[1..])),
                _ => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn the_page_is_well_formed_and_fetches_nothing() {
        let html = html(&report());
        assert_well_formed(&html);
        for word in ["http:", "https:", "src=", "href=", "<script", "url("] {
            assert!(!html.contains(word), "{word}");
        }
        for word in [
            "Throughput by frame size",
            "line rate",
            "Frame loss by rate",
            "99.9 %",
            "class=\"mark\"",
            "Latency over time",
        ] {
            assert!(html.contains(word), "{word}");
        }
        assert!(html.contains("0.1.0 &lt;test&gt; &amp; more"), "text is escaped");
        assert!(html.contains("NOT every frame"));
    }

    #[test]
    fn an_empty_report_is_a_page_too() {
        let mut report = report();
        report.throughput.clear();
        report.loss.clear();
        report.latency.clear();
        report.profiles.clear();
        report.reloads.clear();
        let html = html(&report);
        assert_well_formed(&html);
        assert!(!html.contains("<svg"));
    }
}
