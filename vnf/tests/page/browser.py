#!/usr/bin/env python3
"""The status page in a real browser: a relay with traffic, headless Chromium, and what a person does.

Loads the page, sees the figures move, searches for the owner of a port, looks at it on a phone and in
the dark, stops the relay and starts it again. Needs chromium and chromium-driver, and root for DPDK.

    browser.py LWAFTR [DIRECTORY-FOR-SCREENSHOTS]
"""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Relay:
    """An instance whose ports receive the same captures again and again."""

    def __init__(self, program, directory):
        self.program, self.directory, self.process = program, Path(directory), None
        self.port = free_port()
        subprocess.run(
            [program, "generate", "--softwires", "200", "--flows", "2000", "--frame-size", "imix",
             "--out", directory], check=True, stdout=subprocess.DEVNULL)
        table = self.directory / "softwires.csv"
        lines = table.read_text().splitlines()
        self.owned = lines[1].split(",")[0]
        # Their packets are dropped, both ways.
        table.write_text("\n".join(lines[:-20]) + "\n")
        config = self.directory / "lwaftr.toml"
        text = config.read_text()
        for side, number in (("external", 0), ("internal", 1)):
            text = text.replace(
                f'"net_null{number},no-rx=1"',
                f'"net_pcap{number},rx_pcap={directory}/{side}.pcap,infinite_rx=1"')
        config.write_text(
            text + f'\n[instance]\nname = "page"\ncontrol-socket = "{directory}/sock"\n'
            f'[api]\nlisten = "127.0.0.1:{self.port}"\nloopback-role = "inspect"\n')

    def start(self):
        log = open(self.directory / "log", "ab")
        env = dict(os.environ, STATE_DIRECTORY=str(self.directory / "state"))
        self.process = subprocess.Popen(
            [self.program, "run", str(self.directory / "lwaftr.toml")], stderr=log, env=env)
        wait("the relay answers", lambda: self.lwaftr("status").returncode == 0, self.alive)

    def alive(self):
        if self.process.poll() is not None:
            raise AssertionError((self.directory / "log").read_text())

    def lwaftr(self, *arguments):
        return subprocess.run(
            [self.program, *arguments, "--socket", str(self.directory / "sock")],
            capture_output=True, text=True, check=False)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)


class Browser:
    """Chromium, by WebDriver."""

    def __init__(self, directory):
        self.port = free_port()
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.session = None
        wait("chromedriver answers", self.is_ready)
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--window-size=1180,900", f"--user-data-dir={directory}/profile"]
        wanted = {"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = answer["sessionId"]

    def is_ready(self):
        try:
            return self.ask("GET", "/status", None)["ready"]
        except urllib.error.URLError:
            return False

    def ask(self, method, path, body):
        base = f"http://127.0.0.1:{self.port}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(base + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def do(self, path, **body):
        return self.ask("POST", f"/session/{self.session}/{path}", body)

    def run(self, script, *arguments):
        return self.do("execute/sync", script=script, args=list(arguments))

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def devtools(self, command, **parameters):
        return self.do("goog/cdp/execute", cmd=command, params=parameters)

    def type(self, selector, text):
        found = self.do("element", using="css selector", value=selector)
        element = next(iter(found.values()))
        self.do(f"element/{element}/clear")
        self.do(f"element/{element}/value", text=text)

    def search(self, question, answer):
        """Asks who owns something; once more when the page has waited in vain: the machine may be busy."""
        self.type("#what", question)
        deadline = time.monotonic() + PATIENCE
        while True:
            self.run("document.querySelector('#found').replaceChildren();"
                     "document.querySelector('#search button').click()")
            found = wait(f"an answer to {question}", lambda: self.text("#found"))
            if answer in found:
                return
            busy = found == "The relay does not answer." and time.monotonic() < deadline
            assert busy, f"{question}: {found}"

    def screenshot(self, path, whole=True):
        parameters = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.run("return [document.documentElement.scrollWidth,"
                            " document.documentElement.scrollHeight]")
            parameters["clip"] = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        image = self.devtools("Page.captureScreenshot", **parameters)["data"]
        Path(path).write_bytes(base64.b64decode(image))

    def complaints(self):
        entries = self.do("se/log", type="browser")
        return [entry["message"] for entry in entries]

    def stop(self):
        try:
            if self.session:
                self.ask("DELETE", f"/session/{self.session}", None)
        finally:
            self.driver.terminate()
            self.driver.wait(PATIENCE)


def wait(what, is_so, check=lambda: None):
    deadline = time.monotonic() + PATIENCE
    while True:
        found = is_so()
        if found:
            return found
        check()
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.2)


def expect(what, is_so):
    assert is_so, what
    print(f"ok: {what}")


def try_page(relay, browser, shots):
    browser.do("url", url=f"http://127.0.0.1:{relay.port}/")
    wait("figures", lambda: "bit/s" in browser.text("#to-b4 [data-is=bits]"), relay.alive)
    expect("the page has the instance's name", browser.text("h1") == "page")
    softwires = json.loads(relay.lwaftr("status", "--json").stdout)["softwires"]
    expect("it says how many softwires there are", f"{softwires} softwires" in browser.text("#about"))
    expect("no alarm", browser.text("#state") == "no alarms")

    # Live.
    seen = set()
    wait("the figures move", lambda: seen.add(browser.text("#from-b4 [data-is=bits]")) or len(seen) > 2)
    expect("the figures move", True)
    drops = browser.text("#drops")
    expect("drops have their reasons, both sides", "no-softwire" in drops and "source-no-softwire" in drops)
    expect("and meanings", "Nobody owns the destination address and port" in drops)
    bars = "return [...document.querySelectorAll('#histogram rect')].map((bar) => bar.getAttribute('height')).join()"
    shapes = set()
    wait("the histogram moves", lambda: shapes.add(browser.run(bars)) or len(shapes) > 2)
    expect("the histogram moves", all(shapes))
    stats = json.loads(relay.lwaftr("stats", "--json").stdout)
    total = stats["interfaces"]["external"]["drops"]["no-softwire"]["packets"]
    shown = lambda: browser.run(
        "return +[...document.querySelectorAll('#drops tbody tr')].find((row) =>"
        " row.querySelector('b').textContent === 'no-softwire').cells[2].textContent.replace(/\\D/g, '')")
    expect("the totals are those of lwaftr stats, and later ones", wait("total", lambda: shown() >= total))

    # Who owns it?
    softwire = json.loads(relay.lwaftr("softwire", "lookup", relay.owned, "--json").stdout)[0]
    owned = softwire["ipv4"]
    ports = 2 ** (16 - softwire["psid-len"])
    port = softwire["psid"] * ports + 7
    for question, answer in (
            (f"{owned}:{port}", softwire["b4-ipv6"]), (softwire["b4-ipv6"], owned),
            ("192.0.2.99:80", "Nobody owns 192.0.2.99:80."), ("rubbish", "expected 203.0.113.7:4711")):
        browser.search(question, answer)
        expect(f"search {question}: {answer}", True)
    browser.search(f"{owned}:{port}", softwire["b4-ipv6"])

    # A change of the configuration is an event.
    relay.lwaftr("softwire", "del", "--ipv4", softwire["ipv4"], "--psid", str(softwire["psid"]))
    wait("the event", lambda: "softwire-del" in browser.text("#events"))
    expect("a change of the configuration is shown", True)
    relay.lwaftr("reload", "--discard-edits")
    # An alarm, and that it is over.
    config = relay.directory / "lwaftr.toml"
    good = config.read_text()
    config.write_text("nonsense")
    relay.lwaftr("reload")
    failed = lambda: browser.run(
        "return [...document.querySelectorAll('#alarms li')].filter((item) =>"
        " item.textContent.includes('reload-failed')).map((item) => item.className + item.textContent).join()")
    wait("the alarm", lambda: failed().startswith("raised"))
    config.write_text(good)
    relay.lwaftr("reload")
    wait("its end", lambda: "over since" in failed() and "raised" not in failed())
    expect("alarms are shown, and those of the past", "null" not in browser.text("#alarms"))
    expect("the page did nothing that its policy forbids", not [
        line for line in browser.complaints() if "Content Security Policy" in line or "SEVERE" in line])

    # Sizes and colours.
    wait("some history", lambda: browser.run("return histories['to-b4'].length") > 20)
    browser.screenshot(shots / "page-light.png")
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    dark = browser.run("return getComputedStyle(document.body).backgroundColor")
    expect("there is a dark page", dark == "rgb(16, 19, 22)")
    browser.screenshot(shots / "page-dark.png")
    browser.devtools("Emulation.setDeviceMetricsOverride", width=375, height=812, deviceScaleFactor=2, mobile=True)
    wide = browser.run("return document.documentElement.scrollWidth")
    expect(f"a phone need not scroll sideways ({wide})", wide <= 375)
    browser.screenshot(shots / "page-phone.png")
    browser.devtools("Emulation.clearDeviceMetricsOverride")
    browser.devtools("Emulation.setEmulatedMedia", features=[])

    # The relay stops, and comes back.
    relay.stop()
    wait("the trouble is said", lambda: "has not answered since" in browser.text("#trouble"))
    expect("a stopped relay is said", browser.text("#state") == "no answer")
    browser.screenshot(shots / "page-stopped.png", whole=False)
    relay.start()
    wait("it is back", lambda: not browser.text("#trouble"), relay.alive)
    seen.clear()
    wait("it moves again", lambda: seen.add(browser.text("#from-b4 [data-is=bits]")) or len(seen) > 2)
    expect("it goes on by itself when the relay is back", True)


def main():
    program = str(Path(sys.argv[1]).resolve())
    shots = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="lwaftr-page-shots-"))
    shots.mkdir(parents=True, exist_ok=True)
    directory = tempfile.mkdtemp(prefix="lwaftr-page-")
    relay = browser = None
    try:
        relay = Relay(program, directory)
        relay.start()
        browser = Browser(directory)
        try_page(relay, browser, shots)
    finally:
        if browser:
            browser.stop()
        if relay:
            relay.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"screenshots: {shots}")


main()
