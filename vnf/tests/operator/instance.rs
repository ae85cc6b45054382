//! A running instance that receives the same frames again and again.

use std::process::Command;

use crate::running::{Running, Setup};

pub(crate) use crate::running::to;

/// An instance with two softwires.
pub(crate) fn start(frames: &[Vec<u8>]) -> Running {
    let setup = Setup {
        name: "capture",
        frames,
        port: ",infinite_rx=1",
        external: "next-hop-mac = \"02:00:00:00:01:fe\"",
        internal: "next-hop-mac = \"02:00:00:00:02:fe\"",
        more: "[[softwire]]\nipv4 = \"198.51.100.2\"\npsid-len = 6\npsid = 3\n\
               b4-ipv6 = \"2001:db8:b4::2\"\n[api]\nsocket = \"FILES/api.sock\"",
        ..Setup::default()
    };
    setup.start()
}

/// Captures to a file; returns what is said on standard error.
pub(crate) fn capture(instance: &Running, arguments: &[&str]) -> String {
    let output = instance.lwaftr(&[&["capture", "-w", "a.pcapng"], arguments].concat());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words}");
    words
}

/// What tshark says of these fields of that file, a line each frame.
pub(crate) fn tshark(instance: &Running, fields: &[&str]) -> Vec<String> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-r", "a.pcapng", "-T", "fields", "-E", "separator=|"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.current_dir(instance.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
