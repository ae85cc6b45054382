//! Reloads: by the verb, by SIGHUP and by themselves; what they take up, and what they refuse.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::{Files, Instance, table};

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
