"""From a B4 to the Internet: D1 to D4. (Refused sources are in cases_errors.)"""

from scapy.layers.inet import UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Raw

from case import case
from world import (B4_12, B4_34, B4_OFFSET, B4_SINGLE, B4_WHOLE, B4_WHOLE_OFFSET, BR1, BR2, HOST,
                   INTERNAL, OFFSET, PORT_12, PORT_34, PORT_OFFSET, PORT_SINGLE, SHARED, SINGLE,
                   WHOLE, WHOLE_OFFSET, aged, data, encapsulated, icmp_error, inbound, ip, outbound,
                   tcp, tunnel, unreachable6)


@case("D1 D2 D4", "A UDP datagram leaves its tunnel: one TTL less, checksum right")
def udp(c):
    c.from_b4(tunnel(outbound())).forwarded(aged(outbound()))


@case("D1 D2", "TCP, SCTP, DCCP and UDP-Lite by their source ports")
def transports(c):
    for packet in (tcp(SHARED, HOST, PORT_12, 80),
                   ip(SHARED, HOST) / SCTP(sport=PORT_12, dport=9) / SCTPChunkInit(),
                   ip(SHARED, HOST, proto=33) / Raw(bytes.fromhex("1234 0009 0400000010000001")),
                   ip(SHARED, HOST, proto=136) / Raw(bytes.fromhex("1234 0009 0008aabb"))):
        c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("D2", "Each softwire from its own B4 to its own BR address")
def softwires(c):
    for source, port, b4, br in ((SHARED, PORT_12, B4_12, BR1), (SHARED, PORT_34, B4_34, BR2),
                                 (OFFSET, PORT_OFFSET, B4_OFFSET, BR1),
                                 (SINGLE, PORT_SINGLE, B4_SINGLE, BR1),
                                 (WHOLE, 0, B4_WHOLE, BR1),
                                 (WHOLE_OFFSET, 5, B4_WHOLE_OFFSET, BR1)):
        packet = outbound(source, port)
        c.from_b4(tunnel(packet, b4, br)).forwarded(aged(packet))


@case("D2", "A whole address sends whatever protocol it likes, and fragments")
def whole_address(c):
    for packet in (ip(WHOLE, HOST) / GRE() / ip("10.0.0.1", "10.0.0.2") / data(9),
                   ip(WHOLE, HOST, proto=50) / data(40),
                   ip(WHOLE, HOST, proto=41) / IPv6(src="2001:db8::1", dst="2001:db8::2") / data(5),
                   ip(WHOLE, HOST, flags="MF", proto=17) / UDP(sport=1, dport=2, len=72) / data(64),
                   ip(WHOLE, HOST, frag=9, proto=17) / data(8),
                   ip(WHOLE, HOST, proto=6)):
        c.from_b4(tunnel(packet, B4_WHOLE)).forwarded(aged(packet))


@case("D2 P2", "The inner transport header is not complete")
def transport_truncated(c):
    for protocol in (6, 17, 33, 132, 136):
        for size in range(4):
            packet = ip(SHARED, HOST, proto=protocol) / data(size)
            c.from_b4(tunnel(packet)).dropped("transport-truncated")


@case("D1", "A tunnelled packet to no BR address, ours or not: dropped without ICMP")
def not_to_a_br_address(c):
    c.from_b4(tunnel(outbound(), dst=INTERNAL)).dropped("unsupported-protocol")
    c.from_b4(tunnel(outbound(), dst="2001:db8:ff::3")).dropped("not-for-us")
    c.from_b4(tunnel(outbound(), dst="2001:db8:1::fe")).dropped("not-for-us")


@case("D1", "Other next headers to others are dropped, whatever they carry")
def not_for_us(c):
    for protocol in (6, 17, 41, 47, 50, 58, 89):
        packet = IPv6(src=B4_12, dst="2001:db8:77::7", nh=protocol) / data(40)
        c.from_b4(packet).dropped("not-for-us")


@case("D3", "DSCP and ECN of the inner packet are kept by default")
def inner_dscp_kept(c):
    for inner, outer in ((0x00, 0xB8), (0xB8, 0x00), (0x28, 0xFC), (0x02, 0x02), (0x01, 0x01)):
        packet = outbound(tos=inner)
        c.from_b4(tunnel(packet, tc=outer)).forwarded(aged(packet))


@case("D3", "decap-dscp = copy takes the outer DSCP; the inner ECN stays")
def outer_dscp_copied(c):
    c.policy["decap-dscp"] = "copy"
    for inner, outer in ((0x00, 0xB8), (0xB8, 0x00), (0x2A, 0xFE), (0x01, 0x51)):
        packet = outbound(tos=inner)
        out = aged(outbound(tos=outer & 0xFC | inner & 3))
        c.from_b4(tunnel(packet, tc=outer)).forwarded(out)


@case("D4", "TTL 2 is the last that leaves")
def ttl_two(c):
    c.from_b4(tunnel(outbound(ttl=2))).forwarded(aged(outbound(ttl=2)))


@case("D4", 'decap-ttl = "keep" leaves it untouched; a TTL of zero leaves by no router')
def ttl_kept(c):
    c.policy["decap-ttl"] = "keep"
    for ttl in (255, 2, 1):
        packet = outbound(ttl=ttl)
        c.from_b4(tunnel(packet)).forwarded(packet)
    packet = outbound(ttl=0)
    c.from_b4(tunnel(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))


@case("D2 D3", "Options of the inner packet are carried; its ports are found behind them")
def inner_options(c):
    for options in ([IPOption_RR(routers=["0.0.0.0", "0.0.0.0"])], [IPOption_NOP()] * 40):
        packet = outbound(options=options)
        c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("D2", "The B4 address is compared to its last bit")
def almost_the_b4(c):
    for source in ("2001:db8:b4::13", "2001:db8:b4:0:8000::12", "3001:db8:b4::12"):
        packet = tunnel(outbound(), src=source)
        c.from_b4(packet).dropped("source-wrong-b4", unreachable6(packet, 5))


@case("E1 D2", "There and back again: what decapsulation sends is what a B4 put in, and vice versa")
def round_trip(c):
    there, back = outbound(), inbound()
    c.from_b4(tunnel(there)).forwarded(aged(there))
    c.from_internet(back).forwarded(encapsulated(aged(back)))
