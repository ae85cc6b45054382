#!/usr/bin/env python3
"""How long do a start and a reload take with a large table, and what does the history cost of that?

One relay without traffic, on ports of DPDK's that have no device. Seconds until the control socket
answers, or until `reload` has its answer; with the history of bindings (softwires.retention) and
without. A first start writes a copy of the table; later ones compare with it.

    benches/start_time.py target/release/lwaftr [--softwires 1000000]
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from edit_rate import Client, make, run


def answers(relay, directory):
    """Waits for an answer."""
    deadline = time.monotonic() + 120
    while True:
        try:
            client = Client(directory / "sock")
            client.ask("ping")
            return client
        except OSError:
            if relay.poll() is not None or time.monotonic() > deadline:
                sys.exit((directory / "log").read_text())
            time.sleep(0.005)


def timed(work):
    begin = time.monotonic()
    result = work()
    return time.monotonic() - begin, result


def change(table):
    """Gives the last softwire of the file, which has no trailer then, to another B4."""
    lines = table.read_text().splitlines()[:-1]
    columns = lines[-1].split(",")
    columns[4] = "2001:db8:ffff:ffff::1"
    table.write_text("\n".join(lines[:-1] + [",".join(columns)]) + "\n")


def measure(program, directory, softwires, retention):
    directory.mkdir()
    make(program, directory, softwires, f"retention = {retention}")
    for start in ("first start", "second start"):
        begin = time.monotonic()
        relay = run(program, directory)
        try:
            client = answers(relay, directory)
            print(f"retention = {retention}: {start}: {time.monotonic() - begin:.2f} s")
            if start == "second start":
                same, _ = timed(lambda: client.ask("reload"))
                change(directory / "softwires.csv")
                other, _ = timed(lambda: client.ask("reload"))
                print(f"retention = {retention}: reload: {same:.2f} s, with a change {other:.2f} s")
        finally:
            relay.terminate()
            relay.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--softwires", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for retention in (0, 30):
            directory = Path(name) / str(retention)
            measure(arguments.program.resolve(), directory, arguments.softwires, retention)


if __name__ == "__main__":
    main()
