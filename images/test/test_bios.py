"""Boot by BIOS; cards without an IOMMU. One machine from its first boot to its second."""

import re
import secrets
import threading
import time

import pytest
from scapy.all import ICMP, ICMPv6EchoReply, Ether

import relay as lab
from vm import wait_until

API = """
[api]
listen = "0.0.0.0:8676"
tls-certificate = "cert.pem"
tls-key = "key.pem"
credentials = "credentials"
"""


@pytest.fixture(scope="module")
def access():
    return lab.api_access()


@pytest.fixture(scope="module")
def relay(image, directory, access):
    key, certificate, _, credentials = access
    files = [("/etc/lwaftr/key.pem", key), ("/etc/lwaftr/cert.pem", certificate),
             ("/etc/lwaftr/credentials", credentials)]
    relay = lab.on_sockets(image, directory, "bios", lab.config(extra=API), files=files)
    yield relay.start()
    relay.stop()


def test_it_forwards_without_a_hand(relay, figure):
    seconds = relay.wait_until_it_forwards()
    figure("first boot (BIOS, uio_pci_generic): from power on to the first forwarded packet", f"{seconds:.0f} s")
    relay.machine.wait_for_ssh()


def test_cards_have_the_driver_for_a_machine_without_iommu(relay):
    assert relay.drivers() == ["uio_pci_generic"] * 2
    assert "hand 0000:00:11.0 to DPDK by uio_pci_generic" in relay.machine.console()


def test_encapsulation(relay):
    for size in (0, 1, 18, 1000, 1472):
        relay.encapsulates(lab.FIRST, size)


def test_decapsulation(relay):
    for size in (18, 1000, 1472):
        relay.decapsulates(lab.FIRST, size)


def test_hairpin(relay):
    frame, expected = lab.hairpinned(lab.FIRST, lab.SECOND, secrets.token_bytes(64))
    relay.access.send(frame)
    got = relay.access.expect(lambda raw: raw[12:14] == b"\x86\xdd" and raw[20] == 4)
    assert got == bytes(expected)


def test_ping_of_its_addresses(relay):
    relay.internet.send(lab.ping4(77))
    reply = relay.internet.expect(lambda raw: ICMP in Ether(raw) and Ether(raw)[ICMP].type == 0)
    assert reply and Ether(reply)[ICMP].id == 77 and bytes(Ether(reply)[ICMP].payload) == b"hello"
    for number, address in enumerate(("2001:db8:0:1::2", lab.BR)):
        relay.access.send(lab.ping6(78 + number, address))
        reply = relay.access.expect(lambda raw: ICMPv6EchoReply in Ether(raw))
        assert reply and Ether(reply)[ICMPv6EchoReply].id == 78 + number


def test_a_reload_through_the_management_loses_nothing(relay, figure):
    sent, arrived, said = [], set(), []
    relay.access.drain()

    def collect():
        while (raw := relay.access.expect(lambda raw: raw[20] == 4, 20)) is not None:
            arrived.add(raw[-16:])

    collector = threading.Thread(target=collect)
    reloads = threading.Thread(target=lambda: said.append(reload_twice(relay.machine)))
    collector.start()
    reloads.start()
    # Until the reloads are over, however slow they are here, and somewhat longer.
    more = 300
    while more:
        payload = secrets.token_bytes(16)
        relay.internet.send(lab.encapsulated((lab.FIRST, lab.SECOND)[len(sent) % 2], payload)[0])
        sent.append(payload)
        more -= not reloads.is_alive()
        time.sleep(0.005)
    reloads.join()
    collector.join()
    lost = set(sent) - arrived
    assert not lost, f"{len(lost)} of {len(sent)} packets were lost"
    assert said and said[0].count("reloaded") == 2, said
    figure("reloads under traffic", f"2, {len(sent)} packets, none lost")


def reload_twice(machine):
    return machine.ssh(f"echo {lab.SHARED},6,6,3,2001:db8:0:203::1,{lab.BR} | sudo tee -a /etc/lwaftr/softwires.csv; "
                       "lwaftr reload; sudo sed -i '$d' /etc/lwaftr/softwires.csv; lwaftr reload --force")


def test_metrics_are_scraped_over_the_management_network(relay, access, directory):
    _, certificate, token, _ = access
    with open(f"{directory}/ca.pem", "w") as file:
        file.write(certificate)
    url = f"https://127.0.0.1:{relay.machine.api_port}/metrics"
    text = lab.curl(url, token, f"{directory}/ca.pem")
    forwarded = re.search(r'^lwaftr_interface_forwarded_packets_total\{interface="external"\} (\d+)', text, re.M)
    assert forwarded and int(forwarded[1]) > 100, text[:2000]


def test_what_runs_where(relay, figure):
    """CPU 1 is the worker's alone; memory is what docs/nfv.md says; nobody else listens."""
    machine = relay.machine
    assert machine.ssh("cat /sys/devices/system/cpu/isolated").strip() == "1"
    assert machine.ssh("lwaftr status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"workers\"])'") == "1\n"
    used = int(machine.ssh("free -m | awk '/^Mem:/ { print $3 }'"))
    figure("memory used with the relay running, 1 worker, hugepages included", f"{used} MiB of 1024")
    listening = machine.ssh("sudo ss -Hltun | awk '{print $5}' | sort -u")
    ports = {address.rsplit(":", 1)[1] for address in listening.split() if not address.startswith("127.")}
    # SSH, the API that this configuration asks for, and DHCP's client.
    assert ports <= {"22", "8676", "68", "546"}, listening


def test_nobody_has_a_password(relay):
    said = relay.machine.ssh("sudo cut -d: -f2 /etc/shadow | sort -u")
    assert set(said.split()) <= {"*", "!", "!*", "!!"}, said


def test_a_killed_relay_comes_back(relay, figure):
    start = time.monotonic()
    relay.machine.ssh("sudo systemctl kill --signal=KILL lwaftr")
    killed = time.monotonic()
    seconds = relay.wait_until_it_forwards(120)
    figure("kill -9 to the next forwarded packet", f"{seconds:.1f} s (and up to {killed - start:.1f} s for ssh)")
    assert restarts(relay) == 1


def test_a_relay_that_stands_still_is_restarted(relay, figure):
    relay.machine.ssh("sudo systemctl kill --signal=STOP lwaftr")
    start = time.monotonic()
    # The old one forwards what has waited, when it is woken to be ended: the new one counts.
    wait_until(lambda: restarts(relay) == 2, 180, "restart by the watchdog")
    relay.wait_until_it_forwards(120)
    figure("kill -STOP to the next forwarded packet (watchdog: 10 s)", f"at most {time.monotonic() - start:.1f} s")


def restarts(relay):
    return int(relay.machine.ssh("systemctl show lwaftr -p NRestarts --value"))


def test_a_reboot_keeps_everything(relay, figure):
    machine = relay.machine
    machine.ssh("lwaftr softwire add --ipv4 203.0.113.9 --b4 2001:db8:0:900::1")
    machine_id = machine.ssh("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub")
    machine.ssh("sudo systemctl reboot", check=False)
    time.sleep(3)
    start = time.monotonic()
    relay.wait_until_it_forwards()
    figure("second boot: from `reboot` to the first forwarded packet", f"{time.monotonic() - start + 3:.0f} s")
    machine.wait_for_ssh()
    assert "2001:db8:0:900::1" in machine.ssh("lwaftr softwire lookup 203.0.113.9:80")
    assert machine.ssh("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub") == machine_id


def test_the_root_has_grown(relay):
    size = int(relay.machine.ssh("df --output=size -BM / | tail -n 1").strip().rstrip("M"))
    assert size > 3500, f"{size} MiB of a disk of 4 GiB"
