"""The addresses, softwires and packets that the golden cases share."""

import itertools
import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

# The relay and its two neighbours.
EXTERNAL_NET, EXTERNAL = "192.0.2.1/24", "192.0.2.1"
INTERNAL_NET, INTERNAL = "2001:db8:1::1/64", "2001:db8:1::1"
NEXT_HOP4, NEXT_HOP4_MAC = "192.0.2.254", "02:00:00:00:01:fe"
NEXT_HOP6, NEXT_HOP6_MAC = "2001:db8:1::fe", "02:00:00:00:02:fe"
MAC4, MAC6 = "02:00:00:00:00:01", "02:00:00:00:00:02"
LINK_LOCAL = "fe80::ff:fe00:2"  # EUI-64 of MAC6 (RFC 4291, appendix A).
RELAY_MACS = (MAC4, MAC6)
NEXT_HOP_MACS = (NEXT_HOP4_MAC, NEXT_HOP6_MAC)
BR1, BR2 = "2001:db8:ff::1", "2001:db8:ff::2"

# A host somewhere on the Internet.
HOST = "203.0.113.9"

# Softwires. SHARED has a = 0, k = 8: the PSID is the port's upper byte.
SHARED = "198.51.100.1"
B4_12, B4_34 = "2001:db8:b4::12", "2001:db8:b4::34"
PORT_12, PORT_34 = 0x1234, 0x3456
# OFFSET has a = 6, k = 8: the PSID is bits 9 to 2, ports below 1024 belong to nobody.
OFFSET, B4_OFFSET = "198.51.100.2", "2001:db8:b4::2:12"
PORT_OFFSET = 0b000001_00010010_01
# WHOLE belongs to one subscriber; so does WHOLE_OFFSET, whose a means nothing.
WHOLE, B4_WHOLE = "198.51.100.3", "2001:db8:b4::3"
WHOLE_OFFSET, B4_WHOLE_OFFSET = "198.51.100.5", "2001:db8:b4::5"
# SINGLE has k = 16: one port each.
SINGLE, B4_SINGLE, PORT_SINGLE = "198.51.100.4", "2001:db8:b4::4", 4711


def softwire(ipv4, offset, length, psid, b4, br=BR1):
    """One entry of the binding table."""
    return {"ipv4": ipv4, "psid-offset": offset, "psid-len": length, "psid": psid,
            "b4-ipv6": b4, "br-ipv6": br}


SOFTWIRES = [
    softwire(SHARED, 0, 8, 0x12, B4_12),
    softwire(SHARED, 0, 8, 0x34, B4_34, BR2),
    softwire(OFFSET, 6, 8, 0x12, B4_OFFSET),
    softwire(WHOLE, 0, 0, 0, B4_WHOLE),
    softwire(SINGLE, 0, 16, PORT_SINGLE, B4_SINGLE),
    softwire(WHOLE_OFFSET, 4, 0, 0, B4_WHOLE_OFFSET),
]


def ip(src, dst, **fields):
    """An IPv4 header with an identification that is not zero."""
    return IP(**({"src": src, "dst": dst, "ttl": 60, "id": 0x1f2e} | fields))


def data(size):
    """Bytes that differ, so that a shifted copy is seen."""
    return Raw(bytes((i * 7 + 3) & 0xFF for i in range(size)))


def inbound(dst=SHARED, port=PORT_12, size=32, src=HOST, **fields):
    """UDP from the Internet to a subscriber."""
    return ip(src, dst, **fields) / UDP(sport=53, dport=port) / data(size)


def outbound(src=SHARED, port=PORT_12, size=32, dst=HOST, **fields):
    """UDP from a subscriber to the Internet, before its B4 encapsulates it."""
    return ip(src, dst, **fields) / UDP(sport=port, dport=53) / data(size)


def tunnel(packet, src=B4_12, dst=BR1, **fields):
    """A packet as a B4 sends it."""
    return IPv6(**({"src": src, "dst": dst, "hlim": 63, "nh": 4} | fields)) / packet


def encapsulated(packet, b4=B4_12, br=BR1, **fields):
    """A packet as the relay sends it to a B4: E3, E4, with a flow label of 0."""
    header = {"src": br, "dst": b4, "hlim": 64, "nh": 4, "tc": parsed(packet).tos}
    return IPv6(**(header | fields)) / packet


def parsed(packet):
    """The IPv4 packet after a trip through its bytes: lengths and checksums are filled in."""
    return packet if isinstance(packet, bytes) else IP(bytes(packet))


def aged(packet):
    """The packet with its TTL one lower (E6): only TTL and header checksum differ."""
    raw = bytearray(bytes(packet))
    header = 4 * (raw[0] & 15)
    raw[8] -= 1
    raw[10:12] = b"\0\0"
    raw[10:12] = ones_complement_sum(raw[:header]).to_bytes(2, "big")
    return IP(bytes(raw))


def ones_complement_sum(block):
    """The Internet checksum (RFC 1071)."""
    total = sum(int.from_bytes(block[i:i + 2].ljust(2, b"\0"), "big")
                for i in range(0, len(block), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


# Fragments.

IDENTIFICATIONS = itertools.count(1)  # One for each packet that is cut; the relay's are random.


def fragments6(packet, mtu):
    """An IPv6 packet of ours in fragments (F5, RFC 8200 4.5): as few as can be, each but the last
    with as many whole units of 8 bytes as fit. (The comparison knows that only the relay chooses
    the identification.)"""
    raw = bytes(packet)
    header, rest = raw[:40], raw[40:]
    identification = next(IDENTIFICATIONS)
    room = mtu - 48
    pieces, offset = [], 0
    while offset < len(rest):
        left = len(rest) - offset
        size = left if left <= room else room // 8 * 8
        more = offset + size < len(rest)
        extension = struct.pack("!BBHI", header[6], 0, offset | more, identification)
        pieces.append(header[:4] + struct.pack("!HBB", 8 + size, 44, header[7]) + header[8:]
                      + extension + rest[offset:offset + size])
        offset += size
    return [IPv6(piece) for piece in pieces]


def fragments4(packet, mtu):
    """An IPv4 packet in fragments, as RFC 791 (3.2, "An Example Fragmentation Procedure") cuts it:
    the later ones carry only the options with the copied flag; identification, flags and offset
    go on from what they are."""
    raw = bytes(packet)
    header_len = 4 * (raw[0] & 15)
    rest, flags = raw[header_len:], int.from_bytes(raw[6:8], "big")
    options, pieces, offset = raw[20:header_len], [], 0
    while offset < len(rest):
        room = mtu - 20 - len(options)
        left = len(rest) - offset
        size = left if left <= room else room // 8 * 8
        more = 0x2000 if offset + size < len(rest) else flags & 0x2000
        field = more | (flags & 0x1FFF) + offset // 8
        head = bytearray([0x40 | (20 + len(options)) // 4]) + raw[1:20] + options
        head[2:4] = (len(head) + size).to_bytes(2, "big")
        head[6:8] = field.to_bytes(2, "big")
        head[10:12] = b"\0\0"
        head[10:12] = ones_complement_sum(head).to_bytes(2, "big")
        pieces.append(IP(bytes(head) + rest[offset:offset + size]))
        offset += size
        options = copied(raw[20:header_len])
    return pieces


def copied(options):
    """The options that every fragment carries, filled up with ends of list."""
    kept = b""
    while options and options[0] != 0:
        size = 1 if options[0] == 1 else options[1]
        if options[0] & 0x80:
            kept += options[:size]
        options = options[size:]
    return kept + bytes(-len(kept) % 4)


def with_bytes(packet, changes):
    """The packet's bytes with some of them replaced: {offset: byte}."""
    raw = bytearray(bytes(packet))
    for offset, byte in changes.items():
        raw[offset] = byte
    return bytes(raw)


def frame4(payload, **fields):
    """An Ethernet frame of the external next hop with any bytes in it."""
    return Ether(**({"src": NEXT_HOP4_MAC, "dst": MAC4, "type": 0x0800} | fields)) / as_raw(payload)


def frame6(payload, **fields):
    """An Ethernet frame of the internal next hop with any bytes in it."""
    return Ether(**({"src": NEXT_HOP6_MAC, "dst": MAC6, "type": 0x86DD} | fields)) / as_raw(payload)


def as_raw(payload):
    """Bytes as a scapy layer."""
    return payload if isinstance(payload, Packet) else Raw(bytes(payload))


# What the relay says of its own accord.

def icmp_error(about, type, code, mtu=0, source=EXTERNAL, to=None):
    """An ICMPv4 error of ours (I5): the packet as it arrived, up to 576 bytes in all (RFC 1812
    4.3.2.3), precedence 6 (4.3.2.5). DF makes an identification of 0 lawful (RFC 6864)."""
    about = bytes(about)
    header = IP(src=source, dst=to or IP(about).src, ttl=64, tos=0xC0, id=0, flags="DF", proto=1)
    body = bytes([type, code, 0, 0, 0, 0, mtu >> 8, mtu & 0xFF]) + about[:576 - 28]
    checksum = ones_complement_sum(body).to_bytes(2, "big")
    return header / Raw(body[:2] + checksum + body[4:])


def unreachable6(about, code):
    """An ICMPv6 destination unreachable of ours (I5): up to 1280 bytes (RFC 4443 2.4 c)."""
    about = bytes(about)
    header = IPv6(src=IPv6(about).dst, dst=IPv6(about).src, hlim=64)
    return header / ICMPv6DestUnreach(code=code) / Raw(about[:1280 - 48])


def echo(src, dst, identifier=PORT_12, kind=8, size=32, sequence=7, **fields):
    """An ICMPv4 echo request (8) or reply (0)."""
    return ip(src, dst, **fields) / ICMP(type=kind, id=identifier, seq=sequence) / data(size)


def echo_reply(request):
    """What an address of ours answers to an echo request (N4): the same datagram turned around,
    with a TTL of our own."""
    request = parsed(request)
    header = IP(src=request.dst, dst=request.src, ttl=64, tos=request.tos, id=request.id,
                flags=request.flags)
    answer = ICMP(type=0, id=request[ICMP].id, seq=request[ICMP].seq)
    return header / answer / Raw(bytes(request[ICMP].payload))


def tcp(src, dst, sport, dport, **fields):
    """A TCP segment with options."""
    header = TCP(sport=sport, dport=dport, flags="PA", seq=1, ack=2,
                 options=[("NOP", None), ("NOP", None), ("Timestamp", (5, 6))])
    return ip(src, dst, **fields) / header / data(20)
