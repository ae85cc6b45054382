//! Which driver a card gets, and which cards are left alone.

use super::Step;
use crate::doctor::{Machine, Scene};
use crate::frame::device::{Target, USER_DRIVERS};
use crate::frame::nic::{Card, cards};

/// Where a PCI device says which of the four interrupt lines it has; 0 is none.
const INTERRUPT_PIN: usize = 0x3d;

/// A driver for a card, and why that one.
struct Choice {
    driver: &'static str,
    why: &'static str,
}

/// What is to be done for the cards of a configuration.
pub(super) fn steps(scene: &Scene) -> Result<Vec<Step>, Vec<String>> {
    let machine = &scene.machine;
    let all = cards(&machine.path("/"));
    let mut taken: Vec<(&str, &str)> = Vec::new();
    let mut wrong = Vec::new();
    for port in scene.setup.ports.iter().filter(|port| port.is_card()) {
        match (&port.argument.target, port.pci()) {
            (Target::Nic(nic), _) => {
                let problem = nic.find(&machine.path("/")).err().unwrap_or_default();
                wrong.push(format!("{}: {problem}", port.name));
            }
            (_, Some(address)) if taken.iter().any(|(_, other)| *other == address) => {
                wrong.push(format!("{}: {address} is named twice", port.name));
            }
            (_, Some(address)) => taken.push((&port.name, address)),
            _ => {}
        }
    }
    let mut binds = Vec::new();
    for (name, address) in &taken {
        match choose(machine, &all, address) {
            Ok(None) => {}
            Ok(Some(Choice { driver, why })) => {
                binds.push(Step::Bind { address: (*address).to_owned(), driver, why });
            }
            Err(problem) => wrong.push(format!("{name}: {problem}")),
        }
    }
    if let Err(problem) = keeps_a_way_in(machine, &all, &taken) {
        wrong.push(problem);
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(around(&all, machine, &taken, binds))
}

/// What comes before cards are handed over.
fn around(all: &[Card], machine: &Machine, taken: &[(&str, &str)], binds: Vec<Step>) -> Vec<Step> {
    let mut steps = Vec::new();
    if binds.iter().any(|step| matches!(step, Step::Bind { .. })) {
        let known = all.iter().filter_map(|card| Some(format!("{} {}\n", card.address, card.mac?)));
        steps.push(Step::Remember(known.collect()));
    }
    let mut drivers: Vec<&'static str> = Vec::new();
    for step in &binds {
        if let Step::Bind { driver, .. } = step
            && !drivers.contains(driver)
        {
            drivers.push(driver);
        }
    }
    for driver in &drivers {
        if !machine.exists(format!("/sys/bus/pci/drivers/{driver}")) {
            steps.push(Step::Load(driver));
        }
    }
    let has_uio = |driver: &str| driver.contains("uio");
    let uio_before = taken.iter().any(|(_, address)| {
        machine.link(device(address) + "/driver").is_some_and(|driver| has_uio(&driver))
    });
    if (uio_before || drivers.iter().any(|driver| has_uio(driver)))
        && machine.exists("/run/systemd/system")
        && !machine.exists(super::apply::RIGHTS)
    {
        steps.push(Step::Allow);
    }
    steps.extend(binds);
    steps
}

/// The driver that a card is to get; none when it has one already.
fn choose(machine: &Machine, all: &[Card], address: &str) -> Result<Option<Choice>, String> {
    let device = device(address);
    if !all.iter().any(|card| card.address == address) {
        return Err(if machine.exists(&device) {
            "is no network card".to_owned()
        } else {
            let list: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("there is no such PCI device; network cards: {}", list.join("; "))
        });
    }
    // Mellanox's stay with their driver; what somebody has handed over by hand stays so.
    let bound = machine.link(format!("{device}/driver")).unwrap_or_default();
    if USER_DRIVERS.contains(&&*bound) {
        return Ok(None);
    }
    if machine.link(format!("{device}/iommu_group")).is_some() {
        let why = "the IOMMU lets it reach only the memory that it is given";
        return Ok(Some(Choice { driver: "vfio-pci", why }));
    }
    let no_iommu = "there is no IOMMU, so vfio-pci cannot have it";
    let remedy = "give the machine an IOMMU (firmware: VT-d or AMD-Vi, kernel: intel_iommu=on \
                  iommu=pt, virtual machine: a vIOMMU)";
    let lockdown = machine.read("/sys/kernel/security/lockdown").unwrap_or_default();
    if lockdown.contains('[') && !lockdown.contains("[none]") {
        return Err(format!(
            "{no_iommu}; the kernel is locked down (Secure Boot), so the uio drivers cannot either: \
             {remedy}, or switch Secure Boot off"
        ));
    }
    let pin = machine.bytes(format!("{device}/config")).get(INTERRUPT_PIN).copied();
    if pin.is_some_and(|pin| pin > 0) {
        let why = "there is no IOMMU for vfio-pci, so nothing keeps it from other memory";
        return Ok(Some(Choice { driver: "uio_pci_generic", why }));
    }
    if machine.exists("/sys/bus/pci/drivers/igb_uio") {
        let why =
            "there is no IOMMU for vfio-pci, and it has no interrupt line for uio_pci_generic";
        return Ok(Some(Choice { driver: "igb_uio", why }));
    }
    Err(format!(
        "{no_iommu}; it has no interrupt line (it is a virtual function), so uio_pci_generic cannot \
         either: {remedy}, or install dpdk-kmods-dkms and load igb_uio"
    ))
}

/// A machine that has a default route keeps one: it would be cut off otherwise.
fn keeps_a_way_in(machine: &Machine, all: &[Card], taken: &[(&str, &str)]) -> Result<(), String> {
    let ways = default_routes(machine);
    let way_of = |card: &Card| card.interfaces.iter().find(|name| ways.contains(name)).cloned();
    let lost: Vec<(String, String)> = all
        .iter()
        .filter(|card| taken.iter().any(|(_, address)| *address == card.address))
        .filter_map(|card| Some((card.address.clone(), way_of(card)?)))
        .collect();
    if lost.is_empty() || ways.iter().any(|way| lost.iter().all(|(_, name)| name != way)) {
        return Ok(());
    }
    let list: Vec<String> =
        lost.iter().map(|(address, name)| format!("{address} ({name})")).collect();
    Err(format!(
        "{} has the only default route of this machine: it would be cut off; name another card, or \
         give the machine another way in",
        list.join(", ")
    ))
}

/// The interfaces with default routes, of IPv4 and IPv6.
fn default_routes(machine: &Machine) -> Vec<String> {
    let mut interfaces: Vec<String> = Vec::new();
    for line in machine.read("/proc/net/route").unwrap_or_default().lines() {
        if let [interface, "00000000", ..] = line.split_whitespace().collect::<Vec<_>>()[..] {
            interfaces.push(interface.to_owned());
        }
    }
    for line in machine.read("/proc/net/ipv6_route").unwrap_or_default().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        // The kernel has unreachable ones on `lo`.
        if let [_, "00", .., interface] = words[..]
            && interface != "lo"
        {
            interfaces.push(interface.to_owned());
        }
    }
    interfaces
}

fn device(address: &str) -> String {
    format!("/sys/bus/pci/devices/{address}")
}
