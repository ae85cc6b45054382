//! `lwaftr audit`.

use std::fmt::Write as _;

use serde_json::Value;

use super::output::{print, print_json};
use super::{Failure, Target};
use crate::control::audit::{MOST_RECORDS, Outcome, Record};
use crate::control::protocol::Request;

/// Say who changed what, when, from where, and what came of it
///
/// Reloads, edits of softwires and other orders that change something, refused ones too, oldest
/// first. They are kept in NAME.audit beside the journal, one JSON object a line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr audit
  lwaftr audit --count 1000 --json
")]
pub struct Args {
    /// How many, at most: the last ones
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = count)]
    pub count: usize,

    /// As JSON
    #[arg(long)]
    pub json: bool,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST_RECORDS).contains(count));
    count.ok_or_else(|| format!("expected a number from 1 to {MOST_RECORDS}"))
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { count, json, target } = args;
    let mut answer = target.connect()?.ask(Request::Audit { count })?;
    let records: Value = answer["records"].take();
    if json {
        return print_json(&records);
    }
    let records: Vec<Record> = serde_json::from_value(records)
        .map_err(|error| Failure::Internal(format!("the answer has no records: {error}")))?;
    print(&records.iter().map(text).collect::<String>()).map(|_| ())
}

fn text(record: &Record) -> String {
    let Record { time, actor, action, what, outcome, detail } = record;
    let outcome = match outcome {
        Outcome::Done => "",
        Outcome::Refused => "REFUSED: ",
        Outcome::Failed => "FAILED: ",
    };
    let mut text = format!("{time:.0}  {action} by {actor}\n");
    for part in [what.clone(), format!("{outcome}{detail}")] {
        for line in part.lines() {
            _ = writeln!(text, "    {line}");
        }
    }
    text
}
