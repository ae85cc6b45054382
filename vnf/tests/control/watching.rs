//! What an operator is told: statistics, latency, alarms, health, metrics, the audit log, the log.

use std::io::Write as _;
use std::time::Duration;

use crate::lab::{Files, table};

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
