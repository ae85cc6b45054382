"""The IPv4 header, from the Internet and inside the tunnel: P2, P3 and D3."""

from scapy.layers.inet import IP, UDP, IPOption_LSRR, IPOption_NOP, IPOption_RR, IPOption_SSRR
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from case import case
from world import (B4_WHOLE, EXTERNAL, WHOLE, aged, encapsulated, frame4, inbound, ip,
                   ones_complement_sum, outbound, tunnel, with_bytes)

MARTIANS = ("0.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.0.1", "224.0.0.1",
            "239.255.255.255", "240.0.0.1", "255.255.255.255")
NEARLY = ("1.0.0.1", "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.1",
          "223.255.255.255", "10.1.2.3", "172.16.5.5", "192.168.1.1", "100.64.0.1")


def rechecked(raw):
    """The bytes with the checksum of a 20-byte header made right."""
    raw = bytearray(raw)
    raw[10:12] = b"\0\0"
    raw[10:12] = ones_complement_sum(raw[:20]).to_bytes(2, "big")
    return bytes(raw)


def both_ways(c, damage, reason):
    """The same damage to a packet from the Internet and to an inner packet from a B4."""
    c.from_internet(frame4(damage(bytes(inbound())))).dropped(reason)
    inner = damage(bytes(outbound()))
    c.from_b4(tunnel(Raw(inner))).dropped(reason)


@case("P2 D3", "An IPv4 header cut short anywhere")
def truncated_header(c):
    for size in (1, 8, 19):
        both_ways(c, lambda raw, size=size: raw[:size], "ipv4-truncated")


@case("P2 D3", "A total length beyond the bytes present")
def truncated_packet(c):
    both_ways(c, lambda raw: raw[:-1], "ipv4-truncated")
    both_ways(c, lambda raw: raw[:20], "ipv4-truncated")
    both_ways(c, lambda raw: rechecked(with_bytes(raw, {2: 0xFF, 3: 0xFF})), "ipv4-truncated")


@case("P2 D3", "A header length beyond the bytes present")
def truncated_options(c):
    def damage(raw):
        return rechecked(with_bytes(raw[:24], {0: 0x4F, 2: 0, 3: 60}))
    both_ways(c, damage, "ipv4-truncated")


@case("P3 D3", "A version that is not 4")
def bad_version(c):
    for version in (0, 5, 6, 15):
        both_ways(c, lambda raw, v=version: rechecked(with_bytes(raw, {0: v << 4 | 5})),
                  "ipv4-bad-header")


@case("P3 D3", "A header length below 20 bytes")
def bad_header_length(c):
    for words in range(5):
        both_ways(c, lambda raw, w=words: rechecked(with_bytes(raw, {0: 0x40 | w})),
                  "ipv4-bad-header")


@case("P3 D3", "A total length below the header's")
def bad_total_length(c):
    for total in (0, 19):
        both_ways(c, lambda raw, t=total: rechecked(with_bytes(raw, {2: 0, 3: t})),
                  "ipv4-bad-header")


@case("P3 D3", "A wrong checksum, by one bit anywhere in the header")
def bad_checksum(c):
    for offset in (1, 5, 8, 10, 11, 15, 19):
        both_ways(c, lambda raw, o=offset: with_bytes(raw, {o: raw[o] ^ 0x10}),
                  "ipv4-bad-checksum")


@case("P3", "The checksum covers the options")
def bad_option_checksum(c):
    raw = bytes(inbound(options=[IPOption_RR(routers=["0.0.0.0"])]))
    c.from_internet(frame4(with_bytes(raw, {22: raw[22] ^ 1}))).dropped("ipv4-bad-checksum")


@case("P3", "Martian sources and destinations from the Internet")
def martians(c):
    for address in MARTIANS:
        c.from_internet(inbound(src=address)).dropped("ipv4-martian")
        c.from_internet(inbound(dst=address)).dropped("ipv4-martian")


@case("P3 D3", "Martian destinations from a B4 (its source is a softwire's or nothing)")
def inner_martians(c):
    for address in MARTIANS:
        c.from_b4(tunnel(outbound(dst=address))).dropped("ipv4-martian")


@case("P3", "Their neighbours, RFC 1918 and 100.64/10 are no martians: they carry errors")
def nearly_martians(c):
    for address in NEARLY:
        packet = inbound(src=address)
        c.from_internet(packet).forwarded(encapsulated(aged(packet)))
        packet = outbound(dst=address)
        c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("P3", "From the Internet with our own address as source")
def source_is_ours(c):
    c.from_internet(inbound(src=EXTERNAL)).dropped("ipv4-source-is-ours")
    packet = ip(EXTERNAL, EXTERNAL) / UDP(sport=1, dport=2)
    c.from_internet(packet).dropped("ipv4-source-is-ours")


@case("P3 D3", "Loose and strict source routes are dropped, wherever among the options")
def source_routes(c):
    for option in (IPOption_LSRR(routers=["203.0.113.1"]), IPOption_SSRR(routers=["203.0.113.1"])):
        for options in ([option], [IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"]), option]):
            c.from_internet(inbound(options=options)).dropped("ipv4-source-route")
            c.from_b4(tunnel(outbound(options=options))).dropped("ipv4-source-route")


@case("P3", "allow-source-route lets them pass untouched")
def source_routes_allowed(c):
    c.policy["allow-source-route"] = True
    packet = inbound(options=[IPOption_LSRR(routers=["203.0.113.1"])])
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))
    packet = outbound(options=[IPOption_SSRR(routers=["203.0.113.1"])])
    c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("P3", "What looks like a source route behind the end of the option list is none")
def option_behind_the_end(c):
    raw = bytearray(bytes(inbound(options=[IPOption_NOP()] * 8)))
    raw[20:28] = bytes([1, 0, 0x83, 3, 4, 0, 0, 0])
    raw[10:12] = b"\0\0"
    raw[10:12] = ones_complement_sum(raw[:28]).to_bytes(2, "big")
    c.from_internet(IP(bytes(raw))).forwarded(encapsulated(aged(bytes(raw))))


@case("P2", "A tunnel with nothing in it")
def nothing_inside(c):
    c.from_b4(IPv6(src="2001:db8:b4::12", dst="2001:db8:ff::1", nh=4, plen=0)).dropped(
        "ipv4-truncated")


@case("P2 D3", "The inner packet may not reach beyond the outer payload into the padding")
def inner_beyond_outer(c):
    inner = bytes(outbound(size=20))
    packet = IPv6(src="2001:db8:b4::12", dst="2001:db8:ff::1", nh=4, plen=len(inner) - 4)
    c.from_b4(packet / Raw(inner)).dropped("ipv4-truncated")


@case("P2 E1", "Whole addresses get no check less")
def whole_address_checks(c):
    packet = inbound(WHOLE)
    c.from_internet(frame4(bytes(packet)[:-3])).dropped("ipv4-truncated")
    c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_WHOLE))
