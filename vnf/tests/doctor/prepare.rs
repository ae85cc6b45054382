//! `lwaftr prepare`: what it would do to machines made of files.

use std::process::Command;

use vnf::config;
use vnf::doctor::Machine;
use vnf::prepare::{Plan, Step};

use crate::tree::Tree;

const EXTERNAL: &str = "/sys/bus/pci/devices/0000:01:00.0";
const INTERNAL: &str = "/sys/bus/pci/devices/0000:02:00.0";

impl Tree {
    /// A machine fresh from the factory: the kernel has the cards and there are no hugepages. With
    /// a card for the management, at 0000:00:03.0.
    fn fresh() -> Self {
        let tree = Self::good();
        tree.write("/proc/meminfo", "MemTotal:       16384000 kB\n");
        tree.remove("/sys/bus/pci/drivers");
        tree.pages("/sys/kernel/mm/hugepages", 0, 0);
        for node in 0..2 {
            tree.pages(&format!("/sys/devices/system/node/node{node}/hugepages"), 0, 0);
        }
        for (number, address) in ["0000:00:03.0", "0000:01:00.0", "0000:02:00.0"].iter().enumerate()
        {
            let device = format!("/sys/bus/pci/devices/{address}");
            tree.bind(address, "virtio-pci");
            tree.write(&format!("{device}/class"), "0x020000\n");
            let mac = format!("52:54:00:00:00:0{number}\n");
            tree.write(&format!("{device}/virtio{number}/net/ens{number}/address"), &mac);
            let mut config = vec![0; 64];
            config[0x3d] = 1;
            std::fs::write(tree.root().join(&device[1..]).join("config"), config).unwrap();
        }
        tree.write(
            "/proc/net/route",
            "Iface\tDestination\tGateway\nens0\t00000000\t0100000A\t0003\nens0\t0000000A\t00000000\n",
        );
        tree
    }

    fn plan(&self) -> Result<Vec<Step>, Vec<String>> {
        let config = config::load(&self.config()).unwrap_or_else(|errors| panic!("{errors}"));
        Plan::new(Machine::at(self.root()), &config).map(|plan| plan.steps)
    }

    fn binds(&self) -> Vec<(String, &'static str)> {
        let steps = self.plan().unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let binds = steps.into_iter().filter_map(|step| match step {
            Step::Bind { address, driver, .. } => Some((address, driver)),
            _ => None,
        });
        binds.collect()
    }

    fn refusal(&self) -> String {
        self.plan().unwrap_err().join("\n")
    }

    fn without_iommu() -> Self {
        let tree = Self::fresh();
        tree.remove(&format!("{EXTERNAL}/iommu_group"));
        tree.remove(&format!("{INTERNAL}/iommu_group"));
        tree
    }
}

#[test]
fn a_machine_that_is_ready_is_left_alone() {
    let tree = Tree::good();
    for address in [EXTERNAL, INTERNAL] {
        tree.write(&format!("{address}/class"), "0x020000\n");
    }
    assert_eq!(tree.plan(), Ok(vec![]));
}

#[test]
fn with_an_iommu_cards_go_to_vfio() {
    let tree = Tree::fresh();
    let steps = tree.plan().unwrap();
    let Step::Remember(macs) = &steps[0] else { panic!("{steps:?}") };
    assert!(macs.contains("0000:02:00.0 52:54:00:00:00:02\n"), "{macs}");
    assert_eq!(steps[1], Step::Load("vfio-pci"));
    assert_eq!(
        tree.binds(),
        [("0000:01:00.0".to_owned(), "vfio-pci"), ("0000:02:00.0".to_owned(), "vfio-pci")]
    );
    // Both cards and the worker are at node 1: its memory is what counts.
    let Some(Step::Hugepages { directory, kilobytes: 2048, count }) = steps.last() else {
        panic!("{steps:?}")
    };
    assert!(directory.ends_with("node1/hugepages") && *count > 40, "{directory} {count}");
}

#[test]
fn without_an_iommu_cards_with_an_interrupt_line_go_to_uio() {
    let tree = Tree::without_iommu();
    tree.write("/run/systemd/system/x", "");
    let steps = tree.plan().unwrap();
    assert_eq!(steps[1..3], [Step::Load("uio_pci_generic"), Step::Allow]);
    assert_eq!(
        tree.binds(),
        [
            ("0000:01:00.0".to_owned(), "uio_pci_generic"),
            ("0000:02:00.0".to_owned(), "uio_pci_generic")
        ]
    );
}

#[test]
fn where_no_driver_can_it_says_why() {
    let tree = Tree::without_iommu();
    tree.write(&format!("{EXTERNAL}/config"), &"\0".repeat(64));
    let said = tree.refusal();
    assert!(said.starts_with("external port 0000:01:00.0: there is no IOMMU"), "{said}");
    assert!(said.contains("virtual function") && said.contains("igb_uio"), "{said}");
    tree.write("/sys/bus/pci/drivers/igb_uio/bind", "");
    assert_eq!(tree.binds()[0].1, "igb_uio");

    tree.write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    let said = tree.refusal();
    assert!(said.contains("Secure Boot"), "{said}");
    tree.write("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
    assert_eq!(tree.binds().len(), 2);
}

#[test]
fn a_card_that_somebody_gave_to_dpdk_stays_there() {
    let tree = Tree::without_iommu();
    tree.bind("0000:01:00.0", "igb_uio");
    tree.bind("0000:02:00.0", "mlx5_core");
    assert_eq!(tree.binds(), []);
}

#[test]
fn cards_by_place_and_mac() {
    let mut tree = Tree::fresh();
    tree.on_device("nic:1");
    assert_eq!(tree.binds()[0].0, "0000:01:00.0");
    let mut tree = Tree::fresh();
    tree.on_device("mac:52:54:00:00:00:01");
    assert_eq!(tree.binds()[0].0, "0000:01:00.0");
    let mut tree = Tree::fresh();
    tree.on_device("nic:7");
    let said = tree.refusal();
    assert!(said.contains("there is no nic:7 among nic:0 0000:00:03.0"), "{said}");
    let mut tree = Tree::fresh();
    tree.on_device("nic:2");
    assert!(tree.refusal().contains("named twice"), "{}", tree.refusal());
}

#[test]
fn the_last_way_into_the_machine_stays() {
    let mut tree = Tree::fresh();
    tree.on_device("nic:0");
    let said = tree.refusal();
    assert!(said.starts_with("0000:00:03.0 (ens0) has the only default route"), "{said}");
    // Another one is enough, one of IPv6 too.
    tree.write(
        "/proc/net/ipv6_route",
        &format!("{0} 00 {0} 00 fe80 00000400 1 0 3 eth9\n", "0".repeat(32)),
    );
    assert_eq!(tree.binds()[0].0, "0000:00:03.0");
    tree.write(
        "/proc/net/ipv6_route",
        &format!("{0} 00 {0} 00 fe80 ffffffff 1 0 200200 lo\n", "0".repeat(32)),
    );
    assert!(tree.plan().is_err());
}

#[test]
fn large_pages_where_they_are_worth_it() {
    let mut tree = Tree::fresh();
    tree.on_device("0000:01:00.0,unused=1");
    // Hundreds of MiB of fragments are no packet memory; many workers are.
    for node in ["node0", "node1"] {
        let directory = format!("/sys/devices/system/node/{node}/hugepages");
        tree.write(&format!("{directory}/hugepages-1048576kB/nr_hugepages"), "0");
    }
    let large = |tree: &Tree| {
        let steps = tree.plan().unwrap();
        steps.iter().any(|step| matches!(step, Step::Hugepages { kilobytes: 1_048_576, .. }))
    };
    assert!(!large(&tree), "113 MiB do not need 1 GiB");
    let cpus: Vec<String> = (0..24).map(|cpu| cpu.to_string()).collect();
    tree.replace("cpus = [2]", &format!("cpus = [{}]", cpus.join(", ")));
    tree.write("/proc/meminfo", "MemTotal:       65536000 kB\n");
    assert!(large(&tree));
    tree.write("/proc/meminfo", "MemTotal:       1000000 kB\n");
    assert!(tree.refusal().contains("more than half"), "{}", tree.refusal());
}

#[test]
fn the_command_tells_and_changes_nothing() {
    let tree = Tree::fresh();
    let output = Command::new(env!("CARGO_BIN_EXE_lwaftr"))
        .args(["prepare", "--dry-run", "--root"])
        .args([tree.root(), &tree.config()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("would hand 0000:01:00.0 to DPDK by vfio-pci: the IOMMU"), "{said}");
    assert!(said.contains("would reserve hugepages: "), "{said}");
}
