#!/usr/bin/env python3
"""How many softwires a second can be removed and added through the control socket?

One relay without traffic, a table of a million softwires, journal and history on. One client sends
requests of so many softwires each, waits for each answer, and puts back what it took.

    benches/edit_rate.py target/release/lwaftr [--seconds 3] [--softwires 1000000] [--batches 1000,100,1]
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


class Client:
    """A connection to the control socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.answers = self.socket.makefile("rb")

    def ask(self, request, **fields):
        message = json.dumps({"version": 1, "request": request, **fields})
        self.socket.sendall(message.encode() + b"\n")
        answer = json.loads(self.answers.readline())
        assert "ok" in answer, answer
        return answer["ok"]


def make(program, directory, softwires, keys=""):
    """Files of a relay; `keys` are further lines of [softwires]."""
    made = ["generate", "--flows", "1", "--softwires", str(softwires), "--out", directory]
    subprocess.run([program, *made], check=True, stdout=subprocess.DEVNULL)
    config = directory / "lwaftr.toml"
    text = config.read_text(encoding="utf-8").replace("[softwires]", f"[softwires]\n{keys}")
    name = f"edit-rate-{os.getpid()}"
    config.write_text(f'{text}\n[instance]\nname = "{name}"\ncontrol-socket = "{directory}/sock"\n')


def run(program, directory):
    config = directory / "lwaftr.toml"
    environment = dict(os.environ, STATE_DIRECTORY=str(directory / "state"))
    with open(directory / "log", "wb") as log:
        return subprocess.Popen([program, "run", config], stderr=log, env=environment)


def rows(directory):
    """The table as requests have it, far from in order."""
    lines = (directory / "softwires.csv").read_text().splitlines()[1:-1]
    columns = ("ipv4", "psid-offset", "psid-len", "psid", "b4-ipv6", "br-ipv6")
    for at in range(len(lines)):
        fields = lines[at * 7919 % len(lines)].split(",")
        yield {name: int(text) if name.startswith("psid") else text
               for name, text in zip(columns, fields)}


def measure(client, table, batch, seconds):
    """Softwires removed and added a second, each by requests of `batch`."""
    spent = {"softwire-del": 0.0, "softwire-add": 0.0}
    count = 0
    while sum(spent.values()) < seconds:
        some = [next(table) for _ in range(batch)]
        keys = [{"ipv4": row["ipv4"], "psid": row["psid"]} for row in some]
        for request, softwires in (("softwire-del", keys), ("softwire-add", some)):
            before = time.monotonic()
            client.ask(request, softwires=softwires)
            spent[request] += time.monotonic() - before
        count += batch
    return {request: count / time for request, time in spent.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--softwires", type=int, default=1_000_000)
    parser.add_argument("--batches", default="1000,100,1")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make(arguments.program.resolve(), directory, arguments.softwires)
        relay = run(arguments.program.resolve(), directory)
        try:
            deadline = time.monotonic() + 120
            while True:
                try:
                    client = Client(directory / "sock")
                    client.ask("ping")
                    break
                except OSError:
                    if relay.poll() is not None or time.monotonic() > deadline:
                        sys.exit((directory / "log").read_text())
                    time.sleep(0.1)
            table = rows(directory)
            for batch in map(int, arguments.batches.split(",")):
                rates = measure(client, table, batch, arguments.seconds)
                words = ", ".join(f"{rate:.0f} by {request}" for request, rate in rates.items())
                print(f"{batch} in each request: softwires a second: {words}")
        finally:
            relay.terminate()
            relay.wait()


if __name__ == "__main__":
    main()
