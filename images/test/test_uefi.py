"""Boot by UEFI; cards behind an IOMMU, named by their MAC addresses; the table from a volume."""

from pathlib import Path

import pytest

import relay as lab
from seed import volume


@pytest.fixture(scope="module")
def relay(image, directory):
    """The user data is about the login only: the relay's files are on a volume."""
    files = Path(directory) / "volume"
    files.mkdir()
    (files / "lwaftr.toml").write_text(lab.config(f"mac:{lab.EXTERNAL_MAC}", f"mac:{lab.INTERNAL_MAC}"))
    (files / "softwires.csv").write_text(lab.TABLE)
    drive = volume(Path(directory) / "volume.iso", "LWAFTR", files)
    relay = lab.on_sockets(image, directory, "uefi", toml="", uefi=True, iommu=True, volume=drive)
    yield relay.start()
    relay.stop()


def test_it_forwards_without_a_hand(relay, figure):
    seconds = relay.wait_until_it_forwards()
    figure("first boot (UEFI, vfio-pci): from power on to the first forwarded packet", f"{seconds:.0f} s")
    relay.machine.wait_for_ssh()


def test_it_was_uefi(relay):
    assert "firmware" in relay.machine.ssh("ls -d /sys/firmware/efi")


def test_cards_are_behind_the_iommu(relay):
    assert relay.drivers() == ["vfio-pci"] * 2
    # Then the service has no right to see physical addresses.
    assert "cap_sys_admin" not in relay.machine.ssh("systemctl show lwaftr -p CapabilityBoundingSet")


def test_packets_both_ways(relay):
    relay.encapsulates(lab.SECOND, 500)
    relay.decapsulates(lab.SECOND, 500)


def test_the_configuration_came_from_the_volume(relay):
    assert "configuration taken from the volume LWAFTR" in relay.machine.console()


def test_the_doctor_finds_no_problem(relay):
    said = relay.machine.ssh("sudo lwaftr doctor /etc/lwaftr/lwaftr.toml", check=False)
    ours = [line for line in said.splitlines() if line.startswith("problem")]
    # TCG has no invariant TSC to show.
    assert all("clock" in line for line in ours), said
