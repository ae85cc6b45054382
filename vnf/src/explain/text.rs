//! The words of an explanation.

use std::fmt;

use super::{Explanation, Meanwhile, Sent};
use crate::softwire::Softwire;

/// A softwire in a sentence.
pub(super) fn softwire(softwire: &Softwire) -> String {
    let Softwire { ipv4, port_set, b4, br } = softwire;
    if port_set.is_whole_address() {
        return format!("the softwire of {ipv4}, whole address, B4 {b4}, BR {br}");
    }
    let mut ranges = port_set.ranges();
    let first = ranges.next().map(|range| format!("{}-{}", range.start(), range.end()));
    let more = match ranges.count() {
        0 => String::new(),
        more => format!(" and {more} more ranges"),
    };
    let ports = first.unwrap_or_default();
    format!("the softwire of {ipv4} {port_set}, ports {ports}{more}, B4 {b4}, BR {br}")
}

/// A line with its rules in front.
fn line(f: &mut fmt::Formatter<'_>, rules: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {rules:<9} {text}")
}

fn sent_line(f: &mut fmt::Formatter<'_>, sent: &Sent) -> fmt::Result {
    line(f, "sent", &format!("{}: {} bytes: {}", sent.side, sent.view.length, sent.view))
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time as f64 / 1e9;
        writeln!(f, "packet {}, {} side, {seconds:.6} s", self.number, self.side)?;
        line(f, "received", &format!("{} bytes: {}", self.received.length, self.received))?;
        for decision in &self.decisions {
            line(f, &decision.rules.join(","), &decision.text)?;
        }
        self.sent.iter().try_for_each(|sent| sent_line(f, sent))
    }
}

impl fmt::Display for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "meanwhile")?;
        for fate in &self.fates {
            let (reason, meaning) = (fate.reason.unwrap_or(fate.fate), fate.meaning.unwrap_or(""));
            let text = format!(
                "{} of the frames that waited on the {} side: {reason}: {meaning}",
                fate.frames, fate.side
            );
            line(f, &fate.rules.join(","), &text)?;
        }
        self.sent.iter().try_for_each(|sent| sent_line(f, sent))
    }
}
