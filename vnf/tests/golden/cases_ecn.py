"""ECN on the way out of a tunnel (D3): RFC 6040 section 4.2, figure 4."""

from case import case
from world import (B4_34, B4_OFFSET, BR2, EXTERNAL, HOST, OFFSET, PORT_12, PORT_34,
                   PORT_OFFSET, SHARED, aged, echo, echo_reply, encapsulated, icmp_error, inbound,
                   outbound, tunnel, unreachable6)

NOT_ECT, ECT1, ECT0, CE = 0b00, 0b01, 0b10, 0b11

# (inner, outer): what leaves; None is dropped.
MERGED = {
    (NOT_ECT, NOT_ECT): NOT_ECT, (NOT_ECT, ECT0): NOT_ECT, (NOT_ECT, ECT1): NOT_ECT,
    (NOT_ECT, CE): None,
    (ECT0, NOT_ECT): ECT0, (ECT0, ECT0): ECT0, (ECT0, ECT1): ECT1, (ECT0, CE): CE,
    (ECT1, NOT_ECT): ECT1, (ECT1, ECT0): ECT1, (ECT1, ECT1): ECT1, (ECT1, CE): CE,
    (CE, NOT_ECT): CE, (CE, ECT0): CE, (CE, ECT1): CE, (CE, CE): CE,
}
assert len(MERGED) == 16


def between(tos, **fields):
    """From one subscriber to another."""
    packet = outbound(dst=OFFSET, tos=tos, **fields)
    packet.dport = PORT_OFFSET
    return packet


def merge(c, decap_dscp="keep", ecn="normal", ttl=aged):
    """All 16 pairs, the two DSCPs different."""
    c.policy |= {"decap-dscp": decap_dscp, "ecn": ecn}
    for (inner, outer), merged in MERGED.items():
        packet = outbound(tos=0x28 | inner)
        frame = c.from_b4(tunnel(packet, tc=0xB8 | outer))
        if merged is None:
            frame.dropped("ecn-mismatch")
            continue
        dscp = 0xB8 if decap_dscp == "copy" else 0x28
        frame.forwarded(ttl(outbound(tos=dscp | merged)))


@case("D3", "Every pair of inner and outer ECN: figure 4 of RFC 6040")
def table(c):
    merge(c)


@case("D3", 'The same with decap-dscp = "copy": DSCP and ECN are two things')
def table_with_outer_dscp(c):
    merge(c, decap_dscp="copy")


@case("D3 E4", "Compatibility mode is about encapsulation only: decapsulation stays the same")
def table_in_compatibility_mode(c):
    merge(c, ecn="compatibility")


@case("D3 D4", "The checksum is right too where the TTL stays as it is")
def table_with_ttl_kept(c):
    c.policy["decap-ttl"] = "keep"
    merge(c, ttl=lambda packet: packet)


@case("D3 D6 E4", "Hairpin: the merged ECN is in the inner header and in the second tunnel's")
def hairpin(c):
    for (inner, outer), merged in MERGED.items():
        frame = c.from_b4(tunnel(between(0x28 | inner), tc=0xB8 | outer))
        if merged is None:
            frame.dropped("ecn-mismatch")
            continue
        out = aged(between(0x28 | merged))
        frame.hairpinned(encapsulated(out, B4_OFFSET, tc=0x28 | merged))


@case("D3 D6 E4", "Hairpin in compatibility mode: merged inside, Not-ECT on the second tunnel")
def hairpin_in_compatibility_mode(c):
    c.policy["ecn"] = "compatibility"
    for (inner, outer), merged in MERGED.items():
        frame = c.from_b4(tunnel(between(0x28 | inner), tc=0xB8 | outer))
        if merged is None:
            frame.dropped("ecn-mismatch")
            continue
        frame.hairpinned(encapsulated(aged(between(0x28 | merged)), B4_OFFSET, tc=0x28))


@case("D3 D6", 'Hairpin with hairpinning = "external": merged like all that leaves')
def hairpin_outside(c):
    c.policy["hairpinning"] = "external"
    c.from_b4(tunnel(between(ECT0), tc=CE)).forwarded(aged(between(CE)))
    c.from_b4(tunnel(between(NOT_ECT), tc=CE)).dropped("ecn-mismatch")


@case("E0 D2", "The wrong sender is named before a wrong ECN")
def after_the_sender(c):
    packet = tunnel(outbound("198.51.100.77"), tc=CE)
    c.from_b4(packet).dropped("source-no-softwire", unreachable6(packet, 5))
    packet = tunnel(outbound(), src=B4_34, tc=CE)
    c.from_b4(packet).dropped("source-wrong-b4", unreachable6(packet, 5))
    packet = tunnel(outbound(), dst=BR2, tc=CE)
    c.from_b4(packet).dropped("source-wrong-br", unreachable6(packet, 5))
    c.from_b4(tunnel(outbound(dst="127.0.0.1"), tc=CE)).dropped("ipv4-martian")


@case("E0 D3", "A wrong ECN comes before TTL, port, size and our own addresses, and makes no error")
def before_the_rest(c):
    c.policy["hairpinning"] = "drop"
    c.from_b4(tunnel(between(NOT_ECT), tc=CE)).dropped("ecn-mismatch")
    c.from_b4(tunnel(outbound(ttl=1), tc=CE)).dropped("ecn-mismatch")
    c.from_b4(tunnel(outbound(size=1500, flags="DF"), tc=CE)).dropped("ecn-mismatch")
    c.from_b4(tunnel(outbound(dst=SHARED), tc=CE)).dropped("ecn-mismatch")
    c.from_b4(tunnel(echo(SHARED, EXTERNAL), tc=CE)).dropped("ecn-mismatch")


@case("D3 I5", "Congestion on the way to us is no reason to alter what an error quotes")
def quotation(c):
    packet = outbound(ttl=1, tos=ECT0)
    c.from_b4(tunnel(packet, tc=CE)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))


@case("D3 D7", "Pings of our own address pass as others do")
def echo_to_ourselves(c):
    request = echo(SHARED, EXTERNAL, PORT_12)
    c.from_b4(tunnel(request, tc=ECT0)).answered(encapsulated(echo_reply(request)))


@case("D3 E4", "There and back: a mark set in either tunnel reaches the other end")
def marks_survive(c):
    c.from_internet(inbound(tos=CE)).forwarded(encapsulated(aged(inbound(tos=CE)), tc=CE))
    c.from_b4(tunnel(outbound(tos=ECT1, port=PORT_34, dst=HOST), B4_34, BR2, tc=CE)).forwarded(
        aged(outbound(tos=CE, port=PORT_34, dst=HOST)))
