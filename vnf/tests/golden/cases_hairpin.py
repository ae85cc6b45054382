"""From one B4 to another, and from a B4 to the relay's own IPv4 address: D6 and D7."""

from scapy.layers.inet import ICMP, UDP
from scapy.packet import Raw

from case import case
from world import (B4_34, B4_OFFSET, B4_WHOLE, BR2, EXTERNAL, OFFSET, PORT_12, PORT_34, PORT_OFFSET,
                   SHARED, WHOLE, aged, data, echo, echo_reply, encapsulated, icmp_error, ip,
                   outbound, tunnel, unreachable6)


def between(source, sport, destination, dport, **fields):
    """UDP from one subscriber to another."""
    return ip(source, destination, **fields) / UDP(sport=sport, dport=dport) / data(20)


NOBODYS_PORT = 0x5678


@case("D6", "Straight into the other softwire: one TTL less, counted as hairpin")
def local(c):
    packet = between(SHARED, PORT_12, OFFSET, PORT_OFFSET)
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_OFFSET))


@case("D6", "Two subscribers of one address, with different BR addresses")
def same_address(c):
    packet = between(SHARED, PORT_12, SHARED, PORT_34)
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_34, BR2))
    packet = between(SHARED, PORT_34, SHARED, PORT_12)
    c.from_b4(tunnel(packet, B4_34, BR2)).hairpinned(encapsulated(aged(packet)))


@case("D6", "A subscriber to itself")
def to_itself(c):
    packet = between(SHARED, PORT_12, SHARED, PORT_12 + 1)
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet)))


@case("D6", "To a whole address, any protocol")
def to_whole_address(c):
    packet = between(SHARED, PORT_12, WHOLE, 9)
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_WHOLE))
    packet = ip(WHOLE, WHOLE, proto=47) / data(30)
    c.from_b4(tunnel(packet, B4_WHOLE)).hairpinned(encapsulated(aged(packet), B4_WHOLE))


@case("D6 E1", "A protocol without ports from a whole address to a shared one")
def port_less(c):
    packet = ip(WHOLE, SHARED, proto=47) / data(30)
    c.from_b4(tunnel(packet, B4_WHOLE)).dropped("port-less-protocol")


@case("D6 E7", "A port nobody owns: 3/1 through the sender's softwire")
def unknown_port(c):
    packet = between(SHARED, PORT_12, SHARED, NOBODYS_PORT)
    c.from_b4(tunnel(packet)).dropped("no-softwire", encapsulated(icmp_error(packet, 3, 1)))


@case("D6 E7", "The same in silence, without generate-icmpv4-errors")
def unknown_port_in_silence(c):
    c.policy["generate-icmpv4-errors"] = False
    packet = between(SHARED, PORT_12, SHARED, NOBODYS_PORT)
    c.from_b4(tunnel(packet)).dropped("no-softwire")


@case("D6 D4", "The tunnel header of the second softwire is as E3 and E4 say")
def second_header(c):
    c.policy |= {"hop-limit": 33, "dscp": 9, "flow-label": 0x12345}
    packet = between(SHARED, PORT_12, OFFSET, PORT_OFFSET, tos=0xB9)
    c.from_b4(tunnel(packet, tc=0x02, hlim=9)).hairpinned(
        encapsulated(aged(packet), B4_OFFSET, hlim=33, tc=9 << 2 | 1, fl=0x12345))


@case("D6 D4", "TTL 1 ends here, with 11/0 to the sender; TTL 2 arrives as 1")
def ttl(c):
    packet = between(SHARED, PORT_12, OFFSET, PORT_OFFSET, ttl=1)
    c.from_b4(tunnel(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))
    packet = between(SHARED, PORT_12, OFFSET, PORT_OFFSET, ttl=2)
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_OFFSET))


@case("D6 E6", 'One TTL decrement, decap-ttl = "keep" or not: no ping-pong for ever')
def ttl_kept(c):
    c.policy["decap-ttl"] = "keep"
    packet = between(SHARED, PORT_12, OFFSET, PORT_OFFSET)
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_OFFSET))
    packet = between(SHARED, PORT_12, OFFSET, PORT_OFFSET, ttl=1)
    c.from_b4(tunnel(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))


@case("D6 D3", 'decap-dscp = "copy": the DSCP of the first tunnel goes into the second')
def outer_dscp_copied(c):
    c.policy["decap-dscp"] = "copy"
    packet = between(SHARED, PORT_12, OFFSET, PORT_OFFSET, tos=0x01)
    out = aged(between(SHARED, PORT_12, OFFSET, PORT_OFFSET, tos=0xB9))
    c.from_b4(tunnel(packet, tc=0xB8)).hairpinned(encapsulated(out, B4_OFFSET))


@case("D6 I3", "Echo requests and replies find the other B4 by their identifier")
def echoes(c):
    for kind in (8, 0):
        # One identifier says whose it is on both sides: only a whole address can send it on.
        packet = echo(WHOLE, SHARED, PORT_34, kind)
        c.from_b4(tunnel(packet, B4_WHOLE)).hairpinned(encapsulated(aged(packet), B4_34, BR2))
        packet = echo(SHARED, WHOLE, PORT_12, kind)
        c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_WHOLE))


@case("D6 I2", "An echo with an identifier that nobody owns: dropped, no error")
def echo_to_nobody(c):
    c.from_b4(tunnel(echo(WHOLE, SHARED, NOBODYS_PORT), B4_WHOLE)).dropped("icmp-no-softwire")


@case("D6 I3", "An ICMP error about a hairpinned packet goes back the same way")
def icmp_errors(c):
    packet = aged(between(SHARED, PORT_34, OFFSET, PORT_OFFSET))
    error = ip(OFFSET, SHARED) / ICMP(type=3, code=3) / Raw(bytes(packet))
    c.from_b4(tunnel(error, B4_OFFSET)).hairpinned(encapsulated(aged(error), B4_34, BR2))


@case("D6", 'hairpinning = "external": out to the Internet like any other packet')
def external(c):
    c.policy["hairpinning"] = "external"
    packet = between(SHARED, PORT_12, OFFSET, PORT_OFFSET)
    c.from_b4(tunnel(packet)).forwarded(aged(packet))
    packet = between(SHARED, PORT_12, SHARED, NOBODYS_PORT)
    c.from_b4(tunnel(packet)).forwarded(aged(packet))
    packet = echo(SHARED, WHOLE, PORT_12)
    c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("D6", 'hairpinning = "drop": dropped and counted, echo and errors too')
def denied(c):
    c.policy["hairpinning"] = "drop"
    for packet in (between(SHARED, PORT_12, OFFSET, PORT_OFFSET),
                   between(SHARED, PORT_12, SHARED, NOBODYS_PORT),
                   echo(SHARED, WHOLE, PORT_12)):
        c.from_b4(tunnel(packet)).dropped("hairpin-denied")
    c.from_b4(tunnel(outbound())).forwarded(aged(outbound()))


@case("D6", "An address beside the table is the Internet's, even one bit away")
def beside_the_table(c):
    packet = between(SHARED, PORT_12, "198.51.100.0", PORT_34)
    c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("D7 N4", "A B4 pings our external address: answered through the tunnel")
def echo_to_ourselves(c):
    request = echo(SHARED, EXTERNAL, PORT_12)
    c.from_b4(tunnel(request)).answered(encapsulated(echo_reply(request)))
    request = echo(WHOLE, EXTERNAL, 9, ttl=1)
    c.from_b4(tunnel(request, B4_WHOLE)).answered(encapsulated(echo_reply(request), B4_WHOLE))


@case("D7 D2", "Only from an identifier of its own")
def echo_to_ourselves_spoofed(c):
    packet = tunnel(echo(SHARED, EXTERNAL, NOBODYS_PORT))
    c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))


@case("D7 N4", "UDP from a B4 to our external address: port unreachable through the tunnel")
def udp_to_ourselves(c):
    packet = ip(SHARED, EXTERNAL) / UDP(sport=PORT_12, dport=33434) / data(12)
    c.from_b4(tunnel(packet)).dropped(
        "unsupported-protocol", encapsulated(icmp_error(packet, 3, 3)))
