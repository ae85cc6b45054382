//! What is going on, on standard error: a line that changes on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::engine::View;
use super::rate;

/// Between two changes of the line on a terminal, and two lines elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(250);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// The terminal or file that is told.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    last: Instant,
}

impl Progress {
    /// Standard error.
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), last: Instant::now() }
    }

    /// Says something that stays.
    pub(crate) fn say(&mut self, text: &str) {
        self.clear();
        eprintln!("{text}");
    }

    /// Shows how a trial is getting on, now and then. `whole` is how long it takes, if known.
    pub(crate) fn show(&mut self, what: &str, view: &View<'_>, whole: Option<Duration>) {
        let pause = if self.terminal { ON_TERMINAL } else { ELSEWHERE };
        if self.last.elapsed() < pause {
            return;
        }
        self.last = Instant::now();
        let (mut sent, mut returned) = (0, 0);
        for lane in view.lanes {
            // In this order: what has returned was sent.
            returned += lane.returned.get();
            sent += lane.sent.get();
        }
        let seconds = view.elapsed.as_secs_f64();
        let of = whole.map_or(String::new(), |whole| format!(" of {:.0}", whole.as_secs_f64()));
        let rate = rate::shown(sent as f64 / seconds.max(1e-9));
        let line =
            format!("{what}: {seconds:.1}{of} s, {rate}, {} under way or lost", sent - returned);
        if self.terminal {
            eprint!("\r\x1b[K{line}");
            _ = std::io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
