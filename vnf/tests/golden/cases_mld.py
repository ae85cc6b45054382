"""Multicast listener discovery: which groups we listen to (N2, RFC 3810). Answers come at random within
the time that is asked for; only their order is compared."""

import socket

from scapy.layers.inet6 import (ICMPv6MLDMultAddrRec, ICMPv6MLQuery, ICMPv6MLQuery2, ICMPv6MLReport,
                                ICMPv6MLReport2, IPv6, IPv6ExtHdrHopByHop, PadN, RouterAlert,
                                in6_chksum)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from case import INTERNAL as INTERNAL_SIDE, case
from world import BR1, INTERNAL, LINK_LOCAL, MAC6, NEXT_HOP6_MAC

ROUTER = "fe80::fe"
# The solicited-node groups of the internal and the link-local address; the BR addresses end alike.
GROUPS = ["ff02::1:ff00:1", "ff02::1:ff00:2"]
OTHER_GROUP = "ff02::1:ff99:9999"


def mac_of(group):
    """The MAC address of an IPv6 group (RFC 2464 section 7)."""
    return "33:33:" + ":".join(f"{b:02x}" for b in socket.inet_pton(socket.AF_INET6, group)[12:])


def query(group="::", delay=500, src=ROUTER, to=None, alert=True, hlim=1, sources=(), message=None):
    """A query of version 2."""
    to = to or ("ff02::1" if group == "::" else group)
    mac = mac_of(to) if to.startswith("ff") else MAC6
    packet = Ether(src=NEXT_HOP6_MAC, dst=mac) / IPv6(src=src, dst=to, hlim=hlim)
    if alert:
        packet = packet / IPv6ExtHdrHopByHop(nh=58, options=[RouterAlert()])
    if message is None:
        message = ICMPv6MLQuery2(mladdr=group, mrd=delay, sources=list(sources))
    return packet / message


def query1(group="::", delay=500):
    """A query of version 1."""
    return query(group, message=ICMPv6MLQuery(mladdr=group, mrd=delay))


def headers(to):
    """What stands in front of our reports."""
    return (Ether(src=MAC6, dst=mac_of(to)) / IPv6(src=LINK_LOCAL, dst=to, hlim=1)
            / IPv6ExtHdrHopByHop(options=[RouterAlert()]))


def report(*groups):
    """Our report of version 2: to these we listen, whatever the source."""
    records = [ICMPv6MLDMultAddrRec(rtype=2, dst=group) for group in groups]
    return headers("ff02::16") / ICMPv6MLReport2(records=records)


def report1(group):
    """Our report of version 1."""
    return headers(group) / ICMPv6MLReport(mladdr=group)


def reports(c, *packets):
    """These go out in the end."""
    for packet in packets:
        c.originates(INTERNAL_SIDE, packet)
    c.arguments += ["--until", str(c.clock / 1e6 + 2)]


@case("N2", "A general query is answered with every solicited-node group, each once")
def general(c):
    c.from_b4(query()).consumed()
    reports(c, report(*GROUPS))


@case("N2", "Each BR address has its group")
def br_groups(c):
    c.br_addresses = [BR1, "2001:db8:ff::ab:cdef"]
    c.softwires = c.softwires[:1]
    c.from_b4(query()).consumed()
    reports(c, report(*GROUPS, "ff02::1:ffab:cdef"))


@case("N2", "A query about one group of ours is answered with that group")
def specific(c):
    for group in GROUPS:
        c.from_b4(query(group, delay=0)).consumed()
        c.originates(INTERNAL_SIDE, report(group))
    c.arguments += ["--until", "1"]


@case("N2 P1", "Queries about groups of others are ignored, and about all nodes, which none reports")
def others(c):
    c.from_b4(query(OTHER_GROUP)).ignored("multicast")
    c.from_b4(query(OTHER_GROUP, to="ff02::1")).ignored("multicast")
    c.from_b4(query("ff02::1", to="ff02::1")).ignored("multicast")
    c.arguments += ["--until", "3"]


@case("N2", "A query about sources of a group of ours: we hear all of them")
def sources(c):
    c.from_b4(query(GROUPS[0], sources=["2001:db8:9::1", "2001:db8:9::2"])).consumed()
    reports(c, report(GROUPS[0]))


@case("N2", "A query to our own address counts as well (RFC 3810 section 5.1.15)")
def unicast(c):
    c.from_b4(query(to=INTERNAL)).consumed()
    reports(c, report(*GROUPS))


@case("N2", "One answer for several queries: about all groups, or the same group")
def merged(c):
    for _ in range(3):
        c.from_b4(query(), spacing=0).consumed()
    c.from_b4(query(GROUPS[1], delay=30_000), spacing=0).consumed()
    reports(c, report(*GROUPS))


@case("N2", "A query about all groups covers an earlier one about one of them")
def covered(c):
    c.from_b4(query(GROUPS[1], delay=30_000), spacing=0).consumed()
    c.from_b4(query(delay=0), spacing=0).consumed()
    reports(c, report(*GROUPS))


@case("N2", "A router of version 1 is answered in its version, group by group (RFC 2710)")
def version_1(c):
    c.from_b4(query1()).consumed()
    reports(c, *[report1(group) for group in GROUPS])


@case("N2", "The same about one group")
def version_1_specific(c):
    c.from_b4(query1(GROUPS[1])).consumed()
    c.from_b4(query1(OTHER_GROUP)).ignored("multicast")
    reports(c, report1(GROUPS[1]))


@case("N2 P1", "What RFC 3810 section 6.2 says not to answer")
def not_answered(c):
    for bad in (query(src="2001:db8:1::fe"), query(hlim=64), query(hlim=255), query(alert=False),
                query(to="ff02::2"), query(to="ff02::16")):
        c.from_b4(bad).ignored("multicast")
    other_alert = query()
    other_alert[IPv6ExtHdrHopByHop].options = [RouterAlert(value=1)]
    c.from_b4(other_alert).ignored("multicast")
    padding = query()
    padding[IPv6ExtHdrHopByHop].options = [PadN(optdata=b"\0\0\0\0")]
    c.from_b4(padding).ignored("multicast")
    damaged = query()
    damaged[ICMPv6MLQuery2].cksum = 1
    c.from_b4(damaged).ignored("multicast")
    c.arguments += ["--until", "5"]


@case("N2 P2", "A query that claims more sources than it has, or has a length of neither version")
def cut_short(c):
    whole = bytes(ICMPv6MLQuery2(mladdr="::", mrd=500, cksum=0))
    for size in (8, 20, 23, 25, 27):
        part = bytearray(whole[:size])
        sum6 = in6_chksum(58, IPv6(src=ROUTER, dst="ff02::1"), bytes(part))
        part[2:4] = sum6.to_bytes(2, "big")
        c.from_b4(query(message=Raw(bytes(part)))).ignored("multicast")
    claims = ICMPv6MLQuery2(mladdr="::", mrd=500, sources=[], sources_number=2)
    c.from_b4(query(message=claims)).ignored("multicast")
    c.arguments += ["--until", "3"]
