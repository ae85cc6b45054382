"""Cutting what is too big: E8 with DF clear, F5 and D5."""

from scapy.layers.inet import (ICMP, TCP, UDP, IPOption, IPOption_NOP, IPOption_RR,
                               IPOption_Router_Alert)
from scapy.packet import Raw

from case import case
from world import (B4_34, B4_OFFSET, B4_WHOLE, BR2, HOST, OFFSET, PORT_34, PORT_OFFSET, SHARED,
                   WHOLE, aged, data, encapsulated, fragments4, fragments6, frame4, icmp_error,
                   inbound, ip, outbound, tcp, tunnel)

UDP_HEADERS = 28  # IPv4 and UDP.


def sized(total, **fields):
    """A datagram to a B4 whose IPv4 packet has this many bytes."""
    return inbound(size=total - UDP_HEADERS, **fields)


def sized_out(total, **fields):
    """A datagram from a B4 whose IPv4 packet has this many bytes."""
    return outbound(size=total - UDP_HEADERS, **fields)


def across(total, **fields):
    """A datagram from B4_12 to B4_OFFSET of this many bytes."""
    packet = sized_out(total, dst=OFFSET, **fields)
    packet.dport = PORT_OFFSET
    return packet


def in_tunnel(packet, mtu=1500, **fields):
    """What leaves for a B4: encapsulated and, if it must, cut."""
    out = encapsulated(aged(packet), **fields)
    return fragments6(out, mtu) if len(bytes(out)) > mtu else [out]


def cut_first(packet, mtu=1500):
    """What leaves for a B4 with fragment = "inner": cut, then each piece encapsulated."""
    return [encapsulated(piece) for piece in fragments4(aged(packet), mtu - 40)]


# E8, F5: the IPv6 packet.

@case("E8 F5", "Sizes around every edge: whole units of 8 bytes, the last piece takes the rest")
def edges(c):
    for total in (1461, 1464, 1496, 2896, 2897, 2900, 2901, 4344, 4348, 4349, 8960, 9000):
        packet = sized(total)
        pieces = in_tunnel(packet)
        assert len(pieces) > 1 and all(len(bytes(piece)) <= 1500 for piece in pieces)
        c.from_internet(packet).forwarded(*pieces)


@case("E8 F5", "The smallest MTU, 1280: its room is a multiple of 8")
def mtu_1280(c):
    c.internal["mtu"] = 1280
    for total in (1241, 1500, 2464, 2465, 9000):
        c.from_internet(sized(total)).forwarded(*in_tunnel(sized(total), 1280))


@case("E8 F5", "An MTU of 1287: 1239 bytes of room, 1232 of them in whole units")
def mtu_1287(c):
    c.internal["mtu"] = 1287
    for total in (1247, 1248, 2471, 2472, 9000):
        c.from_internet(sized(total)).forwarded(*in_tunnel(sized(total), 1287))


@case("F5 E3 E4", "Hop limit, traffic class and flow label are equal on all fragments")
def outer_header(c):
    c.policy |= {"hop-limit": 33, "flow-label": 0xABCDE}
    packet = sized(1500, tos=0xB9)
    pieces = in_tunnel(packet, tc=0xB9, fl=0xABCDE, hlim=33)
    assert len(pieces) == 2
    c.from_internet(packet).forwarded(*pieces)


@case("F5 E4", "A fixed DSCP and ECN in compatibility mode, on all fragments")
def outer_header_fixed(c):
    c.policy |= {"dscp": 9, "ecn": "compatibility"}
    packet = sized(4000, tos=0xB9)
    c.from_internet(packet).forwarded(*in_tunnel(packet, tc=9 << 2))


@case("F5", "Each packet has an identification of its own, with others between or not")
def identifications(c):
    for size in (1461, 1500, 5000):
        for _ in range(4):
            c.from_internet(sized(size)).forwarded(*in_tunnel(sized(size)))
        c.from_internet(inbound()).forwarded(encapsulated(aged(inbound())))
    packet = sized(1500, port=PORT_34)
    c.from_internet(packet).forwarded(*in_tunnel(packet, b4=B4_34, br=BR2))
    packet = sized(1500, dst=WHOLE)
    c.from_internet(packet).forwarded(*in_tunnel(packet, b4=B4_WHOLE))


@case("F5", "Packets in one burst do not mix: each one's fragments leave in order")
def burst(c):
    for size in (1500, 3000, 40, 1461, 9000):
        packet = sized(size)
        c.from_internet(packet, spacing=0).forwarded(*in_tunnel(packet))


@case("E8", "TCP, ICMP, and any protocol to a whole address")
def protocols(c):
    packet = tcp(HOST, SHARED, 80, PORT_34) / data(1500)
    c.from_internet(packet).forwarded(*in_tunnel(packet, b4=B4_34, br=BR2))
    packet = ip(HOST, SHARED) / ICMP(type=8, id=0x1200, seq=1) / data(3000)
    c.from_internet(packet).forwarded(*in_tunnel(packet))
    packet = ip(HOST, WHOLE, proto=47) / data(2000)
    c.from_internet(packet).forwarded(*in_tunnel(packet, b4=B4_WHOLE))


@case("E8", "Options stay in the inner packet, which is not touched")
def options(c):
    packet = sized(1480, options=[IPOption_RR(routers=["0.0.0.0", "0.0.0.0"])])
    c.from_internet(packet).forwarded(*in_tunnel(packet))


@case("E8", "A packet that is an IPv4 fragment already, to a whole address")
def fragment_of_a_fragment(c):
    first = ip(HOST, WHOLE, flags="MF", proto=17) / UDP(sport=1, dport=2, len=2960) / data(1472)
    middle = ip(HOST, WHOLE, flags="MF", frag=185, proto=17) / data(1480)
    last = ip(HOST, WHOLE, frag=370, proto=17) / data(1479)
    for packet in (first, middle, last):
        c.from_internet(packet).forwarded(*in_tunnel(packet, b4=B4_WHOLE))


@case("E8 E6", "TTL comes before size: 11/0, and nothing is cut")
def expired(c):
    packet = sized(1500, ttl=1)
    c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))


@case("P2 E8", "Padding and trailing bytes do not count and are not cut along")
def padded(c):
    c.from_internet(frame4(bytes(sized(1460)) + bytes(40))).forwarded(
        encapsulated(aged(sized(1460))))
    c.from_internet(frame4(bytes(sized(1461)) + bytes(40))).forwarded(*in_tunnel(sized(1461)))


# too-big-df = "fragment".

@case("E8", 'too-big-df = "fragment": DF or not, the IPv6 packet is cut, and no error is sent')
def df_fragmented(c):
    c.policy["too-big-df"] = "fragment"
    for flags in ("DF", 0):
        for size in (1460, 1461, 4000):
            packet = sized(size, flags=flags)
            c.from_internet(packet).forwarded(*in_tunnel(packet))


@case("E8", 'too-big-df = "fragment" with fragment = "inner": DF still protects the inner packet')
def df_fragmented_outside(c):
    c.policy |= {"too-big-df": "fragment", "fragment": "inner"}
    packet = sized(1500, flags="DF")
    c.from_internet(packet).forwarded(*in_tunnel(packet))
    packet = sized(1500)
    c.from_internet(packet).forwarded(*cut_first(packet))


@case("E8 D5", 'too-big-df = "fragment" is about tunnels: towards the Internet DF is DF')
def df_outbound(c):
    c.policy["too-big-df"] = "fragment"
    c.external["mtu"] = 1400
    packet = sized_out(1401, flags="DF")
    c.from_b4(tunnel(packet)).dropped(
        "too-big", encapsulated(icmp_error(packet, 3, 4, mtu=1400)))


# fragment = "inner".

@case("E8", 'fragment = "inner": the IPv4 packet is cut, each piece in a tunnel header of its own')
def inner(c):
    c.policy["fragment"] = "inner"
    for total in (1461, 1476, 1477, 2896, 2897, 2904, 9000):
        packet = sized(total, tos=0x28)
        pieces = cut_first(packet)
        assert all(len(bytes(piece)) <= 1500 for piece in pieces)
        c.from_internet(packet).forwarded(*pieces)
    c.from_internet(sized(1460)).forwarded(encapsulated(aged(sized(1460))))


@case("E8", 'fragment = "inner" and DF: 3/4, as without')
def inner_df(c):
    c.policy["fragment"] = "inner"
    packet = sized(1461, flags="DF")
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=1460))


@case("E8 E3 E4", 'fragment = "inner": the tunnel headers are as always')
def inner_outer_header(c):
    c.policy |= {"fragment": "inner", "hop-limit": 33, "dscp": 9, "flow-label": 0xABCDE}
    packet = sized(1500, tos=0xB9)
    c.from_internet(packet).forwarded(
        *[encapsulated(piece, hlim=33, tc=9 << 2 | 1, fl=0xABCDE)
          for piece in fragments4(aged(packet), 1460)])


OPTIONS = (
    [IPOption_RR(routers=["0.0.0.0", "0.0.0.0"])],  # 7, not copied: the later headers are short.
    [IPOption_Router_Alert()],  # 148, copied.
    [IPOption_NOP(), IPOption_Router_Alert(), IPOption_NOP(), IPOption_NOP(), IPOption_NOP()],
    [IPOption_RR(routers=["0.0.0.0"]), IPOption_NOP(), IPOption_Router_Alert()],
    [IPOption_Router_Alert(), IPOption(b"\x44\x08\x05\x00\x00\x00\x00\x00")],  # 68, timestamp.
    [IPOption(b"\x86\x06\x00\x00\x00\x01"), IPOption_NOP(), IPOption_NOP()],  # 134, CIPSO.
    [IPOption_NOP()] * 40,
)


@case("E8", "Options (RFC 791): all on the first piece, those with the copied flag on the others")
def inner_options(c):
    c.policy["fragment"] = "inner"
    for options in OPTIONS:
        packet = sized(1440, options=options) / data(1400)
        c.from_internet(packet).forwarded(*cut_first(packet))


@case("E8", "A fragment is cut further: offset and more-fragments go on from what they are")
def inner_fragment(c):
    c.policy["fragment"] = "inner"
    first = ip(HOST, WHOLE, flags="MF", proto=17) / UDP(sport=1, dport=2, len=2960) / data(1472)
    middle = ip(HOST, WHOLE, flags="MF", frag=185, proto=17) / data(1480)
    last = ip(HOST, WHOLE, frag=370, proto=17) / data(1479)
    for packet in (first, middle, last):
        pieces = [encapsulated(piece, B4_WHOLE) for piece in fragments4(aged(packet), 1460)]
        c.from_internet(packet).forwarded(*pieces)


# D5: towards the Internet.

@case("D5", "Sizes around the edges: identification kept, offsets and flags as RFC 791 has them")
def outbound_edges(c):
    c.external["mtu"] = 1400
    for total in (1401, 1416, 1417, 2772, 2776, 2777, 4148, 4156, 9000):
        packet = sized_out(total, id=total, tos=0x28)
        pieces = fragments4(aged(packet), 1400)
        assert {piece.id for piece in pieces} == {total}
        assert all(len(piece) <= 1400 for piece in pieces)
        c.from_b4(tunnel(packet)).forwarded(*pieces)


@case("D5", "Full size is cut nowhere: the tunnel may bring more than 1500 bytes")
def outbound_jumbo(c):
    c.internal["mtu"] = 9000
    c.from_b4(tunnel(sized_out(1500))).forwarded(aged(sized_out(1500)))
    c.from_b4(tunnel(sized_out(1501))).forwarded(*fragments4(aged(sized_out(1501)), 1500))
    c.from_b4(tunnel(sized_out(8960))).forwarded(*fragments4(aged(sized_out(8960)), 1500))


@case("D5", "An MTU of 1283: 1263 bytes of room, 1256 of them in whole units")
def outbound_odd_mtu(c):
    c.external["mtu"] = 1283
    for total in (1283, 1284, 2539, 2540, 4000):
        packet = sized_out(total)
        pieces = fragments4(aged(packet), 1283) if total > 1283 else [aged(packet)]
        c.from_b4(tunnel(packet)).forwarded(*pieces)


@case("D5", "Options: all on the first piece, those with the copied flag on the others")
def outbound_options(c):
    c.external["mtu"] = 1400
    for options in OPTIONS:
        packet = outbound(size=1390, options=options)
        c.from_b4(tunnel(packet)).forwarded(*fragments4(aged(packet), 1400))


@case("D5", "Fragments from a whole address are cut further")
def outbound_fragments(c):
    c.external["mtu"] = 1400
    first = ip(WHOLE, HOST, flags="MF", proto=17) / UDP(sport=1, dport=2, len=2960) / data(1432)
    middle = ip(WHOLE, HOST, flags="MF", frag=180, proto=17) / data(1440)
    last = ip(WHOLE, HOST, frag=360, proto=17) / data(1401)
    for packet in (first, middle, last):
        c.from_b4(tunnel(packet, B4_WHOLE)).forwarded(*fragments4(aged(packet), 1400))


@case("D5 D3 D4", "Pieces have the TTL, DSCP and ECN that decapsulation gives")
def outbound_rewritten(c):
    c.external["mtu"] = 1400
    c.policy |= {"decap-dscp": "copy", "decap-ttl": "keep"}
    out = sized_out(1500, tos=0xBB)
    c.from_b4(tunnel(sized_out(1500, tos=0x02), tc=0xBB)).forwarded(*fragments4(out, 1400))


@case("D5", 'fragment = "inner" or not makes no difference towards the Internet')
def outbound_inner(c):
    c.external["mtu"] = 1400
    c.policy["fragment"] = "inner"
    c.from_b4(tunnel(sized_out(1460))).forwarded(*fragments4(aged(sized_out(1460)), 1400))


# Hairpins.

@case("D6 E8 F5", "Hairpin: too big for the second tunnel, cut on the internal side")
def hairpin(c):
    c.internal["mtu"] = 1300
    c.external["mtu"] = 1280
    for total in (1260, 1261, 1300, 1460, 3000):
        packet = across(total)
        out = encapsulated(aged(packet), B4_OFFSET)
        pieces = fragments6(out, 1300) if total > 1260 else [out]
        c.from_b4(tunnel(packet)).hairpinned(*pieces)


@case("D6 E8", 'Hairpin with fragment = "inner"')
def hairpin_inner(c):
    c.internal["mtu"] = 1300
    c.policy["fragment"] = "inner"
    packet = across(1460)
    pieces = [encapsulated(piece, B4_OFFSET) for piece in fragments4(aged(packet), 1260)]
    c.from_b4(tunnel(packet)).hairpinned(*pieces)


@case("D6 E8", 'Hairpin with too-big-df = "fragment": cut although DF is set')
def hairpin_df_fragmented(c):
    c.internal["mtu"] = 1300
    c.policy["too-big-df"] = "fragment"
    packet = across(1461, flags="DF")
    c.from_b4(tunnel(packet)).hairpinned(
        *fragments6(encapsulated(aged(packet), B4_OFFSET), 1300))


@case("D6 D3 F5", "Hairpin: the merged ECN is on all fragments")
def hairpin_ecn(c):
    c.internal["mtu"] = 1300
    out = encapsulated(aged(across(1400, tos=3)), B4_OFFSET, tc=3)
    c.from_b4(tunnel(across(1400, tos=2), tc=3)).hairpinned(*fragments6(out, 1300))


@case("D6 D5", 'Hairpin with hairpinning = "external": the external MTU is what counts')
def hairpin_outside(c):
    c.external["mtu"] = 1400
    c.policy["hairpinning"] = "external"
    packet = across(1460)
    c.from_b4(tunnel(packet)).forwarded(*fragments4(aged(packet), 1400))


@case("E8 D5", "TCP with a payload, both ways: nothing but its IP header is changed")
def tcp_segments(c):
    c.external["mtu"] = 1400
    segment = ip(HOST, SHARED) / TCP(sport=80, dport=PORT_34, flags="A") / Raw(bytes(1460))
    c.from_internet(segment).forwarded(*in_tunnel(segment, b4=B4_34, br=BR2))
    segment = ip(SHARED, HOST) / TCP(sport=PORT_34, dport=80, flags="A") / Raw(bytes(1420))
    c.from_b4(tunnel(segment, B4_34, BR2)).forwarded(*fragments4(aged(segment), 1400))
