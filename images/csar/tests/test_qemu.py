"""The plain QEMU script, starting QEMU with blank disks: does QEMU take what it asks for?"""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT

from csar import flavours

SCRIPT = ROOT / "images/qemu-system.sh"


class Monitor:
    """QEMU's machine protocol."""

    def __init__(self, path: Path, process: subprocess.Popen) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                assert process.poll() is None, process.stderr.read().decode()
                time.sleep(0.1)
        self.lines = self.socket.makefile("r")
        json.loads(self.lines.readline())
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> object:
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while "return" not in (answer := json.loads(self.lines.readline())):
            assert "error" not in answer, answer
        return answer["return"]

    def human(self, line: str) -> str:
        return self.ask("human-monitor-command", **{"command-line": line})


@contextmanager
def machine(
    directory: Path, *, in_namespace: bool = False, **environment: str
) -> Iterator[Monitor]:
    image, seed = directory / "image.qcow2", directory / "seed.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1G"], check=True)
    seed.write_bytes(bytes(1 << 20))
    control = directory / "control"
    # Nothing on the disks to boot: it need not try.
    environment = {
        "ACCEL": "tcg",
        "MANAGEMENT": "user",
        "MORE": f"-S -qmp unix:{control},server,nowait",
    } | environment
    unshared = ["unshare", "--user", "--map-root-user", "--net"]
    command = unshared * in_namespace + [str(SCRIPT), str(image), str(seed)]
    process = subprocess.Popen(
        command,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield Monitor(control, process)
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


def datagrams(directory: Path, side: str) -> str:
    here, there = directory / side, directory / f"{side}-peer"
    return f"dgram,local.type=unix,local.path={here},remote.type=unix,remote.path={there}"


def cards(monitor: Monitor) -> list[tuple[str, str]]:
    """The network cards' MAC addresses and what is behind them, in the order of PCI addresses."""
    tree = monitor.human("info qtree").replace("\r", "")
    one = r'dev: virtio-net-pci,.*?addr = (\S+)\n.*?mac = "(\S+)"\n\s+netdev = "(\w+)"'
    return [(mac, backend) for _, mac, backend in sorted(re.findall(one, tree, re.DOTALL))]


@pytest.mark.parametrize("iommu", ["on", "off"])
def test_a_small_relay(tmp_path: Path, iommu: str) -> None:
    sides = {side.upper(): datagrams(tmp_path, side) for side in ("external", "internal")}
    with machine(tmp_path, IOMMU=iommu, **sides) as monitor:
        assert monitor.ask("query-status")["status"] == "prelaunch"
        size = flavours.read()[0]
        assert len(monitor.ask("query-cpus-fast")) == size.vcpus
        assert monitor.ask("query-memory-size-summary")["base-memory"] == size.memory << 20
        [backend] = monitor.ask("query-memdev")
        assert backend["share"] is True
        disks = {
            disk["inserted"]["file"]: disk["inserted"]["ro"] for disk in monitor.ask("query-block")
        }
        assert disks == {str(tmp_path / "image.qcow2"): False, str(tmp_path / "seed.img"): True}
        # nic:0 is the management, nic:1 external, nic:2 internal.
        assert cards(monitor) == [
            ("52:54:00:00:00:00", "management"),
            ("52:54:00:00:00:01", "external"),
            ("52:54:00:00:00:02", "internal"),
        ]
        assert ("intel-iommu" in monitor.human("info qtree")) == (iommu == "on")


def test_a_medium_relay_has_a_queue_pair_for_each_worker(tmp_path: Path) -> None:
    workers = {size.name: size.workers for size in flavours.read()}["medium"]
    with machine(tmp_path, in_namespace=True, FLAVOUR="medium") as monitor:
        network = monitor.human("info network")
        for side in ("ext", "int"):
            assert len(re.findall(rf"type=tap,ifname=lwaftr-{side},", network)) == workers
        tree = monitor.human("info qtree")
        assert tree.count("mq = true") == tree.count(" rss = true") == 2
        assert tree.count(f"vectors = {2 * workers + 2} ") == 2


@pytest.mark.parametrize(
    ("environment", "arguments", "says"),
    [
        ({}, ["none.qcow2"], "none.qcow2: there is no such image"),
        ({}, [SCRIPT, "none.img"], "none.img: there is no such disk"),
        ({"FLAVOUR": "huge"}, [SCRIPT], "FLAVOUR=huge: flavours.toml has no such flavour"),
        ({"ACCEL": "xen"}, [SCRIPT], "ACCEL=xen: kvm or tcg"),
        ({}, [], ""),
    ],
)
def test_what_is_wrong_is_said(environment: dict, arguments: list, says: str) -> None:
    done = subprocess.run(
        [SCRIPT, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert done.stderr.strip() == says
    assert says or done.stdout.startswith("qemu-system.sh IMAGE [SEED]: runs a relay")
