"""ICMPv4 about softwire traffic: I1 to I3."""

from scapy.layers.inet import ICMP, IPOption_RR
from scapy.packet import Raw

from case import case
from world import (B4_34, B4_WHOLE, BR2, HOST, OFFSET, PORT_12, PORT_34, PORT_OFFSET, SHARED, WHOLE,
                   aged, data, echo, encapsulated, frame4, icmp_error, inbound, ip,
                   ones_complement_sum, outbound, tcp, tunnel, unreachable6, with_bytes)

ROUTER = "203.0.113.254"
ERRORS = ((3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (11, 0), (11, 1), (12, 0))


def error_in(about, type=3, code=1, dst=SHARED, src=ROUTER, **fields):
    """An ICMP error from a router on the Internet about a packet."""
    return ip(src, dst, **fields) / ICMP(type=type, code=code) / Raw(bytes(about))


def error_out(about, type=3, code=3, src=SHARED, dst=HOST, **fields):
    """An ICMP error from a subscriber about a packet."""
    return ip(src, dst, **fields) / ICMP(type=type, code=code) / Raw(bytes(about))


def message(type, rest, code=0):
    """An ICMPv4 message with a right checksum; `rest` follows the first eight bytes."""
    raw = bytes([type, code, 0, 0, PORT_12 >> 8, PORT_12 & 0xFF, 0, 1]) + rest
    return raw[:2] + ones_complement_sum(raw).to_bytes(2, "big") + raw[4:]


# From the Internet: I1.

@case("I1", "Echo requests and replies from the Internet: the identifier is the port")
def echo_in(c):
    for kind in (8, 0):
        packet = echo(HOST, SHARED, PORT_12, kind)
        c.from_internet(packet).forwarded(encapsulated(aged(packet)))
        packet = echo(HOST, SHARED, PORT_34, kind, size=0)
        c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_34, BR2))


@case("I2", "An identifier that nobody owns: dropped, no error")
def echo_in_to_nobody(c):
    c.from_internet(echo(HOST, SHARED, 0x5678)).dropped("icmp-no-softwire")
    c.from_internet(echo(HOST, "198.51.100.77", 1)).dropped("icmp-no-softwire")


@case("I1", "Errors of type 3, 11 and 12 go to the source port of the packet they are about")
def errors_in(c):
    for kind, code in ERRORS:
        packet = error_in(outbound(ttl=1), kind, code)
        c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("I1", "An error about TCP, with only the eight bytes that RFC 792 promises")
def error_in_about_tcp(c):
    about = bytes(tcp(SHARED, HOST, PORT_34, 80))[:28]
    packet = error_in(about, 3, 4)
    c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_34, BR2))


@case("I1", "Four bytes of ports are enough; the rest may be cut, its total length notwithstanding")
def error_in_minimal(c):
    packet = error_in(bytes(outbound(size=900))[:24])
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("I1", "An error about an echo request goes by the identifier; a reply's too")
def error_in_about_echo(c):
    for kind in (8, 0):
        packet = error_in(echo(SHARED, HOST, PORT_12, kind), 11, 0)
        c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("I1", "Options in the quoted header move its ports")
def error_in_with_options(c):
    packet = error_in(outbound(options=[IPOption_RR(routers=["0.0.0.0", "0.0.0.0"])]))
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("I1", "What routers did to the quoted header does not matter: checksum, TTL, TOS")
def error_in_altered_quote(c):
    about = with_bytes(outbound(), {1: 0xB8, 8: 0, 10: 0xDE, 11: 0xAD})
    packet = error_in(about)
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("I1", "A quoted packet from another address is not what this error could be about")
def error_in_foreign_quote(c):
    c.from_internet(error_in(outbound(OFFSET, PORT_OFFSET))).dropped("icmp-embedded")
    c.from_internet(error_in(inbound())).dropped("icmp-embedded")


@case("I1", "A quoted packet without ports cannot have come from a shared address")
def error_in_port_less_quote(c):
    c.from_internet(error_in(ip(SHARED, HOST, proto=47) / data(8))).dropped("icmp-embedded")
    quoted = ip(SHARED, HOST) / ICMP(type=3, code=3) / data(28)
    c.from_internet(error_in(quoted)).dropped("icmp-embedded")


@case("I2", "A quoted port that nobody owns: dropped, no error about an error")
def error_in_to_nobody(c):
    c.from_internet(error_in(outbound(port=0x5678))).dropped("icmp-no-softwire")


@case("I1", "Other types to a shared address: source quench, redirect, timestamp, router discovery")
def other_types_in(c):
    for kind in (4, 5, 9, 10, 13, 14, 17, 30, 42, 255):
        packet = ip(HOST, SHARED) / Raw(bytes(ICMP(type=kind, id=PORT_12) / data(28)))
        packet.proto = 1
        c.from_internet(packet).dropped("icmp-type")


@case("I1", "A wrong ICMP checksum: dropped and counted as such")
def bad_checksum_in(c):
    packet = echo(HOST, SHARED, PORT_12)
    size = len(bytes(packet))
    for offset in (22, 27, size - 1):
        damaged = with_bytes(packet, {offset: bytes(packet)[offset] ^ 1})
        c.from_internet(frame4(damaged)).dropped("icmp-bad-checksum")
    odd = echo(HOST, SHARED, PORT_12, size=33)
    c.from_internet(odd).forwarded(encapsulated(aged(odd)))


@case("I1 P2", "ICMP cut short: its header, and a quoted packet without ports")
def truncated_in(c):
    for size in range(8):
        packet = ip(HOST, SHARED, proto=1) / Raw(message(8, b"")[:size])
        c.from_internet(packet).dropped("icmp-truncated")
    for size in (0, 1, 19, 20, 23):
        packet = error_in(bytes(outbound())[:size])
        c.from_internet(packet).dropped("icmp-truncated")


@case("I1", "To a whole address any type passes, about anything or nothing")
def whole_address_in(c):
    for kind in (0, 3, 4, 5, 8, 11, 13, 42):
        packet = ip(ROUTER, WHOLE, proto=1) / Raw(message(kind, bytes(20)))
        c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_WHOLE))
    later = ip(WHOLE, HOST, frag=5, proto=50) / data(8)
    packet = error_in(later, 11, 1, dst=WHOLE)
    c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_WHOLE))


@case("I1", "ICMP fragments to a whole address: their checksum cannot be verified, and is not")
def whole_address_fragments_in(c):
    whole = message(8, bytes(64))
    first = ip(HOST, WHOLE, proto=1, flags="MF") / Raw(whole[:40])
    last = ip(HOST, WHOLE, proto=1, frag=5) / Raw(whole[40:])
    for packet in (first, last):
        c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_WHOLE))


@case("I1", "allow-incoming-icmpv4 = false: none comes in; what B4s send still goes out")
def not_allowed(c):
    c.policy["allow-incoming-icmpv4"] = False
    c.from_internet(echo(HOST, SHARED, PORT_12)).dropped("icmp-not-allowed")
    c.from_internet(error_in(outbound())).dropped("icmp-not-allowed")
    c.from_internet(echo(HOST, WHOLE, PORT_12)).dropped("icmp-not-allowed")
    packet = echo(SHARED, HOST, PORT_12)
    c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("E6 I1", "An echo's TTL counts like any other's")
def echo_ttl(c):
    packet = echo(HOST, SHARED, PORT_12, ttl=1)
    c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))


# From a B4: I3.

@case("I3", "Echo requests and replies from a B4: the identifier is the source port")
def echo_out(c):
    for kind in (8, 0):
        packet = echo(SHARED, HOST, PORT_12, kind)
        c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("I3 D2", "An identifier that is not the B4's: refused like a port")
def echo_out_spoofed(c):
    packet = tunnel(echo(SHARED, HOST, 0x5678))
    c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))
    packet = tunnel(echo(SHARED, HOST, PORT_34))
    c.from_b4(packet).dropped("source-wrong-b4", unreachable6(packet, 5))


@case("I3", "Errors from a B4 go by the destination port of the packet they are about")
def errors_out(c):
    for kind, code in ERRORS:
        packet = error_out(inbound(), kind, code)
        c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("I3", "Errors from a B4 about echo requests and TCP")
def errors_out_about_others(c):
    for about in (echo(HOST, SHARED, PORT_12), tcp(HOST, SHARED, 80, PORT_12)):
        packet = error_out(about)
        c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("I3", "The quoted packet must have been sent to the softwire's address")
def error_out_foreign_quote(c):
    packet = error_out(inbound(OFFSET, PORT_OFFSET))
    c.from_b4(tunnel(packet)).dropped("icmp-embedded")
    packet = error_out(outbound())
    c.from_b4(tunnel(packet)).dropped("icmp-embedded")


@case("I3 I5", "An error about a port that is not the B4's: refused, and no error about an error")
def error_out_spoofed(c):
    c.from_b4(tunnel(error_out(inbound(port=0x5678)))).dropped("source-no-softwire")
    c.from_b4(tunnel(error_out(inbound(port=PORT_34)))).dropped("source-wrong-b4")


@case("I3", "Other types from a shared address")
def other_types_out(c):
    for kind in (4, 5, 13, 17, 42):
        packet = ip(SHARED, HOST, proto=1) / Raw(message(kind, bytes(28)))
        c.from_b4(tunnel(packet)).dropped("icmp-type")


@case("I3", "Checksum and length are checked on the way out too")
def damaged_out(c):
    packet = echo(SHARED, HOST, PORT_12)
    c.from_b4(tunnel(Raw(with_bytes(packet, {24: 0x55})))).dropped("icmp-bad-checksum")
    for size in (0, 7):
        packet = ip(SHARED, HOST, proto=1) / Raw(message(8, b"")[:size])
        c.from_b4(tunnel(packet)).dropped("icmp-truncated")
    for size in (0, 19, 23):
        packet = error_out(bytes(inbound())[:size])
        c.from_b4(tunnel(packet)).dropped("icmp-truncated")


@case("I3", "From a whole address any type and any quotation pass")
def whole_address_out(c):
    for kind in (0, 3, 4, 5, 8, 11, 13, 42):
        packet = ip(WHOLE, HOST, proto=1) / Raw(message(kind, bytes(20)))
        c.from_b4(tunnel(packet, B4_WHOLE)).forwarded(aged(packet))
