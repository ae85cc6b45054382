//! Who else uses the workers' CPUs: interrupts, and other programs.

use std::cmp::Reverse;

use super::machine::{listed, named};
use super::{Finding, Scene};
use crate::memory::numa::cpu_list;

/// So many are named, those with the most time or interrupts.
const NAMED: usize = 4;

/// A program that may run on a worker's CPU.
struct Task {
    name: String,
    /// Clock ticks it has run for.
    ticks: u64,
}

/// Are interrupts of devices served there?
pub(super) fn interrupts(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let table = machine.read("/proc/interrupts").unwrap_or_default();
    let mut served: Vec<(u64, String)> = table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let (number, rest) = line.split_once(':')?;
            // The named ones are the kernel's own, on every CPU.
            let number: u32 = number.trim().parse().ok()?;
            let affinity = |file: &str| machine.cpus(format!("/proc/irq/{number}/{file}"));
            let cpus = affinity("effective_affinity_list")
                .filter(|cpus| !cpus.is_empty())
                .or_else(|| affinity("smp_affinity_list"))?;
            let words = rest.split_whitespace();
            let count: u64 = words.clone().map_while(|word| word.parse::<u64>().ok()).sum();
            let name = words.last().unwrap_or_default();
            let here = count > 0 && setup.workers.iter().any(|worker| cpus.contains(worker));
            here.then(|| (count, format!("{number} ({name})")))
        })
        .collect();
    if served.is_empty() {
        return vec![Finding::ok(format!("none at {}", named(&setup.workers)))];
    }
    served.sort_by(|one, other| other.cmp(one));
    let names = first(served.iter().map(|(_, name)| name.as_str()), served.len());
    let online = machine.cpus("/sys/devices/system/cpu/online").unwrap_or_default();
    let others: Vec<usize> =
        online.into_iter().filter(|cpu| !setup.workers.contains(cpu)).collect();
    vec![Finding::warning(
        format!("{} interrupts of devices at {}: {names}", served.len(), named(&setup.workers)),
        format!(
            "echo {} > /proc/irq/NUMBER/smp_affinity_list, and stop irqbalance or set \
             IRQBALANCE_BANNED_CPULIST={}",
            listed(&others),
            listed(&setup.workers)
        ),
    )]
}

/// May other programs run there?
pub(super) fn tasks(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let mut tasks = Vec::new();
    for process in machine.entries("/proc") {
        if !process.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for thread in machine.entries(format!("/proc/{process}/task")) {
            tasks.extend(task(scene, &format!("/proc/{process}/task/{thread}")));
        }
    }
    if tasks.is_empty() {
        return vec![Finding::ok(format!("no other program may run on {}", named(&setup.workers)))];
    }
    tasks.sort_by_key(|task| Reverse(task.ticks));
    let mut names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    vec![Finding::warning(
        format!(
            "{} threads of other programs may run on {}, the busiest: {}",
            tasks.len(),
            named(&setup.workers),
            first(names.iter().copied(), names.len())
        ),
        "isolate the CPUs (isolated-cores), or set CPUAffinity= in /etc/systemd/system.conf to \
         the others",
    )]
}

/// A thread that may run on a worker's CPU, and is neither the kernel's nor ours.
fn task(scene: &Scene, directory: &str) -> Option<Task> {
    let Scene { machine, setup } = scene;
    let status = format!("{directory}/status");
    let cpus = cpu_list(&machine.field(&status, "Cpus_allowed_list")?);
    let parent = machine.field(&status, "PPid")?;
    let stat = machine.read(format!("{directory}/stat"))?;
    // The name is in brackets, and may have any character.
    let (before, after) = stat.rsplit_once(')')?;
    let (number, name) = before.split_once('(')?;
    let kernel = parent == "2" || number.trim() == "2";
    // Our threads have names of their own; their process's is the same program.
    let ours = machine.link(format!("{directory}/exe")).is_some_and(|exe| exe.contains("lwaftr"));
    if kernel || ours || !setup.workers.iter().any(|worker| cpus.contains(worker)) {
        return None;
    }
    let mut fields = after.split_whitespace().skip(11).map_while(|word| word.parse::<u64>().ok());
    let ticks = fields.next()? + fields.next()?;
    Some(Task { name: name.to_owned(), ticks })
}

fn first<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let mut text = names.take(NAMED).collect::<Vec<_>>().join(", ");
    if count > NAMED {
        text += &format!(" and {} more", count - NAMED);
    }
    text
}
