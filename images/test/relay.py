"""The relay that the tests configure, and its two neighbours."""

import hashlib
import secrets
import subprocess
import tempfile
import time
from typing import NamedTuple

from scapy.all import ICMP, IP, UDP, Ether, IPv6, ICMPv6EchoRequest, IPv6ExtHdrFragment, Raw

from vm import Machine, run, wait_until
from wire import Host

EXTERNAL_MAC, INTERNAL_MAC = "52:54:00:00:01:01", "52:54:00:00:01:02"
BR = "2001:db8:ffff::1"
SHARED = "203.0.113.7"


class Subscriber(NamedTuple):
    """An address, one of the ports there, and the B4 that has it."""

    address: str
    port: int
    b4: str


# Port sets 1 and 2 of an address: a = 6, k = 6, so their first ports are 1024 + 16 * PSID.
FIRST = Subscriber(SHARED, 1024 + 16, "2001:db8:0:201::1")
SECOND = Subscriber(SHARED, 1024 + 32, "2001:db8:0:202::1")

TABLE = "ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6\n" + "".join(
    f"{SHARED},6,6,{psid},{who.b4},{BR}\n" for psid, who in ((1, FIRST), (2, SECOND)))


def config(external="nic:1", internal="nic:2", extra=""):
    """`lwaftr.toml`. The flow label is fixed, so that every byte is known."""
    return f"""
[external]
port = "{external}"
address = "192.0.2.2/24"
next-hop = "192.0.2.1"
[internal]
port = "{internal}"
address = "2001:db8:0:1::2/64"
next-hop = "2001:db8:0:1::1"
mtu = 1540
[softwires]
br-addresses = "{BR}"
file = "softwires.csv"
[policy]
flow-label = 0
{extra}"""


def user_data(toml, table=TABLE, more=()):
    files = [("/etc/lwaftr/lwaftr.toml", toml), ("/etc/lwaftr/softwires.csv", table), *more]
    return {"write_files": [{"path": path, "content": text, "permissions": "0640"} for path, text in files]}


class Relay:
    """A machine that is a relay, between a router to the Internet and one to the B4s."""

    def __init__(self, machine, internet, access):
        self.machine, self.internet, self.access = machine, internet, access

    def start(self):
        self.machine.start()
        return self

    def stop(self):
        print(self.machine.console()[-3000:])
        self.machine.stop()
        self.internet.close()
        self.access.close()

    def drivers(self):
        """Those of the data cards."""
        return self.machine.ssh("for card in 0000:00:11.0 0000:00:12.0; do "
                                "basename $(readlink /sys/bus/pci/devices/$card/driver); done").split()

    def encapsulates(self, who, size):
        """Sends a packet of that size to a B4, and compares every byte of what comes of it."""
        frame, expected = encapsulated(who, secrets.token_bytes(size))
        self.internet.send(frame)
        got = self.access.expect(lambda raw: raw[12:14] == b"\x86\xdd" and raw[20] == 4)
        assert got == bytes(expected), f"to {who}, {size} bytes"

    def decapsulates(self, who, size):
        frame, expected = decapsulated(who, secrets.token_bytes(size))
        self.access.send(frame)
        got = self.internet.expect(lambda raw: raw[12:14] == b"\x08\x00")
        assert got == bytes(expected), f"from {who}, {size} bytes"

    def forwards(self, seconds=1):
        """Whether a packet from the Internet reaches its B4."""
        frame, expected = encapsulated(FIRST, secrets.token_bytes(16))
        self.internet.send(frame)
        return self.access.expect(lambda raw: raw == bytes(expected), seconds) is not None

    def wait_until_it_forwards(self, seconds=600):
        """How long it took, from now."""
        start = time.monotonic()
        wait_until(self.forwards, seconds, "packet through the relay")
        return time.monotonic() - start


def on_sockets(image, directory, name, toml, files=(), **options):
    """Its neighbours at QEMU's sockets; without a configuration when that is empty."""
    internet = Host(directory, f"{name}-ext", "02:00:00:00:00:01", ipv4="192.0.2.1")
    access = Host(directory, f"{name}-int", "02:00:00:00:00:02", ipv6="2001:db8:0:1::1")
    ports = [(internet.netdev("external"), EXTERNAL_MAC), (access.netdev("internal"), INTERNAL_MAC)]
    data = user_data(toml, more=files) if toml else {}
    return Relay(Machine(image, directory, name, data, ports=ports, **options), internet, access)


def encapsulated(who, payload):
    """A packet from the Internet to a subscriber, and the frame that must come of it."""
    inner = IP(src="198.51.100.80", dst=who.address, ttl=60, id=7, tos=0x28) / UDP(sport=53, dport=who.port) / Raw(payload)
    sent = Ether(src="02:00:00:00:00:01", dst=EXTERNAL_MAC) / inner
    got = Ether(src=INTERNAL_MAC, dst="02:00:00:00:00:02") / IPv6(
        src=BR, dst=who.b4, nh=4, hlim=64, tc=0x28, fl=0) / hop(inner)
    return sent, got


def decapsulated(who, payload):
    """A packet from a subscriber to the Internet, and the frame that must come of it."""
    inner = IP(src=who.address, dst="198.51.100.80", ttl=60, id=9) / UDP(sport=who.port, dport=53) / Raw(payload)
    return from_b4(who, inner), Ether(src=EXTERNAL_MAC, dst="02:00:00:00:00:01") / hop(inner)


def hairpinned(sender, receiver, payload):
    """A packet from one subscriber to another."""
    inner = IP(src=sender.address, dst=receiver.address, ttl=60, id=11) / UDP(
        sport=sender.port, dport=receiver.port) / Raw(payload)
    got = Ether(src=INTERNAL_MAC, dst="02:00:00:00:00:02") / IPv6(
        src=BR, dst=receiver.b4, nh=4, hlim=64, fl=0) / hop(inner)
    return from_b4(sender, inner), got


def hop(inner):
    """What a router makes of a packet."""
    after = IP(bytes(inner))
    after.ttl -= 1
    del after.chksum
    return after


def from_b4(who, inner):
    return Ether(src="02:00:00:00:00:02", dst=INTERNAL_MAC) / IPv6(src=who.b4, dst=BR, nh=4, hlim=61) / inner


def in_two(frame, identification):
    """A frame from a B4, its IPv6 packet in two fragments."""
    outer, inner = frame[IPv6], bytes(frame[IPv6].payload)
    cut = len(inner) // 2 // 8 * 8
    return [Ether(src=frame.src, dst=frame.dst) / IPv6(src=outer.src, dst=outer.dst, nh=44, hlim=outer.hlim)
            / IPv6ExtHdrFragment(nh=4, id=identification, offset=at // 8, m=more) / Raw(part)
            for at, more, part in ((0, 1, inner[:cut]), (cut, 0, inner[cut:]))]


def ping4(identifier):
    return Ether(src="02:00:00:00:00:01", dst=EXTERNAL_MAC) / IP(src="192.0.2.1", dst="192.0.2.2") / ICMP(
        type=8, id=identifier, seq=1) / Raw(b"hello")


def ping6(identifier, destination="2001:db8:0:1::2"):
    return Ether(src="02:00:00:00:00:02", dst=INTERNAL_MAC) / IPv6(
        src="2001:db8:0:1::1", dst=destination) / ICMPv6EchoRequest(id=identifier, seq=1, data=b"hello")


def api_access():
    """A certificate, its key and a token with its line in the file of credentials."""
    with tempfile.TemporaryDirectory() as place:
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=relay", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", f"{place}/key.pem", "-out", f"{place}/cert.pem")
        with open(f"{place}/key.pem") as key, open(f"{place}/cert.pem") as certificate:
            pair = key.read(), certificate.read()
    token = secrets.token_hex(32)
    line = f"test read token sha256:{hashlib.sha256(token.encode()).hexdigest()}\n"
    return (*pair, token, line)


def curl(url, token, certificate):
    done = subprocess.run(["curl", "--silent", "--show-error", "--fail", "--cacert", certificate, "--max-time", "60",
                           "--header", f"Authorization: Bearer {token}", url], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
