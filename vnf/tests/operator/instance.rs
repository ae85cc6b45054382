//! A running instance that receives the same frames again and again.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pcap_file::pcap::{PcapPacket, PcapWriter};
use tempfile::TempDir;

/// A UDP packet from the Internet, in a frame.
pub(crate) fn to(destination: [u8; 4], port: u16) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 1, 0xfe], [2, 0, 0, 0, 0, 1])
        .ipv4([203, 0, 113, 9], destination, 60)
        .udp(53, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[7; 32]).unwrap();
    frame
}

/// An instance that receives the same frames from the Internet again and again.
pub(crate) struct Instance {
    files: TempDir,
    process: Child,
}

impl Instance {
    pub(crate) fn start(frames: &[Vec<u8>]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        let mut writer = PcapWriter::new(File::create(path("in.pcap")).unwrap()).unwrap();
        for bytes in frames {
            let packet = PcapPacket::new(Duration::ZERO, bytes.len() as u32, bytes);
            writer.write_packet(&packet).unwrap();
        }
        drop(writer);
        let toml = format!(
            "[instance]\nname = \"capture-{}\"\ncontrol-socket = \"{}\"\n\
             [external]\nport = \"net_pcap0,rx_pcap={},infinite_rx=1\"\naddress = \"192.0.2.1/24\"\n\
             mac = \"02:00:00:00:00:01\"\nnext-hop-mac = \"02:00:00:00:01:fe\"\n\
             [internal]\nport = \"net_ring0\"\naddress = \"2001:db8:1::1/64\"\n\
             next-hop-mac = \"02:00:00:00:02:fe\"\n\
             [softwires]\nbr-addresses = \"2001:db8:ff::1\"\n\
             [[softwire]]\nipv4 = \"198.51.100.1\"\nb4-ipv6 = \"2001:db8:b4::1\"\n\
             [[softwire]]\nipv4 = \"198.51.100.2\"\npsid-len = 6\npsid = 3\n\
             b4-ipv6 = \"2001:db8:b4::2\"\n",
            std::process::id(),
            path("sock").display(),
            path("in.pcap").display(),
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
        let mut instance = Self { files, process };
        instance.wait_until_it_answers();
        instance
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.lwaftr(&["status"]).status.success() {
            assert!(Instant::now() < deadline, "{}", self.log());
            assert!(self.process.try_wait().unwrap().is_none(), "it has ended\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwaftr"));
        command.args(arguments).arg("--socket").arg(self.path("sock")).current_dir(&self.files);
        command
    }

    pub(crate) fn lwaftr(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Captures to a file; returns what is said on standard error.
    pub(crate) fn capture(&self, arguments: &[&str]) -> String {
        let output = self.lwaftr(&[&["capture", "-w", "a.pcapng"], arguments].concat());
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{words}");
        words
    }

    /// What tshark says of these fields, a line each frame.
    pub(crate) fn tshark(&self, fields: &[&str]) -> Vec<String> {
        let mut command = Command::new("tshark");
        command.args(["-n", "-r", "a.pcapng", "-T", "fields", "-E", "separator=|"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.current_dir(&self.files).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
