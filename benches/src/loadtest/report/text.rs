//! Tables: for the terminal, and rows for the page.

use std::fmt::Write as _;

use super::{Report, Trial};
use crate::rate::shown;

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn micros(nanos: u64) -> String {
    format!("{:.1}", nanos as f64 / 1000.0)
}

fn signed_micros(nanos: i64) -> String {
    format!("{:.1}", nanos as f64 / 1000.0)
}

fn percent(part: f64) -> String {
    format!("{:.4}", part * 100.0)
}

pub(super) fn throughput_rows(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "direction",
        "frame size",
        "throughput",
        "% of line",
        "Gbit/s",
        "line rate",
        "trials",
    ])];
    for result in &report.throughput {
        let rate = result.rate.unwrap_or(0.0);
        let mark = if result.limited_by_generator { " (generator)" } else { "" };
        rows.push(vec![
            result.directions.name().to_owned(),
            result.frame_size.to_string(),
            result.rate.map_or("none".to_owned(), |rate| shown(rate) + mark),
            format!("{:.1}", rate / result.line_rate * 100.0),
            format!("{:.2}", result.gigabits),
            shown(result.line_rate),
            result.trials.to_string(),
        ]);
    }
    rows
}

pub(super) fn loss_rows(report: &Report) -> Vec<Vec<String>> {
    let mut rows =
        vec![row(["direction", "frame size", "% of highest", "offered", "lost", "lost, %"])];
    for curve in &report.loss {
        for point in &curve.points {
            rows.push(vec![
                curve.directions.name().to_owned(),
                curve.frame_size.to_string(),
                format!("{:.0}", point.part * 100.0),
                shown(point.trial.offered_rate),
                point.trial.sum(|lane| lane.lost).to_string(),
                percent(point.trial.loss_ratio),
            ]);
        }
    }
    rows
}

pub(super) fn latency_rows(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "direction",
        "frame size",
        "rate",
        "streams",
        "typical, µs",
        "worst case, µs",
        "PDV, µs",
        "IPDV, µs",
        "smallest",
        "largest",
        "lost",
    ])];
    for result in &report.latency {
        rows.push(vec![
            result.directions.name().to_owned(),
            result.frame_size.to_string(),
            shown(result.rate),
            result.streams.to_string(),
            micros(result.typical.median),
            micros(result.worst_case.median),
            micros(result.pdv.median),
            format!(
                "{} / {} / {}",
                signed_micros(result.ipdv_min.median),
                signed_micros(result.ipdv_median.median),
                signed_micros(result.ipdv_max.median),
            ),
            micros(result.min),
            micros(result.max),
            result.lost.to_string(),
        ]);
    }
    rows
}

pub(super) fn back_to_back_rows(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "direction",
        "frame size",
        "rate",
        "longest burst",
        "deviation",
        "smallest",
        "largest",
        "ms",
        "times",
    ])];
    for result in &report.back_to_back {
        let mark = if result.limited_by_generator { " (generator)" } else { "" };
        rows.push(vec![
            result.directions.name().to_owned(),
            result.frame_size.to_string(),
            shown(result.rate),
            format!("{:.0}{mark}", result.average),
            format!("{:.0}", result.standard_deviation),
            format!("{:.0}", result.min),
            format!("{:.0}", result.max),
            format!("{:.3}", result.seconds * 1000.0),
            result.repeats.to_string(),
        ]);
    }
    rows
}

/// Each direction of a trial.
pub(super) fn trial_rows(trial: &Trial) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "direction",
        "offered",
        "returned",
        "lost",
        "duplicates",
        "corrupt",
        "misdirected",
        "reordered",
        "by table",
    ])];
    for lane in &trial.lanes {
        let tables: Vec<String> = lane.by_table.iter().map(u64::to_string).collect();
        rows.push(vec![
            lane.direction.name().to_owned(),
            lane.offered.to_string(),
            lane.returned.to_string(),
            lane.lost.to_string(),
            lane.duplicates.to_string(),
            lane.corrupt.to_string(),
            lane.misdirected.to_string(),
            lane.reordered.to_string(),
            tables.join(" / "),
        ]);
    }
    rows
}

/// What makes figures doubtful.
pub(super) fn warnings(report: &Report) -> Vec<String> {
    let trials = report
        .throughput
        .iter()
        .filter_map(|result| result.best.as_ref())
        .chain(report.loss.iter().flat_map(|curve| curve.points.iter().map(|p| &p.trial)))
        .chain(report.profiles.iter().map(|result| &result.trial))
        .chain(report.reloads.iter().map(|result| &result.trial));
    let trials: Vec<&Trial> = trials.collect();
    let mut warnings = Vec::new();
    let disturbed = trials.iter().filter(|trial| trial.disturbed).count();
    if disturbed > 0 {
        let least = report.setting.least_cpu_share * 100.0;
        warnings.push(format!(
            "{disturbed} of the trials behind these figures had less than {least:.0} % of a core \
             for the generator or a worker, at every attempt: other programs run on these CPUs, \
             and losses may be theirs."
        ));
    }
    let wrong: u64 = trials.iter().map(|trial| trial.wrong()).sum();
    if wrong > 0 {
        warnings.push(format!(
            "{wrong} frames came back twice, with wrong bytes, or in a wrong tunnel."
        ));
    }
    if report.throughput.iter().any(|result| result.limited_by_generator)
        || report.back_to_back.iter().any(|result| result.limited_by_generator)
    {
        warnings.push(
            "Some rates are the generator's limit: the relay can do more. More CPUs for the \
             generator (--cpus) help."
                .to_owned(),
        );
    }
    warnings
}

/// All of it, for the terminal.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    let sections = [
        ("Throughput", !report.throughput.is_empty(), throughput_rows(report)),
        ("Frame loss", !report.loss.is_empty(), loss_rows(report)),
        ("Latency", !report.latency.is_empty(), latency_rows(report)),
        ("Back-to-back frames", !report.back_to_back.is_empty(), back_to_back_rows(report)),
    ];
    for (title, is_there, rows) in sections {
        if is_there {
            _ = writeln!(text, "{title}\n{}", aligned(&rows));
        }
    }
    for result in &report.profiles {
        let (shape, reloads) = (&result.shape, result.reloads.len());
        _ = writeln!(text, "Load over time: {shape}, {reloads} reloads");
        _ = writeln!(text, "{}", aligned(&trial_rows(&result.trial)));
    }
    for result in &report.reloads {
        let verdict = if result.every_frame_once { "every" } else { "NOT every" };
        let (reloads, window) = (result.reloads.len(), result.window);
        _ = writeln!(
            text,
            "{reloads} reloads, window {window}: {verdict} frame came back exactly once"
        );
        _ = writeln!(text, "{}", aligned(&trial_rows(&result.trial)));
    }
    for warning in warnings(report) {
        _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// Columns as wide as their widest cell, numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for ((number, cell), width) in row.iter().enumerate().zip(&widths) {
            _ = if number == 0 {
                write!(text, "  {cell:<width$}")
            } else {
                write!(text, "  {cell:>width$}")
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn columns_are_aligned() {
        let rows = [row(["a", "bb"]), row(["ccc", "d"])];
        assert_eq!(aligned(&rows), "  a    bb\n  ccc   d\n");
    }

    #[test]
    fn a_person_reads_every_result() {
        let mut report = report();
        let said = text(&report);
        for word in [
            "2.000 Mpps (generator)",
            "19.8",
            "1.0000",
            "5.0",
            "-2.0 / 0.0 / 2.5",
            "Back-to-back frames",
            "2.000",
            "NOT every frame",
            "warning: Some rates",
        ] {
            assert!(said.contains(word), "{word} is not in\n{said}");
        }
        assert!(!said.contains("had less than"));
        report.loss[0].points[0].trial.disturbed = true;
        report.loss[0].points[0].trial.lanes[0].corrupt = 3;
        let said = text(&report);
        assert!(said.contains("1 of the trials") && said.contains("3 frames came back"), "{said}");
    }
}
