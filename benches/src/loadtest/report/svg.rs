//! Plots as inline SVG: axes with round numbers, lines, bars and marks. Nothing is fetched.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 50.0;

const COLOURS: [&str; 8] =
    ["#1f6fb4", "#d1582b", "#3a8f3f", "#7a4fb0", "#a8830f", "#0f8f8f", "#c23b6f", "#666666"];

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Evenly, from 0.
    Linear,
    /// By their logarithm; what is not above 0 is put at the lower end.
    Log,
    /// Parts of a whole, ever wider towards it: 90 %, 99 %, 99.9 % are equally far apart.
    Nines,
}

/// An axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) title: &'static str,
    pub(super) scale: Scale,
    /// What values are divided by before they are shown.
    pub(super) unit: f64,
}

/// A line or a row of bars.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Escapes text for HTML and SVG.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// An axis with its range.
struct Ruler {
    scale: Scale,
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Ruler {
    fn new(axis: &Axis, values: impl Iterator<Item = f64>, (start, end): (f64, f64)) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let most = values.iter().copied().fold(0.0, f64::max);
        let (low, high) = match axis.scale {
            Scale::Linear => (0.0, if most > 0.0 { most * 1.05 } else { 1.0 }),
            Scale::Log => {
                let least = values.iter().copied().filter(|&value| value > 0.0);
                let least = least.fold(f64::INFINITY, f64::min).min(most.max(1e-9));
                let (low, high) = (least.log10().floor(), most.max(1e-9).log10().ceil());
                (low, high.max(low + 1.0))
            }
            Scale::Nines => {
                let least_rest = values.iter().map(|part| 1.0 - part).filter(|rest| *rest > 0.0);
                let least_rest = least_rest.fold(0.1, f64::min);
                (0.0, (-least_rest.log10()).ceil().max(1.0))
            }
        };
        Self { scale: axis.scale, low, high, start, end }
    }

    fn place(&self, value: f64) -> f64 {
        let at = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(1e-12).log10(),
            Scale::Nines => -(1.0 - value).max(1e-12).log10(),
        };
        let part = ((at - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.start + part * (self.end - self.start)
    }

    /// Values with a line and a number.
    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = round_step(self.high / 6.0);
                (0..)
                    .map(|number| f64::from(number) * step)
                    .take_while(|at| *at <= self.high)
                    .collect()
            }
            Scale::Log => {
                (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power)).collect()
            }
            Scale::Nines => (0..=self.high as i32).map(|nines| 1.0 - 10_f64.powi(-nines)).collect(),
        }
    }

    fn label(&self, value: f64, unit: f64) -> String {
        if self.scale == Scale::Nines {
            let nines = (-(1.0 - value).max(1e-12).log10()).round() as usize;
            return format!("{:.*} %", nines.saturating_sub(2), value * 100.0);
        }
        let text = format!("{:.6}", value / unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// 1, 2 or 5 times a power of ten, at least this.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(power * 10.0)
}

/// Starts a plot: title, axes and their numbers.
fn frame(title: &str, x: &Axis, y: &Axis, across: &Ruler, up: &Ruler, numbers: bool) -> String {
    let title = escaped(title);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n"
    );
    let (floor, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for tick in up.ticks() {
        let at = up.place(tick);
        let label = up.label(tick, y.unit);
        _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
        );
        _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for tick in if numbers { across.ticks() } else { Vec::new() } {
        let at = across.place(tick);
        let label = across.label(tick, x.unit);
        _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{floor}\"/>"
        );
        _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            floor + 16.0
        );
    }
    _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{floor}H{right}\"/>");
    _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 12.0,
        escaped(x.title)
    );
    _ = writeln!(
        svg,
        "<text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(TOP, floor),
        escaped(y.title)
    );
    svg
}

fn legend<'a>(svg: &mut String, names: impl Iterator<Item = &'a str>) {
    let mut at = LEFT + 8.0;
    for (name, colour) in names.zip(COLOURS.iter().cycle()) {
        _ = writeln!(
            svg,
            "<rect x=\"{at:.0}\" y=\"8\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
        );
        _ = writeln!(svg, "<text x=\"{:.0}\" y=\"18\">{}</text>", at + 17.0, escaped(name));
        at += 34.0 + 7.0 * name.chars().count() as f64;
    }
}

/// Lines through points. `marks` are stretches of the x axis that are shaded.
pub(super) fn lines(
    title: &str,
    x: &Axis,
    y: &Axis,
    series: &[Series],
    marks: &[(f64, f64)],
) -> String {
    let all = || series.iter().flat_map(|series| &series.points);
    let across = Ruler::new(x, all().map(|point| point.0), (LEFT, WIDTH - RIGHT));
    let up = Ruler::new(y, all().map(|point| point.1), (HEIGHT - BOTTOM, TOP));
    let mut svg = frame(title, x, y, &across, &up, true);
    for &(from, to) in marks {
        let (from, to) = (across.place(from), across.place(to));
        _ = writeln!(
            svg,
            "<rect class=\"mark\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"><title>reload</title></rect>",
            (to - from).max(2.0),
            HEIGHT - BOTTOM - TOP
        );
    }
    // The first one on top.
    let coloured: Vec<_> = series.iter().zip(COLOURS.iter().cycle()).collect();
    for (series, colour) in coloured.into_iter().rev() {
        let places: Vec<String> = series
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", across.place(point.0), up.place(point.1)))
            .collect();
        _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            places.join(" ")
        );
        if places.len() <= 40 {
            for (point, place) in series.points.iter().zip(&places) {
                let (cx, cy) = place.split_once(',').unwrap_or_default();
                let (px, py) = (across.label(point.0, x.unit), up.label(point.1, y.unit));
                _ = writeln!(
                    svg,
                    "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"3\" fill=\"{colour}\"><title>{px}: {py}</title></circle>"
                );
            }
        }
    }
    legend(&mut svg, series.iter().map(|series| &*series.name));
    svg + "</svg>\n"
}

/// Groups of bars, one group for each category. A series' points are (category, value).
pub(super) fn bars(
    title: &str,
    x: &Axis,
    y: &Axis,
    categories: &[String],
    series: &[Series],
) -> String {
    let values = || series.iter().flat_map(|series| &series.points).map(|point| point.1);
    let across = Ruler {
        scale: Scale::Linear,
        low: 0.0,
        high: categories.len().max(1) as f64,
        start: LEFT,
        end: WIDTH - RIGHT,
    };
    let up = Ruler::new(y, values(), (HEIGHT - BOTTOM, TOP));
    let mut svg = frame(title, x, y, &across, &up, false);
    let group = across.place(1.0) - across.place(0.0);
    let width = group * 0.8 / series.len().max(1) as f64;
    for (number, category) in categories.iter().enumerate() {
        let middle = across.place(number as f64 + 0.5);
        _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM + 16.0,
            escaped(category)
        );
    }
    for (number, (series, colour)) in series.iter().zip(COLOURS.iter().cycle()).enumerate() {
        for &(category, value) in &series.points {
            let left = across.place(category) + group * 0.1 + width * number as f64;
            let (top, floor) = (up.place(value), up.place(0.0));
            let label = up.label(value, y.unit);
            _ = writeln!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"><title>{}: {label}</title></rect>",
                width * 0.92,
                floor - top,
                escaped(&series.name)
            );
        }
    }
    legend(&mut svg, series.iter().map(|series| &*series.name));
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale) -> Axis {
        Axis { title: "a < b", scale, unit: 1.0 }
    }

    #[test]
    fn scales_put_values_where_they_belong() {
        let linear = Ruler::new(&axis(Scale::Linear), [10.0, 20.0].into_iter(), (0.0, 210.0));
        assert!((linear.place(10.0) - 100.0).abs() < 1e-9);
        assert_eq!(linear.ticks(), [0.0, 5.0, 10.0, 15.0, 20.0]);
        let log = Ruler::new(&axis(Scale::Log), [10.0, 900.0].into_iter(), (0.0, 200.0));
        assert!((log.place(100.0) - 100.0).abs() < 1e-9);
        assert_eq!(log.place(0.0), 0.0);
        assert_eq!(log.ticks(), [10.0, 100.0, 1000.0]);
        let nines = Ruler::new(&axis(Scale::Nines), [0.0, 0.999, 1.0].into_iter(), (0.0, 300.0));
        assert!(
            (nines.place(0.9) - 100.0).abs() < 1e-6 && (nines.place(0.99) - 200.0).abs() < 1e-6
        );
        assert_eq!(nines.place(1.0), 300.0);
        let labels: Vec<String> = nines.ticks().iter().map(|at| nines.label(*at, 1.0)).collect();
        assert_eq!(labels, ["0 %", "90 %", "99 %", "99.9 %"]);
        assert_eq!([0.7, 1.3, 4.2, 77.0].map(round_step), [1.0, 2.0, 5.0, 100.0]);
    }

    #[test]
    fn nothing_and_odd_values_make_a_plot_too() {
        for scale in [Scale::Linear, Scale::Log, Scale::Nines] {
            for points in [vec![], vec![(0.0, 0.0)], vec![(0.5, f64::NAN)]] {
                let series = [Series { name: "x".into(), points }];
                let svg = lines("t", &axis(scale), &axis(Scale::Log), &series, &[(0.0, 1.0)]);
                assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
                assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
            }
        }
        let svg = bars("t", &axis(Scale::Linear), &axis(Scale::Linear), &["64".into()], &[]);
        assert!(svg.contains(">64<"));
    }
}
