//! `lwaftr capture`, its files read by tshark.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::instance::{capture, start, to, tshark};
use crate::support::alone;

#[test]
fn tshark_reads_drops_with_their_reasons_as_comments() {
    alone("capture::tshark_reads_drops_with_their_reasons_as_comments", || {
        let nobodys = to([198, 51, 100, 77], 9);
        let instance = start(&[to([198, 51, 100, 1], 7), nobodys]);
        let words = capture(&instance, &["--drops", "--reason", "no-softwire", "--count", "25"]);
        assert!(words.starts_with("25 frames captured, "), "{words}");
        let mode = fs::metadata(instance.path("a.pcapng")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "subscribers' packets");
        let lines = tshark(
            &instance,
            &["frame.interface_name", "ip.dst", "frame.comment", "frame.packet_flags_direction"],
        );
        assert_eq!(lines.len(), 25);
        for line in lines {
            let why =
                "dropped: no-softwire: Nobody owns the destination address and port (E7, D6).";
            assert_eq!(
                line.split('|').take(3).collect::<Vec<_>>(),
                ["external", "198.51.100.77", why]
            );
        }
        // Who did it, and what.
        let audit = String::from_utf8(instance.lwaftr(&["audit"]).stdout).unwrap();
        for words in ["drops by no-softwire\n    started", "ended: 25 frames, "] {
            assert!(audit.contains(words), "{audit}");
        }
    });
}

#[test]
fn one_softwire_on_both_sides_and_only_that() {
    alone("capture::one_softwire_on_both_sides_and_only_that", || {
        // PSID 3 of 64 is ports 3072 to 4095.
        let [hers, anothers] = [to([198, 51, 100, 2], 3_100), to([198, 51, 100, 1], 7)];
        let instance = start(&[hers, anothers]);
        capture(
            &instance,
            &["--softwire", "198.51.100.2:4000", "--count", "40", "--direction", "to-b4"],
        );
        let lines =
            tshark(&instance, &["frame.interface_name", "ipv6.dst", "ip.dst", "udp.dstport"]);
        assert_eq!(lines.len(), 40);
        let (external, internal): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| line.starts_with("external"));
        assert!(!external.is_empty() && !internal.is_empty(), "{lines:?}");
        assert!(external.iter().all(|line| *line == "external||198.51.100.2|3100"), "{lines:?}");
        let tunnelled = "internal|2001:db8:b4::2|198.51.100.2|3100";
        assert!(internal.iter().all(|line| *line == tunnelled), "{lines:?}");
    });
}

#[test]
fn a_capture_that_is_too_slow_loses_frames_and_says_so_and_the_relay_goes_on() {
    alone(
        "capture::a_capture_that_is_too_slow_loses_frames_and_says_so_and_the_relay_goes_on",
        || {
            let instance = start(&[to([198, 51, 100, 1], 7)]);
            // Somebody who does not read, while a second one is told to wait.
            let mut lazy = instance
                .command(&["capture", "-w", "-"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_secs(2));
            let refused = instance.lwaftr(&["capture", "-w", "b.pcapng"]);
            assert_eq!(refused.status.code(), Some(1));
            let words = String::from_utf8(refused.stderr).unwrap();
            assert!(words.contains("another capture is running"), "{words}");
            drop(lazy.stdout.take());
            let ended = lazy.wait_with_output().unwrap();
            let words = String::from_utf8(ended.stderr).unwrap();
            assert!(ended.status.success() && !words.contains(" 0 lost"), "{words}");
            assert!(words.contains("frames captured, "), "{words}");
            // It is over, and the next one may begin.
            let deadline = Instant::now() + Duration::from_secs(5);
            while !instance.lwaftr(&["capture", "--count", "1", "-w", "b.pcapng"]).status.success()
            {
                assert!(Instant::now() < deadline, "{}", instance.log());
            }
        },
    );
}

/// The same file by the management API; who goes away in the middle ends it.
#[test]
fn a_capture_by_the_api_is_the_same_file() {
    alone("capture::a_capture_by_the_api_is_the_same_file", || {
        let nobodys = to([198, 51, 100, 77], 9);
        let instance = start(&[to([198, 51, 100, 1], 7), nobodys]);
        let curl = |body: &str, out: &str| {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "--max-time", "60", "-H", "Content-Type: application/json"])
                .args(["-w", "%{http_code}", "-o", out, "-d", body, "--unix-socket", "api.sock"])
                .arg("http://localhost/api/capture")
                .current_dir(instance.path(""));
            curl
        };
        let status = |body, out| {
            let output = curl(body, out).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let body = r#"{"drops": true, "reasons": ["no-softwire"], "count": 25}"#;
        assert_eq!(status(body, "a.pcapng"), "200");
        let lines = tshark(&instance, &["frame.interface_name", "ip.dst", "frame.comment"]);
        assert_eq!(lines.len(), 25);
        let why = "dropped: no-softwire: Nobody owns the destination address and port (E7, D6).";
        let expected = format!("external|198.51.100.77|{why}");
        assert!(lines.iter().all(|line| *line == expected), "{lines:?}");
        let body = r#"{"softwire": {"ipv4": "192.0.2.77"}}"#;
        assert_eq!(status(body, "b.json"), "400");
        let words = fs::read_to_string(instance.path("b.json")).unwrap();
        assert!(words.contains("there is no such softwire"), "{words}");
        assert_eq!(status(r#"{"dorps": true}"#, "b.json"), "400");

        let audit = || String::from_utf8(instance.lwaftr(&["audit"]).stdout).unwrap();
        assert!(audit().contains("ended: 25 frames, "), "{}", audit());
        let ended = || audit().matches("ended: ").count();
        let mut gone = curl("{}", "c.pcapng").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while fs::metadata(instance.path("c.pcapng")).map_or(0, |file| file.len()) < 10_000 {
            assert!(Instant::now() < deadline, "{}", instance.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        gone.kill().unwrap();
        gone.wait().unwrap();
        while ended() < 2 {
            assert!(Instant::now() < deadline, "{}", audit());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(audit().contains("all frames\n    ended: "), "{}", audit());
        assert_eq!(status(r#"{"count": 1}"#, "a.pcapng"), "200", "the next one may begin");
    });
}

/// Its end comes also when frames come faster than they are taken.
#[test]
fn a_capture_lasts_as_long_as_it_is_told() {
    alone("capture::a_capture_lasts_as_long_as_it_is_told", || {
        let instance = start(&[to([198, 51, 100, 1], 7)]);
        let started = Instant::now();
        capture(&instance, &["--duration", "1"]);
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(10), "{took:?}");
    });
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    alone("capture::what_makes_no_sense_is_refused_in_words", || {
        let instance = start(&[to([198, 51, 100, 1], 7)]);
        for (arguments, code, words) in [
            (&["--drops", "--reason", "no-softwires"][..], 2, "did you mean `no-softwire`?"),
            (&["--softwire", "192.0.2.77"], 1, "there is no such softwire"),
            (&["--reason", "no-softwire"], 2, "--drops"),
            (&["--snap-length", "5"], 2, "14"),
            (&["--duration", "0"], 2, "86400"),
            (&["-w", "missing/a.pcapng"], 1, "missing/a.pcapng: cannot be written"),
        ] {
            let to_file = if arguments.contains(&"-w") { &[][..] } else { &["-w", "c.pcapng"] };
            let output = instance.lwaftr(&[&["capture"], to_file, arguments].concat());
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
            assert!(said.contains(words), "{arguments:?}: {said}");
        }
    });
}
