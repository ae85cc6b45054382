"""Fragments that arrive: F1 (put together), F2 and F3 (told apart by their first), F4 (refused)."""

from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6,
                                 IPv6ExtHdrFragment)
from scapy.packet import Raw

from case import INTERNAL as INTERNAL_SIDE, case
from cases_ipv6_header import option_header
from world import (B4_12, B4_34, B4_OFFSET, B4_WHOLE, BR1, BR2, EXTERNAL, HOST, OFFSET, PORT_12,
                   PORT_34, PORT_OFFSET, SHARED, WHOLE, aged, data, echo, encapsulated, fragments4,
                   fragments6, icmp_error, inbound, ip, outbound, tunnel, unreachable6)


def pieces6(payload, sizes, identification=9, src=B4_12, dst=BR1, nh=4, tc=0, tcs=None, hlim=63):
    """What a B4 makes of a packet: fragments of the given sizes, the last takes the rest."""
    raw, offset, made = bytes(payload), 0, []
    for index, size in enumerate([*sizes, None]):
        piece = raw[offset:] if size is None else raw[offset:offset + size]
        header = IPv6(src=src, dst=dst, hlim=hlim, tc=tc if tcs is None else tcs[index])
        extension = IPv6ExtHdrFragment(nh=nh, offset=offset // 8, m=size is not None,
                                       id=identification)
        made.append(header / extension / Raw(piece))
        offset += len(piece)
    return made


def whole(packet, src=B4_12, dst=BR1, **fields):
    """The packet that the fragments become."""
    return tunnel(packet, src=src, dst=dst, **fields)


def sized(total, **fields):
    """A datagram from a B4 of this many bytes."""
    return outbound(size=total - 28, **fields)


# F1.

@case("F1", "Two fragments, in order: put together and decapsulated")
def in_order(c):
    packet = sized(1500)
    for piece in pieces6(packet, [1448]):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))


@case("F1", "Five fragments, the last one first")
def reverse_order(c):
    packet = sized(1400)
    for piece in reversed(pieces6(packet, [8, 400, 16, 800])):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))


@case("F1", "Packets of two B4s and two BR addresses with one identification, intertwined")
def intertwined(c):
    packets = [(sized(900, port=PORT_12), B4_12, BR1), (sized(1000, port=PORT_34), B4_34, BR2)]
    cut = [pieces6(packet, [400, 240], src=b4, dst=br) for packet, b4, br in packets]
    for pair in zip(*cut):
        for piece in pair:
            c.from_b4(piece).absorbed()
        if pair[0] is cut[0][-1]:
            for packet, b4, br in packets:
                c.reassembled(whole(packet, b4, br)).forwarded(aged(packet))


@case("F1", "Exact copies are tolerated (RFC 8200 4.5), and are not part of the packet")
def duplicates(c):
    packet = sized(1000)
    first, middle, last = pieces6(packet, [400, 400])
    c.from_b4(last).absorbed()
    c.from_b4(last).dropped("ipv6-fragment-duplicate")
    c.from_b4(first).absorbed()
    c.from_b4(first).dropped("ipv6-fragment-duplicate")
    c.from_b4(last).dropped("ipv6-fragment-duplicate")
    c.from_b4(middle).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))


@case("F1", "A copy with other data is an overlap, whatever its place")
def other_data(c):
    first, last = pieces6(sized(1000), [400])
    forged = pieces6(sized(1000, port=PORT_34), [400])[0]
    c.from_b4(first).dropped("ipv6-fragment-overlap")
    c.from_b4(forged).dropped("ipv6-fragment-overlap")
    c.from_b4(last).dropped("ipv6-fragment-overlap")


@case("F1", "Any overlap discards the whole packet, and what still comes of it (RFC 5722)")
def overlaps(c):
    packet = bytes(sized(1000))
    for number, (offset, size) in enumerate([(0, 8), (392, 16), (8, 8), (0, 800), (0, 408)]):
        first, middle, last = pieces6(packet, [400, 400], identification=number)
        over = (IPv6(src=B4_12, dst=BR1)
                / IPv6ExtHdrFragment(nh=4, offset=offset // 8, m=1, id=number)
                / Raw(packet[offset:offset + size]))
        for piece in (first, over, middle, last, first):
            c.from_b4(piece).dropped("ipv6-fragment-overlap")
    # Others are not harmed.
    for piece in pieces6(packet, [400], identification=99):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(sized(1000)))


@case("F1", "Two ends, or data behind the end: a contradiction, as an overlap is")
def two_ends(c):
    long, short = (pieces6(sized(size), [400, 240], 1) for size in (1000, 900))
    for piece in (long[2], short[2], long[0]):
        c.from_b4(piece).dropped("ipv6-fragment-overlap")
    long, short = (pieces6(sized(size), [400, 240], 2) for size in (1000, 700))
    for piece in (short[2], pieces6(sized(1000), [400, 400], 2)[1]):
        c.from_b4(piece).dropped("ipv6-fragment-overlap")
    far = pieces6(sized(1400), [800, 80], 3)[1]
    for piece in (far, pieces6(sized(700), [400], 3)[1]):
        c.from_b4(piece).dropped("ipv6-fragment-overlap")


@case("F1", "Atomic fragments are packets of their own, whatever waits with their identification")
def atomic(c):
    packet = sized(600)
    first, last = pieces6(packet, [200])
    c.from_b4(first).absorbed()
    other = outbound()
    c.from_b4(pieces6(other, [])[0]).forwarded(aged(other))
    c.from_b4(last).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))


@case("F1 P4", "Headers before and behind an atomic fragment's header are walked")
def atomic_headers(c):
    limit = b"\4\1\4\1\1\0"
    extension = bytes(IPv6ExtHdrFragment(nh=60, id=5))
    raw = bytes([44, 0]) + limit + extension + bytes([4, 0]) + limit + bytes(outbound())
    c.from_b4(IPv6(src=B4_12, dst=BR1, nh=60) / Raw(raw)).forwarded(aged(outbound()))
    raw = extension + bytes([4, 0]) + b"\x5e\1\0\1\1\0" + bytes(outbound())
    c.from_b4(IPv6(src=B4_12, dst=BR1, nh=44) / Raw(raw)).dropped("ipv6-unknown-option")
    for follows in (0, 44):
        raw = bytes(IPv6ExtHdrFragment(nh=follows, id=5)) + bytes([4, 0]) + limit + bytes(outbound())
        c.from_b4(IPv6(src=B4_12, dst=BR1, nh=44) / Raw(raw)).dropped(
            "ipv6-extension-chain" if follows == 0 else "unsupported-protocol")


@case("F1 P4", "Headers before the fragments and in what they carry")
def headers_around(c):
    limit = b"\4\1\4\1\1\0"
    fragmentable = bytes([4, 0]) + limit + bytes(sized(600))
    for piece in pieces6(fragmentable, [200, 200], nh=60):
        raw = bytes([44, 0]) + limit + bytes(piece)[40:]
        header = IPv6(src=B4_12, dst=BR1, hlim=63, nh=60)
        c.from_b4(header / Raw(raw)).absorbed()
    c.reassembled(tunnel(Raw(fragmentable), nh=60)).forwarded(aged(sized(600)))


@case("F1 D1", "What is no tunnelled packet is of no use to us, put together or not")
def not_tunnelled(c):
    request = bytes(IPv6(src=B4_12, dst=BR1) / ICMPv6EchoRequest(id=1, data=b"x" * 600))[40:]
    for piece in pieces6(request, [200], nh=58):
        c.from_b4(piece).absorbed()
    c.reassembled(IPv6(src=B4_12, dst=BR1, nh=58) / Raw(request)).dropped("unsupported-protocol")
    c.from_b4(pieces6(sized(900), [200], dst="2001:db8:1::1")[0]).dropped("unsupported-protocol")
    c.from_b4(pieces6(sized(900), [200], dst="2001:db8:7::1")[0]).dropped("not-for-us")


@case("F1 N4", "A fragment that is all of a packet is the packet: echo is answered (RFC 6946)")
def atomic_echo(c):
    for ours in (BR1, "2001:db8:1::1"):
        request = bytes(IPv6(src=B4_12, dst=ours) / ICMPv6EchoRequest(id=1, data=b"x" * 600))[40:]
        reply = IPv6(src=ours, dst=B4_12, hlim=64) / ICMPv6EchoReply(id=1, data=b"x" * 600)
        c.from_b4(pieces6(request, [], nh=58, dst=ours)[0]).answered(reply)


@case("F1", "Fragments that are none: nothing in them, odd in the middle, beyond 65535 bytes")
def malformed(c):
    def fragment(offset, more, size, nh=4):
        return (IPv6(src=B4_12, dst=BR1)
                / IPv6ExtHdrFragment(nh=nh, offset=offset // 8, m=more, id=77) / data(size))

    for piece in (fragment(0, 1, 0), fragment(80, 0, 0), fragment(0, 1, 9), fragment(800, 1, 15),
                  fragment(65528, 0, 8), fragment(65528, 1, 8), fragment(64528, 0, 1008)):
        c.from_b4(piece).dropped("ipv6-fragment-malformed")
    c.from_b4(IPv6(src=B4_12, dst=BR1, nh=44) / Raw(b"\4\0\0\1\0\0\0")).dropped("ipv6-truncated")
    packet = sized(600)
    for piece in pieces6(packet, [200], identification=77):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))


@case("F1", "What is missing after 60 s is given up; 3/1 says so if the first fragment came")
def timeout(c):
    first, last = pieces6(sized(1500), [1448])
    c.from_b4(first, spacing=0).dropped("ipv6-fragment-timeout")
    other = pieces6(sized(1000), [400], identification=10)[1]
    c.from_b4(other, spacing=0).dropped("ipv6-fragment-timeout")
    c.wait(59_900_000)
    packet = sized(500)
    c.from_b4(pieces6(packet, [200], identification=11)[0], spacing=0).absorbed()
    c.wait(400_000)
    quoted = bytes(first)[:1280 - 48]
    error = IPv6(src=BR1, dst=B4_12, hlim=64) / ICMPv6TimeExceeded(code=1) / Raw(quoted)
    c.originates(INTERNAL_SIDE, error)
    # Too late: it starts anew.
    c.from_b4(last).held()
    c.from_b4(pieces6(packet, [200], identification=11)[1]).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))


@case("F1 I5", "No 3/1 where the first fragment carries an ICMP error, or a later IPv4 fragment")
def silent_timeout(c):
    about = icmp_error(inbound(), 3, 3, source=SHARED)
    later = ip(SHARED, HOST, frag=100, proto=17) / data(600)
    for number, packet in enumerate((about, later)):
        for piece in pieces6(packet, [40], identification=number)[:1]:
            c.from_b4(piece, spacing=0).dropped("ipv6-fragment-timeout")
    c.arguments += ["--until", "61"]


@case("F1 Q2", "The timeout is a key")
def timeout_key(c):
    c.fragments["timeout"] = 2
    first, last = pieces6(sized(1500), [1448])
    c.from_b4(last, spacing=0).dropped("ipv6-fragment-timeout")
    c.wait(2_100_000)
    c.from_b4(first).held()


@case("F1", "More fragments than allowed: the packet is given up, and what still comes of it")
def too_many(c):
    c.fragments["max-fragments"] = 4
    packet = sized(900)
    for piece in pieces6(packet, [200, 200, 200]):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))
    for piece in pieces6(packet, [200, 200, 200, 200], identification=10):
        c.from_b4(piece).dropped("ipv6-fragment-too-many")
    c.from_b4(pieces6(packet, [200], identification=10)[0]).dropped("ipv6-fragment-too-many")


@case("F1", "64 fragments by default, and not one more")
def sixty_four(c):
    packet = sized(64 * 16)
    for piece in reversed(pieces6(packet, [16] * 63)):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))
    for piece in pieces6(sized(65 * 16), [16] * 64, identification=10):
        c.from_b4(piece).dropped("ipv6-fragment-too-many")


@case("F1", "The 17th packet of a source costs it its own oldest, and nobody else's")
def packets_per_source(c):
    mine = [pieces6(sized(600), [200], identification=number) for number in range(17)]
    other = sized(700, port=PORT_34)
    theirs = pieces6(other, [200], src=B4_34, dst=BR2)
    c.from_b4(theirs[0], spacing=1000).absorbed()
    for number, (first, _) in enumerate(mine):
        frame = c.from_b4(first, spacing=1000)
        if number in (0, 1):
            frame.dropped("ipv6-fragment-limit")
        else:
            frame.absorbed()
    c.from_b4(theirs[1]).absorbed()
    c.reassembled(whole(other, B4_34, BR2)).forwarded(aged(other))
    # The first is forgotten: what is left of it starts anew, and the second goes for it.
    c.from_b4(mine[0][1]).held()
    for _, last in mine[2:]:
        c.from_b4(last).absorbed()
        c.reassembled(whole(sized(600))).forwarded(aged(sized(600)))


@case("F1", "What a source may have stored, in units of 256 bytes; beyond, its oldest goes")
def bytes_per_source(c):
    c.fragments["bytes-per-source"] = 4608
    packet = sized(1000)  # 856 and 240 bytes of IPv6: 1024 and 256 as stored.
    cut = [pieces6(packet, [808], identification=number) for number in range(5)]
    c.from_b4(cut[0][0]).dropped("ipv6-fragment-limit")
    for first, _ in cut[1:4]:
        c.from_b4(first).absorbed()
    c.from_b4(cut[4][0]).absorbed()
    for number in (1, 2, 3, 4):
        c.from_b4(cut[number][1]).absorbed()
        c.reassembled(whole(packet)).forwarded(aged(packet))


@case("F1", "All packets: the oldest of all goes, whoever has it")
def packets_in_all(c):
    c.fragments |= {"packets": 2, "packets-per-source": 2}
    packets = [(sized(600), B4_12, BR1, 1), (sized(600, port=PORT_34), B4_34, BR2, 2),
               (sized(700), B4_12, BR1, 3)]
    cut = [pieces6(packet, [200], number, b4, br) for packet, b4, br, number in packets]
    c.from_b4(cut[0][0]).dropped("ipv6-fragment-limit")
    c.from_b4(cut[1][0]).absorbed()
    c.from_b4(cut[2][0]).absorbed()
    for index in (1, 2):
        packet, b4, br, _ = packets[index]
        c.from_b4(cut[index][1]).absorbed()
        c.reassembled(whole(packet, b4, br)).forwarded(aged(packet))


@case("F1", "A packet of 65535 bytes in fragments of 1500 bytes, cut again on its way out")
def largest(c):
    packet = sized(65535)
    for piece in pieces6(packet, [1448] * 45):
        c.from_b4(piece, spacing=1000).absorbed()
    c.reassembled(whole(packet)).forwarded(*fragments4(aged(packet), 1500))


@case("F1 D5", "12000 bytes in jumbo fragments: cut, or too big where that is forbidden")
def larger_than_a_buffer(c):
    packet = sized(12000)
    for piece in pieces6(packet, [8952], identification=1):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).forwarded(*fragments4(aged(packet), 1500))
    packet = sized(12000, flags="DF")
    for piece in pieces6(packet, [8952], identification=2):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).dropped("too-big", encapsulated(icmp_error(packet, 3, 4, 1500)))


@case("F1 D6 E8", "From one B4 to another: put together, and cut for the other tunnel")
def hairpin(c):
    for size in (900, 1500, 20000):
        packet = sized(size, dst=OFFSET)
        packet.dport = PORT_OFFSET
        for piece in pieces6(packet, [400] * (size // 8000) + [440], identification=size):
            c.from_b4(piece).absorbed()
        out = encapsulated(aged(packet), B4_OFFSET)
        c.reassembled(whole(packet)).hairpinned(
            *(fragments6(out, 1500) if size + 40 > 1500 else [out]))


@case("F1 D2", "A reassembled packet is checked like any other")
def spoofed(c):
    packet = sized(900, port=PORT_34)
    for piece in pieces6(packet, [400]):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet, hlim=63)).dropped(
        "source-wrong-b4", unreachable6(whole(packet), 5))
    packet = sized(900, ttl=1)
    for piece in pieces6(packet, [400]):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).dropped("ttl-expired", encapsulated(icmp_error(packet, 11, 0)))
    raw = bytearray(bytes(sized(900)))
    raw[3] += 1  # One byte more than there is.
    for piece in pieces6(bytes(raw), [400], identification=10):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(Raw(bytes(raw)))).dropped("ipv4-truncated")


@case("F1 D7", "A reassembled ping of our own address: its reply would not fit")
def ping_us(c):
    request = echo(SHARED, EXTERNAL, size=1472)
    for piece in pieces6(request, [800]):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(request)).dropped("too-big")


@case("F1 D3", "Congestion marked on any fragment is the packet's; with Not-ECT beside it, none's")
def congestion(c):
    packet = sized(900, tos=2)
    marked = sized(900, tos=3)
    for number, tcs in enumerate(((2, 3), (3, 2), (1, 3), (3, 3))):
        for piece in pieces6(packet, [400], number, tcs=tcs):
            c.from_b4(piece).absorbed()
        c.reassembled(whole(packet)).forwarded(aged(marked))
    for number, tcs in enumerate(((0, 3), (3, 0))):
        for piece in pieces6(packet, [400], 10 + number, tcs=tcs):
            c.from_b4(piece).absorbed()
        c.reassembled(whole(packet)).dropped("ecn-mismatch")
    for piece in pieces6(packet, [400], 20, tcs=(0x48, 0)):
        c.from_b4(piece).absorbed()
    c.reassembled(whole(packet)).forwarded(aged(packet))


@case("F1 F3", "An IPv4 fragment that came in IPv6 fragments waits for its first, which did so too")
def fragments_in_fragments(c):
    first, last = fragments4(sized(3000), 1620)
    cut_last, cut_first = pieces6(last, [1000], 1), pieces6(first, [1000], 2)
    for piece in cut_last:
        c.from_b4(piece).absorbed()
    waiting = c.reassembled(whole(last))
    for piece in cut_first:
        c.from_b4(piece).absorbed()
    complete = c.reassembled(whole(first))
    complete.forwarded(*fragments4(aged(first), 1500))
    waiting.forwarded(aged(last), after=complete)


# F2.

def cut_inbound(size=3000, mtu=1400, **fields):
    """A datagram from the Internet, in fragments."""
    return fragments4(inbound(size=size, **fields), mtu)


def into(piece, b4=B4_12, br=BR1):
    """A fragment as it leaves for its B4."""
    return encapsulated(aged(piece), b4, br)


@case("F2 E9", "Each fragment goes to the B4 that the first one named")
def learned(c):
    for port, b4, br in ((PORT_12, B4_12, BR1), (PORT_34, B4_34, BR2)):
        for piece in cut_inbound(port=port, id=port):
            c.from_internet(piece).forwarded(into(piece, b4, br))


@case("F2", "Fragments ahead of the first wait for it, and leave behind it in their order")
def ahead_of_the_first(c):
    pieces = cut_inbound(size=6000)
    later = [c.from_internet(piece, spacing=100_000) for piece in (pieces[3], pieces[1])]
    first = c.from_internet(pieces[0])
    first.forwarded(into(pieces[0]))
    for frame, piece in zip(later, (pieces[3], pieces[1])):
        frame.forwarded(into(piece), after=first)
    for piece in (pieces[2], pieces[4]):
        c.from_internet(piece).forwarded(into(piece))


@case("F2", "No more than four of a packet wait, no longer than a second")
def waits_are_bounded(c):
    pieces = cut_inbound(size=8000)
    for piece in pieces[1:5]:
        c.from_internet(piece, spacing=1000).dropped("ipv4-fragment-timeout")
    c.from_internet(pieces[5], spacing=1000).dropped("ipv4-fragment-limit")
    c.wait(1_100_000)
    c.from_internet(pieces[0]).forwarded(into(pieces[0]))
    c.from_internet(pieces[5]).forwarded(into(pieces[5]))
    other = cut_inbound(id=99)[1]
    c.from_internet(other).dropped("ipv4-fragment-timeout")
    c.arguments += ["--until", "9"]


@case("F2 Q2", "How many wait, and how long, are keys")
def waits_are_keys(c):
    c.fragments |= {"held-per-packet": 1, "hold": 3}
    pieces = cut_inbound(size=8000)
    waits = c.from_internet(pieces[1])
    c.from_internet(pieces[2]).dropped("ipv4-fragment-limit")
    c.wait(2_200_000)
    first = c.from_internet(pieces[0])
    first.forwarded(into(pieces[0]))
    waits.forwarded(into(pieces[1]), after=first)


@case("F2 Q2", "Nothing waits with held-per-packet = 0")
def no_waits(c):
    c.fragments["held-per-packet"] = 0
    first, later, _ = cut_inbound()
    c.from_internet(later).dropped("ipv4-fragment-limit")
    c.from_internet(first).forwarded(into(first))
    c.from_internet(later).forwarded(into(later))


@case("F2", "The port is remembered for 30 s")
def memory(c):
    first, later, last = cut_inbound()
    c.from_internet(first, spacing=29_900_000).forwarded(into(first))
    c.from_internet(later, spacing=200_000).forwarded(into(later))
    c.from_internet(last).dropped("ipv4-fragment-timeout")
    c.arguments += ["--until", "40"]


@case("F2", "An identification that is used again: the newer first fragment counts")
def used_again(c):
    old, new = cut_inbound(port=PORT_12), cut_inbound(port=PORT_34)
    c.from_internet(old[0]).forwarded(into(old[0]))
    c.from_internet(old[1]).forwarded(into(old[1]))
    c.from_internet(new[0]).forwarded(into(new[0], B4_34, BR2))
    c.from_internet(new[1]).forwarded(into(new[1], B4_34, BR2))


@case("F2", "Source, destination, protocol and identification tell packets apart")
def told_apart(c):
    first, later, _ = cut_inbound()
    c.from_internet(first).forwarded(into(first))
    for change in (dict(src="203.0.113.10"), dict(dst=OFFSET), dict(proto=6), dict(id=5)):
        other = later.copy()
        for field, value in change.items():
            setattr(other, field, value)
        del other.chksum
        c.from_internet(other).dropped("ipv4-fragment-timeout")
    c.from_internet(later).forwarded(into(later))
    c.arguments += ["--until", "9"]


@case("F2 I1", "Pings in fragments go by the identifier; a bad checksum is the host's to find")
def pings(c):
    for kind in (8, 0):
        for piece in fragments4(echo(HOST, SHARED, kind=kind, size=3000, id=kind), 1500):
            c.from_internet(piece).forwarded(
                *([into(piece)] if len(piece) <= 1460 else fragments6(into(piece), 1500)))
    broken = echo(HOST, SHARED, size=3000, id=77)
    broken[ICMP].chksum = 1
    for piece in fragments4(broken, 1400):
        c.from_internet(piece).forwarded(into(piece))


@case("F2 E7 I5", "A first fragment to nobody's port is answered by 3/1, the others are not")
def nobodys_port(c):
    first, later, _ = cut_inbound(port=0x9900)
    c.from_internet(first).dropped("no-softwire", icmp_error(first, 3, 1))
    c.from_internet(later).dropped("no-softwire")


@case("F2 E1", "Protocols without ports, and ICMP that is not carried")
def no_ports(c):
    for frag, flags in ((0, "MF"), (50, 0)):
        packet = ip(HOST, SHARED, proto=47, frag=frag, flags=flags) / data(400)
        c.from_internet(packet).dropped("port-less-protocol")
    packet = ip(HOST, SHARED, flags="MF", id=7) / ICMP(type=13) / data(400)
    c.from_internet(packet).dropped("icmp-type")


@case("F2", "Whole addresses need no learning: whatever comes goes, tiny or not")
def whole_addresses(c):
    for piece in reversed(fragments4(inbound(WHOLE, size=3000), 1400)):
        c.from_internet(piece).forwarded(into(piece, B4_WHOLE))
    for frag, flags, size in ((0, "MF", 1), (1, 0, 8), (1, "MF", 3)):
        tiny = ip(HOST, WHOLE, proto=6, frag=frag, flags=flags) / data(size)
        c.from_internet(tiny).forwarded(into(tiny, B4_WHOLE))
        out = ip(WHOLE, HOST, proto=6, frag=frag, flags=flags) / data(size)
        c.from_b4(tunnel(out, B4_WHOLE)).forwarded(aged(out))


@case("F2 E6 I5", "TTL and MTU hold for each fragment; errors are about the first alone")
def each_on_its_own(c):
    first, later, _ = cut_inbound(ttl=1)
    c.from_internet(first).dropped("ttl-expired", icmp_error(first, 11, 0))
    c.from_internet(later).dropped("ttl-expired")
    for piece in fragments4(inbound(size=4000, id=4), 1500):
        c.from_internet(piece).forwarded(
            *([into(piece)] if len(piece) <= 1460 else fragments6(into(piece), 1500)))


@case("F2 N4", "Nothing is put together for ourselves")
def to_us(c):
    for piece in fragments4(echo(HOST, EXTERNAL, size=2000), 1400):
        c.from_internet(piece).dropped("ipv4-fragment-to-us")


# F4.

@case("F4", "First fragments too small for their header (RFC 1858): of TCP, 16 bytes")
def tiny(c):
    for protocol, size, reason in ((6, 8, 1), (6, 15, 1), (6, 16, 0), (17, 7, 1), (17, 8, 0),
                                   (132, 4, 1), (33, 0, 1), (1, 7, 1)):
        header = {6: TCP(sport=9, dport=PORT_12), 1: ICMP(id=PORT_12)}.get(
            protocol, UDP(sport=9, dport=PORT_12))
        payload = (bytes(header) + bytes(40))[:size]
        packet = ip(HOST, SHARED, proto=protocol, flags="MF", id=protocol + size) / Raw(payload)
        if reason:
            c.from_internet(packet).dropped("ipv4-fragment-tiny")
        else:
            c.from_internet(packet).forwarded(into(packet))


@case("F4", "The attack of RFC 1858: a TCP fragment at offset 8 rewrites the flags")
def flags_rewritten(c):
    segment = bytes(TCP(sport=9, dport=PORT_12, flags="A") / data(400))
    first = ip(HOST, SHARED, proto=6, flags="MF") / Raw(segment[:24])
    over = ip(HOST, SHARED, proto=6, frag=1, flags="MF") / Raw(segment[8:24])
    rest = ip(HOST, SHARED, proto=6, frag=3) / Raw(segment[24:])
    c.from_internet(first).forwarded(into(first))
    c.from_internet(over).dropped("ipv4-fragment-overlap")
    c.from_internet(rest).forwarded(into(rest))


@case("F4", "The attack of RFC 3128: a second, tiny first fragment rewrites the ports")
def ports_rewritten(c):
    segment = bytes(TCP(sport=9, dport=PORT_12, flags="A") / data(400))
    evil = bytes(TCP(sport=9, dport=PORT_34, flags="S"))
    first = ip(HOST, SHARED, proto=6, flags="MF") / Raw(segment[:24])
    over = ip(HOST, SHARED, proto=6, flags="MF") / Raw(evil[:8])
    rest = ip(HOST, SHARED, proto=6, frag=3) / Raw(segment[24:])
    c.from_internet(first).forwarded(into(first))
    c.from_internet(over).dropped("ipv4-fragment-tiny")
    c.from_internet(rest).forwarded(into(rest))


@case("F4 F3", "The same out of a tunnel")
def attacks_from_b4s(c):
    segment = bytes(TCP(sport=PORT_12, dport=9) / data(400))
    tiny = ip(SHARED, HOST, proto=6, flags="MF") / Raw(segment[:8])
    over = ip(SHARED, HOST, proto=6, frag=1) / Raw(segment[8:])
    c.from_b4(tunnel(tiny)).dropped("ipv4-fragment-tiny")
    c.from_b4(tunnel(over)).dropped("ipv4-fragment-overlap")


@case("E8 D5", "A fragment that would end beyond 65535 bytes cannot be cut any further")
def beyond_the_end(c):
    for frag, size in ((8191, 2000), (8000, 1600)):
        packet = ip(HOST, WHOLE, frag=frag, proto=17) / data(size)
        c.policy["fragment"] = "inner"
        c.from_internet(packet).dropped("too-big")
        out = ip(WHOLE, HOST, frag=frag, proto=17) / data(size)
        c.from_b4(tunnel(out, B4_WHOLE)).dropped("too-big")


# F3.

@case("F3", "Fragments of a B4 are let out by the port that their first one told")
def outbound_fragments(c):
    for piece in fragments4(sized(4000), 1400):
        c.from_b4(tunnel(piece)).forwarded(aged(piece))
    for piece in fragments4(echo(SHARED, HOST, size=3000, id=7), 1400):
        c.from_b4(tunnel(piece)).forwarded(aged(piece))


@case("F3", "Those ahead of their first wait for it")
def outbound_ahead(c):
    first, later, last = fragments4(sized(4000), 1400)[:3]
    waiting = [c.from_b4(tunnel(piece)) for piece in (last, later)]
    frame = c.from_b4(tunnel(first))
    frame.forwarded(aged(first))
    for waits, piece in zip(waiting, (last, later)):
        waits.forwarded(aged(piece), after=frame)


@case("F3", "One whose first never comes is given up")
def outbound_lost(c):
    c.from_b4(tunnel(fragments4(sized(4000), 1400)[1])).dropped("ipv4-fragment-timeout")
    c.arguments += ["--until", "3"]


@case("F3 D2", "Fragments of another B4 do not profit from what this one's told")
def wrong_b4(c):
    first, later, last = fragments4(sized(3900), 1400)
    c.from_b4(tunnel(first)).forwarded(aged(first))
    c.from_b4(tunnel(later, src=B4_34)).dropped("ipv4-fragment-timeout")
    c.from_b4(tunnel(later, dst=BR2)).dropped("ipv4-fragment-timeout")
    c.from_b4(tunnel(last)).forwarded(aged(last))
    c.arguments += ["--until", "9"]


@case("F3 D2 I5", "A first fragment with another's port is refused, and so are the others")
def wrong_port(c):
    first, later, _ = fragments4(sized(3900, port=PORT_34), 1400)
    c.from_b4(tunnel(first)).dropped("source-wrong-b4", unreachable6(tunnel(first), 5))
    c.from_b4(tunnel(later)).dropped("source-wrong-b4")


@case("F3 D6", "Fragments from one B4 to another go by both ports that the first one told")
def hairpinned_fragments(c):
    packet = sized(3900, dst=OFFSET)
    packet.dport = PORT_OFFSET
    pieces = fragments4(packet, 1400)
    waits = c.from_b4(tunnel(pieces[1]))
    first = c.from_b4(tunnel(pieces[0]))
    first.hairpinned(into(pieces[0], B4_OFFSET))
    waits.hairpinned(into(pieces[1], B4_OFFSET), after=first)
    c.from_b4(tunnel(pieces[2])).hairpinned(into(pieces[2], B4_OFFSET))


@case("F3 D6", "From a whole address to a shared one: the port of the destination is learned")
def whole_to_shared(c):
    packet = sized(3900, src=WHOLE, dst=OFFSET)
    packet.dport = PORT_OFFSET
    pieces = fragments4(packet, 1400)
    waits = c.from_b4(tunnel(pieces[2], B4_WHOLE))
    first = c.from_b4(tunnel(pieces[0], B4_WHOLE))
    first.hairpinned(into(pieces[0], B4_OFFSET))
    waits.hairpinned(into(pieces[2], B4_OFFSET), after=first)
    c.from_b4(tunnel(pieces[1], B4_WHOLE)).hairpinned(into(pieces[1], B4_OFFSET))


@case("F3 D6", "With hairpinning = \"external\" the destination's port does not matter")
def whole_to_shared_outside(c):
    c.policy["hairpinning"] = "external"
    packet = sized(3900, src=WHOLE, dst=OFFSET)
    for piece in reversed(fragments4(packet, 1400)):
        c.from_b4(tunnel(piece, B4_WHOLE)).forwarded(aged(piece))


@case("F1 F2", "A ping of 3000 bytes to a subscriber and back, cut wherever it must be")
def big_ping(c):
    request = echo(HOST, SHARED, size=3000, id=1)
    for piece in fragments4(request, 1500):
        out = into(piece)
        c.from_internet(piece).forwarded(*(fragments6(out, 1500) if len(out) > 1500 else [out]))
    reply = echo(SHARED, HOST, kind=0, size=3000, id=2)
    for number, piece in enumerate(fragments4(reply, 1500)):
        cut = fragments6(tunnel(piece), 1500)
        if len(cut) == 1:
            c.from_b4(tunnel(piece)).forwarded(aged(piece))
            continue
        for fragment in cut:
            c.from_b4(fragment).absorbed()
        c.reassembled(tunnel(piece)).forwarded(aged(piece))
