"""The MSS clamp (E10)."""

from scapy.layers.inet import ICMP, TCP, UDP, IPOption_RR
from scapy.packet import Raw

from case import case
from world import (B4_OFFSET, B4_WHOLE, HOST, OFFSET, PORT_12, PORT_OFFSET, SHARED, WHOLE, aged,
                   data, encapsulated, fragments4, fragments6, frame4, icmp_error, ip,
                   ones_complement_sum, tunnel, with_bytes)

AUTO = 1420  # min(1500, 1500 - 40) - 40.


def mss(value):
    """The option."""
    return bytes([2, 4, value >> 8, value & 0xFF])


def segment(listed, src=HOST, dst=SHARED, sport=80, dport=PORT_12, flags="S", size=0, **fields):
    """A TCP segment with these bytes for options (filled up with ends of list) and a right
    checksum."""
    listed += bytes(-len(listed) % 4)
    header = TCP(sport=sport, dport=dport, flags=flags, seq=0x01020304,
                 dataofs=5 + len(listed) // 4)
    return ip(src, dst, **fields) / header / Raw(listed + bytes(data(size)))


def inbound(listed, **fields):
    """From the Internet."""
    return segment(listed, **fields)


def outbound(listed, **fields):
    """From a B4."""
    return segment(listed, SHARED, HOST, PORT_12, 80, **fields)


def both_ways(c, before, after, **fields):
    """The same options, into the tunnel and out of it."""
    c.from_internet(inbound(before, **fields)).forwarded(
        encapsulated(aged(inbound(after, **fields))))
    c.from_b4(tunnel(outbound(before, **fields))).forwarded(aged(outbound(after, **fields)))


def untouched(c, listed, **fields):
    """Both ways, without a change."""
    both_ways(c, listed, listed, **fields)


@case("E10", "SYN and SYN-ACK, both ways: down to what fits, never up")
def auto(c):
    for flags in ("S", "SA"):
        for value in (65535, 8960, 1460, AUTO + 1):
            both_ways(c, mss(value), mss(AUTO), flags=flags)
        for value in (AUTO, AUTO - 1, 536, 1, 0):
            untouched(c, mss(value), flags=flags)


@case("E10", "The smaller of both sides counts: an internal MTU of 1280")
def auto_internal(c):
    c.internal["mtu"] = 1280
    both_ways(c, mss(1460), mss(1200))
    untouched(c, mss(1200))


@case("E10", "An internal MTU of external + 40 carries all there is: nothing to lower")
def auto_enough(c):
    c.internal["mtu"] = 1540
    for value in (1460, 1461, 9000):
        untouched(c, mss(value))


@case("E10", "Nor with 1500 where the external MTU is 1400: what is larger cannot come from there")
def auto_external(c):
    c.external["mtu"] = 1400
    untouched(c, mss(1460))


@case("E10", "One byte less is not enough")
def auto_one_less(c):
    c.internal["mtu"] = 1539
    both_ways(c, mss(1460), mss(1459))
    both_ways(c, mss(9000), mss(1459))


@case("E10", 'mss-clamp = "off"')
def off(c):
    c.policy["mss-clamp"] = "off"
    untouched(c, mss(1460))
    untouched(c, mss(65535))


@case("E10", "mss-clamp = 1300")
def number(c):
    c.policy["mss-clamp"] = 1300
    both_ways(c, mss(1460), mss(1300))
    both_ways(c, mss(1301), mss(1300))
    untouched(c, mss(1300))


@case("E10", "A number counts whatever the MTUs are, above what fits too")
def number_above(c):
    c.policy["mss-clamp"] = 8000
    untouched(c, mss(1460))
    both_ways(c, mss(8960), mss(8000))


@case("E10", "A number counts with a large internal MTU too")
def number_with_room(c):
    c.internal["mtu"] = 9000
    c.policy["mss-clamp"] = 1300
    both_ways(c, mss(1460), mss(1300))


@case("E10", "Only SYNs: other segments with an MSS option stay as they are")
def other_segments(c):
    for flags in ("A", "PA", "FA", "R", "RA", ""):
        untouched(c, mss(1460), flags=flags)


@case("E10", "ECN-setup SYNs are SYNs (RFC 3168)")
def ecn_setup(c):
    both_ways(c, mss(1460), mss(AUTO), flags="SEC")
    both_ways(c, mss(1460), mss(AUTO), flags="SAE")


@case("E10", "A SYN without the option gets none")
def without(c):
    untouched(c, b"")
    untouched(c, bytes([1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6]))
    untouched(c, bytes([3, 3, 7, 4, 2, 1, 1, 0]))


@case("E10", "Wherever the option stands, on odd places too, the checksum is right")
def places(c):
    for before in (b"\x01", b"\x01\x01", b"\x01\x01\x01", b"\x03\x03\x07",
                   bytes([8, 10, 0, 0, 0, 5, 0, 0, 0, 6]), b"\x04\x02", b"\x01" * 35, b"\x01" * 36,
                   b"\xfe\x05abc"):
        for after in (b"", b"\x04\x02", b"\x01\x03\x03\x07"):
            if len(before + after) <= 36:
                both_ways(c, before + mss(1460) + after, before + mss(AUTO) + after)


@case("E10", "Checksums with carries: many values, and data of odd length behind the options")
def carries(c):
    for value in (0x05B4, 0x05FF, 0x0600, 0xFF00, 0xFFFF, 0x8C05):
        for size in (0, 1, 7):
            both_ways(c, mss(value), mss(AUTO), size=size)
            both_ways(c, b"\x01" + mss(value), b"\x01" + mss(AUTO), size=size)


@case("E10", "A wrong checksum stays as wrong as it was: the update is incremental (RFC 1624)")
def wrong_checksum(c):
    for wrong in (0x0000, 0x1234, 0xFFFE):
        before, after = (bytes(inbound(mss(value))) for value in (1460, AUTO))
        error = (wrong - int.from_bytes(before[36:38], "big")) % 0xFFFF
        before = with_bytes(before, {36: wrong >> 8, 37: wrong & 0xFF})
        right = (int.from_bytes(after[36:38], "big") + error) % 0xFFFF
        after = with_bytes(after, {36: right >> 8, 37: right & 0xFF})
        c.from_internet(frame4(before)).forwarded(encapsulated(aged(after)))


@case("E10 P2", "Options that loop, contradict themselves or are cut are nothing to read in")
def malformed(c):
    for options in (
            b"\x03\x00" + mss(1460),  # A length of 0 would loop.
            b"\x03\x01" + mss(1460),
            b"\x00" + mss(1460),  # Behind the end of the list.
            b"\x02\x03\x05\xb4",  # Not as long as the option is.
            b"\x02\x05\x05\xb4\x00",
            b"\x02\x02\x05\xb4",
            b"\x01\x01\x02\x04",  # The value would be behind the header.
            b"\x01\x01\x01\x02",
            b"\x01\x02\x04\x05",
            b"\x08\xff\x05\xb4" + mss(1460)):  # Longer than the header.
        untouched(c, options, size=8)


@case("E10 P2", "A header longer than the packet, or shorter than a header: left alone")
def wrong_header_length(c):
    whole = bytes(inbound(mss(1460)))
    for words in (0, 4, 7, 15):
        packet = with_bytes(whole, {32: words << 4})
        c.from_internet(frame4(packet)).forwarded(encapsulated(aged(packet)))
    for size in (4, 13, 14, 19, 20, 22, 23):
        packet = ip(HOST, SHARED, proto=6) / Raw(whole[20:20 + size])
        c.from_internet(packet).forwarded(encapsulated(aged(packet)))
        packet = ip(SHARED, HOST, proto=6) / Raw(bytes(outbound(mss(1460)))[20:20 + size])
        c.from_b4(tunnel(packet)).forwarded(aged(packet))


@case("E10", "Behind IPv4 options")
def ipv4_options(c):
    fields = {"options": [IPOption_RR(routers=["0.0.0.0", "0.0.0.0"])]}
    both_ways(c, mss(1460), mss(AUTO), **fields)
    both_ways(c, b"\x01" + mss(1460), b"\x01" + mss(AUTO), **fields)


@case("E10", "Only TCP: what looks like a SYN in other protocols is none")
def other_protocols(c):
    look = bytes(inbound(mss(1460)))[20:]
    for protocol in (33, 132, 136):
        packet = ip(HOST, SHARED, proto=protocol) / Raw(look)
        c.from_internet(packet).forwarded(encapsulated(aged(packet)))
    packet = ip(HOST, SHARED) / UDP(sport=80, dport=PORT_12) / Raw(look)
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))
    packet = ip(HOST, WHOLE, proto=47) / Raw(look)
    c.from_internet(packet).forwarded(encapsulated(aged(packet), B4_WHOLE))


@case("E10 I1", "A SYN quoted in an ICMP error stays as its sender knows it")
def quoted(c):
    quote = bytes(outbound(mss(1460)))
    packet = ip(HOST, SHARED) / ICMP(type=3, code=1) / Raw(quote)
    c.from_internet(packet).forwarded(encapsulated(aged(packet)))


@case("E10", "To and from a whole address as to any other")
def whole_address(c):
    before, after = (inbound(mss(value), dst=WHOLE) for value in (1460, AUTO))
    c.from_internet(before).forwarded(encapsulated(aged(after), B4_WHOLE))
    before, after = (segment(mss(value), WHOLE, HOST) for value in (1460, AUTO))
    c.from_b4(tunnel(before, B4_WHOLE)).forwarded(aged(after))


@case("E10", "Of fragments, only the first: in a later one those bytes are data")
def fragments(c):
    whole = bytes(inbound(mss(1460), dst=WHOLE, size=40))[20:]
    clamped = with_bytes(whole, {22: AUTO >> 8, 23: AUTO & 0xFF})
    update = ones_complement_sum(
        (0xFFFF - int.from_bytes(whole[16:18], "big")).to_bytes(2, "big")
        + (0xFFFF - 1460).to_bytes(2, "big") + AUTO.to_bytes(2, "big"))
    clamped = with_bytes(clamped, {16: update >> 8, 17: update & 0xFF})
    first, out = (ip(HOST, WHOLE, proto=6, flags="MF") / Raw(raw[:48]) for raw in (whole, clamped))
    c.from_internet(first).forwarded(encapsulated(aged(out), B4_WHOLE))
    for flags in ("MF", 0):
        later = ip(HOST, WHOLE, proto=6, flags=flags, frag=6) / Raw(whole[:48])
        c.from_internet(later).forwarded(encapsulated(aged(later), B4_WHOLE))
    later = ip(WHOLE, HOST, proto=6, frag=6) / Raw(whole[:48])
    c.from_b4(tunnel(later, B4_WHOLE)).forwarded(aged(later))


def across(value, **fields):
    """A SYN from one subscriber to another."""
    return segment(mss(value), SHARED, OFFSET, PORT_12, PORT_OFFSET, **fields)


@case("E10 D6", "Hairpins too")
def hairpin(c):
    for flags in ("S", "SA"):
        c.from_b4(tunnel(across(1460, flags=flags))).hairpinned(
            encapsulated(aged(across(AUTO, flags=flags)), B4_OFFSET))


@case("E10 D6", "A hairpin outside is clamped as what leaves")
def hairpin_outside(c):
    c.policy["hairpinning"] = "external"
    c.from_b4(tunnel(across(1460))).forwarded(aged(across(AUTO)))


@case("E10 E8", "A SYN with data that must be cut is clamped first")
def and_cut(c):
    before, after = (inbound(mss(value), size=1437) for value in (1460, AUTO))
    c.from_internet(before).forwarded(*fragments6(encapsulated(aged(after)), 1500))


@case("E10 D5", "Towards the Internet too")
def and_cut_outbound(c):
    c.external["mtu"], c.internal["mtu"] = 1400, 1430
    before, after = (outbound(mss(value), size=1400) for value in (1460, 1350))
    c.from_b4(tunnel(before)).forwarded(*fragments4(aged(after), 1400))


@case("E10 I5", "An error about a SYN quotes it as it came")
def quotation(c):
    packet = inbound(mss(1460), ttl=1)
    c.from_internet(packet).dropped("ttl-expired", icmp_error(packet, 11, 0))
    packet = inbound(mss(1460), size=1500)
    packet.flags = "DF"
    c.from_internet(packet).dropped("too-big", icmp_error(packet, 3, 4, mtu=1460))


@case("E10 D4 D3", "TTL, DSCP and MSS are changed at once, and both checksums are right")
def all_at_once(c):
    c.policy |= {"decap-dscp": "copy", "mss-clamp": 1000}
    before = outbound(b"\x01" + mss(1460), tos=2)
    after = outbound(b"\x01" + mss(1000), tos=0xBB)
    c.from_b4(tunnel(before, tc=0xBB)).forwarded(aged(after))
