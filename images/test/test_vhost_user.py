"""The image as a guest of a DPDK switch: its ports are vhost-user, their other end is testpmd or Open
vSwitch. From there a frame goes on to a tap, where the test is."""

import os
import secrets
import socket
import subprocess
import time
from pathlib import Path

import pytest

import relay as lab
from vm import Machine, run, wait_until
from wire import Host

HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")


class TapHost(Host):
    """A host on a tap that the switch has made, instead of on a QEMU socket."""

    def __init__(self, interface, mac, ipv4=None, ipv6=None):
        self.interface = interface
        wait_until(lambda: os.path.exists(f"/sys/class/net/{interface}"), 60, f"tap {interface}")
        run("sysctl", "-q", "-w", f"net.ipv6.conf.{interface}.disable_ipv6=1")
        run("ip", "link", "set", interface, "up")
        one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        one.bind((interface, 0))
        one.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        self.attach(one, mac, ipv4, ipv6)

    def send(self, frame):
        self.socket.send(bytes(frame))

    def close(self):
        self.socket.close()


class Testpmd:
    """A port for the machine and a tap, frames from each to the other; twice."""

    def __init__(self, directory, queues):
        self.sockets = [f"{directory}/pmd-{side}" for side in ("ext", "int")]
        self.taps = ["lwi-ext", "lwi-int"]
        devices = []
        for number in range(2):
            devices += [f"--vdev=net_vhost{number},iface={self.sockets[number]},queues={queues}",
                        f"--vdev=net_tap{number},iface={self.taps[number]}"]
        self.log = open(f"{directory}/testpmd.log", "w")
        # Ports have numbers in this order, and are paired by it.
        self.process = subprocess.Popen(
            ["dpdk-testpmd", "--lcores=0@(0-1),1@(0-1)", "--no-pci", "--file-prefix=lwi-testpmd", "--in-memory",
             "--single-file-segments", *devices, "--", "--auto-start", "--forward-mode=io", "--port-topology=paired",
             f"--rxq={queues}", f"--txq={queues}", "--total-num-mbufs=8192", "--stats-period=10"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        wait_until(lambda: all(os.path.exists(path) for path in self.sockets), 60, "testpmd's sockets")

    def close(self):
        self.process.terminate()
        self.process.wait(30)


class OpenVswitch:
    """Two bridges of the userspace datapath, each with a port for the machine and a tap."""

    def __init__(self, directory, queues):
        self.place = Path(directory) / "ovs"
        self.place.mkdir()
        self.environment = {**os.environ, "OVS_RUNDIR": str(self.place), "OVS_LOGDIR": str(self.place),
                            "OVS_DBDIR": str(self.place), "OVS_SYSCONFDIR": str(self.place)}
        database = self.place / "conf.db"
        self._run("ovsdb-tool", "create", str(database), "/usr/share/openvswitch/vswitch.ovsschema")
        server = ["ovsdb-server", str(database), f"--remote=punix:{self.place}/db.sock", "--no-chdir"]
        self.processes = [self._start(*server)]
        wait_until(lambda: (self.place / "db.sock").exists(), 30, "database")
        self._vsctl("--no-wait", "init")
        for key, value in {"dpdk-init": "true", "dpdk-socket-mem": "256", "pmd-cpu-mask": "0x2",
                           "dpdk-extra": "--no-pci --file-prefix=lwi-ovs"}.items():
            self._vsctl("--no-wait", "set", "Open_vSwitch", ".", f'other_config:{key}="{value}"')
        daemon = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
        self.processes.append(self._start(daemon, f"unix:{self.place}/db.sock", "--no-chdir"))
        self.taps = ["lwi-ext", "lwi-int"]
        self.sockets = []
        for number, tap in enumerate(self.taps):
            bridge, port = f"lwibr{number}", f"vhost{number}"
            self._vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
            path = f"{self.place}/{port}"
            # The machine is the server: a switch that is restarted finds it again.
            self._vsctl("add-port", bridge, port, "--", "set", "Interface", port, "type=dpdkvhostuserclient",
                        f"options:vhost-server-path={path}", f"options:n_rxq={queues}")
            self._vsctl("add-port", bridge, tap, "--", "set", "Interface", tap, "type=tap")
            self.sockets.append(path)

    def _run(self, *command):
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def _vsctl(self, *words):
        self._run("ovs-vsctl", f"--db=unix:{self.place}/db.sock", *words)

    def _start(self, *command):
        log = open(self.place / f"{Path(command[0]).name}.log", "w")
        return subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)

    def close(self):
        for number in range(len(self.sockets)):
            self._vsctl("del-br", f"lwibr{number}")
        for process in reversed(self.processes):
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def hugepages():
    before = HUGEPAGES.read_text()
    HUGEPAGES.write_text("400")
    yield
    HUGEPAGES.write_text(before)


def guest(image, directory, name, sockets, queues, server):
    """The machine, its data ports on these sockets."""
    machine = Machine(image, directory, name, lab.user_data(lab.config()))
    machine.command += ["-object", "memory-backend-memfd,id=memory,size=1024M,share=on",
                        "-numa", "node,memdev=memory"]
    wait = ",server=on,wait=off" if server else ""
    for number, (path, mac) in enumerate(zip(sockets, (lab.EXTERNAL_MAC, lab.INTERNAL_MAC))):
        several = ",mq=on" if queues > 1 else ""
        # Without vectors: QEMU 7.2 without KVM fails with them.
        machine.command += ["-chardev", f"socket,id=switch{number},path={path}{wait}",
                            "-netdev", f"vhost-user,id=data{number},chardev=switch{number},queues={queues}",
                            "-device", f"virtio-net-pci,netdev=data{number},mac={mac},addr={0x11 + number:#x},"
                                       f"romfile=,vectors=0{several}"]
    return machine.start()


SWITCHES = {"testpmd": (Testpmd, False), "Open vSwitch": (OpenVswitch, True)}


@pytest.mark.parametrize("queues", [1, 2])
@pytest.mark.parametrize("switch", SWITCHES)
def test_packets_through_a_dpdk_switch(image, directory, hugepages, figure, switch, queues):
    kind, machine_listens = SWITCHES[switch]
    place = Path(directory) / f"{kind.__name__}{queues}"
    place.mkdir()
    other_end = kind(place, queues)
    machine, hosts = None, []
    try:
        internet = TapHost(other_end.taps[0], "02:00:00:00:00:01", ipv4="192.0.2.1")
        access = TapHost(other_end.taps[1], "02:00:00:00:00:02", ipv6="2001:db8:0:1::1")
        hosts = [internet, access]
        machine = guest(image, place, f"guest{queues}", other_end.sockets, queues, machine_listens)
        start = time.monotonic()

        def forwards():
            frame, expected = lab.encapsulated(1, secrets.token_bytes(16))
            internet.send(frame)
            return access.expect(lambda raw: raw == bytes(expected), 1) is not None

        wait_until(forwards, 600, "packet through the relay")
        for size in (18, 500, 1400):
            frame, expected = lab.encapsulated(2, secrets.token_bytes(size))
            internet.send(frame)
            assert access.expect(lambda raw: raw == bytes(expected)), f"encapsulation, {size} bytes"
            frame, expected = lab.decapsulated(1, secrets.token_bytes(size))
            access.send(frame)
            assert internet.expect(lambda raw: raw == bytes(expected)), f"decapsulation, {size} bytes"
        figure(f"vhost-user, {switch}, {queues} queue pair(s): from power on to the first forwarded packet",
               f"{time.monotonic() - start:.0f} s")
    finally:
        if machine:
            print(machine.console()[-1500:])
            machine.stop()
        for host in hosts:
            host.close()
        other_end.close()
