//! Every kind of virtual port through the real EAL. After each test the pools are full again.

#![cfg(feature = "dpdk")]
#![allow(missing_docs)]

#[path = "dpdk_vdev/support.rs"]
mod support;

use std::{
    fs::File,
    net::UdpSocket,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use support::{Lab, NEEDS, PORT, Running, alone, experimental, is_experimental, run, veth};
use vnf::{
    dpdk::{Device, Eal, EalConfig, Hugepages, Mbuf, Memory, PortConfig, ThreadRegistration, Tsc},
    frame::{
        BURST, Frame, FramePool, RxQueue as _, TX_BURST, TxBurst, TxQueue as _,
        plan::{LARGE_ROOM, PoolPlan, SMALL_ROOM},
    },
};

#[test]
fn ring() {
    alone("ring", || {
        let lab = Lab::new();
        let mut port = lab.start("net_ring0");
        assert!(!port.port.info().physical);
        let sent: Vec<_> =
            (0..100).map(|seed| experimental(60 + usize::from(seed), seed)).collect();
        port.send(sent.iter().map(|bytes| lab.frame(bytes)));
        let mut received = port.receive(100, |_| true);
        for (frame, bytes) in received.iter().zip(&sent) {
            assert_eq!(frame.bytes(), &bytes[..]);
        }

        // growing, shrinking and sending again what was received
        for frame in &mut received {
            assert!(frame.grow_front(40));
            frame.bytes_mut()[..40].fill(7);
            assert!(frame.grow_back(3));
            frame.bytes_mut().last_mut().map(|b| *b = 9).unwrap();
            frame.shrink_front(1);
        }
        port.send(received);
        for (frame, bytes) in port.receive(100, |_| true).iter().zip(&sent) {
            assert_eq!(frame.bytes().len(), bytes.len() + 42);
            assert_eq!(frame.bytes()[..39], [7; 39]);
            assert_eq!(&frame.bytes()[39..39 + bytes.len()], &bytes[..]);
            assert_eq!(frame.bytes().last(), Some(&9));
        }
        assert_eq!(lab.pools.small.in_use(), 0);
        port.close();
        lab.assert_full();
    });
}

#[test]
fn a_full_ring_refuses_and_keeps_nothing() {
    alone("a_full_ring_refuses_and_keeps_nothing", || {
        let lab = Lab::new();
        let mut port = lab.start("net_ring0");
        let mut accepted = 0_u32;
        let refused = loop {
            let mut batch: TxBurst<_> =
                (0..TX_BURST).map(|i| lab.frame(&experimental(64, i as u8))).collect();
            let last = batch.last().unwrap().bytes().to_vec();
            let sent = port.queues[0].1.transmit(&mut batch);
            accepted += sent as u32;
            assert_eq!(batch.len(), TX_BURST - sent);
            if let Some(frame) = batch.last() {
                // the tail remains, in order
                assert_eq!(frame.bytes(), &last[..]);
                break batch;
            }
        };
        assert_eq!(lab.pools.small.in_use(), accepted + refused.len() as u32);
        drop(refused);
        assert_eq!(lab.pools.small.in_use(), accepted);
        drop(port.receive(accepted as usize, |_| true));
        assert_eq!(lab.pools.small.in_use(), 0);
        port.close();
        lab.assert_full();
    });
}

#[test]
fn null() {
    alone("null", || {
        let lab = Lab::new();
        let mut port = lab.start("net_null,size=100");
        let frames = port.poll();
        assert_eq!(frames.len(), BURST);
        assert!(frames.iter().all(|frame| frame.bytes().len() == 100));
        assert_eq!(lab.pools.small.in_use() as usize, BURST);
        port.send(frames);
        assert_eq!(lab.pools.small.in_use(), 0);
        port.close();
        lab.assert_full();
    });
}

fn write_pcap(path: &Path, frames: &[Vec<u8>]) {
    let mut writer = PcapWriter::new(File::create(path).unwrap()).unwrap();
    for (seconds, bytes) in frames.iter().enumerate() {
        let len = bytes.len() as u32;
        let time = Duration::from_secs(seconds as u64);
        writer.write_packet(&PcapPacket::new(time, len, bytes)).unwrap();
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

#[test]
fn pcap_with_jumbo_frames() {
    alone("pcap_with_jumbo_frames", || {
        let dir = tempfile::tempdir().unwrap();
        let (input, output) = (dir.path().join("in.pcap"), dir.path().join("out.pcap"));
        let frames: Vec<_> = [60, 1514, 9018, 2049, 64]
            .into_iter()
            .zip(1..)
            .map(|(len, seed)| experimental(len, seed))
            .collect();
        write_pcap(&input, &frames);

        let lab = Lab::new();
        let (input, output) = (input.display(), output.display());
        let mut port = lab.start(&format!("net_pcap,rx_pcap={input},tx_pcap={output}"));
        let received = port.receive(frames.len(), |_| true);
        for (frame, bytes) in received.iter().zip(&frames) {
            assert_eq!(frame.bytes(), &bytes[..], "in order and whole");
        }
        assert_eq!(lab.pools.large.in_use(), 2, "the two jumbo frames");
        assert_eq!(lab.pools.small.in_use(), 3, "the pieces were freed");
        port.send(received);
        port.close();
        assert_eq!(read_pcap(&dir.path().join("out.pcap")), frames);
        lab.assert_full();
    });
}

#[test]
fn jumbo_frames_without_a_large_buffer_are_counted() {
    alone("jumbo_frames_without_a_large_buffer_are_counted", || {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("in.pcap");
        let frames: Vec<_> = (0..6).map(|seed| experimental(5000, seed)).collect();
        write_pcap(&input, &frames);

        let lab =
            Lab::with_plan(Hugepages::Never, PoolPlan { large: 4, ..PoolPlan::derive(&NEEDS) });
        let mut port = lab.start(&format!("net_pcap,rx_pcap={}", input.display()));
        let received = port.receive(4, |_| true);
        assert!(port.poll().is_empty());
        assert_eq!(received.len(), 4);
        assert_eq!(port.queues[0].0.take_unreadable(), (2, 2 * 5000));
        assert_eq!(port.queues[0].0.take_unreadable(), (0, 0));
        drop(received);
        port.close();
        lab.assert_full();
    });
}

/// The kernel's UDP on `interface` meets us as 192.0.2.2: what it sends comes back to it.
fn echo_with_the_kernel(interface: &str, port: &mut Running) {
    run("ip", &["addr", "add", "192.0.2.1/24", "dev", interface]);
    run("ip", &["link", "set", interface, "up"]);
    let mac = "02:00:00:00:00:02";
    run("ip", &["neigh", "add", "192.0.2.2", "lladdr", mac, "dev", interface]);
    let socket = UdpSocket::bind("192.0.2.1:4000").unwrap();
    socket.set_nonblocking(true).unwrap();
    for len in [18_usize, 100, 1400, 1472] {
        let payload: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        socket.send_to(&payload, "192.0.2.2:7").unwrap();
        let is_ours = |bytes: &[u8]| {
            bytes.get(12..14) == Some(&[8, 0]) && bytes.get(30..34) == Some(&[192, 0, 2, 2])
        };
        let mut frames = port.receive(1, is_ours);
        let frame = &mut frames[0];
        assert_eq!(&frame.bytes()[42..42 + len], &payload[..], "{len} bytes from the kernel");
        let bytes = frame.bytes_mut();
        for (a, b, size) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
            for i in 0..size {
                bytes.swap(a + i, b + i);
            }
        }
        bytes[40..42].fill(0); // no UDP checksum: the kernel may have left it unfinished
        port.send(frames);

        let mut answer = [0; 2000];
        let deadline = Instant::now() + Duration::from_secs(10);
        let received = loop {
            match socket.recv(&mut answer) {
                Ok(received) => break received,
                Err(_) if Instant::now() < deadline => drop(port.poll()),
                Err(error) => panic!("{len} bytes did not come back: {error}"),
            }
        };
        assert_eq!(&answer[..received], &payload[..], "{len} bytes to the kernel");
    }
}

#[test]
fn tap() {
    alone("tap", || {
        let lab = Lab::new();
        let mut port = lab.start("net_tap,iface=lwtap0");
        echo_with_the_kernel("lwtap0", &mut port);
        let monitor = port.port.monitor();
        assert!(monitor.read().unwrap().link.up);
        port.close();
        assert_eq!(monitor.read(), None);
        lab.assert_full();
    });
}

#[test]
fn af_packet() {
    alone("af_packet", || {
        veth("lw0", "lw1");
        let lab = Lab::new();
        let mut port = lab.start("net_af_packet,iface=lw0");
        echo_with_the_kernel("lw1", &mut port);
        port.close();
        lab.assert_full();
    });
}

#[test]
fn af_xdp() {
    alone("af_xdp", || {
        veth("lw0", "lw1");
        let lab = Lab::new();
        let mut port = lab.start("net_af_xdp,iface=lw0");
        let idle = lab.pools.small.in_use();
        echo_with_the_kernel("lw1", &mut port);

        // a frame the driver would copy past a buffer's end is not taken, nor what is behind it
        assert_eq!(port.queues[0].1.longest(), Some(SMALL_ROOM));
        let too_long = experimental(usize::from(SMALL_ROOM) + 1, 1);
        let frames = [experimental(60, 1), too_long, experimental(60, 2)];
        let mut batch: TxBurst<Mbuf> = frames.iter().map(|frame| lab.frame(frame)).collect();
        assert_eq!(port.queues[0].1.transmit(&mut batch), 1);
        assert_eq!(batch.len(), 2);
        assert_eq!(port.port.monitor().read().unwrap().tx_errors, 0);
        drop(batch);

        // a port that cannot let groups through alone lets all through, whatever is wanted
        for wanted in [true, false] {
            port.port.monitor().take_all(wanted).unwrap();
            assert_eq!(takes_all("lw0", &port), (true, true));
        }

        // This driver keeps its rings' buffers for ever: nothing else may be missing. It takes
        // back what the kernel has sent when it sends the next.
        let deadline = Instant::now() + Duration::from_secs(10);
        while lab.pools.small.in_use() > idle + 1 {
            assert!(Instant::now() < deadline, "{} over {idle}", lab.pools.small.in_use());
            port.send([lab.frame(&experimental(60, 1))]);
            drop(port.poll());
            std::thread::sleep(Duration::from_millis(10));
        }
        port.close();
        assert_eq!(lab.pools.large.in_use(), 0);
    });
}

/// The interface below follows what is wanted of frames to others, while the port runs.
#[test]
fn frames_to_others_are_let_through_when_that_is_wanted() {
    alone("frames_to_others_are_let_through_when_that_is_wanted", || {
        let lab = Lab::new();
        let port = lab.start("net_tap,iface=lwtap6");
        assert_eq!(takes_all("lwtap6", &port), (false, false));
        for wanted in [true, false, true, true, false, false] {
            port.port.monitor().take_all(wanted).unwrap();
            assert_eq!(takes_all("lwtap6", &port), (wanted, wanted));
        }
        port.close();
        lab.assert_full();
    });
}

/// Does an interface take frames to any MAC address, and what does its port say?
fn takes_all(interface: &str, port: &Running) -> (bool, bool) {
    let shown = Command::new("ip").args(["link", "show", interface]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).contains("PROMISC");
    (shown, port.port.monitor().read().unwrap().takes_all)
}

#[test]
fn two_af_xdp_ports_on_one_pool() {
    alone("two_af_xdp_ports_on_one_pool", || {
        veth("lw0", "lw1");
        let lab = Lab::new();
        let odd = PortConfig { rx_descriptors: 1000, tx_descriptors: 700, ..PORT };
        let mut left = lab.start_with("net_af_xdp,iface=lw0", &odd);
        let mut right = lab.start("net_af_xdp,iface=lw1");
        for round in 0..50_u8 {
            let sent: Vec<_> = (0..32).map(|i| experimental(60 + 40 * i, round)).collect();
            left.send(sent.iter().map(|bytes| lab.frame(bytes)));
            let received = right.receive(32, is_experimental);
            for (frame, bytes) in received.iter().zip(&sent) {
                assert_eq!(frame.bytes(), &bytes[..]);
            }
            // and back, the same buffers
            right.send(received);
            for (frame, bytes) in left.receive(32, is_experimental).iter().zip(&sent) {
                assert_eq!(frame.bytes(), &bytes[..]);
            }
        }
        left.close();
        right.close();
    });
}

#[test]
fn memif() {
    alone("memif", || {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("memif.sock");
        let lab = Lab::new();
        let option = format!("socket={},socket-abstract=no", socket.display());
        // It says that it carries ordinary frames only, and carries jumbo frames as well.
        let jumbo = PortConfig { mtu: 9000, ..PORT };
        let mut server = lab.start_with(&format!("net_memif0,role=server,{option}"), &jumbo);
        let mut client = lab.start_with(&format!("net_memif1,role=client,{option}"), &jumbo);
        wait_for_link(&server);
        wait_for_link(&client);
        exchange(&lab, &mut client, &mut server);
        client.close();
        server.close();
        lab.assert_full();
    });
}

/// Frames of all sizes from one port to another, jumbo frames among them.
fn exchange(lab: &Lab, from: &mut Running, to: &mut Running) {
    for len in [60, 1514, 2048, 2049, 4500, 9018] {
        let bytes = experimental(len, len as u8);
        from.send([lab.frame(&bytes)]);
        let frames = to.receive(1, is_experimental);
        assert_eq!(frames[0].bytes(), &bytes[..], "{len} bytes");
    }
}

/// One member is attached beforehand, the other by the bonding port itself.
#[test]
fn bonding_over_two_ports() {
    alone("bonding_over_two_ports", || {
        veth("lw0", "lw1");
        veth("lw2", "lw3");
        let lab = Lab::new();
        let first = lab.attach("net_af_packet7,iface=lw0");
        let members = "member=net_af_packet7,member=(net_af_packet,iface=lw2)";
        let mut port = lab.start(&format!("net_bonding,mode=1,{members}"));
        assert!(!port.port.info().physical);
        assert_eq!(port.port.info().max_mtu, first.info().max_mtu, "what its members can");
        wait_for_link(&port);
        echo_with_the_kernel("lw1", &mut port);
        port.close();
        drop(first);
        lab.assert_full();
        // the bonding port's own member went with it
        let again = lab.attach("net_af_packet100,iface=lw2");
        drop(again);
    });
}

/// Members and peers come up in their own time.
fn wait_for_link(port: &Running) {
    let monitor = port.port.monitor();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !monitor.read().unwrap().link.up {
        assert!(Instant::now() < deadline, "the link stays down");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A vhost-user back end and a virtio-user front end, which share hugepages.
#[test]
fn virtio_user_and_vhost() {
    alone("virtio_user_and_vhost", || {
        let _reserved = Reserved::megabytes(PoolPlan::derive(&NEEDS).megabytes);
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("vhost.sock");
        let lab = Lab::with_memory(Hugepages::Required);
        let mut back = lab.start(&format!("net_vhost,iface={}", socket.display()));
        let mut front = lab.start(&format!("net_virtio_user,path={},queues=1", socket.display()));
        wait_for_link(&back);
        exchange(&lab, &mut front, &mut back);
        exchange(&lab, &mut back, &mut front);

        // How full a ring is: frames that nobody has taken yet.
        let monitor = back.port.monitor();
        let fullest = || monitor.read().unwrap().rx_ring.expect("vhost can tell").fullest;
        assert_eq!(fullest(), 0);
        front.send((0..30).map(|seed| lab.frame(&experimental(60, seed))));
        assert_eq!(fullest(), 30);
        assert_eq!(back.receive(30, is_experimental).len(), 30);
        assert_eq!(fullest(), 0);
        front.close();
        back.close();
        lab.assert_full();
    });
}

#[test]
fn stopping_needs_every_queue() {
    alone("stopping_needs_every_queue", || {
        let lab = Lab::new();
        let Running { port, queues } = lab.start("net_ring0");
        let other = lab.start("net_ring1");

        let refused = port.stop(Vec::new()).unwrap_err();
        assert_eq!(refused.missing, 1);
        assert!(refused.to_string().contains("1 of its queues"), "{refused}");
        let refused = refused.port.stop(other.queues).unwrap_err();
        assert_eq!(refused.missing, 1);
        let stopped = refused.port.stop(queues).unwrap();

        // and it may start again
        let (port, queues) = stopped.start().unwrap();
        let mut port = Running { port, queues };
        port.send([lab.frame(&experimental(60, 1))]);
        assert_eq!(port.receive(1, |_| true).len(), 1);
        port.close();
        drop(other.port);
        drop(refused.queues);
        lab.assert_full();
    });
}

#[test]
fn a_worker_thread_owns_its_queues() {
    alone("a_worker_thread_owns_its_queues", || {
        let lab = Lab::new();
        let Running { port, queues } = lab.start("net_null");
        let eal = lab.eal.clone();
        let mut pool = lab.pools.for_worker();
        let before = lab.pools.small.available();
        let queues = std::thread::spawn(move || {
            let registration = ThreadRegistration::pinned(&eal, 0).unwrap();
            let mut queues = queues;
            let (rx, tx) = &mut queues[0];
            let mut batch = TxBurst::new();
            for _ in 0..100 {
                let mut burst = vnf::frame::Burst::new();
                rx.receive(&mut burst);
                batch.extend(burst);
                batch.push(pool.frame(usize::from(SMALL_ROOM)).unwrap());
                batch.push(pool.frame(usize::from(LARGE_ROOM)).unwrap());
                assert!(pool.frame(usize::from(LARGE_ROOM) + 1).is_none());
                tx.transmit(&mut batch);
                assert!(batch.is_empty());
            }
            drop(registration);
            queues
        })
        .join()
        .unwrap();
        // buffers in the cache of a thread that has ended are still to be had
        assert_eq!(lab.pools.small.available(), before);
        drop(port.stop(queues).unwrap());
        lab.assert_full();
    });
}

#[test]
fn what_a_port_cannot_is_refused_with_the_reason() {
    alone("what_a_port_cannot_is_refused_with_the_reason", || {
        let lab = Lab::new();
        veth("lw0", "lw1");
        let configure = |argument: &str, config: PortConfig| {
            lab.attach(argument).configure(&config, &lab.pools).unwrap_err().to_string()
        };
        let two = PortConfig { queues: 2, ..PORT };
        let said = configure("net_tap,iface=lwtap1", two);
        assert!(said.contains("all fragments") && said.contains("by ports"), "{said}");
        let said = configure("net_af_packet,iface=lw0,qpairs=2", two);
        assert!(said.contains("does not let us choose"), "{said}");
        let said = configure("net_af_xdp,iface=lw0", PortConfig { queues: 9, ..PORT });
        assert!(said.contains("net_af_xdp can have 1 to 1"), "{said}");
        let said = configure("net_af_xdp,iface=lw0", PortConfig { mtu: 3000, ..PORT });
        assert!(said.contains("MTU 3000") && said.contains("at most 1770"), "{said}");

        let attach = |argument: &str| Device::attach(&lab.eal, argument).unwrap_err().to_string();
        let said = attach("net_af_xdp,iface=nowhere0");
        assert!(said.contains("no interface `nowhere0`"), "{said}");
        let said = attach("net_nonsense,a=b");
        assert!(said.contains("no driver `net_nonsense`") && said.contains("net_memif"), "{said}");
        let said = attach("net_null,size=many,nonsense=1");
        assert!(said.contains("the driver refuses"), "{said}");
        let _taken = lab.attach("net_null5");
        let said = attach("net_null5");
        assert!(said.contains("`net_null5` is in use"), "{said}");
        let said = attach("0000:ff:1f.7");
        assert!(said.contains("no such PCI device"), "{said}");
    });
}

/// A UDP packet in a frame, for the tap `lwtap0`.
fn udp_packet() -> Vec<u8> {
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([198, 18, 0, 1], [203, 0, 113, 7], 64)
        .udp(1000, 2000)
        .write(&mut bytes, b"something to carry")
        .unwrap();
    bytes
}

/// Has the kernel send a frame into an interface as it is.
fn inject(interface: &str, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let program = "import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
s.send(bytes.fromhex(sys.argv[2]))";
    run("python3", &["-c", program, interface, &hex]);
}

/// What virtual ports offer of a packet's work, and that it is used where it is granted: a tap
/// verifies checksums, a ring does not.
#[test]
fn offloads() {
    alone("offloads", || {
        let lab = Lab::new();
        veth("lw0", "lw1");
        for argument in [
            "net_null7",
            "net_ring7",
            "net_memif7,role=server,socket=/tmp/lwaftr-offers.sock",
            "net_af_packet7,iface=lw0",
            "net_af_xdp7,iface=lw1",
            "net_vhost7,iface=/tmp/lwaftr-offers-vhost.sock",
            "net_tap7,iface=lwtap7",
        ] {
            let device = lab.attach(argument);
            println!("{argument}: {}", device.info().offers.names().join(", "));
        }
        for socket in ["/tmp/lwaftr-offers.sock", "/tmp/lwaftr-offers-vhost.sock"] {
            _ = std::fs::remove_file(socket);
        }
        let is_udp = |bytes: &[u8]| bytes.get(23) == Some(&17) && bytes.ends_with(b"carry");
        let good = udp_packet();
        let mut bad = good.clone();
        bad[24] ^= 0x55;

        let mut tap = lab.start("net_tap,iface=lwtap0");
        assert!(tap.port.info().offers.ipv4_checksum);
        assert_eq!(tap.port.offloads().names(), ["ipv4-checksum"]);
        assert_eq!(tap.port.monitor().read().unwrap().offloads, tap.port.offloads());
        for (bytes, verified) in [(&good, true), (&bad, false)] {
            inject("lwtap0", bytes);
            let frames = tap.receive(1, is_udp);
            assert_eq!(frames[0].ipv4_checksum_verified(), verified);
            assert_eq!(frames[0].bytes(), &bytes[..], "the frame comes as it was sent");
        }
        tap.close();

        let mut ring = lab.start("net_ring0");
        assert_eq!(ring.port.offloads().names(), [""; 0]);
        for bytes in [&good, &bad] {
            ring.send([lab.frame(bytes)]);
            assert!(!ring.receive(1, is_udp)[0].ipv4_checksum_verified());
        }
        ring.close();

        let spread = lab.start_with("net_null", &PortConfig { queues: 2, ..PORT });
        assert!(spread.port.offloads().rss && spread.port.offloads().names().contains(&"rss"));
        spread.close();
        lab.assert_full();
    });
}

/// `net_null` is the one virtual port that says it can hash addresses.
#[test]
fn several_queues_where_addresses_decide() {
    alone("several_queues_where_addresses_decide", || {
        let lab = Lab::new();
        let mut port = lab.start_with("net_null", &PortConfig { queues: 2, ..PORT });
        assert_eq!(port.queues.len(), 2);
        let mut burst = vnf::frame::Burst::new();
        port.queues[1].0.receive(&mut burst);
        assert_eq!(burst.len(), BURST);
        drop(burst);
        port.close();
        lab.assert_full();
    });
}

#[test]
fn dpdk_starts_once_and_leaves_the_affinity_alone() {
    alone("dpdk_starts_once_and_leaves_the_affinity_alone", || {
        let cpus = || {
            let set = rustix::thread::sched_getaffinity(None).unwrap();
            (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect::<Vec<_>>()
        };
        let before = cpus();
        let lab = Lab::new();
        assert_eq!(cpus(), before);
        assert!(matches!(lab.eal.memory(), Memory::Ordinary { by_choice: true, .. }));
        let again = Eal::init(&EalConfig {
            name: "again".into(),
            control_cpus: vec![0],
            megabytes: 64,
            hugepages: Hugepages::Never,
        });
        assert!(again.unwrap_err().to_string().contains("already"));

        let tsc = Tsc::new(&lab.eal);
        let (start, ticks) = (Instant::now(), Tsc::ticks());
        std::thread::sleep(Duration::from_millis(100));
        let (nanos, clock) = (tsc.nanos(Tsc::ticks() - ticks), start.elapsed().as_nanos() as u64);
        assert!(nanos.abs_diff(clock) < clock / 50, "{nanos} ns by TSC, {clock} ns by the clock");
        assert!(matches!(
            ThreadRegistration::pinned(&lab.eal, 900).unwrap_err().to_string(),
            said if said.contains("CPU 900")
        ));
    });
}

/// Hugepages reserved for a test, given back at its end.
struct Reserved {
    before: String,
}

const PAGES: &str = "/proc/sys/vm/nr_hugepages";

impl Reserved {
    fn megabytes(megabytes: u64) -> Self {
        let before = std::fs::read_to_string(PAGES).unwrap();
        let pages = before.trim().parse::<u64>().unwrap() + megabytes.div_ceil(2);
        let reserved = Self { before };
        std::fs::write(PAGES, pages.to_string()).unwrap();
        reserved
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let _ = std::fs::write(PAGES, self.before.trim());
    }
}

#[test]
fn hugepages() {
    alone("hugepages", || {
        let _reserved = Reserved::megabytes(PoolPlan::derive(&NEEDS).megabytes);
        let lab = Lab::with_memory(Hugepages::Required);
        let memory = lab.eal.memory().to_string();
        assert!(memory.contains("hugepages"), "{memory}");
        assert!(matches!(lab.eal.memory(), Memory::Huge { .. }));
        let mut port = lab.start("net_ring0");
        port.send([lab.frame(&experimental(60, 1))]);
        assert_eq!(port.receive(1, |_| true).len(), 1);
        port.close();
        lab.assert_full();
    });
}
