//! `lwaftr config diff|fold|rollback|confirm`.

use clap::Subcommand;

use super::output::{print, print_json};
use super::{Failure, Target};
use crate::control::protocol::Request;
use crate::control::{DiffReport, Folded};

/// Compare what runs with what the files say, bring them together, and undo changes
///
/// A change that was made with --confirm-within (of `lwaftr reload`, `softwire add` and `softwire
/// del`) is undone unless `confirm` comes in time; also when the process is killed meanwhile. Until
/// then nothing else can be changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr config diff                    do the files say what runs? exit code 1: they do not
  lwaftr config fold                    write edits made by hand into the table file
  lwaftr reload --confirm-within 60     take up the files, and ...
  lwaftr config confirm                 ... keep that
  lwaftr config rollback                or undo it at once
")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,

    /// Which instance.
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show where what runs and what the files say differ
    ///
    /// `-` is in the files only, `+` runs only. Exit code 0: they are the same; 1: they differ.
    Diff {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write softwires that were edited by hand into the table file
    ///
    /// All else in it stays, comments too; a trailer is made anew. What was edited of an inline softwire
    /// is changed in the configuration file. Softwires whose valid-until has passed are taken out.
    /// Files are replaced as a whole, and only if what comes out is what runs.
    Fold,
    /// Undo the last change: a reload, or an edit
    ///
    /// The files stay as they are. After a reload was undone, what was there before it counts, also
    /// after a restart, until the files are changed or reloaded.
    Rollback,
    /// Keep a change that was made with --confirm-within
    Confirm,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { verb, target } = args;
    let mut client = target.connect()?;
    match verb {
        Verb::Diff { json } => {
            let answer = client.ask(Request::ConfigDiff)?;
            let report: DiffReport = serde_json::from_value(answer.clone())
                .map_err(|error| Failure::Internal(format!("the answer is no report: {error}")))?;
            if json {
                print_json(&answer)?;
            } else {
                print(&text(&report))?;
            }
            if report.is_empty() {
                return Ok(());
            }
            Err(Failure::Refused("what runs is not what the files say".to_owned()))
        }
        Verb::Fold => {
            let folded: Folded = serde_json::from_value(client.ask(Request::ConfigFold)?)
                .map_err(|error| Failure::Internal(format!("the answer says nothing: {error}")))?;
            print(&format!("{folded}\n")).map(|_| ())
        }
        Verb::Rollback => {
            let answer = client.ask(Request::ConfigRollback)?;
            let undone = answer["undone"].as_str().unwrap_or_default();
            print(&format!("undone: {undone}\n")).map(|_| ())
        }
        Verb::Confirm => {
            let answer = client.ask(Request::ConfigConfirm)?;
            let confirmed = answer["confirmed"].as_str().unwrap_or_default();
            print(&format!("confirmed: {confirmed}\n")).map(|_| ())
        }
    }
}

fn text(report: &DiffReport) -> String {
    let DiffReport { settings, added, removed, changed, lines, unconfirmed } = report;
    if report.is_empty() {
        return "the files say what runs\n".to_owned();
    }
    let mut text = String::new();
    if let Some(waiting) = unconfirmed {
        text += &format!("{waiting}\n");
    }
    for setting in settings {
        text += &format!("{setting}\n");
    }
    for line in lines {
        text += &format!("{line}\n");
    }
    text + &format!(
        "softwires: {removed} in the files only, {added} run only, {changed} in both and not the \
         same\n"
    )
}
