//! A process that is an instance without ports: its files, how it is started, and what is asked of it.

use std::fmt::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vnf::control::{Control, Editor, Instruments, Service, Socket};
use vnf::memory::Generations;
use vnf::side::Side;
use vnf::telemetry::{LatencyKind, LatencyRecorder, PortStats, WorkerCounters};
use vnf::wire::MacAddr;

use crate::instance::{Running, start, this_program};

/// What the process does.
pub(crate) fn serve(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    vnf::log::start(None)?;
    let service = Service::new()?;
    let journal = vnf::control::default_journal("test");
    let (config, writer) = vnf::control::load(path, |_| journal.clone())?;
    let socket = Socket::bind(&config.instance.control_socket)?;
    let watch = config.instance.watch;
    let (generations, _) = Generations::new(0);
    let macs = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
    let editor = Editor::start((config, writer), macs, generations, &journal, false)?;
    // One worker that has forwarded a burst, and answers when it is asked for its histograms.
    let (mut recorder, reader) = LatencyRecorder::new();
    let counters = Arc::new(WorkerCounters::default());
    counters.of(Side::External).in_packets.add(32);
    counters.of(Side::External).forwarded.add(32);
    recorder.record(LatencyKind::Encap, 1_000, 32);
    std::thread::spawn(move || {
        loop {
            recorder.exchange();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let instruments = Instruments {
        counters: vec![counters],
        latency: vec![reader],
        ports: Box::new(|| [PortStats::default(); 2]),
        ..Instruments::default()
    };
    let control = Arc::new(Control::new(editor, instruments));
    service.run(control, &socket, watch, std::future::pending())?;
    Ok(())
}

/// The files of an instance: configuration, table, socket, journal, log.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new(instance: &str, table: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let config = format!(
            r#"
[instance]
name = "test"
control-socket = "{}"
{instance}
[external]
port = "net_null0"
address = "192.0.2.1/24"
next-hop = "192.0.2.254"
[internal]
port = "net_null1"
address = "2001:db8:0:1::1/64"
next-hop = "2001:db8:0:1::ff"
[softwires]
br-addresses = "2001:db8:ffff::1"
file = "softwires.csv"
"#,
            files.socket().display()
        );
        std::fs::write(files.config(), config).unwrap();
        files.write_table(table);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("lwaftr.toml")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/test.sock")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn write_table(&self, table: &str) {
        std::fs::write(self.path("softwires.csv"), table).unwrap();
    }

    pub(crate) fn replace_in_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(self.config(), text.replace(from, to)).unwrap();
    }

    /// Starts a process; whether it lives is another question.
    pub(crate) fn spawn(&self) -> Running {
        start(&mut this_program(), &self.config())
    }

    /// Starts an instance and waits until it answers.
    pub(crate) fn start(self) -> Instance {
        let running = self.spawn();
        self.wait_for(running)
    }

    /// Waits until a process answers.
    pub(crate) fn wait_for(self, running: Running) -> Instance {
        let mut instance = Instance { running, files: self };
        let started = Instant::now();
        while !instance.lwaftr(&["status"]).status.success() {
            let ended = instance.running.0.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < Duration::from_secs(120),
                "the instance does not answer: {}",
                instance.files.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        instance
    }
}

/// An instance that answers.
pub(crate) struct Instance {
    pub(crate) running: Running,
    pub(crate) files: Files,
}

impl Instance {
    /// Runs a verb of the command against it.
    pub(crate) fn lwaftr(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lwaftr"))
            .args(arguments)
            .arg("--socket")
            .arg(self.files.socket())
            .output()
            .unwrap()
    }

    /// Runs a verb that must succeed; its answer.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.lwaftr(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a verb that must fail with this exit code; its words.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.lwaftr(arguments);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
        // Errors of files stand alone, for editors to find their places.
        let in_a_file = words.contains("lwaftr.toml:") || words.contains("softwires.csv:");
        assert_eq!(words.starts_with("lwaftr: "), !in_a_file, "{words}");
        words
    }

    /// Runs a verb whose answer is a negative one, in words on standard output.
    pub(crate) fn fails_silently(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.lwaftr(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(code), ""), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A sample of what Prometheus reads, by its name and labels.
    pub(crate) fn metric(&self, sample: &str) -> f64 {
        let text = self.ok(&["metrics"]);
        let mut values = text.lines().filter_map(|line| line.strip_prefix(sample));
        let value = values.next().unwrap_or_else(|| panic!("no {sample} in {text}"));
        value.trim().parse().unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    pub(crate) fn softwires(&self) -> u64 {
        self.json(&["stats", "--json"])["softwires"].as_u64().unwrap()
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.files.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.running.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until something is so.
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !is_so(self) {
            assert!(started.elapsed() < Duration::from_secs(60), "{what}: {}", self.files.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Softwires of 198.51.100.0/24 and the addresses behind it, 64 on each.
pub(crate) fn table(softwires: u32) -> String {
    let mut text = String::from("ipv4,psid-offset,psid-len,psid,b4-ipv6\n");
    for n in 0..softwires {
        let ipv4 = std::net::Ipv4Addr::from(0xc633_6400 + n / 64);
        _ = writeln!(text, "{ipv4},6,6,{},2001:db8:b4:{:x}::{:x}", n % 64, n >> 16, n & 0xffff);
    }
    text.replace("2001:db8:b4:0::0\n", "2001:db8:b4:ffff::1\n")
}
