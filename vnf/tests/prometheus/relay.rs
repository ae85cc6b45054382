//! A real relay on virtual ports, which nothing but its counters knows of.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use crate::running::{Running, Setup, to};
use crate::shipped::succeed;

/// A relay whose API listens.
pub(crate) struct Relay {
    pub(crate) running: Running,
    /// Where its API listens.
    pub(crate) api: String,
}

/// Says why and is false where DPDK cannot be started.
pub(crate) fn possible() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: DPDK's ports need root (`make test` uses sudo for this)");
    }
    root
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until the answer is there, for at most so many seconds.
pub(crate) fn eventually<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Frames from the Internet: for a softwire, for nobody, and one that is not for us.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let mut frames: Vec<_> = (0..60).map(|port| to([198, 51, 100, 1], port)).collect();
    frames.push(to([198, 51, 100, 9], 7));
    let mut others = to([198, 51, 100, 1], 7);
    others[5] = 9;
    frames.push(others);
    frames
}

impl Relay {
    /// `port` goes to the external port's device argument, `external` and `more` into the
    /// configuration.
    pub(crate) fn start(port: &str, external: &str, more: &str) -> Self {
        let api = format!("127.0.0.1:{}", free_port());
        let more = format!("[api]\nlisten = \"{api}\"\nsocket = \"FILES/api.sock\"\n{more}");
        let setup = Setup {
            name: "prom",
            frames: &frames(),
            port,
            external,
            internal: "next-hop-mac = \"02:00:00:00:02:fe\"",
            more: &more,
            ..Setup::default()
        };
        Self { running: setup.start(), api }
    }

    /// What its API answers.
    pub(crate) fn get(&self, resource: &str) -> String {
        let url = format!("http://{}{resource}", self.api);
        succeed(Command::new("curl").args(["-sSf", "--max-time", "20", &url]))
    }
}
