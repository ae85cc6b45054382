"""Q1: an ingress and an egress filter on each side, in tcpdump's language. The expressions here are
plain enough to see what they match."""

from scapy.packet import Raw

from case import case
from world import (B4_12, B4_34, B4_OFFSET, B4_WHOLE, BR2, EXTERNAL, HOST, INTERNAL, OFFSET,
                   PORT_12, PORT_34, PORT_OFFSET, SHARED, WHOLE, aged, data, echo,
                   echo_reply, encapsulated, fragments4, fragments6, frame4, icmp_error,
                   inbound, ip, outbound, tcp, tunnel, unreachable6, with_bytes)

NOBODY = "198.51.100.77"


def across(**fields):
    """A datagram from B4_12 to B4_OFFSET."""
    packet = outbound(dst=OFFSET, **fields)
    packet.dport = PORT_OFFSET
    return packet


@case("Q1", "External ingress: only what matches comes in")
def external_ingress(c):
    c.external["ingress-filter"] = "udp and src port 53"
    c.from_internet(inbound()).forwarded(encapsulated(aged(inbound())))
    c.from_internet(tcp(HOST, SHARED, 80, PORT_12)).dropped("filter-ingress")
    other = inbound()
    other.sport = 54
    c.from_internet(other).dropped("filter-ingress")


@case("Q1", "External egress: it is asked about the packet as it leaves, bare and one hop older")
def external_egress(c):
    c.external["egress-filter"] = "ip and ip[8] = 59 and dst port 53"
    c.from_b4(tunnel(outbound())).forwarded(aged(outbound()))
    c.from_b4(tunnel(outbound(ttl=59))).dropped("filter-egress")
    c.from_b4(tunnel(tcp(SHARED, HOST, PORT_12, 80))).dropped("filter-egress")


@case("Q1", "Internal ingress: it is asked about the tunnel packet")
def internal_ingress(c):
    c.internal["ingress-filter"] = f"src host {B4_12} and ip6 proto 4 and ip6[49] = 17"
    c.from_b4(tunnel(outbound())).forwarded(aged(outbound()))
    c.from_b4(tunnel(tcp(SHARED, HOST, PORT_12, 80))).dropped("filter-ingress")
    other = outbound(port=PORT_34)
    c.from_b4(tunnel(other, B4_34, BR2)).dropped("filter-ingress")


@case("Q1", "Internal egress: it is asked about the packet with its tunnel header")
def internal_egress(c):
    c.internal["egress-filter"] = f"dst host {B4_12} and ip6[7] = 64 and ip6[48] = 59"
    c.from_internet(inbound()).forwarded(encapsulated(aged(inbound())))
    c.from_internet(inbound(ttl=59)).dropped("filter-egress")
    c.from_internet(inbound(WHOLE)).dropped("filter-egress")


@case("Q1", "Length is that of the IP packet: no Ethernet header, no VLAN tag, no padding")
def length(c):
    c.external["ingress-filter"] = "len = 36"
    packet = inbound(size=8)
    out = encapsulated(aged(packet))
    c.from_internet(frame4(bytes(packet) + bytes(10))).forwarded(out)
    c.from_internet(packet).forwarded(out)
    c.from_internet(inbound(size=9)).dropped("filter-ingress")


@case("Q1 D6", "From B4 to B4: the internal ingress filter and the internal egress filter")
def hairpin(c):
    c.internal["ingress-filter"] = f"src host {B4_12}"
    c.internal["egress-filter"] = f"dst host {B4_OFFSET} and less 100"
    c.external["ingress-filter"] = "less 1"
    c.external["egress-filter"] = "less 1"
    packet = across()
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_OFFSET))
    packet = across(size=60)
    c.from_b4(tunnel(packet)).dropped("filter-egress")
    packet = across()
    packet.src, packet.sport = WHOLE, 4000
    c.from_b4(tunnel(packet, B4_WHOLE)).dropped("filter-ingress")


@case("Q1 D6", "Hairpins that leave on the external side pass its egress filter")
def external_hairpin(c):
    c.policy["hairpinning"] = "external"
    c.internal["egress-filter"] = "less 1"
    c.external["egress-filter"] = f"dst host {OFFSET}"
    c.from_b4(tunnel(across())).forwarded(aged(across()))
    c.from_b4(tunnel(outbound())).dropped("filter-egress")


@case("Q1 E8 F5", "The egress filter is asked before the tunnel packet is cut")
def before_outer_fragments(c):
    c.internal["egress-filter"] = "ip6 and ip6[6] = 4 and len = 1540"
    packet = inbound(size=1500 - 28)
    c.from_internet(packet).forwarded(*fragments6(encapsulated(aged(packet)), 1500))
    c.from_internet(inbound(size=1501 - 28)).dropped("filter-egress")


@case("Q1 E8", "The egress filter is asked before the IPv4 packet is cut")
def before_inner_fragments(c):
    c.policy["fragment"] = "inner"
    c.internal["egress-filter"] = "len = 1540"
    packet = inbound(size=1500 - 28)
    pieces = fragments4(aged(packet), 1460)
    c.from_internet(packet).forwarded(*[encapsulated(piece) for piece in pieces])
    c.from_internet(inbound(size=1501 - 28)).dropped("filter-egress")


@case("Q1 D5", "The external egress filter is asked before fragments are made")
def before_external_fragments(c):
    c.external["mtu"] = 1300
    c.internal["mtu"] = 1600
    c.external["egress-filter"] = "len = 1400 and ip[6:2] & 0x3fff = 0"
    packet = outbound(size=1400 - 28)
    c.from_b4(tunnel(packet)).forwarded(*fragments4(aged(packet), 1300))
    c.from_b4(tunnel(outbound(size=1401 - 28))).dropped("filter-egress")


@case("Q1 E9", "IPv4 fragments match as they are: only the first has ports")
def ipv4_fragments(c):
    c.external["ingress-filter"] = "src port 53 or ip[6:2] & 0x1fff = 5"
    first = ip(HOST, WHOLE, flags="MF", proto=17) / Raw(bytes(inbound(WHOLE))[20:60])
    later = ip(HOST, WHOLE, frag=5, proto=17) / data(20)
    last = ip(HOST, WHOLE, frag=6, proto=17) / data(20)
    c.from_internet(first).forwarded(encapsulated(aged(first), B4_WHOLE))
    c.from_internet(later).forwarded(encapsulated(aged(later), B4_WHOLE))
    c.from_internet(last).dropped("filter-ingress")


@case("Q1 N4 I5", "Echo to ourselves, and what we say ourselves, pass whatever the filters say")
def exempt(c):
    for side in (c.external, c.internal):
        side["ingress-filter"] = "less 1"
        side["egress-filter"] = "less 1"
    request = echo(HOST, EXTERNAL)
    c.from_internet(request).answered(echo_reply(request))
    c.from_internet(inbound()).dropped("filter-ingress")
    c.from_b4(tunnel(outbound())).dropped("filter-ingress")


@case("Q1 D7", "Echo to ourselves through the tunnel, too; not what else is sent to us there")
def exempt_in_tunnel(c):
    for side in (c.external, c.internal):
        side["ingress-filter"] = "less 1"
        side["egress-filter"] = "less 1"
    request = echo(SHARED, EXTERNAL)
    c.from_b4(tunnel(request)).answered(encapsulated(echo_reply(request)))
    reply = echo(SHARED, EXTERNAL, kind=0)
    c.from_b4(tunnel(reply)).dropped("filter-ingress")
    c.from_b4(tunnel(outbound(dst=EXTERNAL))).dropped("filter-ingress")


@case("Q1 I5 E6", "Our own ICMP passes the egress filters")
def own_icmp(c):
    for side in (c.external, c.internal):
        side["egress-filter"] = "less 1"
    packet = inbound(ttl=1)
    c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))
    packet = outbound(ttl=1)
    c.from_b4(tunnel(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))
    packet = tunnel(outbound(NOBODY))
    c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))


@case("E0 Q1", "From the Internet: header, our own address, ingress filter, key")
def order_from_internet(c):
    c.external["ingress-filter"] = "less 1"
    raw = bytes(inbound())
    c.from_internet(frame4(with_bytes(raw, {10: raw[10] ^ 1}))).dropped("ipv4-bad-checksum")
    c.from_internet(inbound(src="127.0.0.1")).dropped("ipv4-martian")
    c.from_internet(tcp(HOST, EXTERNAL, 80, 80)).dropped("unsupported-protocol")
    c.from_internet(ip(HOST, SHARED, proto=47) / data(9)).dropped("filter-ingress")
    c.from_internet(inbound(NOBODY)).dropped("filter-ingress")
    c.from_internet(inbound(ttl=1)).dropped("filter-ingress")
    raw = bytes(echo(HOST, SHARED))
    c.from_internet(frame4(with_bytes(raw, {22: raw[22] ^ 1}))).dropped("filter-ingress")


@case("E0 Q1", "From a B4: outer addresses, ingress filter, inner header, source")
def order_from_b4(c):
    c.internal["ingress-filter"] = "less 1"
    c.from_b4(tunnel(outbound(), dst="2001:db8:77::7")).dropped("not-for-us")
    c.from_b4(tunnel(outbound(), dst=INTERNAL)).dropped("unsupported-protocol")
    c.from_b4(tunnel(outbound(), src=BR2)).dropped("ipv6-bad-source")
    raw = bytes(outbound())
    c.from_b4(tunnel(Raw(with_bytes(raw, {10: raw[10] ^ 1})))).dropped("filter-ingress")
    c.from_b4(tunnel(Raw(raw[:-1]))).dropped("filter-ingress")
    c.from_b4(tunnel(outbound(NOBODY))).dropped("filter-ingress")
    c.from_b4(tunnel(outbound(ttl=1))).dropped("filter-ingress")


@case("E0 Q1", "The egress filter is the last to be asked")
def order_egress(c):
    c.external["egress-filter"] = "less 1"
    c.internal["egress-filter"] = "less 1"
    packet = inbound(NOBODY)
    c.from_internet(packet).dropped("no-softwire", icmp_error(packet, 3, 1))
    packet = inbound(size=1460, flags="DF")
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, 1460))
    c.from_internet(inbound()).dropped("filter-egress")
    c.from_b4(tunnel(outbound(dst="127.0.0.1"))).dropped("ipv4-martian")
    c.from_b4(tunnel(outbound())).dropped("filter-egress")


@case("Q1", "What cannot be looked at does not match, not even by a not")
def cut_short(c):
    c.external["ingress-filter"] = "not tcp[13] & 2 != 0"
    syn = tcp(HOST, WHOLE, 80, 4000)
    c.from_internet(syn).forwarded(encapsulated(aged(syn), B4_WHOLE))
    short = ip(HOST, WHOLE, proto=6) / data(12)
    c.from_internet(short).dropped("filter-ingress")
