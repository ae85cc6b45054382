//! Ports that work through an interface of the kernel: AF_XDP, AF_PACKET, a tap's remote.
//!
//! The kernel leaves to the other end of a virtual cable what a card would do there: checksums
//! stay unfinished, and segments are sent as one frame that is larger than the MTU. It also has a
//! network stack of its own, which answers for addresses that are the relay's.

use super::setup::Port;
use super::{Finding, Scene};

/// Features that change frames, as `ethtool -k` and `ethtool -K` call them.
const HARMFUL: [(&str, &str); 5] = [
    ("tx-checksumming", "tx"),
    ("tcp-segmentation-offload", "tso"),
    ("generic-segmentation-offload", "gso"),
    ("generic-receive-offload", "gro"),
    ("large-receive-offload", "lro"),
];

fn directory(interface: &str) -> String {
    format!("/sys/class/net/{interface}")
}

fn exists(scene: &Scene, interface: &str) -> bool {
    scene.machine.exists(directory(interface))
}

/// Is the interface there, up, and does it carry what the configuration says?
pub(super) fn there(scene: &Scene, port: &Port, interface: &str) -> Finding {
    let (machine, name) = (&scene.machine, &port.name);
    let directory = directory(interface);
    if !exists(scene, interface) {
        return Finding::problem(
            format!("{name}: there is no interface {interface} in this network namespace"),
            "`ip link` lists those there are; `ip netns exec NAME lwaftr doctor` looks into another \
             namespace",
        );
    }
    let state = machine.read(format!("{directory}/operstate")).unwrap_or_default();
    if state == "down" || state == "lowerlayerdown" {
        return Finding::problem(
            format!("{name}: {interface} is {state}"),
            format!(
                "ip link set {interface} up; check the cable, and the other end of a veth pair"
            ),
        );
    }
    let mtu = machine.number(format!("{directory}/mtu")).unwrap_or_default();
    if mtu < i64::from(port.mtu) {
        return Finding::problem(
            format!("{name}: {interface} has an MTU of {mtu}, the configuration says {}", port.mtu),
            format!("ip link set {interface} mtu {}, or lower the mtu key", port.mtu),
        );
    }
    if port.argument.driver() == Some("net_af_packet") {
        return Finding::warning(
            format!("{name}: AF_PACKET has the kernel reassemble IPv4 fragments, and cuts them"),
            format!("use net_af_xdp,iface={interface}"),
        );
    }
    Finding::ok(format!("{name}: {interface} is {state}, MTU {mtu}"))
}

/// Does the kernel leave work on frames to somebody else?
pub(super) fn offloads(scene: &Scene, port: &Port) -> Option<Finding> {
    let (interface, name) = (port.interface()?, &port.name);
    if !exists(scene, interface) {
        return None;
    }
    let Some(text) = scene.machine.features(interface) else {
        return Some(Finding::not_applicable(format!(
            "{name}: `ethtool -k {interface}` does not answer (Debian package ethtool)"
        )));
    };
    let on = |feature: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.any(|(key, value)| key.trim() == feature && value.trim().starts_with("on"))
    };
    let harmful: Vec<(&str, &str)> =
        HARMFUL.into_iter().filter(|(feature, _)| on(feature)).collect();
    if harmful.is_empty() {
        return Some(Finding::ok(format!(
            "{name}: {interface} leaves frames alone; so must the other end of a veth pair"
        )));
    }
    let names: Vec<&str> = harmful.iter().map(|(feature, _)| *feature).collect();
    let keys: Vec<String> = harmful.iter().map(|(_, key)| format!("{key} off")).collect();
    Some(Finding::warning(
        format!("{name}: {interface} has {}", names.join(", ")),
        format!(
            "ethtool -K {interface} {}, and the same at the other end of a veth pair: otherwise \
             frames come with unfinished checksums, or larger than the MTU",
            keys.join(" ")
        ),
    ))
}

/// Does the kernel's own stack answer on the relay's interface?
pub(super) fn kernel_stack(scene: &Scene) -> Vec<Finding> {
    let Scene { machine, setup } = scene;
    let mut findings = Vec::new();
    for port in &setup.ports {
        let interface = port.interface().filter(|interface| exists(scene, interface));
        let Some(interface) = interface else { continue };
        let name = &port.name;
        let addresses = machine.read("/proc/net/if_inet6").unwrap_or_default();
        let addressed =
            addresses.lines().any(|line| line.split_whitespace().last() == Some(interface));
        let setting = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
        let disabled = machine.read(&setting).as_deref() == Some("1");
        let routed = machine.read("/proc/net/route").unwrap_or_default();
        let routed = routed.lines().any(|line| line.split_whitespace().next() == Some(interface));
        findings.push(if routed || addressed || !disabled {
            let what = match (routed, addressed) {
                (true, _) => "has routes of the kernel",
                (false, true) => "has an IPv6 address of the kernel",
                (false, false) => "will get an IPv6 address of the kernel",
            };
            Finding::warning(
                format!("{name}: {interface} {what}"),
                format!(
                    "ip addr flush dev {interface}; sysctl -w \
                     net.ipv6.conf.{interface}.disable_ipv6=1; ip link set {interface} arp off: two \
                     stacks on one link answer each other's packets with resets and errors"
                ),
            )
        } else {
            Finding::ok(format!("{name}: the kernel keeps off {interface}"))
        });
    }
    if findings.is_empty() {
        findings.push(Finding::not_applicable(setup.no_port("works through the kernel")));
    }
    findings
}
