//! A crash leaves the frames that were received last.

#![cfg(feature = "dpdk")]
#![allow(missing_docs)]

#[allow(dead_code)]
mod running;
#[path = "dpdk_vdev/support.rs"]
#[allow(dead_code)]
mod support;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use pcap_file::pcap::PcapReader;
use running::{Running, Setup, to, write_pcap};
use rustix::process::Signal;
use support::{Lab, alone, experimental};

/// A UDP packet to a softwire, in a frame; made so that each one differs.
fn to_b4(number: u16) -> Vec<u8> {
    to([198, 51, 100, 1], number)
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

/// An instance whose B4s' next hop has to be asked for, unless `internal` says otherwise.
fn start(frames: &[Vec<u8>], port: &str, internal: &str) -> Running {
    let internal = format!("next-hop = \"2001:db8:1::fe\"\n{internal}");
    let setup = Setup {
        name: "crash",
        frames,
        port,
        instance: "crash-directory = \"FILES/crash\"",
        external: "next-hop = \"192.0.2.254\"\nnext-hop-mac = \"02:00:00:00:01:fe\"",
        internal: &internal,
        ..Setup::default()
    };
    setup.start()
}

/// Waits until so many frames have come from the Internet.
fn wait_for(instance: &mut Running, frames: u64) {
    instance.wait_until("the frames came", |instance| {
        instance.stats()["interfaces"]["external"]["in-packets"].as_u64() >= Some(frames)
    });
}

/// Kills it, and returns the frames that it left.
fn crash(instance: &mut Running, signal: Signal) -> Vec<Vec<u8>> {
    let status = instance.end(signal);
    assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
    let capture = capture_in(&instance.path("crash"));
    assert!(instance.log().contains(&format!("are in {}", capture.display())));
    read_pcap(&capture)
}

/// What waits for a next hop is as it was received.
#[test]
fn a_fatal_signal_leaves_the_last_frames() {
    alone("a_fatal_signal_leaves_the_last_frames", || {
        let frames: Vec<_> = (0..20).map(to_b4).collect();
        let mut instance = start(&frames, "", "");
        wait_for(&mut instance, 20);
        assert_eq!(crash(&mut instance, Signal::SEGV), frames);
        assert!(instance.log().contains("SIGSEGV: 20 of the last frames"), "{}", instance.log());
    });
}

/// Amid traffic, some have been rewritten. The ring gives back what was sent to it.
#[test]
fn amid_traffic_a_fatal_signal_leaves_some_frames() {
    alone("amid_traffic_a_fatal_signal_leaves_some_frames", || {
        let frames: Vec<_> = (0..64).map(to_b4).collect();
        let mac = "next-hop-mac = \"02:00:00:00:02:fe\"";
        let mut instance = start(&frames, ",infinite_rx=1", mac);
        wait_for(&mut instance, 10_000);
        let left = crash(&mut instance, Signal::ABORT);
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
