"""Who owns a port: E1, E2 and RFC 7597 section 5.1."""

from case import case
from world import (B4_12, B4_34, B4_OFFSET, B4_SINGLE, B4_WHOLE, B4_WHOLE_OFFSET, BR1, BR2, HOST,
                   OFFSET, PORT_OFFSET, PORT_SINGLE, SHARED, SINGLE, WHOLE, WHOLE_OFFSET, aged,
                   echo, encapsulated, icmp_error, inbound, outbound, softwire, tunnel,
                   unreachable6)


def nobody(c, address, port):
    """A datagram that E7 refuses."""
    packet = inbound(address, port)
    c.from_internet(packet).dropped("no-softwire", icmp_error(packet, 3, 1))


def somebody(c, address, port, b4, br=BR1):
    """A datagram that reaches this B4."""
    packet = inbound(address, port)
    c.from_internet(packet).forwarded(encapsulated(aged(packet), b4, br))


@case("E1 E2", "a = 6, k = 8, PSID 0x12: four ports in each of 63 blocks")
def offset_blocks(c):
    for block in (1, 2, 31, 62, 63):
        base = block << 10 | 0x12 << 2
        for port in range(base, base + 4):
            somebody(c, OFFSET, port, B4_OFFSET)
        nobody(c, OFFSET, base - 1)
        nobody(c, OFFSET, base + 4)


@case("E2", "a = 6: ports below 1024 belong to nobody, whatever their PSID bits say")
def offset_excluded(c):
    for port in (0, 0x12 << 2, 0x12 << 2 | 3, 1023):
        nobody(c, OFFSET, port)
    somebody(c, OFFSET, 1024 | 0x12 << 2, B4_OFFSET)


@case("E2", "PSID 0 with a = 6 still owns nothing below 1024")
def offset_psid_zero(c):
    c.softwires.append(softwire(OFFSET, 6, 8, 0, "2001:db8:b4::2:0"))
    for port in (0, 1, 3):
        nobody(c, OFFSET, port)
    for port in (1024, 1027, 2048, 63 << 10):
        somebody(c, OFFSET, port, "2001:db8:b4::2:0")
    nobody(c, OFFSET, 1028)


@case("E1", "a = 0, k = 8: the first and last port of a block and their neighbours")
def no_offset(c):
    somebody(c, SHARED, 0x1200, B4_12)
    somebody(c, SHARED, 0x12FF, B4_12)
    nobody(c, SHARED, 0x11FF)
    nobody(c, SHARED, 0x1300)
    somebody(c, SHARED, 0x3400, B4_34, BR2)
    nobody(c, SHARED, 0)
    nobody(c, SHARED, 0xFFFF)


@case("E1", "k = 16: one port each; port 0 can be somebody's")
def single_ports(c):
    c.softwires.append(softwire(SINGLE, 0, 16, 0, "2001:db8:b4::4:0"))
    c.softwires.append(softwire(SINGLE, 0, 16, 65535, "2001:db8:b4::4:ffff"))
    somebody(c, SINGLE, PORT_SINGLE, B4_SINGLE)
    somebody(c, SINGLE, 0, "2001:db8:b4::4:0")
    somebody(c, SINGLE, 65535, "2001:db8:b4::4:ffff")
    nobody(c, SINGLE, PORT_SINGLE - 1)
    nobody(c, SINGLE, PORT_SINGLE + 1)


@case("E1", "k = 0: every port, also when a > 0 (a means nothing then)")
def whole_addresses(c):
    for port in (0, 1, 1023, 1024, 4095, 4096, 65535):
        somebody(c, WHOLE, port, B4_WHOLE)
        somebody(c, WHOLE_OFFSET, port, B4_WHOLE_OFFSET)


@case("E1 E2", "a + k = 16 leaves m = 0: one port per block")
def no_low_bits(c):
    c.softwires = [softwire(SHARED, 8, 8, 0xAB, "2001:db8:b4::ab")]
    somebody(c, SHARED, 0x01AB, "2001:db8:b4::ab")
    somebody(c, SHARED, 0xFFAB, "2001:db8:b4::ab")
    nobody(c, SHARED, 0x00AB)
    nobody(c, SHARED, 0x01AA)
    nobody(c, SHARED, 0x01AC)


@case("E2", "a = 15, k = 1: only port 1 of each pair, from 2 on")
def largest_offset(c):
    c.softwires = [softwire(SHARED, 15, 1, 1, "2001:db8:b4::f1")]
    nobody(c, SHARED, 1)
    nobody(c, SHARED, 2)
    somebody(c, SHARED, 3, "2001:db8:b4::f1")
    somebody(c, SHARED, 65535, "2001:db8:b4::f1")


@case("E1", "Neighbouring addresses have port sets of their own")
def addresses_apart(c):
    c.softwires = [
        softwire("198.51.100.0", 0, 1, 1, "2001:db8:b4::a"),
        softwire("198.51.100.255", 0, 1, 0, "2001:db8:b4::b", BR2),
        softwire("198.51.101.0", 0, 2, 3, "2001:db8:b4::c"),
    ]
    somebody(c, "198.51.100.0", 0x8000, "2001:db8:b4::a")
    nobody(c, "198.51.100.0", 0x7FFF)
    nobody(c, "198.51.100.1", 0x8000)
    somebody(c, "198.51.100.255", 0x7FFF, "2001:db8:b4::b", BR2)
    nobody(c, "198.51.100.255", 0x8000)
    somebody(c, "198.51.101.0", 0xC000, "2001:db8:b4::c")
    nobody(c, "198.51.101.0", 0xBFFF)


@case("E1", "One B4 with two port sets, one BR address for each")
def several_per_b4(c):
    c.table_keys["several-per-b4"] = True
    c.softwires = [softwire(SHARED, 0, 8, 0x12, "2001:db8:b4::1", BR1),
                   softwire(SHARED, 0, 8, 0x13, "2001:db8:b4::1", BR2)]
    somebody(c, SHARED, 0x12FF, "2001:db8:b4::1", BR1)
    somebody(c, SHARED, 0x1300, "2001:db8:b4::1", BR2)
    packet = outbound(SHARED, 0x1300)
    c.from_b4(tunnel(packet, "2001:db8:b4::1", BR2)).forwarded(aged(packet))
    wrong = tunnel(packet, "2001:db8:b4::1", BR1)
    c.from_b4(wrong).dropped("source-wrong-br", unreachable6(wrong, 5))


@case("D2 E2", "From a B4 the same arithmetic decides: its own ports pass, the others do not")
def source_ports(c):
    for port in (PORT_OFFSET, 63 << 10 | 0x12 << 2 | 3):
        packet = outbound(OFFSET, port)
        c.from_b4(tunnel(packet, B4_OFFSET)).forwarded(aged(packet))
    for port in (0x12 << 2, PORT_OFFSET + 3, 1023):
        packet = tunnel(outbound(OFFSET, port), B4_OFFSET)
        c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))


@case("E1", "Identifiers obey the port set as ports do, 0 included")
def echo_identifiers(c):
    c.softwires.append(softwire(SHARED, 0, 8, 0, "2001:db8:b4::100"))
    for identifier, b4 in ((0, "2001:db8:b4::100"), (255, "2001:db8:b4::100"),
                           (0x1200, "2001:db8:b4::12")):
        packet = echo(HOST, SHARED, identifier)
        c.from_internet(packet).forwarded(encapsulated(aged(packet), b4))
    c.from_internet(echo(HOST, SHARED, 256)).dropped("icmp-no-softwire")
    c.from_internet(echo(HOST, OFFSET, 0x12 << 2)).dropped("icmp-no-softwire")


@case("E1 E3", "A table read from a CSV file: the last column may be left out with one BR address")
def table_file(c):
    c.br_addresses = [BR1]
    c.table_file = ("ipv4,psid-offset,psid-len,psid,b4-ipv6\n"
                    "198.51.100.1,0,8,18,2001:db8:b4::12\n"
                    "198.51.100.2,6,8,18,2001:db8:b4::2:12\n"
                    "198.51.100.3,0,0,0,2001:db8:b4::3\n")
    somebody(c, SHARED, 0x1234, "2001:db8:b4::12")
    somebody(c, OFFSET, PORT_OFFSET, B4_OFFSET)
    somebody(c, WHOLE, 9, B4_WHOLE)
    nobody(c, SHARED, 0x1300)
