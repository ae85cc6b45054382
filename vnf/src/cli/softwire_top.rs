//! `lwaftr softwire top`: the busiest softwires, measured anew every interval.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};

use serde_json::Value;

use super::output::print;
use super::{Failure, Target};
use crate::control::protocol::Request;
use crate::control::top::{Busy, INTERVALS, TopOptions};

/// Watch the busiest softwires
///
/// Needs softwires.counters = true. Rates are of the subscribers' IPv4 packets, without the tunnel's
/// header. On a terminal the list is renewed in place until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// So many softwires
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    count: usize,

    /// Seconds per measurement, 0.1 to 10
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    interval: f64,

    /// What makes a softwire busy
    #[arg(long, value_enum, default_value_t)]
    by: Busy,

    /// Measure once, print, and end
    #[arg(long)]
    once: bool,

    /// As JSON, one line per measurement
    #[arg(long)]
    json: bool,
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let expected = || {
        let [least, most] = [*INTERVALS.start(), *INTERVALS.end()].map(|ms| ms as f64 / 1_000.0);
        format!("expected seconds from {least} to {most}")
    };
    let seconds: f64 = text.parse().map_err(|_| expected())?;
    let is_right = INTERVALS.contains(&((seconds * 1_000.0) as u64));
    is_right.then_some(seconds).ok_or_else(expected)
}

pub(super) fn run(target: &Target, args: &Args) -> Result<(), Failure> {
    let interval_ms = (args.interval * 1_000.0) as u64;
    let options = TopOptions { count: args.count, interval_ms, by: args.by };
    let mut client = target.connect()?;
    let in_place = !args.once && !args.json && stdout().is_terminal();
    loop {
        let answer = client.ask(Request::SoftwireTop(options))?;
        let mut text = if args.json { format!("{answer}\n") } else { table(&answer) };
        if in_place {
            // The whole screen, from its first line.
            text.insert_str(0, "\x1b[H\x1b[2J");
        } else if !args.once && !args.json {
            text.push('\n');
        }
        if !print(&text)? || args.once {
            return Ok(());
        }
    }
}

/// The answer for people.
fn table(answer: &Value) -> String {
    let seconds = answer["seconds"].as_f64().unwrap_or(1.0);
    let mut text = format!(
        "{} softwires carried packets in the last {seconds:.1} s\n\n\
         {:<22} {:<30} {:>12} {:>9} {:>12} {:>9}\n",
        answer["active"], "softwire", "B4", "to B4 bit/s", "packet/s", "from B4 bit/s", "packet/s"
    );
    let mut row = |name: &str, b4: &str, counters: &Value| {
        let rate = |key: &str, factor: f64| {
            short(counters[key].as_f64().unwrap_or_default() * factor / seconds)
        };
        _ = writeln!(
            text,
            "{name:<22} {b4:<30} {:>12} {:>9} {:>13} {:>9}",
            rate("to-b4-bytes", 8.0),
            rate("to-b4-packets", 1.0),
            rate("from-b4-bytes", 8.0),
            rate("from-b4-packets", 1.0),
        );
    };
    for softwire in answer["softwires"].as_array().into_iter().flatten() {
        let words = |key: &str| softwire[key].as_str().unwrap_or_default();
        let name = match softwire["psid-len"].as_u64() {
            Some(0) => words("ipv4").to_owned(),
            _ => format!("{} psid {}", words("ipv4"), softwire["psid"]),
        };
        row(&name, words("b4-ipv6"), &softwire["counters"]);
    }
    row("all", "", &answer["total"]);
    text
}

/// 1234567 as `1.23 M`.
pub(super) fn short(number: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    match units.into_iter().find(|(unit, _)| number >= *unit) {
        Some((unit, name)) => format!("{:.2}{name}", number / unit),
        None => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1_000.0, "1.00 k"),
            (1.234e6, "1.23 M"),
            (2.5e10, "25.00 G"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn rates_are_per_second_and_in_bits() {
        let counters = json!({
            "to-b4-packets": 200, "to-b4-bytes": 250_000, "from-b4-packets": 2, "from-b4-bytes": 80,
        });
        let text = table(&json!({
            "seconds": 2.0, "active": 7, "total": counters,
            "softwires": [{"ipv4": "203.0.113.7", "psid-len": 6, "psid": 12, "b4-ipv6": "2001:db8::1",
                           "counters": counters}],
        }));
        assert!(text.starts_with("7 softwires carried packets in the last 2.0 s\n"), "{text}");
        let line = text.lines().find(|line| line.starts_with("203.0.113.7 psid 12")).unwrap();
        let cells: Vec<&str> = line.split_whitespace().skip(3).collect();
        assert_eq!(cells, ["2001:db8::1", "1.00", "M", "100", "320", "1"]);
    }
}
