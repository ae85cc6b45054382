"""The image as a guest of a DPDK switch: its ports are vhost-user, their other end is testpmd or Open
vSwitch. From there a frame goes on to a tap, where the test is."""

import os
import subprocess
from pathlib import Path

import pytest

import relay as lab
from vm import Machine, wait_until
from wire import TapHost

HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")
# Two runs do not meet.
TAPS = [f"lwi{os.getpid()}{side}" for side in ("ext", "int")]


class Testpmd:
    """A port for the machine and a tap, frames from each to the other; twice. However many queue pairs the
    machine is offered, frames go to the first: testpmd does not know which ones the machine uses."""

    __test__ = False
    name, machine_listens = "testpmd", False

    def __init__(self, directory, queues):
        self.sockets = [f"{directory}/pmd-{side}" for side in ("ext", "int")]
        self.taps = TAPS
        devices = []
        for number in range(2):
            devices += [f"--vdev=net_vhost{number},iface={self.sockets[number]},queues={queues}",
                        f"--vdev=net_tap{number},iface={self.taps[number]}"]
        self.log = open(f"{directory}/testpmd.log", "w")
        # Ports have numbers in this order, and are paired by it.
        self.process = subprocess.Popen(
            ["dpdk-testpmd", "--lcores=0@(0-1),1@(0-1)", "--no-pci", f"--file-prefix=lwi-testpmd{os.getpid()}", "--in-memory",
             "--single-file-segments", *devices, "--", "--auto-start", "--forward-mode=io", "--port-topology=paired",
             "--total-num-mbufs=8192", "--stats-period=10"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        wait_until(lambda: all(os.path.exists(path) for path in self.sockets), 60, "testpmd's sockets")

    def close(self):
        self.process.terminate()
        self.process.wait(30)


class OpenVswitch:
    """Two bridges of the userspace datapath, each with a port for the machine and a tap. It uses those of a
    port's queue pairs that the machine has enabled."""

    name, machine_listens = "Open vSwitch", True

    def __init__(self, directory, _queues):
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
                           "dpdk-extra": f"--no-pci --file-prefix=lwi-ovs{os.getpid()}"}.items():
            self._vsctl("--no-wait", "set", "Open_vSwitch", ".", f'other_config:{key}="{value}"')
        daemon = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
        self.processes.append(self._start(daemon, f"unix:{self.place}/db.sock", "--no-chdir"))
        self.taps = TAPS
        self.sockets = []
        for number, tap in enumerate(self.taps):
            bridge, port = f"lwibr{number}", f"vhost{number}"
            self._vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
            path = f"{self.place}/{port}"
            # The machine is the server: a switch that is restarted finds it again.
            self._vsctl("add-port", bridge, port, "--", "set", "Interface", port, "type=dpdkvhostuserclient",
                        f"options:vhost-server-path={path}")
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
    """The machine, its data ports on these sockets, its user data from a config drive."""
    several = ",mq=on" if queues > 1 else ""
    wait = ",server=on,wait=off" if server else ""
    ports, more = [], ["-object", "memory-backend-memfd,id=memory,size=1024M,share=on", "-numa", "node,memdev=memory"]
    for number, (path, mac) in enumerate(zip(sockets, (lab.EXTERNAL_MAC, lab.INTERNAL_MAC))):
        more += ["-chardev", f"socket,id=switch{number},path={path}{wait}"]
        ports.append((f"vhost-user,id=data{number},chardev=switch{number},queues={queues}", mac))
    # Without vectors: QEMU 7.2 without KVM fails with them.
    return Machine(image, directory, name, lab.user_data(lab.config()), ports=ports, cloud="ConfigDrive",
                   device=f",vectors=0{several}", more=more)


@pytest.fixture(scope="module", params=[(Testpmd, 1), (Testpmd, 2), (OpenVswitch, 1), (OpenVswitch, 2)],
                ids=lambda param: f"{param[0].name}-{param[1]}")
def relay(request, image, directory, hugepages):
    kind, queues = request.param
    place = Path(directory) / f"{kind.__name__}{queues}"
    place.mkdir()
    switch = kind(place, queues)
    try:
        internet = TapHost(switch.taps[0], "02:00:00:00:00:01", ipv4="192.0.2.1")
        access = TapHost(switch.taps[1], "02:00:00:00:00:02", ipv6="2001:db8:0:1::1")
        machine = guest(image, place, f"guest{queues}", switch.sockets, queues, kind.machine_listens)
        relay = lab.Relay(machine, internet, access)
        relay.queues, relay.name = queues, f"{kind.name}, {queues} queue pair{'s' * (queues > 1)}"
        yield relay.start()
        relay.stop()
    finally:
        switch.close()


def test_packets_through_a_dpdk_switch(relay, figure):
    seconds = relay.wait_until_it_forwards()
    figure(f"vhost-user, {relay.name}: from power on to the first forwarded packet", f"{seconds:.0f} s")
    for size in (18, 500, 1400):
        relay.encapsulates(lab.SECOND, size)
        relay.decapsulates(lab.FIRST, size)


def test_the_user_data_came_from_the_config_drive(relay):
    relay.machine.wait_for_ssh()
    assert "DataSourceConfigDrive" in relay.machine.ssh("cat /var/lib/cloud/instance/datasource")


def test_more_workers_are_refused_with_the_reason(relay):
    """F7: how the vSwitch spreads is not the machine's choice, or there is but one queue. Refused, the machine
    stays reachable."""
    machine = relay.machine
    machine.copy(lab.config(extra="[workers]\ncpus = [0, 1]\n"), "/etc/lwaftr/lwaftr.toml")
    machine.ssh("sudo systemctl restart lwaftr", check=False, seconds=300)
    reason = "net_virtio can have 1 to 1" if relay.queues == 1 else \
        "all fragments of a packet must meet one worker, and its driver does not let us choose how packets are spread"
    assert reason in machine.ssh("sudo journalctl --no-pager -o cat -u lwaftr")
    machine.copy(lab.config(), "/etc/lwaftr/lwaftr.toml")
    machine.ssh("sudo systemctl reset-failed lwaftr; sudo systemctl restart lwaftr", seconds=300)
    relay.wait_until_it_forwards(120)
