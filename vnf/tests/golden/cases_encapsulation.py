"""From the Internet to a B4: E1 and E3 to E6. (The port arithmetic is in cases_port_sets.)"""

from scapy.layers.inet import IP, UDP, IPOption_NOP, IPOption_RR, IPOption_Timestamp
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Raw

from case import case
from world import (B4_34, B4_WHOLE, BR2, HOST, PORT_12, PORT_34, SHARED, WHOLE, aged, data,
                   encapsulated, frame4, icmp_error, inbound, ip, ones_complement_sum, parsed,
                   softwire, tcp)


@case("E1 E3 E6", "A UDP datagram goes into its softwire: one TTL less, checksum right")
def udp(c):
    c.from_internet(inbound()).forwarded(encapsulated(aged(inbound())))


@case("E1", "TCP is looked up by its destination port, options and payload untouched")
def tcp_segment(c):
    packet = tcp(HOST, SHARED, 80, PORT_12)
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("E1", "SCTP, DCCP and UDP-Lite have ports too")
def other_transports(c):
    sctp = ip(HOST, SHARED) / SCTP(sport=9, dport=PORT_12) / SCTPChunkInit()
    c.from_internet(sctp).forwarded(encapsulated(aged(sctp)))
    dccp = ip(HOST, SHARED, proto=33) / Raw(bytes.fromhex("0009 1234 04000000 10000001 00000002"))
    c.from_internet(dccp).forwarded(encapsulated(aged(dccp)))
    lite = ip(HOST, SHARED, proto=136) / Raw(bytes.fromhex("0009 1234 0008 aabb 01020304"))
    c.from_internet(lite).forwarded(encapsulated(aged(lite)))


@case("E1", "A protocol without ports cannot be shared: dropped and counted, no error")
def port_less_protocols(c):
    for protocol in (2, 4, 41, 47, 50, 51, 103, 255):
        packet = ip(HOST, SHARED, proto=protocol) / data(24)
        c.from_internet(packet).dropped("port-less-protocol")


@case("E1", "To a whole address every protocol passes, even without a single byte of payload")
def whole_address_protocols(c):
    for protocol in (2, 4, 6, 17, 41, 47, 50, 51, 132, 255):
        packet = ip(HOST, WHOLE, proto=protocol) / data(24)
        c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_WHOLE))
    bare = ip(HOST, WHOLE, proto=6)
    c.from_internet(bare).forwarded(encapsulated(aged(bare), B4_WHOLE))


@case("E1", "To a whole address fragments pass: nothing needs their ports")
def whole_address_fragments(c):
    first = ip(HOST, WHOLE, flags="MF", proto=17) / Raw(bytes(UDP(sport=1, dport=2, len=64)))
    last = ip(HOST, WHOLE, frag=1, proto=17) / data(56)
    for packet in (first, last):
        c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_WHOLE))


@case("E3", "The outer source is the softwire's own BR address")
def second_br_address(c):
    packet = inbound(port=PORT_34)
    c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_34, BR2))


@case("E3", "The outer hop limit is a key")
def hop_limit(c):
    c.policy["hop-limit"] = 17
    c.from_internet(inbound()).forwarded(encapsulated(aged(inbound()), hlim=17))


@case("E3 P2", "The payload length comes from the IPv4 total length, not from the frame")
def padding(c):
    packet = ip(HOST, SHARED) / UDP(sport=1, dport=PORT_12)
    padded = frame4(bytes(packet).ljust(46, b"\xee"))
    c.from_internet(padded).forwarded(encapsulated(aged(packet)))
    trailing = frame4(bytes(packet) + b"\xee" * 300)
    c.from_internet(trailing).forwarded(encapsulated(aged(packet)))


@case("E4", "DSCP and ECN are copied to the traffic class (RFC 6040 normal mode)")
def traffic_class(c):
    for tos in (0x00, 0x01, 0x02, 0x03, 0x2E << 2, 0x2E << 2 | 1, 0xFF):
        packet = inbound(tos=tos)
        c.from_internet(packet).forwarded(encapsulated(aged(packet), tc=tos))


@case("E4", "A fixed DSCP leaves ECN alone")
def fixed_dscp(c):
    c.policy["dscp"] = 10
    for tos in (0x00, 0xB8, 0xFD, 0x02):
        packet = inbound(tos=tos)
        c.from_internet(packet).forwarded(encapsulated(aged(packet), tc=10 << 2 | tos & 3))


@case("E4", "RFC 6040 compatibility mode: the outer header is never ECN-capable")
def ecn_compatibility(c):
    c.policy["ecn"] = "compatibility"
    for tos in (0x00, 0x01, 0x02, 0x03, 0xBB):
        packet = inbound(tos=tos)
        c.from_internet(packet).forwarded(encapsulated(aged(packet), tc=tos & 0xFC))


@case("E5", "A fixed flow label")
def fixed_flow_label(c):
    c.policy["flow-label"] = 0xABCDE
    c.from_internet(inbound()).forwarded(encapsulated(aged(inbound()), fl=0xABCDE))


@case("E6", "TTL 2 is the last that passes")
def ttl_two(c):
    packet = inbound(ttl=2)
    out = aged(packet)
    assert out.ttl == 1
    c.from_internet(packet).forwarded(encapsulated(out))
    c.from_internet(inbound(ttl=255)).forwarded(encapsulated(aged(inbound(ttl=255))))


@case("E6 I5", "TTL 1 and 0 end here: ICMP 11/0 about the packet as it came")
def ttl_expired(c):
    for ttl in (1, 0):
        packet = inbound(ttl=ttl)
        c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))


@case("E6 I5", "11/0 is not governed by generate-icmpv4-errors")
def ttl_expired_without_unreachables(c):
    c.policy["generate-icmpv4-errors"] = False
    packet = inbound(ttl=1)
    c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))


@case("E6", "RFC 1624: checksums around 0 and 0xffff come out right")
def checksum_corners(c):
    wanted = {0x0000, 0x0001, 0x00FF, 0x0100, 0xFEFF, 0xFF00, 0xFFFE}
    for identification in range(0x10000):
        packet = bytearray(bytes(HEADER))
        packet[4:6] = identification.to_bytes(2, "big")
        before = ones_complement_sum(packet[:10] + b"\0\0" + packet[12:20])
        packet[8] -= 1
        after = ones_complement_sum(packet[:10] + b"\0\0" + packet[12:20])
        if wanted & {before, after}:
            packet[8] += 1
            packet[10:12] = before.to_bytes(2, "big")
            whole = IP(bytes(packet))
            c.from_internet(whole).forwarded(encapsulated(aged(whole)))


HEADER = parsed(inbound())


@case("E6 P3", "A checksum of 0xffff where 0x0000 is computed is right too (RFC 1071)")
def checksum_minus_zero(c):
    for identification in range(0x10000):
        packet = bytearray(bytes(HEADER))
        packet[4:6] = identification.to_bytes(2, "big")
        if ones_complement_sum(packet[:10] + b"\0\0" + packet[12:20]) == 0:
            packet[10:12] = b"\xff\xff"
            c.from_internet(IP(bytes(packet))).forwarded(encapsulated(aged(bytes(packet))))


@case("P3 E1", "Options other than source routes are carried; ports are found behind them")
def ipv4_options(c):
    for options in ([IPOption_RR(routers=["0.0.0.0", "0.0.0.0"])], [IPOption_Timestamp()],
                    [IPOption_NOP()] * 40):
        packet = inbound(options=options)
        c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("E1", "Port 0 is an ordinary value when a = 0")
def port_zero(c):
    c.softwires.append(softwire(SHARED, 0, 8, 0, "2001:db8:b4::100"))
    packet = inbound(port=0)
    c.from_internet(packet).forwarded(encapsulated(aged(packet), "2001:db8:b4::100"))


@case("E1 P2", "The transport header is not complete: dropped before any look-up")
def transport_truncated(c):
    for protocol in (6, 17, 33, 132, 136):
        for size in range(0, 4):
            packet = ip(HOST, SHARED, proto=protocol) / data(size)
            c.from_internet(packet).dropped("transport-truncated")


@case("E1", "Only the ports are read: a TCP header cut after them is the B4's business")
def ports_suffice(c):
    packet = ip(HOST, SHARED, proto=17) / Raw(bytes.fromhex("00351234"))
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("P6", "The largest packet for an internal MTU of 9000")
def jumbo(c):
    c.external["mtu"] = 9000
    c.internal["mtu"] = 9000
    packet = inbound(size=9000 - 40 - 28)
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))
