//! Are the ports there, and what do they do of a packet's work?

use serde_json::Value;

use super::setup::Port;
use super::{Finding, Scene, kernel_ports};
use crate::frame::device::{Target, USER_DRIVERS};
use crate::side::Side;

/// Is every port there, and free for DPDK?
pub(super) fn binding(scene: &Scene) -> Vec<Finding> {
    let Scene { setup, .. } = scene;
    if setup.ports.is_empty() {
        return vec![Finding::not_applicable(setup.no_port("is there"))];
    }
    setup.ports.iter().map(|port| bound(scene, port)).collect()
}

fn bound(scene: &Scene, port: &Port) -> Finding {
    let (machine, name) = (&scene.machine, &port.name);
    if let Target::Nic(nic) = port.argument.target {
        let wrong = nic.find(&machine.path("/")).err().unwrap_or_default();
        return Finding::problem(format!("{name}: {wrong}"), "name one of these, if there are any");
    }
    if let Some(address) = port.pci() {
        let device = format!("/sys/bus/pci/devices/{address}");
        if !machine.exists(&device) {
            return Finding::problem(
                format!("{name}: there is no such PCI device"),
                "`lspci -D` lists those there are",
            );
        }
        let bind = "`lwaftr prepare CONFIG` hands it to DPDK";
        return match machine.link(format!("{device}/driver")) {
            Some(driver) if USER_DRIVERS.contains(&&*driver) => {
                Finding::ok(format!("{name}: bound to {driver}"))
            }
            Some(driver) => {
                Finding::problem(format!("{name}: the kernel's own driver {driver} has it"), bind)
            }
            None => Finding::problem(format!("{name}: bound to no driver"), bind),
        };
    }
    if let Some(interface) = port.interface() {
        return kernel_ports::there(scene, port, interface);
    }
    let Some(path) = port.argument.option("path") else {
        return Finding::ok(format!("{name}: needs nothing to be there before"));
    };
    if machine.exists(path) {
        Finding::ok(format!("{name}: {path} is there"))
    } else {
        Finding::problem(
            format!("{name}: there is no {path}"),
            "start the other end (the switch or the virtual machine) first, or correct the path",
        )
    }
}

/// What the ports of the running instance do by themselves; of a port that the kernel has a part
/// in, what the kernel does that the relay must not see.
pub(super) fn offloads(scene: &Scene) -> Vec<Finding> {
    let Scene { setup, .. } = scene;
    let mut findings: Vec<Finding> =
        setup.ports.iter().filter_map(|port| kernel_ports::offloads(scene, port)).collect();
    if let Ok(stats) = &setup.stats {
        for side in Side::BOTH {
            let granted = &stats["interfaces"][side.name()]["port"]["offloads"];
            let Some(granted) = granted.as_array() else { continue };
            let names: Vec<&str> = granted.iter().filter_map(Value::as_str).collect();
            findings.push(Finding::ok(match &names[..] {
                [] => format!("{side}: the port does nothing by itself; the relay does it all"),
                names => format!("{side}: the port does {}", names.join(", ")),
            }));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::not_applicable(if setup.configured {
            "what a port can do is known once an instance runs".to_owned()
        } else {
            setup.no_port("is there")
        }));
    }
    findings
}
