"""Next hops: asked for, waited for, followed (N3)."""

from scapy.layers.inet6 import ICMPv6NDOptDstLLAddr, ICMPv6ND_NA, IPv6
from scapy.layers.l2 import ARP, Ether

from case import EXTERNAL as EXTERNAL_SIDE, INTERNAL as INTERNAL_SIDE, case
from cases_neighbours import advertise, is_at, solicit, who_has
from world import (B4_34, BR2, EXTERNAL, INTERNAL, LINK_LOCAL, MAC4, MAC6, NEXT_HOP4,
                   NEXT_HOP4_MAC, NEXT_HOP6, PORT_34, SHARED, aged, encapsulated, fragments6, inbound, outbound, tunnel)

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
    c.alarms = [("next-hop-unresolved", "external", NEXT_HOP4),
                ("next-hop-unresolved", "internal", NEXT_HOP6)]


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


OTHER_HOP4, OTHER_HOP6 = "192.0.2.253", "2001:db8:1::fd"
FIRST4, FIRST6 = "02:00:00:00:44:01", "02:00:00:00:66:01"
SOON = 1000  # Microseconds.


def ask4(c, hop=NEXT_HOP4, sender=EXTERNAL):
    """The relay asks for an external next hop."""
    c.originates(EXTERNAL_SIDE, who_has(hop, sender, MAC4))


def ask6(c, hop=NEXT_HOP6, src=INTERNAL):
    """The relay asks for an internal next hop."""
    c.originates(INTERNAL_SIDE, solicit(hop, src=src, mac=MAC6))


def listed(c):
    """Two next hops on each side, which the relay asks for at once."""
    del c.external["next-hop-mac"], c.internal["next-hop-mac"]
    c.external["next-hop"] = [NEXT_HOP4, OTHER_HOP4]
    c.internal["next-hop"] = [NEXT_HOP6, OTHER_HOP6]
    for hop in (NEXT_HOP4, OTHER_HOP4):
        ask4(c, hop)
    for hop in (NEXT_HOP6, OTHER_HOP6):
        ask6(c, hop)


def listed4(c):
    """Two next hops on the external side only."""
    del c.external["next-hop-mac"]
    c.external["next-hop"] = [NEXT_HOP4, OTHER_HOP4]
    ask4(c, NEXT_HOP4)
    ask4(c, OTHER_HOP4)


def until(c, microseconds):
    """Lets the next frame arrive at that time."""
    c.wait(microseconds - c.clock)


@case("N3", "A list of next hops: the first that is known gets everything")
def list_first(c):
    listed(c)
    c.from_internet(arp_answer(FIRST4), spacing=SOON).consumed()
    c.from_internet(arp_answer(NEW4, OTHER_HOP4), spacing=SOON).consumed()
    c.from_b4(ndp_answer(NEW6, OTHER_HOP6), spacing=SOON).consumed()
    c.from_b4(ndp_answer(FIRST6)).consumed()
    c.from_internet(inbound()).forwarded(to_b4(inbound(), FIRST6))
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), FIRST4))


@case("N3", "A list of next hops: the second serves while the first is silent, and not longer")
def list_second(c):
    listed(c)
    waiting = c.from_internet(inbound(), spacing=SOON)
    waiting_too = c.from_b4(tunnel(outbound()), spacing=SOON)
    answer = c.from_internet(arp_answer(NEW4, OTHER_HOP4), spacing=SOON)
    answer.consumed()
    waiting_too.forwarded(to_internet(outbound(), NEW4), after=answer)
    answer = c.from_b4(ndp_answer(NEW6, OTHER_HOP6))
    answer.consumed()
    waiting.forwarded(to_b4(inbound(), NEW6), after=answer)
    c.from_internet(arp_answer(FIRST4), spacing=SOON).consumed()
    c.from_b4(ndp_answer(FIRST6), spacing=SOON).consumed()
    c.from_internet(inbound(), spacing=SOON).forwarded(to_b4(inbound(), FIRST6))
    c.from_b4(tunnel(outbound()), spacing=SOON).forwarded(to_internet(outbound(), FIRST4))


def first_falls_silent(c):
    """Both answer at once; from then on only the second does."""
    listed4(c)
    c.from_internet(arp_answer(FIRST4), spacing=SOON).consumed()
    c.from_internet(arp_answer(NEW4, OTHER_HOP4)).consumed()
    until(c, 1_000_000)
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), FIRST4))
    ask4(c, NEXT_HOP4)  # 2.1 s: two seconds after the answer was noticed.
    ask4(c, OTHER_HOP4)
    until(c, 2_500_000)
    c.from_internet(arp_answer(NEW4, OTHER_HOP4)).consumed()
    ask4(c, NEXT_HOP4)  # 3.1 s.
    until(c, 4_000_000)
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), FIRST4))
    ask4(c, OTHER_HOP4)  # 4.6 s.
    until(c, 4_800_000)
    c.from_internet(arp_answer(NEW4, OTHER_HOP4)).consumed()
    ask4(c, NEXT_HOP4)  # 5.1 s: the third question without an answer.
    until(c, 6_000_000)


@case("N3", "A list: the second takes over when the first stops answering, and that is an alarm")
def list_fallback(c):
    first_falls_silent(c)
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEW4))
    c.alarms = [("next-hop-fallback", "external", NEXT_HOP4)]


@case("N3", "A list: the first takes over again as soon as it answers, and the alarm is over")
def list_return(c):
    first_falls_silent(c)
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEW4))
    c.from_internet(arp_answer(FIRST4), spacing=SOON).consumed()
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), FIRST4))


@case("N3", "A list: what the silent one says unasked follows its MAC address but is no answer")
def list_unasked(c):
    first_falls_silent(c)
    gratuitous = (Ether(src=NEXT_HOP4_MAC, dst="ff:ff:ff:ff:ff:ff")
                  / ARP(op=1, hwsrc=NEXT_HOP4_MAC, psrc=NEXT_HOP4, pdst=NEXT_HOP4))
    c.from_internet(gratuitous, spacing=SOON).consumed()
    c.from_b4(tunnel(outbound()), spacing=SOON).forwarded(to_internet(outbound(), NEW4))
    c.from_internet(arp_answer(NEXT_HOP4_MAC), spacing=SOON).consumed()
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEXT_HOP4_MAC))


@case("N3", "A list of which nobody answers: packets go where they last went, and that is an alarm")
def list_silent(c):
    listed4(c)
    c.from_internet(arp_answer(NEW4, OTHER_HOP4)).consumed()
    ask4(c, NEXT_HOP4)  # 1 s.
    ask4(c, OTHER_HOP4)  # 2.1 s.
    ask4(c, NEXT_HOP4)  # 3 s.
    ask4(c, OTHER_HOP4)  # 3.1 s.
    ask4(c, OTHER_HOP4)  # 5.1 s.
    until(c, 6_000_000)
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEW4))
    c.alarms = [("next-hop-unresolved", "external", f"{NEXT_HOP4}, {OTHER_HOP4}")]


@case("N3", "A list of one is a next hop; a MAC address for a replay stands for all of a list")
def list_given_mac(c):
    del c.external["next-hop-mac"], c.internal["next-hop-mac"]
    c.external["next-hop"] = [NEXT_HOP4, OTHER_HOP4]
    c.internal["next-hop"] = [NEXT_HOP6]
    mac = "02:00:00:00:55:55"
    c.arguments += ["--next-hop-mac", mac]
    c.from_internet(inbound()).forwarded(to_b4(inbound(), mac))
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), mac))


@case("N2 N3", "Link-local next hops are asked for from our link-local address, in lists too")
def list_link_local(c):
    del c.internal["next-hop-mac"]
    c.internal["next-hop"] = ["fe80::fe", OTHER_HOP6]
    ask6(c, "fe80::fe", src=LINK_LOCAL)
    ask6(c, OTHER_HOP6)
    c.from_b4(ndp_answer(NEW6, "fe80::fe")).consumed()
    c.from_internet(inbound()).forwarded(to_b4(inbound(), NEW6))


@case("N3", "Each next hop is asked for from our address on its network")
def asked_from_its_network(c):
    c.external["address"] = ["192.0.2.1/24", "203.0.113.130/25"]
    c.external["next-hop"] = ["203.0.113.129", NEXT_HOP4]
    del c.external["next-hop-mac"]
    ask4(c, "203.0.113.129", sender="203.0.113.130")
    ask4(c, NEXT_HOP4)
    c.from_internet(arp_answer(NEW4)).consumed()
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEW4))


@case("N3", "An answer that comes late ends the alarm")
def unresolved_then_answered(c):
    del c.external["next-hop-mac"]
    ask4(c)
    c.from_internet(who_has("192.0.2.99", "192.0.2.77")).ignored("arp")  # The time begins.
    for _ in range(2):
        ask4(c)  # 1 and 3 s.
    until(c, 3_500_000)
    c.from_internet(arp_answer(NEW4)).consumed()
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEW4))


@case("N3", "One that has answered is asked again after 20 seconds, though nothing is sent to it")
def refreshed(c):
    del c.external["next-hop-mac"]
    ask4(c)
    c.from_internet(arp_answer(NEW4)).consumed()
    for _ in range(3):
        ask4(c)  # 20.1, 21.1 and 23.1 s.
    until(c, 24_000_000)
    # A lone next hop that falls silent is still used, and that is an alarm.
    c.from_b4(tunnel(outbound())).forwarded(to_internet(outbound(), NEW4))
    c.alarms = [("next-hop-unresolved", "external", NEXT_HOP4)]


@case("N2 N3", "Unasked advertisements with override flag are followed; without the option they are none")
def unasked_override(c):
    unresolved(c)
    bare = ndp_answer(NEW6)
    bare[ICMPv6ND_NA].remove_payload()
    c.from_b4(bare).consumed()
    c.from_b4(ndp_answer(NEW6), spacing=SOON).consumed()
    c.from_b4(bare, spacing=SOON).consumed()
    c.from_internet(inbound(), spacing=SOON).forwarded(to_b4(inbound(), NEW6))
    c.from_b4(ndp_answer(FIRST6, solicited=0), spacing=SOON).consumed()
    c.from_internet(inbound(), spacing=SOON).forwarded(to_b4(inbound(), FIRST6))
