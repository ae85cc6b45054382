//! Doing what is planned, on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Step;
use crate::frame::nic::REMEMBERED;

/// Rights that the service has only where a card needs them.
pub(super) const RIGHTS: &str = "/run/systemd/system/lwaftr.service.d/uio.conf";

/// Without an IOMMU a card is told physical addresses, which the kernel tells to few. Its registers
/// are behind /dev/uioN.
const RIGHTS_TEXT: &str = "# Made by `lwaftr prepare`: a card is bound to a uio driver.
[Service]
CapabilityBoundingSet=CAP_SYS_ADMIN
DeviceAllow=char-uio rw
";

pub(super) fn step(step: &Step) -> Result<(), String> {
    match step {
        Step::Remember(lines) => write(&Path::new("/").join(REMEMBERED), lines),
        Step::Load(module) => run("modprobe", &[module]),
        Step::Allow => {
            let file = Path::new(RIGHTS);
            fs::create_dir_all(file.parent().unwrap_or(file))
                .map_err(|error| format!("{RIGHTS}: {error}"))?;
            write(file, RIGHTS_TEXT)?;
            run("systemctl", &["daemon-reload"])
        }
        Step::Hugepages { directory, kilobytes, count } => hugepages(directory, *kilobytes, *count),
        Step::Bind { address, driver, .. } => bind(address, driver),
    }
}

fn hugepages(directory: &str, kilobytes: u64, count: u64) -> Result<(), String> {
    let got = reserve(directory, kilobytes, count)?;
    if got >= count {
        return Ok(());
    }
    let found = got * kilobytes / 1024;
    if kilobytes <= 2048 {
        return Err(format!(
            "only {found} MiB were to be had: memory is in use or in pieces; reboot, or reserve \
             them on the kernel's command line (hugepages={count})"
        ));
    }
    let missing = ((count - got) * kilobytes).div_ceil(2048);
    let small = reserve(directory, 2048, missing)?;
    if small < missing {
        return Err(format!(
            "only {} MiB were to be had: memory is in use or in pieces; reboot, or reserve them on \
             the kernel's command line (default_hugepagesz=1G hugepagesz=1G hugepages={count})",
            found + small * 2
        ));
    }
    Ok(())
}

/// Asks for pages, and says how many there are then.
fn reserve(directory: &str, kilobytes: u64, count: u64) -> Result<u64, String> {
    let file = PathBuf::from(format!("{directory}/hugepages-{kilobytes}kB/nr_hugepages"));
    write(&file, &count.to_string())?;
    let there =
        fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(there.trim().parse().unwrap_or_default())
}

fn bind(address: &str, driver: &str) -> Result<(), String> {
    let device = Path::new("/sys/bus/pci/devices").join(address);
    // Only this driver may have it from now on; then the old one loses it.
    write(&device.join("driver_override"), driver)?;
    if device.join("driver").exists() {
        write(&device.join("driver/unbind"), address)?;
    }
    write(Path::new("/sys/bus/pci/drivers_probe"), address)?;
    let bound = fs::read_link(device.join("driver")).ok();
    match bound.as_deref().and_then(Path::file_name) {
        Some(name) if name == driver => Ok(()),
        _ => Err("the driver has refused it: the kernel's log (dmesg) says why".to_owned()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
