//! `lwaftr run` on virtual ports, as a process that is known by its socket and its log only: from the
//! Internet it receives the frames of a capture; what it sends to the B4s comes back to it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use pcap_file::pcap::{PcapPacket, PcapWriter};
use serde_json::Value;
use tempfile::TempDir;

/// What one instance has that others have not. In the lines of its configuration `FILES` stands for
/// the directory of its files.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Where its name begins.
    pub(crate) name: &'a str,
    /// What it receives from the Internet.
    pub(crate) frames: &'a [Vec<u8>],
    /// The rest of the external port's device argument: with `,infinite_rx=1` they come for ever.
    pub(crate) port: &'a str,
    /// Further lines of `[instance]`, `[external]` and `[internal]`.
    pub(crate) instance: &'a str,
    pub(crate) external: &'a str,
    pub(crate) internal: &'a str,
    /// Further softwires and tables.
    pub(crate) more: &'a str,
}

/// An instance; it is killed when dropped.
pub(crate) struct Running {
    files: TempDir,
    process: Child,
}

/// A UDP packet from the Internet, in a frame to the relay.
pub(crate) fn to(destination: [u8; 4], port: u16) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 1, 0xfe], [2, 0, 0, 0, 0, 1])
        .ipv4([203, 0, 113, 9], destination, 60)
        .udp(53, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[port as u8; 32]).unwrap();
    frame
}

pub(crate) fn write_pcap(path: &Path, frames: &[Vec<u8>]) {
    let mut writer = PcapWriter::new(File::create(path).unwrap()).unwrap();
    for bytes in frames {
        let packet = PcapPacket::new(Duration::ZERO, bytes.len() as u32, bytes);
        writer.write_packet(&packet).unwrap();
    }
}

impl Setup<'_> {
    /// Starts it, and waits until it answers.
    pub(crate) fn start(&self) -> Running {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        write_pcap(&path("in.pcap"), self.frames);
        let Self { name, port, instance, external, internal, more, .. } = self;
        let toml = format!(
            "[instance]\nname = \"{name}-{}\"\ncontrol-socket = \"FILES/sock\"\n{instance}\n\
             [external]\nport = \"net_pcap0,rx_pcap=FILES/in.pcap{port}\"\n\
             address = \"192.0.2.1/24\"\nmac = \"02:00:00:00:00:01\"\n{external}\n\
             [internal]\nport = \"net_ring0\"\naddress = \"2001:db8:1::1/64\"\n{internal}\n\
             [softwires]\nbr-addresses = \"2001:db8:ff::1\"\n\
             [[softwire]]\nipv4 = \"198.51.100.1\"\nb4-ipv6 = \"2001:db8:b4::1\"\n{more}\n",
            std::process::id(),
        );
        let toml = toml.replace("FILES", &files.path().display().to_string());
        fs::write(path("lwaftr.toml"), toml).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
            .args(["run", "lwaftr.toml"])
            .current_dir(files.path())
            .env("STATE_DIRECTORY", path("state"))
            .stderr(File::create(path("log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Running { files, process };
        running.wait_until("it answers", |running| running.lwaftr(&["status"]).status.success());
        running
    }
}

impl Running {
    /// Waits until something is so, as long as it runs.
    pub(crate) fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "{what}: not within a minute");
            assert!(self.process.try_wait().unwrap().is_none(), "it has ended");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A verb about it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwaftr"));
        command.args(arguments).arg("--socket").arg(self.path("sock")).current_dir(&self.files);
        command
    }

    pub(crate) fn lwaftr(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What `lwaftr stats --json` says.
    pub(crate) fn stats(&self) -> Value {
        serde_json::from_slice(&self.lwaftr(&["stats", "--json"]).stdout).unwrap_or_default()
    }

    /// Sends it a signal that ends it.
    pub(crate) fn end(&mut self, signal: rustix::process::Signal) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).unwrap();
        self.process.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the instance's log:\n{}", self.log());
        }
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
