#!/usr/bin/env python3
"""What does load on the management API cost the workers?

One relay, one worker under traffic that never ends (net_pcap), a table of a million softwires. Windows
without load and windows with it take turns: 100 requests a second for statistics, the whole table
read page by page, a scrape of the metrics each second. What counts is frames per CPU-second of the
worker's thread, so that a machine with little to spare does not decide; the answer is the median of
the ratios of each window with load to those before and after it.

With --neighbour a program that has nothing to do with the relay is busy on the control side's CPU in
the windows without load: where two CPUs share a core, a cache or a host, that slows the worker, too.

    benches/api_load.py target/release/lwaftr [--seconds 3] [--windows 5] [--softwires 1000000]
                        [--neighbour]
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PAGE = 1000
# Reads pages like those of the table, over and over.
NEIGHBOUR = """
import json
page = json.dumps([{"ipv4": str(n), "port-set": {"psid": n}} for n in range(1000)])
while True:
    json.loads(page)
"""
NAME = f"api-load-{os.getpid()}"
INSTANCE = f"/restconf/data/ietf-softwire-br:br-instances/binding/bind-instance={NAME}"
TABLE = f"{INSTANCE}/binding-table/binding-entry"


def write_files(program, directory, softwires, port):
    """A generated table, and its traffic for ever on both sides."""
    made = ["generate", "--flows", "2048", "--softwires", str(softwires), "--out", directory]
    subprocess.run([program, *made], check=True, stdout=subprocess.DEVNULL)
    config = directory / "lwaftr.toml"
    text = config.read_text(encoding="utf-8")
    for number, side in enumerate(["external", "internal"]):
        old = f"net_null{number},no-rx=1"
        assert old in text, text
        text = text.replace(old, f"net_pcap{number},rx_pcap={directory}/{side}.pcap,infinite_rx=1")
    config.write_text(f"""{text}
[instance]
name = "{NAME}"
control-socket = "{directory}/sock"
[workers]
idle = "poll"
[api]
listen = "127.0.0.1:{port}"
socket = "{directory}/api.sock"
""", encoding="utf-8")


def worker(pid):
    """The worker's thread."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("worker-"):
            return int(task.name)
    sys.exit("the relay has no worker")


def worker_cpu(pid):
    """CPU seconds of the worker's thread, as the scheduler counts them."""
    schedstat = Path(f"/proc/{pid}/task/{worker(pid)}/schedstat")
    return int(schedstat.read_text().split()[0]) / 1e9


class Client:
    """A connection that stays."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


class Load:
    """What is asked of the API while `on`."""

    def __init__(self, port, pages):
        self.on = threading.Event()
        self.done = {"statistics": 0, "pages": 0, "scrapes": 0}
        works = [self.paced("statistics", "/api/stats", 0.01), self.paced("scrapes", "/metrics", 1.0)]
        if pages:
            works.append(self.pages)
        for work in works:
            threading.Thread(target=work, args=(Client(port),), daemon=True).start()

    def paced(self, name, path, period):
        def work(client):
            due = time.monotonic()
            while True:
                self.on.wait()
                due = max(due + period, time.monotonic() - 0.1)
                time.sleep(max(0, due - time.monotonic()))
                if not self.on.is_set():
                    continue
                status, _ = client.get(path)
                assert status == 200, (path, status)
                self.done[name] += 1
        return work

    def pages(self, client):
        after = ""
        while True:
            self.on.wait()
            after = page_after(client, after)[0] or ""
            self.done["pages"] += 1


def page_after(client, after):
    """Reads a page; returns what asks for the next one, or nothing after the last."""
    status, body = client.get(f"{TABLE}?limit={PAGE}{after}")
    entries = json.loads(body)["ietf-softwire-br:binding-entry"] if status == 200 else []
    if len(entries) < PAGE:
        return None, len(entries)
    last = entries[-1]
    return f"&after={last['binding-ipv4-addr']},{last['port-set']['psid']}", len(entries)


def read_table(client):
    """Reads the whole table page by page: entries, seconds, and what the last tenth of the pages took
    of what the first tenth did."""
    after, read, times = "", 0, []
    while after is not None:
        start = time.monotonic()
        after, entries = page_after(client, after)
        times.append(time.monotonic() - start)
        read += entries
    tenth = max(1, len(times) // 10)
    return read, sum(times), sum(times[-tenth:]) / sum(times[:tenth])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--softwires", type=int, default=1_000_000)
    parser.add_argument("--neighbour", action="store_true", help="a busy program instead of silence")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        write_files(arguments.program.resolve(), directory, arguments.softwires, port)
        environment = dict(os.environ, STATE_DIRECTORY=str(directory / "state"))
        command = [arguments.program.resolve(), "run", directory / "lwaftr.toml"]
        with open(directory / "log", "wb") as log:
            relay = subprocess.Popen(command, stderr=log, env=environment)
        try:
            measure(arguments, relay, port, directory)
        finally:
            relay.terminate()
            relay.wait()


def measure(arguments, relay, port, directory):
    deadline = time.monotonic() + 120
    while True:
        try:
            status, _ = Client(port).get("/api/status")
            break
        except OSError:
            if relay.poll() is not None or time.monotonic() > deadline:
                sys.exit((directory / "log").read_text())
            time.sleep(0.1)
    # Clients share the control side's CPUs, as on a relay that is operated from elsewhere they
    # would have none of the workers'.
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus - os.sched_getaffinity(worker(relay.pid)) or cpus)
    client = Client(port)
    pages, _ = client.get(f"{TABLE}?limit=1")
    load = Load(port, pages == 200)

    def window(busy):
        neighbour = None
        if busy:
            load.on.set()
        elif arguments.neighbour:
            neighbour = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])
        time.sleep(0.3)
        before, frames = worker_cpu(relay.pid), forwarded(client)
        time.sleep(arguments.seconds)
        after, more = worker_cpu(relay.pid), forwarded(client)
        load.on.clear()
        if neighbour:
            neighbour.kill()
            neighbour.wait()
        time.sleep(0.1)
        return (more - frames) / (after - before)

    if pages == 200:
        read, seconds, growth = read_table(client)
        print(f"the table page by page, {PAGE} a page: {read} entries in {seconds:.1f} s, "
              f"the last tenth of the pages takes {growth:.2f} of the time of the first")
    window(False)
    rates = {False: [], True: []}
    for _ in range(arguments.windows):
        for busy in (False, True):
            rates[busy].append(window(busy))
    rates[False].append(window(False))
    quiet, loaded = (statistics.median(rates[busy]) for busy in (False, True))
    # What else runs here comes and goes: each window is compared with those around it.
    around = [(before + after) / 2 for before, after in zip(rates[False], rates[False][1:])]
    ratios = [busy / idle for busy, idle in zip(rates[True], around)]
    seconds = arguments.windows * (arguments.seconds + 0.3)
    done = {name: round(count / seconds, 1) for name, count in load.done.items()}
    print(f"per CPU-second of the worker: {quiet / 1e6:.3f} Mpps without load, {loaded / 1e6:.3f} with")
    print(f"load, a second: {done}" + ("" if pages == 200 else "; the table was not read: no RESTCONF"))
    print(f"ratio {statistics.median(ratios):.4f}, each window against those around it: "
          f"{min(ratios):.3f} to {max(ratios):.3f}")


def forwarded(client):
    _, body = client.get("/api/stats")
    sides = json.loads(body)["interfaces"].values()
    return sum(side["forwarded-packets"] + side["hairpinned-packets"] for side in sides)


if __name__ == "__main__":
    main()
