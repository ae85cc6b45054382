//! `lwaftr doctor`: each check says no when what it looks at is wrong, yes when it is right, on
//! machines made of files; and it can be asked about the real one. `lwaftr prepare` plans for the same
//! machines.

mod prepare;
mod tree;

use std::collections::BTreeSet;
use std::process::{Command, Output};

use Verdict::{NotApplicable, Ok, Problem, Warning};
use serde_json::Value;
use tree::Tree;
use vnf::doctor::{CHECKS, Report, Verdict};

const STATS: &str = r#"{
    "interfaces": {
        "external": {"in-packets": 9, "port": {"rx-missed": 0, "rx-nombuf": 0}},
        "internal": {"in-packets": 9, "port": {"rx-missed": 0, "rx-nombuf": 0}}
    },
    "next-hops": {
        "external": [{"address": "192.0.2.1", "mac": "02:00:00:00:00:01", "answers": true}],
        "internal": [{"address": null, "mac": "02:00:00:00:00:02", "answers": true}]
    }
}"#;

#[test]
fn a_machine_that_is_as_it_should_be_is_found_so() {
    let tree = Tree::good();
    tree.runs(STATS);
    let report = tree.examine();
    assert_eq!(report.count(Problem) + report.count(Warning), 0, "{report}");
    for check in CHECKS.iter().filter(|check| {
        // These are about ports of the kernel.
        !["port-offloads", "port-kernel-stack"].contains(&check.name)
    }) {
        let found = report.findings.iter().any(|(name, finding)| {
            *name == check.name && finding.verdict == Ok && finding.advice.is_empty()
        });
        assert!(found, "{} has nothing to say: {report}", check.name);
    }

    let mut tree = Tree::good();
    tree.on_interfaces("net_af_xdp");
    let report = tree.examine();
    assert_eq!(report.count(Problem) + report.count(Warning), 0, "{report}");
    for check in ["port-offloads", "port-kernel-stack", "port-binding"] {
        assert!(report.findings.iter().any(|(name, found)| *name == check && found.verdict == Ok));
    }
}

/// What is done to the machine, the check that must notice, what it must say and advise.
type Case = (fn(&mut Tree), &'static str, Verdict, &'static str, &'static str);

const NODE: &str = "/sys/devices/system/node/node1/hugepages";
const CARD: &str = "/sys/bus/pci/devices/0000:01:00.0";
const CPU2: &str = "/sys/devices/system/cpu/cpu2";

const CASES: [Case; 34] = [
    (
        |tree| tree.write("/proc/cpuinfo", "model name: Old\nflags: avx cx16 lahf_lm popcnt\n"),
        "cpu-level",
        Problem,
        "Old: lacks ssse3, sse4_1, sse4_2, avx2",
        "Haswell",
    ),
    (
        |tree| tree.write("/proc/cpuinfo", "flags: hypervisor constant_tsc\n"),
        "clock",
        Warning,
        "not said to be invariant",
        "+invtsc",
    ),
    (
        |tree| {
            let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
            tree.write(clock, "hpet");
        },
        "clock",
        Problem,
        "`hpet`",
        "dmesg",
    ),
    (
        |tree| tree.pages("/sys/kernel/mm/hugepages", 20, 10),
        "hugepages",
        Problem,
        "20 of 2048 kB (10 free): 20 MiB free of the",
        "vm.nr_hugepages=",
    ),
    (
        |tree| {
            tree.on_interfaces("net_af_xdp");
            tree.pages("/sys/kernel/mm/hugepages", 0, 0);
        },
        "hugepages",
        Warning,
        "no hugepages: 0 MiB free; packet buffers",
        "vm.nr_hugepages=",
    ),
    (
        |tree| tree.pages(NODE, 0, 0),
        "hugepage-nodes",
        Warning,
        "node 1: no hugepages, yet ports",
        "node1/hugepages/hugepages-2048kB",
    ),
    (
        |tree| tree.write("/proc/self/mounts", "proc /proc proc rw 0 0\n"),
        "hugepage-mount",
        NotApplicable,
        "not mounted",
        "",
    ),
    (
        |tree| tree.remove("/sys/bus/pci/drivers"),
        "kernel-drivers",
        Problem,
        "none of vfio-pci",
        "modprobe vfio-pci",
    ),
    (
        |tree| tree.remove(&format!("{CARD}/iommu_group")),
        "iommu",
        Problem,
        "no IOMMU, without which",
        "iommu=pt",
    ),
    (
        |tree| {
            tree.remove(&format!("{CARD}/iommu_group"));
            tree.write("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
        },
        "iommu",
        Warning,
        "unsafe mode",
        "any memory",
    ),
    (
        |tree| {
            tree.write("/sys/kernel/iommu_groups/11/devices/0000:03:00.0/x", "");
            tree.bind("0000:03:00.0", "nvme");
        },
        "iommu",
        Problem,
        "shares IOMMU group 11 with 0000:03:00.0 (nvme)",
        "another slot",
    ),
    (
        |tree| tree.bind("0000:01:00.0", "ixgbe"),
        "port-binding",
        Problem,
        "external port 0000:01:00.0: the kernel's own driver ixgbe",
        "lwaftr prepare",
    ),
    (
        |tree| tree.remove(&format!("{CARD}/driver")),
        "port-binding",
        Problem,
        "bound to no driver",
        "lwaftr prepare",
    ),
    (|tree| tree.remove(CARD), "port-binding", Problem, "no such PCI device", "lspci"),
    (
        |tree| tree.on_device("net_virtio_user,path=/run/nobody.sock"),
        "port-binding",
        Problem,
        "there is no /run/nobody.sock",
        "the other end",
    ),
    (
        |tree| {
            tree.on_interfaces("net_af_xdp");
            tree.remove("/sys/class/net/ext0");
        },
        "port-binding",
        Problem,
        "no interface ext0",
        "ip link",
    ),
    (
        |tree| {
            tree.on_interfaces("net_af_xdp");
            tree.write("/sys/class/net/int0/operstate", "lowerlayerdown\n");
        },
        "port-binding",
        Problem,
        "int0 is lowerlayerdown",
        "ip link set int0 up",
    ),
    (
        |tree| {
            tree.on_interfaces("net_af_xdp");
            tree.write("/sys/class/net/int0/mtu", "1500\n");
        },
        "port-binding",
        Problem,
        "an MTU of 1500, the configuration says 1540",
        "mtu 1540",
    ),
    (
        |tree| tree.on_interfaces("net_af_packet"),
        "port-binding",
        Warning,
        "AF_PACKET has the kernel reassemble",
        "net_af_xdp,iface=ext0",
    ),
    (
        |tree| {
            tree.on_interfaces("net_af_xdp");
            let text = "tx-checksumming: on\ngeneric-receive-offload: on [fixed]\n";
            tree.write("/ethtool/ext0", text);
        },
        "port-offloads",
        Warning,
        "ext0 has tx-checksumming, generic-receive-offload",
        "ethtool -K ext0 tx off gro off",
    ),
    (
        |tree| {
            tree.on_interfaces("net_af_xdp");
            tree.write("/proc/sys/net/ipv6/conf/int0/disable_ipv6", "0");
        },
        "port-kernel-stack",
        Warning,
        "int0 will get an IPv6",
        "net.ipv6.conf.int0.disable_ipv6=1",
    ),
    (
        |tree| {
            tree.on_interfaces("net_af_xdp");
            tree.write("/proc/net/route", "Iface Destination\next0 000200C0\n");
        },
        "port-kernel-stack",
        Warning,
        "ext0 has routes",
        "ip addr flush dev ext0",
    ),
    (
        |tree| tree.write(&format!("{CARD}/numa_node"), "0"),
        "numa",
        Warning,
        "node 0, but workers on CPUs 2",
        "(0,1)",
    ),
    (
        |tree| tree.write("/sys/devices/system/cpu/online", "0-1,3"),
        "worker-cores",
        Problem,
        "CPU 2 is not to be had",
        "CPUs 0, 1, 2, 3",
    ),
    (
        |tree| {
            let status = "CapEff: 1ffffffffff\nCpus_allowed_list:\t2\n";
            tree.write("/proc/self/status", status);
        },
        "worker-cores",
        Warning,
        "none left",
        "one more CPU",
    ),
    (
        |tree| tree.write("/proc/cmdline", "quiet isolcpus=2 nohz_full=3"),
        "isolated-cores",
        Warning,
        "nohz_full, rcu_nocbs lack CPU 2",
        "`nohz_full=2 rcu_nocbs=2`",
    ),
    (
        |tree| tree.write(&format!("{CPU2}/topology/thread_siblings_list"), "2-3"),
        "smt-siblings",
        Warning,
        "shares its core with CPU 3",
        "cpu3/online",
    ),
    (
        |tree| tree.write(&format!("{CPU2}/cpufreq/scaling_governor"), "powersave\n"),
        "governor",
        Warning,
        "CPU 2: powersave",
        "cpupower -c 2",
    ),
    (
        |tree| tree.write("/proc/irq/24/effective_affinity_list", "2"),
        "interrupts",
        Warning,
        "1 interrupts of devices at CPU 2: 24 (eth0)",
        "echo 0,1,3 >",
    ),
    (
        |tree| tree.task(9, "0-3", "/usr/bin/stress"),
        "core-neighbours",
        Warning,
        "1 threads of other programs may run on CPU 2, the busiest: a stress",
        "isolated-cores",
    ),
    (
        |tree| tree.runs(&STATS.replacen("\"answers\": true", "\"answers\": false", 1)),
        "next-hops",
        Problem,
        "external: next hop 192.0.2.1, 02:00:00:00:00:01 does not answer",
        "check the cable",
    ),
    (
        |tree| tree.runs(&STATS.replacen("\"rx-missed\": 0", "\"rx-missed\": 5", 1)),
        "queue-sizes",
        Warning,
        "external: the port lost 5 frames in a full ring",
        "core-neighbours",
    ),
    (
        |tree| {
            let status = "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-3\n";
            tree.write("/proc/self/status", status);
        },
        "privileges",
        Problem,
        "CAP_SYS_RAWIO missing",
        "AmbientCapabilities=CAP_SYS_RAWIO",
    ),
    (
        |tree| {
            let status = "CapEff:\t0000000000021000\nCpus_allowed_list:\t0-3\n";
            tree.write("/proc/self/status", status);
            let limits = "Max open files 100 200 files\nMax locked memory 8388608 8388608 bytes\n";
            tree.write("/proc/self/limits", limits);
        },
        "privileges",
        Problem,
        "8 MiB may be locked",
        "LimitMEMLOCK=infinity",
    ),
];

#[test]
fn every_check_notices_what_is_wrong_and_says_what_to_do() {
    for (harm, check, verdict, seen, advice) in CASES {
        let mut tree = Tree::good();
        harm(&mut tree);
        let report = tree.examine();
        let found = report.findings.iter().any(|(name, finding)| {
            *name == check
                && finding.verdict == verdict
                && finding.seen.contains(seen)
                && finding.advice.contains(advice)
        });
        assert!(found, "{check}: {verdict:?}, {seen}, {advice}: {report}");
    }
    let tried: BTreeSet<&str> = CASES.iter().map(|case| case.1).collect();
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(tried, all, "a check without a case in which it has something to say");
}

#[test]
fn a_next_hop_that_another_stands_in_for_is_a_warning() {
    let tree = Tree::good();
    let second = r#""external": [{"address": "192.0.2.9", "mac": null, "answers": false}, "#;
    tree.runs(&STATS.replacen("\"external\": [", second, 1));
    let report = tree.examine();
    assert!(
        report.findings.iter().any(|(_, finding)| finding.verdict == Warning
            && finding.seen == "external: next hop 192.0.2.9 does not answer"),
        "{report}"
    );
    assert_eq!(report.count(Problem), 0, "{report}");
}

fn doctor(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lwaftr"));
    command.arg("doctor").args(arguments).output().unwrap()
}

#[test]
fn the_exit_code_tells_of_problems_only() {
    let tree = Tree::good();
    let (root, config) = (tree.root().to_owned(), tree.config());
    let arguments = ["--root", root.to_str().unwrap(), config.to_str().unwrap()];
    let output = doctor(&arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("0 problems, 0 warnings"), "{text}");

    tree.write("/proc/cmdline", "quiet");
    assert_eq!(doctor(&arguments).status.code(), Some(0), "a warning is no problem");
    tree.remove("/sys/bus/pci/drivers");
    let output = doctor(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 problem, 1 warning\n"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 problem: see above"));

    std::fs::write(&config, "[external]\n").unwrap();
    let output = doctor(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("external.port"), "{output:?}");
}

/// Whatever this machine is like, each check comes to a verdict, in JSON as in the text.
#[test]
fn the_real_machine_can_be_asked() {
    let output = doctor(&["--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = json["findings"].as_array().unwrap();
    for check in &CHECKS {
        assert!(findings.iter().any(|finding| finding["check"] == check.name), "{}", check.name);
    }
    let mut problems = 0;
    for finding in findings {
        let verdict = finding["verdict"].as_str().unwrap();
        assert!(["ok", "warning", "problem", "not-applicable"].contains(&verdict), "{finding}");
        assert!(!finding["seen"].as_str().unwrap().is_empty(), "{finding}");
        let advised = finding["advice"].is_string();
        assert_eq!(advised, ["warning", "problem"].contains(&verdict), "{finding}");
        problems += u64::from(verdict == "problem");
    }
    assert_eq!(json["problems"].as_u64(), Some(problems));
    assert_eq!(output.status.code(), Some(i32::from(problems > 0)));
    // The program runs, so the CPU is one that it runs on.
    assert!(findings.iter().any(|one| one["check"] == "cpu-level" && one["verdict"] == "ok"));
    // This test is a program too, and pinned to no CPU; nor is it called lwaftr.
    let neighbours = findings.iter().find(|one| one["check"] == "core-neighbours").unwrap();
    assert_eq!(neighbours["verdict"], "warning", "{neighbours}");
}

/// docs/performance.md, "Host tuning", explains the checks, all and only these, in their order.
#[test]
fn the_checklist_is_what_the_doctor_checks() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("\n## Host tuning\n").nth(1).expect("a section `Host tuning`");
    let section = section.split("\n## ").next().unwrap_or_default();
    let listed: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("- **`")?.split('`').next()).collect();
    assert_eq!(listed, CHECKS.map(|check| check.name));
    // A report that says nothing would agree with anything.
    assert_eq!(Report::default().to_string(), "\n0 problems, 0 warnings\n");
}
