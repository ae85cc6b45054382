//! A filter comes and goes by reloads while a relay is running.

use std::path::Path;
use std::sync::Arc;

use arc_swap::Cache;
use etherparse::PacketBuilder;
use vnf::config;
use vnf::control::{Actor, Editor, Order, ReloadOptions, prepare};
use vnf::frame::{Burst, HeapFrame, HeapPool, TxBurst, TxQueue};
use vnf::lwaftr::{Relay, RelayParts, Snapshot};
use vnf::memory::{Generations, Reader};
use vnf::side::Side;
use vnf::telemetry::{DropReason, InterfaceTotals, WorkerCounters};
use vnf::wire::MacAddr;

const MACS: [MacAddr; 2] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];

fn write(path: &Path, external: &str) {
    let text = format!(
        r#"
[external]
port = "net_null0"
address = "192.0.2.1/24"
next-hop-mac = "02:00:00:00:01:fe"
{external}
[internal]
port = "net_null1"
address = "2001:db8:1::1/64"
next-hop-mac = "02:00:00:00:02:fe"
[softwires]
br-addresses = "2001:db8:ff::1"
persist = false
[[softwire]]
ipv4 = "198.51.100.1"
b4-ipv6 = "2001:db8:b4::1"
"#
    );
    std::fs::write(path, text).unwrap();
}

/// Takes everything.
struct Sink;

impl TxQueue for Sink {
    type Frame = HeapFrame;

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        frames.drain(..).count()
    }
}

/// A worker's part.
struct Running {
    editor: Editor,
    relay: Relay<HeapPool>,
    counters: Arc<WorkerCounters>,
    snapshots: Cache<Arc<arc_swap::ArcSwap<Snapshot>>, Arc<Snapshot>>,
    reader: Reader,
    path: std::path::PathBuf,
}

impl Running {
    /// Sends a UDP packet from the Internet; is it forwarded, or dropped by the filter?
    fn is_forwarded(&mut self) -> bool {
        let step = PacketBuilder::ethernet2([2, 0, 0, 0, 1, 0xfe], MACS[0].0)
            .ipv4([203, 0, 113, 9], [198, 51, 100, 1], 60)
            .udp(53, 4711);
        let mut frame = Vec::new();
        step.write(&mut frame, &[1; 20]).unwrap();
        let before = self.counted();
        let mut burst: Burst<HeapFrame> = [HeapFrame::new(&frame)].into_iter().collect();
        let snapshots = &mut self.snapshots;
        let snapshot = self.reader.quiescent(|| Arc::clone(snapshots.load()));
        self.relay.receive(Side::External, &snapshot, 1_000_000_000, &mut burst);
        self.relay.send(Side::Internal, &mut Sink);
        let after = self.counted();
        match (after.0 - before.0, after.1 - before.1) {
            (1, 0) => true,
            (0, 1) => false,
            other => panic!("neither forwarded nor filtered: {other:?}"),
        }
    }

    /// Packets forwarded, and packets dropped by the filter.
    fn counted(&self) -> (u64, u64) {
        let mut totals = InterfaceTotals::default();
        totals.add(self.counters.of(Side::External));
        (totals.forwarded, totals.drops[DropReason::FilterIngress.index()].packets)
    }

    /// Reloads with these keys in `[external]`; which keys were changed, or why not.
    fn reload(&mut self, external: &str) -> Result<Vec<String>, String> {
        write(&self.path, external);
        let prepared = prepare(&self.editor.basis(), ReloadOptions::default())
            .map_err(|error| error.to_string())?;
        let nobody = Actor::instance("test");
        let report = self
            .editor
            .commit(&Order::new(&nobody, "reload"), prepared)
            .map_err(|error| error.to_string())?;
        Ok(report.settings)
    }
}

#[test]
fn q1_q2_a_reload_switches_a_filter_on_and_off_under_a_running_relay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lwaftr.toml");
    write(&path, "");
    let loaded = config::load_with_table(&path).unwrap_or_else(|errors| panic!("{errors}"));
    let (generations, mut readers) = Generations::new(1);
    let editor =
        Editor::start(loaded, MACS, generations, &directory.path().join("journal"), false).unwrap();
    let counters = Arc::<WorkerCounters>::default();
    let relay = Relay::new(RelayParts {
        pool: HeapPool,
        counters: Arc::clone(&counters),
        announces: false,
        worker: 0,
        workers: 1,
        runs_timers: false,
        seed: 0,
    });
    let snapshots = Cache::new(Arc::clone(editor.publisher().snapshots()));
    let reader = readers.remove(0);
    let mut running = Running { editor, relay, counters, snapshots, reader, path };

    assert!(running.is_forwarded());
    let changed = running.reload("ingress-filter = \"tcp\"").unwrap();
    assert_eq!(changed, ["external.ingress-filter: (none) -> \"tcp\""]);
    assert!(!running.is_forwarded());
    let said = running.reload("ingress-filter = \"udp prt 53\"").unwrap_err();
    assert!(said.contains("external.ingress-filter: \"prt\" cannot stand here"), "{said}");
    assert!(!running.is_forwarded(), "the old filter stays");
    running.reload("ingress-filter = \"udp port 53\"").unwrap();
    assert!(running.is_forwarded());
    let live = running.snapshots.load();
    let filter = live.settings.filters.ingress[Side::External.index()].clone().unwrap();
    assert!(filter.is_accelerated(), "an instance runs machine code");
    drop(filter);
    let changed = running.reload("").unwrap();
    assert_eq!(changed, ["external.ingress-filter: \"udp port 53\" -> (none)"]);
    assert!(running.is_forwarded());
    assert!(running.is_forwarded());
    assert_eq!(running.editor.collect(false), 0, "snapshots and machine code of before are freed");
}
