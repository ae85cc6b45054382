"""The far end of a data port: a host on the link that answers for its addresses and sees every frame.

QEMU's dgram netdev carries one frame in each datagram of a Unix socket.
"""

import os
import queue
import socket
import threading
import time

from scapy.all import ARP, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, Ether, IPv6

from vm import run, wait_until


class Host:
    """A router next to the relay. It resolves as routers do; all else that comes is kept, in order."""

    def __init__(self, directory, name, mac, ipv4=None, ipv6=None):
        self.near = os.path.join(directory, f"{name}.host")
        self.far = os.path.join(directory, f"{name}.vm")
        one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        one.bind(self.near)
        self.attach(one, mac, ipv4, ipv6)

    def attach(self, one, mac, ipv4, ipv6):
        """Receives from a socket, and answers."""
        self.socket, self.mac, self.ipv4, self.ipv6 = one, mac, ipv4, ipv6
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.frames = queue.Queue()
        threading.Thread(target=self._receive, daemon=True).start()

    def netdev(self, name):
        """The other end, for QEMU's command line."""
        return (f"dgram,id={name},local.type=unix,local.path={self.far},"
                f"remote.type=unix,remote.path={self.near}")

    def send(self, frame):
        """Sends one; a machine that is not there, or reboots, does not get it."""
        try:
            self.socket.sendto(bytes(frame), self.far)
        except (FileNotFoundError, ConnectionRefusedError):
            pass

    def drain(self):
        """Forgets what has come so far."""
        while not self.frames.empty():
            self.frames.get_nowait()

    def expect(self, wanted, seconds=10):
        """The first frame with which `wanted` is content, raw; None when none comes in time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                raw = self.frames.get(timeout=left)
            except queue.Empty:
                return None
            if wanted(raw):
                return raw
        return None

    def close(self):
        self.socket.close()
        for path in (self.near, self.far):
            if os.path.exists(path):
                os.unlink(path)

    def _receive(self):
        while True:
            try:
                raw = self.socket.recv(65536)
            except OSError:
                return
            answer = self._answer(raw)
            if answer is not None:
                self.send(answer)
            else:
                self.frames.put(raw)

    def _answer(self, raw):
        kind = raw[12:14]
        if kind == b"\x08\x06" and self.ipv4:
            arp = Ether(raw)[ARP]
            if arp.op == 1 and arp.pdst == self.ipv4:
                return Ether(src=self.mac, dst=arp.hwsrc) / ARP(
                    op=2, hwsrc=self.mac, psrc=self.ipv4, hwdst=arp.hwsrc, pdst=arp.psrc)
        if kind == b"\x86\xdd" and raw[20:21] == b"\x3a" and raw[54:55] == b"\x87" and self.ipv6:
            frame = Ether(raw)
            if frame[ICMPv6ND_NS].tgt == self.ipv6:
                return Ether(src=self.mac, dst=frame.src) / IPv6(
                    src=self.ipv6, dst=frame[IPv6].src, hlim=255) / ICMPv6ND_NA(
                    tgt=self.ipv6, R=1, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=self.mac)
        return None


class TapHost(Host):
    """A host on a tap that a switch or QEMU has made, instead of on a QEMU socket."""

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
