//! NUMA nodes: which CPU is at which, and where this process's memory shall be.

use std::fs;
use std::io;
use std::path::Path;

/// Where the kernel tells of them.
pub const NODES: &str = "/sys/devices/system/node";

/// A NUMA node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub number: u32,
    /// The CPUs at it.
    pub cpus: Vec<usize>,
}

/// The nodes that a directory like [`NODES`] tells of, in order.
#[must_use]
pub fn nodes(directory: &Path) -> Vec<Node> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut nodes: Vec<Node> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
            let cpus = fs::read_to_string(entry.path().join("cpulist")).unwrap_or_default();
            Some(Node { number, cpus: cpu_list(&cpus) })
        })
        .collect();
    nodes.sort_by_key(|node| node.number);
    nodes
}

/// The node that a CPU is at.
#[must_use]
pub fn node_of(nodes: &[Node], cpu: usize) -> Option<u32> {
    nodes.iter().find(|node| node.cpus.contains(&cpu)).map(|node| node.number)
}

/// `0-2,5` as numbers. What is no CPU (`nohz_full=` takes words, too) is passed over.
#[must_use]
pub fn cpu_list(text: &str) -> Vec<usize> {
    text.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        })
        .flatten()
        .collect()
}

/// Moves what this process has in memory to this node, and takes new memory there as long as it
/// has any; so do threads that this one starts later.
///
/// # Errors
///
/// When the kernel refuses, or knows of no nodes.
pub fn settle(node: u32) -> io::Result<()> {
    let mask = NodeMask::of(node);
    let all = NodeMask::all();
    // SAFETY: the masks are as long as they are said to be, and live through the calls, which
    // only read them. Pages that move keep their addresses.
    unsafe {
        let done = libc::syscall(
            libc::SYS_set_mempolicy,
            libc::MPOL_PREFERRED,
            mask.0.as_ptr(),
            NodeMask::BITS,
        );
        check(done)?;
        // 0 is this process.
        let done = libc::syscall(
            libc::SYS_migrate_pages,
            0,
            NodeMask::BITS,
            all.0.as_ptr(),
            mask.0.as_ptr(),
        );
        // So many pages could not be moved: shared ones, for example.
        check(done.min(0))
    }
}

fn check(returned: libc::c_long) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A set of nodes as the kernel wants it.
struct NodeMask([libc::c_ulong; 16]);

impl NodeMask {
    const BITS: libc::c_ulong = 1024;

    fn of(node: u32) -> Self {
        let mut mask = [0; 16];
        let bits = libc::c_ulong::BITS;
        if let Some(word) = mask.get_mut((node / bits) as usize) {
            *word = 1 << (node % bits);
        }
        Self(mask)
    }

    /// Those that are there; the kernel refuses others.
    fn all() -> Self {
        let mut mask = Self([0; 16]);
        for node in nodes(Path::new(NODES)) {
            for (word, one) in mask.0.iter_mut().zip(Self::of(node.number).0) {
                *word |= one;
            }
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpu_list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(cpu_list("managed_irq,domain,2-3"), [2, 3]);
        assert_eq!(cpu_list(""), [0; 0]);
        assert_eq!(cpu_list("(null)"), [0; 0]);
    }

    #[test]
    fn nodes_and_their_cpus() {
        let directory = tempfile::tempdir().unwrap();
        for (node, cpus) in [("node10", "4-5\n"), ("node2", "0,7\n"), ("power", "")] {
            fs::create_dir(directory.path().join(node)).unwrap();
            fs::write(directory.path().join(node).join("cpulist"), cpus).unwrap();
        }
        let nodes = nodes(directory.path());
        assert_eq!(nodes.iter().map(|node| node.number).collect::<Vec<_>>(), [2, 10]);
        assert_eq!(
            (node_of(&nodes, 7), node_of(&nodes, 5), node_of(&nodes, 1)),
            (Some(2), Some(10), None)
        );
        assert!(super::nodes(Path::new("/nowhere")).is_empty());
    }

    /// On a thread of its own, as it is about what the thread takes from then on.
    #[test]
    fn this_machine_settles_at_a_node_that_it_has() {
        let Some(first) = nodes(Path::new(NODES)).first().map(|node| node.number) else { return };
        let settled = std::thread::spawn(move || {
            let settled = settle(first);
            let mut mode: libc::c_int = -1;
            let mut mask = NodeMask([0; 16]);
            // SAFETY: a number and a mask of the length given to fill; no address is asked about.
            let done = unsafe {
                libc::syscall(
                    libc::SYS_get_mempolicy,
                    &raw mut mode,
                    mask.0.as_mut_ptr(),
                    NodeMask::BITS,
                    0,
                    0,
                )
            };
            (settled.map_err(|error| error.raw_os_error()), done, mode, mask.0)
        });
        let (settled, done, mode, mask) = settled.join().unwrap();
        if settled == Err(Some(libc::ENOSYS)) || settled == Err(Some(libc::EPERM)) {
            // A kernel without NUMA, or a container that forbids it.
            return;
        }
        assert_eq!((settled, done, mode), (Ok(()), 0, libc::MPOL_PREFERRED));
        assert_eq!(mask, NodeMask::of(first).0);
        assert!(settle(1000).is_err(), "there is no such node");
    }
}
