//! Looks at a device before DPDK does, because DPDK's own errors seldom say what to do.

use std::{fs, path::Path};

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::frame::device::{Argument, BadArgument, Target, USER_DRIVERS};

/// A driver of virtual ports that lwaftr is tested with.
struct Driver {
    name: &'static str,
    /// As in `librte_net_af_xdp.so`, `librte-net-af-xdp23`.
    plugin: &'static str,
    /// Options it cannot do without, with an example.
    required: &'static [(&'static str, &'static str)],
    /// Options that name an interface of the kernel.
    interfaces: &'static [&'static str],
    /// Options that name a file or socket that must exist.
    files: &'static [&'static str],
}

const fn driver(name: &'static str, plugin: &'static str) -> Driver {
    Driver { name, plugin, required: &[], interfaces: &[], files: &[] }
}

const DRIVERS: [Driver; 10] = [
    Driver {
        required: &[("iface", "eth1")],
        interfaces: &["iface"],
        ..driver("net_af_xdp", "af_xdp")
    },
    Driver {
        required: &[("iface", "eth1")],
        interfaces: &["iface"],
        ..driver("net_af_packet", "af_packet")
    },
    Driver { interfaces: &["remote"], ..driver("net_tap", "tap") },
    driver("net_bonding", "bond"),
    Driver {
        required: &[("path", "/run/vhost.sock")],
        files: &["path"],
        ..driver("net_virtio_user", "virtio")
    },
    Driver { required: &[("iface", "/run/vhost.sock")], ..driver("net_vhost", "vhost") },
    driver("net_memif", "memif"),
    Driver {
        interfaces: &["iface", "rx_iface", "tx_iface"],
        files: &["rx_pcap"],
        ..driver("net_pcap", "pcap")
    },
    driver("net_ring", "ring"),
    driver("net_null", "null"),
];

/// What is wrong with the argument, as far as that can be seen from outside.
pub(super) fn check(argument: &Argument) -> Result<(), BadArgument> {
    let found = match &argument.target {
        Target::Pci(address) => check_pci(Path::new("/sys/bus/pci/devices"), address),
        // It has been located, so it has an address.
        Target::Nic(_) => Ok(()),
        Target::Virtual { driver, .. } => match DRIVERS.iter().find(|d| d.name == *driver) {
            Some(driver) => check_virtual(driver, argument),
            None => Ok(()),
        },
    };
    found.map_err(|(wrong, right)| BadArgument { argument: argument.text.clone(), wrong, right })
}

/// What to say when DPDK has refused a device that looked well: most often the driver is not
/// installed.
pub(super) fn explain(argument: &Argument) -> String {
    let Target::Virtual { driver, .. } = &argument.target else {
        return "no driver took the device; is the driver for it installed \
                (Debian: librte-meta-net), and is `iommu` on for vfio-pci"
            .to_owned();
    };
    let Some(known) = DRIVERS.iter().find(|d| d.name == *driver) else {
        let names: Vec<&str> = DRIVERS.iter().map(|d| d.name).collect();
        return format!(
            "DPDK has no driver `{driver}` here; lwaftr is tested with {}",
            names.join(", ")
        );
    };
    match missing_package(known.plugin) {
        Some(package) => {
            format!("the driver is not installed; on Debian: apt-get install {package}")
        }
        None => "the driver refuses".to_owned(),
    }
}

type Complaint = (String, String);

fn check_pci(devices: &Path, address: &str) -> Result<(), Complaint> {
    let device = devices.join(address);
    if !device.exists() {
        return Err((
            "there is no such PCI device".to_owned(),
            "`lspci -D` lists those there are".to_owned(),
        ));
    }
    let bound = fs::read_link(device.join("driver")).ok();
    let driver = bound.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    match driver {
        Some(name) if USER_DRIVERS.contains(&name) => Ok(()),
        other => Err((
            other.map_or_else(
                || "it is bound to no kernel driver".to_owned(),
                |name| format!("the kernel's own driver `{name}` has it"),
            ),
            "`lwaftr prepare CONFIG` hands it to DPDK".to_owned(),
        )),
    }
}

fn check_virtual(driver: &Driver, argument: &Argument) -> Result<(), Complaint> {
    let name = driver.name;
    for (key, example) in driver.required {
        if argument.option(key).is_none() {
            return Err((format!("`{key}` is missing"), format!("{name},{key}={example}")));
        }
    }
    for key in driver.interfaces {
        if let Some(interface) = argument.option(key)
            && !interface_exists(interface)
        {
            return Err((
                format!("there is no interface `{interface}`"),
                "`ip link` lists those there are in this network namespace".to_owned(),
            ));
        }
    }
    for key in driver.files {
        if let Some(path) = argument.option(key)
            && !Path::new(path).exists()
        {
            return Err((format!("{key}: there is no {path}"), format!("{key}=PATH")));
        }
    }
    if name == "net_bonding" && argument.clone().members_mut().next().is_none() {
        return Err((
            "a bonding port needs members".to_owned(),
            "net_bonding,mode=1,member=0000:01:00.0,member=0000:01:00.1".to_owned(),
        ));
    }
    Ok(())
}

fn interface_exists(name: &str) -> bool {
    socket(AddressFamily::INET, SocketType::DGRAM, None)
        .is_ok_and(|socket| netdevice::name_to_index(&socket, name).is_ok())
}

/// Debian's package for a driver whose plugin is not where EAL looks.
fn missing_package(plugin: &str) -> Option<String> {
    if cfg!(feature = "static") {
        return None;
    }
    missing_package_in(Path::new("/usr/lib/x86_64-linux-gnu/dpdk"), plugin)
}

fn missing_package_in(root: &Path, plugin: &str) -> Option<String> {
    let directory = fs::read_dir(root)
        .ok()?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("pmds-"))?;
    let name = directory.file_name();
    let abi = name.to_str()?.strip_prefix("pmds-")?.split('.').next()?;
    let installed = directory.path().join(format!("librte_net_{plugin}.so.{abi}")).exists();
    (!installed).then(|| format!("librte-net-{}{abi}", plugin.replace('_', "-")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn complaint(text: &str) -> String {
        check(&Argument::parse(text).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn pci_devices_must_be_bound_to_a_user_driver() {
        let dir = tempfile::tempdir().unwrap();
        let device = dir.path().join("0000:01:00.0");
        let (wrong, right) = check_pci(dir.path(), "0000:01:00.0").unwrap_err();
        assert!(wrong.contains("no such PCI device") && right.contains("lspci"));

        fs::create_dir(&device).unwrap();
        let (wrong, _) = check_pci(dir.path(), "0000:01:00.0").unwrap_err();
        assert!(wrong.contains("no kernel driver"), "{wrong}");

        symlink("/drivers/e1000e", device.join("driver")).unwrap();
        let (wrong, right) = check_pci(dir.path(), "0000:01:00.0").unwrap_err();
        assert!(wrong.contains("`e1000e`"), "{wrong}");
        assert_eq!(right, "`lwaftr prepare CONFIG` hands it to DPDK");

        fs::remove_file(device.join("driver")).unwrap();
        symlink("/drivers/vfio-pci", device.join("driver")).unwrap();
        check_pci(dir.path(), "0000:01:00.0").unwrap();
    }

    #[test]
    fn each_missing_thing_is_named() {
        for (text, words) in [
            ("net_af_xdp", "`iface` is missing: net_af_xdp,iface="),
            ("net_af_packet,iface=nowhere0", "no interface `nowhere0`"),
            ("net_tap,remote=nowhere0", "no interface `nowhere0`"),
            ("net_pcap,rx_pcap=/nowhere.pcap", "rx_pcap: there is no /nowhere.pcap"),
            ("net_virtio_user,path=/nowhere.sock", "path: there is no /nowhere.sock"),
            ("net_vhost", "`iface` is missing"),
            ("net_bonding,mode=1", "needs members"),
            ("0000:ff:1f.7", "no such PCI device"),
        ] {
            let said = complaint(text);
            assert!(said.contains(words), "{text}: {said}");
        }
    }

    #[test]
    fn every_driver_that_a_configuration_may_name_is_known() {
        assert_eq!(DRIVERS.map(|driver| driver.name), crate::frame::device::DRIVERS);
    }

    #[test]
    fn what_needs_nothing_passes() {
        for text in ["net_null", "net_ring0", "net_tap", "net_memif,role=server", "net_new_thing"] {
            check(&Argument::parse(text).unwrap()).unwrap();
        }
        check(&Argument::parse("net_af_packet,iface=lo").unwrap()).unwrap();
    }

    #[test]
    fn the_package_of_a_missing_driver_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(missing_package_in(dir.path(), "tap"), None);
        let plugins = dir.path().join("pmds-23.0");
        fs::create_dir(&plugins).unwrap();
        fs::write(plugins.join("librte_net_tap.so.23"), "").unwrap();
        assert_eq!(missing_package_in(dir.path(), "tap"), None);
        assert_eq!(
            missing_package_in(dir.path(), "af_xdp").as_deref(),
            Some("librte-net-af-xdp23")
        );
        let unknown = explain(&Argument::parse("net_new_thing").unwrap());
        assert!(unknown.contains("net_memif"), "{unknown}");
    }
}
