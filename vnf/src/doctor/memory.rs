//! Hugepages: packet buffers on ordinary pages cost a TLB miss each, and some ports cannot use
//! them at all.

use super::machine::Machine;
use super::{Finding, Scene};

const ALL: &str = "/sys/kernel/mm/hugepages";

/// Hugepages of one size.
struct Pages {
    kilobytes: u64,
    total: u64,
    free: u64,
}

impl Pages {
    fn megabytes(pages: &[Self], count: impl Fn(&Self) -> u64) -> u64 {
        pages.iter().map(|size| count(size) * size.kilobytes / 1024).sum()
    }

    fn text(pages: &[Self]) -> String {
        let there: Vec<String> = pages
            .iter()
            .filter(|size| size.total > 0)
            .map(|size| format!("{} of {} kB ({} free)", size.total, size.kilobytes, size.free))
            .collect();
        if there.is_empty() { "no hugepages".to_owned() } else { there.join(", ") }
    }
}

fn pages(machine: &Machine, directory: &str) -> Vec<Pages> {
    let number = |size: &str, file: &str| {
        machine.number(format!("{directory}/{size}/{file}")).and_then(|n| u64::try_from(n).ok())
    };
    let sizes = machine.entries(directory);
    let mut pages: Vec<Pages> = sizes
        .iter()
        .filter_map(|size| {
            Some(Pages {
                kilobytes: size.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?,
                total: number(size, "nr_hugepages")?,
                free: number(size, "free_hugepages")?,
            })
        })
        .collect();
    pages.sort_by_key(|size| size.kilobytes);
    pages
}

/// Are there enough of them?
pub(super) fn hugepages(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let pages = pages(machine, ALL);
    let free = Pages::megabytes(&pages, |size| size.free);
    let total = Pages::megabytes(&pages, |size| size.total);
    let seen = Pages::text(&pages);
    let needed = setup.megabytes;
    if setup.stats.is_ok() && total >= needed {
        return vec![Finding::ok(format!("{seen}; an instance runs and has its share"))];
    }
    if total > 0 && free >= needed {
        let need = if setup.configured {
            format!("; the configuration needs {needed} MiB")
        } else {
            String::new()
        };
        return vec![Finding::ok(format!("{seen}: {free} MiB free{need}"))];
    }
    // What runs without a configuration is known to need some.
    let count = needed.max(128).div_ceil(2);
    let advice = format!(
        "sysctl -w vm.nr_hugepages={count} (or hugepages={count} on the kernel's command line, \
         which finds the memory in one piece)"
    );
    let insists = setup
        .ports
        .iter()
        .find(|port| port.is_card() || port.argument.driver() == Some("net_virtio_user"));
    match insists {
        Some(port) => vec![Finding::problem(
            format!("{seen}: {free} MiB free of the {needed} MiB that {} needs", port.name),
            advice,
        )],
        None => vec![Finding::warning(
            format!("{seen}: {free} MiB free; packet buffers will be on ordinary pages"),
            advice,
        )],
    }
}

/// Are they on the nodes where the workers and ports are?
pub(super) fn nodes(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let nodes = super::numa::nodes(machine);
    if nodes.len() < 2 {
        return vec![Finding::not_applicable("one NUMA node")];
    }
    let wanted = super::numa::used(scene);
    nodes
        .iter()
        .filter(|node| wanted.contains(&node.number))
        .map(|node| {
            let directory = format!("/sys/devices/system/node/node{}/hugepages", node.number);
            let pages = pages(machine, &directory);
            let free = Pages::megabytes(&pages, |size| size.free);
            let (number, seen) = (node.number, Pages::text(&pages));
            if free >= setup.megabytes.max(1) || setup.stats.is_ok() {
                return Finding::ok(format!("node {number}: {seen}"));
            }
            Finding::warning(
                format!("node {number}: {seen}, yet ports or workers are there"),
                format!(
                    "echo {} > {directory}/hugepages-2048kB/nr_hugepages",
                    setup.megabytes.max(128).div_ceil(2)
                ),
            )
        })
        .collect()
}

/// Other DPDK programs look for them at a mount; lwaftr itself needs none.
pub(super) fn mount(scene: &Scene) -> Vec<Finding> {
    let mounts = scene.machine.read("/proc/self/mounts").unwrap_or_default();
    let place = mounts.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let place = words.next()?;
        (words.next()? == "hugetlbfs").then_some(place)
    });
    vec![match place {
        Some(place) => Finding::ok(format!("hugetlbfs is mounted at {place}")),
        None => Finding::not_applicable(
            "hugetlbfs is not mounted: lwaftr needs no mount, testpmd and other DPDK programs do \
             (mount -t hugetlbfs nodev /dev/hugepages)",
        ),
    }]
}
