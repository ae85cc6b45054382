"""ICMPv6 errors about our tunnels (I4), and what is learned from them (M1)."""

from scapy.layers.inet import ICMP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6ParamProblem,
                                ICMPv6TimeExceeded, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)
from scapy.packet import Raw

from case import INTERNAL as INTERNAL_SIDE, case
from world import (B4_12, B4_34, B4_OFFSET, B4_SINGLE, B4_WHOLE, BR1, BR2, EXTERNAL, HOST,
                   INTERNAL, OFFSET, PORT_12, PORT_34, PORT_OFFSET, SHARED, WHOLE, aged, data,
                   echo, encapsulated, fragments4, fragments6, frame6, icmp_error, inbound, ip,
                   outbound, tcp, tunnel, with_bytes)

ROUTER = "2001:db8:9::1"  # Somewhere between us and the B4s.
SECOND = 1_000_000
UDP_HEADERS = 28


def sized(total, flags="DF", **fields):
    """A datagram to a B4 whose IPv4 packet has this many bytes."""
    return inbound(size=total - UDP_HEADERS, flags=flags, **fields)


def across(total, flags="DF"):
    """A datagram from B4_12 to B4_OFFSET of this many bytes."""
    packet = outbound(dst=OFFSET, size=total - UDP_HEADERS, flags=flags)
    packet.dport = PORT_OFFSET
    return packet


def about(kind, quoted, to=BR1, source=ROUTER):
    """An ICMPv6 error of a router, as long as RFC 4443 allows."""
    return IPv6(src=source, dst=to, hlim=60) / kind / Raw(bytes(quoted)[:1280 - 48])


def too_big(mtu, quoted, **fields):
    """Packet too big."""
    return about(ICMPv6PacketTooBig(mtu=mtu), quoted, **fields)


def sent(packet, b4=B4_12, br=BR1, **fields):
    """The packet as it was in the tunnel when a router saw it."""
    return encapsulated(aged(packet), b4, br, **({"hlim": 61} | fields))


def learn(c, mtu=1400, b4=B4_12, br=BR1, **fields):
    """A router tells of this MTU, about a packet without DF: nobody else is told."""
    packet = sized(1460, flags=0, **fields)
    c.from_b4(too_big(mtu, sent(packet, b4, br), to=br)).consumed()


def limited(c, mtu, send=sized, b4=B4_12, br=BR1, **fields):
    """From now on this is what fits the tunnel, to the byte."""
    packet = send(mtu - 40, **fields)
    c.from_internet(packet).forwarded(encapsulated(aged(packet), b4, br))
    packet = send(mtu - 39, **fields)
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=mtu - 40))
    packet = send(mtu - 39, flags=0, **fields)
    c.from_internet(packet).forwarded(*fragments6(encapsulated(aged(packet), b4, br), mtu))


# Packet too big.

@case("I4 M1", "Too big: the sender of a packet with DF learns the MTU less 40, we learn it all")
def with_df(c):
    limited(c, 1500)
    packet = sized(1460)
    report = icmp_error(aged(packet), 3, 4, mtu=1360)
    c.from_b4(too_big(1400, sent(packet))).consumed(report)
    limited(c, 1400)


@case("I4 M1", "Too big, about a packet without DF: only we learn")
def without_df(c):
    learn(c, 1400)
    limited(c, 1400)


@case("I4 M1", "1280 is the smallest MTU there is (RFC 8200); less is no news (RFC 8201)")
def smallest(c):
    for mtu in (1279, 1000, 68, 40, 0):
        c.from_b4(too_big(mtu, sent(sized(1460)))).dropped("icmpv6-embedded")
    limited(c, 1500)
    learn(c, 1280)
    limited(c, 1280)


@case("I4 M1", "An MTU that the packet would have fitted is no news")
def not_below(c):
    for mtu in (1500, 1501, 9000, 0xFFFFFFFF):
        c.from_b4(too_big(mtu, sent(sized(1460)))).dropped("icmpv6-embedded")
    c.from_b4(too_big(1400, sent(sized(1360)))).dropped("icmpv6-embedded")
    limited(c, 1500)
    packet = sized(1361)
    report = icmp_error(aged(packet), 3, 4, mtu=1360)
    c.from_b4(too_big(1400, sent(packet))).consumed(report)
    limited(c, 1400)


@case("M1", "It never grows by what a router says (RFC 8201), only shrinks")
def only_down(c):
    learn(c, 1400)
    learn(c, 1450)
    limited(c, 1400)
    learn(c, 1300)
    limited(c, 1300)


@case("M1", "Never above the internal MTU")
def never_above(c):
    c.internal["mtu"] = 1400
    packet = inbound(size=8000)
    c.from_b4(too_big(1450, sent(packet))).consumed()
    limited(c, 1400)


@case("M1", "Each B4 has its own, those of one IPv4 address too")
def each_its_own(c):
    learn(c, 1300)
    limited(c, 1300)
    limited(c, 1500, b4=B4_34, br=BR2, port=PORT_34)
    limited(c, 1500, b4=B4_WHOLE, dst=WHOLE)
    learn(c, 1350, b4=B4_34, br=BR2, port=PORT_34)
    limited(c, 1350, b4=B4_34, br=BR2, port=PORT_34)
    limited(c, 1300)


@case("M1", "For all ports of the softwire")
def all_ports(c):
    learn(c, 1300, port=0x1200)
    limited(c, 1300, port=0x12FF)


@case("M1", "Forgotten after 600 seconds, and not before")
def expires(c):
    learn(c, 1300)
    c.wait(598 * SECOND)
    packet = sized(1261)
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=1260))
    c.wait(4 * SECOND)
    limited(c, 1500)


@case("M1", "Learned anew, it counts from then")
def learned_again(c):
    learn(c, 1300)
    c.wait(400 * SECOND)
    learn(c, 1280)
    c.wait(400 * SECOND)
    packet = sized(1241)
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=1240))
    c.wait(203 * SECOND)
    limited(c, 1500)


@case("M1 E8", 'With fragment = "inner", the IPv4 packet is cut to what the tunnel carries')
def inner(c):
    c.policy["fragment"] = "inner"
    learn(c, 1300)
    packet = sized(1460, flags=0)
    c.from_internet(packet).forwarded(
        *[encapsulated(piece) for piece in fragments4(aged(packet), 1260)])


@case("M1 E8", 'With too-big-df = "fragment", DF or not is cut to what the path carries')
def df_fragmented(c):
    c.policy["too-big-df"] = "fragment"
    learn(c, 1300)
    for flags in ("DF", 0):
        packet = sized(1460, flags=flags)
        c.from_internet(packet).forwarded(*fragments6(encapsulated(aged(packet)), 1300))


@case("M1 D6", "Hairpins: the path of the receiving B4 is what counts")
def hairpin(c):
    learn(c, 1300)
    packet = across(1460)
    c.from_b4(tunnel(packet)).hairpinned(encapsulated(aged(packet), B4_OFFSET))
    c.from_b4(too_big(1290, sent(sized(1460, 0, dst=OFFSET, port=PORT_OFFSET), B4_OFFSET))
              ).consumed()
    packet = across(1251)
    c.from_b4(tunnel(packet)).dropped(
        "too-big", encapsulated(icmp_error(packet, 3, 4, mtu=1250)))
    packet = across(1251, flags=0)
    c.from_b4(tunnel(packet)).hairpinned(
        *fragments6(encapsulated(aged(packet), B4_OFFSET), 1290))


@case("I4 D6", "About a hairpinned packet: told through the sender's softwire")
def about_a_hairpin(c):
    packet = across(1460)
    report = encapsulated(icmp_error(aged(packet), 3, 4, mtu=1260))
    c.from_b4(too_big(1300, sent(packet, B4_OFFSET))).consumed(report, INTERNAL_SIDE)
    report = encapsulated(icmp_error(aged(packet), 3, 1))
    c.from_b4(about(ICMPv6DestUnreach(code=0), sent(packet, B4_OFFSET))
              ).consumed(report, INTERNAL_SIDE)


@case("I4 F5", "About the first fragment of what we cut: its own length counts")
def about_a_fragment(c):
    first, last = fragments6(sent(sized(1500, flags=0)), 1500)
    c.from_b4(too_big(1400, last)).dropped("icmpv6-embedded")
    c.from_b4(too_big(1496, first)).dropped("icmpv6-embedded")
    c.from_b4(too_big(1400, first)).consumed()
    limited(c, 1400)


@case("I4", "About a first fragment with DF inside (too-big-df): the sender learns")
def about_a_fragment_with_df(c):
    packet = sized(1500)
    first, _ = fragments6(sent(packet), 1500)
    report = icmp_error(bytes(aged(packet))[:1232 - 48], 3, 4, mtu=1360)
    c.from_b4(too_big(1400, first)).consumed(report)


# Unreachable and others.

@case("I4", "Unreachable, hop limit exceeded, parameter problem: host unreachable")
def unreachable(c):
    kinds = ([ICMPv6DestUnreach(code=code) for code in range(8)] + [ICMPv6TimeExceeded(code=0)]
             + [ICMPv6ParamProblem(code=code, ptr=6) for code in range(4)])
    for kind in kinds:
        for flags in ("DF", 0):
            packet = inbound(flags=flags)
            report = icmp_error(aged(packet), 3, 1)
            c.from_b4(about(kind, sent(packet))).consumed(report)


@case("I4 E7", "generate-icmpv4-errors is about packets nobody owns, not about these")
def unreachable_all_the_same(c):
    c.policy["generate-icmpv4-errors"] = False
    c.policy["allow-incoming-icmpv4"] = False
    packet = inbound()
    report = icmp_error(aged(packet), 3, 1)
    c.from_b4(about(ICMPv6DestUnreach(code=0), sent(packet))).consumed(report)


@case("I4 I5", "icmpv4-source is where these come from too; 576 bytes at most")
def report_format(c):
    c.policy["icmpv4-source"] = "192.0.2.99"
    for size in (0, 520, 521, 1100, 1400):
        packet = inbound(size=size)
        report = icmp_error(bytes(aged(packet))[:1232 - 40], 3, 1, source="192.0.2.99")
        c.from_b4(about(ICMPv6DestUnreach(code=3), sent(packet))).consumed(report)


@case("I4", "A router may quote less: what it quotes is what we quote")
def short_quotation(c):
    packet = inbound(size=400)
    for size in (24, 28, 100):
        quoted = bytes(sent(packet))[:40 + size]
        report = icmp_error(bytes(aged(packet))[:size], 3, 1)
        c.from_b4(about(ICMPv6DestUnreach(code=0), quoted)).consumed(report)


@case("I4", "What routers change in our header does not matter")
def altered_header(c):
    packet = inbound()
    report = icmp_error(aged(packet), 3, 1)
    quoted = sent(packet, hlim=0, tc=0xBB, fl=0x54321)
    c.from_b4(about(ICMPv6DestUnreach(code=0), quoted)).consumed(report)


@case("I4 P4", "The error may stand behind extension headers")
def behind_options(c):
    packet = inbound()
    report = icmp_error(aged(packet), 3, 1)
    error = about(ICMPv6DestUnreach(code=0), sent(packet))
    message = error[ICMPv6DestUnreach]
    message.cksum = int.from_bytes(bytes(error)[42:44], "big")
    with_options = IPv6(src=ROUTER, dst=BR1) / IPv6ExtHdrDestOpt() / message
    c.from_b4(with_options).consumed(report)


@case("I4", "About TCP and echo, and about anything to a whole address")
def protocols(c):
    for packet, b4 in ((tcp(HOST, SHARED, 80, PORT_12), B4_12),
                       (echo(HOST, SHARED, PORT_12), B4_12), (echo(HOST, SHARED, 0x12FF, 0), B4_12),
                       (ip(HOST, WHOLE, proto=47) / data(30), B4_WHOLE),
                       (ip(HOST, WHOLE, proto=17, flags="MF") / data(32), B4_WHOLE)):
        report = icmp_error(aged(packet), 3, 1)
        c.from_b4(about(ICMPv6DestUnreach(code=0), sent(packet, b4))).consumed(report)


@case("I4 I5", "No ICMPv4 error about an ICMPv4 error or a later fragment; the MTU is learned")
def no_report(c):
    quoted = ip(WHOLE, HOST) / UDP(sport=PORT_12, dport=9) / data(1400)
    error = ip(HOST, WHOLE, flags="DF") / ICMP(type=3, code=3) / Raw(bytes(quoted))
    c.from_b4(about(ICMPv6DestUnreach(code=0), sent(error, B4_WHOLE))).consumed()
    c.from_b4(too_big(1450, sent(error, B4_WHOLE))).consumed()
    limited(c, 1450, b4=B4_WHOLE, dst=WHOLE)
    quoted = ip(SHARED, HOST) / UDP(sport=PORT_12, dport=9) / data(1400)
    error = ip(HOST, SHARED, flags="DF") / ICMP(type=3, code=3) / Raw(bytes(quoted))
    c.from_b4(about(ICMPv6DestUnreach(code=0), sent(error))).consumed()
    c.from_b4(too_big(1400, sent(error))).consumed()
    limited(c, 1400)
    later = ip(HOST, WHOLE, proto=17, frag=9, flags="DF") / data(1400)
    c.from_b4(about(ICMPv6DestUnreach(code=0), sent(later, B4_WHOLE))).consumed()
    c.from_b4(too_big(1400, sent(later, B4_WHOLE))).consumed()
    limited(c, 1400, b4=B4_WHOLE, dst=WHOLE)


# What is not believed.

@case("I4", "Not from a BR address of ours, not to a B4 we know, not this pair")
def other_tunnels(c):
    for quoted in (sent(sized(1460), br="2001:db8:ff::77"), sent(sized(1460), br=INTERNAL),
                   sent(sized(1460), b4="2001:db8:b4::77"), sent(sized(1460), b4=B4_34),
                   sent(sized(1460), br=BR2), sent(sized(1460, port=PORT_34), b4=B4_34),
                   tunnel(outbound(size=1432))):
        for kind in (ICMPv6PacketTooBig(mtu=1300), ICMPv6DestUnreach(code=0)):
            c.from_b4(about(kind, quoted)).dropped("icmpv6-embedded")
    limited(c, 1500)


@case("I4", "Not sent to the address that the quoted packet came from")
def other_address(c):
    for to in (BR2, INTERNAL):
        c.from_b4(too_big(1300, sent(sized(1460)), to=to)).dropped("icmpv6-embedded")
    limited(c, 1500)


@case("I4", "The inner destination and port must be that softwire's")
def other_inner(c):
    for packet in (sized(1460, port=PORT_34), sized(1460, port=0x5678),
                   sized(1460, dst="198.51.100.77"), sized(1460, dst=WHOLE),
                   sized(1460, dst=OFFSET, port=PORT_OFFSET), echo(HOST, SHARED, PORT_34),
                   ip(HOST, SHARED, proto=47) / data(1400),
                   ip(HOST, SHARED, proto=17, frag=9) / data(1400),
                   # What a later fragment carries is no header, whatever it looks like.
                   ip(HOST, SHARED, proto=1, frag=9)
                   / ICMP(type=3) / Raw(bytes(outbound(size=1372))),
                   outbound(size=1432)):
        for kind in (ICMPv6PacketTooBig(mtu=1300), ICMPv6DestUnreach(code=0)):
            c.from_b4(about(kind, sent(packet))).dropped("icmpv6-embedded")
    limited(c, 1500)


@case("I4 P3 I5", "An inner source that we would not have let in, and must not send errors to")
def martian_source(c):
    for source in ("0.0.0.0", "127.0.0.1", "169.254.0.1", "224.0.0.1", "255.255.255.255"):
        for kind in (ICMPv6PacketTooBig(mtu=1300), ICMPv6DestUnreach(code=0)):
            c.from_b4(about(kind, sent(sized(1460, src=source)))).dropped("icmpv6-embedded")
    limited(c, 1500)


@case("I4 M1", "About an echo reply or an error of our own: there is nobody to tell, but an MTU to learn")
def about_our_own(c):
    own = sized(1460, src=EXTERNAL)
    c.from_b4(about(ICMPv6DestUnreach(code=0), sent(own))).consumed()
    limited(c, 1500)
    c.from_b4(too_big(1300, sent(own))).consumed()
    limited(c, 1300)


@case("I4", "Only tunnelled IPv4: next header 4, or 44 with offset 0 and then 4")
def other_next_headers(c):
    inner = aged(sized(1460))
    header = {"src": BR1, "dst": B4_12}
    for quoted in (IPv6(nh=41, **header) / inner, IPv6(nh=6, **header) / inner,
                   IPv6(**header) / IPv6ExtHdrDestOpt(nh=4) / inner,
                   IPv6(**header) / IPv6ExtHdrFragment(nh=4, offset=1, m=1) / inner,
                   IPv6(**header) / IPv6ExtHdrFragment(nh=6, m=1) / inner,
                   IPv6(**header) / IPv6ExtHdrFragment(nh=44) / IPv6ExtHdrFragment(nh=4) / inner):
        c.from_b4(too_big(1300, quoted)).dropped("icmpv6-embedded")
    limited(c, 1500)


@case("I4 P2", "A quotation too short to tell whose it was, or not what it says")
def cut_quotation(c):
    whole = bytes(sent(sized(1460)))
    for size in (0, 1, 39, 40, 59, 60, 63):
        for kind in (ICMPv6PacketTooBig(mtu=1300), ICMPv6DestUnreach(code=0)):
            c.from_b4(about(kind, whole[:size])).dropped("icmpv6-embedded")
    for change in ({0: 0x40}, {40: 0x65}, {40: 0x44}, {42: 0, 43: 19}):
        c.from_b4(too_big(1300, with_bytes(whole, change))).dropped("icmpv6-embedded")
    limited(c, 1500)


@case("I4", "The checksum of the error is verified")
def bad_checksum(c):
    raw = bytes(too_big(1300, sent(sized(1460))))
    for place in (42, 47, 48, 200, len(raw) - 1):
        c.from_b4(frame6(with_bytes(raw, {place: raw[place] ^ 1}))).dropped("icmpv6-bad-checksum")
    limited(c, 1500)


@case("I4", "Reassembly timeouts are no reason to tell anybody")
def reassembly_timeout(c):
    first, _ = fragments6(sent(sized(1500, flags=0)), 1500)
    c.from_b4(about(ICMPv6TimeExceeded(code=1), first)).dropped("icmpv6-embedded")


@case("I4", "Errors of types that nobody has defined")
def unknown_types(c):
    for kind in (5, 100, 101, 127):
        error = about(ICMPv6DestUnreach(code=0), sent(inbound()))
        error[ICMPv6DestUnreach].type = kind
        c.from_b4(error).dropped("icmpv6-type")


@case("I4 D2", "Who sends the error does not matter, a B4 or a router")
def any_sender(c):
    packet = inbound(dst="198.51.100.4", port=4711)
    report = icmp_error(aged(packet), 3, 1)
    c.from_b4(about(ICMPv6DestUnreach(code=4), sent(packet, B4_SINGLE), source=B4_SINGLE)
              ).consumed(report)


@case("I4 E4 E3", "The report through a tunnel wears the tunnel header of all")
def report_through_a_tunnel(c):
    c.policy |= {"hop-limit": 33, "dscp": 9, "flow-label": 0x12345}
    packet = across(1460)
    report = encapsulated(icmp_error(aged(packet), 3, 4, mtu=1360),
                          hlim=33, tc=9 << 2, fl=0x12345)
    c.from_b4(too_big(1400, sent(packet, B4_OFFSET))).consumed(report, INTERNAL_SIDE)
