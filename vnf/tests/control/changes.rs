//! Changes that are compared with the files, folded into them, taken back, confirmed, remembered,
//! or end by themselves.

use std::time::Duration;

use jiff::Timestamp;

use crate::lab::{Files, Instance, table};

/// Kills it, as by kill -9, and starts it again.
fn restart(instance: Instance) -> Instance {
    let Instance { running, files } = instance;
    drop(running);
    files.start()
}

fn list(instance: &Instance) -> String {
    instance.ok(&["softwire", "list"])
}

fn soon(seconds: i64) -> String {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap().to_string()
}

const ADD: [&str; 6] = ["softwire", "add", "--ipv4", "203.0.113.7", "--b4", "2001:db8:7::1"];
const DEL: [&str; 6] = ["softwire", "del", "--ipv4", "198.51.100.0", "--psid", "5"];

#[test]
fn edits_are_folded_into_the_files() {
    let files = Files::new("", &("# ours\n".to_owned() + &table(128)));
    files.replace_in_config(
        "[softwires]",
        "[[softwire]] # Ann's\nipv4 = \"203.0.113.1\"\nb4-ipv6 = \"2001:db8:a::1\" # line 3\n\
         [softwires]",
    );
    let instance = files.start();
    assert_eq!(instance.ok(&["config", "diff"]), "the files say what runs\n");
    assert_eq!(instance.ok(&["config", "fold"]), "nothing to fold: the files say what runs\n");
    instance.ok(&ADD);
    instance.ok(&DEL);
    let ann = ["softwire", "add", "--replace", "--ipv4", "203.0.113.1", "--b4", "2001:db8:a::2"];
    instance.ok(&ann);
    let output = instance.lwaftr(&["config", "diff"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in [
        "-198.51.100.0,6,6,5,2001:db8:b4::5,2001:db8:ffff::1\n",
        "+203.0.113.7,0,0,0,2001:db8:7::1,2001:db8:ffff::1\n",
        "softwires: 1 in the files only, 1 run only, 1 in both and not the same\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let before = list(&instance);
    let folded = instance.ok(&["config", "fold"]);
    assert!(folded.starts_with("3 edits and 0 ended softwires folded into "), "{folded}");
    assert!(instance.ok(&["config", "diff"]).contains("the files say what runs"));
    let text = std::fs::read_to_string(instance.files.path("softwires.csv")).unwrap();
    assert!(
        text.starts_with("# ours\nipv4,")
            && text.ends_with("\n203.0.113.7,0,0,0,2001:db8:7::1,2001:db8:ffff::1\n"),
        "{text}"
    );
    let text = std::fs::read_to_string(instance.files.config()).unwrap();
    assert!(text.contains("[[softwire]] # Ann's") && text.contains("2001:db8:a::2\" # line 3"));
    assert_eq!(instance.json(&["status", "--json"])["edits"], 0);
    assert!(instance.ok(&["reload"]).contains("0 added, 0 removed, 0 changed; 129 then"));
    assert_eq!(list(&restart(instance)), before);
}

#[test]
fn files_that_do_not_run_are_not_folded_into() {
    let instance = Files::new("", &table(128)).start();
    instance.ok(&ADD);
    instance.files.write_table(&table(192));
    let words = instance.fails(1, &["config", "fold"]);
    assert!(words.contains("the files are not those that run"), "{words}");
    assert_eq!(std::fs::read_to_string(instance.files.path("softwires.csv")).unwrap(), table(192));
}

#[test]
fn the_last_change_is_taken_back_and_a_restart_does_not_bring_it_again() {
    let mut instance = Files::new("", &table(128)).start();
    assert!(instance.fails(1, &["config", "rollback"]).contains("nothing to take back"));
    let before = list(&instance);
    instance.ok(&ADD);
    assert!(instance.ok(&["config", "rollback"]).starts_with("undone: softwire-add by "));
    assert_eq!(list(&instance), before);

    instance.ok(&DEL);
    let before = list(&instance);
    instance.files.write_table(&table(1_000));
    instance.files.replace_in_config("[softwires]", "[policy]\nhop-limit = 32\n[softwires]");
    instance.ok(&["reload"]);
    assert_eq!(instance.softwires(), 999);
    instance.ok(&["config", "rollback"]);
    for _ in 0..2 {
        assert_eq!(list(&instance), before);
        assert!(
            instance.fails(1, &["config", "fold"]).contains("the files are not those that run")
        );
        let shown = String::from_utf8(instance.lwaftr(&["config", "diff"]).stdout).unwrap();
        assert!(shown.contains("policy.hop-limit: 32 -> 64"), "{shown}");
        instance = restart(instance);
        assert!(instance.files.log().contains("was rolled back, so what was there before counts"));
    }
    // Asked for, or changed, the files count again.
    instance.ok(&["reload"]);
    assert_eq!(instance.softwires(), 999);
    assert_eq!(restart(instance).softwires(), 999);
}

#[test]
fn a_reload_that_is_not_confirmed_is_undone_also_by_a_kill() {
    let mut instance = Files::new("", &table(128)).start();
    let before = list(&instance);
    instance.files.write_table(&table(256));
    assert!(instance.fails(1, &["config", "confirm"]).contains("no change waits"));
    instance.ok(&["reload", "--confirm-within", "600"]);
    assert_eq!(instance.softwires(), 256);
    for arguments in [&ADD[..], &["reload"], &["config", "fold"]] {
        let words = instance.fails(1, arguments);
        assert!(words.contains("another change comes first: reload by "), "{words}");
    }
    assert!(instance.ok(&["status"]).contains("to be confirmed until"));
    instance = restart(instance);
    assert_eq!(list(&instance), before);
    assert!(instance.files.log().contains("the reload was not confirmed"));

    instance.ok(&["reload", "--confirm-within", "1"]);
    instance.wait_until("it is undone", |instance| instance.softwires() == 128);
    assert!(instance.files.log().contains("not confirmed in time, and undone"));
    let records = instance.json(&["audit", "--json"]);
    assert_eq!(records.as_array().unwrap().last().unwrap()["action"], "undo");
    instance = restart(instance);
    assert_eq!(list(&instance), before, "the files are still those that were not confirmed");

    instance.ok(&["reload", "--confirm-within", "600"]);
    assert!(instance.ok(&["config", "confirm"]).starts_with("confirmed: reload by "));
    instance.ok(&ADD);
    assert_eq!(restart(instance).softwires(), 257);
}

#[test]
fn edits_that_are_not_confirmed_are_undone_also_by_a_kill() {
    let mut instance = Files::new("", &table(128)).start();
    instance.ok(&DEL);
    let before = list(&instance);
    instance.ok(&[&ADD[..], &["--confirm-within", "600"]].concat());
    assert_eq!(instance.softwires(), 128);
    instance = restart(instance);
    assert_eq!(list(&instance), before);
    instance.ok(&[&ADD[..], &["--confirm-within", "1"]].concat());
    instance.wait_until("it is undone", |instance| instance.softwires() == 127);
    instance.ok(&[&ADD[..], &["--confirm-within", "1"]].concat());
    instance.ok(&["config", "confirm"]);
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(instance.softwires(), 128);
    assert_eq!(restart(instance).softwires(), 128);
}

/// One second later: times in the answers are whole seconds.
fn moment() -> String {
    std::thread::sleep(Duration::from_millis(20));
    let now = Timestamp::now().to_string();
    std::thread::sleep(Duration::from_millis(20));
    now
}

#[test]
fn who_had_it_then() {
    let mut instance = Files::new("", &table(128)).start();
    let first = moment();
    let port = "198.51.100.0:6200";
    let owner = |instance: &Instance, at: &str| {
        instance.json(&["softwire", "lookup", port, "--at", at, "--json"])[0]["softwire"]["b4-ipv6"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let original = owner(&instance, &first);
    let row = instance.ok(&["softwire", "lookup", port]);
    let psid = row.lines().nth(1).unwrap().split(',').nth(3).unwrap().to_owned();
    let psid = ["--psid-offset", "6", "--psid-len", "6", "--psid", &psid];
    let replace = ["softwire", "add", "--replace", "--ipv4", "198.51.100.0"];
    instance.ok(&[&replace[..], &psid[..], &["--b4", "2001:db8:7::1"]].concat());
    let second = moment();
    instance.ok(&["softwire", "del", "--ipv4", "198.51.100.0", "--psid", psid[5]]);
    let third = moment();
    // By a reload, and by a table that was changed while nothing ran.
    instance.ok(&["reload", "--discard-edits"]);
    let fourth = moment();
    let Instance { running, files } = instance;
    drop(running);
    files.write_table(
        &table(128)
            .replace(&format!("{}\n", original.replace("b4::", "b4:0::")), "2001:db8:8::1\n"),
    );
    instance = files.start();
    let fifth = moment();
    let lines = |instance: &Instance| -> usize {
        let days = std::fs::read_dir(instance.files.path("state/test.history")).unwrap();
        let days = days.map(|entry| entry.unwrap().path());
        days.filter(|day| day.file_name().unwrap().to_str().unwrap().starts_with("20"))
            .map(|day| std::fs::read_to_string(day).unwrap().lines().count())
            .sum()
    };
    let written = lines(&instance);
    for _ in 0..3 {
        instance.ok(&["reload"]);
    }
    assert_eq!(lines(&instance), written + 3, "a reload that changes nothing is one line");

    for _ in 0..2 {
        assert_eq!(owner(&instance, &first), original);
        assert_eq!(owner(&instance, &second), "2001:db8:7::1");
        let words = instance.fails(1, &["softwire", "lookup", port, "--at", &third]);
        assert!(words.contains("nobody had it"), "{words}");
        assert_eq!(owner(&instance, &fourth), original);
        assert_eq!(owner(&instance, &fifth), "2001:db8:8::1");
        instance = restart(instance);
    }
    let told = instance.ok(&["softwire", "lookup", port, "--at", &second]);
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[1].contains(": softwire-add by ") && lines[1].starts_with("  since 20"),
        "{told}"
    );
    assert!(
        lines[2].contains(": softwire-del by ") && lines[2].starts_with("  until 20"),
        "{told}"
    );
    let told = instance.ok(&["softwire", "lookup", "2001:db8:7::1", "--at", &second]);
    assert!(told.starts_with("198.51.100.0,6,6,"), "{told}");
    let told = instance.ok(&["softwire", "lookup", "198.51.100.1", "--at", &first]);
    assert_eq!(told.matches("before the history began\n  until still there").count(), 64);
    let words = instance.fails(1, &["softwire", "lookup", port, "--at", "2020-01-01T00:00:00Z"]);
    assert!(words.contains("what is known begins at 20"), "{words}");
    instance.fails(2, &["softwire", "lookup", port, "--at", &soon(600)]);

    instance.files.replace_in_config("[softwires]", "[softwires]\nretention = 0");
    instance.ok(&["reload"]);
    assert!(!instance.files.path("state/test.history").exists());
    assert!(instance.fails(1, &["softwire", "lookup", port, "--at", &first]).contains("retention"));
}

#[test]
fn softwires_end_when_their_time_has_come() {
    let end = soon(8);
    let rows = table(128) + &format!("203.0.113.9,0,0,0,2001:db8:9::1,,{end}\n");
    let rows = rows + "203.0.113.10,0,0,0,2001:db8:9::2,,2020-01-01T00:00:00Z\n";
    let instance = Files::new("", &rows).start();
    assert_eq!(instance.softwires(), 129, "one had ended before the start");
    instance.ok(&[&ADD[..], &["--valid-until", &end]].concat());
    let shown = instance.ok(&["softwire", "show", "203.0.113.7"]);
    assert!(shown.ends_with(&format!(",2001:db8:ffff::1,{end}\n")), "{shown}");
    let then = moment();
    instance.wait_until("they end", |instance| instance.softwires() == 128);
    let status = instance.json(&["status", "--json"]);
    assert_eq!((&status["ended"], &status["with-end"]), (&3.into(), &0.into()));
    assert_eq!(status["edits"], 0, "the journal has nothing left to say");
    let records = instance.json(&["audit", "--json"]);
    assert_eq!(records.as_array().unwrap().last().unwrap()["action"], "expire");
    let told = instance.ok(&["softwire", "lookup", "203.0.113.9", "--at", &then]);
    assert!(told.contains(": expire by lwaftr, valid-until"), "{told}");
    instance.ok(&["reload"]);
    assert_eq!(instance.softwires(), 128);

    // Renewed, it stays; and what has ended is no obstacle to who comes next.
    instance.ok(&["softwire", "add", "--ipv4", "203.0.113.9", "--b4", "2001:db8:9::9"]);
    instance.ok(&["reload"]);
    let instance = restart(instance);
    assert!(instance.ok(&["softwire", "lookup", "203.0.113.9"]).contains("2001:db8:9::9"));
    let renew = |until: &str| {
        let add = ["softwire", "add", "--replace", "--ipv4", "203.0.113.9", "--b4"];
        instance.ok(&[&add[..], &["2001:db8:9::9", "--valid-until", until]].concat());
    };
    renew(&soon(600));
    renew("2100-01-01T00:00:00Z");
    instance.ok(&["reload"]);
    assert!(instance.ok(&["softwire", "show", "203.0.113.9"]).ends_with(",2100-01-01T00:00:00Z\n"));
    let folded = instance.ok(&["config", "fold"]);
    assert!(folded.starts_with("1 edits and 1 ended softwires folded"), "{folded}");
    assert!(instance.ok(&["config", "diff"]).contains("the files say what runs"));
    let text = std::fs::read_to_string(instance.files.path("softwires.csv")).unwrap();
    assert!(text.starts_with("ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6,valid-until\n"));
}
