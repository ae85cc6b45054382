//! What goes wrong around an instance: a full disk, files that are garbage, a kill in the middle.
//! Nothing is lost, and the words say what to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::instance::{start, this_program};
use crate::lab::{Files, Instance, table};

impl Files {
    /// Starts an instance whose state directory is a file system of its own, which this mounts there.
    fn start_on_a_disk(self, mount: &str) -> Instance {
        let state = self.path("state");
        std::fs::create_dir_all(&state).unwrap();
        let script = format!("{mount} \"$1\" && shift && exec \"$@\"");
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", &script, "sh"]).arg(&state);
        let running = start(unshare.arg(this_program().get_program()), &self.config());
        self.wait_for(running)
    }
}

/// May this process mount file systems? It is said if not.
fn may_mount() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: mounting a file system needs root");
    }
    is_root
}

#[test]
fn a_full_disk_refuses_changes_and_keeps_what_is_there() {
    if !may_mount() {
        return;
    }
    let files = Files::new("", &table(128));
    files.replace_in_config("[softwires]", "[softwires]\nmax-removal = 100");
    let instance = files.start_on_a_disk("mount -t tmpfs -o size=256k none");
    let batch = instance.files.path("batch.csv");
    let rows = |from: u32| {
        (0..200_u32).fold(String::new(), |text, n| {
            let ipv4 = std::net::Ipv4Addr::from(0xcb00_7100 + from + n);
            text + &format!("{ipv4},0,0,0,2001:db8:{from:x}::{:x}\n", n + 1)
        })
    };
    let add = ["softwire", "add", "--file", batch.to_str().unwrap()];
    let mut there = 128;
    let words = loop {
        assert!(there < 20_000, "the disk is not full yet");
        std::fs::write(&batch, rows(u32::try_from(there).unwrap())).unwrap();
        let output = instance.lwaftr(&add);
        if !output.status.success() {
            break String::from_utf8(output.stderr).unwrap();
        }
        there += 200;
    };
    assert!(
        words.contains("No space left on device") && words.contains("nothing was changed"),
        "{words}"
    );
    assert_eq!(instance.softwires(), there);
    // Again, and other changes: each is made as a whole or not at all, and what runs answers.
    instance.lwaftr(&add);
    instance.lwaftr(&["reload", "--discard-edits"]);
    let now = instance.softwires();
    assert!(now == there || now == 128, "{now} of {there}");
    let listed = instance.ok(&["softwire", "list"]);
    assert_eq!(listed.lines().count() as u64, 1 + now);
    // The way out that the words name.
    instance.files.replace_in_config("[softwires]", "[softwires]\nretention = 0");
    instance.ok(&["reload", "--discard-edits"]);
    instance.ok(&["softwire", "add", "--ipv4", "203.0.113.7", "--b4", "2001:db8:7::1"]);
    assert_eq!(instance.softwires(), 129);
}

/// A disk that answers nothing for some seconds: whoever changes something waits for it, and nobody else
/// does.
#[test]
fn a_disk_that_hangs_holds_up_changes_and_nothing_else() {
    if !may_mount() {
        return;
    }
    let files = Files::new("", &table(128));
    let image = files.path("disk");
    std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
    assert!(made.expect("mkfs.ext4 is of e2fsprogs").success());
    let how = format!("mount -o loop '{}'", image.display());
    let instance = files.start_on_a_disk(&how);
    instance.ok(&["softwire", "add", "--ipv4", "203.0.113.7", "--b4", "2001:db8:7::1"]);

    // It thaws by itself, whatever becomes of this test.
    let state = instance.files.path("state");
    let script = "fsfreeze -f \"$1\" && echo frozen && sleep 6; fsfreeze -u \"$1\"";
    let mut freezer = Command::new("nsenter")
        .arg(format!("--mount=/proc/{}/ns/mnt", instance.running.0.id()))
        .args(["sh", "-c", script, "sh"])
        .arg(&state)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(freezer.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "frozen\n");
    let started = Instant::now();
    std::thread::scope(|scope| {
        let changes = [
            &["softwire", "add", "--ipv4", "203.0.113.8", "--b4", "2001:db8:8::1"][..],
            &["drain", "--grace", "0"],
        ];
        let changes = changes.map(|arguments| {
            scope.spawn(|| {
                instance.ok(arguments);
                started.elapsed()
            })
        });
        std::thread::sleep(Duration::from_millis(300));
        let mut slowest = Duration::ZERO;
        for _ in 0..3 {
            for arguments in [
                &["status"][..],
                &["stats"],
                &["metrics"],
                &["alarms"],
                &["latency"],
                &["softwire", "lookup", "203.0.113.7:80"],
            ] {
                let asked = Instant::now();
                instance.ok(arguments);
                slowest = slowest.max(asked.elapsed());
            }
        }
        let health = instance.fails_silently(1, &["health"]);
        assert!(health.contains("drained"), "it counts before it is written down: {health}");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(5), "the disk answers again: {took:?}");
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        assert_eq!(instance.softwires(), 129, "nothing counts that is not written down");
        for change in changes {
            assert!(change.join().unwrap() > Duration::from_secs(5));
        }
    });
    assert!(freezer.wait().unwrap().success());
    assert_eq!(instance.softwires(), 130);
    let actions = instance.json(&["audit", "--json"]);
    assert_eq!(actions.as_array().unwrap().len(), 3, "{actions}");
}

#[test]
fn a_table_that_is_garbage_or_cut_changes_nothing_while_it_is_watched() {
    let instance = Files::new("watch = true", &table(128)).start();
    let noticed = |instance: &Instance| {
        instance.files.log().matches("not reloaded, the old one stays").count()
    };
    let whole = instance.ok(&["softwire", "list"]);
    let digest = "0".repeat(64);
    let cut = format!("{}# rows=128 sha256={digest}\n", &whole[..whole.len() / 2]);
    for (number, (bytes, words)) in [
        (vec![0xff; 10_000], "softwires.csv:1: "),
        (cut.into_bytes(), "softwires.csv:"),
        (whole.as_bytes()[..whole.len() / 2].to_vec(), "would remove"),
        (whole.lines().take(60).collect::<Vec<_>>().join("\n").into_bytes(), "would remove"),
        (Vec::new(), "would remove 128 of 128"),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(instance.files.path("softwires.csv"), &bytes).unwrap();
        instance.wait_until("it is noticed", |instance| noticed(instance) > number);
        let log = instance.files.log();
        let last = log.rsplit("not reloaded, the old one stays").next().unwrap();
        assert!(last.contains(words), "{words}: {last}");
        assert_eq!(instance.ok(&["softwire", "list"]), whole);
    }
    instance.files.write_table(&table(192));
    instance.wait_until("the next good table counts", |instance| instance.softwires() == 192);
}

/// A limit on address space that has no room for a new table: the old one runs on, and the words say
/// what to raise.
#[test]
fn a_table_without_room_is_refused_and_the_old_one_stays() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let instance = Files::new("", &table(128)).start();
    let pid = instance.running.0.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kibibytes: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let limit = |current| {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        prlimit(pid, Resource::As, Rlimit { current, maximum: None }).unwrap()
    };
    // The smallest table reserves 64 MiB.
    limit(Some((kibibytes << 10) + (40 << 20)));
    instance.files.write_table(&table(192));
    let output = instance.lwaftr(&["reload"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && words.contains("lwaftr.toml: softwires: 64 MiB"),
        "{words}"
    );
    assert!(words.contains("cannot be reserved") && words.contains("ulimit -v"), "{words}");
    assert_eq!(instance.softwires(), 128);
    limit(None);
    instance.ok(&["reload"]);
    assert_eq!(instance.softwires(), 192);
}

/// Edits go on while the process is killed: what was confirmed is there, the one under way is there
/// as a whole or not at all, and the next start needs no help.
#[test]
fn a_kill_in_the_middle_of_persisting_loses_nothing() {
    let mut instance = Files::new("", &table(128)).start();
    let mut confirmed = 0_u32;
    for round in 0..6_u32 {
        let stream = instance.connect();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        let pid = instance.running.0.id().to_string();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20 + 17 * u64::from(round)));
            Command::new("kill").args(["-9", &pid]).status().unwrap()
        });
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < Duration::from_secs(60), "it was not killed");
            let rows: Vec<String> = (0..100_u32)
                .map(|n| {
                    let ipv4 = std::net::Ipv4Addr::from(0xcb00_7100 + confirmed * 100 + n);
                    format!(
                        "{{\"ipv4\":\"{ipv4}\",\"b4-ipv6\":\"2001:db8:{confirmed:x}::{:x}\"}}",
                        n + 1
                    )
                })
                .collect();
            let rows = rows.join(",");
            let asked = writeln!(
                stream,
                "{{\"version\":1,\"request\":\"softwire-add\",\"replace\":true,\"softwires\":[{rows}]}}"
            );
            let mut answer = String::new();
            if asked.is_err() || !answers.read_line(&mut answer).is_ok_and(|bytes| bytes > 0) {
                break;
            }
            assert!(answer.contains("\"ok\""), "{answer}");
            confirmed += 1;
        }
        assert!(killer.join().unwrap().success());
        let Instance { running, files } = instance;
        drop(running);
        instance = files.start();
        let there = u32::try_from(instance.softwires()).unwrap();
        let whole = 128 + confirmed * 100;
        assert!(there == whole || there == whole + 100, "{there}, {whole} were confirmed");
        confirmed = (there - 128) / 100;
        // The history knows the same.
        let at = jiff::Timestamp::now().to_string();
        if confirmed > 0 {
            instance.ok(&["softwire", "lookup", "203.0.113.0:80", "--at", &at]);
        }
    }
    assert!(confirmed > 0, "every kill came before the first edit");
}
