"""The relay that the tests configure, and its two neighbours."""

import secrets
import hashlib
import subprocess
import tempfile
import time

from scapy.all import ICMP, IP, UDP, Ether, IPv6, ICMPv6EchoRequest, Raw

from vm import Machine, run, wait_until
from wire import Host

EXTERNAL_MAC, INTERNAL_MAC = "52:54:00:00:01:01", "52:54:00:00:01:02"
BR = "2001:db8:ffff::1"
SHARED = "203.0.113.7"
# The B4s of port sets 1 and 2: a = 6, k = 6, so their first ports are 1024 + 16 * PSID.
B4 = {1: "2001:db8:0:201::1", 2: "2001:db8:0:202::1"}
PORT = {1: 1024 + 16, 2: 1024 + 32}

TABLE = "ipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6\n" + "".join(
    f"{SHARED},6,6,{psid},{b4},{BR}\n" for psid, b4 in B4.items())


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

    def __init__(self, image, directory, name, toml, files=(), **options):
        """Without a configuration when that is empty."""
        self.internet = Host(directory, f"{name}-ext", "02:00:00:00:00:01", ipv4="192.0.2.1")
        self.access = Host(directory, f"{name}-int", "02:00:00:00:00:02", ipv6="2001:db8:0:1::1")
        ports = [(self.internet.netdev("external"), EXTERNAL_MAC), (self.access.netdev("internal"), INTERNAL_MAC)]
        data = user_data(toml, more=files) if toml else {}
        self.machine = Machine(image, directory, name, data, ports=ports, **options)

    def start(self):
        self.machine.start()
        return self

    def stop(self):
        self.machine.stop()
        self.internet.close()
        self.access.close()

    def forwards(self, psid=1, seconds=1):
        """Whether a packet from the Internet reaches its B4."""
        frame, expected = encapsulated(psid, secrets.token_bytes(16))
        self.internet.send(frame)
        return self.access.expect(lambda raw: raw == bytes(expected), seconds) is not None

    def wait_until_it_forwards(self, seconds=600):
        """How long it took, from now."""
        start = time.monotonic()
        wait_until(self.forwards, seconds, "packet through the relay")
        return time.monotonic() - start


def encapsulated(psid, payload):
    """A packet from the Internet to a B4's subscriber, and the frame that must come of it."""
    inner = IP(src="198.51.100.80", dst=SHARED, ttl=60, id=7, tos=0x28) / UDP(sport=53, dport=PORT[psid]) / Raw(payload)
    sent = Ether(src="02:00:00:00:00:01", dst=EXTERNAL_MAC) / inner
    hop = IP(bytes(inner))
    hop.ttl -= 1
    del hop.chksum
    got = Ether(src=INTERNAL_MAC, dst="02:00:00:00:00:02") / IPv6(
        src=BR, dst=B4[psid], nh=4, hlim=64, tc=0x28, fl=0) / hop
    return sent, got


def decapsulated(psid, payload):
    """A packet from a B4, and the frame that must come of it."""
    inner = IP(src=SHARED, dst="198.51.100.80", ttl=60, id=9) / UDP(sport=PORT[psid], dport=53) / Raw(payload)
    sent = from_b4(psid, inner)
    hop = IP(bytes(inner))
    hop.ttl -= 1
    del hop.chksum
    return sent, Ether(src=EXTERNAL_MAC, dst="02:00:00:00:00:01") / hop


def hairpinned(sender, receiver, payload):
    """A packet from one B4 to another."""
    inner = IP(src=SHARED, dst=SHARED, ttl=60, id=11) / UDP(sport=PORT[sender], dport=PORT[receiver]) / Raw(payload)
    hop = IP(bytes(inner))
    hop.ttl -= 1
    del hop.chksum
    got = Ether(src=INTERNAL_MAC, dst="02:00:00:00:00:02") / IPv6(
        src=BR, dst=B4[receiver], nh=4, hlim=64, fl=0) / hop
    return from_b4(sender, inner), got


def from_b4(psid, inner):
    return Ether(src="02:00:00:00:00:02", dst=INTERNAL_MAC) / IPv6(src=B4[psid], dst=BR, nh=4, hlim=61) / inner


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
