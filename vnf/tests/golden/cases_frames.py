"""Ethernet: P1, P2 and P5."""

from scapy.layers.inet import IP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from case import case
from cases_neighbours import solicit, who_has
from world import (EXTERNAL, HOST, INTERNAL, MAC4, MAC6, NEXT_HOP4_MAC, NEXT_HOP6_MAC, aged, data,
                   echo, encapsulated, frame4, frame6, inbound, ip, outbound, tunnel)

UNTAGGED = ("two-ports",)
OTHER_MAC = "02:00:00:00:99:99"
IGMP = 2
HOST6 = "2001:db8:77::7"


def tag(packet, vlan, **fields):
    """A frame from the external next hop with a tag of its own."""
    return Ether(src=NEXT_HOP4_MAC, dst=MAC4) / Dot1Q(vlan=vlan, **fields) / packet


def tag6(packet, vlan, **fields):
    """A frame from the internal next hop with a tag of its own."""
    return Ether(src=NEXT_HOP6_MAC, dst=MAC6) / Dot1Q(vlan=vlan, **fields) / packet


@case("P1 P2", "Frames without room for an Ethernet header", UNTAGGED)
def runts(c):
    for size in (1, 6, 12, 13):
        c.from_internet(bytes(frame4(inbound()))[:size]).dropped("frame-too-short")
        c.from_b4(bytes(frame6(tunnel(outbound())))[:size]).dropped("frame-too-short")


@case("P2", "An Ethernet header with nothing behind it")
def empty_frames(c):
    c.from_internet(frame4(b"")).dropped("ipv4-truncated")
    c.from_b4(frame6(b"")).dropped("ipv6-truncated")


@case("P1 P2", "A tag cut short", UNTAGGED)
def short_tags(c):
    whole = bytes(tag(inbound(), 0))
    for size in (14, 15, 17):
        c.from_internet(whole[:size]).dropped("frame-too-short")


@case("P1", "Priority-tagged frames (VID 0) count as untagged; they leave without tag", UNTAGGED)
def priority_tagged(c):
    c.from_internet(tag(inbound(), 0, prio=5)).forwarded(encapsulated(aged(inbound())))
    c.from_b4(tag6(tunnel(outbound()), 0, prio=7, id=1)).forwarded(aged(outbound()))


@case("P1", "A tag where none is expected", UNTAGGED)
def unexpected_tag(c):
    for vlan in (1, 10, 4094, 4095):
        c.from_internet(tag(inbound(), vlan)).dropped("vlan-mismatch")
        c.from_b4(tag6(tunnel(outbound()), vlan)).dropped("vlan-mismatch")


@case("P1", "No tag, or a wrong one, where VLAN 10 is required; priority and DEI do not matter",
      UNTAGGED)
def required_tag(c):
    c.external["vlan"] = 10
    c.from_internet(inbound()).dropped("vlan-mismatch")
    c.from_internet(tag(inbound(), 0)).dropped("vlan-mismatch")
    c.from_internet(tag(inbound(), 11)).dropped("vlan-mismatch")
    c.from_internet(tag(inbound(), 10)).forwarded(encapsulated(aged(inbound())))
    c.from_internet(tag(inbound(), 10, prio=6, id=1)).forwarded(encapsulated(aged(inbound())))
    c.from_b4(tunnel(outbound())).forwarded(
        Ether(src=MAC4, dst=NEXT_HOP4_MAC) / Dot1Q(vlan=10, prio=0) / aged(outbound()))


@case("P1", "Two tags: the second is an unknown EtherType", UNTAGGED)
def two_tags(c):
    c.external["vlan"] = 10
    double = Ether(src=NEXT_HOP4_MAC, dst=MAC4) / Dot1Q(vlan=10) / Dot1Q(vlan=20) / inbound()
    c.from_internet(double).dropped("unknown-ethertype")


@case("P1", "EtherTypes that the side does not carry", UNTAGGED)
def unknown_ethertypes(c):
    for ethertype in (0x88A8, 0x8847, 0x0600, 0x9000, 0xFFFF):
        c.from_internet(frame4(data(60), type=ethertype)).dropped("unknown-ethertype")
        c.from_b4(frame6(data(60), type=ethertype)).dropped("unknown-ethertype")


@case("P1", "IPv6 to us on the external side, IPv4 to us on the internal side", UNTAGGED)
def ethertypes_swapped(c):
    c.from_internet(frame4(tunnel(outbound()), type=0x86DD)).dropped("unknown-ethertype")
    c.from_b4(frame6(inbound(), type=0x0800)).dropped("unknown-ethertype")


@case("P1", "A unicast MAC address that is not ours")
def not_our_mac(c):
    c.from_internet(frame4(inbound(), dst=OTHER_MAC)).dropped("not-our-mac")
    c.from_b4(frame6(tunnel(outbound()), dst=OTHER_MAC)).dropped("not-our-mac")


@case("P1", "The other side's MAC address is not ours on this side",
      ("two-ports", "one-port-vlans"))
def other_sides_mac(c):
    c.from_internet(frame4(inbound(), dst=MAC6)).dropped("not-our-mac")
    c.from_b4(frame6(tunnel(outbound()), dst=MAC4)).dropped("not-our-mac")


@case("P1", "Promiscuous: any unicast MAC address will do")
def promiscuous(c):
    c.external["promiscuous"] = True
    c.internal["promiscuous"] = True
    c.from_internet(frame4(inbound(), dst=OTHER_MAC)).forwarded(encapsulated(aged(inbound())))
    c.from_b4(frame6(tunnel(outbound()), dst=OTHER_MAC)).forwarded(aged(outbound()))


@case("P1 I5", "A packet to forward in a broadcast or multicast frame: dropped, never an error")
def group_frames(c):
    for mac in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:09", "33:33:00:00:00:01"):
        c.from_internet(frame4(inbound(), dst=mac)).dropped("multicast-frame")
        c.from_internet(frame4(inbound(ttl=1), dst=mac)).dropped("multicast-frame")
        c.from_internet(frame4(inbound("198.51.100.77"), dst=mac)).dropped("multicast-frame")
        c.from_b4(frame6(tunnel(outbound()), dst=mac)).dropped("multicast-frame")


@case("P1", "LLDP, spanning tree and LACP are ignored, not dropped", UNTAGGED)
def link_control(c):
    c.from_internet(frame4(data(60), dst="01:80:c2:00:00:0e", type=0x88CC)).ignored("link-control")
    c.from_b4(frame6(data(60), dst="01:80:c2:00:00:02", type=0x8809)).ignored("link-control")
    # Spanning tree is an 802.3 frame: a length where Ethernet II has its EtherType.
    c.from_b4(frame6(data(60), dst="01:80:c2:00:00:00", type=38)).ignored("link-control")


@case("P1", "They are never tagged, and still ignored where a VLAN is required", UNTAGGED)
def link_control_beside_vlan(c):
    c.external["vlan"] = 10
    c.from_internet(frame4(data(60), dst="01:80:c2:00:00:0e", type=0x88CC)).ignored("link-control")


@case("P1", "Routing hellos, VRRP and IGMP in multicast frames are ignored")
def routing_hellos(c):
    for group, protocol, reason in (("224.0.0.5", 89, "routing"), ("224.0.0.18", 112, "routing"),
                                    ("224.0.0.1", IGMP, "multicast"),
                                    ("224.0.0.22", IGMP, "multicast")):
        low = bytes(int(part) for part in group.split("."))[1:]
        mac = "01:00:5e:" + ":".join(f"{b:02x}" for b in low)
        packet = IP(src="192.0.2.254", dst=group, ttl=1, proto=protocol) / data(24)
        if protocol == IGMP:
            packet.options = [IPOption_Router_Alert()]  # RFC 2236 section 2.
        c.from_internet(frame4(packet, dst=mac)).ignored(reason)


@case("P1", "Other multicast and broadcast chatter is ignored too")
def chatter(c):
    ssdp = IP(src="192.0.2.77", dst="239.255.255.250", ttl=2) / UDP(sport=9, dport=1900) / data(9)
    c.from_internet(frame4(ssdp, dst="01:00:5e:7f:ff:fa")).ignored("other-multicast")
    dhcp = IP(src="0.0.0.0", dst="255.255.255.255", ttl=64) / UDP(sport=68, dport=67) / data(9)
    c.from_internet(frame4(dhcp, dst="ff:ff:ff:ff:ff:ff")).ignored("other-multicast")


@case("P2 E3", "The frame may be longer than the packet: padding never enters or leaves the tunnel")
def padding_both_ways(c):
    small = aged(inbound(size=0))
    c.from_internet(frame4(bytes(inbound(size=0)) + b"\xdd" * 18)).forwarded(encapsulated(small))
    c.from_b4(frame6(bytes(tunnel(outbound(size=0))) + b"\xdd" * 7)).forwarded(
        aged(outbound(size=0)))


@case("P2 D3", "Bytes in the tunnel behind the inner packet stay behind, like padding")
def trailing_inside_the_tunnel(c):
    packet = tunnel(Raw(bytes(outbound(size=5)) + b"\xdd" * 11))
    c.from_b4(packet).forwarded(aged(outbound(size=5)))


@case("A1", "What leaves is not padded, however short")
def short_output(c):
    out = aged(outbound(size=0))
    c.from_b4(tunnel(outbound(size=0))).forwarded(out)
    assert len(bytes(out)) == 28


@case("P5", "One MAC address for both sides of one port", ("one-port", "one-port-vlans"))
def equal_macs(c):
    c.external["mac"] = MAC4
    c.internal["mac"] = MAC4
    c.from_internet(inbound()).forwarded(
        Ether(src=MAC4, dst=NEXT_HOP6_MAC) / encapsulated(aged(inbound())))
    c.from_b4(frame6(tunnel(outbound()), dst=MAC4)).forwarded(aged(outbound()))


@case("P5", "One VLAN for both sides of one port: the EtherType tells them apart", ("one-port",))
def equal_vlans(c):
    c.external["vlan"] = 30
    c.internal["vlan"] = 30
    c.from_internet(tag(inbound(), 30)).forwarded(
        Ether(src=MAC6, dst=NEXT_HOP6_MAC) / Dot1Q(vlan=30) / encapsulated(aged(inbound())))
    c.from_b4(tag6(tunnel(outbound()), 30)).forwarded(
        Ether(src=MAC4, dst=NEXT_HOP4_MAC) / Dot1Q(vlan=30) / aged(outbound()))


@case("P5", "One port, one side tagged and the other not", ("one-port",))
def one_vlan(c):
    c.internal["vlan"] = 30
    c.from_internet(inbound()).forwarded(
        Ether(src=MAC6, dst=NEXT_HOP6_MAC) / Dot1Q(vlan=30) / encapsulated(aged(inbound())))
    c.from_b4(tag6(tunnel(outbound()), 30)).forwarded(aged(outbound()))


GROUP_SOURCES = ("03:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01")


@case("P1", "A group address is nobody's source: not forwarded")
def group_source(c):
    for mac in GROUP_SOURCES:
        c.from_internet(frame4(inbound(), src=mac)).dropped("bad-source-mac")
        c.from_b4(frame6(tunnel(outbound()), src=mac)).dropped("bad-source-mac")


@case("P1 N1 N2 N4", "A group address is nobody's source: not answered, whatever it asks")
def group_source_asks(c):
    for mac in GROUP_SOURCES:
        request = who_has(EXTERNAL)
        request.src = mac
        c.from_internet(request).dropped("bad-source-mac")
        c.from_internet(frame4(echo(HOST, EXTERNAL), src=mac)).dropped("bad-source-mac")
        c.from_internet(frame4(ip(HOST, EXTERNAL) / UDP(dport=9), src=mac)).dropped("bad-source-mac")
        c.from_b4(solicit(INTERNAL, option=False, mac=mac)).dropped("bad-source-mac")
        c.from_b4(solicit(INTERNAL, "::", option=False, mac=mac)).dropped("bad-source-mac")
        udp = IPv6(src=HOST6, dst=INTERNAL) / UDP(dport=9)
        c.from_b4(frame6(udp, src=mac)).dropped("bad-source-mac")


@case("P1 E0", "Tag, EtherType and destination are looked at before the source", UNTAGGED)
def group_source_last(c):
    mac = GROUP_SOURCES[0]
    c.from_internet(frame4(inbound(), src=mac, dst=OTHER_MAC)).dropped("not-our-mac")
    c.from_internet(Ether(src=mac, dst=MAC4, type=0x88B5) / data(46)).dropped("unknown-ethertype")
    tagged = Ether(src=mac, dst=MAC4) / Dot1Q(vlan=9) / inbound()
    c.from_internet(tagged).dropped("vlan-mismatch")
    c.from_internet(Ether(src=mac, dst="01:80:c2:00:00:00", type=38) / data(46)).ignored(
        "link-control")
