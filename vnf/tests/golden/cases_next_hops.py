"""Next hops: asked for, waited for, followed (N3)."""

from scapy.layers.inet6 import ICMPv6NDOptDstLLAddr, ICMPv6ND_NA, IPv6
from scapy.layers.l2 import ARP, Ether

from case import EXTERNAL as EXTERNAL_SIDE, INTERNAL as INTERNAL_SIDE, case
from cases_neighbours import advertise, is_at, solicit, who_has
from world import (B4_34, BR2, EXTERNAL, INTERNAL, MAC4, MAC6, NEXT_HOP4, NEXT_HOP4_MAC, NEXT_HOP6,
                   PORT_34, SHARED, aged, encapsulated, fragments6, inbound, outbound, tunnel)

NEW4, NEW6 = "02:00:00:00:44:44", "02:00:00:00:66:66"


@case("N3", "A next hop's MAC address can be given for a replay")
def given_mac(c):
    del c.external["next-hop-mac"], c.internal["next-hop-mac"]
    mac = "02:00:00:00:55:55"
    c.arguments += ["--next-hop-mac", mac]
    c.from_internet(inbound()).forwarded(
        Ether(src=MAC6, dst=mac) / encapsulated(aged(inbound())))
    c.from_b4(tunnel(outbound())).forwarded(Ether(src=MAC4, dst=mac) / aged(outbound()))


def unresolved(c):
    """Next hops by address, which the relay asks for at once."""
    del c.external["next-hop-mac"], c.internal["next-hop-mac"]
    c.originates(EXTERNAL_SIDE, who_has(NEXT_HOP4, EXTERNAL, MAC4))
    c.originates(INTERNAL_SIDE, solicit(NEXT_HOP6, src=INTERNAL, mac=MAC6))


def arp_answer(mac, sender=NEXT_HOP4):
    """The external next hop says its MAC address."""
    return Ether(src=mac, dst=MAC4) / ARP(op=2, hwsrc=mac, psrc=sender, hwdst=MAC4, pdst=EXTERNAL)


def ndp_answer(mac, target=NEXT_HOP6, override=1, solicited=1):
    """The internal next hop says its MAC address."""
    return (Ether(src=mac, dst=MAC6) / IPv6(src=target, dst=INTERNAL, hlim=255)
            / ICMPv6ND_NA(tgt=target, R=1, S=solicited, O=override)
            / ICMPv6NDOptDstLLAddr(lladdr=mac))


def to_b4(packet, mac, **fields):
    """How a packet from the Internet leaves for its B4 by this next hop."""
    return Ether(src=MAC6, dst=mac) / encapsulated(aged(packet), **fields)


def to_internet(packet, mac):
    """How a B4's packet leaves by this next hop."""
    return Ether(src=MAC4, dst=mac) / aged(packet)


@case("N3", "An unresolved next hop is asked for; what is to go there meanwhile waits")
def unresolved_next_hops(c):
    unresolved(c)
    c.from_internet(inbound()).held()
    c.from_b4(tunnel(outbound())).held()
    # Answers that need no next hop are given all the same.
    c.from_internet(who_has(EXTERNAL, "192.0.2.77")).answered(
        is_at(EXTERNAL, "192.0.2.77", NEXT_HOP4_MAC))


@case("N3", "Its answer is used at once for what waits, and for all that follows")
def resolved_next_hops(c):
    unresolved(c)
    waiting = c.from_internet(inbound())
    waiting_too = c.from_b4(tunnel(outbound()))
    c.from_internet(arp_answer(NEW4)).consumed()
    waiting_too.forwarded(to_internet(outbound(), NEW4), after=c.frames[-1])
    c.from_b4(ndp_answer(NEW6)).consumed()
    waiting.forwarded(to_b4(inbound(), NEW6), after=c.frames[-1])
    c.from_internet(inbound()).forwarded(to_b4(inbound(), NEW6))
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEW4))


@case("N3", "What waited leaves in the order it came, before what comes later")
def held_in_order(c):
    unresolved(c)
    packets = [inbound(size=size, id=size) for size in range(1, 21)]
    waiting = [c.from_internet(packet, spacing=1000) for packet in packets]
    answer = c.from_b4(ndp_answer(NEW6))
    answer.consumed()
    for frame, packet in zip(waiting, packets):
        frame.forwarded(to_b4(packet, NEW6), after=answer)
    c.from_internet(inbound()).forwarded(to_b4(inbound(), NEW6))


@case("N3", "64 packets wait for each side; what is more is dropped, the first ones stay")
def held_bound(c):
    unresolved(c)
    inwards = [inbound(id=number) for number in range(70)]
    outwards = [outbound(id=number) for number in range(70)]
    waiting = [c.from_internet(packet, spacing=1000) for packet in inwards]
    waiting_too = [c.from_b4(tunnel(packet), spacing=1000) for packet in outwards]
    answer = c.from_b4(ndp_answer(NEW6))
    answer.consumed()
    for frame, packet in zip(waiting[:64], inwards):
        frame.forwarded(to_b4(packet, NEW6), after=answer)
    answer = c.from_internet(arp_answer(NEW4))
    answer.consumed()
    for frame, packet in zip(waiting_too[:64], outwards):
        frame.forwarded(to_internet(packet, NEW4), after=answer)
    for frame in waiting[64:] + waiting_too[64:]:
        frame.dropped("next-hop-unresolved")


@case("N3", "Once they have left, 64 more may wait: the room is given back")
def held_bound_in_bursts(c):
    unresolved(c)
    packets = [inbound(id=number) for number in range(130)]
    waiting = [c.from_internet(packet, spacing=0) for packet in packets]
    answer = c.from_b4(ndp_answer(NEW6))
    answer.consumed()
    for number, (frame, packet) in enumerate(zip(waiting, packets)):
        if number < 64:
            frame.forwarded(to_b4(packet, NEW6), after=answer)
        else:
            frame.dropped("next-hop-unresolved")
    for packet in packets:
        c.from_internet(packet, spacing=0).forwarded(to_b4(packet, NEW6))


def asked_again(c):
    """The questions at one and three seconds."""
    for _ in range(2):
        c.originates(EXTERNAL_SIDE, who_has(NEXT_HOP4, EXTERNAL, MAC4))
        c.originates(INTERNAL_SIDE, solicit(NEXT_HOP6, src=INTERNAL, mac=MAC6))


@case("N3", "Without an answer they are dropped after three seconds")
def held_too_long(c):
    unresolved(c)
    c.from_internet(inbound()).dropped("next-hop-unresolved")
    c.from_b4(tunnel(outbound())).dropped("next-hop-unresolved")
    asked_again(c)
    c.arguments += ["--until", "4"]


@case("N3", "An answer after two and a half seconds is in time; one after four finds nobody")
def held_just_long_enough(c):
    unresolved(c)
    waiting = c.from_internet(inbound(), spacing=2_500_000)
    c.from_b4(tunnel(outbound()), spacing=0).dropped("next-hop-unresolved")
    c.originates(EXTERNAL_SIDE, who_has(NEXT_HOP4, EXTERNAL, MAC4))
    c.originates(INTERNAL_SIDE, solicit(NEXT_HOP6, src=INTERNAL, mac=MAC6))
    answer = c.from_b4(ndp_answer(NEW6), spacing=3_500_000)
    answer.consumed()
    waiting.forwarded(to_b4(inbound(), NEW6), after=answer)
    c.originates(EXTERNAL_SIDE, who_has(NEXT_HOP4, EXTERNAL, MAC4))
    c.from_internet(arp_answer(NEW4)).consumed()
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEW4))


@case("N3 D6", "Hairpins wait too, and remain hairpins")
def held_hairpin(c):
    unresolved(c)
    packet = outbound(dst=SHARED)
    packet.dport = PORT_34
    waiting = c.from_b4(tunnel(packet))
    answer = c.from_b4(ndp_answer(NEW6))
    answer.consumed()
    waiting.hairpinned(to_b4(packet, NEW6, b4=B4_34, br=BR2), after=answer)


@case("N3 E8", "What is cut waits whole")
def held_fragments(c):
    unresolved(c)
    packet = inbound(size=2000)
    waiting = c.from_internet(packet)
    answer = c.from_b4(ndp_answer(NEW6))
    answer.consumed()
    pieces = fragments6(encapsulated(aged(packet)), 1500)
    waiting.forwarded(*[Ether(src=MAC6, dst=NEW6) / piece for piece in pieces], after=answer)


@case("N3", "A next hop that answers with a new MAC address is followed")
def changed_mac(c):
    unresolved(c)
    for last in (1, 2):
        mac4, mac6 = f"02:00:00:00:44:0{last}", f"02:00:00:00:66:0{last}"
        c.from_internet(arp_answer(mac4)).consumed()
        c.from_b4(ndp_answer(mac6)).consumed()
        c.from_internet(inbound()).forwarded(to_b4(inbound(), mac6))
        c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), mac4))


@case("N2 N3", "Unasked and without override flag, advertisements change nothing (RFC 4861 7.2.5)")
def no_override(c):
    unresolved(c)
    c.from_b4(ndp_answer(NEW6)).consumed()
    c.from_b4(ndp_answer("02:00:00:00:66:77", override=0, solicited=0)).consumed()
    c.from_internet(inbound()).forwarded(to_b4(inbound(), NEW6))


@case("N2 N3", "Without the override flag, it makes known what was not (RFC 4861 7.2.5)")
def no_override_first(c):
    unresolved(c)
    c.from_b4(ndp_answer(NEW6, override=0)).consumed()
    c.from_internet(inbound()).forwarded(to_b4(inbound(), NEW6))


@case("N2 N3", "Requests of a neighbour do not make it known, only its answers do")
def unasked_answers(c):
    unresolved(c)
    c.from_internet(who_has(EXTERNAL)).answered(is_at(EXTERNAL, NEXT_HOP4, NEXT_HOP4_MAC))
    c.from_b4(solicit(INTERNAL, src=NEXT_HOP6)).answered(advertise(INTERNAL, NEXT_HOP6))
    c.from_b4(tunnel(outbound())).held()
    c.from_internet(inbound()).held()
