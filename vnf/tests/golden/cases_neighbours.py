"""ARP and neighbour discovery: N1 and N2."""

import socket

from scapy.layers.inet6 import (ICMPv6MLReport2, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr,
                                ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS, IPv6,
                                IPv6ExtHdrHopByHop, RouterAlert, in6_getnsma, in6_getnsmac)
from scapy.layers.l2 import ARP, Ether

from case import case
from world import (BR1, BR2, EXTERNAL, HOST, INTERNAL, LINK_LOCAL, MAC4, MAC6, NEXT_HOP4,
                   NEXT_HOP4_MAC, NEXT_HOP6, NEXT_HOP6_MAC, OFFSET, SHARED, SINGLE, WHOLE,
                   WHOLE_OFFSET, data, with_bytes)

BROADCAST = "ff:ff:ff:ff:ff:ff"
NEXT_HOP_LINK_LOCAL = "fe80::fe"


# ARP: N1.

def who_has(target, sender=NEXT_HOP4, mac=NEXT_HOP4_MAC, dst=BROADCAST):
    """An ARP request."""
    return Ether(src=mac, dst=dst) / ARP(op=1, hwsrc=mac, psrc=sender, pdst=target)


def is_at(target, sender, mac):
    """Our answer."""
    return Ether(src=MAC4, dst=mac) / ARP(op=2, hwsrc=MAC4, psrc=target, hwdst=mac, pdst=sender)


@case("N1", "ARP for the external address is answered, broadcast or unicast")
def arp(c):
    c.from_internet(who_has(EXTERNAL)).answered(is_at(EXTERNAL, NEXT_HOP4, NEXT_HOP4_MAC))
    other = "02:00:00:00:77:77"
    c.from_internet(who_has(EXTERNAL, "192.0.2.77", other, MAC4)).answered(
        is_at(EXTERNAL, "192.0.2.77", other))


@case("N1 P2", "Padding behind the request is not repeated")
def arp_padded(c):
    padded = bytes(who_has(EXTERNAL)) + bytes(18)
    c.from_internet(padded).answered(is_at(EXTERNAL, NEXT_HOP4, NEXT_HOP4_MAC))


@case("N1", "An ARP probe (sender 0.0.0.0, RFC 5227) for our address is answered")
def arp_probe(c):
    c.from_internet(who_has(EXTERNAL, "0.0.0.0")).answered(
        is_at(EXTERNAL, "0.0.0.0", NEXT_HOP4_MAC))


@case("N1", "The answer goes to the hardware address in the request (RFC 826), whoever framed it")
def arp_framed_by_another(c):
    request = who_has(EXTERNAL)
    request.src = "02:00:00:00:88:88"
    c.from_internet(request).answered(is_at(EXTERNAL, NEXT_HOP4, NEXT_HOP4_MAC))


@case("N1", "Every external address is answered for")
def arp_second_address(c):
    c.external["address"] = ["192.0.2.1/24", "192.0.2.2/24"]
    c.from_internet(who_has("192.0.2.2")).answered(is_at("192.0.2.2", NEXT_HOP4, NEXT_HOP4_MAC))


@case("N1 P1", "ARP about others is ignored, shared addresses included")
def arp_for_others(c):
    c.from_internet(who_has("192.0.2.99")).ignored("arp")
    c.from_internet(who_has(SHARED)).ignored("arp")
    c.from_internet(who_has("192.0.2.77", "192.0.2.77")).ignored("arp")  # Gratuitous.


@case("N1 P2", "ARP cut short")
def arp_truncated(c):
    whole = bytes(who_has(EXTERNAL))
    for size in (14, 20, 41):
        c.from_internet(whole[:size]).dropped("frame-too-short")


@case("N1", "ARP that contradicts itself")
def arp_malformed(c):
    whole = bytes(who_has(EXTERNAL))
    for change in ({15: 6}, {16: 0x86, 17: 0xDD}, {18: 8}, {19: 16}):
        c.from_internet(with_bytes(whole, change)).dropped("arp-malformed")


@case("N1", "proxy-arp: every IPv4 address in the binding table is ours to answer for")
def proxy_arp(c):
    c.external["proxy-arp"] = True
    for address in (SHARED, OFFSET, WHOLE, SINGLE, WHOLE_OFFSET, EXTERNAL):
        c.from_internet(who_has(address)).answered(is_at(address, NEXT_HOP4, NEXT_HOP4_MAC))
        c.from_internet(who_has(address, "192.0.2.77", "02:00:00:00:77:77", MAC4)).answered(
            is_at(address, "192.0.2.77", "02:00:00:00:77:77"))


@case("N1 P1", "proxy-arp: not for others, beside the table or elsewhere")
def proxy_arp_for_others(c):
    c.external["proxy-arp"] = True
    for address in ("198.51.100.0", "198.51.100.6", "198.51.101.1", "192.0.2.99", HOST):
        c.from_internet(who_has(address)).ignored("arp")
    c.from_internet(who_has("192.0.2.77", "192.0.2.77")).ignored("arp")  # Gratuitous.


@case("N1", "proxy-arp = false, as without the key")
def proxy_arp_off(c):
    c.external["proxy-arp"] = False
    c.from_internet(who_has(SHARED)).ignored("arp")


# NDP: N2.

def solicit(target, src=NEXT_HOP_LINK_LOCAL, option=True, mac=NEXT_HOP6_MAC, unicast=False,
            **fields):
    """A neighbour solicitation."""
    group = in6_getnsma(socket.inet_pton(socket.AF_INET6, target))
    dst = target if unicast else socket.inet_ntop(socket.AF_INET6, group)
    to = MAC6 if unicast else in6_getnsmac(group)
    packet = Ether(src=mac, dst=to) / IPv6(**({"src": src, "dst": dst, "hlim": 255} | fields))
    packet = packet / ICMPv6ND_NS(tgt=target)
    return packet / ICMPv6NDOptSrcLLAddr(lladdr=mac) if option else packet


def advertise(target, to=NEXT_HOP_LINK_LOCAL, mac=NEXT_HOP6_MAC, override=1, solicited=1):
    """Our answer: from the target itself, with its link-layer address. We are no router: IPv6
    packets for others are not forwarded (D1)."""
    return (Ether(src=MAC6, dst=mac) / IPv6(src=target, dst=to, hlim=255)
            / ICMPv6ND_NA(tgt=target, R=0, S=solicited, O=override)
            / ICMPv6NDOptDstLLAddr(lladdr=MAC6))


@case("N2", "Solicitations for the internal and the link-local address are answered")
def ndp(c):
    for target in (INTERNAL, LINK_LOCAL):
        for unicast in (False, True):
            c.from_b4(solicit(target, unicast=unicast)).answered(advertise(target))
    c.from_b4(solicit(INTERNAL, src=NEXT_HOP6)).answered(advertise(INTERNAL, NEXT_HOP6))


@case("N2", "BR addresses are anycast: the override flag is 0")
def ndp_br_addresses(c):
    for target in (BR1, BR2):
        for unicast in (False, True):
            c.from_b4(solicit(target, unicast=unicast)).answered(advertise(target, override=0))


@case("N2", "Without a link-layer option the answer goes to the frame's source")
def ndp_without_option(c):
    mac = "02:00:00:00:77:77"
    packet = solicit(INTERNAL, mac=mac, option=False, unicast=True)
    c.from_b4(packet).answered(advertise(INTERNAL, mac=mac))
    c.from_b4(solicit(INTERNAL, mac=mac, option=False)).answered(advertise(INTERNAL, mac=mac))


@case("N2", "Duplicate address detection for the internal address: answered to all nodes")
def ndp_dad_probe(c):
    answer = advertise(INTERNAL, "ff02::1", "33:33:00:00:00:01", solicited=0)
    c.from_b4(solicit(INTERNAL, "::", option=False)).answered(answer)


@case("N2", "BR addresses are not defended: another relay may have them too")
def ndp_dad_probe_for_anycast(c):
    c.from_b4(solicit(BR1, "::", option=False)).consumed()


@case("N2 P1", "Solicitations about others are ignored")
def ndp_for_others(c):
    c.from_b4(solicit("2001:db8:1::77")).ignored("ndp")
    c.from_b4(solicit("2001:db8:1::77", "::", option=False)).ignored("ndp")


@case("N2", "Hop limit 255 or nothing: it proves the sender is on the link")
def ndp_hop_limit(c):
    for hop_limit in (254, 64, 1):
        c.from_b4(solicit(INTERNAL, hlim=hop_limit)).dropped("ndp-malformed")


@case("N2", "What RFC 4861 section 7.1.1 says to discard")
def ndp_malformed(c):
    packet = solicit(INTERNAL)
    packet[ICMPv6ND_NS].code = 1
    c.from_b4(packet).dropped("ndp-malformed")
    packet = solicit(INTERNAL)
    packet[ICMPv6NDOptSrcLLAddr].len = 0
    c.from_b4(packet).dropped("ndp-malformed")
    packet = solicit(INTERNAL)
    packet[ICMPv6NDOptSrcLLAddr].len = 2  # Longer than the message.
    c.from_b4(packet).dropped("ndp-malformed")
    packet = solicit(INTERNAL)
    packet[ICMPv6NDOptSrcLLAddr].lladdr = "03:00:00:00:00:01"  # A group.
    c.from_b4(packet).dropped("ndp-malformed")
    # From the unspecified address: a link-layer option, or not to a solicited-node address.
    c.from_b4(solicit(INTERNAL, "::")).dropped("ndp-malformed")
    c.from_b4(solicit(INTERNAL, "::", option=False, unicast=True)).dropped("ndp-malformed")


@case("N2", "Neighbour discovery with a wrong checksum")
def ndp_bad_checksum(c):
    raw = bytes(solicit(INTERNAL))
    c.from_b4(with_bytes(raw, {56: raw[56] ^ 1})).dropped("icmpv6-bad-checksum")


@case("P1 N2", "Router advertisements and solicitations are ignored")
def router_discovery(c):
    to_all = Ether(src=NEXT_HOP6_MAC, dst="33:33:00:00:00:01")
    packet = IPv6(src=NEXT_HOP_LINK_LOCAL, dst="ff02::1", hlim=255) / ICMPv6ND_RA()
    c.from_b4(to_all / packet).ignored("router-discovery")
    to_routers = Ether(src=NEXT_HOP6_MAC, dst="33:33:00:00:00:02")
    packet = IPv6(src=NEXT_HOP_LINK_LOCAL, dst="ff02::2", hlim=255) / ICMPv6ND_RS()
    c.from_b4(to_routers / packet).ignored("router-discovery")


@case("P1", "Multicast listener reports and routing hellos are ignored")
def other_peoples_multicast(c):
    report = (IPv6(src=NEXT_HOP_LINK_LOCAL, dst="ff02::16", hlim=1)
              / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2())
    c.from_b4(Ether(src=NEXT_HOP6_MAC, dst="33:33:00:00:00:16") / report).ignored("multicast")
    hello = IPv6(src=NEXT_HOP_LINK_LOCAL, dst="ff02::5", nh=89, hlim=1) / data(36)
    c.from_b4(Ether(src=NEXT_HOP6_MAC, dst="33:33:00:00:00:05") / hello).ignored("routing")
    vrrp = IPv6(src=NEXT_HOP_LINK_LOCAL, dst="ff02::12", nh=112, hlim=255) / data(24)
    c.from_b4(Ether(src=NEXT_HOP6_MAC, dst="33:33:00:00:00:12") / vrrp).ignored("routing")
