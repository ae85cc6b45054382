//! `lwaftr top`.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::instance::{start, to};
use crate::support::alone;

/// A terminal of 80 by 24 characters in which something runs; gone when dropped.
struct Terminal {
    server: String,
}

impl Terminal {
    fn start(command: &str) -> Self {
        let terminal = Self { server: format!("lwaftr-test-{}", std::process::id()) };
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output =
            Command::new("tmux").args(["-L", &self.server]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Waits until this is on the screen.
    #[track_caller]
    fn shows(&self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if screen.contains(words) {
                return screen;
            }
            assert!(Instant::now() < deadline, "`{words}` is not on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn has_ended(&self) -> bool {
        let ended = || {
            !self.tmux(&["list-sessions"]).contains("80x24")
                && self.tmux(&["list-sessions"]).is_empty()
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        ended()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_terminal_shows_what_goes_on_and_keys_work() {
    alone("top::a_terminal_shows_what_goes_on_and_keys_work", || {
        let nobodys = to([198, 51, 100, 77], 9);
        let mut instance = start(&[to([198, 51, 100, 1], 7), nobodys]);
        let program = env!("CARGO_BIN_EXE_lwaftr");
        let socket = instance.path("sock");
        let terminal =
            Terminal::start(&format!("{program} top --interval 0.5 --socket {}", socket.display()));
        let screen = terminal.shows("ext no-softwire");
        for words in
            ["Throughput, per second", "2 softwires", "no alarms", "Busiest softwires", "q quit"]
        {
            assert!(screen.contains(words), "{words}\n{screen}");
        }
        // Counters of softwires are off, and what to do about it is said.
        terminal.shows("set softwires.counters");
        terminal.press("?");
        terminal.shows("this help, and away with it");
        // Not by Escape: with the next key close behind it, that is another key.
        terminal.press("?");
        terminal.press("t");
        terminal.shows("Drops, by total");
        terminal.press("p");
        terminal.shows("PAUSED");
        terminal.press("p");
        _ = instance.end(rustix::process::Signal::KILL);
        terminal.shows("NO ANSWER, trying again");
        terminal.press("q");
        assert!(terminal.has_ended(), "{}", terminal.tmux(&["capture-pane", "-p"]));
    });
}

#[test]
fn once_is_for_scripts() {
    alone("top::once_is_for_scripts", || {
        let instance = start(&[to([198, 51, 100, 1], 7), to([198, 51, 100, 77], 9)]);
        let output = instance.lwaftr(&["top", "--once", "--json", "--interval", "0.5"]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let rate = |key: &str| json["interfaces"]["external"][key].as_f64().unwrap();
        assert!(rate("in-packets-per-second") > 1_000.0, "{json}");
        assert!(rate("drops-per-second") > 500.0, "{json}");
        assert_eq!(json["drops"][0]["per-second"].as_f64().map(|rate| rate > 0.0), Some(true));
        assert!(json["latency"]["encap"]["p50"].as_u64().unwrap() > 0, "{json}");
        let text = instance.lwaftr(&["top", "--once", "--interval", "0.5"]).stdout;
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("drop external no-softwire: "), "{text}");
    });
}
