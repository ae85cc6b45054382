"""The outer IPv6 header and what may stand between it and the inner packet: P2 and P4."""

from scapy.layers.inet6 import (ICMPv6ParamProblem, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                Pad1, PadN)
from scapy.packet import Raw

from case import case
from world import B4_12, BR1, BR2, INTERNAL, aged, data, frame6, outbound, tunnel, with_bytes

INNER = outbound()
TUNNEL_LIMIT = bytes([4, 1, 4])  # RFC 2473 section 4.1.1: type, length, limit.


def option_header(options, next_header=4):
    """A hop-by-hop or destination options header around these option bytes."""
    size = -(-(2 + len(options)) // 8) * 8
    rest = size - 2 - len(options)
    padding = b"" if rest == 0 else b"\0" if rest == 1 else bytes([1, rest - 2] + [0] * (rest - 2))
    return bytes([next_header, size // 8 - 1]) + options + padding


def with_extensions(first, *headers, inner=INNER, **fields):
    """A tunnelled packet with raw extension headers in front of the inner packet."""
    return IPv6(**({"src": B4_12, "dst": BR1, "nh": first} | fields)) / Raw(
        b"".join(headers) + bytes(inner))


@case("P4", "The Tunnel Encapsulation Limit that Linux tunnels send by default")
def encapsulation_limit(c):
    c.from_b4(with_extensions(60, option_header(TUNNEL_LIMIT))).forwarded(aged(INNER))
    c.from_b4(with_extensions(60, option_header(bytes([4, 1, 0])))).forwarded(aged(INNER))


@case("P4", "Hop-by-hop, destination options and a finished routing header, one after the other")
def extension_headers(c):
    hop_by_hop = option_header(b"", 60)
    options = option_header(TUNNEL_LIMIT, 43)
    routing = bytes([4, 0, 2, 0, 0, 0, 0, 0])
    c.from_b4(with_extensions(0, hop_by_hop, options, routing)).forwarded(aged(INNER))


@case("P4", "Padding options of every size")
def padding_options(c):
    for options in ([Pad1()] * 6, [PadN(optdata=b"\0" * 4)], [PadN(optdata=b"\0" * 12)]):
        packet = IPv6(src=B4_12, dst=BR1) / IPv6ExtHdrDestOpt(options=options, nh=4) / INNER
        c.from_b4(packet).forwarded(aged(INNER))


@case("P4", "Unknown options: the two highest bits say skip (00) or discard (01)")
def unknown_options(c):
    for first in (0, 60):
        skip = option_header(bytes([0x1E, 2, 9, 9]))
        c.from_b4(with_extensions(first, skip)).forwarded(aged(INNER))
        discard = option_header(bytes([0x5E, 2, 9, 9]))
        c.from_b4(with_extensions(first, discard)).dropped("ipv6-unknown-option")


@case("P4 I5", "10 and 11 say: tell the sender as well. The pointer is at the option's type")
def unknown_options_reported(c):
    for kind, lead in ((0x9E, b""), (0xDE, b""), (0x9E, TUNNEL_LIMIT + b"\0")):
        packet = with_extensions(60, option_header(lead + bytes([kind, 1, 9])))
        pointer = 40 + 2 + len(lead)
        error = (IPv6(src=BR1, dst=B4_12, hlim=64)
                 / ICMPv6ParamProblem(code=2, ptr=pointer) / Raw(bytes(packet)))
        c.from_b4(packet).dropped("ipv6-unknown-option", error)


@case("P4", "Nobody is told about a packet that was not for us")
def unknown_options_of_others(c):
    packet = with_extensions(60, option_header(bytes([0x9E, 1, 9])), dst="2001:db8:77::7")
    c.from_b4(packet).dropped("ipv6-unknown-option")


@case("P4", "A routing header of type 0 is refused, finished or not (RFC 5095)")
def routing_type_0(c):
    for left in (0, 1):
        routing = bytes([4, 2, 0, left, 0, 0, 0, 0]) + bytes(16)
        c.from_b4(with_extensions(43, routing)).dropped("ipv6-routing-header")


@case("P4", "Another routing header with segments left is not ours to follow")
def routing_unfinished(c):
    for kind in (2, 3, 4, 253):
        routing = bytes([4, 0, kind, 1, 0, 0, 0, 0])
        c.from_b4(with_extensions(43, routing)).dropped("ipv6-routing-header")


@case("P4", "A chain without end is not walked to its end")
def endless_chain(c):
    headers = [option_header(b"", 60)] * 40 + [option_header(b"", 4)]
    c.from_b4(with_extensions(60, *headers)).dropped("ipv6-extension-chain")


@case("P2 P4", "Extension headers cut short anywhere")
def truncated_extensions(c):
    for size in range(0, 8):
        packet = IPv6(src=B4_12, dst=BR1, nh=60) / Raw(option_header(TUNNEL_LIMIT)[:size])
        c.from_b4(packet).dropped("ipv6-truncated")
    long = IPv6(src=B4_12, dst=BR1, nh=60) / Raw(bytes([4, 9]) + bytes(6) + bytes(INNER)[:40])
    c.from_b4(long).dropped("ipv6-truncated")


@case("P2 P4", "An IPv6 header cut short anywhere")
def truncated_header(c):
    for size in (1, 20, 39):
        c.from_b4(frame6(bytes(tunnel(INNER))[:size])).dropped("ipv6-truncated")


@case("P2 P4", "A payload length beyond the bytes present")
def truncated_payload(c):
    raw = bytes(tunnel(INNER))
    c.from_b4(frame6(raw[:-1])).dropped("ipv6-truncated")
    c.from_b4(frame6(raw[:40])).dropped("ipv6-truncated")
    c.from_b4(frame6(with_bytes(raw, {4: 0xFF, 5: 0xFF}))).dropped("ipv6-truncated")


@case("P4", "A version that is not 6")
def bad_version(c):
    for version in (0, 4, 5, 7, 15):
        c.from_b4(frame6(with_bytes(tunnel(INNER), {0: version << 4}))).dropped("ipv6-bad-header")


@case("P4", "Sources that are nobody's: multicast, loopback, our own")
def bad_sources(c):
    for source in ("ff02::1", "ff0e::9", "::1", BR1, BR2, INTERNAL):
        c.from_b4(tunnel(INNER, src=source)).dropped("ipv6-bad-source")


@case("P4 D2", "Hop limit and flow label of the outer header do not matter")
def other_fields(c):
    for hop_limit in (0, 1, 255):
        c.from_b4(tunnel(INNER, hlim=hop_limit, fl=0xFFFFF)).forwarded(aged(INNER))


@case("D1 P4", "No next header: an end without a payload")
def no_next_header(c):
    c.from_b4(IPv6(src=B4_12, dst=BR1, nh=59) / data(9)).dropped("unsupported-protocol")
    c.from_b4(IPv6(src=B4_12, dst=BR1, nh=60) / Raw(option_header(b"", 59))).dropped(
        "unsupported-protocol")
