//! Memory and workers on the NUMA node of the ports: the table and all that is loaded later are
//! moved there, the packet pools were made there, and what is elsewhere is said.

use std::path::Path;

use crate::memory::numa::{self, NODES, Node, node_of};

/// Settles at the node of the first port that has one. `ports` are all, with their nodes.
pub(super) fn settle(ports: &[(String, Option<u32>)], workers: &[usize]) {
    let nodes = numa::nodes(Path::new(NODES));
    let Some(home) = home(ports).filter(|_| nodes.len() > 1) else { return };
    match numa::settle(home) {
        Ok(()) => tracing::info!("memory at NUMA node {home}, as the ports"),
        Err(error) => tracing::warn!("memory stays where it is, not at NUMA node {home}: {error}"),
    }
    for warning in far(ports, workers, home, &nodes) {
        tracing::warn!("{warning}");
    }
}

/// Where everything belongs.
fn home(ports: &[(String, Option<u32>)]) -> Option<u32> {
    ports.iter().find_map(|(_, node)| *node)
}

/// What is elsewhere.
fn far(
    ports: &[(String, Option<u32>)],
    workers: &[usize],
    home: u32,
    nodes: &[Node],
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, node) in ports {
        if let Some(node) = node.filter(|node| *node != home) {
            warnings.push(format!(
                "{name} is at NUMA node {node}, packet buffers and the table at node {home}: put \
                 both cards at one node"
            ));
        }
    }
    for &cpu in workers {
        if let Some(node) = node_of(nodes, cpu).filter(|node| *node != home) {
            let near = nodes.iter().find(|node| node.number == home);
            warnings.push(format!(
                "workers.cpus: CPU {cpu} is at NUMA node {node}, the ports at node {home}: choose \
                 among its CPUs {:?}",
                near.map_or(&[][..], |node| &node.cpus)
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_elsewhere_is_said() {
        let nodes = [Node { number: 0, cpus: vec![0, 1] }, Node { number: 1, cpus: vec![2, 3] }];
        let port = |name: &str, node| (name.to_owned(), node);
        let ports = [port("a", None), port("b", Some(1)), port("c", Some(0)), port("d", Some(1))];
        assert_eq!(home(&ports), Some(1));
        assert_eq!(home(&ports[..1]), None);
        let warnings = far(&ports, &[3, 1], 1, &nodes);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("c is at NUMA node 0"), "{warnings:?}");
        assert!(warnings[1].contains("CPU 1 is at NUMA node 0") && warnings[1].ends_with("[2, 3]"));
        assert!(far(&ports[..2], &[2, 3], 1, &nodes).is_empty());
    }
}
