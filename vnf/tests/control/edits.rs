//! Single softwires and batches of them: made or refused as a whole, and there again after a kill.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::time::{Duration, Instant};

use crate::lab::{Files, Instance, table};

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
