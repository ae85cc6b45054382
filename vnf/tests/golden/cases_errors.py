"""Errors of the relay's own: E7, D2, D4 and the limits of I5."""

from scapy.layers.inet import ICMP, UDP, IPOption_RR
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Raw

from case import case
from world import (B4_12, B4_WHOLE, BR1, BR2, HOST, PORT_12, SHARED, WHOLE, data, echo,
                   encapsulated, frame4, frame6, icmp_error, inbound, ip, outbound, tcp, tunnel,
                   unreachable6)

NOBODY = "198.51.100.77"


@case("E7 I5", "An address in nobody's hands: 3/1 from the external address")
def no_address(c):
    packet = inbound(NOBODY)
    c.from_internet(packet).dropped("no-softwire", icmp_error(packet, 3, 1))


@case("E7", "A port in nobody's hands: 3/1")
def no_port(c):
    packet = tcp(HOST, SHARED, 80, 0x5678)
    c.from_internet(packet).dropped("no-softwire", icmp_error(packet, 3, 1))


@case("E7", "generate-icmpv4-errors = false: dropped and counted in silence")
def unreachables_off(c):
    c.policy["generate-icmpv4-errors"] = False
    c.from_internet(inbound(NOBODY)).dropped("no-softwire")


@case("I5", "icmpv4-source is where our errors come from")
def icmpv4_source(c):
    c.policy["icmpv4-source"] = "192.0.2.99"
    packet = inbound(NOBODY)
    c.from_internet(packet).dropped("no-softwire", icmp_error(packet, 3, 1, source="192.0.2.99"))


@case("I5", "The error quotes up to 576 bytes in all, and never padding or trailing bytes")
def quotation(c):
    for size in (0, 1, 519, 520, 521, 1400):
        packet = inbound(NOBODY, size=size)
        error = icmp_error(packet, 3, 1)
        assert len(bytes(error)) == min(576, 28 + len(bytes(packet)))
        c.from_internet(packet).dropped("no-softwire", error)
    short = inbound(NOBODY, size=1)
    padded = frame4(bytes(short) + b"\xee" * 40)
    c.from_internet(padded).dropped("no-softwire", icmp_error(short, 3, 1))


@case("I5", "The quotation includes the packet's options")
def quotation_with_options(c):
    packet = inbound(NOBODY, options=[IPOption_RR(routers=["0.0.0.0"])])
    c.from_internet(packet).dropped("no-softwire", icmp_error(packet, 3, 1))


@case("I5", "TTL 1 with DF and every flag: the quotation is the packet as it came, checksum too")
def quotation_untouched(c):
    packet = inbound(ttl=1, flags="DF", tos=0xFF)
    c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))


@case("I5 I2", "No error about an ICMP error, whatever is wrong with it")
def not_about_errors(c):
    inner = ip(NOBODY, HOST) / UDP(sport=1, dport=2) / data(8)
    for kind in (3, 11, 12):
        packet = ip(HOST, NOBODY) / ICMP(type=kind, code=0) / Raw(bytes(inner))
        c.from_internet(packet).dropped("icmp-no-softwire")
    inner = ip(SHARED, HOST) / UDP(sport=PORT_12, dport=2) / data(8)
    packet = ip(HOST, SHARED, ttl=1) / ICMP(type=3, code=3) / Raw(bytes(inner))
    c.from_internet(packet).dropped("ttl-expired")
    packet = ip(HOST, WHOLE, ttl=1) / ICMP(type=4) / data(28)
    c.from_internet(packet).dropped("ttl-expired")
    packet = ip(HOST, WHOLE, flags="DF") / ICMP(type=3, code=1) / data(1450)
    c.from_internet(packet).dropped("too-big")


@case("I5", "But an expired echo request or reply is answered with 11/0")
def about_echo(c):
    for kind in (0, 8):
        packet = echo(HOST, SHARED, kind=kind, ttl=1)
        c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))


@case("I5", "No error about a fragment other than the first; the first gets one")
def not_about_later_fragments(c):
    first = ip(HOST, WHOLE, ttl=1, flags="MF", proto=17) / UDP(sport=1, dport=2, len=72) / data(64)
    c.from_internet(first).dropped("ttl-expired", icmp_error(first, 11, 0))
    later = ip(HOST, WHOLE, ttl=1, frag=9, proto=17) / data(8)
    c.from_internet(later).dropped("ttl-expired")
    later = ip(HOST, WHOLE, frag=9, flags="DF", proto=17) / data(1480)
    c.from_internet(later).dropped("too-big")


@case("I5", "No error to a source that is no host: martians are dropped before anything else")
def not_to_martians(c):
    for source in ("0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.5", "240.0.0.1",
                   "255.255.255.255"):
        packet = ip(source, NOBODY, ttl=1) / UDP(sport=1, dport=2)
        c.from_internet(packet).dropped("ipv4-martian")


@case("I5", "No error to or about a broadcast address of the network we are on (RFC 1812 4.3.2.7)")
def not_about_broadcasts(c):
    c.from_internet(inbound(NOBODY, src="192.0.2.255")).dropped("no-softwire")
    c.from_internet(inbound("192.0.2.255")).dropped("no-softwire")


@case("D2 I5", "Inner source nobody owns: ICMPv6 1/5 from the BR address to the sender")
def source_refused(c):
    for source, port in ((NOBODY, PORT_12), (SHARED, 0x5678)):
        packet = tunnel(outbound(source, port))
        c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))


@case("D2 I5", "The right address and port from the wrong B4: 1/5 to that sender, not to the owner")
def source_of_another_b4(c):
    packet = tunnel(outbound(), src="2001:db8:bad::1")
    c.from_b4(packet).dropped("source-wrong-b4", unreachable6(packet, 5))
    packet = tunnel(outbound(WHOLE), src=B4_12)
    c.from_b4(packet).dropped("source-wrong-b4", unreachable6(packet, 5))


@case("D2 I5", "The right B4 to the wrong BR address: 1/5 from the address it was sent to")
def source_to_another_br(c):
    packet = tunnel(outbound(), dst=BR2)
    c.from_b4(packet).dropped("source-wrong-br", unreachable6(packet, 5))
    packet = tunnel(outbound(WHOLE), src=B4_WHOLE, dst=BR2)
    c.from_b4(packet).dropped("source-wrong-br", unreachable6(packet, 5))


@case("D2", "Both wrong: the B4 is named first")
def source_wrong_twice(c):
    packet = tunnel(outbound(), src="2001:db8:bad::1", dst=BR2)
    c.from_b4(packet).dropped("source-wrong-b4", unreachable6(packet, 5))


@case("D2", "generate-icmpv6-errors = false: dropped and counted in silence")
def source_refused_in_silence(c):
    c.policy["generate-icmpv6-errors"] = False
    c.from_b4(tunnel(outbound(NOBODY))).dropped("source-no-softwire")


@case("I5", "ICMPv6 quotes up to 1280 bytes in all (RFC 4443), with the outer header first")
def quotation6(c):
    for size in (0, 1280 - 48 - 40 - 28, 1280 - 48 - 40 - 27, 1400):
        packet = tunnel(outbound(NOBODY, size=size))
        error = unreachable6(packet, 5)
        assert len(bytes(error)) == min(1280, 48 + len(bytes(packet)))
        c.from_b4(packet).dropped("source-no-softwire", error)
    packet = tunnel(outbound(NOBODY))
    trailing = frame6(bytes(packet) + b"\xee" * 9)
    c.from_b4(trailing).dropped("source-no-softwire", unreachable6(packet, 5))


@case("I5 P4", "The quotation keeps extension headers in front of the inner packet")
def quotation6_with_options(c):
    packet = IPv6(src=B4_12, dst=BR1) / IPv6ExtHdrDestOpt(nh=4) / outbound(NOBODY)
    c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))


@case("D4", "TTL 1 and 0 from a B4: 11/0 comes back through its own softwire")
def expired_from_b4(c):
    for ttl in (1, 0):
        packet = outbound(ttl=ttl)
        c.from_b4(tunnel(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))


@case("D4 I5", "No 11/0 about a B4's ICMP errors or later fragments")
def expired_from_b4_in_silence(c):
    inner = ip(HOST, WHOLE) / UDP(sport=1, dport=2) / data(8)
    error = ip(WHOLE, HOST, ttl=1) / ICMP(type=3, code=3) / Raw(bytes(inner))
    c.from_b4(tunnel(error, B4_WHOLE)).dropped("ttl-expired")
    later = ip(WHOLE, HOST, ttl=1, frag=9, proto=17) / data(8)
    c.from_b4(tunnel(later, B4_WHOLE)).dropped("ttl-expired")


@case("D2", "A protocol without ports from a shared address: dropped and counted, no error")
def port_less_from_b4(c):
    for protocol in (2, 41, 47, 50, 255):
        packet = ip(SHARED, HOST, proto=protocol) / data(24)
        c.from_b4(tunnel(packet)).dropped("port-less-protocol")
