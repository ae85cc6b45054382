"""Who else has an address of ours: N1 and N2. A replay announces nothing and probes for nothing until
it has heard of a duplicate."""

from scapy.layers.inet6 import ICMPv6NDOptDstLLAddr, ICMPv6ND_NA, IPv6
from scapy.layers.l2 import ARP, Ether

from case import EXTERNAL as EXTERNAL_SIDE, INTERNAL as INTERNAL_SIDE, case
from cases_neighbours import BROADCAST, solicit, who_has
from world import BR1, EXTERNAL, INTERNAL, LINK_LOCAL, MAC4, MAC6, NEXT_HOP4, SHARED

OTHER = "02:00:00:00:77:77"
ON_EXTERNAL = ("duplicate-address", "external", EXTERNAL)
ON_INTERNAL = ("duplicate-address", "internal", INTERNAL)


def claim4(address=EXTERNAL, mac=OTHER, op=1, target=None, to=BROADCAST):
    """Another station says in ARP that it has this address."""
    target = address if target is None else target
    return Ether(src=mac, dst=to) / ARP(op=op, hwsrc=mac, psrc=address, pdst=target)


def claim6(address=INTERNAL, mac=OTHER, src=None, option=True, to="ff02::1", **fields):
    """Another station says in an unsolicited advertisement that it has this address."""
    frame = Ether(src=mac, dst="33:33:00:00:00:01" if to == "ff02::1" else MAC6)
    packet = IPv6(**({"src": src or address, "dst": to, "hlim": 255} | fields))
    packet = frame / packet / ICMPv6ND_NA(tgt=address, R=0, S=0, O=1)
    return packet / ICMPv6NDOptDstLLAddr(lladdr=mac) if option else packet


@case("N1", "Gratuitous ARP of another station for our address: an alarm and a counter")
def gratuitous_arp(c):
    c.from_internet(claim4()).conflicting()
    c.from_internet(claim4(op=2)).conflicting()
    c.alarms = [ON_EXTERNAL]


@case("N1", "The answer to a probe for our address comes to us alone: the same")
def answer_to_a_probe(c):
    c.from_internet(claim4(op=2, target="0.0.0.0", to=MAC4)).conflicting()
    c.alarms = [ON_EXTERNAL]


@case("N1", "Who asks for others from our address has it as well, and is not answered")
def asks_from_our_address(c):
    c.external["address"] = ["192.0.2.1/24", "192.0.2.2/24"]
    c.from_internet(claim4(target=NEXT_HOP4)).conflicting()
    c.from_internet(claim4("192.0.2.2", target=EXTERNAL)).conflicting()
    c.alarms = [ON_EXTERNAL, ("duplicate-address", "external", "192.0.2.2")]


@case("N1 P1", "Our own ARP that a loop brings back is no other station's")
def own_arp(c):
    c.external["promiscuous"] = True
    c.from_internet(claim4(mac=MAC4)).ignored("arp")
    c.from_internet(claim4(mac=MAC4, target=NEXT_HOP4)).ignored("arp")


@case("N1", "Only our own addresses raise an alarm, not those of softwires")
def shared_address(c):
    c.external["proxy-arp"] = True
    c.from_internet(claim4(SHARED, op=2)).ignored("arp")
    c.from_internet(claim4("192.0.2.99")).ignored("arp")


@case("N1", "A duplicate is probed for every ten seconds; after 40 s of silence the alarm is over")
def arp_alarm_ends(c):
    c.from_internet(claim4()).conflicting()
    for _ in range(3):
        c.originates(EXTERNAL_SIDE, who_has(EXTERNAL, "0.0.0.0", MAC4))
    c.arguments += ["--until", "41"]


@case("N1", "A duplicate that answers the probe keeps the alarm up")
def arp_alarm_stays(c):
    c.from_internet(claim4()).conflicting()
    c.originates(EXTERNAL_SIDE, who_has(EXTERNAL, "0.0.0.0", MAC4))
    c.wait(14_750_000)
    c.from_internet(claim4(op=2, target="0.0.0.0", to=MAC4)).conflicting()
    for _ in range(2):
        c.originates(EXTERNAL_SIDE, who_has(EXTERNAL, "0.0.0.0", MAC4))
    c.arguments += ["--until", "41"]
    c.alarms = [ON_EXTERNAL]


@case("N2 P4", "Another station answers our probe, from the very address: an alarm and a counter")
def advertisement(c):
    c.from_b4(claim6()).conflicting()
    c.from_b4(claim6(option=False)).conflicting()
    c.alarms = [ON_INTERNAL]


@case("N2", "The same about the link-local address, whatever the source")
def link_local(c):
    c.from_b4(claim6(LINK_LOCAL, src="fe80::77")).conflicting()
    c.from_b4(claim6(LINK_LOCAL, to=INTERNAL, src="fe80::77")).conflicting()
    c.alarms = [("duplicate-address", "internal", LINK_LOCAL)]


@case("N2", "BR addresses are anycast: another relay may have them")
def anycast(c):
    c.from_b4(claim6(BR1)).ignored("ndp")
    c.from_b4(claim6(BR1, src="fe80::77")).ignored("ndp")


@case("N2 P4", "What only looks like an advertisement from our address has a bad source")
def not_quite(c):
    c.from_b4(claim6(hlim=254)).dropped("ipv6-bad-source")
    damaged = claim6()
    damaged[ICMPv6ND_NA].cksum = 1
    c.from_b4(damaged).dropped("ipv6-bad-source")
    malformed = claim6()
    malformed[ICMPv6NDOptDstLLAddr].len = 0
    c.from_b4(malformed).dropped("ipv6-bad-source")
    c.from_b4(claim6(hlim=64, src="fe80::77")).dropped("ndp-malformed")


@case("N2 P1", "Our own words that a loop brings back are no other station's")
def own_words(c):
    c.internal["promiscuous"] = True
    c.from_b4(claim6(mac=MAC6)).ignored("ndp")
    c.from_b4(solicit(INTERNAL, "::", option=False, mac=MAC6)).ignored("ndp")


@case("N2", "A duplicate is probed for from the unspecified address, until it is silent")
def ndp_alarm_ends(c):
    c.from_b4(claim6()).conflicting()
    for _ in range(3):
        c.originates(INTERNAL_SIDE, solicit(INTERNAL, "::", option=False, mac=MAC6))
    c.arguments += ["--until", "41"]
