//! Lists of all softwires: long ones, and readers that are slow or have seen enough.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::instance::Running;
use crate::lab::{Files, table};

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
