//! `lwaftr status`.

use std::fmt::Write as _;

use serde_json::Value;

use super::output::{print, print_json};
use super::{Failure, Target};
use crate::control::protocol::Request;

/// Say whether an instance runs, and which one
///
/// Exit code 0: it runs; 3: nobody answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr status --instance north
  until lwaftr status --json > /dev/null 2>&1; do sleep 0.1; done
")]
pub struct Args {
    /// As JSON
    #[arg(long)]
    pub json: bool,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { json, target } = args;
    let status = target.connect()?.ask(Request::Status)?;
    if json { print_json(&status) } else { print(&text(&status)).map(|_| ()) }
}

fn text(status: &Value) -> String {
    let mut text = String::new();
    for (name, value) in status.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => "not kept (softwires.persist = false)".to_owned(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        _ = writeln!(text, "{name:<16}{value}");
    }
    text
}
