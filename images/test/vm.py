"""A virtual machine from the image: QEMU without KVM, a management port, data ports, user data."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import yaml


class Machine:
    """One machine with its own copy-on-write disk."""

    def __init__(self, image, directory, name, user_data, ports=(), uefi=False, iommu=False,
                 memory=1024, volume=None):
        self.directory = Path(directory)
        self.name = name
        self.console_file = self.directory / f"{name}.console"
        self.ssh_port, self.api_port = free_port(), free_port()
        self.key = self.directory / "key"
        if not self.key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        disk = self.directory / f"{name}.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(disk), "4G")
        self.command = ["qemu-system-x86_64", "-name", name, "-accel", "tcg,thread=multi,tb-size=512",
                        "-cpu", "max", "-smp", "2", "-m", str(memory), "-display", "none", "-no-user-config",
                        "-serial", f"file:{self.console_file}", "-monitor", "none"]
        self.command += ["-machine", "q35", "-object", "rng-random,id=rng,filename=/dev/urandom",
                         "-device", "virtio-rng-pci,rng=rng"]
        offload = ""
        if iommu:
            self.command += ["-device", "intel-iommu,intremap=on,device-iotlb=on"]
            offload = ",iommu_platform=on,ats=on,disable-legacy=on"
        if uefi:
            variables = self.directory / f"{name}.vars"
            shutil.copy("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
            firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd"
            self.command += ["-drive", f"if=pflash,format=raw,readonly=on,file={firmware}",
                             "-drive", f"if=pflash,format=raw,file={variables}"]
        seed = self._seed(user_data)
        self.command += ["-drive", f"if=virtio,format=qcow2,file={disk}",
                         "-drive", f"if=virtio,format=raw,readonly=on,file={seed}"]
        if volume:
            self.command += ["-drive", f"if=virtio,format=raw,readonly=on,file={volume}"]
        forward = f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22,hostfwd=tcp:127.0.0.1:{self.api_port}-:8676"
        self.command += ["-netdev", f"user,id=management,{forward}",
                         "-device", "virtio-net-pci,netdev=management,addr=0x10,romfile="]
        for number, (netdev, mac) in enumerate(ports):
            self.command += ["-netdev", netdev, "-device",
                             f"virtio-net-pci,netdev={netdev_id(netdev)},mac={mac},"
                             f"addr={0x11 + number:#x},romfile={offload}"]
        self.process = None
        self.started = None

    def _seed(self, user_data):
        """A NoCloud seed; `user_data` is added to what lets us in."""
        place = self.directory / f"{self.name}.seed"
        place.mkdir()
        public = self.key.with_suffix(".pub").read_text().strip()
        cloud_config = {"ssh_authorized_keys": [public], **user_data}
        (place / "user-data").write_text("#cloud-config\n" + yaml.safe_dump(cloud_config))
        (place / "meta-data").write_text(f"instance-id: {self.name}\nlocal-hostname: {self.name}\n")
        return volume(self.directory / f"{self.name}.iso", "CIDATA", place)

    def start(self):
        """Switches it on."""
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
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

    def console(self):
        """What the serial console has shown so far."""
        return self.console_file.read_text(errors="replace") if self.console_file.exists() else ""

    def wait_for_console(self, text, seconds=400):
        wait_until(lambda: text in self.console(), seconds, f"`{text}` on the console")

    def ssh(self, command, check=True, seconds=120):
        """Runs a command in it, as the operator; gives what it says."""
        # 255: no connection, which a busy machine may be too slow for.
        for _ in range(3):
            done = subprocess.run(self._ssh_command() + [command], capture_output=True, text=True, timeout=seconds)
            if done.returncode != 255:
                break
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + ("" if check else done.stderr)

    def copy(self, text, path):
        """Writes a file in it, as root."""
        subprocess.run(self._ssh_command() + [f"sudo tee {path} >/dev/null"], input=text, text=True, check=True,
                       timeout=120)

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


def volume(path, label, directory):
    """A volume with a directory's files."""
    run("xorriso", "-as", "mkisofs", "-quiet", "-J", "-r", "-V", label, "-o", str(path), str(directory))
    return path


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


