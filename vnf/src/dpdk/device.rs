//! From a device argument to a port that nobody has configured yet.

use std::ffi::{CStr, CString};
use std::path::Path;

use super::{
    eal::Eal,
    error::{Cause, DpdkError},
    interface::Interface,
    log,
    offloads::Offers,
    preflight,
};
use crate::frame::device::{Argument, BadArgument, Target, member_argument};

/// Where cards are looked for.
const MACHINE: &str = "/";

/// Where numbers begin for virtual ports that were given none: above those people choose.
const FIRST_NUMBER: u32 = 100;

/// The driver that has the kernel receive into our buffers.
const XDP_DRIVER: &str = "net_af_xdp";

/// Drivers that use an interface of the kernel, `iface`, and do not tell of its link.
const INTERFACE_DRIVERS: [&str; 2] = ["net_af_packet", XDP_DRIVER];

/// A port that DPDK has taken and nobody has configured. Dropping it gives the device back.
#[derive(Debug)]
pub struct Device {
    id: u16,
    argument: String,
    info: DeviceInfo,
    sends_through_umem: bool,
    interface: Option<Interface>,
    // Dropped after this port is closed: a bonding port uses its members until then.
    _members: Vec<Device>,
    eal: Eal,
}

/// What a port is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The driver, such as `net_ixgbe`.
    pub driver: String,
    /// A piece of hardware (or passed through as one), not a program's or the kernel's other end.
    pub physical: bool,
    /// Its own MAC address.
    pub mac: [u8; 6],
    /// The NUMA node it is at, where known.
    pub numa: Option<u32>,
    /// Queue pairs it can have.
    pub max_queues: u16,
    /// The largest packet it takes, in IP bytes.
    pub max_mtu: u16,
    /// It spreads packets over queues by their addresses alone, or why it cannot.
    pub spreads_by_address: Result<(), &'static str>,
    /// What of a packet's work it can do.
    pub offers: Offers,
}

impl Device {
    /// Attaches the port that `argument` names: a PCI address, or a virtual driver with options.
    /// Members of a bonding port that are PCI devices, or given in brackets, are attached first.
    ///
    /// # Errors
    ///
    /// When there is no such device, something else has it, or its driver is missing or refuses.
    pub fn attach(eal: &Eal, argument: &str) -> Result<Self, DpdkError> {
        let mut argument = Argument::parse(argument)?.located(Path::new(MACHINE))?;
        preflight::check(&argument)?;
        let Members { attached, ids } = attach_members(eal, &mut argument)?;
        let name = free_name(&argument)?;
        log::forget();
        probe(&argument.for_dpdk(&name)).map_err(|cause| DpdkError::Attach {
            argument: argument.text.clone(),
            wrong: preflight::explain(&argument),
            cause,
        })?;
        let id = port_named(&name).ok_or_else(|| DpdkError::Attach {
            argument: argument.text.clone(),
            wrong: preflight::explain(&argument),
            cause: Cause::returned(-libc::ENODEV),
        })?;
        let mut info = info(id);
        let mut sends_through_umem = info.driver == XDP_DRIVER;
        // A bonding port says little of itself: it can what all of its members can.
        let members: Vec<DeviceInfo> = ids.into_iter().map(self::info).collect();
        if !members.is_empty() {
            info.physical = members.iter().all(|member| member.physical);
        }
        for member in members {
            info.max_mtu = info.max_mtu.min(member.max_mtu);
            info.spreads_by_address = info.spreads_by_address.and(member.spreads_by_address);
            info.offers.rss &= member.offers.rss;
            sends_through_umem |= member.driver == XDP_DRIVER;
        }
        let interface = INTERFACE_DRIVERS
            .contains(&&*info.driver)
            .then(|| argument.option("iface").and_then(Interface::named))
            .flatten();
        Ok(Self {
            id,
            argument: argument.text,
            info,
            sends_through_umem,
            interface,
            _members: attached,
            eal: eal.clone(),
        })
    }

    /// The interface of the kernel whose link is this port's, where the driver does not tell.
    pub(super) fn interface(&self) -> Option<&Interface> {
        self.interface.as_ref()
    }

    /// What it is and can do.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// The argument it was attached by.
    #[must_use]
    pub fn argument(&self) -> &str {
        &self.argument
    }

    /// DPDK's number of the port.
    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// Its driver puts what it sends into small buffers, which the kernel shares.
    pub(super) fn sends_through_umem(&self) -> bool {
        self.sends_through_umem
    }

    /// What the driver said of it.
    pub(super) fn raw_info(&self) -> dpdk_sys::rte_eth_dev_info {
        raw_info(self.id)
    }

    /// EAL, which it needs.
    #[must_use]
    pub fn eal(&self) -> &Eal {
        &self.eal
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let device = self.raw_info().device;
        // SAFETY: the port is open, EAL runs, and whoever could poll it holds this device. A
        // virtual device has this one port, so it can go with it; a PCI device may have others.
        unsafe {
            dpdk_sys::rte_eth_dev_stop(self.id);
            dpdk_sys::rte_eth_dev_close(self.id);
            if !device.is_null() && bus(device) == "vdev" {
                dpdk_sys::rte_dev_remove(device);
            }
        }
    }
}

/// The members of a bonding port.
struct Members {
    /// Those that were attached for it, and go with it.
    attached: Vec<Device>,
    /// All of them.
    ids: Vec<u16>,
}

/// Attaches members that no port stands for yet, and puts the names DPDK knows them by into the
/// bonding port's argument, under the key that this DPDK understands.
fn attach_members(eal: &Eal, argument: &mut Argument) -> Result<Members, DpdkError> {
    let renamed = (dpdk_sys::RTE_VER_YEAR, dpdk_sys::RTE_VER_MONTH) >= (23, 11);
    let key_here = if renamed { "member" } else { "slave" };
    let mut members = Members { attached: Vec::new(), ids: Vec::new() };
    for (key, value) in argument.members_mut() {
        let member = member_argument(value);
        let name = match Argument::parse(member)?.located(Path::new(MACHINE))?.target {
            Target::Pci(address) => address,
            Target::Nic(_) | Target::Virtual { .. } => member.to_owned(),
        };
        let id = match port_named(&name) {
            Some(id) => id,
            None => {
                let device = Device::attach(eal, member)?;
                let id = device.id;
                members.attached.push(device);
                id
            }
        };
        members.ids.push(id);
        key_here.clone_into(key);
        // A number is a name too.
        *value = id.to_string();
    }
    Ok(members)
}

/// The name the device will have: DPDK wants a number behind a virtual driver's.
fn free_name(argument: &Argument) -> Result<String, DpdkError> {
    let name = match &argument.target {
        Target::Pci(address) => address.clone(),
        Target::Nic(nic) => nic.to_string(),
        Target::Virtual { driver, number: Some(number) } => format!("{driver}{number}"),
        Target::Virtual { driver, number: None } => (FIRST_NUMBER..)
            .map(|number| format!("{driver}{number}"))
            .find(|name| port_named(name).is_none())
            .unwrap_or_default(),
    };
    if port_named(&name).is_some() {
        return Err(BadArgument {
            argument: argument.text.clone(),
            wrong: format!("`{name}` is in use already"),
            right: "another device, or another number behind the driver's name".to_owned(),
        }
        .into());
    }
    Ok(name)
}

fn probe(argument: &str) -> Result<(), Cause> {
    let Ok(argument) = CString::new(argument) else { return Err(Cause::returned(-libc::EINVAL)) };
    // SAFETY: a C string, and EAL runs: every caller has a handle.
    match unsafe { dpdk_sys::rte_dev_probe(argument.as_ptr()) } {
        0 => Ok(()),
        error => Err(Cause::returned(error)),
    }
}

fn port_named(name: &str) -> Option<u16> {
    let name = CString::new(name).ok()?;
    let mut id = 0;
    // SAFETY: a C string and a number to fill.
    let found = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
    (found == 0).then_some(id)
}

fn raw_info(id: u16) -> dpdk_sys::rte_eth_dev_info {
    let mut info = dpdk_sys::rte_eth_dev_info::default();
    // SAFETY: a structure to fill; a port that is gone leaves it empty.
    unsafe { dpdk_sys::rte_eth_dev_info_get(id, &raw mut info) };
    info
}

fn info(id: u16) -> DeviceInfo {
    let raw = raw_info(id);
    let mut mac = dpdk_sys::rte_ether_addr::default();
    // SAFETY: a structure to fill, and a number to read.
    let numa = unsafe {
        dpdk_sys::rte_eth_macaddr_get(id, &raw mut mac);
        dpdk_sys::rte_eth_dev_socket_id(id)
    };
    let driver = text(raw.driver_name);
    let spreads_by_address = spreads_by_address(&driver, &raw);
    // SAFETY: the device of a port that is open.
    let physical = raw.device.is_null() || unsafe { bus(raw.device) } != "vdev";
    DeviceInfo {
        physical,
        mac: mac.addr_bytes,
        numa: u32::try_from(numa).ok(),
        max_queues: raw.max_rx_queues.min(raw.max_tx_queues),
        max_mtu: raw.max_mtu.min(frame_limit(&raw)),
        spreads_by_address,
        offers: Offers::of(&raw, spreads_by_address.is_ok()),
        driver,
    }
}

/// The name of the bus a device is on.
///
/// # Safety
///
/// `device` is a device DPDK knows.
unsafe fn bus(device: *const dpdk_sys::rte_device) -> String {
    // SAFETY: the caller's promise; every device is on a bus, and every bus has a name.
    unsafe { text(dpdk_sys::rte_bus_name(dpdk_sys::rte_dev_bus(device))) }
}

/// The largest IP packet in the largest frame.
fn frame_limit(raw: &dpdk_sys::rte_eth_dev_info) -> u16 {
    let around_ip = match raw.max_rx_pktlen.checked_sub(u32::from(raw.max_mtu)) {
        Some(overhead) if raw.max_mtu != u16::MAX && overhead > 0 => overhead,
        // Ethernet header and FCS
        _ => 18,
    };
    u16::try_from(raw.max_rx_pktlen.saturating_sub(around_ip)).unwrap_or(u16::MAX)
}

/// Whether a packet's addresses alone can decide its queue. If ports had a say, the first fragment
/// of a packet and the others would meet different workers.
fn spreads_by_address(driver: &str, raw: &dpdk_sys::rte_eth_dev_info) -> Result<(), &'static str> {
    let needed = u64::from(dpdk_sys::RTE_ETH_RSS_IPV4) | u64::from(dpdk_sys::RTE_ETH_RSS_IPV6);
    if driver == "net_tap" {
        Err("the kernel spreads a tap's packets by ports as well as addresses")
    } else if raw.flow_type_rss_offloads == 0 {
        Err("its driver does not let us choose how packets are spread")
    } else if raw.flow_type_rss_offloads & needed != needed {
        Err("it cannot hash IPv4 and IPv6 addresses without ports")
    } else {
        Ok(())
    }
}

fn text(c_string: *const std::ffi::c_char) -> String {
    if c_string.is_null() {
        return String::new();
    }
    // SAFETY: DPDK's names are constant C strings.
    unsafe { CStr::from_ptr(c_string) }.to_string_lossy().into_owned()
}
