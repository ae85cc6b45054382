//! What this user may do.

use super::setup::Port;
use super::{Finding, Scene};

/// A capability by its number and name.
type Capability = (u32, &'static str);
const NET_ADMIN: Capability = (12, "CAP_NET_ADMIN");
const NET_RAW: Capability = (13, "CAP_NET_RAW");
const IPC_LOCK: Capability = (14, "CAP_IPC_LOCK");
const SYS_RAWIO: Capability = (17, "CAP_SYS_RAWIO");

/// Files that an instance may have open: sockets of clients, devices, memory.
const FILES: u64 = 1024;

/// Capabilities and limits of whoever asks, which should be the user who will run the relay.
pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    vec![capabilities(scene), locked_memory(scene), files(scene)]
}

fn has(scene: &Scene, (number, _): Capability) -> bool {
    let mask = scene.machine.field("/proc/self/status", "CapEff");
    let mask = mask.and_then(|mask| u64::from_str_radix(&mask, 16).ok()).unwrap_or_default();
    mask & (1 << number) != 0
}

fn needs(port: &Port) -> &'static [Capability] {
    match port.argument.driver() {
        None => &[SYS_RAWIO],
        Some("net_af_xdp") => &[NET_ADMIN, NET_RAW],
        Some("net_af_packet" | "net_pcap") => &[NET_RAW],
        Some("net_tap") => &[NET_ADMIN],
        Some(_) => &[],
    }
}

fn capabilities(scene: &Scene) -> Finding {
    let mut missing: Vec<&str> = (scene.setup.ports.iter())
        .flat_map(needs)
        .filter(|capability| !has(scene, **capability))
        .map(|(_, name)| *name)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Finding::ok("capabilities: all that the ports need");
    }
    Finding::problem(
        format!("capabilities: {} missing", missing.join(", ")),
        format!(
            "run as root, or give them to the service (AmbientCapabilities={})",
            missing.join(" ")
        ),
    )
}

/// The soft limit of `/proc/self/limits`; `None` is unlimited.
fn limit(scene: &Scene, name: &str) -> Option<u64> {
    let limits = scene.machine.read("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with(name))?;
    line[name.len()..].split_whitespace().next()?.parse().ok()
}

fn locked_memory(scene: &Scene) -> Finding {
    let locks = |port: &Port| port.pci().is_some() || port.argument.driver() == Some("net_af_xdp");
    let setup = &scene.setup;
    if !setup.ports.iter().any(locks) {
        return Finding::not_applicable(setup.no_port("locks memory"));
    }
    match limit(scene, "Max locked memory") {
        Some(bytes) if bytes >> 20 < setup.megabytes && !has(scene, IPC_LOCK) => Finding::problem(
            format!("{} MiB may be locked, {} are needed", bytes >> 20, setup.megabytes),
            "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service",
        ),
        _ => Finding::ok("locked memory: enough"),
    }
}

fn files(scene: &Scene) -> Finding {
    match limit(scene, "Max open files") {
        Some(files) if files < FILES => Finding::warning(
            format!("{files} files may be open"),
            format!("ulimit -n {FILES}, or LimitNOFILE={FILES} in the service"),
        ),
        _ => Finding::ok("open files: enough"),
    }
}
