//! The topology of `make demo` as something a test can hold: up when made, gone when dropped.
//! The shell code in `vnf/demo` is the only one that lays it out and knows its steps.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// The demo's own directory for what runs.
const RUNS: &str = "/run/lwaftr-demo";

/// An address of the Internet host, as in `vnf/demo/lib/topology.sh`.
pub(crate) const SERVER: &str = "198.51.100.10";

/// Says why and is false where namespaces cannot be made.
pub(crate) fn possible() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: network namespaces need root (`make test` uses sudo for this)");
    }
    root
}

/// `demo.sh`, told to use the programs of this build.
pub(crate) fn demo(arguments: &[&str]) -> Command {
    let relay = Path::new(env!("CARGO_BIN_EXE_lwaftr"));
    let b4 = relay.with_file_name("examples").join("b4");
    assert!(b4.exists(), "{} is not there: `cargo build --example b4`", b4.display());
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/demo.sh"));
    command.args(arguments).env("LWAFTR", relay).env("B4_PROGRAM", b4).env_remove("KEEP");
    command.stdin(Stdio::null());
    command
}

/// Runs a command that must succeed, and returns what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("starts");
    assert!(output.status.success(), "{command:?} failed\n{}", printed(&output));
    printed(&output)
}

/// Both streams of a finished command.
pub(crate) fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether anything of the run is left on this machine.
pub(crate) fn leftovers(id: &str) -> Vec<String> {
    let entries = |directory| std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries("/run/netns")
        .chain(entries(RUNS))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name == id || name.starts_with(&format!("lwd-{id}-")))
        .collect()
}

/// Asks until the answer is yes, for at most this long.
pub(crate) fn eventually(limit: Duration, mut answer: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !answer() {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

/// A running topology with the relay, both B4s, and servers to talk to.
pub(crate) struct Lab {
    id: String,
    psid_offset: u8,
    _alone: MutexGuard<'static, ()>,
}

impl Lab {
    /// Everything as in the demo.
    pub(crate) fn up() -> Self {
        Self::with_psid_offset(0)
    }

    /// The subscribers' port sets with this PSID offset.
    pub(crate) fn with_psid_offset(psid_offset: u8) -> Self {
        // Two labs at once would work, but not on two cores.
        static ALONE: Mutex<()> = Mutex::new(());
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("t{}x{number}", std::process::id());
        let lab = Self { id, psid_offset, _alone: alone };
        succeed(&mut lab.demo("up", &[]));
        lab
    }

    fn demo(&self, verb: &str, rest: &[&str]) -> Command {
        let mut command = demo(&[&[verb, self.id.as_str()], rest].concat());
        command.env("PSID_OFFSET", self.psid_offset.to_string());
        command
    }

    /// A step of the demo, which must pass.
    pub(crate) fn step(&self, name: &str) {
        print!("{}", succeed(&mut self.step_command(name)));
    }

    /// A step of the demo, for a test to run in its own way.
    pub(crate) fn step_command(&self, name: &str) -> Command {
        self.demo("step", &[name])
    }

    /// A file of this run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        Path::new(RUNS).join(&self.id).join(name)
    }

    /// A command in the namespace of a node.
    pub(crate) fn within(&self, node: &str, command: &[&str]) -> Command {
        let mut within = Command::new("ip");
        within.args(["netns", "exec", &format!("lwd-{}-{node}", self.id)]).args(command);
        within
    }

    /// A verb of the relay's control socket.
    pub(crate) fn control(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwaftr"));
        command.args(arguments).arg("--socket").arg(self.file("lwaftr.sock"));
        command.output().expect("starts")
    }

    /// The number of softwires in the running table.
    pub(crate) fn softwires(&self) -> u64 {
        let output = self.control(&["stats", "--json"]);
        let stats: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("stats: {error}\n{}", printed(&output)));
        stats["softwires"].as_u64().expect("a number of softwires")
    }

    /// Sends a signal to the relay.
    pub(crate) fn signal_relay(&self, signal: Signal) {
        let text = std::fs::read_to_string(self.file("relay.pid")).expect("the relay's pid");
        let pid = Pid::from_raw(text.trim().parse().expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("the relay runs");
    }

    /// A subscriber pings the Internet host in the background.
    pub(crate) fn ping(&self, node: &str, count: u32, interval: &str) -> Ping {
        let count = count.to_string();
        let arguments = ["ping", "-q", "-n", "-W", "5", "-i", interval, "-c", &count, SERVER];
        let mut command = self.within(node, &arguments);
        Ping(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")))
    }

    /// Whether one ping gets through within a second.
    pub(crate) fn reachable(&self) -> bool {
        let mut ping = self.within("sub1", &["ping", "-n", "-c", "1", "-W", "1", SERVER]);
        ping.output().expect("starts").status.success()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = std::fs::read_to_string(self.file("relay.log")).unwrap_or_default();
            eprintln!("the relay's log:\n{log}");
        }
        let down = self.demo("down", &[]).output();
        if !thread::panicking() {
            assert!(down.is_ok_and(|output| output.status.success()), "cannot take the lab down");
        }
    }
}

/// Changes the relay's configuration, and has it reload.
pub(crate) fn reconfigure(lab: &Lab, changes: &[(&str, &str)]) {
    let path = lab.file("demo.toml");
    let mut toml = fs::read_to_string(&path).expect("the configuration");
    for (old, new) in changes {
        assert!(toml.contains(old), "{old} is not in\n{toml}");
        toml = toml.replace(old, new);
    }
    fs::write(&path, toml).expect("writes");
    let output = lab.control(&["reload"]);
    assert!(output.status.success(), "{}", printed(&output));
}

/// A ping that runs in the background.
pub(crate) struct Ping(Option<Child>);

impl Ping {
    /// Waits for its end and returns what it printed.
    pub(crate) fn finish(mut self) -> String {
        let child = self.0.take().expect("not finished yet");
        printed(&child.wait_with_output().expect("ends"))
    }

    /// Waits for its end: not one reply may be missing.
    pub(crate) fn finish_without_loss(self) {
        let output = self.finish();
        assert!(output.contains(" 0% packet loss"), "lost replies:\n{output}");
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
