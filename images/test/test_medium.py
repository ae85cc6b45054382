"""A machine of the flavour medium, as images/qemu-system.sh makes it: several workers on virtio ports that
spread packets by addresses (RSS), behind an IOMMU; the data ports are taps."""

import json
import os
import secrets

import pytest

import relay as lab
from vm import Machine
from wire import TapHost

# Besides those of the shared address: subscribers who have one for themselves.
SUBSCRIBERS = [lab.Subscriber(f"203.0.113.{last}", 4000, f"2001:db8:0:300::{last:x}") for last in range(64, 128)]
TABLE = lab.TABLE + "".join(f"{who.address},0,0,0,{who.b4},{lab.BR}\n" for who in SUBSCRIBERS)


@pytest.fixture(scope="module")
def relay(image, directory):
    # Two of the four workers that it is for: the machine that runs this test has as many CPUs.
    data = lab.user_data(lab.config(extra="[workers]\ncpus = [1, 2]\n"), table=TABLE)
    taps = {side: f"lwi{os.getpid()}{side}" for side in ("ext", "int")}
    ports = {f"{side}ERNAL": f"tap,ifname={name},script=no,downscript=no"
             for side, name in zip(("EXT", "INT"), taps.values())}
    machine = Machine(image, directory, "medium", data).by_script(
        {"FLAVOUR": "medium", **ports, "EXTERNAL_MAC": lab.EXTERNAL_MAC, "INTERNAL_MAC": lab.INTERNAL_MAC})
    machine.start()
    internet = TapHost(taps["ext"], "02:00:00:00:00:01", ipv4="192.0.2.1")
    access = TapHost(taps["int"], "02:00:00:00:00:02", ipv6="2001:db8:0:1::1")
    relay = lab.Relay(machine, internet, access)
    yield relay
    relay.stop()


def test_it_forwards_without_a_hand(relay, figure):
    seconds = relay.wait_until_it_forwards(900)
    figure("flavour medium (5 CPUs), 2 workers: from power on to the first forwarded packet", f"{seconds:.0f} s")
    relay.machine.wait_for_ssh()
    assert relay.machine.ssh("cat /sys/devices/system/cpu/isolated").strip() == "1-4"


def test_both_workers_forward_in_both_directions(relay, figure):
    before = counted(relay, "forwarded-packets")
    for who in SUBSCRIBERS:
        relay.encapsulates(who, 100)
        relay.decapsulates(who, 100)
    shares = since(before, counted(relay, "forwarded-packets"))
    figure("packets that each of 2 workers forwarded, by 64 addresses (from the Internet, from B4s)",
           "; ".join(f"{external}, {internal}" for external, internal in shares))
    # With a hash that is any good, no worker gets fewer but once in a million runs.
    assert len(shares) == 2 and all(share > 10 for both in shares for share in both), shares


def test_all_fragments_of_a_packet_meet_one_worker(relay):
    """F7: whatever worker a packet's first half comes to, its second half comes there as well."""
    before = counted(relay, "reassembled-packets")
    for number, who in enumerate(SUBSCRIBERS):
        frame, expected = lab.decapsulated(who, secrets.token_bytes(1000))
        for half in reversed(lab.in_two(frame, number)):
            relay.access.send(half)
        assert relay.internet.expect(lambda raw: raw == bytes(expected)), f"from {who}"
    shares = [internal for _, internal in since(before, counted(relay, "reassembled-packets"))]
    assert sum(shares) == len(SUBSCRIBERS) and min(shares) > 10, shares


def counted(relay, counter):
    """What each worker has counted of what came from the Internet, and from B4s."""
    workers = json.loads(relay.machine.ssh("lwaftr stats --json"))["workers"]
    return [[worker["interfaces"][side][counter] for side in ("external", "internal")] for worker in workers]


def since(before, after):
    return [[now - then for then, now in zip(*worker)] for worker in zip(before, after)]
