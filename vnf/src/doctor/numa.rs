//! Memory and workers belong on the node where the port is.

use super::machine::{Machine, listed};
use super::setup::Port;
use super::{Finding, Scene};
use crate::memory::numa::{self, NODES, Node, node_of};

/// The machine's nodes.
pub(crate) fn nodes(machine: &Machine) -> Vec<Node> {
    numa::nodes(&machine.path(NODES))
}

/// The node of a port; virtual ports are nowhere, and some firmware does not tell.
fn of_port(machine: &Machine, port: &Port) -> Option<u32> {
    let path = match (port.pci(), port.interface()) {
        (Some(address), _) => format!("/sys/bus/pci/devices/{address}/numa_node"),
        (None, Some(interface)) => format!("/sys/class/net/{interface}/device/numa_node"),
        (None, None) => return None,
    };
    u32::try_from(machine.number(path)?).ok()
}

/// The nodes where ports and workers are.
pub(crate) fn used(scene: &Scene) -> Vec<u32> {
    let Scene { machine, setup } = scene;
    let nodes = nodes(machine);
    let ports = setup.ports.iter().filter_map(|port| of_port(machine, port));
    let workers = setup.workers.iter().filter_map(|&cpu| node_of(&nodes, cpu));
    ports.chain(workers).collect()
}

/// Is everything on one node?
pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let nodes = nodes(machine);
    if nodes.len() < 2 {
        return vec![Finding::not_applicable("one NUMA node")];
    }
    let mut findings = Vec::new();
    for port in &setup.ports {
        let Some(number) = of_port(machine, port) else { continue };
        let far: Vec<usize> = (setup.workers.iter().copied())
            .filter(|&cpu| node_of(&nodes, cpu).is_some_and(|node| node != number))
            .collect();
        if far.is_empty() {
            findings.push(Finding::ok(format!("{}: node {number}, as the workers", port.name)));
            continue;
        }
        let near = nodes.iter().find(|node| node.number == number);
        findings.push(Finding::warning(
            format!("{}: node {number}, but workers on CPUs {}", port.name, listed(&far)),
            format!(
                "choose workers.cpus among those of the port's node ({}), or move the card: each \
                 packet crosses the link between the sockets",
                listed(near.map_or(&[], |node| &node.cpus))
            ),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::not_applicable(setup.no_port("is at a known NUMA node")));
    }
    findings
}
