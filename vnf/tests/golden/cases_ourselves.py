"""Packets for the relay's own addresses: N4."""

from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether

from case import case
from cases_neighbours import who_has
from world import (B4_12, BR1, BR2, EXTERNAL, HOST, INTERNAL, LINK_LOCAL, MAC4, MAC6, NEXT_HOP4,
                   data, echo, echo_reply, frame4, frame6, icmp_error, ip, outbound, tunnel,
                   unreachable6, with_bytes)


@case("N4", "Ping of the external address, whatever the TTL and the identifier")
def ping(c):
    for ttl in (255, 64, 1, 0):
        request = echo(HOST, EXTERNAL, 0x7777, ttl=ttl)
        c.from_internet(request).answered(echo_reply(request))


@case("N4", "The reply carries the same data, from none to a full frame, and the same TOS")
def ping_sizes(c):
    for size in (0, 1, 55, 1472):
        request = echo(HOST, EXTERNAL, 1, size=size, tos=0xB8)
        c.from_internet(request).answered(echo_reply(request))


@case("N4 P2", "Padding is not part of the request")
def ping_padded(c):
    request = echo(HOST, EXTERNAL, 1, size=2)
    c.from_internet(frame4(bytes(request) + bytes(16))).answered(echo_reply(request))


@case("N4 I1", "A damaged request is not answered")
def ping_damaged(c):
    request = echo(HOST, EXTERNAL, 1)
    c.from_internet(frame4(with_bytes(request, {30: 0xEE}))).dropped("icmp-bad-checksum")


@case("N4", "Our own address can be pinged while allow-incoming-icmpv4 is off")
def ping_without_incoming_icmp(c):
    c.policy["allow-incoming-icmpv4"] = False
    request = echo(HOST, EXTERNAL, 1)
    c.from_internet(request).answered(echo_reply(request))


@case("N4", "Every external address answers for itself")
def ping_second_address(c):
    c.external["address"] = ["192.0.2.1/24", "192.0.2.2/24"]
    request = echo(HOST, "192.0.2.2", 1)
    c.from_internet(request).answered(echo_reply(request))


@case("N4 I5", "UDP to the external address: port unreachable, so that traceroute ends well")
def udp(c):
    for ttl in (9, 1):
        packet = ip(HOST, EXTERNAL, ttl=ttl) / UDP(sport=4000, dport=33434) / data(12)
        c.from_internet(packet).dropped("unsupported-protocol", icmp_error(packet, 3, 3))


@case("N4", "Anything else to the external address: dropped and counted")
def others(c):
    packet = ip(HOST, EXTERNAL) / TCP(sport=1, dport=22, flags="S")
    c.from_internet(packet).dropped("unsupported-protocol")
    packet = ip(HOST, EXTERNAL, proto=47) / data(12)
    c.from_internet(packet).dropped("unsupported-protocol")


def ping6(dst, src="2001:db8:77::7", size=20, **fields):
    """An ICMPv6 echo request."""
    return IPv6(src=src, dst=dst, **({"hlim": 61} | fields)) / ICMPv6EchoRequest(
        id=9, seq=3, data=bytes(data(size)))


def reply6(request):
    """What an address of ours answers to it."""
    return IPv6(src=request.dst, dst=request.src, hlim=64) / ICMPv6EchoReply(
        id=9, seq=3, data=request[ICMPv6EchoRequest].data)


@case("N4", "Ping of the internal and of every BR address, whatever the hop limit")
def pings6(c):
    for address in (INTERNAL, BR1, BR2):
        for hop_limit in (64, 1, 0):
            request = ping6(address, hlim=hop_limit)
            c.from_b4(request).answered(reply6(request))


@case("N4", "Ping from a B4 outside its tunnel")
def ping6_from_b4(c):
    request = ping6(BR1, src=B4_12, size=1000)
    c.from_b4(request).answered(reply6(request))


@case("N4", "Ping of the link-local address")
def ping6_link_local(c):
    request = ping6(LINK_LOCAL, src="fe80::fe")
    c.from_b4(request).answered(reply6(request))


@case("N4 I4", "A damaged ICMPv6 request is not answered")
def ping6_damaged(c):
    raw = bytes(ping6(BR1))
    c.from_b4(frame6(with_bytes(raw, {50: 0xEE}))).dropped("icmpv6-bad-checksum")


@case("N4 I5", "UDP to the internal and BR addresses: port unreachable")
def udp6(c):
    for address in (INTERNAL, BR1, BR2):
        packet = IPv6(src=B4_12, dst=address) / UDP(sport=4000, dport=33434) / data(12)
        c.from_b4(packet).dropped("unsupported-protocol", unreachable6(packet, 4))


@case("N4 D1", "Anything else to them: dropped and counted")
def others6(c):
    for protocol in (6, 41, 47, 50, 89, 132):
        packet = IPv6(src=B4_12, dst=BR1, nh=protocol) / data(40)
        c.from_b4(packet).dropped("unsupported-protocol")


STATION = "02:00:00:00:77:77"


def back4(packet):
    """Out to the station on the external link, not to the next hop."""
    return Ether(src=MAC4, dst=STATION) / packet


def back6(packet):
    """The same on the internal link."""
    return Ether(src=MAC6, dst=STATION) / packet


@case("N4", "What is about ourselves goes back to the station it came from, router or not")
def back_to_the_station(c):
    request = echo(HOST, EXTERNAL, 1)
    c.from_internet(frame4(request, src=STATION)).answered(back4(echo_reply(request)))
    packet = ip(HOST, EXTERNAL) / UDP(sport=4000, dport=33434) / data(12)
    c.from_internet(frame4(packet, src=STATION)).dropped(
        "unsupported-protocol", back4(icmp_error(packet, 3, 3)))
    for address in (INTERNAL, BR1, LINK_LOCAL):
        request = ping6(address)
        c.from_b4(frame6(request, src=STATION)).answered(back6(reply6(request)))
        packet = IPv6(src=B4_12, dst=address) / UDP(sport=4000, dport=33434) / data(12)
        c.from_b4(frame6(packet, src=STATION)).dropped(
            "unsupported-protocol", back6(unreachable6(packet, 4)))


@case("N4 N3", "It needs no next hop")
def back_without_next_hop(c):
    del c.external["next-hop-mac"]
    c.originates(0, who_has(NEXT_HOP4, EXTERNAL, MAC4))
    packet = ip(HOST, EXTERNAL) / UDP(sport=4000, dport=33434) / data(12)
    c.from_internet(frame4(packet, src=STATION)).dropped(
        "unsupported-protocol", back4(icmp_error(packet, 3, 3)))


@case("N4 D2 P4", "No router carries what is for a link-local address: it goes back to the station")
def back_to_link_local(c):
    spoofed = tunnel(outbound(), src="fe80::77")
    c.from_b4(frame6(spoofed, src=STATION)).dropped(
        "source-wrong-b4", back6(unreachable6(spoofed, 5)))
    # What is for others goes by the next hop, whoever brought it.
    spoofed = tunnel(outbound(), src="2001:db8:77::7")
    c.from_b4(frame6(spoofed, src=STATION)).dropped("source-wrong-b4", unreachable6(spoofed, 5))
