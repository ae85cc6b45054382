//! Network cards by name: the n-th one, or the one with a MAC address.
//!
//! A PCI address changes with the machine, or with the order in which a cloud attaches ports. The
//! names here do not: `nic:1` is the second card by PCI address, the first data card where card 0
//! carries the management; `mac:52:54:00:00:00:01` is what an orchestrator knows. Once a card is
//! handed to DPDK the kernel no longer tells its MAC address, so `lwaftr prepare` writes those it
//! sees to [`REMEMBERED`] first.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::wire::MacAddr;

/// Where `lwaftr prepare` keeps which card has which MAC address: a line `PCI-ADDRESS MAC` each.
pub const REMEMBERED: &str = "run/lwaftr-nics";

const DEVICES: &str = "sys/bus/pci/devices";

/// How a card is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nic {
    /// The n-th by PCI address, from 0.
    Place(usize),
    /// The one with this MAC address.
    Mac(MacAddr),
}

/// A card of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its PCI address.
    pub address: String,
    /// Its MAC address, as the kernel tells it or told it before.
    pub mac: Option<MacAddr>,
    /// The kernel's interfaces on it; none once it is DPDK's.
    pub interfaces: Vec<String>,
}

impl Nic {
    /// Reads `nic:1` or `mac:52:54:00:00:00:01`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("nic", place) if place.bytes().all(|b| b.is_ascii_digit()) => {
                place.parse().ok().map(Self::Place)
            }
            ("mac", mac) => mac.parse().ok().map(Self::Mac),
            _ => None,
        }
    }

    /// The PCI address of the card, on the machine below `root`; or what is there instead.
    pub fn find(self, root: &Path) -> Result<String, String> {
        let cards = cards(root);
        let found = match self {
            Self::Place(place) => cards.get(place),
            Self::Mac(mac) => cards.iter().find(|card| card.mac == Some(mac)),
        };
        found.map(|card| card.address.clone()).ok_or_else(|| {
            let list: Vec<String> = cards
                .iter()
                .enumerate()
                .map(|(place, card)| format!("nic:{place} {card}"))
                .collect();
            match &list[..] {
                [] => format!("there is no {self}, nor any other PCI network card"),
                list => format!("there is no {self} among {}", list.join("; ")),
            }
        })
    }
}

impl fmt::Display for Nic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => write!(f, "nic:{place}"),
            Self::Mac(mac) => write!(f, "mac:{mac}"),
        }
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(mac) = self.mac {
            write!(f, " {mac}")?;
        }
        if !self.interfaces.is_empty() {
            write!(f, " ({})", self.interfaces.join(", "))?;
        }
        Ok(())
    }
}

/// All network cards on PCI, in the order of their addresses.
#[must_use]
pub fn cards(root: &Path) -> Vec<Card> {
    let devices = root.join(DEVICES);
    let remembered = fs::read_to_string(root.join(REMEMBERED)).unwrap_or_default();
    let is_card = |address: &String| {
        // Class 02: network controllers.
        fs::read_to_string(devices.join(address).join("class"))
            .is_ok_and(|class| class.starts_with("0x02"))
    };
    names(&devices)
        .into_iter()
        .filter(is_card)
        .map(|address| {
            let (interfaces, shown) = interfaces(&devices.join(&address));
            let mac = shown.or_else(|| {
                let lines = remembered.lines().filter_map(|line| line.split_once(' '));
                lines.rev().find(|(known, _)| *known == address)?.1.parse().ok()
            });
            Card { address, mac, interfaces }
        })
        .collect()
}

/// The kernel's interfaces on a device, and the MAC address of the first. Those of virtio are one
/// level below.
fn interfaces(device: &Path) -> (Vec<String>, Option<MacAddr>) {
    let below = names(device).into_iter().filter(|name| name.starts_with("virtio"));
    let mut mac = None;
    let mut interfaces = Vec::new();
    for place in std::iter::once(device.to_owned()).chain(below.map(|name| device.join(name))) {
        let net = place.join("net");
        for name in names(&net) {
            let address = fs::read_to_string(net.join(&name).join("address"));
            mac = mac.or_else(|| address.ok()?.trim().parse().ok());
            interfaces.push(name);
        }
    }
    (interfaces, mac)
}

/// The names in a directory, in order.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn cards_are_found_by_place_and_mac_also_when_the_kernel_no_longer_has_them() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for (address, class) in [
            ("0000:00:04.0", "0x020000\n"),
            ("0000:00:03.0", "0x020000\n"),
            ("0000:00:01.0", "0x060100\n"),
        ] {
            write(root, &format!("{DEVICES}/{address}/class"), class);
        }
        write(
            root,
            &format!("{DEVICES}/0000:00:03.0/virtio0/net/ens3/address"),
            "52:54:00:00:00:03\n",
        );
        write(root, &format!("{DEVICES}/0000:00:04.0/net/ens4/address"), "52:54:00:00:00:04\n");
        let find = |name: &str| Nic::parse(name).unwrap().find(root);

        assert_eq!(find("nic:0"), Ok("0000:00:03.0".to_owned()));
        assert_eq!(find("nic:1"), Ok("0000:00:04.0".to_owned()));
        assert_eq!(find("mac:52:54:00:00:00:03"), Ok("0000:00:03.0".to_owned()));
        assert_eq!(
            find("nic:2").unwrap_err(),
            "there is no nic:2 among nic:0 0000:00:03.0 52:54:00:00:00:03 (ens3); \
             nic:1 0000:00:04.0 52:54:00:00:00:04 (ens4)"
        );

        fs::remove_dir_all(root.join(DEVICES).join("0000:00:04.0/net")).unwrap();
        assert!(find("mac:52:54:00:00:00:04").is_err());
        write(root, REMEMBERED, "0000:00:04.0 52:54:00:00:00:04\n");
        assert_eq!(find("mac:52:54:00:00:00:04"), Ok("0000:00:04.0".to_owned()));
    }

    #[test]
    fn what_is_no_name_of_a_card() {
        for text in ["nic", "nic:", "nic:-1", "nic:x", "mac:", "mac:52:54", "eth0", "0000:00:03.0"]
        {
            assert_eq!(Nic::parse(text), None, "{text}");
        }
    }
}
