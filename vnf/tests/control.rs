//! The control plane of a whole process, without ports: a child process serves the socket of a
//! configuration, and the real command talks to it.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vnf::control::{Control, Editor, Instruments, Service, Socket};
use vnf::memory::Generations;
use vnf::side::Side;
use vnf::telemetry::{LatencyKind, LatencyRecorder, PortStats, WorkerCounters};
use vnf::wire::MacAddr;

#[path = "control/changes.rs"]
mod changes;
#[path = "control/faults.rs"]
mod faults;

/// Tells a process of this test program to be an instance with this configuration.
const BE_AN_INSTANCE: &str = "LWAFTR_TEST_CONFIG";

/// Not a test: what [`Instance`] starts. Serves until it is killed.
#[test]
fn instance() {
    let Some(path) = std::env::var_os(BE_AN_INSTANCE) else { return };
    if let Err(error) = serve(Path::new(&path)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn serve(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
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
struct Files(TempDir);

impl Files {
    fn new(instance: &str, table: &str) -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("lwaftr.toml")
    }

    fn socket(&self) -> PathBuf {
        self.path("run/test.sock")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn write_table(&self, table: &str) {
        std::fs::write(self.path("softwires.csv"), table).unwrap();
    }

    fn replace_in_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(self.config(), text.replace(from, to)).unwrap();
    }

    /// Starts a process; whether it lives is another question.
    fn spawn(&self) -> Running {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["instance", "--exact", "--nocapture"])
            .env(BE_AN_INSTANCE, self.config())
            .env("STATE_DIRECTORY", self.path("state"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Running(child)
    }

    /// Starts an instance and waits until it answers.
    fn start(self) -> Instance {
        let running = self.spawn();
        self.wait_for(running)
    }

    /// Waits until a process answers.
    fn wait_for(self, running: Running) -> Instance {
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

/// A process that is killed, as by kill -9, when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// An instance that answers.
struct Instance {
    running: Running,
    files: Files,
}

impl Instance {
    /// Runs a verb of the command against it.
    fn lwaftr(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lwaftr"))
            .args(arguments)
            .arg("--socket")
            .arg(self.files.socket())
            .output()
            .unwrap()
    }

    /// Runs a verb that must succeed; its answer.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.lwaftr(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a verb that must fail with this exit code; its words.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.lwaftr(arguments);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
        // Errors of files stand alone, for editors to find their places.
        let in_a_file = words.contains("lwaftr.toml:") || words.contains("softwires.csv:");
        assert_eq!(words.starts_with("lwaftr: "), !in_a_file, "{words}");
        words
    }

    /// Runs a verb whose answer is a negative one, in words on standard output.
    fn fails_silently(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.lwaftr(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(code), ""), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A sample of what Prometheus reads, by its name and labels.
    fn metric(&self, sample: &str) -> f64 {
        let text = self.ok(&["metrics"]);
        let mut values = text.lines().filter_map(|line| line.strip_prefix(sample));
        let value = values.next().unwrap_or_else(|| panic!("no {sample} in {text}"));
        value.trim().parse().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    fn softwires(&self) -> u64 {
        self.json(&["stats", "--json"])["softwires"].as_u64().unwrap()
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.files.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn signal(&self, signal: &str) {
        let pid = self.running.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until something is so.
    fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !is_so(self) {
            assert!(started.elapsed() < Duration::from_secs(60), "{what}: {}", self.files.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Softwires of 198.51.100.0/24 and the addresses behind it, 64 on each.
fn table(softwires: u32) -> String {
    let mut text = String::from("ipv4,psid-offset,psid-len,psid,b4-ipv6\n");
    for n in 0..softwires {
        let ipv4 = std::net::Ipv4Addr::from(0xc633_6400 + n / 64);
        _ = writeln!(text, "{ipv4},6,6,{},2001:db8:b4:{:x}::{:x}", n % 64, n >> 16, n & 0xffff);
    }
    text.replace("2001:db8:b4:0::0\n", "2001:db8:b4:ffff::1\n")
}

#[test]
fn alarms_health_and_metrics_agree_about_a_drain_and_a_failed_reload() {
    let instance = Files::new("", &table(128)).start();
    // Nobody answers for the next hops here.
    assert!(instance.fails_silently(1, &["health"]).contains("no next hop has answered"));
    assert_eq!(instance.ok(&["alarms"]), "no alarm is raised\n");
    assert!(instance.ok(&["drain", "--grace", "0"]).contains("drained"));
    let health = instance.fails_silently(1, &["health", "--json"]);
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!((&health["draining"], &health["live"]), (&true.into(), &true.into()));
    assert_eq!(health["problems"].as_array().unwrap().len(), 3);
    assert!(instance.metric("lwaftr_draining") == 1.0 && instance.metric("lwaftr_ready") == 0.0);

    instance.files.write_table("ipv4,psid-offset,rubbish\n");
    instance.fails(1, &["reload"]);
    let alarms = instance.fails_silently(1, &["alarms", "--json"]);
    let alarms: serde_json::Value = serde_json::from_str(&alarms).unwrap();
    let alarm = &alarms["alarms"][0];
    assert_eq!((&alarm["name"], &alarm["severity"]), (&"reload-failed".into(), &"major".into()));
    assert!(alarm["side"].is_null() && alarm["text"].as_str().unwrap().contains("softwires.csv"));
    assert!(instance.fails_silently(1, &["alarms"]).starts_with("ALARM for "));
    assert!(instance.ok(&["stats"]).starts_with("ALARM for "));
    let failed = "lwaftr_alarms_active{alarm=\"reload-failed\",severity=\"major\"}";
    assert_eq!(instance.metric(failed), 1.0);
    assert_eq!(instance.metric("lwaftr_configuration_last_reload_successful"), 0.0);

    instance.files.write_table(&table(129));
    instance.ok(&["reload"]);
    assert!(instance.ok(&["alarms", "--over"]).contains(" s, was raised for "));
    assert_eq!(instance.metric(failed), 0.0);
    assert_eq!(instance.metric("lwaftr_softwires"), 129.0);
    assert_eq!(instance.metric("lwaftr_reloads_total{result=\"taken\"}"), 1.0);
    assert_eq!(instance.metric("lwaftr_reloads_total{result=\"refused\"}"), 1.0);
    let log = instance.files.log();
    assert_eq!(log.matches("alarm: reload-failed").count(), 1, "{log}");
    assert_eq!(log.matches("alarm cleared: reload-failed").count(), 1, "{log}");

    instance.ok(&["undrain"]);
    assert!(instance.fails(1, &["undrain"]).contains("not drained"));
    assert_eq!(instance.metric("lwaftr_draining"), 0.0);
}

#[test]
fn every_verb_answers() {
    let instance = Files::new("", &table(128)).start();
    let stats = instance.json(&["stats", "--json"]);
    assert_eq!(stats["interfaces"]["external"]["forwarded-packets"], 32);
    assert_eq!(stats["softwires"], 128);
    assert!(instance.ok(&["stats"]).contains("128 softwires, 1 worker"));
    let latency = instance.json(&["latency", "--json"]);
    assert_eq!(latency["encap"]["count"], 32);
    assert_eq!(latency["encap"]["p50"], 1_000);
    assert_eq!(latency["held"]["count"], 0);
    assert_eq!(instance.json(&["latency", "--full"])["encap"]["values"][0][1], 32);
    assert!(instance.ok(&["latency"]).contains("encap"));
    let log = instance.files.path("latency.hlog");
    instance.ok(&["latency", "--hdr", log.to_str().unwrap()]);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.starts_with("#[Histogram log format version 1.3]") && log.contains("Tag=encap,"));
    assert_eq!(instance.json(&["status", "--json"])["name"], "test");
}

#[test]
fn a_bad_file_keeps_the_old_configuration() {
    let instance = Files::new("", &table(128)).start();
    instance.files.replace_in_config("192.0.2.254", "198.51.100.254");
    let words = instance.fails(1, &["reload"]);
    assert!(words.contains("lwaftr.toml:9: external.next-hop"), "{words}");
    instance.signal("-HUP");
    // The second one: the verb's own refusal is there already.
    instance.wait_until("SIGHUP is answered in the log", |instance| {
        instance.files.log().matches("not reloaded, the old one stays").count() == 2
    });
    assert_eq!(instance.softwires(), 128);
    instance.files.replace_in_config("198.51.100.254", "192.0.2.253");
    assert!(instance.ok(&["reload", "--dry-run"]).contains("external.next-hop: "));
    assert!(instance.ok(&["reload"]).contains("external.next-hop: "));
    instance.files.write_table(&table(192));
    instance.signal("-HUP");
    instance.wait_until("SIGHUP reloads", |instance| instance.softwires() == 192);
}

/// Q1, Q2: what `lwaftr reload` says of filters. (What they then do, tests/filters.rs shows.)
#[test]
fn filters_are_switched_on_and_off_by_reloads() {
    let instance = Files::new("", &table(128)).start();
    let next_hop = "next-hop = \"192.0.2.254\"\n";
    let with = format!("{next_hop}ingress-filter = \"udp port 53\"\n");
    instance.files.replace_in_config(next_hop, &with);
    let said = instance.ok(&["reload"]);
    assert!(said.contains("external.ingress-filter: (none) -> \"udp port 53\""), "{said}");
    let log = instance.files.log();
    assert!(log.contains("external.ingress-filter: ") && log.contains("machine code"), "{log}");
    instance.files.replace_in_config("udp port 53", "udp prt 53");
    let words = instance.fails(1, &["reload"]);
    assert!(words.contains("lwaftr.toml:10: external.ingress-filter: \"prt\" cannot"), "{words}");
    assert!(words.contains("\n    udp prt 53\n        ^^^"), "{words}");
    instance.files.replace_in_config("ingress-filter = \"udp prt 53\"\n", "");
    let said = instance.ok(&["reload"]);
    assert!(said.contains("external.ingress-filter: \"udp port 53\" -> (none)"), "{said}");
}

#[test]
fn a_reload_that_cuts_off_customers_needs_force() {
    let instance = Files::new("", &table(1_000)).start();
    instance.files.write_table(&table(900));
    instance.ok(&["reload"]);
    instance.files.write_table(&table(500));
    let words = instance.fails(1, &["reload"]);
    assert!(words.contains("remove 400 of 900"), "{words}");
    assert!(instance.fails(1, &["reload", "--dry-run"]).contains("--force"));
    assert_eq!(instance.softwires(), 900);
    instance.ok(&["reload", "--force"]);
    assert_eq!(instance.softwires(), 500);
}

#[test]
fn edits_are_made_and_refused() {
    let instance = Files::new("", &table(128)).start();
    let new = ["--ipv4", "203.0.113.7", "--psid-len", "2", "--psid", "1"];
    let add = |b4: &'static str| [&["softwire", "add"], &new[..], &["--b4", b4]].concat();
    assert_eq!(instance.ok(&add("2001:db8:7::1")), "1 added, 0 removed\n");
    let words = instance.fails(1, &add("2001:db8:7::2"));
    assert!(words.contains("has a softwire already"), "{words}");
    assert!(instance.fails(1, &add("fe80::1")).contains("link-local"));

    let line = "203.0.113.7,0,2,1,2001:db8:7::1,2001:db8:ffff::1\n";
    for question in ["203.0.113.7:16384", "203.0.113.7:32767", "2001:db8:7::1", "203.0.113.7"] {
        assert!(instance.ok(&["softwire", "lookup", question]).ends_with(line), "{question}");
    }
    assert!(instance.ok(&["softwire", "show", "203.0.113.7"]).ends_with(line));
    let json = instance.json(&["softwire", "lookup", "203.0.113.7:20000", "--json"]);
    assert_eq!(json[0]["b4-ipv6"], "2001:db8:7::1");
    for question in ["203.0.113.7:16383", "203.0.113.8", "2001:db8:7::2"] {
        instance.fails(1, &["softwire", "lookup", question]);
    }
    instance.fails(1, &["softwire", "show", "203.0.113.7", "--psid", "2"]);
    assert_eq!(instance.lwaftr(&["softwire", "lookup", "nonsense"]).status.code(), Some(2));
    assert_eq!(instance.lwaftr(&["softwire", "add"]).status.code(), Some(2));

    let del = ["softwire", "del", "--ipv4", "203.0.113.7", "--psid", "1"];
    assert_eq!(instance.ok(&del), "0 added, 1 removed\n");
    let words = instance.fails(1, &del);
    assert!(words.contains("no such softwire"), "{words}");
    assert_eq!(instance.softwires(), 128);
}

#[test]
fn who_changed_what_is_in_the_audit_log() {
    let instance = Files::new("", &table(128)).start();
    let add = ["softwire", "add", "--ipv4", "203.0.113.7", "--b4"];
    instance.ok(&[&add[..], &["2001:db8:7::1"]].concat());
    instance.fails(1, &[&add[..], &["fe80::1"]].concat());
    instance.ok(&["reload", "--dry-run"]);
    instance.ok(&["reload"]);
    instance.files.write_table("nonsense\n");
    instance.signal("-HUP");
    instance.wait_until("SIGHUP is noted", |instance| {
        instance.json(&["audit", "--json"]).as_array().unwrap().len() == 4
    });
    let records = instance.json(&["audit", "--json"]);
    let of = |key: &str| -> Vec<String> {
        let records = records.as_array().unwrap().iter();
        records.map(|record| record[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("action"), ["softwire-add", "softwire-add", "reload", "reload"]);
    assert_eq!(of("outcome"), ["done", "refused", "done", "refused"]);
    assert!(of("what")[0].contains("203.0.113.7 psid 0"), "{records}");
    assert!(of("detail")[1].contains("link-local") && of("detail")[3].contains("softwires.csv:1"));
    let uid = format!("uid {}", rustix::process::getuid().as_raw());
    assert!(of("who")[2].contains(&uid) && of("from")[2].starts_with("control socket, process "));
    assert_eq!(of("who")[3], "SIGHUP");
    let text = instance.ok(&["audit", "-n", "1"]);
    assert!(text.contains("reload by SIGHUP, signal\n    REFUSED: "), "{text}");
    assert_eq!(instance.lwaftr(&["audit", "-n", "0"]).status.code(), Some(2));
}

#[test]
fn what_is_logged_can_be_changed_while_it_runs() {
    let instance = Files::new("log-format = \"json\"", &table(128)).start();
    let records = || -> Vec<serde_json::Value> {
        instance
            .files
            .log()
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    assert_eq!(instance.ok(&["log"]), "info\n");
    assert!(instance.fails(2, &["log", "loud"]).contains("`loud` is not a level"));
    let debugs = || records().iter().filter(|record| record["level"] == "DEBUG").count();
    let hang_up = || drop(instance.connect());
    hang_up();
    assert_eq!(debugs(), 0);
    assert_eq!(instance.ok(&["log", "vnf::control=debug"]), "vnf::control=debug\n");
    instance.connect().write_all(b"{\"version\":1,\"request\":\"ping\"}\n").unwrap();
    instance.ok(&["softwire", "add", "--ipv4", "203.0.113.7", "--b4", "2001:db8:7::1"]);
    instance.wait_until("it is logged", |_| {
        records().iter().any(|record| record["message"].as_str().unwrap().contains("softwire-add"))
    });
    // What repeats itself is counted.
    instance.ok(&["log", "info"]);
    let before = records().len();
    for _ in 0..30 {
        instance.signal("-HUP");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let hangups = |records: &[serde_json::Value]| {
        records.iter().filter(|record| record["message"] == "SIGHUP: reloading").count()
    };
    assert_eq!(hangups(&records()[before..]), 1);
    instance.wait_until("it is summed up", |_| {
        records().iter().any(|record| {
            let message = record["message"].as_str().unwrap();
            message.starts_with("SIGHUP: reloading [") && message.ends_with(" again in 10 s]")
        })
    });
    instance.files.replace_in_config("log-format = \"json\"", "log-level = \"warn\"");
    instance.ok(&["reload"]);
    assert_eq!(instance.ok(&["log"]), "warn\n");
}

#[test]
fn a_batch_changes_the_psid_length_of_an_address_or_nothing() {
    let instance = Files::new("", &table(128)).start();
    let file = instance.files.path("batch.csv");
    let rows = |count: u32| {
        (0..count).fold(String::new(), |mut text, psid| {
            _ = writeln!(text, "198.51.100.0,6,7,{psid},2001:db8:77::{:x}", psid + 1);
            text
        })
    };
    let add = ["softwire", "add", "--replace", "--file", file.to_str().unwrap()];
    std::fs::write(&file, rows(100) + "198.51.100.0,6,7,128,2001:db8:77::ff\n").unwrap();
    assert!(instance.fails(1, &add).contains("line 101: psid"));
    std::fs::write(&file, rows(100)).unwrap();
    assert!(instance.fails(1, &add).contains("share one layout"));
    assert_eq!(instance.softwires(), 128);
    std::fs::write(&file, rows(128)).unwrap();
    assert_eq!(instance.ok(&add), "128 added, 64 removed\n");
    let shown = instance.ok(&["softwire", "show", "198.51.100.0"]);
    assert_eq!(shown.lines().count(), 1 + 128);
    let del = ["softwire", "del", "--file", file.to_str().unwrap()];
    assert_eq!(instance.ok(&del), "0 added, 128 removed\n");
}

#[test]
fn edits_survive_kill_and_the_socket_is_taken_over() {
    let mut instance = Files::new("", &table(128)).start();
    instance.ok(&["softwire", "add", "--ipv4", "203.0.113.7", "--b4", "2001:db8:7::1"]);
    instance.ok(&["softwire", "del", "--ipv4", "198.51.100.0", "--psid", "5"]);
    let before = instance.ok(&["softwire", "list"]);
    for _ in 0..2 {
        let Instance { running, files } = instance;
        drop(running);
        assert!(files.socket().exists(), "kill -9 leaves the socket");
        instance = files.start();
        assert_eq!(instance.ok(&["softwire", "list"]), before);
        instance.ok(&["reload"]);
        assert_eq!(instance.ok(&["softwire", "list"]), before);
    }
    // A line cut short by a power failure is no edit.
    let Instance { running, files } = instance;
    drop(running);
    let journal = files.path("state/test.journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"{\"version\":1,\"chan");
    std::fs::write(&journal, bytes).unwrap();
    let instance = files.start();
    assert_eq!(instance.ok(&["softwire", "list"]), before);

    // What is listed is a table file; with it, the journal has nothing left to say.
    instance.files.write_table(&before);
    assert!(instance.ok(&["reload"]).contains("0 kept, 2 no longer needed"));
    assert_eq!(instance.ok(&["softwire", "list"]), before);
    instance.files.write_table(&table(128));
    instance.ok(&["reload"]);
    assert_eq!(instance.softwires(), 128);
}

#[test]
fn a_file_that_contradicts_edits_is_refused() {
    let instance = Files::new("", &table(128)).start();
    instance.ok(&["softwire", "del", "--ipv4", "198.51.100.0", "--psid", "5"]);
    instance.files.write_table(&table(128).replace(",5,2001:db8:b4:0::5\n", ",5,2001:db8:99::9\n"));
    let words = instance.fails(1, &["reload"]);
    assert!(words.contains("would undo edits") && words.contains("2001:db8:99::9"), "{words}");
    assert_eq!(instance.softwires(), 127);
    instance.ok(&["reload", "--discard-edits"]);
    assert!(instance.ok(&["softwire", "lookup", "2001:db8:99::9"]).contains("198.51.100.0"));
}

#[test]
fn one_name_one_instance() {
    let instance = Files::new("", &table(1)).start();
    let mut second = instance.files.spawn();
    assert_eq!(second.0.wait().unwrap().code(), Some(1));
    assert!(instance.files.log().contains("another instance is running there"));
    instance.ok(&["status"]);

    // The same name behind another socket meets at the journal.
    instance.files.replace_in_config("test.sock", "other.sock");
    let mut third = instance.files.spawn();
    assert_eq!(third.0.wait().unwrap().code(), Some(1));
    assert!(instance.files.log().contains("in use by another instance of the same name"));
}

#[test]
fn garbage_gets_an_answer_and_harms_nobody() {
    let instance = Files::new("", &table(128)).start();
    let mut stream = instance.connect();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut answer = String::new();
    for garbage in [
        &b"rubbish\n"[..],
        b"\n",
        b"\x00\xff\xfe\n",
        b"{\"version\":1}\n",
        b"{\"version\":9,\"request\":\"ping\"}\n",
        b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
        b"{\"version\":1,\"request\":\"softwire-add\",\"csv\":\"x,y\"}\n",
        b"{\"version\":1,\"request\":\"softwire-add\",\"softwires\":[{\"ipv4\":\"1.2.3.4\",\"psid-len\":17,\"b4-ipv6\":\"::\"}]}\n",
    ] {
        stream.write_all(garbage).unwrap();
        answer.clear();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains("\"error\""), "{answer}");
    }
    // The connection is as good as before.
    stream.write_all(b"{\"version\":1,\"request\":\"ping\"}\n").unwrap();
    answer.clear();
    answers.read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"ok\":{},\"version\":1}\n");

    // Deeply nested, and endless.
    stream.write_all(b"{\"version\":1,\"request\":\"softwire-add\",\"softwires\":").unwrap();
    stream.write_all(&[b'['; 100_000]).unwrap();
    stream.write_all(b"\n").unwrap();
    answer.clear();
    answers.read_line(&mut answer).unwrap();
    assert!(answer.contains("\"error\""), "{answer}");
    let piece = vec![b' '; 1 << 20];
    let refused = (0..80).find_map(|_| stream.write_all(&piece).err());
    answer.clear();
    let ended = answers.read_line(&mut answer);
    assert!(refused.is_some() || answer.contains("longer than"), "{answer} {ended:?}");

    // Half a request, then silence; and many at once.
    let _silent: Vec<UnixStream> = (0..40).map(|_| instance.connect()).collect();
    instance.connect().write_all(b"{\"version\":1,\"requ").unwrap();
    assert_eq!(instance.softwires(), 128);
}

#[test]
fn silent_clients_lock_nobody_out() {
    let instance = Files::new("", &table(128)).start();
    let mut first = instance.connect();
    let others: Vec<UnixStream> = (0..80).map(|_| instance.connect()).collect();
    assert_eq!(instance.softwires(), 128);
    assert_eq!(first.read(&mut [0]).unwrap(), 0, "it was silent longest, and made room");
    // The last ones still have their places.
    let mut last = others.last().unwrap();
    last.write_all(b"{\"version\":1,\"request\":\"ping\"}\n").unwrap();
    let mut answer = String::new();
    BufReader::new(last).read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"ok\":{},\"version\":1}\n");
}

#[test]
fn a_hangup_during_the_start_is_heard_after_it() {
    let files = Files::new("", &table(400_000));
    let running = files.spawn();
    let status = PathBuf::from(format!("/proc/{}/status", running.0.id()));
    let catches_hangups = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 1 == 1
    };
    let started = Instant::now();
    while !catches_hangups() {
        assert!(started.elapsed() < Duration::from_secs(60), "{}", files.log());
    }
    let instance = Instance { running, files };
    instance.signal("-HUP");
    assert!(!instance.files.socket().exists(), "the table is still being read");
    instance.wait_until("the reload", |instance| {
        instance.files.log().contains("configuration reloaded")
    });
    assert_eq!(instance.softwires(), 400_000);
}

#[test]
fn hangups_during_a_reload_come_to_one_more_reload() {
    let instance = Files::new("", &table(200_000)).start();
    for _ in 0..50 {
        instance.signal("-HUP");
    }
    let reloads =
        |instance: &Instance| instance.files.log().matches("configuration reloaded").count();
    instance.wait_until("the first reload", |instance| reloads(instance) > 0);
    // An edit waits for no more than the reload under way.
    instance.ok(&["softwire", "del", "--ipv4", "198.51.100.0", "--psid", "5"]);
    std::thread::sleep(Duration::from_secs(2));
    let reloads = reloads(&instance);
    assert!(reloads < 20, "{reloads} reloads for 50 signals");
    assert_eq!(instance.softwires(), 199_999);
}

#[test]
fn a_pipe_in_place_of_a_table_is_refused_at_once() {
    let instance = Files::new("", &table(128)).start();
    let table = instance.files.path("softwires.csv");
    std::fs::remove_file(&table).unwrap();
    assert!(Command::new("mkfifo").arg(&table).status().unwrap().success());
    let words = instance.fails(1, &["reload"]);
    assert!(words.contains("softwires.csv cannot be read (it is a pipe"), "{words}");
    instance.ok(&["softwire", "del", "--ipv4", "198.51.100.0", "--psid", "5"]);
}

#[test]
fn nobody_there_is_another_answer_than_no() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
        .args(["stats", "--socket"])
        .arg(nowhere.path().join("none.sock"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no instance answers"));
}

#[test]
fn watch_reloads_by_itself() {
    let instance = Files::new("watch = true", &table(128)).start();
    let aside = instance.files.path("softwires.csv.new");
    std::fs::write(&aside, table(256)).unwrap();
    std::fs::rename(&aside, instance.files.path("softwires.csv")).unwrap();
    instance.wait_until("the table is reloaded", |instance| instance.softwires() == 256);
    // A file that is not right waits to be put right.
    instance.files.write_table("nonsense\n");
    instance.wait_until("the bad table is noticed", |instance| {
        instance.files.log().contains("not reloaded, the old one stays")
    });
    assert_eq!(instance.softwires(), 256);
    instance.files.write_table(&table(320));
    instance.wait_until("the table is reloaded again", |instance| instance.softwires() == 320);
}

#[test]
fn ten_thousand_edits_a_second() {
    let instance = Files::new("", &table(10_000)).start();
    let mut stream = instance.connect();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let started = Instant::now();
    for batch in 0..20_u32 {
        let rows: Vec<_> = (0..1_000_u32)
            .map(|n| {
                let ipv4 = std::net::Ipv4Addr::from(0xcb00_7100 + batch * 1_000 + n);
                format!("{{\"ipv4\":\"{ipv4}\",\"b4-ipv6\":\"2001:db8:{batch:x}::{:x}\"}}", n + 1)
            })
            .collect();
        let rows = rows.join(",");
        writeln!(stream, "{{\"version\":1,\"request\":\"softwire-add\",\"softwires\":[{rows}]}}")
            .unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains("\"added\":1000"), "{answer}");
    }
    let took = started.elapsed();
    assert_eq!(instance.softwires(), 30_000);
    // Twice the time that 20 000 may take: this machine does other things, too.
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_million_softwires_are_listed_and_reloaded_without_blocking_others() {
    let instance = Files::new("", &table(1_000_000)).start();
    let mut stream = instance.connect();
    stream.write_all(b"{\"version\":1,\"request\":\"softwire-list\"}\n").unwrap();
    // A list that is not read on does not hold others up, edits included.
    instance.ok(&["softwire", "add", "--ipv4", "203.0.113.7", "--b4", "2001:db8:7::1"]);
    drop(stream);

    let listed = instance.ok(&["softwire", "list"]);
    assert_eq!(listed.lines().count(), 1 + 1_000_001);
    assert!(listed.contains("\n203.0.113.7,0,0,0,2001:db8:7::1,2001:db8:ffff::1\n"));
    let json = instance.json(&["softwire", "list", "--json"]);
    assert_eq!(json.as_array().unwrap().len(), 1_000_001);

    // This list begins before the reload and is read after it: nothing of the old table is kept
    // for it, so it ends with what the new table has.
    let mut slow = instance.connect();
    slow.write_all(b"{\"version\":1,\"request\":\"softwire-list\"}\n").unwrap();

    instance.files.write_table(&table(1_000_064));
    let reload = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
        .args(["reload", "--socket"])
        .arg(instance.files.socket())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut reload = Running(reload);
    let (mut slowest, mut answers) = (Duration::ZERO, 0);
    let mut stream = instance.connect();
    while reload.0.try_wait().unwrap().is_none() {
        let asked = Instant::now();
        stream.write_all(b"{\"version\":1,\"request\":\"ping\"}\n").unwrap();
        let mut answer = [0; 64];
        assert!(stream.read(&mut answer).unwrap() > 0);
        slowest = slowest.max(asked.elapsed());
        answers += 1;
    }
    assert!(reload.0.wait().unwrap().success());
    assert!(answers > 5 && slowest < Duration::from_millis(500), "{answers}, {slowest:?}");
    assert_eq!(instance.softwires(), 1_000_065);
    let last =
        BufReader::new(slow).lines().map(Result::unwrap).find(|line| !line.contains("\"part\""));
    assert!(last.unwrap().contains("\"softwires\":1000065"));
}

#[test]
fn what_softwires_carry_is_shown_where_it_is_counted() {
    let instance = Files::new("", &table(3)).start();
    for arguments in [&["softwire", "top", "--once"][..], &["softwire", "list", "--counters"]] {
        let error = instance.fails(1, arguments);
        assert!(error.contains("set softwires.counters = true and reload"), "{error}");
    }
    assert!(instance.json(&["softwire", "list", "--json"])[0]["counters"].is_null());

    instance.files.replace_in_config("[softwires]", "[softwires]\ncounters = true");
    instance.ok(&["reload"]);
    let listed = instance.ok(&["softwire", "list", "--counters"]);
    let mut lines = listed.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .ends_with(",br-ipv6,to-b4-packets,to-b4-bytes,from-b4-packets,from-b4-bytes")
    );
    assert!(lines.all(|line| line.ends_with(",0,0,0,0")), "{listed}");
    let json = instance.json(&["softwire", "list", "--json"]);
    assert_eq!(json[0]["counters"]["from-b4-bytes"], 0);
    let listed = instance.ok(&["softwire", "list"]);
    assert!(listed.lines().all(|line| line.matches(',').count() == 5), "still a table file");
    let top = instance.ok(&["softwire", "top", "--once", "--interval", "0.1"]);
    assert!(top.starts_with("0 softwires carried packets in the last 0."), "{top}");
    let top = instance.json(&["softwire", "top", "--once", "--interval", "0.1", "--json"]);
    assert_eq!((&top["active"], &top["total"]["to-b4-packets"]), (&0.into(), &0.into()));
    let output = instance.lwaftr(&["softwire", "top", "--interval", "60"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("expected seconds from 0.1 to 10"), "{error}");
}

#[test]
fn the_head_of_a_list_is_no_failure() {
    let instance = Files::new("", &table(100_000)).start();
    let mut list = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
        .args(["softwire", "list", "--socket"])
        .arg(instance.files.socket())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(list.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("ipv4,"));
    assert_eq!(list.wait().unwrap().code(), Some(0));
}

#[test]
fn completions_and_man_pages() {
    let lwaftr = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lwaftr")).args(arguments).output().unwrap()
    };
    for shell in ["bash", "zsh", "fish"] {
        let output = lwaftr(&["completions", shell]);
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains("softwire"));
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("man1");
    assert!(lwaftr(&["man", "--out", out.to_str().unwrap()]).status.success());
    for page in
        ["lwaftr", "lwaftr-check", "lwaftr-replay", "lwaftr-softwire", "lwaftr-softwire-add"]
    {
        let text = std::fs::read_to_string(out.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}
