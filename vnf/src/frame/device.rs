//! The argument that names a port: a card or a virtual driver, with options.

use std::path::Path;

use thiserror::Error;

use super::nic::Nic;

/// The virtual drivers that lwaftr is tested with.
pub const DRIVERS: [&str; 10] = [
    "net_af_xdp",
    "net_af_packet",
    "net_tap",
    "net_bonding",
    "net_virtio_user",
    "net_vhost",
    "net_memif",
    "net_pcap",
    "net_ring",
    "net_null",
];

/// Kernel drivers that leave a PCI device to programs like ours.
pub const USER_DRIVERS: [&str; 4] = ["vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core"];

/// A device argument that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("port `{argument}`: {wrong}: {right}")]
pub struct BadArgument {
    /// As it was given.
    pub argument: String,
    /// What is wrong with it.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

/// A device argument, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// As it was given.
    pub text: String,
    /// What it names.
    pub target: Target,
    /// The options behind the name, in order.
    pub options: Vec<(String, String)>,
}

/// What the argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A PCI function, its address written out with the domain.
    Pci(String),
    /// A card by another name than its address.
    Nic(Nic),
    /// A virtual port.
    Virtual {
        /// The driver's name, such as `net_af_xdp`.
        driver: String,
        /// The number behind it, when one was given.
        number: Option<u32>,
    },
}

/// Bonding options whose value names a member; DPDK has renamed it.
const MEMBER_KEYS: [&str; 2] = ["slave", "member"];

impl Argument {
    /// Takes an argument apart.
    pub fn parse(text: &str) -> Result<Self, BadArgument> {
        let refuse = |wrong: String, right: &str| BadArgument {
            argument: text.to_owned(),
            wrong,
            right: right.to_owned(),
        };
        let mut pieces = split_outside_brackets(text)
            .ok_or_else(|| {
                refuse("a bracket is not closed".into(), "member=(net_af_xdp,iface=eth1)")
            })?
            .into_iter();
        let name = pieces.next().unwrap_or_default();
        let target = target(name).ok_or_else(|| {
            refuse(
                format!("`{name}` is neither a card nor a virtual driver"),
                "for example 0000:01:00.0, nic:1, mac:52:54:00:00:00:01 or net_af_xdp,iface=eth1",
            )
        })?;
        let options = pieces
            .map(|piece| match piece.split_once('=') {
                Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
                _ => Err(refuse(format!("`{piece}` is not an option"), "key=value")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), target, options })
    }

    /// The same with the card's PCI address, wherever it was named otherwise, as it is on the machine
    /// below `root`.
    pub fn located(mut self, root: &Path) -> Result<Self, BadArgument> {
        if let Target::Nic(nic) = self.target {
            let address = nic.find(root).map_err(|wrong| BadArgument {
                argument: self.text.clone(),
                wrong,
                right: "one of these, if there are any; `lwaftr prepare` must have seen a card's \
                        MAC address before DPDK got it"
                    .to_owned(),
            })?;
            self.target = Target::Pci(address);
        }
        Ok(self)
    }

    /// The value of an option.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The driver, when it is a virtual one.
    #[must_use]
    pub fn driver(&self) -> Option<&str> {
        match &self.target {
            Target::Virtual { driver, .. } => Some(driver),
            Target::Pci(_) | Target::Nic(_) => None,
        }
    }

    /// The values of the options that name members of a bonding port, to be replaced by the names
    /// the members really have.
    pub fn members_mut(&mut self) -> impl Iterator<Item = &mut (String, String)> {
        let bonding = self.driver() == Some("net_bonding");
        self.options.iter_mut().filter(move |(key, _)| bonding && MEMBER_KEYS.contains(&&**key))
    }

    /// What DPDK is told, the device being called `name`.
    #[must_use]
    pub fn for_dpdk(&self, name: &str) -> String {
        let mut text = name.to_owned();
        for (key, value) in &self.options {
            text.push_str(&format!(",{key}={value}"));
        }
        text
    }
}

/// The argument of a bonding member: as it is, or in brackets when it has options of its own.
#[must_use]
pub fn member_argument(value: &str) -> &str {
    value.strip_prefix('(').and_then(|v| v.strip_suffix(')')).unwrap_or(value)
}

fn target(name: &str) -> Option<Target> {
    if let Some(address) = pci_address(name) {
        return Some(Target::Pci(address));
    }
    if let Some(nic) = Nic::parse(name) {
        return Some(Target::Nic(nic));
    }
    let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let plausible = driver.starts_with("net_")
        && driver.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let digits = &name[driver.len()..];
    let number = if digits.is_empty() { None } else { Some(digits.parse().ok()?) };
    plausible.then(|| Target::Virtual { driver: driver.to_owned(), number })
}

/// `0000:01:00.0`, or the same without the domain.
fn pci_address(name: &str) -> Option<String> {
    let hex =
        |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
    let (rest, function) = name.split_once('.')?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (domain, bus, slot) = match parts[..] {
        [domain, bus, slot] => (domain, bus, slot),
        [bus, slot] => ("0000", bus, slot),
        _ => return None,
    };
    (hex(domain, 4) && hex(bus, 2) && hex(slot, 2) && matches!(function.as_bytes(), [b'0'..=b'7']))
        .then(|| format!("{domain}:{bus}:{slot}.{function}").to_ascii_lowercase())
}

/// The parts between commas; `None` when brackets do not match.
fn split_outside_brackets(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (depth == 0).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn virtual_port(driver: &str, number: Option<u32>) -> Target {
        Target::Virtual { driver: driver.to_owned(), number }
    }

    #[test]
    fn pci_addresses() {
        for text in ["0000:01:00.0", "01:00.0", "0000:01:00.0,rx_vec=1"] {
            let argument = Argument::parse(text).unwrap();
            assert_eq!(argument.target, Target::Pci("0000:01:00.0".into()), "{text}");
        }
        let argument = Argument::parse("0000:C1:1f.7").unwrap();
        assert_eq!(argument.target, Target::Pci("0000:c1:1f.7".into()));
    }

    #[test]
    fn cards_by_name() {
        let argument = Argument::parse("nic:2,rx_vec=1").unwrap();
        assert_eq!(argument.target, Target::Nic(Nic::Place(2)));
        let nowhere = tempfile::tempdir().unwrap();
        let error = argument.located(nowhere.path()).unwrap_err().to_string();
        assert!(error.starts_with("port `nic:2,rx_vec=1`: there is no nic:2, nor any"), "{error}");
        let argument = Argument::parse("mac:52:54:00:AB:00:01").unwrap();
        assert_eq!(argument.target, Target::Nic(Nic::Mac("52:54:00:ab:00:01".parse().unwrap())));
    }

    #[test]
    fn virtual_ports() {
        let argument = Argument::parse("net_af_xdp,iface=veth1,force_copy=1").unwrap();
        assert_eq!(argument.target, virtual_port("net_af_xdp", None));
        assert_eq!(argument.option("iface"), Some("veth1"));
        assert_eq!(argument.for_dpdk("net_af_xdp7"), "net_af_xdp7,iface=veth1,force_copy=1");
        let argument = Argument::parse("net_null12").unwrap();
        assert_eq!(argument.target, virtual_port("net_null", Some(12)));
    }

    #[test]
    fn bonding_members_may_have_options() {
        let text = "net_bonding,mode=1,slave=0000:01:00.0,member=(net_af_xdp,iface=b)";
        let mut argument = Argument::parse(text).unwrap();
        let members: Vec<_> =
            argument.members_mut().map(|(_, v)| member_argument(v).to_owned()).collect();
        assert_eq!(members, ["0000:01:00.0", "net_af_xdp,iface=b"]);
        let mut other = Argument::parse("net_null0,member=x").unwrap();
        assert_eq!(other.members_mut().count(), 0);
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for (text, word) in [
            ("eth0", "net_af_xdp,iface=eth1"),
            ("", "0000:01:00.0"),
            ("0000:01:00.9", "0000:01:00.0"),
            ("00000:01:00.0", "0000:01:00.0"),
            ("net_pcap,rx", "key=value"),
            ("net_bonding,member=(net_null", "member=("),
            ("net_bonding,member=net_null)", "member=("),
            ("net_null99999999999", "0000:01:00.0"),
        ] {
            let error = Argument::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(error.starts_with(&format!("port `{text}`")), "{error}");
        }
    }
}
