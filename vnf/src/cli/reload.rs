//! `lwaftr reload`.

use std::fmt::Write as _;

use clap::value_parser;

use super::output::print;
use super::{Failure, Target};
use crate::control::protocol::Request;
use crate::control::{ReloadOptions, ReloadReport};

/// Make a running instance read its configuration anew
///
/// The configuration and the table file are read, checked and built aside, and then replace what
/// runs in one step: no packet is lost, and none meets a mixture of old and new. If anything is
/// wrong, nothing changes, and every error is printed.
///
/// Refused without a word of consent: a reload that would remove more softwires than
/// softwires.max-removal per cent (--force), and one whose files contradict softwires that were
/// edited by hand (--discard-edits). Ports, CPUs, and other keys marked "restart" in
/// docs/configuration.md cannot change while the instance runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr reload --dry-run        what would change?
  lwaftr reload                  change it
  lwaftr reload --confirm-within 60    and change it back, unless it is confirmed
  systemctl reload lwaftr        the same by SIGHUP; errors are in the journal
")]
pub struct Args {
    /// Print what would change, and change nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,

    /// Remove as many softwires as the files say
    #[arg(long)]
    pub force: bool,

    /// Give up all softwires that were added, removed or replaced by hand
    #[arg(long)]
    pub discard_edits: bool,

    /// Undo it unless `lwaftr config confirm` comes within so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..=86_400))]
    #[arg(conflicts_with = "dry_run")]
    pub confirm_within: Option<u32>,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { dry_run, force, discard_edits, confirm_within, target } = args;
    let options = ReloadOptions { dry_run, force, discard_edits, confirm_within };
    let answer = target.connect()?.ask(Request::Reload(options))?;
    let report: ReloadReport = serde_json::from_value(answer)
        .map_err(|error| Failure::Internal(format!("the answer is no report: {error}")))?;
    print(&text(&report, dry_run, discard_edits))?;
    match report.refused {
        Some(reason) => Err(Failure::Refused(format!("would be refused:\n{reason}"))),
        None => Ok(()),
    }
}

fn text(report: &ReloadReport, dry_run: bool, given_up: bool) -> String {
    let mut text = String::new();
    for warning in &report.warnings {
        _ = writeln!(text, "warning: {warning}");
    }
    for setting in &report.settings {
        _ = writeln!(text, "{setting}");
    }
    let difference = &report.softwires;
    let would = if dry_run { "would be " } else { "" };
    _ = writeln!(
        text,
        "softwires: {} {would}added, {} {would}removed, {} {would}changed; {} then",
        difference.added, difference.removed, difference.changed, report.total
    );
    for line in &difference.first {
        _ = writeln!(text, "  {line}");
    }
    let shown = difference.first.len();
    let all = difference.added + difference.removed + difference.changed;
    if all > shown {
        _ = writeln!(text, "  and {} more", all - shown);
    }
    if report.edits_kept + report.edits_dropped > 0 {
        _ = writeln!(
            text,
            "edits by hand: {} {would}kept, {} {}",
            report.edits_kept,
            report.edits_dropped,
            if given_up { "given up" } else { "no longer needed, as the files contain them" }
        );
    }
    _ = writeln!(text, "{}", if dry_run { "nothing was changed" } else { "reloaded" });
    text
}
