"""A real subscriber: a second machine is a Linux B4 (stock kernel, ip6tnl, nftables), a host behind it
fetches a file through the relay from a server in a network namespace."""

import hashlib
import secrets
import subprocess
from pathlib import Path

import pytest

import relay as lab
from namespace import Namespace
from seed import volume
from vm import Machine

# What a Debian B4 needs besides what the image has.
PACKAGES = ["nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libedit2", "libbsd0", "libxtables12"]

SET_UP = """
set -e
sudo mount -o ro /dev/disk/by-label/B4 /mnt
sudo dpkg --install /mnt/*.deb >/dev/null
sudo modprobe ip6_tunnel
sudo sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
sudo ip link set enp0s17 mtu 1540 up
sudo ip address add 2001:db8:0:1::1/64 dev enp0s17 nodad
sudo ip address add {b4}/128 dev lo
sudo ip route add {br} via 2001:db8:0:1::2
sudo ip -6 tunnel add softwire mode ipip6 local {b4} remote {br} dev enp0s17
sudo ip link set softwire up
sudo ip netns add subscriber
sudo ip link add lan type veth peer name eth0 netns subscriber
sudo ip address add 10.0.0.1/24 dev lan
sudo ip link set lan up
sudo ip -n subscriber address add 10.0.0.2/24 dev eth0
sudo ip -n subscriber link set eth0 up
sudo ip -n subscriber route add default via 10.0.0.1
sudo ip route add 198.51.100.0/24 dev softwire
sudo nft -f - <<NFT
table ip nat {{
    chain postrouting {{
        type nat hook postrouting priority 100;
        oifname softwire meta l4proto {{ tcp, udp, icmp }} snat to {shared}:{first}-{last}
    }}
}}
NFT
"""


@pytest.fixture(scope="module")
def internet(directory):
    place = Path(directory) / "www"
    place.mkdir()
    (place / "file").write_bytes(secrets.token_bytes(300_000))
    namespace = Namespace(directory, "www", [("192.0.2.1/24", None), ("198.51.100.80/32", "lo")],
                          ["203.0.113.0/24 via 192.0.2.2"])
    namespace.start("/usr/bin/python3", "-m", "http.server", "--bind", "198.51.100.80", "80", directory=place)
    namespace.digest = hashlib.sha256((place / "file").read_bytes()).hexdigest()
    yield namespace
    namespace.close()


@pytest.fixture(scope="module")
def b4(image, directory, internet):
    """The B4, when the relay runs as well."""
    debs = Path(directory) / "debs"
    debs.mkdir()
    subprocess.run(["apt-get", "-q", "update"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=debs, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)

    def cable(here, there):
        return (f"dgram,id=access,local.type=unix,local.path={directory}/access.{here},"
                f"remote.type=unix,remote.path={directory}/access.{there}")

    relay = Machine(image, directory, "relay", lab.user_data(lab.config()),
                    ports=[(internet.netdev("external"), lab.EXTERNAL_MAC), (cable("relay", "b4"), lab.INTERNAL_MAC)])
    b4 = Machine(image, directory, "b4", {}, ports=[(cable("b4", "relay"), "52:54:00:00:02:01")],
                 volume=volume(Path(directory) / "debs.iso", "B4", debs))
    relay.start()
    b4.start()
    b4.wait_for_ssh(900)
    relay.wait_for_ssh(900)
    b4.relay = relay
    yield b4
    print(b4.console()[-3000:])
    b4.stop()
    relay.stop()


def test_a_subscriber_browses(b4, internet, figure):
    first = lab.FIRST.port
    b4.ssh(SET_UP.format(b4=lab.FIRST.b4, br=lab.BR, shared=lab.SHARED, first=first, last=first + 15), seconds=300)
    # Linux adds a tunnel encapsulation limit to what it sends (RFC 2473), which the relay must accept.
    assert "encaplimit 4" in b4.ssh("ip -6 -d tunnel show softwire"), "not the kernel's default"
    fetch = "import hashlib, urllib.request as u; print(hashlib.sha256(u.urlopen('http://198.51.100.80/file', timeout=60).read()).hexdigest())"
    said = b4.ssh(f'sudo ip netns exec subscriber python3 -c "{fetch}"', seconds=300)
    assert said.strip() == internet.digest
    figure("a Linux B4 (ip6tnl, nftables) in a second machine", "300 kB over HTTP, SHA-256 right")


def test_a_subscriber_pings(b4):
    said = b4.ssh("sudo ip netns exec subscriber ping -c 3 -W 10 198.51.100.80")
    assert " 0% packet loss" in said


def test_the_relay_has_forwarded_it(b4):
    said = b4.relay.ssh("lwaftr stats --json | python3 -c 'import json, sys; "
                        "s = json.load(sys.stdin)[\"interfaces\"]; "
                        "print(min(s[side][\"forwarded-packets\"] for side in s))'")
    # At least the acknowledgements of one file, which come from the B4.
    assert int(said) > 20
