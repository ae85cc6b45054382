"""A host in a network namespace of its own, on a cable to a virtual machine's port."""

import fcntl
import os
import socket
import struct
import subprocess
import threading

from vm import run

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


class Namespace:
    """Named after the process, so that two runs do not meet; gone with `close`."""

    def __init__(self, directory, name, addresses, routes):
        self.name = f"lwi-{name}-{os.getpid()}"
        self.interface = f"lwi{os.getpid() % 10**6}{name}"[:15]
        self.near, self.far = f"{directory}/{name}.host", f"{directory}/{name}.vm"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.near)
        self.tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH", self.interface.encode(), IFF_TAP | IFF_NO_PI))
        run("ip", "netns", "add", self.name)
        self.processes = []
        try:
            run("ip", "link", "set", self.interface, "netns", self.name)
            self.run("ip", "link", "set", "lo", "up")
            self.run("ip", "link", "set", self.interface, "up")
            for address, device in addresses:
                self.run("ip", "address", "add", address, "dev", device or self.interface)
            for route in routes:
                self.run("ip", "route", "add", *route.split())
        except AssertionError:
            self.close()
            raise
        threading.Thread(target=self._to_machine, daemon=True).start()
        threading.Thread(target=self._from_machine, daemon=True).start()

    def netdev(self, name):
        return (f"dgram,id={name},local.type=unix,local.path={self.far},"
                f"remote.type=unix,remote.path={self.near}")

    def run(self, *command):
        return run("ip", "netns", "exec", self.name, *command)

    def start(self, *command, directory=None):
        """A process in it, until the end."""
        self.processes.append(subprocess.Popen(["ip", "netns", "exec", self.name, *command], cwd=directory,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        subprocess.run(["ip", "netns", "delete", self.name], check=False)
        os.close(self.tap)
        self.socket.close()

    def _to_machine(self):
        while True:
            try:
                frame = os.read(self.tap, 65536)
                self.socket.sendto(frame, self.far)
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            except OSError:
                return

    def _from_machine(self):
        while True:
            try:
                os.write(self.tap, self.socket.recv(65536))
            except OSError:
                return
