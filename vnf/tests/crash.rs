//! A crash leaves the frames that were received last.

#![cfg(feature = "dpdk")]
#![allow(missing_docs)]

#[path = "dpdk_vdev/support.rs"]
#[allow(dead_code)]
mod support;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use support::{Lab, alone, experimental};
use tempfile::TempDir;

/// A UDP packet to a softwire from the Internet, in a frame; made so that each one differs.
fn to_b4(number: u16) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 1, 0xfe], [2, 0, 0, 0, 0, 1])
        .ipv4([203, 0, 113, 9], [198, 51, 100, 1], 60)
        .udp(53, number);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[number as u8; 32]).unwrap();
    frame
}

fn write_pcap(path: &Path, frames: &[Vec<u8>]) {
    let mut writer = PcapWriter::new(File::create(path).unwrap()).unwrap();
    for bytes in frames {
        let packet = PcapPacket::new(Duration::ZERO, bytes.len() as u32, bytes);
        writer.write_packet(&packet).unwrap();
    }
}

fn read_pcap(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.unwrap().data.into_owned());
    }
    frames
}

/// The only capture of a directory.
fn capture_in(directory: &Path) -> PathBuf {
    let files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// An instance that receives from a capture; it is killed when dropped.
struct Instance {
    files: TempDir,
    process: Child,
}

impl Instance {
    /// `options` go to the external port's device argument, `policy` below `[external]`.
    fn start(frames: &[Vec<u8>], options: &str, external: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        write_pcap(&path("in.pcap"), frames);
        let toml = format!(
            "[instance]\nname = \"crash-{}\"\ncontrol-socket = \"{}\"\n\
             crash-directory = \"{}\"\n\
             [external]\nport = \"net_pcap0,rx_pcap={}{options}\"\naddress = \"192.0.2.1/24\"\n\
             mac = \"02:00:00:00:00:01\"\nnext-hop = \"192.0.2.254\"\n\
             next-hop-mac = \"02:00:00:00:01:fe\"\n\
             [internal]\nport = \"net_ring0\"\naddress = \"2001:db8:1::1/64\"\n\
             next-hop = \"2001:db8:1::fe\"\n{external}\n\
             [softwires]\nbr-addresses = \"2001:db8:ff::1\"\n\
             [[softwire]]\nipv4 = \"198.51.100.1\"\nb4-ipv6 = \"2001:db8:b4::1\"\n",
            std::process::id(),
            path("sock").display(),
            path("crash").display(),
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
        Self { files, process }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("log")).unwrap()
    }

    /// Waits until so many frames have come from the Internet.
    fn wait_for(&mut self, frames: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
                .args(["stats", "--json", "--socket"])
                .arg(self.files.path().join("sock"))
                .output()
                .unwrap();
            let stats: serde_json::Value =
                serde_json::from_slice(&output.stdout).unwrap_or_default();
            if stats["interfaces"]["external"]["in-packets"].as_u64() >= Some(frames) {
                return;
            }
            assert!(Instant::now() < deadline, "{stats}\n{}", self.log());
            assert!(self.process.try_wait().unwrap().is_none(), "it has ended\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, and returns the frames that it left.
    fn crash(&mut self, signal: i32) -> Vec<Vec<u8>> {
        let pid = rustix::process::Pid::from_child(&self.process);
        let signal_name = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(pid, signal_name).unwrap();
        let status = self.process.wait().unwrap();
        assert_eq!(status.signal(), Some(signal), "{status}\n{}", self.log());
        let capture = capture_in(&self.files.path().join("crash"));
        assert!(self.log().contains(&format!("are in {}", capture.display())), "{}", self.log());
        read_pcap(&capture)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What waits for a next hop is as it was received.
#[test]
fn a_fatal_signal_leaves_the_last_frames() {
    alone("a_fatal_signal_leaves_the_last_frames", || {
        let frames: Vec<_> = (0..20).map(to_b4).collect();
        let mut instance = Instance::start(&frames, "", "");
        instance.wait_for(20);
        assert_eq!(instance.crash(libc::SIGSEGV), frames);
        assert!(instance.log().contains("SIGSEGV: 20 of the last frames"), "{}", instance.log());
    });
}

/// Amid traffic, some have been rewritten. The ring gives back what was sent to it.
#[test]
fn amid_traffic_a_fatal_signal_leaves_some_frames() {
    alone("amid_traffic_a_fatal_signal_leaves_some_frames", || {
        let frames: Vec<_> = (0..64).map(to_b4).collect();
        let mac = "next-hop-mac = \"02:00:00:00:02:fe\"";
        let mut instance = Instance::start(&frames, ",infinite_rx=1", mac);
        instance.wait_for(10_000);
        let left = instance.crash(libc::SIGABRT);
        assert!(left.len() <= 128, "{} frames", left.len());
        let known = |frame: &&Vec<u8>| frame.ends_with(&[frame[frame.len() - 1]; 32]);
        let known = left.iter().filter(known).count();
        assert!(known > 0, "none of {} frames is known: {left:02x?}", left.len());
    });
}

#[test]
fn a_worker_that_panics_leaves_what_it_received() {
    alone("a_worker_that_panics_leaves_what_it_received", || {
        let files = tempfile::tempdir().unwrap();
        let frames: Vec<_> =
            (0..7).map(|seed| experimental(60 + 9 * usize::from(seed), seed)).collect();
        write_pcap(&files.path().join("in.pcap"), &frames);
        let crashes = files.path().join("crash");
        let announced = vnf::dpdk::leave_captures(&crashes, "test").unwrap();

        let lab = Lab::new();
        let input = files.path().join("in.pcap");
        let mut port = lab.start(&format!("net_pcap,rx_pcap={}", input.display()));
        let received = port.receive(frames.len(), |_| true);
        let worker = std::thread::Builder::new().name("worker-0".to_owned());
        let panics = worker.spawn(|| panic!("as the test wants it")).unwrap();
        assert!(panics.join().is_err());
        assert_eq!(capture_in(&crashes), announced);
        assert_eq!(read_pcap(&announced), frames);
        drop(received);
        port.close();
        lab.assert_full();
    });
}
