"""A golden case: frames that arrive, what must become of each, and the files that say so.

A case is a function decorated with `@case(...)`. It is given a `Case`, changes its configuration
where it needs to and lists frames in the order they arrive:

    @case("E1 E3", "A UDP datagram is encapsulated")
    def udp(c):
        c.from_internet(packet).forwarded(expected)

Counters are not written by hand: they follow from the fate of each frame by the identity of A1.
Every case is written out once per wiring (two ports, VLANs, one port), unless it names fewer.
"""

import json
import struct
from pathlib import Path

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

import world

CASES = []
WIRINGS = {
    "two-ports": dict(ports=("net_null0", "net_null1"), vlans=(None, None)),
    "two-ports-vlans": dict(ports=("net_null0", "net_null1"), vlans=(10, 20)),
    "one-port": dict(ports=("net_null0", "net_null0"), vlans=(None, None)),
    "one-port-vlans": dict(ports=("net_null0", "net_null0"), vlans=(10, 20)),
}
EXTERNAL, INTERNAL = 0, 1
SIDES = ("external", "internal")
START = 1_000_000  # Seconds since 1970 of the first frame.
SPACING = 250_000  # Microseconds between frames: slow enough for every rate limit (I6).


def case(numbers, description, wirings=tuple(WIRINGS)):
    """Registers a function as a case that proves these numbers of docs/behaviour.md."""

    def register(function):
        theme = function.__module__.removeprefix("cases_")
        CASES.append((theme, function.__name__, numbers.split(), description, wirings, function))
        return function

    return register


class Frame:
    """One frame that arrives, and its fate."""

    def __init__(self, side, data, time):
        self.side, self.data, self.time = side, data, time
        self.fate, self.reason, self.sent = None, None, []
        self.whole = None  # What fragments became, if this is no frame that arrives.

    def _ends(self, fate, *sent):
        assert self.fate is None, "a frame has one fate"
        self.fate, self.sent = fate, [(side, kind, to_wire(side, p)) for side, kind, p in sent]

    def forwarded(self, *pieces, after=None):
        """Leaves on the other interface, perhaps in several pieces; perhaps not at once, but after
        what another frame, which came later, gives rise to."""
        self._ends("forwarded-packets", *self._in_pieces(1 - self.side, pieces))
        self._waits(after)

    def hairpinned(self, *pieces, after=None):
        """Leaves on the interface it came from, to another B4, likewise."""
        self._ends("hairpinned-packets", *self._in_pieces(self.side, pieces))
        self._waits(after)

    def absorbed(self):
        """Becomes part of the packet that `Case.reassembled` says."""
        self._ends("absorbed-packets")

    def held(self):
        """Still waits when all is over."""
        self._ends("held-packets")

    def _waits(self, after):
        if after is not None:
            after.sent, self.sent = after.sent + self.sent, []

    @staticmethod
    def _in_pieces(side, pieces):
        """The first piece is the packet, the others are extra (A1)."""
        kinds = [None] + ["extra-fragments"] * (len(pieces) - 1)
        return [(side, kind, piece) for kind, piece in zip(kinds, pieces)]

    def answered(self, packet):
        """Is answered on the interface it came from."""
        self._ends("answered-packets", (self.side, None, packet))

    def consumed(self, report=None, report_side=None):
        """Was for the relay itself, which has nothing to say to its sender; `report` is what it
        tells somebody else (on the other side unless said)."""
        side = 1 - self.side if report_side is None else report_side
        self._ends("consumed-packets",
                   *([] if report is None else [(side, "originated-packets", report)]))

    def conflicting(self):
        """Shows that another station has an address of ours: an alarm, and a counter."""
        self._ends("conflict")

    def ignored(self, reason):
        """Is other people's business."""
        self.reason = reason
        self._ends("ignored-packets")

    def dropped(self, reason, error=None, error_side=None):
        """Is dropped; `error` is the ICMP error that goes back (on the same side unless said)."""
        self.reason = reason
        side = self.side if error_side is None else error_side
        self._ends("drops", *([] if error is None else [(side, "originated-packets", error)]))

    def suppressed(self, reason):
        """Is dropped, and a rate limit holds back the error about it (I6)."""
        self.dropped(reason)
        self.fate = "drops-suppressed"


class Case:
    """What one case is made of."""

    def __init__(self):
        self.external = {"address": world.EXTERNAL_NET, "next-hop": world.NEXT_HOP4,
                         "next-hop-mac": world.NEXT_HOP4_MAC}
        self.internal = {"address": world.INTERNAL_NET, "next-hop": world.NEXT_HOP6,
                         "next-hop-mac": world.NEXT_HOP6_MAC}
        self.br_addresses = [world.BR1, world.BR2]
        self.policy = {"flow-label": 0}
        self.fragments = {}
        self.softwires = list(world.SOFTWIRES)
        self.table_keys = {}  # Further keys of [softwires].
        self.table_file = None  # Text of a CSV table, instead of inline softwires.
        self.arguments = []
        self.alarms = []  # Those that are raised in the end: (name, side, about).
        self.frames = []
        self.clock = 0

    def wait(self, microseconds):
        """Lets the next frame arrive that much later than it would."""
        self.clock += microseconds

    def from_internet(self, packet, spacing=SPACING):
        """A packet, frame or bytes that arrive on the external side."""
        return self._arrives(EXTERNAL, packet, spacing)

    def from_b4(self, packet, spacing=SPACING):
        """A packet, frame or bytes that arrive on the internal side."""
        return self._arrives(INTERNAL, packet, spacing)

    def reassembled(self, packet):
        """The packet from a B4 that fragments before this were put together to, and its fate."""
        frame = Frame(INTERNAL, None, self.clock)
        frame.whole = from_wire(INTERNAL, packet)
        self.frames.append(frame)
        return frame

    def originates(self, side, packet):
        """What the relay sends at this moment without having received anything."""
        frame = Frame(side, None, self.clock)
        frame._ends("originated", (side, "originated-packets", packet))
        self.frames.append(frame)

    def _arrives(self, side, packet, spacing):
        frame = Frame(side, from_wire(side, packet), self.clock)
        self.clock += spacing
        self.frames.append(frame)
        return frame


def from_wire(side, packet):
    """The bytes of what arrives: an IP packet comes from the next hop to the relay's MAC."""
    if isinstance(packet, (bytes, Ether)):
        return bytes(packet)
    return bytes(Ether(src=world.NEXT_HOP_MACS[side], dst=world.RELAY_MACS[side]) / packet)


def to_wire(side, packet):
    """The bytes of what leaves: an IP packet goes from the relay's MAC to the next hop."""
    if isinstance(packet, (bytes, Ether)):
        return bytes(packet)
    return bytes(Ether(src=world.RELAY_MACS[side], dst=world.NEXT_HOP_MACS[side]) / packet)


def tagged(data, vlan):
    """The frame with an 802.1Q tag of priority 0 behind its MAC addresses."""
    if vlan is None:
        return data
    return data[:12] + struct.pack("!HH", 0x8100, vlan) + data[12:]


def counters(frames, vlans):
    """Every counter that is not zero, from the fates (A1)."""
    totals = [{"drops": {}, "ignored": {}} for _ in SIDES]

    def add(side, key, n):
        totals[side][key] = totals[side].get(key, 0) + n

    def add_reason(side, kind, reason, size):
        entry = totals[side][kind].setdefault(reason, {"packets": 0, "bytes": 0})
        entry["packets"] += 1
        entry["bytes"] += size

    def count_fate(frame):
        size = len(tagged(frame.data or frame.whole, vlans[frame.side]))
        if frame.data is None:
            add(frame.side, "reassembled-packets", 1)
        else:
            add(frame.side, "in-packets", 1)
            add(frame.side, "in-bytes", size)
        if frame.fate == "conflict":
            add(frame.side, "consumed-packets", 1)
            add(frame.side, "address-conflicts", 1)
        elif frame.fate.startswith("drops"):
            add_reason(frame.side, "drops", frame.reason, size)
            if frame.fate == "drops-suppressed":
                add(frame.side, "suppressed-errors", 1)
        else:
            add(frame.side, frame.fate, 1)
            if frame.fate in ("absorbed-packets", "hairpinned-packets"):
                add(frame.side, frame.fate.replace("packets", "bytes"), size)
            if frame.fate == "ignored-packets":
                add_reason(frame.side, "ignored", frame.reason, size)

    for frame in frames:
        assert frame.fate, "a frame without a fate"
        if frame.data is not None or frame.whole is not None:
            count_fate(frame)
        for side, kind, data in frame.sent:
            add(side, "out-packets", 1)
            add(side, "out-bytes", len(tagged(data, vlans[side])))
            if kind:
                add(side, kind, 1)
            error = icmp_error(data) if kind == "originated-packets" else None
            if error:
                add(side, f"{error}-error-packets", 1)
                add(side, f"{error}-error-bytes", len(tagged(data, vlans[side])))
    return {"interfaces": dict(zip(SIDES, totals))}


def icmp_error(data):
    """Which kind of ICMP error a frame without a tag is, if it is one; perhaps in a tunnel."""
    packet = Ether(data).payload
    if isinstance(packet, IPv6) and isinstance(packet.payload, IP):
        packet = packet.payload
    body = bytes(packet.payload)
    if isinstance(packet, IP):
        return "icmpv4" if packet.proto == 1 and body[0] in (3, 11, 12) else None
    return "icmpv6" if isinstance(packet, IPv6) and packet.nh == 58 and body[0] < 128 else None


def write_pcap(path, records):
    """A classic little-endian Ethernet pcap with microseconds; records are (time, bytes)."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for time, data in records:
            seconds, micros = divmod(time, 1_000_000)
            file.write(struct.pack("<IIII", START + seconds, micros, len(data), len(data)) + data)


def toml_value(value):
    """A TOML literal; JSON's strings, numbers, booleans and arrays are TOML's too."""
    return json.dumps(value)


def toml(c, wiring):
    """The configuration of a case under one wiring."""
    lines = []

    def table(header, entries):
        lines.append(header)
        lines.extend(f"{key} = {toml_value(value)}" for key, value in entries.items())
        lines.append("")

    for side, entries in enumerate((c.external, c.internal)):
        link = {"port": wiring["ports"][side]}
        if wiring["vlans"][side] is not None:
            link["vlan"] = wiring["vlans"][side]
        table(f"[{SIDES[side]}]", link | entries)
    file = {"file": "table.csv"} if c.table_file is not None else {}
    table("[softwires]", file | {"br-addresses": c.br_addresses} | c.table_keys)
    if c.table_file is None:
        for softwire in c.softwires:
            table("[[softwire]]", softwire)
    table("[policy]", c.policy)
    if c.fragments:
        table("[fragments]", c.fragments)
    return "\n".join(lines)


def write(c, directory, wiring_name, header):
    """Writes the files of one case under one wiring."""
    wiring = WIRINGS[wiring_name]
    vlans = wiring["vlans"]
    directory.mkdir(parents=True)
    (directory / "lwaftr.toml").write_text(toml(c, wiring))
    if c.table_file is not None:
        (directory / "table.csv").write_text(c.table_file)
    for side, name in enumerate(SIDES):
        came = [(f.time, tagged(f.data, vlans[side]))
                for f in c.frames if f.side == side and f.data is not None]
        left = [(f.time, tagged(data, vlans[side]))
                for f in c.frames for to, _, data in f.sent if to == side]
        write_pcap(directory / f"{name}-in.pcap", came)
        write_pcap(directory / f"{name}-out.pcap", left)
    alarms = [dict(zip(("name", "side", "about"), alarm)) for alarm in c.alarms]
    stats = counters(c.frames, vlans) | {"alarms": alarms}
    (directory / "counters.json").write_text(json.dumps(stats, indent=1))
    (directory / "case.json").write_text(json.dumps(header | {"arguments": c.arguments}, indent=1))


def write_all(root):
    """Writes every case; returns how many directories that made."""
    written = 0
    for theme, name, numbers, description, wirings, function in CASES:
        c = Case()
        function(c)
        for wiring in wirings:
            header = {"name": f"{theme}/{name}", "numbers": numbers, "description": description,
                      "wiring": wiring}
            write(c, Path(root) / theme / name / wiring, wiring, header)
            written += 1
    return written
