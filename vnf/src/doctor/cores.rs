//! The CPUs that workers have to themselves.

use super::machine::{Machine, listed, named};
use super::{Finding, Scene};

const CPUS: &str = "/sys/devices/system/cpu";

/// Are they there, and is one left for everything else?
pub(super) fn workers(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let allowed = machine.usable_cpus();
    let online = machine.cpus(format!("{CPUS}/online")).unwrap_or_default();
    let here = |cpu: &usize| allowed.contains(cpu) && online.contains(cpu);
    let absent: Vec<usize> = setup.workers.iter().copied().filter(|cpu| !here(cpu)).collect();
    if !absent.is_empty() {
        return vec![Finding::problem(
            format!("workers.cpus: {} is not to be had", named(&absent)),
            format!("this process may use {}: choose among them", named(&allowed)),
        )];
    }
    let left: Vec<usize> =
        allowed.iter().copied().filter(|cpu| !setup.workers.contains(cpu)).collect();
    if left.is_empty() {
        return vec![Finding::warning(
            format!("workers on {}, none left for anything else", named(&setup.workers)),
            "give the machine one more CPU, or have one worker less: packets wait while the \
             control plane and the kernel work",
        )];
    }
    vec![Finding::ok(format!("workers on {}, the rest on {}", named(&setup.workers), named(&left)))]
}

/// Does the kernel keep its own work off them?
pub(super) fn isolation(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let from_file_or_option = |file: &str, option: &str| {
        let of_file = machine.cpus(format!("{CPUS}/{file}")).filter(|cpus| !cpus.is_empty());
        of_file.unwrap_or_else(|| machine.cpus_of_option(option))
    };
    let settings = [
        ("isolcpus", from_file_or_option("isolated", "isolcpus")),
        ("nohz_full", from_file_or_option("nohz_full", "nohz_full")),
        ("rcu_nocbs", machine.cpus_of_option("rcu_nocbs")),
    ];
    let missing: Vec<&str> = settings
        .iter()
        .filter(|(_, cpus)| setup.workers.iter().any(|worker| !cpus.contains(worker)))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        let seen = format!("isolcpus, nohz_full and rcu_nocbs have {}", named(&setup.workers));
        return vec![Finding::ok(seen)];
    }
    let list = listed(&setup.workers);
    let options: Vec<String> = missing
        .iter()
        .map(|name| match *name {
            "isolcpus" => format!("isolcpus=managed_irq,domain,{list}"),
            name => format!("{name}={list}"),
        })
        .collect();
    vec![Finding::warning(
        format!("{} lack {}", missing.join(", "), named(&setup.workers)),
        format!("boot with `{}`, so that nothing interrupts a worker", options.join(" ")),
    )]
}

/// Does a hyperthread share a worker's core?
pub(super) fn siblings(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let online = machine.cpus(format!("{CPUS}/online")).unwrap_or_default();
    let mut findings = Vec::new();
    for &worker in &setup.workers {
        let path = format!("{CPUS}/cpu{worker}/topology/thread_siblings_list");
        let siblings = machine.cpus(path).unwrap_or_default();
        let others: Vec<usize> =
            siblings.into_iter().filter(|cpu| *cpu != worker && online.contains(cpu)).collect();
        if !others.is_empty() {
            findings.push(Finding::warning(
                format!("worker on CPU {worker} shares its core with {}", named(&others)),
                format!(
                    "leave them idle: {}; two hyperthreads have one core's execution units and \
                     caches",
                    offline(&others)
                ),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("each worker has its core to itself"));
    }
    findings
}

fn offline(cpus: &[usize]) -> String {
    let commands: Vec<String> =
        cpus.iter().map(|cpu| format!("echo 0 > {CPUS}/cpu{cpu}/online")).collect();
    commands.join("; ")
}

/// Do the cores keep their speed?
pub(super) fn governor(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let governors: Vec<(usize, String)> =
        setup.workers.iter().filter_map(|&cpu| Some((cpu, governor_of(machine, cpu)?))).collect();
    if governors.is_empty() {
        return vec![Finding::not_applicable(
            "the kernel does not control the frequency here; a virtual machine's host does",
        )];
    }
    let slow: Vec<String> = governors
        .iter()
        .filter(|(_, governor)| governor != "performance")
        .map(|(cpu, governor)| format!("CPU {cpu}: {governor}"))
        .collect();
    if slow.is_empty() {
        return vec![Finding::ok(format!("performance on {}", named(&setup.workers)))];
    }
    vec![Finding::warning(
        slow.join(", "),
        format!("cpupower -c {} frequency-set -g performance", listed(&setup.workers)),
    )]
}

fn governor_of(machine: &Machine, cpu: usize) -> Option<String> {
    machine.read(format!("{CPUS}/cpu{cpu}/cpufreq/scaling_governor"))
}
