"""Too big: E8 and D5. MTU means IP bytes (P6).

What is cut is in cases_fragmentation.
"""

from case import case
from world import (B4_34, BR2, PORT_34, SHARED, aged, encapsulated, fragments4, fragments6,
                   icmp_error, inbound, outbound, tunnel)

UDP_HEADERS = 28  # IPv4 and UDP.


def sized(total, **fields):
    """A datagram to a B4 whose IPv4 packet has this many bytes."""
    return inbound(size=total - UDP_HEADERS, **fields)


def sized_out(total, **fields):
    """A datagram from a B4 whose IPv4 packet has this many bytes."""
    return outbound(size=total - UDP_HEADERS, **fields)


@case("E8 P6", "1460 bytes fit an internal MTU of 1500 exactly")
def fits(c):
    for flags in ("DF", 0):
        packet = sized(1460, flags=flags)
        out = encapsulated(aged(packet))
        assert len(bytes(out)) == 1500
        c.from_internet(packet).forwarded(out)


@case("E8 I5", "One byte more with DF: 3/4 with MTU 1460, 576 bytes in all")
def too_big(c):
    packet = sized(1461, flags="DF")
    error = icmp_error(packet, 3, 4, mtu=1460)
    assert len(bytes(error)) == 576
    c.from_internet(packet).dropped("too-big", error)


@case("E8 I5", "3/4 is not governed by generate-icmpv4-errors")
def too_big_without_unreachables(c):
    c.policy["generate-icmpv4-errors"] = False
    packet = sized(1500, flags="DF")
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=1460))


@case("E8 F5", "One byte more without DF: encapsulated, and the IPv6 packet is cut in two")
def needs_fragmentation(c):
    packet = sized(1461)
    first, last = fragments6(encapsulated(aged(packet)), 1500)
    assert (len(bytes(first)), len(bytes(last))) == (1496, 61)
    c.from_internet(packet).forwarded(first, last)


@case("E8", "The smallest internal MTU, 1280: 1240 pass, 1241 do not")
def smallest_mtu(c):
    c.internal["mtu"] = 1280
    packet = sized(1240, flags="DF")
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))
    packet = sized(1241, flags="DF")
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=1240))


@case("E8 P6", "An internal MTU of 1540 carries full external packets")
def internal_1540(c):
    c.internal["mtu"] = 1540
    packet = sized(1500, flags="DF")
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("P6 E8", "What arrives may be longer than the MTU: 9000 bytes are judged, not refused")
def jumbo_input(c):
    packet = sized(9000, flags="DF")
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=1460))
    pieces = fragments6(encapsulated(aged(sized(9000))), 1500)
    assert len(pieces) == 7
    c.from_internet(sized(9000)).forwarded(*pieces)


@case("P6 E8", "An internal MTU of 9000: 8960 pass, 8961 do not")
def internal_9000(c):
    c.internal["mtu"] = 9000
    packet = sized(8960, flags="DF")
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))
    packet = sized(8961, flags="DF")
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=8960))


@case("D5 I5", "From a B4, larger than the external MTU with DF: 3/4 back through the tunnel")
def outbound_too_big(c):
    c.external["mtu"] = 1400
    packet = sized_out(1401, flags="DF")
    error = encapsulated(icmp_error(packet, 3, 4, mtu=1400))
    c.from_b4(tunnel(packet)).dropped("too-big", error)
    packet = sized_out(1400, flags="DF")
    c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("D5", "From a B4, larger than the external MTU, DF clear: IPv4 fragments")
def outbound_needs_fragmentation(c):
    c.external["mtu"] = 1400
    first, last = fragments4(aged(sized_out(1401)), 1400)
    assert (len(first), len(last)) == (1396, 25)
    c.from_b4(tunnel(sized_out(1401))).forwarded(first, last)


@case("D6 E8", "Hairpin: too big for the receiving B4's tunnel")
def hairpin_too_big(c):
    c.internal["mtu"] = 1300
    packet = outbound(dst=SHARED, size=1261 - UDP_HEADERS, flags="DF")
    packet.dport = PORT_34
    error = encapsulated(icmp_error(packet, 3, 4, mtu=1260))
    c.from_b4(tunnel(packet)).dropped("too-big", error)
    packet = outbound(dst=SHARED, size=1260 - UDP_HEADERS, flags="DF")
    packet.dport = PORT_34
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_34, BR2))
