"""A virtual machine from the image: QEMU without KVM, a management port, data ports, user data."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import seed

SCRIPT = Path(__file__).parent.parent / "qemu-system.sh"
MANAGEMENT_MAC = "52:54:00:00:00:00"


class Machine:
    """One machine with its own copy-on-write disk."""

    def __init__(self, image, directory, name, user_data, ports=(), uefi=False, iommu=False, memory=1024, volume=None,
                 cloud="NoCloud", device="", more=()):
        """Ports are a netdev and a MAC address each. `device` is added to what makes their cards, `more` to
        all of the command; `cloud` says how the user data comes."""
        self.directory = Path(directory)
        self.name = name
        self.console_file = self.directory / f"{name}.console"
        self.ssh_port, self.api_port = free_port(), free_port()
        self.key = self.directory / "key"
        if not self.key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        self.disk = self.directory / f"{name}.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(self.disk), "4G")
        self.management = f"user,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22,hostfwd=tcp:127.0.0.1:{self.api_port}-:8676"
        self.command = ["qemu-system-x86_64", "-name", name, "-accel", "tcg,thread=multi,tb-size=512",
                        "-cpu", "max", "-smp", "2", "-m", str(memory), "-display", "none", "-no-user-config",
                        "-serial", "stdio", "-monitor", "none"]
        self.command += ["-machine", "q35", "-object", "rng-random,id=rng,filename=/dev/urandom",
                         "-device", "virtio-rng-pci,rng=rng"]
        if iommu:
            self.command += ["-device", "intel-iommu,intremap=on,device-iotlb=on"]
            device += ",iommu_platform=on,ats=on,disable-legacy=on"
        if uefi:
            variables = self.directory / f"{name}.vars"
            shutil.copy("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
            firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd"
            self.command += ["-drive", f"if=pflash,format=raw,readonly=on,file={firmware}",
                             "-drive", f"if=pflash,format=raw,file={variables}"]
        self.command += ["-drive", f"if=virtio,format=qcow2,file={self.disk}"]
        self._cloud(cloud, user_data, [MANAGEMENT_MAC, *(mac for _, mac in ports)])
        if volume:
            self.command += ["-drive", f"if=virtio,format=raw,readonly=on,file={volume}"]
        self.command += ["-netdev", f"{self.management},id=management",
                         "-device", f"virtio-net-pci,netdev=management,mac={MANAGEMENT_MAC},addr=0x10,romfile="]
        for number, (netdev, mac) in enumerate(ports):
            self.command += ["-netdev", netdev, "-device",
                             f"virtio-net-pci,netdev={netdev_id(netdev)},mac={mac},"
                             f"addr={0x11 + number:#x},romfile={device}"]
        self.command += more
        self.process = None
        self.started = None

    def _cloud(self, cloud, user_data, cards):
        """Has the user data come, with the key that lets us in."""
        key = self.key.with_suffix(".pub").read_text().strip()
        self.metadata = self.seed = None
        if cloud == "NoCloud":
            self.seed = seed.no_cloud(self.directory, self.name, key, user_data)
        else:
            files = seed.openstack(self.name, key, user_data, cards)
            if cloud == "ConfigDrive":
                self.seed = seed.config_drive(self.directory, self.name, files)
            else:
                self.metadata = seed.MetadataService(files)
                self.management += f",{self.metadata.network()}"
            self.command += ["-smbios", "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova"]
        if self.seed:
            self.command += ["-drive", f"if=virtio,format=raw,readonly=on,file={self.seed}"]

    def by_script(self, environment):
        """The same disks and management, but the machine that images/qemu-system.sh makes."""
        words = {"ACCEL": "tcg", "MANAGEMENT": self.management, **environment}
        self.command = ["env", *(f"{name}={value}" for name, value in words.items()), SCRIPT, self.disk, self.seed]
        return self

    def start(self):
        """Switches it on."""
        with open(self.console_file, "w") as console:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=console,
                                            stderr=subprocess.PIPE)
        self.started = time.monotonic()
        time.sleep(1)
        if self.process.poll() is not None:
            raise AssertionError(f"QEMU: {self.process.stderr.read().decode()}")
        return self

    def stop(self):
        """Pulls the plug."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.metadata:
            self.metadata.close()
            self.metadata = None

    def console(self):
        """What the serial console has shown so far."""
        return self.console_file.read_text(errors="replace") if self.console_file.exists() else ""

    def wait_for_console(self, text, seconds=400):
        wait_until(lambda: text in self.console(), seconds, f"`{text}` on the console")

    def ssh(self, command, check=True, seconds=120, text=None):
        """Runs a command in it, as the operator, with that text as its input; gives what it says."""
        # 255: no connection. At the first boot cloud-init restarts sshd, which on a busy machine takes a while.
        for _ in range(6):
            done = subprocess.run(self._ssh_command() + [command], input=text, capture_output=True, text=True,
                                  timeout=seconds)
            if done.returncode != 255:
                break
            time.sleep(5)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + ("" if check else done.stderr)

    def copy(self, text, path):
        """Writes a file in it, as root."""
        self.ssh(f"sudo tee {path} >/dev/null", text=text)

    def wait_for_ssh(self, seconds=400):
        def up():
            try:
                return subprocess.run(self._ssh_command() + ["true"], capture_output=True, timeout=30).returncode == 0
            except subprocess.TimeoutExpired:
                return False
        wait_until(up, seconds, "a login over SSH")

    def _ssh_command(self):
        return ["ssh", "-q", "-i", str(self.key), "-p", str(self.ssh_port), "-o", "StrictHostKeyChecking=no",
                "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=20", "debian@127.0.0.1"]


def wait_until(true, seconds, what):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"no {what} within {seconds} s")
        time.sleep(0.5)


def netdev_id(netdev):
    return next(part[3:] for part in netdev.split(",") if part.startswith("id="))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout
