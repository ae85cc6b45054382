"""E0: of several faults the first names the drop."""

from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from case import case
from world import (B4_12, EXTERNAL, HOST, SHARED, data, echo, echo_reply, encapsulated, frame4,
                   frame6, icmp_error, inbound, ip, outbound, tunnel, unreachable6, with_bytes)

NOBODY = "198.51.100.77"
OTHER_MAC = "02:00:00:00:99:99"


# From the Internet.

@case("E0 P1 P2", "Somebody else's MAC before a truncated packet")
def mac_before_length(c):
    c.from_internet(frame4(bytes(inbound())[:30], dst=OTHER_MAC)).dropped("not-our-mac")
    c.from_b4(frame6(bytes(tunnel(outbound()))[:30], dst=OTHER_MAC)).dropped("not-our-mac")


@case("E0 P2 P3", "A truncated packet before its checksum and its martian source")
def length_before_header(c):
    raw = bytes(inbound(src="127.0.0.1"))
    c.from_internet(frame4(raw[:-1])).dropped("ipv4-truncated")
    c.from_internet(frame4(with_bytes(raw[:-1], {10: raw[10] ^ 1}))).dropped("ipv4-truncated")


@case("E0 P3", "A wrong checksum before what the addresses say")
def checksum_before_addresses(c):
    for packet in (inbound(src="127.0.0.1"), inbound(src=EXTERNAL), inbound(NOBODY),
                   inbound(ttl=1), echo(HOST, EXTERNAL)):
        raw = bytes(packet)
        c.from_internet(frame4(with_bytes(raw, {10: raw[10] ^ 1}))).dropped("ipv4-bad-checksum")


@case("E0 P3 N4", "A martian source before our own address")
def martian_before_ourselves(c):
    c.from_internet(echo("224.0.0.1", EXTERNAL)).dropped("ipv4-martian")


@case("E0 N4 E6", "Our own address before the TTL")
def ourselves_before_ttl(c):
    request = echo(HOST, EXTERNAL, ttl=1)
    c.from_internet(request).answered(echo_reply(request))


@case("E0 E1 E6", "The key before the TTL and the MTU")
def key_before_ttl(c):
    c.from_internet(ip(HOST, SHARED, proto=47, ttl=1) / data(9)).dropped("port-less-protocol")
    c.from_internet(ip(HOST, SHARED, proto=17, ttl=1) / data(3)).dropped("transport-truncated")
    big = ip(HOST, SHARED, proto=47, flags="DF") / data(1480)
    c.from_internet(big).dropped("port-less-protocol")


@case("E0 I1 I2", "An ICMP checksum before the look-up")
def icmp_checksum_before_lookup(c):
    raw = bytes(echo(HOST, SHARED, 0x5678))
    c.from_internet(frame4(with_bytes(raw, {22: raw[22] ^ 1}))).dropped("icmp-bad-checksum")


@case("E0 E7 E6 E8", "The look-up before the TTL and the MTU")
def lookup_before_ttl(c):
    packet = inbound(NOBODY, ttl=1, size=1460, flags="DF")
    c.from_internet(packet).dropped("no-softwire", icmp_error(packet, 3, 1))
    c.from_internet(echo(HOST, SHARED, 0x5678, ttl=1)).dropped("icmp-no-softwire")


@case("E0 E7", "An address nobody has a softwire for: no key is asked for")
def unknown_address(c):
    packet = ip(HOST, NOBODY, proto=47) / data(9)
    c.from_internet(packet).dropped("no-softwire", icmp_error(packet, 3, 1))


@case("E0 E6 E8", "The TTL before the MTU")
def ttl_before_mtu(c):
    packet = inbound(ttl=1, size=1460, flags="DF")
    c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))
    packet = inbound(ttl=1, size=1460)
    c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))


# From a B4.

@case("E0 P4 D1", "The extension headers before the address they are sent to")
def extensions_before_address(c):
    bad_option = bytes([4, 0, 0x5E, 2, 9, 9, 1, 0])
    packet = IPv6(src=B4_12, dst="2001:db8:77::7", nh=60) / Raw(bad_option + bytes(outbound()))
    c.from_b4(packet).dropped("ipv6-unknown-option")


@case("E0 D1 D3", "The outer destination before the inner packet")
def address_before_inner(c):
    raw = with_bytes(outbound(), {10: 0xEE, 11: 0xEE})
    c.from_b4(tunnel(Raw(raw), dst="2001:db8:77::7")).dropped("not-for-us")


@case("E0 D3 D2", "The inner lengths and checksum before the source")
def inner_header_before_source(c):
    raw = bytes(outbound(NOBODY))
    c.from_b4(tunnel(Raw(with_bytes(raw, {10: raw[10] ^ 1})))).dropped("ipv4-bad-checksum")
    c.from_b4(tunnel(Raw(raw[:-1]))).dropped("ipv4-truncated")


@case("E0 D2 D3", "The source before the inner addresses")
def source_before_martians(c):
    packet = tunnel(outbound(NOBODY, dst="127.0.0.1"))
    c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))


@case("E0 D2 D4", "The source before the TTL")
def source_before_ttl(c):
    packet = tunnel(outbound(NOBODY, ttl=1))
    c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))


@case("E0 D3 D4", "Martians before the TTL")
def martians_before_ttl(c):
    c.from_b4(tunnel(outbound(dst="127.0.0.1", ttl=1))).dropped("ipv4-martian")


@case("E0 D4 D6", "The TTL before the hairpin")
def ttl_before_hairpin(c):
    packet = outbound(dst=SHARED, ttl=1)
    c.from_b4(tunnel(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))


@case("E0 D4 D6", "The TTL before a hairpin that is denied")
def ttl_before_denied_hairpin(c):
    c.policy["hairpinning"] = "drop"
    packet = outbound(dst=SHARED, ttl=1)
    c.from_b4(tunnel(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))


@case("E0 D6 D5", "The hairpin's look-up before its MTU")
def hairpin_before_mtu(c):
    c.external["mtu"] = 1300
    c.internal["mtu"] = 1300
    packet = outbound(dst=SHARED, size=1300, flags="DF")
    packet.getlayer(UDP).dport = 0x5678
    c.from_b4(tunnel(packet)).dropped("no-softwire", encapsulated(icmp_error(packet, 3, 1)))


@case("E0 D4 D5", "The TTL before the MTU on the way out")
def outbound_ttl_before_mtu(c):
    c.external["mtu"] = 1300
    packet = outbound(size=1300, flags="DF", ttl=1)
    c.from_b4(tunnel(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))
