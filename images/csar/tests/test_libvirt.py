"""The libvirt domain: by libvirt's schema, and by libvirt itself as far as it goes without a host."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from conftest import ROOT

from csar import flavours

SCRIPT = ROOT / "images/libvirt/domain.py"
SIZES = {size.name: size for size in flavours.read()}
BRIDGES = ["--external", "bridge:br-ext@52:54:00:00:00:01", "--internal", "bridge:br-int"]
VARIANTS = {
    "bridges": [*BRIDGES, "--seed", "/var/lib/libvirt/images/seed.img"],
    "vSwitch": [
        "--external",
        "vhost-user:/run/vm/e",
        "--internal",
        "vhost-user:/run/vm/i",
        "--page",
        "2M",
    ],
    "SR-IOV": [
        "--external",
        "vf:0000:3b:02.0@52:54:00:00:00:01",
        "--internal",
        "vf:0000:3b:02.1",
        "--node",
        "1",
    ],
    "whole cards": ["--external", "pci:0000:3b:00.0", "--internal", "pci:0000:5e:00.1", "--efi"],
    "no IOMMU": [*BRIDGES, "--no-iommu"],
}


def domain(*arguments: str) -> str:
    command = [
        sys.executable,
        SCRIPT,
        "--image",
        "/var/lib/libvirt/images/lwaftr.qcow2",
        *arguments,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def defined(xml: str, directory: Path) -> ET.Element:
    """What libvirt makes of it, after its schema has agreed."""
    file = directory / "domain.xml"
    file.write_text(xml)
    virsh = ["virsh", "--quiet", "--connect", "test:///default"]
    done = subprocess.run(
        ["virt-xml-validate", file, "domain"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # The test driver forgets: defining and showing go in one call.
    done = subprocess.run(
        [*virsh, f"define {file}; dumpxml lwaftr"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return ET.fromstring(done.stdout[done.stdout.index("<domain") :])


@pytest.mark.parametrize("flavour", SIZES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_libvirt_takes_it(tmp_path: Path, variant: str, flavour: str) -> None:
    seen = defined(domain("--flavour", flavour, *VARIANTS[variant]), tmp_path)
    size = SIZES[flavour]
    assert seen.findtext("vcpu") == str(size.vcpus)
    assert seen.findtext("memory") == str(size.memory << 10)
    page = seen.find("memoryBacking/hugepages/page")
    assert (page.get("size"), page.get("unit")) == (
        "2048" if variant == "vSwitch" else "1048576",
        "KiB",
    )
    queues = [driver.get("queues") for driver in seen.iterfind("devices/interface/driver")]
    if variant in ("SR-IOV", "whole cards"):
        assert queues == []
    elif size.workers > 1:
        assert queues == [str(size.workers)] * 2
        hashes = [driver.get("rss") for driver in seen.iterfind("devices/interface/driver")]
        assert hashes == [None if variant == "vSwitch" else "on"] * 2
    if variant == "whole cards":
        assert seen.find("os").get("firmware") == "efi"
        assert seen.find("os/firmware/feature").attrib == {"enabled": "no", "name": "secure-boot"}
    assert (seen.find("devices/iommu") is None) == (variant == "no IOMMU")


def test_cpus_are_pinned_in_their_order(tmp_path: Path) -> None:
    seen = defined(
        domain("--flavour", "medium", "--cpus", "2-4,8,10", "--emulator-cpus", "0-1", *BRIDGES),
        tmp_path,
    )
    pins = [(pin.get("vcpu"), pin.get("cpuset")) for pin in seen.iterfind("cputune/vcpupin")]
    assert pins == [("0", "2"), ("1", "3"), ("2", "4"), ("3", "8"), ("4", "10")]
    assert seen.find("cputune/emulatorpin").get("cpuset") == "0-1"


def test_ports_are_what_was_asked_for(tmp_path: Path) -> None:
    seen = defined(domain(*VARIANTS["SR-IOV"]), tmp_path)
    management, external, internal = seen.iterfind("devices/interface")
    assert management.get("type") == "network"
    assert (external.get("type"), external.find("mac").get("address")) == (
        "hostdev",
        "52:54:00:00:00:01",
    )
    address = internal.find("source/address").attrib
    assert (address["bus"], address["slot"], address["function"]) == ("0x3b", "0x02", "0x1")
    assert seen.find("numatune/memory").get("nodeset") == "1"

    seen = defined(domain(*VARIANTS["vSwitch"]), tmp_path)
    source = seen.find("devices/interface[@type='vhostuser']/source")
    assert (source.get("path"), source.get("mode")) == ("/run/vm/e", "server")
    # Without memory that both see there is no vhost-user.
    assert seen.find("memoryBacking/access").get("mode") == "shared"


def test_the_schema_would_tell(tmp_path: Path) -> None:
    file = tmp_path / "domain.xml"
    file.write_text(domain(*BRIDGES).replace("<rng ", "<ring ").replace("</rng>", "</ring>"))
    done = subprocess.run(
        ["virt-xml-validate", file, "domain"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--external", "tap:x", "--internal", "bridge:b"],
            "tap:x is not bridge:, vhost-user:, vf: or pci:",
        ),
        (
            ["--external", "vf:3b:02.0", "--internal", "bridge:b"],
            "3b:02.0 is not a PCI address like 0000:3b:02.0",
        ),
        ([*BRIDGES, "--cpus", "2,3,4"], "--cpus: flavour small needs 2, not 3"),
        ([*BRIDGES, "--cpus", "two"], "two is not a list of CPUs like 2,3,4-7"),
        ([*BRIDGES, "--flavour", "huge"], "invalid choice: 'huge'"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], says: str) -> None:
    command = [sys.executable, SCRIPT, "--image", "/image", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
