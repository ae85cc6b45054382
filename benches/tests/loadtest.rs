//! `lwaftr-loadtest` against a relay in a process of its own, joined by two memif sockets: short
//! trials at low rates, because it is the logic that is tested, on machines that others use.

#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Short trials, and no demand on CPU that a shared machine would not meet.
const BRIEF: [(&str, &str); 5] = [
    ("--trial-duration", "0.5"),
    ("--settle", "0"),
    ("--drain", "1"),
    ("--min-cpu-share", "0.1"),
    ("--attempts", "1"),
];

/// The relay's program, built beside ours.
fn lwaftr() -> PathBuf {
    let given = std::env::var_os("LWAFTR").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_BIN_EXE_lwaftr-loadtest")).with_file_name("lwaftr");
    let program = given.unwrap_or(beside);
    assert!(program.exists(), "{} is missing: cargo build --bin lwaftr", program.display());
    program
}

/// DPDK's pages and sockets are root's.
fn is_root() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}

/// How the two programs are joined.
#[derive(Clone, Copy, PartialEq)]
enum Wires {
    Memif,
    Vhost,
}

impl Wires {
    /// The relay's port and ours. `side` is a number and a name for the socket.
    fn ports(self, directory: &Path, number: u32) -> (String, String) {
        let socket = directory.join(format!("wire-{number}"));
        let socket = socket.display();
        match self {
            Self::Memif => {
                let end = |role: &str| {
                    format!("net_memif{number},role={role},socket={socket},socket-abstract=no")
                };
                (end("server"), end("client"))
            }
            Self::Vhost => (
                format!("net_vhost{number},iface={socket}"),
                format!("net_virtio_user{number},path={socket},queues=1,queue_size=1024"),
            ),
        }
    }
}

/// A relay that runs, with its files; it ends with this.
struct Lab {
    directory: tempfile::TempDir,
    relay: Child,
    ports: [String; 2],
}

impl Lab {
    /// 1000 softwires; the relay knows those of `keep`.
    fn start(wires: Wires, keep: impl Fn(usize) -> bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let out = directory.path().to_str().unwrap();
        let generate = ["generate", "--softwires", "1000", "--flows", "1", "--out", out];
        let made = Command::new(lwaftr()).args(generate).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

        // The generator's configuration knows all softwires, the relay's perhaps fewer.
        let (external, internal) =
            (wires.ports(directory.path(), 0), wires.ports(directory.path(), 1));
        let text = fs::read_to_string(at("lwaftr.toml")).unwrap();
        let text = text
            .replace("net_null0,no-rx=1", &external.0)
            .replace("net_null1,no-rx=1", &internal.0)
            .replace("[softwires]", "[softwires]\npersist = false");
        let socket = at("control");
        let text = format!("[instance]\ncontrol-socket = \"{}\"\n{text}", socket.display());
        fs::write(at("lwaftr.toml"), &text).unwrap();
        let rows = fs::read_to_string(at("softwires.csv")).unwrap();
        let known: String = rows
            .lines()
            .filter(|line| !line.starts_with('#'))
            .enumerate()
            .filter(|(number, _)| *number == 0 || keep(*number))
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        fs::write(at("known.csv"), known).unwrap();
        fs::write(at("relay.toml"), text.replace("softwires.csv", "known.csv")).unwrap();

        let relay = Command::new(lwaftr())
            .args(["run", at("relay.toml").to_str().unwrap()])
            .env("STATE_DIRECTORY", at("state"))
            .stderr(fs::File::create(at("relay.log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lab = Self { directory, relay, ports: [external.1, internal.1] };
        let deadline = Instant::now() + Duration::from_secs(60);
        // The socket is there before the ports are.
        while !lab.answers() {
            let ended = lab.relay.try_wait().unwrap();
            let log = fs::read_to_string(lab.at("relay.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "the relay: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        lab
    }

    /// Does the relay answer on its control socket?
    fn answers(&self) -> bool {
        let socket = self.text("control");
        let asked = Command::new(lwaftr()).args(["status", "--socket", &socket]).output();
        asked.unwrap().status.success()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// Runs the load test with a configuration of the lab. What `more` says replaces the usual.
    fn run(&self, verb: &str, config: &str, more: &[&str]) -> Output {
        let (config, pid) = (self.text(config), self.relay.id().to_string());
        let (json, html) = (self.text("out.json"), self.text("out.html"));
        let [external, internal] = &self.ports;
        let usual = [
            ("--external-port", &**external),
            ("--internal-port", internal),
            ("--pid", &pid),
            ("--json", &json),
            ("--html", &html),
            ("--flows", "500"),
        ];
        let usual = usual.into_iter().chain(BRIEF).filter(|(key, _)| !more.contains(key));
        Command::new(env!("CARGO_BIN_EXE_lwaftr-loadtest"))
            .args([verb, &config])
            .args(usual.flat_map(|(key, value)| [key, value]))
            .args(more)
            .output()
            .unwrap()
    }

    /// The results of a run that must succeed.
    fn measure(&self, verb: &str, config: &str, more: &[&str]) -> Value {
        let output = self.run(verb, config, more);
        let log = || fs::read_to_string(self.at("relay.log")).unwrap_or_default();
        assert!(output.status.success(), "{}\nrelay: {}", said(&output), log());
        self.report()
    }

    fn report(&self) -> Value {
        assert_is_a_page(&fs::read_to_string(self.at("out.html")).unwrap());
        serde_json::from_str(&fs::read_to_string(self.at("out.json")).unwrap()).unwrap()
    }

    /// A counter of an interface of the relay.
    fn dropped(&self, side: &str, reason: &str) -> u64 {
        let socket = self.text("control");
        let output =
            Command::new(lwaftr()).args(["stats", "--json", "--socket", &socket]).output().unwrap();
        let stats: Value = serde_json::from_slice(&output.stdout).unwrap();
        stats["interfaces"][side]["drops"][reason]["packets"].as_u64().unwrap_or(0)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        _ = Command::new("kill").arg(self.relay.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if matches!(self.relay.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        _ = self.relay.kill();
        _ = self.relay.wait();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Every tag that opens closes, in order, and nothing is fetched.
fn assert_is_a_page(html: &str) {
    let mut open = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("a tag without end");
        let name: String = tag.chars().take_while(|c| !c.is_whitespace() && *c != '/').collect();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed));
        } else if !tag.starts_with('!') && !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    for word in ["http://", "https://", "src=", "href=", "<script"] {
        assert!(!html.contains(word), "the page fetches something: {word}");
    }
}

fn lane<'a>(trial: &'a Value, direction: &str) -> &'a Value {
    let lanes = trial["lanes"].as_array().unwrap();
    lanes.iter().find(|lane| lane["direction"] == direction).unwrap()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// Another table, in which every third softwire has another B4.
fn other_table(lab: &Lab) {
    let rows = fs::read_to_string(lab.at("known.csv")).unwrap();
    let moved = rows.lines().enumerate().map(|(number, line)| {
        let line = line.to_owned();
        if number > 0 && number % 3 == 0 { line.replace("::1,", "::77,") } else { line }
    });
    let moved: String = moved.map(|line| line + "\n").collect();
    assert_ne!(rows, moved);
    fs::write(lab.at("b.csv"), moved).unwrap();
    fs::copy(lab.at("known.csv"), lab.at("a.csv")).unwrap();
}

fn reloads_lose_nothing(wires: Wires) {
    let lab = Lab::start(wires, |_| true);
    other_table(&lab);
    let tables = format!("{},{}", lab.text("a.csv"), lab.text("b.csv"));
    let more = ["--tables", &tables, "--reloads", "3", "--pause", "0.2", "--window", "64"];
    let report = lab.measure("reload", "relay.toml", &more);
    let result = &report["reloads"][0];
    assert_eq!(result["every_frame_once"], true, "{result}");
    let moments = result["reloads"].as_array().unwrap();
    let order: Vec<u64> = moments.iter().map(|moment| count(&moment["table"])).collect();
    assert_eq!(order, [1, 0, 1]);
    for direction in ["encap", "decap"] {
        let lane = lane(&result["trial"], direction);
        assert!(count(&lane["offered"]) > 1000, "{lane}");
        assert_eq!(lane["offered"], lane["returned"]);
        for wrong in ["lost", "duplicates", "corrupt", "misdirected"] {
            assert_eq!(count(&lane[wrong]), 0, "{direction} {wrong}");
        }
    }
    let by_table = lane(&result["trial"], "encap")["by_table"].as_array().unwrap();
    assert!(by_table.len() == 2 && by_table.iter().all(|made| count(made) > 0), "{by_table:?}");
    let html = fs::read_to_string(lab.at("out.html")).unwrap();
    assert_eq!(html.matches("<title>reload</title>").count(), 2 * 3, "both plots show each");

    // The table in force is now the second: that the first is, is refused.
    let refused = lab.run("reload", "relay.toml", &more);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("in force"), "{}", said(&refused));
}

#[test]
fn reloads_lose_nothing_over_memif() {
    if is_root() {
        reloads_lose_nothing(Wires::Memif);
    }
}

/// Hugepages reserved for a test, given back at its end.
struct Reserved {
    before: String,
}

const PAGES: &str = "/proc/sys/vm/nr_hugepages";

impl Reserved {
    /// So many more free pages of 2 MiB; `None`, and said why, when they cannot be had.
    fn pages(wanted: u64) -> Option<Self> {
        let read = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let before = read(PAGES)?;
        let reserved = Self { before: before.to_string() };
        _ = fs::write(PAGES, (before + wanted).to_string());
        let free = read("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").unwrap_or(0);
        if free < wanted {
            println!("skipped: needs {wanted} hugepages of 2 MiB, and {free} can be had");
            return None;
        }
        Some(reserved)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        _ = fs::write(PAGES, &self.before);
    }
}

#[test]
fn reloads_lose_nothing_over_vhost() {
    if !is_root() {
        return;
    }
    // Both programs share memory with each other.
    if let Some(_reserved) = Reserved::pages(320) {
        reloads_lose_nothing(Wires::Vhost);
    }
}

#[test]
fn what_a_relay_drops_is_told_exactly() {
    if !is_root() {
        return;
    }
    // The relay does not have every fifth softwire that the generator believes in.
    let lab = Lab::start(Wires::Memif, |number| number % 5 != 0);
    let more =
        ["--frame-sizes", "imix", "--directions", "both", "--max-rate", "2k", "--step", "100"];
    let output = lab.run("loss", "lwaftr.toml", &more);
    assert!(output.status.success(), "{}", said(&output));
    let report = lab.report();
    let points = report["loss"][0]["points"].as_array().unwrap();
    assert_eq!(points.len(), 1);
    let trial = &points[0]["trial"];
    for (direction, side, reason) in
        [("encap", "external", "no-softwire"), ("decap", "internal", "source-no-softwire")]
    {
        let lane = lane(trial, direction);
        assert_eq!(count(&lane["offered"]), 1000);
        let lost = count(&lane["lost"]);
        assert!((100..300).contains(&lost), "about a fifth: {lost}");
        assert_eq!(count(&lane["corrupt"]) + count(&lane["misdirected"]), 0);
        // What came before the trial was lost thrice, the same frames each time, and it was said.
        let said = said(&output);
        let words = format!("{direction}: even at 200 frames a second ");
        let line = said.lines().find_map(|line| line.strip_prefix(&words)).unwrap();
        let before: u64 = line.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(lab.dropped(side, reason), lost + 3 * before, "{direction}\n{said}");
    }
    assert_eq!(trial["loss_ratio"].as_f64().unwrap(), {
        let lost = ["encap", "decap"].map(|way| count(&lane(trial, way)["lost"]));
        lost.iter().sum::<u64>() as f64 / 2000.0
    });
}

#[test]
fn throughput_and_latency_are_found_and_reported() {
    if !is_root() {
        return;
    }
    let lab = Lab::start(Wires::Memif, |_| true);
    // 2000 frames a second pass anywhere: the first trial ends the search.
    let common = ["--frame-sizes", "64,imix", "--max-rate", "2000"];
    let search = ["--directions", "both", "--resolution", "10", "--verify-loss", "4"];
    let report = lab.measure("throughput", "relay.toml", &[&common[..], &search].concat());
    let results = report["throughput"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        assert_eq!(result["rate"], 2000.0, "{result}");
        assert_eq!(result["limited_by_generator"], false);
        assert_eq!(count(&lane(&result["best"], "encap")["offered"]), 1000);
    }
    let line = results[0]["line_rate"].as_f64().unwrap();
    assert!((line - 10_080_645.0).abs() < 1.0, "{line}");

    let more = ["--rate", "1k", "--streams", "2", "--directions", "encap"];
    let report = lab.measure("latency", "relay.toml", &[&common[..], &more].concat());
    let results = report["latency"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let of = |name: &str| count(&result[name]["median"]);
        assert!(of("typical") > 0 && of("typical") <= of("worst_case"), "{result}");
        assert!(of("pdv") <= count(&result["max"]));
        let of = |name: &str| result[name]["median"].as_i64().unwrap();
        assert!(of("ipdv_min") <= of("ipdv_median") && of("ipdv_median") <= of("ipdv_max"));
        assert!(of("ipdv_min") < 0 && of("ipdv_max") > 0, "a machine without any jitter: {result}");
        assert_eq!(count(&result["streams"]), 2);
        assert!(result["curve"].as_array().unwrap().len() > 3);
    }

    let more = ["--longest", "0.2", "--repeats", "2", "--directions", "decap"];
    let report = lab.measure("back-to-back", "relay.toml", &[&common[..], &more].concat());
    let results = report["back_to_back"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        // 0.2 s at 2000 a second.
        assert_eq!(result["max"], 400.0, "{result}");
        assert_eq!(result["repeats"], 2);
        // The relay loses nothing at this rate: a shorter burst is one that a busy machine did not
        // send in time, and is said to be.
        let was_disturbed = result["min"].as_f64().unwrap() < 400.0;
        assert_eq!(result["limited_by_generator"], was_disturbed, "{result}");
    }
}

#[test]
fn a_rate_is_held_while_a_command_reloads() {
    if !is_root() {
        return;
    }
    let lab = Lab::start(Wires::Memif, |_| true);
    let command = format!("{} reload --socket {}", lwaftr().display(), lab.text("control"));
    let more = [
        "--rates",
        "1k",
        "--reload-at",
        "0.3",
        "--reload-command",
        &command,
        "--trial-duration",
        "1",
    ];
    let report = lab.measure("profile", "relay.toml", &more);
    let result = &report["profiles"][0];
    assert_eq!(result["shape"], "hold");
    let moment = &result["reloads"][0];
    assert!(
        moment["began"].as_f64().unwrap() >= 0.3
            && moment["ended"].as_f64() > moment["began"].as_f64()
    );
    let slices = result["slices"].as_array().unwrap();
    let offered: u64 = slices.iter().map(|slice| count(&slice["offered"])).sum();
    assert_eq!(offered, 2000, "both directions: {slices:?}");

    let steps = ["--shape", "step", "--rates", "200,600", "--trial-duration", "1"];
    let report = lab.measure("profile", "relay.toml", &steps);
    let trial = &report["profiles"][0]["trial"];
    assert_eq!(count(&lane(trial, "decap")["due"]), 400);

    let failing =
        ["--rates", "1k", "--reload-at", "0.1", "--reload-command", "echo broken >&2; false"];
    let output = lab.run("profile", "relay.toml", &failing);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("broken"), "{}", said(&output));
}

#[test]
fn mistakes_are_said_before_anything_is_measured() {
    if !is_root() {
        return;
    }
    let lab = Lab::start(Wires::Memif, |_| true);
    let output = lab.run("throughput", "relay.toml", &["--frame-sizes", "64,1978"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("external.mtu at least 1960"), "{}", said(&output));
    let output = lab.run("loss", "relay.toml", &["--pid", "4294967295"]);
    assert_ne!(output.status.code(), Some(0));
    let output = lab.run("loss", "nowhere.toml", &[]);
    assert!(said(&output).contains("nowhere.toml"), "{}", said(&output));
    let output = lab.run("loss", "relay.toml", &["--frame-sizes", "63"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("64 to 1978"), "{}", said(&output));
    let nobody = lab.text("nobody");
    let port = format!("net_memif9,role=client,socket={nobody},socket-abstract=no");
    let output = lab.run("loss", "relay.toml", &["--wait", "0.5", "--external-port", &port]);
    assert!(said(&output).contains("is the relay running there?"), "{}", said(&output));
}
