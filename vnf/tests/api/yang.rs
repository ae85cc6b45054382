//! What is served is what the YANG modules say: judged by libyang's `yanglint`, which knows nothing
//! of ours. The modules of the IETF are not part of this project: `YANG_MODULES` names their
//! directory, or they are in `../shared/yang`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::lab::{Instance, TABLE};

fn modules() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/yang");
    let given = std::env::var_os("YANG_MODULES").map(PathBuf::from);
    let found = given.or(Some(beside)).filter(|path| path.is_dir());
    if found.is_none() {
        println!(
            "skipped: the IETF's YANG modules are not here (YANG_MODULES names their directory)"
        );
    }
    found
}

/// Says what yanglint says against a piece of data, or nothing.
fn lint(modules: &Path, kind: &str, data: &Value, more: &[&str]) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.json");
    std::fs::write(&path, data.to_string()).unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("yang");
    let module = |name: &str| {
        let files = std::fs::read_dir(modules).unwrap().map(|entry| entry.unwrap().path());
        let mut files = files.filter(|file| {
            file.file_name().unwrap().to_string_lossy().starts_with(&format!("{name}@"))
        });
        files.next().unwrap_or_else(|| panic!("{} has no {name}", modules.display()))
    };
    let output = Command::new("yanglint")
        .args(["-f", "json", "-t", kind])
        .args(["-F", "ietf-softwire-br:binding-mode", "-F", "ietf-interfaces:"])
        .arg("-p")
        .arg(modules)
        .arg("-p")
        .arg(&own)
        .args(more)
        .arg(module("ietf-softwire-br"))
        .arg(module("ietf-interfaces"))
        .arg(module("iana-if-type"))
        .arg(module("ietf-yang-library"))
        .arg(module("ietf-datastores"))
        .arg(module("ietf-restconf-monitoring"))
        .arg(own.join("lwaftr.yang"))
        .arg(&path)
        .output()
        .expect("yanglint is of Debian's libyang2-tools");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && words.is_empty() { Ok(()) } else { Err(words) }
}

#[test]
fn our_own_module_is_right() {
    let Some(modules) = modules() else { return };
    let output = Command::new("yanglint")
        .arg("-p")
        .arg(&modules)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("yang/lwaftr.yang"))
        .output()
        .expect("yanglint is of Debian's libyang2-tools");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && words.is_empty(), "{words}");
}

#[test]
fn the_data_tree_is_valid() {
    let Some(modules) = modules() else { return };
    let counted = "[policy]\nicmpv4-rate = 7";
    let instance = Instance::start_with("listen = []", counted, TABLE);
    let all = instance.unix("GET", "/restconf/data").expect(200).json();
    let all = &all["ietf-restconf:data"];
    assert_eq!(all.as_object().unwrap().len(), 6);
    lint(&modules, "data", all, &[]).unwrap();
    let config = instance.unix("GET", "/restconf/data?content=config").expect(200).json();
    lint(&modules, "config", &config["ietf-restconf:data"], &[]).unwrap();
    // What yanglint is worth: it does see a wrong leaf.
    let mut wrong = all.clone();
    wrong["lwaftr:softwires"]["softwire"][0]["psid-len"] = json!(17);
    lint(&modules, "data", &wrong, &[]).unwrap_err();
    let mut wrong = all.clone();
    wrong["ietf-softwire-br:br-instances"]["binding"]["bind-instance"][0]["traffic-stat"]["sent-ipv4-packets"] =
        json!(1);
    lint(&modules, "data", &wrong, &[]).unwrap_err();
    // Each module that the library names is one that yanglint has found and loaded.
    let library = &all["ietf-yang-library:yang-library"]["module-set"][0];
    for list in ["module", "import-only-module"] {
        for module in library[list].as_array().unwrap() {
            let (name, revision) =
                (module["name"].as_str().unwrap(), module["revision"].as_str().unwrap());
            let file = format!("{name}@{revision}.yang");
            assert!(name == "lwaftr" || modules.join(&file).exists(), "{file}");
        }
    }
}

#[test]
fn errors_and_events_are_valid() {
    let Some(modules) = modules() else { return };
    let instance = Instance::start(TABLE);
    let events = instance.listen();
    let path = |b4: &str| {
        format!(
            "/restconf/data/ietf-softwire-br:br-instances/binding/bind-instance=test/\
                 binding-table/binding-entry={}",
            b4.replace(':', "%3A")
        )
    };
    let body = json!({"ietf-softwire-br:binding-entry": [{
        "binding-ipv6info": "2001:db8:b4:9::1", "binding-ipv4-addr": "203.0.113.90"}]});
    instance.send("PUT", &path("2001:db8:b4:9::1"), &body).expect(201);
    instance.unix("DELETE", &path("2001:db8:b4::1")).expect(204);
    let address = |n: u32| std::net::Ipv4Addr::from(0xcb00_0000 + n).to_string();
    let many: Vec<Value> = (1..1_500)
        .map(|n| {
            json!({
        "binding-ipv6info": format!("2001:db8:b4:2::{n:x}"), "binding-ipv4-addr": address(n)})
        })
        .collect();
    let patch = json!({"ietf-softwire-br:binding-table": {"binding-entry": many}});
    let table = path("").replace("/binding-entry=", "");
    instance.send("PATCH", &table, &patch).expect(204);
    let version = instance
        .unix(
            "GET",
            &format!(
                "{}/binding-table-versioning/version",
                table.trim_end_matches("/binding-table")
            ),
        )
        .expect(200)
        .json();
    // An alarm that is raised and cleared. It is looked for once a second.
    let file = instance.directory.path().join("softwires.csv");
    std::fs::write(&file, "nonsense\n").unwrap();
    instance.reload().unwrap_err();
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    std::fs::write(&file, TABLE).unwrap();
    let reloaded = instance.lwaftr(&["reload", "--discard-edits", "--force"]);
    assert!(reloaded.contains("reloaded"), "{reloaded}");

    // Those of the reload come between the alarm's two, or after them.
    let (alarms, told): (Vec<Value>, Vec<Value>) = events
        .take(6)
        .into_iter()
        .partition(|event| event["ietf-restconf:notification"].get("lwaftr:alarm").is_some());
    let alarm = |number: usize| &alarms[number]["ietf-restconf:notification"]["lwaftr:alarm"];
    for (number, state) in ["raised", "cleared"].into_iter().enumerate() {
        assert_eq!(
            (&alarm(number)["name"], &alarm(number)["state"]),
            (&json!("reload-failed"), &json!(state))
        );
        lint(&modules, "notif", &json!({"lwaftr:alarm": alarm(number)}), &[]).unwrap();
    }
    let name = "ietf-softwire-br:softwire-binding-instance-event";
    let content = |number: usize| told[number]["ietf-restconf:notification"].clone();
    assert_eq!(content(0)[name], json!({"bind-name": "test", "added-entry": ["2001:db8:b4:9::1"]}));
    assert_eq!(content(1)[name], json!({"bind-name": "test", "invalid-entry": ["2001:db8:b4::1"]}));
    let large = &content(2)["lwaftr:binding-table-changed"];
    assert_eq!(
        (&large["added"], &large["removed"], &large["modified"]),
        (&json!(1_499), &json!(0), &json!(0))
    );
    assert_eq!(version["ietf-softwire-br:version"], large["version"]);
    assert!(content(0)["eventTime"].as_str().unwrap().ends_with('Z'));

    // References of the first lead to what is there.
    let tree = instance.unix("GET", "/restconf/data?content=config").json();
    let directory = tempfile::tempdir().unwrap();
    let there = directory.path().join("there.json");
    std::fs::write(&there, tree["ietf-restconf:data"].to_string()).unwrap();
    let operational = ["-O", there.to_str().unwrap()];
    lint(&modules, "notif", &json!({name: content(0)[name]}), &operational).unwrap();
    let large = json!({"lwaftr:binding-table-changed": large});
    lint(&modules, "notif", &large, &[]).unwrap();
}
