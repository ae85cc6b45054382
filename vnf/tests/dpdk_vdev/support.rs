//! A process and a network namespace for each test, and a port to work with.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use vnf::{
    dpdk::{Device, Eal, EalConfig, Hugepages, Mbuf, Pools, Port, PortConfig, QueuePair, Started},
    frame::{
        Burst, Frame, FramePool, RxQueue as _, TxBurst, TxQueue as _,
        plan::{PoolNeeds, PoolPlan},
    },
};

const MARKER: &str = "LWAFTR_TEST_ALONE";

/// Runs `body` in a process of its own (DPDK starts once per process), inside a network namespace
/// that vanishes with it. `test` is the name of the calling test.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(MARKER).is_some_and(|name| name == test) {
        run("ip", &["link", "set", "lo", "up"]);
        return body();
    }
    let output = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARKER, test)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{test}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{test} did not run");
}

/// Runs a command that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A pair of virtual Ethernet interfaces, up.
pub(crate) fn veth(a: &str, b: &str) {
    run("ip", &["link", "add", a, "type", "veth", "peer", "name", b]);
    for end in [a, b] {
        run("sysctl", &["-qw", &format!("net.ipv6.conf.{end}.disable_ipv6=1")]);
        run("ip", &["link", "set", end, "up"]);
    }
}

pub(crate) const NEEDS: PoolNeeds = PoolNeeds {
    ports: 2,
    queues: 1,
    rx_descriptors: 512,
    tx_descriptors: 512,
    workers: 1,
    held: 0,
};

pub(crate) const PORT: PortConfig = PortConfig {
    queues: 1,
    rx_descriptors: 512,
    tx_descriptors: 512,
    mtu: 1500,
    mac: None,
    promiscuous: false,
};

/// DPDK and its pools.
pub(crate) struct Lab {
    pub(crate) pools: Pools,
    pub(crate) eal: Eal,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with_memory(Hugepages::Never)
    }

    pub(crate) fn with_memory(hugepages: Hugepages) -> Self {
        Self::with_plan(hugepages, PoolPlan::derive(&NEEDS))
    }

    pub(crate) fn with_plan(hugepages: Hugepages, plan: PoolPlan) -> Self {
        let eal = Eal::init(&EalConfig {
            name: format!("lwaftr-test-{}", std::process::id()),
            control_cpus: vec![0],
            megabytes: plan.megabytes,
            hugepages,
        })
        .unwrap();
        let pools = Pools::new(&eal, "test", &plan, None).unwrap();
        Self { pools, eal }
    }

    pub(crate) fn attach(&self, argument: &str) -> Device {
        Device::attach(&self.eal, argument).unwrap()
    }

    /// A port with one queue pair, running.
    pub(crate) fn start(&self, argument: &str) -> Running {
        self.start_with(argument, &PORT)
    }

    pub(crate) fn start_with(&self, argument: &str, config: &PortConfig) -> Running {
        let device = self.attach(argument);
        let (port, queues) = device.configure(config, &self.pools).unwrap().start().unwrap();
        Running { port, queues }
    }

    /// A frame with these bytes.
    pub(crate) fn frame(&self, bytes: &[u8]) -> Mbuf {
        let frame = self.pools.for_worker().frame(bytes.len());
        let mut frame = frame.unwrap_or_else(|| panic!("no buffer for {} bytes", bytes.len()));
        frame.bytes_mut().copy_from_slice(bytes);
        frame
    }

    /// Every buffer is back in its pool.
    pub(crate) fn assert_full(&self) {
        for (name, pool) in [("small", &self.pools.small), ("large", &self.pools.large)] {
            assert_eq!(pool.in_use(), 0, "buffers missing from the {name} pool");
            assert_eq!(pool.available(), pool.capacity(), "{name}");
        }
    }
}

/// A running port with its only queue pair.
pub(crate) struct Running {
    pub(crate) port: Port<Started>,
    pub(crate) queues: Vec<QueuePair>,
}

impl Running {
    /// Sends frames, all of which must be accepted.
    pub(crate) fn send(&mut self, frames: impl IntoIterator<Item = Mbuf>) {
        let mut batch: TxBurst<Mbuf> = frames.into_iter().collect();
        let (all, sent) = (batch.len(), self.queues[0].1.transmit(&mut batch));
        assert_eq!(sent, all, "the port refused frames");
        assert!(batch.is_empty());
    }

    /// What has arrived now.
    pub(crate) fn poll(&mut self) -> Vec<Mbuf> {
        let mut burst = Burst::new();
        self.queues[0].0.receive(&mut burst);
        burst.into_iter().collect()
    }

    /// Polls until `count` frames that `wanted` accepts have come; the others are dropped.
    pub(crate) fn receive(&mut self, count: usize, wanted: impl Fn(&[u8]) -> bool) -> Vec<Mbuf> {
        let mut frames = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(10);
        while frames.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} frames came", frames.len());
            frames.extend(self.poll().into_iter().filter(|frame| wanted(frame.bytes())));
        }
        frames
    }

    /// Stops and closes the port.
    pub(crate) fn close(self) {
        let stopped = self.port.stop(self.queues).unwrap();
        drop(stopped);
    }
}

/// An Ethernet frame of `len` bytes that nobody but us understands (EtherType 0x88b5, set aside
/// for experiments), its content derived from `seed`.
pub(crate) fn experimental(len: usize, seed: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
    bytes[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes
}

/// Recognises [`experimental`] frames.
pub(crate) fn is_experimental(bytes: &[u8]) -> bool {
    bytes.get(12..14) == Some(&[0x88, 0xb5])
}
