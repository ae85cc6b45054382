#!/usr/bin/python3
"""Prints the libvirt domain of a relay: `domain.py ... | virsh define /dev/stdin`.

The size is one of images/flavours.toml. A data port is one of

  bridge:NAME        virtio, by vhost-net, on a bridge of the host
  vhost-user:SOCKET  virtio, on a DPDK vSwitch that connects to this socket (dpdkvhostuserclient)
  vf:ADDRESS         an SR-IOV virtual function, whose MAC address and VLAN libvirt sets
  pci:ADDRESS        a whole PCI device

and, but for the last, perhaps with a MAC address by which lwaftr.toml names it:
bridge:br0@52:54:00:00:00:01.
Ports of the same kind are nic:1 and nic:2 in the guest; a whole device comes after all others.
"""

import argparse
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

FLAVOURS = tomllib.loads((Path(__file__).parent.parent / "flavours.toml").read_text())
PORT = re.compile(r"(bridge|vhost-user|vf|pci):([^@]+)(?:@([0-9A-Fa-f:]{11,17}))?")
ADDRESS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])", re.IGNORECASE)


def main() -> None:
    arguments = options()
    domain = machine(arguments)
    devices = ET.SubElement(domain, "devices")
    disks(devices, arguments)
    management(devices, arguments.management)
    for kind, where, mac in (arguments.external, arguments.internal):
        if kind == "pci":
            whole_device(devices, where)
        else:
            data_port(devices, kind, where, mac, arguments)
    rest(devices, arguments)
    ET.indent(domain)
    print(ET.tostring(domain, encoding="unicode"))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", default="lwaftr")
    parser.add_argument("--flavour", choices=FLAVOURS, default=next(iter(FLAVOURS)))
    parser.add_argument("--image", required=True, help="a copy of the image, for this relay alone")
    parser.add_argument("--seed", help="the config drive or NoCloud disk with the user data")
    parser.add_argument("--management", default="default", help="a network of libvirt's")
    parser.add_argument("--external", type=port, required=True, metavar="PORT")
    parser.add_argument("--internal", type=port, required=True, metavar="PORT")
    parser.add_argument(
        "--cpus", type=cpus, help="host CPUs for the guest's, like 2,3,4-7; in its order"
    )
    parser.add_argument("--emulator-cpus", help="host CPUs for QEMU's own threads, like 0-1")
    parser.add_argument(
        "--node", type=int, default=0, help="the NUMA node of CPUs, NICs and memory"
    )
    parser.add_argument("--page", choices=["1G", "2M"], default="1G", help="the host's hugepages")
    parser.add_argument("--efi", action="store_true", help="boot by UEFI instead of BIOS")
    parser.add_argument(
        "--no-iommu", action="store_true", help="no emulated IOMMU: the guest takes uio_pci_generic"
    )
    arguments = parser.parse_args()
    wanted = FLAVOURS[arguments.flavour]["vcpus"]
    if arguments.cpus and len(arguments.cpus) != wanted:
        parser.error(
            f"--cpus: flavour {arguments.flavour} needs {wanted}, not {len(arguments.cpus)}"
        )
    return arguments


def port(text: str) -> tuple[str, str, str | None]:
    found = PORT.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"{text} is not bridge:, vhost-user:, vf: or pci: with a name"
        )
    kind, where, mac = found.groups()
    if kind in ("vf", "pci") and not ADDRESS.fullmatch(where):
        raise argparse.ArgumentTypeError(f"{where} is not a PCI address like 0000:3b:02.0")
    return kind, where, mac


def cpus(text: str) -> list[int]:
    try:
        ends = [part.partition("-") for part in text.split(",")]
        return [cpu for first, _, last in ends for cpu in range(int(first), int(last or first) + 1)]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a list of CPUs like 2,3,4-7") from None


def machine(arguments: argparse.Namespace) -> ET.Element:
    """CPUs, memory and firmware."""
    size = FLAVOURS[arguments.flavour]
    domain = ET.Element("domain", type="kvm")
    add(domain, "name", arguments.name)
    add(domain, "memory", size["memory"], unit="MiB")
    memory = add(domain, "memoryBacking")
    pages = add(memory, "hugepages")
    add(pages, "page", size=arguments.page[0], unit="GiB" if arguments.page == "1G" else "MiB")
    # A vSwitch reads and writes packets where the guest has them.
    add(memory, "source", type="memfd")
    add(memory, "access", mode="shared")
    add(memory, "allocation", mode="immediate")

    add(domain, "vcpu", size["vcpus"], placement="static")
    if arguments.cpus or arguments.emulator_cpus:
        tune = add(domain, "cputune")
        for number, cpu in enumerate(arguments.cpus or []):
            add(tune, "vcpupin", vcpu=number, cpuset=cpu)
        if arguments.emulator_cpus:
            add(tune, "emulatorpin", cpuset=arguments.emulator_cpus)
    add(add(domain, "numatune"), "memory", mode="strict", nodeset=arguments.node)

    system = add(domain, "os", **({"firmware": "efi"} if arguments.efi else {}))
    add(system, "type", "hvm", arch="x86_64", machine="q35")
    if arguments.efi:
        # The image's boot loader is not signed by anybody whom firmware knows.
        add(add(system, "firmware"), "feature", enabled="no", name="secure-boot")
    features = add(domain, "features")
    add(features, "acpi")
    add(features, "apic")
    if not arguments.no_iommu:
        # Interrupts that the emulated IOMMU remaps need the emulator's own controller.
        add(features, "ioapic", driver="qemu")
    processor = add(domain, "cpu", mode="host-passthrough", check="none", migratable="off")
    add(processor, "topology", sockets=1, dies=1, cores=size["vcpus"], threads=1)
    # The time-stamp counter that workers tell time by.
    add(processor, "feature", policy="require", name="invtsc")
    add(add(domain, "clock", offset="utc"), "timer", name="hpet", present="no")
    add(domain, "on_crash", "restart")
    return domain


def disks(devices: ET.Element, arguments: argparse.Namespace) -> None:
    disk = add(devices, "disk", type="file", device="disk")
    add(disk, "driver", name="qemu", type="qcow2", discard="unmap")
    add(disk, "source", file=arguments.image)
    add(disk, "target", dev="vda", bus="virtio")
    add(disk, "boot", order=1)
    if arguments.seed:
        seed = add(devices, "disk", type="file", device="disk")
        add(seed, "driver", name="qemu", type="raw")
        add(seed, "source", file=arguments.seed)
        add(seed, "target", dev="vdb", bus="virtio")
        add(seed, "readonly")


def management(devices: ET.Element, network: str) -> None:
    interface = add(devices, "interface", type="network")
    add(interface, "source", network=network)
    add(interface, "model", type="virtio")


def data_port(
    devices: ET.Element, kind: str, where: str, mac: str | None, arguments: argparse.Namespace
) -> None:
    types = {"bridge": "bridge", "vhost-user": "vhostuser", "vf": "hostdev"}
    interface = add(devices, "interface", type=types[kind])
    if kind == "vf":
        interface.set("managed", "yes")
    if mac:
        add(interface, "mac", address=mac)
    if kind == "vf":
        pci(add(interface, "source"), where, type="pci")
        return
    if kind == "bridge":
        add(interface, "source", bridge=where)
    else:
        # The vSwitch connects, so that it can be restarted.
        add(interface, "source", type="unix", path=where, mode="server")
    add(interface, "model", type="virtio")
    queues = FLAVOURS[arguments.flavour]["workers"]
    driver = add(interface, "driver", queues=queues, rx_queue_size=1024)
    if kind == "bridge":
        driver.set("name", "vhost")
        if queues > 1:
            # Hashes of addresses choose the queue, as the relay asks for more than one worker.
            driver.set("rss", "on")
    if not arguments.no_iommu:
        driver.set("iommu", "on")
        driver.set("ats", "on")


def whole_device(devices: ET.Element, address: str) -> None:
    device = add(devices, "hostdev", mode="subsystem", type="pci", managed="yes")
    pci(add(device, "source"), address)


def pci(source: ET.Element, address: str, **more: str) -> None:
    names = ("domain", "bus", "slot", "function")
    parts = ADDRESS.fullmatch(address).groups()
    add(
        source,
        "address",
        **more,
        **{name: f"0x{part}" for name, part in zip(names, parts, strict=True)},
    )


def rest(devices: ET.Element, arguments: argparse.Namespace) -> None:
    add(devices, "serial", type="pty")
    add(devices, "console", type="pty")
    add(devices, "watchdog", model="i6300esb", action="reset")
    add(add(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")
    add(devices, "memballoon", model="none")
    if not arguments.no_iommu:
        iommu = add(devices, "iommu", model="intel")
        add(iommu, "driver", intremap="on", caching_mode="on", iotlb="on")


def add(parent: ET.Element, tag: str, text: object = None, **attributes: object) -> ET.Element:
    element = ET.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
    if text is not None:
        element.text = str(text)
    return element


if __name__ == "__main__":
    main()
