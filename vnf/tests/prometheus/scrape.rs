//! A live relay under traffic, scraped by Debian's Prometheus and queried back.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::relay::{Relay, eventually, free_port, possible};
use crate::shipped::{expressions, shipped, succeed};

/// A Prometheus that reads one relay twice a second; it is killed when dropped.
struct Prometheus {
    address: String,
    files: TempDir,
    process: Child,
}

impl Prometheus {
    fn start(relay: &Relay) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        let config = format!(
            "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
             rule_files: [{}]\n\
             scrape_configs:\n- job_name: lwaftr\n  static_configs:\n  - targets: [\"{}\"]\n",
            shipped("prometheus/lwaftr-alerts.yml").display(),
            relay.api
        );
        fs::write(path("prometheus.yml"), config).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(File::create(path("log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus is installed");
        Self { address, files, process }
    }

    fn get(&self, path: &str, query: Option<&str>) -> Option<Value> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "-G", &format!("http://{}{path}", self.address)]);
        if let Some(query) = query {
            curl.args(["--data-urlencode", &format!("query={query}")]);
        }
        let output = curl.output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// The samples that a query gives; an error of the query is a failure.
    fn query(&self, query: &str) -> Vec<Value> {
        let Some(answer) = self.get("/api/v1/query", Some(query)) else { return Vec::new() };
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    fn number(&self, query: &str) -> Option<f64> {
        match &self.query(query)[..] {
            [one] => one["value"][1].as_str()?.parse().ok(),
            _ => None,
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.files.path().join("log")).unwrap_or_default();
            eprintln!("the log of Prometheus:\n{log}");
        }
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[test]
fn prometheus_reads_a_live_relay_and_every_panel_has_data() {
    if !possible() {
        return;
    }
    // The external router never answers: an alarm. Some frames are for nobody: drops.
    let relay = Relay::start(",infinite_rx=1", "next-hop = \"192.0.2.254\"", "");
    let metrics = relay.get("/metrics");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let judged = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&judged.stderr).into_owned();
    assert!(judged.status.success() && words.is_empty(), "{words}");

    let prometheus = Prometheus::start(&relay);
    eventually("it is scraped", 60, || {
        (prometheus.number("up{job=\"lwaftr\"}") == Some(1.0)).then_some(())
    });
    // A reload, for the panels and annotations about those.
    std::thread::sleep(Duration::from_secs(2));
    succeed(&mut relay.running.command(&["reload"]));
    eventually("the silent router is an alarm", 60, || {
        let alarm = "lwaftr_alarms_active{alarm=\"next-hop-unresolved\"}";
        (prometheus.number(alarm) == Some(1.0)).then_some(())
    });
    eventually("several scrapes of traffic", 60, || {
        let rate = "rate(lwaftr_interface_forwarded_packets_total{interface=\"external\"}[3s])";
        prometheus.number(rate).filter(|&rate| rate > 1_000.0)
    });

    for (title, expression) in expressions() {
        let query = expression.replace("$__rate_interval", "10s").replace("$instance", ".*");
        assert!(!query.contains('$'), "{query}");
        let found = prometheus.query(&query);
        assert!(!found.is_empty(), "{title}: no data: {query}");
    }

    // What it says is what the relay says.
    let stats = relay.running.stats();
    let packets = stats["interfaces"]["external"]["in-packets"].as_f64().unwrap();
    let scraped = eventually("a later scrape", 30, || {
        let count = "lwaftr_interface_in_packets_total{interface=\"external\"}";
        prometheus.number(count).filter(|&count| count >= packets)
    });
    let later = relay.running.stats()["interfaces"]["external"]["in-packets"].as_f64().unwrap();
    assert!(scraped <= later, "{packets} {scraped} {later}");
    let busy = prometheus.number("rate(lwaftr_worker_busy_seconds_total[5s])").unwrap();
    assert!(busy > 0.1 && busy < 1.05, "a worker with traffic is busy: {busy}");
    assert_eq!(prometheus.number("lwaftr_ready"), Some(0.0));

    let rules = prometheus.get("/api/v1/rules", None).unwrap();
    let rules: Vec<_> = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() >= 9 && rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
    let pending: Vec<_> =
        rules.iter().filter(|rule| rule["state"] != "inactive").map(|rule| &rule["name"]).collect();
    assert!(pending.contains(&&Value::from("LwaftrAlarm")), "{pending:?}");
    assert!(pending.contains(&&Value::from("LwaftrNotReady")), "{pending:?}");
    assert!(!pending.contains(&&Value::from("LwaftrDown")), "{pending:?}");
}
