//! A real relay on virtual ports, which nothing but its counters knows of.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pcap_file::pcap::{PcapPacket, PcapWriter};
use rustix::process::geteuid;
use serde_json::Value;
use tempfile::TempDir;

use crate::shipped::succeed;

/// A relay that receives the frames of a capture on the external side; what it sends on the internal
/// side comes back to it. It is killed when dropped.
pub(crate) struct Relay {
    pub(crate) files: TempDir,
    /// Where its API listens.
    pub(crate) api: String,
    process: Child,
}

/// Says why and is false where DPDK cannot be started.
pub(crate) fn possible() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: DPDK's ports need root (`make test` uses sudo for this)");
    }
    root
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until the answer is there, for at most so many seconds.
pub(crate) fn eventually<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Frames from the Internet: for a softwire, for nobody, and one that is not for us.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let frame = |to: [u8; 4], mac: [u8; 6], port: u16| {
        let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 1, 0xfe], mac)
            .ipv4([203, 0, 113, 9], to, 60)
            .udp(53, port);
        let mut frame = Vec::new();
        builder.write(&mut frame, &[0; 32]).unwrap();
        frame
    };
    let us = [2, 0, 0, 0, 0, 1];
    let mut frames: Vec<_> = (0..60).map(|port| frame([198, 51, 100, 1], us, port)).collect();
    frames.push(frame([198, 51, 100, 9], us, 7));
    frames.push(frame([198, 51, 100, 1], [2, 0, 0, 0, 0, 9], 7));
    frames
}

impl Relay {
    /// `options` go to the external port's device argument, `external` and `more` into the
    /// configuration.
    pub(crate) fn start(options: &str, external: &str, more: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        let mut writer = PcapWriter::new(File::create(path("in.pcap")).unwrap()).unwrap();
        for frame in frames() {
            let packet = PcapPacket::new(Duration::ZERO, frame.len() as u32, &frame);
            writer.write_packet(&packet).unwrap();
        }
        drop(writer);
        let api = format!("127.0.0.1:{}", free_port());
        let toml = format!(
            "[instance]\nname = \"prom-{}\"\ncontrol-socket = \"{}\"\n\
             [external]\nport = \"net_pcap0,rx_pcap={}{options}\"\naddress = \"192.0.2.1/24\"\n\
             mac = \"02:00:00:00:00:01\"\n{external}\n\
             [internal]\nport = \"net_ring0\"\naddress = \"2001:db8:1::1/64\"\n\
             next-hop-mac = \"02:00:00:00:02:fe\"\n\
             [softwires]\nbr-addresses = \"2001:db8:ff::1\"\n\
             [[softwire]]\nipv4 = \"198.51.100.1\"\nb4-ipv6 = \"2001:db8:b4::1\"\n\
             [api]\nlisten = \"{api}\"\nsocket = \"{}\"\n{more}\n",
            std::process::id(),
            path("sock").display(),
            path("in.pcap").display(),
            path("api.sock").display(),
        );
        fs::write(path("lwaftr.toml"), toml).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
            .args(["run", "lwaftr.toml"])
            .current_dir(files.path())
            .env("STATE_DIRECTORY", path("state"))
            .stderr(File::create(path("log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut relay = Self { files, api, process };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !relay.verb(&["status"]).status().unwrap().success() {
            let ended = relay.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{}", relay.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        relay
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A verb of its control socket.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwaftr"));
        command.args(arguments).arg("--socket").arg(self.path("sock"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What `lwaftr stats --json` says.
    pub(crate) fn stats(&self) -> Value {
        serde_json::from_str(&succeed(&mut self.verb(&["stats", "--json"]))).unwrap()
    }

    /// What its API answers.
    pub(crate) fn get(&self, resource: &str) -> String {
        let url = format!("http://{}{resource}", self.api);
        succeed(Command::new("curl").args(["-sSf", "--max-time", "20", &url]))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the relay's log:\n{}", self.log());
        }
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
