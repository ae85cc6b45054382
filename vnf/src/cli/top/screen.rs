//! The screen of `lwaftr top`: 80 by 24 characters, more if there are more.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row, Sparkline, Table};

use super::model::{Busiest, Drops, Model, Order};
use crate::cli::softwire_top::short;
use crate::side::Side;
use crate::telemetry::LatencyKind;

const HEAD: Style = Style::new().add_modifier(Modifier::DIM);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let [title, throughput, latency, lower, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Length(7),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [drops, right] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(lower);
    let workers_height = (model.workers.len() as u16 + 2).clamp(3, (right.height / 2).max(3));
    let [workers, softwires] =
        Layout::vertical([Constraint::Length(workers_height), Constraint::Fill(1)]).areas(right);
    draw_title(frame, title, model);
    draw_throughput(frame, throughput, model);
    draw_latency(frame, latency, model);
    draw_drops(frame, drops, model);
    draw_workers(frame, workers, model);
    draw_softwires(frame, softwires, model);
    draw_keys(frame, keys, model);
    if model.help {
        draw_help(frame);
    }
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    if let Some(words) = &model.gone {
        let words = format!(" NO ANSWER, trying again: {words}");
        return frame.render_widget(Paragraph::new(words).white().on_red().bold(), area);
    }
    let status = model.status();
    let number = |key: &str| status[key].as_u64().unwrap_or_default();
    let name = status["name"].as_str().unwrap_or("...");
    let mut spans = vec![
        Span::from(format!(" {name} ")).bold(),
        Span::from(format!(
            " up {}   {} softwires   {} workers ",
            duration(number("uptime-seconds")),
            number("softwires"),
            number("workers")
        )),
    ];
    spans.push(match &model.alarms[..] {
        [] => Span::from("  no alarms").green(),
        [only] => Span::from(format!("  ALARM {only}")).red().bold(),
        [first, rest @ ..] => {
            Span::from(format!("  {} ALARMS {first}", rest.len() + 1)).red().bold()
        }
    });
    frame.render_widget(Line::from(spans), area);
}

/// 93784 seconds as `1 d 02:03`.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match days {
        0 => format!("{hours:02}:{minutes:02}:{:02}", seconds % 60),
        _ => format!("{days} d {hours:02}:{minutes:02}"),
    }
}

fn block(title: &str) -> Block<'_> {
    Block::bordered().title(Span::from(title).bold()).border_style(Style::new().dim())
}

/// Splits what is inside a frame: a table, and beside it a history as wide as there is room.
fn beside(frame: &mut Frame<'_>, area: Rect, title: &str, table: u16) -> [Rect; 2] {
    let block = block(title);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    Layout::horizontal([Constraint::Length(table), Constraint::Fill(1)]).spacing(1).areas(inside)
}

fn draw_throughput(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let [left, right] = beside(frame, area, "Throughput, per second", 57);
    let header = ["", "in packets", "bits", "out packets", "bits", "drops"].map(right_aligned);
    let rows = Side::BOTH.map(|side| {
        let rates = model.throughput[side.index()];
        let figures =
            [rates.in_packets, rates.in_bits, rates.out_packets, rates.out_bits, rates.drops];
        let mut cells = vec![Line::from(side.name())];
        cells.extend(figures.map(|figure| Line::from(short(figure)).alignment(Alignment::Right)));
        let drops = if rates.drops > 0.0 { Style::new().yellow() } else { Style::new() };
        if let Some(last) = cells.last_mut() {
            *last = last.clone().style(drops);
        }
        Row::new(cells)
    });
    let widths = [8, 10, 9, 12, 9, 9].map(Constraint::Length);
    let table = Table::new(rows, widths).header(Row::new(header).style(HEAD)).column_spacing(0);
    frame.render_widget(table, left);
    history(frame, right, "packets in", &model.packets_history, Color::Green);
}

fn right_aligned(text: &'static str) -> Line<'static> {
    Line::from(text).alignment(Alignment::Right)
}

fn history(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    values: &std::collections::VecDeque<u64>,
    color: Color,
) {
    let [head, graph] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let newest = values.iter().skip(values.len().saturating_sub(usize::from(graph.width)));
    let shown: Vec<u64> = newest.copied().collect();
    frame.render_widget(Paragraph::new(title.to_owned()).style(HEAD), head);
    frame.render_widget(Sparkline::default().data(&shown).style(color), graph);
}

fn draw_latency(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let [left, right] = beside(frame, area, "Latency in the last interval", 57);
    let header = ["", "packet/s", "p50", "p99", "p99.9", "max"].map(right_aligned);
    let rows = LatencyKind::ALL.map(|kind| {
        let latency = model.latency[kind as usize];
        let mut cells = vec![Line::from(kind.name())];
        let figures = [latency.p50, latency.p99, latency.p999, latency.max].map(nanoseconds);
        let rate = std::iter::once(short(latency.rate));
        cells.extend(rate.chain(figures).map(|text| Line::from(text).alignment(Alignment::Right)));
        if latency.rate == 0.0 {
            return Row::new(cells).style(HEAD);
        }
        Row::new(cells)
    });
    let widths = [8, 10, 9, 10, 10, 10].map(Constraint::Length);
    let table = Table::new(rows, widths).header(Row::new(header).style(HEAD)).column_spacing(0);
    frame.render_widget(table, left);
    history(frame, right, "longest p99", &model.latency_history, Color::Cyan);
}

/// 1234 as `1.23 us`.
fn nanoseconds(time: u64) -> String {
    match time {
        0 => "-".to_owned(),
        1..1_000 => format!("{time} ns"),
        1_000..1_000_000 => format!("{:.2} us", time as f64 / 1e3),
        _ => format!("{:.2} ms", time as f64 / 1e6),
    }
}

fn draw_drops(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let title = match model.order {
        Order::Rate => "Drops, by rate",
        Order::Total => "Drops, by total",
    };
    let drops = model.sorted_drops();
    let visible = usize::from(area.height.saturating_sub(3));
    let first = model.scroll.min(drops.len().saturating_sub(visible));
    let row = |drops: &&Drops| {
        let side = match drops.side {
            Side::External => "ext",
            Side::Internal => "int",
        };
        let right = |text: String| Line::from(text).alignment(Alignment::Right);
        let cells = [
            Line::from(side),
            Line::from(drops.reason.clone()),
            right(short(drops.rate)),
            right(short(drops.total as f64)),
        ];
        let style = if drops.rate > 0.0 { Style::new().yellow() } else { Style::new() };
        Row::new(cells).style(style)
    };
    let header = Row::new([
        Line::from(""),
        Line::from("reason"),
        right_aligned("per s"),
        right_aligned("in all"),
    ]);
    let widths =
        [Constraint::Length(3), Constraint::Fill(1), Constraint::Length(8), Constraint::Length(8)];
    let table = Table::new(drops.iter().skip(first).map(row), widths)
        .header(header.style(HEAD))
        .block(block(title));
    frame.render_widget(table, area);
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let block = block("Workers");
    let width = usize::from(block.inner(area).width);
    let lines = model.workers.iter().enumerate().map(|(number, worker)| {
        let head = format!("{number:>2} {:>8}/s ", short(worker.packets));
        let Some(busy) = worker.busy else { return Line::from(head) };
        let tail = format!(" {:>3.0} %", busy * 100.0);
        let room = width.saturating_sub(head.len() + tail.len());
        let full = (room as f64 * busy).round() as usize;
        let color = if busy > 0.9 { Color::Red } else { Color::Green };
        Line::from(vec![
            Span::from(head),
            Span::from("|".repeat(full)).fg(color),
            Span::from(" ".repeat(room.saturating_sub(full))),
            Span::from(tail),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

fn draw_softwires(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let block = block("Busiest softwires, bit/s");
    let answer = match &model.busiest {
        Busiest::Known(answer) => answer,
        Busiest::Not(words) => {
            let words = Paragraph::new(words.clone()).style(HEAD);
            return frame.render_widget(
                words.wrap(ratatui::widgets::Wrap { trim: true }).block(block),
                area,
            );
        }
        Busiest::Unknown => return frame.render_widget(block, area),
    };
    let seconds = answer["seconds"].as_f64().unwrap_or(1.0);
    let rows = answer["softwires"].as_array().into_iter().flatten().map(|softwire| {
        let name = match softwire["psid-len"].as_u64() {
            Some(0) => softwire["ipv4"].as_str().unwrap_or_default().to_owned(),
            _ => format!("{} {}", softwire["ipv4"].as_str().unwrap_or_default(), softwire["psid"]),
        };
        let bits = |key: &str| {
            let bytes = softwire["counters"][key].as_f64().unwrap_or_default();
            Line::from(short(bytes * 8.0 / seconds)).alignment(Alignment::Right)
        };
        Row::new([Line::from(name), bits("to-b4-bytes"), bits("from-b4-bytes")])
    });
    let header =
        Row::new([Line::from("address, PSID"), right_aligned("to B4"), right_aligned("from B4")]);
    let widths = [Constraint::Fill(1), Constraint::Length(8), Constraint::Length(8)];
    let table = Table::new(rows, widths).header(header.style(HEAD)).block(block);
    frame.render_widget(table, area);
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let paused = if model.paused { "PAUSED: p goes on   " } else { "" };
    let line = Line::from(vec![
        Span::from(format!(" {paused}")).yellow().bold(),
        Span::from("q quit  p pause  r by rate  t by total  up/down scroll  ? help").style(HEAD),
    ]);
    frame.render_widget(line, area);
}

const HELP: &str = "\
q, Esc     end
p, space   stop the figures, and go on
r          list drops by their present rate
t          list drops by their total
up, down   scroll the list of drops
?          this help, and away with it

Why is something dropped?  lwaftr capture --drops --reason REASON -w FILE
What does a reason mean?   lwaftr stats, docs/counters.md";

fn draw_help(frame: &mut Frame<'_>) {
    let [area] = Layout::vertical([Constraint::Length(12)])
        .flex(ratatui::layout::Flex::Center)
        .areas(frame.area());
    let [area] = Layout::horizontal([Constraint::Length(76)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(HELP).block(block("Keys")), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::model::tests::reading;
    use crate::cli::top::source::Answer;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;
    use std::time::Instant;

    fn model() -> Model {
        let start = Instant::now();
        let mut model = Model::default();
        for seconds in 1..5 {
            model.take(reading(start, seconds));
        }
        model.take(Answer::Softwires(json!({"seconds": 1.0, "softwires": [
            {"ipv4": "203.0.113.7", "psid-len": 6, "psid": 3,
             "counters": {"to-b4-bytes": 125_000, "from-b4-bytes": 1_250}},
        ]})));
        model
    }

    fn lines(model: &Model, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(line).collect()
    }

    #[test]
    fn everything_is_on_80_by_24() {
        let lines = lines(&model(), 80, 24);
        let screen = lines.join("\n");
        for words in [
            " edge1  up 2 d 02:00   123456 softwires   2 workers   ALARM next-hop-unresolved",
            "external   20.00 k 160.00 M",
            "internal   20.00 k 160.00 M",
            "encap     100.00 k  1.00 us   5.00 us  90.00 us  90.00 us",
            "ext no-softwire        1.00 k   4.00 k",
            " 0  20.00 k/s ||||",
            "25 %",
            "203.0.113.7 3          1.00 M  10.00 k",
            "q quit  p pause",
        ] {
            assert!(screen.contains(words), "{words}\n{screen}");
        }
        // The history has bars.
        assert!(lines[3].contains('█'), "{screen}");
    }

    #[test]
    fn a_small_or_a_large_terminal_is_no_trouble() {
        for (width, height) in [(1, 1), (20, 5), (79, 23), (250, 80)] {
            lines(&model(), width, height);
            lines(&Model::default(), width, height);
        }
    }

    #[test]
    fn help_covers_the_middle_and_names_every_key() {
        let mut model = model();
        model.help = true;
        let screen = lines(&model, 80, 24).join("\n");
        for words in ["Keys", "q, Esc     end", "p, space", "lwaftr capture --drops"] {
            assert!(screen.contains(words), "{words}\n{screen}");
        }
    }

    #[test]
    fn what_is_wrong_is_in_the_first_line() {
        let mut model = model();
        model.take(Answer::Gone("no instance answers at /run/lwaftr/edge1.sock".to_owned()));
        let first = &lines(&model, 80, 24)[0];
        assert!(first.contains("NO ANSWER, trying again: no instance answers at"), "{first}");
    }
}
