//! How many hugepages, of which size, and on which NUMA node.

use super::Step;
use crate::doctor::{Machine, Port, Scene, numa};

const ALL: &str = "/sys/kernel/mm/hugepages";
const SMALL: u64 = 2 << 10;
const LARGE: u64 = 1 << 20;

/// Less than that of a page of 1 GiB would be used: not worth it.
const WORTHWHILE_MEGABYTES: u64 = 512;

/// Pages of 1 GiB may take one part in so many of a machine's memory.
const SHARE: u64 = 4;

/// Pages that are missing: all that the configuration needs, on every node that it uses.
pub(super) fn steps(scene: &Scene) -> Result<Vec<Step>, String> {
    let needed = scene.setup.megabytes;
    if !scene.setup.ports.iter().any(Port::is_card) {
        // Others work on ordinary pages, and `lwaftr doctor` says so.
        return Ok(Vec::new());
    }
    let machine = &scene.machine;
    let directories = directories(scene);
    let memory = memory_megabytes(machine);
    let want = needed * directories.len() as u64;
    if memory > 0 && want * 2 > memory {
        return Err(format!(
            "packet memory needs {want} MiB of hugepages, more than half of this machine's {memory} \
             MiB: give it more memory, or the relay fewer workers"
        ));
    }
    Ok(directories
        .into_iter()
        .filter_map(|place| missing(machine, place, needed, memory))
        .collect())
}

fn missing(machine: &Machine, directory: String, needed: u64, memory: u64) -> Option<Step> {
    let count = |kilobytes: u64| {
        let file = format!("{directory}/hugepages-{kilobytes}kB/nr_hugepages");
        machine.number(file).and_then(|number| u64::try_from(number).ok())
    };
    let there = |kilobytes: u64| count(kilobytes).unwrap_or_default() * kilobytes / 1024;
    if there(SMALL) + there(LARGE) >= needed {
        return None;
    }
    let gigabytes = needed.div_ceil(1024);
    let large = count(LARGE).is_some()
        && needed >= WORTHWHILE_MEGABYTES
        && gigabytes * 1024 * SHARE <= memory;
    let (kilobytes, count) =
        if large { (LARGE, gigabytes) } else { (SMALL, needed.div_ceil(SMALL / 1024)) };
    Some(Step::Hugepages { directory, kilobytes, count })
}

/// Where pages are counted: the nodes that are used, if there are several.
fn directories(scene: &Scene) -> Vec<String> {
    let mut used = numa::used(scene);
    used.sort_unstable();
    used.dedup();
    if used.is_empty() || numa::nodes(&scene.machine).len() < 2 {
        return vec![ALL.to_owned()];
    }
    let of_node = |node: &u32| format!("/sys/devices/system/node/node{node}/hugepages");
    used.iter().map(of_node).collect()
}

fn memory_megabytes(machine: &Machine) -> u64 {
    let total = machine.field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kilobytes = total.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}
