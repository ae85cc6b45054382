//! Reloading the relay while frames flow: through its control socket, or by a command.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use vnf::control::ReloadOptions;
use vnf::control::client::Client;
use vnf::control::protocol::Request;

use super::engine::View;
use super::failure::Failure;

/// What the command finds in its environment: the number of the table, and its file.
const NUMBER: &str = "LWAFTR_TABLE_NUMBER";
const TABLE: &str = "LWAFTR_TABLE";

/// How the relay is made to reload.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// By its control socket, after its table file was replaced.
    Socket {
        socket: PathBuf,
        /// The file that its configuration names.
        file: Option<PathBuf>,
    },
    /// By a command for the shell, which also puts the table in its place.
    Command(String),
}

/// Reloads the relay, with each of some tables in turn.
#[derive(Debug, Clone)]
pub(crate) struct Reloader {
    pub(crate) how: How,
    /// The tables; none where it stays what it is.
    pub(crate) tables: Vec<PathBuf>,
}

impl Reloader {
    /// What is wrong with the request to do so, before anything is done.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Some(first) = self.tables.first() else { return Ok(()) };
        let How::Socket { file, .. } = &self.how else { return Ok(()) };
        let Some(file) = file else {
            return Err(Failure::new(
                "--tables: the relay's configuration names no table file: softwires.file, or a \
                 --reload-command that puts $LWAFTR_TABLE where it belongs",
            ));
        };
        if fs::read(first).ok() != fs::read(file).ok() {
            return Err(Failure::new(format!(
                "--tables: the first must be the table that is in force: {} equal to {}",
                first.display(),
                file.display()
            )));
        }
        Ok(())
    }

    /// Reloads, with this table in force afterwards.
    fn reload(&self, to: u8) -> Result<(), Failure> {
        let table = self.tables.get(usize::from(to));
        match &self.how {
            How::Socket { socket, file } => {
                if let (Some(table), Some(file)) = (table, file) {
                    replace(file, table)?;
                }
                let options = ReloadOptions::default();
                let answer = Client::connect(socket)
                    .and_then(|mut client| client.ask(Request::Reload(options)));
                answer.map(|_| ()).map_err(|error| Failure::new(format!("the reload: {error}")))
            }
            How::Command(command) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", command]).env(NUMBER, to.to_string());
                if let Some(table) = table {
                    shell.env(TABLE, table);
                }
                let output = shell.output();
                let output = output.map_err(|error| Failure::new(format!("sh: {error}")))?;
                if output.status.success() {
                    return Ok(());
                }
                let said = String::from_utf8_lossy(&output.stderr);
                Err(Failure::new(format!(
                    "--reload-command: `{command}` ended with {}: {}",
                    output.status,
                    said.trim()
                )))
            }
        }
    }
}

/// Puts a copy of one file in the place of another, in one step.
fn replace(file: &Path, by: &Path) -> Result<(), Failure> {
    let beside = file.with_extension("loadtest");
    fs::copy(by, &beside)
        .and_then(|_| fs::rename(&beside, file))
        .map_err(|error| Failure::new(format!("{}: cannot be replaced: {error}", file.display())))
}

/// When to reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// At these times.
    At(Vec<Duration>),
    /// So often, with a pause before and after each; then the trial is over.
    Times(usize, Duration),
}

/// A reload that was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Moment {
    /// Seconds since the trial began.
    pub(crate) began: f64,
    pub(crate) ended: f64,
    /// The table that has been in force since.
    pub(crate) table: u8,
}

/// Makes the reloads of a trial.
#[derive(Debug)]
pub(crate) struct Reloads<'a> {
    reloader: &'a Reloader,
    schedule: Schedule,
    /// The table in force.
    pub(crate) table: u8,
    pub(crate) done: Vec<Moment>,
    /// Why one could not be made; then there are no more.
    pub(crate) failure: Option<Failure>,
    last: Duration,
}

impl<'a> Reloads<'a> {
    pub(crate) fn new(reloader: &'a Reloader, schedule: Schedule, table: u8) -> Self {
        let (done, last) = (Vec::new(), Duration::ZERO);
        Self { reloader, schedule, table, done, failure: None, last }
    }

    /// To be called all the time; takes as long as a reload when it is time for one.
    pub(crate) fn look(&mut self, view: &View<'_>) -> ControlFlow<()> {
        if self.failure.is_some() {
            return ControlFlow::Break(());
        }
        let count = self.done.len();
        let is_due = match &self.schedule {
            Schedule::At(times) => times.get(count).is_some_and(|time| view.elapsed >= *time),
            Schedule::Times(times, pause) => {
                let has_paused = view.elapsed >= self.last + *pause;
                if has_paused && count == *times {
                    return ControlFlow::Break(());
                }
                has_paused
            }
        };
        if is_due {
            self.reload(view);
        }
        ControlFlow::Continue(())
    }

    fn reload(&mut self, view: &View<'_>) {
        let tables = self.reloader.tables.len().max(1);
        let next = ((usize::from(self.table) + 1) % tables) as u8;
        view.lanes.iter().for_each(|lane| lane.expectation.begin(next));
        let start = std::time::Instant::now();
        match self.reloader.reload(next) {
            Ok(()) => {
                for lane in view.lanes {
                    lane.expectation.finish(lane.sent.get());
                }
                self.table = next;
                self.last = view.elapsed + start.elapsed();
                let (began, ended) = (view.elapsed.as_secs_f64(), self.last.as_secs_f64());
                self.done.push(Moment { began, ended, table: next });
            }
            Err(failure) => {
                view.lanes.iter().for_each(|lane| lane.expectation.fail());
                self.failure = Some(failure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reloader(command: &str, tables: usize) -> Reloader {
        let tables = (0..tables).map(|number| format!("/tmp/table-{number}").into()).collect();
        Reloader { how: How::Command(command.to_owned()), tables }
    }

    fn view(millis: u64) -> View<'static> {
        View { elapsed: Duration::from_millis(millis), lanes: &[] }
    }

    #[test]
    fn tables_take_turns_and_the_trial_ends_after_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let command = format!("echo $LWAFTR_TABLE_NUMBER $LWAFTR_TABLE >> {}", log.display());
        let reloader = reloader(&command, 2);
        let pause = Duration::from_millis(100);
        let mut reloads = Reloads::new(&reloader, Schedule::Times(3, pause), 0);
        assert!(reloads.look(&view(50)).is_continue());
        assert!(reloads.done.is_empty(), "not yet");
        for millis in [100_000, 200_000, 300_000] {
            assert!(reloads.look(&view(millis)).is_continue());
        }
        assert!(reloads.look(&view(400_000)).is_break());
        let tables: Vec<u8> = reloads.done.iter().map(|moment| moment.table).collect();
        assert_eq!(tables, [1, 0, 1]);
        let lines = fs::read_to_string(log).unwrap();
        assert_eq!(lines, "1 /tmp/table-1\n0 /tmp/table-0\n1 /tmp/table-1\n");
    }

    #[test]
    fn a_reload_that_fails_is_the_last() {
        let reloader = reloader("echo no table >&2; exit 3", 0);
        let at = vec![Duration::from_secs(1), Duration::from_secs(2)];
        let mut reloads = Reloads::new(&reloader, Schedule::At(at), 0);
        assert!(reloads.look(&view(1500)).is_continue());
        assert!(reloads.look(&view(2500)).is_break());
        let failure = reloads.failure.unwrap().0;
        assert!(failure.contains("no table") && failure.contains('3'), "{failure}");
        assert!(reloads.done.is_empty());
    }

    #[test]
    fn the_first_table_must_be_the_one_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, text) in [("now.csv", "a"), ("a.csv", "a"), ("b.csv", "b")] {
            fs::write(at(name), text).unwrap();
        }
        let with = |first: &str, file: Option<&str>| Reloader {
            how: How::Socket { socket: at("socket"), file: file.map(at) },
            tables: vec![at(first), at("b.csv")],
        };
        with("a.csv", Some("now.csv")).check().unwrap();
        let wrong = with("b.csv", Some("now.csv")).check().unwrap_err().0;
        assert!(wrong.contains("in force"), "{wrong}");
        assert!(with("a.csv", None).check().unwrap_err().0.contains("softwires.file"));
        replace(&at("now.csv"), &at("b.csv")).unwrap();
        assert_eq!(fs::read_to_string(at("now.csv")).unwrap(), "b");
    }
}
