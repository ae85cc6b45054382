//! What PCI ports need of the kernel.

use super::{Finding, Scene};
use crate::frame::device::USER_DRIVERS;

/// Is there a kernel driver that hands devices to programs?
pub(super) fn drivers(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    if setup.pci_ports().next().is_none() {
        return vec![Finding::not_applicable(setup.no_port("is a PCI device"))];
    }
    let loaded: Vec<&str> = USER_DRIVERS
        .into_iter()
        .filter(|driver| machine.exists(format!("/sys/bus/pci/drivers/{driver}")))
        .collect();
    if loaded.is_empty() {
        return vec![Finding::problem(
            format!("none of {} is loaded", USER_DRIVERS.join(", ")),
            "modprobe vfio-pci (echo vfio-pci > /etc/modules-load.d/vfio.conf keeps it)",
        )];
    }
    vec![Finding::ok(format!("loaded: {}", loaded.join(", ")))]
}

/// vfio lets a device reach only the memory it is given, for which it needs the IOMMU.
pub(super) fn iommu(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let mut findings = Vec::new();
    for (port, address) in setup.pci_ports() {
        let device = format!("/sys/bus/pci/devices/{address}");
        if machine.link(format!("{device}/driver")).as_deref() != Some("vfio-pci") {
            continue;
        }
        let name = &port.name;
        let Some(group) = machine.link(format!("{device}/iommu_group")) else {
            let unsafe_mode = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
            findings.push(if machine.read(unsafe_mode).as_deref() == Some("Y") {
                Finding::warning(
                    format!("{name}: no IOMMU; vfio runs in its unsafe mode"),
                    "a device can write to any memory: switch the IOMMU on (below) if there is one",
                )
            } else {
                Finding::problem(
                    format!("{name}: no IOMMU, without which vfio-pci does not work"),
                    "switch VT-d or AMD-Vi on in the firmware, and boot with `intel_iommu=on \
                     iommu=pt` (AMD: `iommu=pt`); in a virtual machine without one, bind the \
                     device to uio_pci_generic",
                )
            });
            continue;
        };
        let members = machine.entries(format!("/sys/kernel/iommu_groups/{group}/devices"));
        let foreign: Vec<String> = members
            .into_iter()
            .filter_map(|member| {
                let driver = machine.link(format!("/sys/bus/pci/devices/{member}/driver"))?;
                // Bridges may stay with their driver.
                let fine = ["vfio-pci", "pcieport", "pci-stub"].contains(&&*driver);
                (!fine).then(|| format!("{member} ({driver})"))
            })
            .collect();
        findings.push(if foreign.is_empty() {
            Finding::ok(format!("{name}: IOMMU group {group}"))
        } else {
            Finding::problem(
                format!("{name}: shares IOMMU group {group} with {}", foreign.join(", ")),
                "bind these to vfio-pci as well, or put the card into another slot: a group goes to \
                 a program as a whole",
            )
        });
    }
    if findings.is_empty() {
        findings.push(Finding::not_applicable(setup.no_port("is bound to vfio-pci")));
    }
    findings
}
