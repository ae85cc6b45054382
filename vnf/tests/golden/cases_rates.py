"""Token buckets (I6): a second's worth at once, then as they refill."""

from case import case
from world import (EXTERNAL, HOST, PORT_12, SHARED, aged, echo, echo_reply, encapsulated,
                   icmp_error, inbound, outbound, tunnel, unreachable6)

NOBODY = "198.51.100.77"
PLENTY = 1_000_000
SECOND = 1_000_000


def hosts(count):
    """Sources that differ, so that the limit per destination does not matter."""
    return [f"203.0.{100 + i // 250}.{1 + i % 250}" for i in range(count)]


def burst(c, count, allowed, packet_of, reason, error_of):
    """`count` frames at one instant: the first `allowed` get an error, the others none."""
    for i, source in enumerate(hosts(count)):
        packet = packet_of(source)
        frame = c.from_internet(packet, spacing=0)
        if i < allowed:
            frame.dropped(reason, error_of(packet))
        else:
            frame.suppressed(reason)


def unreachable(packet):
    """What E7 answers."""
    return icmp_error(packet, 3, 1)


@case("I6", "Other ICMPv4 errors: 100 a second, and half a second later 50 more")
def icmpv4_errors(c):
    c.policy["per-destination-rate"] = PLENTY
    for allowed in (100, 50):
        burst(c, 120, allowed, lambda host: inbound(NOBODY, src=host), "no-softwire", unreachable)
        c.wait(SECOND // 2)


@case("I6", "The rate is a key; the bucket does not save up more than a second")
def icmpv4_error_rate(c):
    c.policy |= {"per-destination-rate": PLENTY, "icmpv4-error-rate": 5}
    for _ in range(3):
        burst(c, 9, 5, lambda host: inbound(NOBODY, src=host), "no-softwire", unreachable)
        c.wait(60 * SECOND)


@case("I6", "0 = never")
def never(c):
    c.policy |= {"icmpv4-error-rate": 0, "too-big-rate": 0, "time-exceeded-rate": 0,
                 "icmpv6-rate": 0, "echo-rate": 0}
    c.from_internet(inbound(NOBODY)).suppressed("no-softwire")
    c.from_internet(inbound(size=1460, flags="DF")).suppressed("too-big")
    c.from_internet(inbound(ttl=1)).suppressed("ttl-expired")
    c.from_b4(tunnel(outbound(NOBODY))).suppressed("source-no-softwire")
    c.from_internet(echo(HOST, EXTERNAL)).dropped("rate-limited")


@case("I6", "Classes do not share: a flood of one leaves the others alone")
def classes_apart(c):
    c.policy |= {"per-destination-rate": PLENTY, "icmpv4-error-rate": 3}
    burst(c, 6, 3, lambda host: inbound(NOBODY, src=host), "no-softwire", unreachable)
    packet = inbound(ttl=1)
    c.from_internet(packet, spacing=0).dropped("ttl-expired", icmp_error(packet, 11, 0))
    packet = inbound(size=1460, flags="DF")
    c.from_internet(packet, spacing=0).dropped("too-big", icmp_error(packet, 3, 4, mtu=1460))
    packet = tunnel(outbound(NOBODY))
    c.from_b4(packet, spacing=0).dropped("source-no-softwire", unreachable6(packet, 5))
    c.from_internet(echo(HOST, EXTERNAL)).answered(echo_reply(echo(HOST, EXTERNAL)))


@case("I6", "Time exceeded: its own rate")
def time_exceeded(c):
    c.policy |= {"per-destination-rate": PLENTY, "time-exceeded-rate": 7}
    burst(c, 12, 7, lambda host: inbound(ttl=1, src=host), "ttl-expired",
          lambda packet: icmp_error(packet, 11, 0))


@case("I6", "Too big: its own rate")
def too_big(c):
    c.policy |= {"per-destination-rate": PLENTY, "too-big-rate": 7}
    burst(c, 12, 7, lambda host: inbound(size=1460, flags="DF", src=host), "too-big",
          lambda packet: icmp_error(packet, 3, 4, mtu=1460))


@case("I6", "Ten a second to one destination by default; others are not silenced by it")
def per_destination(c):
    for i in range(25):
        packet = inbound(NOBODY, port=i)
        frame = c.from_internet(packet, spacing=0)
        if i < 10:
            frame.dropped("no-softwire", unreachable(packet))
        else:
            frame.suppressed("no-softwire")
    packet = inbound(NOBODY, src="203.0.113.200")
    c.from_internet(packet).dropped("no-softwire", unreachable(packet))


@case("I6", "ICMPv6 errors: 10 a second to each sender")
def icmpv6_per_destination(c):
    for i in range(15):
        packet = tunnel(outbound(NOBODY, i))
        frame = c.from_b4(packet, spacing=0)
        if i < 10:
            frame.dropped("source-no-softwire", unreachable6(packet, 5))
        else:
            frame.suppressed("source-no-softwire")


@case("I6", "ICMPv6 errors: a rate for all together")
def icmpv6_errors(c):
    c.policy |= {"icmpv6-rate": 20, "per-destination-rate": PLENTY}
    for i in range(30):
        packet = tunnel(outbound(NOBODY), src=f"2001:db8:bad::{i + 1:x}")
        frame = c.from_b4(packet, spacing=0)
        if i < 20:
            frame.dropped("source-no-softwire", unreachable6(packet, 5))
        else:
            frame.suppressed("source-no-softwire")


@case("I6", "Echo replies: what is over the rate is dropped")
def echo_replies(c):
    c.policy["echo-rate"] = 4
    for i, host in enumerate(hosts(7)):
        request = echo(host, EXTERNAL)
        frame = c.from_internet(request, spacing=0)
        if i < 4:
            frame.answered(echo_reply(request))
        else:
            frame.dropped("rate-limited")


@case("I1 I6", "icmpv4-rate limits what the Internet sends in, not what else it sends")
def incoming_icmp(c):
    c.policy["icmpv4-rate"] = 3
    for i in range(6):
        packet = echo(HOST, SHARED, PORT_12, sequence=i)
        frame = c.from_internet(packet, spacing=0)
        if i < 3:
            frame.forwarded(encapsulated(aged(packet)))
        else:
            frame.dropped("rate-limited")
    c.from_internet(inbound()).forwarded(encapsulated(aged(inbound())))
    c.from_b4(tunnel(echo(SHARED, HOST))).forwarded(aged(echo(SHARED, HOST)))
