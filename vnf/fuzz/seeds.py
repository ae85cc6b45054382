#!/usr/bin/python3
"""Writes what the fuzzers start from: `seeds.py GOLDEN CORPUS`.

GOLDEN is a directory of golden cases (`GOLDEN_DIR=DIR cargo nextest run -p vnf --test golden`
leaves them in DIR/golden). CORPUS gets a directory per target: of some golden cases the first short
frame of each side, the case as a whole as a sequence, its configuration and its table; and the
requests of the control socket.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

# The configurations (vnf/fuzz/src/targets/world.rs) that are wired like the golden cases are.
VARIANTS = {"two-ports": [0, 4, 5, 6, 7], "two-ports-vlans": [1, 8], "one-port": [2],
            "one-port-vlans": [3]}
MEND = 0x80
LONGEST_FRAME, LONGEST_SEQUENCE = 700, 2500
MOST = 38

ROW = '"ipv4":"203.0.113.7","psid-offset":6,"psid-len":6'
REQUESTS = [
    '"ping"', '"status"', '"stats"', '"latency"', '"latency","full":true', '"hdr"', '"reload"',
    '"reload","dry-run":true,"force":false,"discard-edits":true', '"softwire-list"',
    '"softwire-add","softwires":[{%s,"psid":9,"b4-ipv6":"2001:db8:0:209::1"}]' % ROW,
    '"softwire-add","replace":true,"csv":"203.0.113.7,6,6,0,2001:db8:0:20a::1\\n"',
    '"softwire-del","softwires":[{"ipv4":"203.0.113.7","psid":0}]',
    '"softwire-del","csv":"203.0.113.7,6,6,0\\n"',
    '"softwire-show","ipv4":"203.0.113.7","psid":0',
    '"softwire-lookup","ipv4":"203.0.113.7","port":1024',
    '"softwire-lookup","b4":"2001:db8:0:200::1"',
    '"capture","drops":true,"reasons":["no-softwire"],"direction":"to-b4","seconds":1,'
    '"snap-length":96,"count":3',
    '"capture","softwire":{"ipv4":"203.0.113.7","port":1024},"seconds":1,"snap-length":65535',
    '"capture","softwire":{"b4":"2001:db8:0:200::1"},"seconds":86400,"snap-length":14',
]


def frames(path):
    """The frames of a classic pcap with their times in microseconds."""
    data, at = path.read_bytes(), 24
    while at < len(data):
        seconds, micros, size = struct.unpack_from("<III", data, at)
        yield seconds * 1_000_000 + micros, data[at + 16:at + 16 + size]
        at += 16 + size


def step(micros):
    """The code of a pause: see `step` in frames.rs."""
    return 0 if micros < 1000 else min(15, (micros // 1000).bit_length())


def sequence(variant, case):
    """All frames of a case, in order."""
    came = [(time, side, frame) for side, name in enumerate(("external", "internal"))
            for time, frame in frames(case / f"{name}-in.pcap")]
    out, last = bytes([variant | MEND]), None
    for time, side, frame in sorted(came):
        pause = 0 if last is None else step(time - last)
        out += bytes([pause << 1 | side]) + struct.pack("!H", len(frame)) + frame
        last = time
    return out


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    golden, corpus = map(Path, sys.argv[1:])
    seeds = {target: [] for target in
             ("frame_external", "frame_internal", "fragments", "config", "table_file", "control")}
    cases = sorted(golden.glob("*/*/*/case.json"))
    for number, header in enumerate(cases):
        case, wiring = header.parent, json.loads(header.read_text())["wiring"]
        # Wirings in turn: one case in four; and of each wiring, its configurations in turn.
        if number % 4 != (number // 4) % 4:
            continue
        variant = VARIANTS[wiring][number // 16 % len(VARIANTS[wiring])]
        for side in ("external", "internal"):
            short = [f for _, f in frames(case / f"{side}-in.pcap") if len(f) <= LONGEST_FRAME]
            if short:
                seeds[f"frame_{side}"].append(bytes([variant | MEND]) + short[0])
        if number % 3 == 0:
            seeds["config"].append((case / "lwaftr.toml").read_bytes())
        whole = sequence(variant, case)
        if len(whole) <= LONGEST_SEQUENCE:
            seeds["fragments"].append(whole)
    repository = Path(__file__).parent.parent.parent
    manual = (repository / "configs/lwaftr.toml").read_text()
    seeds["config"] += [manual.encode(), manual.replace("# ", "").encode()]
    seeds["config"] = sorted(set(seeds["config"]), key=len)
    rows = (repository / "configs/softwires.csv").read_bytes()
    seeds["table_file"] += [rows, rows.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + rows] + sorted(
        {path.read_bytes() for path in golden.glob("*/*/two-ports/table.csv")})
    seeds["table_file"] += [line + b"\n" for line in rows.splitlines() if line][:8]
    lines = [b'{"version":1,"request":%s}\n' % request.encode() for request in REQUESTS]
    seeds["control"] += lines + [b"".join(lines), lines[0][:-1], b"\n"]
    for target, inputs in seeds.items():
        directory = corpus / target
        directory.mkdir(parents=True, exist_ok=True)
        for data in inputs[::max(1, -(-len(inputs) // MOST))]:
            (directory / hashlib.sha1(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    main()
