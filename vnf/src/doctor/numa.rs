//! Memory and workers belong on the node where the port is.

use super::machine::{Machine, listed};
use super::setup::Port;
use super::{Finding, Scene};

/// A NUMA node.
pub(super) struct Node {
    pub(super) number: i64,
    pub(super) cpus: Vec<usize>,
}

pub(super) fn nodes(machine: &Machine) -> Vec<Node> {
    let directory = "/sys/devices/system/node";
    machine
        .entries(directory)
        .iter()
        .filter_map(|name| {
            let number = name.strip_prefix("node")?.parse().ok()?;
            let cpus = machine.cpus(format!("{directory}/{name}/cpulist")).unwrap_or_default();
            Some(Node { number, cpus })
        })
        .collect()
}

/// The node of a port; virtual ports are nowhere, and some firmware does not tell.
fn of_port(machine: &Machine, port: &Port) -> Option<i64> {
    let path = match (port.pci(), port.interface()) {
        (Some(address), _) => format!("/sys/bus/pci/devices/{address}/numa_node"),
        (None, Some(interface)) => format!("/sys/class/net/{interface}/device/numa_node"),
        (None, None) => return None,
    };
    machine.number(path).filter(|&node| node >= 0)
}

fn of_cpu(nodes: &[Node], cpu: usize) -> Option<i64> {
    nodes.iter().find(|node| node.cpus.contains(&cpu)).map(|node| node.number)
}

/// The nodes where ports and workers are.
pub(super) fn used(scene: &Scene) -> Vec<i64> {
    let Scene { machine, setup } = scene;
    let nodes = nodes(machine);
    let ports = setup.ports.iter().filter_map(|port| of_port(machine, port));
    let workers = setup.workers.iter().filter_map(|&cpu| of_cpu(&nodes, cpu));
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
            .filter(|&cpu| of_cpu(&nodes, cpu).is_some_and(|node| node != number))
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
