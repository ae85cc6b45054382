//! Golden captures: what arrives, what must leave and what must be counted, built by scapy from
//! the RFCs and docs/behaviour.md (`golden/build.py`), replayed through the real command.
//!
//! `GOLDEN=mtu/` runs only the cases whose name contains that; `GOLDEN_DIR=DIR` builds there and
//! leaves everything in place for a look with tcpdump.

#[path = "golden/case.rs"]
mod case;
#[path = "golden/compare.rs"]
mod compare;
#[path = "golden/identification.rs"]
mod identification;
#[cfg(feature = "dpdk")]
#[path = "golden/ports.rs"]
mod ports;
#[cfg(feature = "dpdk")]
#[allow(dead_code)]
#[path = "dpdk_vdev/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::Case;

/// Debian's interpreter, the one `python3-scapy` belongs to.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn every_golden_case_comes_out_as_built() {
    with_cases(|cases| {
        let failures = run(cases);
        report(cases, &failures);
    });
}

/// The same through real ports of DPDK, all in one process of it.
#[cfg(feature = "dpdk")]
#[test]
fn every_golden_case_comes_out_of_dpdk_ports() {
    support::alone("every_golden_case_comes_out_of_dpdk_ports", || {
        with_cases(|cases| {
            let mut rings = ports::Rings::start();
            let (possible, beyond): (Vec<_>, Vec<_>) =
                cases.iter().partition(|case| ports::can_receive(case));
            println!("{} golden runs skipped: frames longer than a port's buffer", beyond.len());
            let judged = possible.into_iter().map(|case| {
                let (sent, counters) = rings.run(case);
                case.judge(&sent, &counters)
            });
            let failures: Vec<String> = judged.filter_map(Result::err).collect();
            rings.close();
            report(cases, &failures);
        });
    });
}

/// Builds the cases that are wanted and hands them over, unless they cannot be built here.
fn with_cases(body: impl FnOnce(&[Case])) {
    if let Some(missing) = scapy_missing() {
        assert!(std::env::var_os("CI").is_none(), "the golden cases cannot be built: {missing}");
        println!("skipped: {missing} (install python3-scapy)");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let root = match std::env::var_os("GOLDEN_DIR") {
        Some(kept) => PathBuf::from(kept).join("golden"),
        None => scratch.path().join("golden"),
    };
    build(&root);
    let wanted = std::env::var("GOLDEN").unwrap_or_default();
    let cases: Vec<Case> = Case::all_in(&root).filter(|c| c.name.contains(&wanted)).collect();
    assert!(!cases.is_empty(), "no golden case is called {wanted:?}");
    body(&cases);
}

fn report(cases: &[Case], failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{} of {} golden runs failed\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n\n")
    );
    println!("{} golden runs", cases.len());
}

/// Why the cases cannot be built here, if they cannot.
fn scapy_missing() -> Option<String> {
    match Command::new(PYTHON).args(["-c", "import scapy.all"]).output() {
        Err(error) => Some(format!("{PYTHON}: {error}")),
        Ok(output) if !output.status.success() => Some(format!("{PYTHON} has no scapy")),
        Ok(_) => None,
    }
}

/// Writes all cases below `root`.
fn build(root: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/build.py");
    let output = Command::new(PYTHON).arg("-B").arg(script).arg(root).output().unwrap();
    assert!(
        output.status.success(),
        "building the golden cases failed\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs the cases on all CPUs and returns what was wrong, in their order.
fn run(cases: &[Case]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((index, case)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(index).map(|case| (index, case))
                } {
                    if let Err(problem) = case.run() {
                        failures.lock().unwrap().push((index, problem));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    failures.into_iter().map(|(_, problem)| problem).collect()
}
