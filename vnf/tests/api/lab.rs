//! An instance with the API, in a process of its own, and its client.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vnf::api::Api;
use vnf::config;
use vnf::control::{Control, Editor, Instruments, Service, Socket};
use vnf::memory::Generations;
use vnf::side::Side;
use vnf::telemetry::{DropReason, PortStats, WorkerCounters};
use vnf::wire::MacAddr;

use crate::instance::{Running, start, this_program};

/// Tokens, and what the credentials say of them.
pub(crate) const TOKENS: [(&str, &str); 3] =
    [("ann", "write"), ("ivy", "inspect"), ("rob", "read")];

/// What the process does.
pub(crate) fn serve(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let service = Service::new()?;
    let (config, writer) = config::load_with_table(path)?;
    let socket = Socket::bind(&config.instance.control_socket)?;
    let api = Api::open(&config)?;
    let (generations, _) = Generations::new(0);
    let macs = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
    let journal = vnf::control::default_journal(&config.instance.name);
    let editor = Editor::start((config, writer), macs, generations, &journal, false)?;
    let counters = Arc::new(WorkerCounters::default());
    counted(&counters);
    let instruments = Instruments {
        counters: vec![counters],
        latency: vec![],
        ports: Box::new(|| [PortStats { rx_missed: 3, ..PortStats::default() }; 2]),
        ..Instruments::default()
    };
    let control = Arc::new(Control::new(editor, instruments));
    let addresses: Vec<String> = api.addresses().iter().map(ToString::to_string).collect();
    std::fs::write(path.with_file_name("addresses"), addresses.join("\n"))?;
    let served = api.serve(Arc::clone(&control));
    service.run(control, &socket, false, async { served.await.unwrap() })?;
    Ok(())
}

/// What the workers of the instance are said to have done.
fn counted(counters: &WorkerCounters) {
    let external = counters.of(Side::External);
    external.in_packets.add(110);
    external.in_bytes.add(11_000);
    external.forwarded.add(100);
    external.drops[DropReason::NoSoftwire.index()].add(10, 640);
    external.out_packets.add(50);
    external.out_bytes.add(5_000);
    let internal = counters.of(Side::Internal);
    internal.in_packets.add(57);
    internal.forwarded.add(50);
    internal.drops[DropReason::SourceWrongB4.index()].add(7, 700);
    internal.out_packets.add(100);
    counters.examples(Side::External).put(DropReason::NoSoftwire, &[0xab; 70], 70);
}

/// An instance that answers.
pub(crate) struct Instance {
    running: Running,
    pub(crate) directory: TempDir,
    /// `http://127.0.0.1:PORT`, or `https://`.
    pub(crate) addresses: Vec<String>,
}

/// Writes the configuration of an instance: lines of `[api]`, lines of other tables, the table.
pub(crate) fn write_config(directory: &Path, api: &str, more: &str, table: &str) -> PathBuf {
    let path = directory.join("lwaftr.toml");
    let text = format!(
        r#"
[instance]
name = "test"
control-socket = "{0}/control.sock"
[external]
port = "net_null0"
address = "192.0.2.1/24"
next-hop = "192.0.2.254"
[internal]
port = "net_null1"
address = "2001:db8:0:1::1/64"
next-hop = "2001:db8:0:1::ff"
mtu = 1540
[softwires]
br-addresses = "2001:db8:ffff::1"
file = "softwires.csv"
several-per-b4 = true
[api]
socket = "{0}/api.sock"
{api}
{more}
"#,
        directory.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::write(directory.join("softwires.csv"), table).unwrap();
    let mut credentials = String::new();
    for (name, role) in TOKENS {
        use sha2::Digest as _;
        let digest: String =
            sha2::Sha256::digest(token(name)).iter().map(|byte| format!("{byte:02x}")).collect();
        credentials += &format!("{name} {role} token sha256:{digest}\n");
    }
    std::fs::write(directory.join("credentials"), credentials).unwrap();
    path
}

/// The token of one of [`TOKENS`].
pub(crate) fn token(name: &str) -> String {
    format!("the-token-of-{name}-0123456789abcdef")
}

/// A few softwires: two of one B4, a whole address, and k = 16.
pub(crate) const TABLE: &str = "\
203.0.113.7,6,6,1,2001:db8:b4::1,2001:db8:ffff::1
203.0.113.7,6,6,2,2001:db8:b4::2,2001:db8:ffff::1
203.0.113.8,0,0,0,2001:db8:b4::3,2001:db8:ffff::1
203.0.113.9,0,4,1,2001:db8:b4::4,2001:db8:ffff::1
203.0.113.9,0,4,2,2001:db8:b4::4,2001:db8:ffff::1
";

/// The header field that says who asks.
pub(crate) fn token_header(who: Option<&str>) -> Option<String> {
    who.map(|who| format!("Authorization: Bearer {}", token(who)))
}

impl Instance {
    /// One on a free loopback port.
    pub(crate) fn start(table: &str) -> Self {
        Self::start_with("listen = \"127.0.0.1:0\"\ncredentials = \"credentials\"", "", table)
    }

    pub(crate) fn start_with(api: &str, more: &str, table: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_in(directory, api, more, table)
    }

    pub(crate) fn start_in(directory: TempDir, api: &str, more: &str, table: &str) -> Self {
        let config = write_config(directory.path(), api, more, table);
        let running = start(&mut this_program(), &config);
        let mut instance = Self { running, directory, addresses: Vec::new() };
        let started = Instant::now();
        while instance.unix("GET", "/api/status").status != 200 {
            let ended = instance.running.0.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < Duration::from_secs(120),
                "the instance does not answer: {}",
                instance.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let addresses = std::fs::read_to_string(instance.directory.path().join("addresses"));
        instance.addresses = addresses.unwrap().lines().map(str::to_owned).collect();
        instance
    }

    /// Asks until the answer is there; figures of the page may be half a second old.
    pub(crate) fn eventually<T>(&self, mut ask: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(Instant::now() < deadline, "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Takes up the changed configuration; `Err` with the words of a refusal.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let output = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
            .args(["reload", "--socket"])
            .arg(self.directory.path().join("control.sock"))
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(words) }
    }

    /// What a verb of the command says.
    pub(crate) fn lwaftr(&self, arguments: &[&str]) -> String {
        let socket = self.directory.path().join("control.sock");
        let output = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
            .args(arguments)
            .arg("--socket")
            .arg(socket)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// By the Unix socket: whoever runs the test may do everything there.
    pub(crate) fn unix(&self, method: &str, path: &str) -> Answer {
        self.curl(Some("unix"), method, path, &[], None)
    }

    /// The same with a body, of RESTCONF's type.
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = ["Content-Type: application/yang-data+json"];
        self.curl(Some("unix"), method, path, &headers, Some(body.to_string().as_bytes()))
    }

    /// By the first address, as one of [`TOKENS`], or as nobody.
    pub(crate) fn tcp(
        &self,
        who: Option<&str>,
        method: &str,
        path: &str,
        headers: &[&str],
    ) -> Answer {
        let authorization = token_header(who);
        let mut all: Vec<&str> = headers.to_vec();
        all.extend(authorization.as_deref());
        self.curl(None, method, path, &all, None)
    }

    /// Follows the event stream from now on.
    pub(crate) fn listen(&self) -> Events {
        let mut child = Command::new("curl")
            .args(["-sS", "-N", "--max-time", "100", "--unix-socket"])
            .arg(self.directory.path().join("api.sock"))
            .arg("http://localhost/restconf/streams/NETCONF")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        // The first comment says that it is followed.
        while lines.next().expect("the stream begins").unwrap() != ": nothing new" {}
        Events { _curl: Running(child), lines }
    }

    /// The memory that the process has now, in kB; from now on the most is noted anew.
    pub(crate) fn memory(&self) -> u64 {
        let process = PathBuf::from(format!("/proc/{}", self.running.0.id()));
        std::fs::write(process.join("clear_refs"), "5").unwrap();
        self.status_of("VmRSS:")
    }

    /// The most memory that it has had since, in kB.
    pub(crate) fn most_memory(&self) -> u64 {
        self.status_of("VmHWM:")
    }

    fn status_of(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.running.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Runs curl.
    pub(crate) fn curl(
        &self,
        unix: Option<&str>,
        method: &str,
        path: &str,
        headers: &[&str],
        body: Option<&[u8]>,
    ) -> Answer {
        let mut command = Command::new("curl");
        command.args(["-sS", "--globoff", "--path-as-is", "-i", "--max-time", "60"]);
        let base = match (unix, self.addresses.first()) {
            (None, Some(address)) => format!("http://{address}"),
            _ => {
                command.arg("--unix-socket").arg(self.directory.path().join("api.sock"));
                "http://localhost".to_owned()
            }
        };
        if method == "HEAD" {
            command.arg("--head");
        } else {
            command.args(["-X", method]);
        }
        for header in headers {
            command.args(["-H", header]);
        }
        if body.is_some() {
            command.args(["--data-binary", "@-", "-H", "Expect:"]);
        }
        command.arg(base + path);
        run(command, body.unwrap_or_default())
    }
}

/// Runs a curl that prints the header and the body.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Answer {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || _ = stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    Answer { status, head: head.to_owned(), body: body.to_owned(), problem }
}

/// What curl received.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 when there was no answer.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// What curl said.
    pub(crate) problem: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.head, self.body))
    }

    /// The body, when the status is this.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}{}", self.head, self.body, self.problem);
        self
    }

    /// The first error, as RESTCONF has it.
    pub(crate) fn error(&self) -> Value {
        self.json()["ietf-restconf:errors"]["error"][0].clone()
    }
}

/// A curl that follows the event stream.
pub(crate) struct Events {
    _curl: Running,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Events {
    /// The next events.
    pub(crate) fn take(mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            let line = self.lines.next().expect("the stream goes on").unwrap();
            if let Some(data) = line.strip_prefix("data: ") {
                events.push(serde_json::from_str(data).unwrap());
            }
        }
        events
    }
}
