"""Boots the image and keeps what was measured (`--image`, `--record`); see docs/nfv.md."""

import datetime
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

results, figures = {}, {}


def pytest_addoption(parser):
    parser.addoption("--image", help="the qcow2 to boot", required=True)
    parser.addoption("--record", help="a Markdown file for the results")
    parser.addoption("--keep", action="store_true", help="keep consoles and disks")


@pytest.fixture(scope="session")
def image(request):
    return Path(request.config.getoption("--image")).resolve()


@pytest.fixture(scope="module")
def directory(request):
    # Short: the path of a Unix socket has at most 107 bytes.
    path = tempfile.mkdtemp(prefix="lwi-", dir="/tmp")
    yield path
    if not request.config.getoption("--keep"):
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def figure():
    """Notes something that was measured, for the record."""
    def note(what, value):
        figures[what] = value
        print(f"{what}: {value}")
    return note


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        name = report.nodeid.split("/")[-1]
        results[name] = (report.outcome, report.duration)


def pytest_sessionfinish(session):
    record = session.config.getoption("--record")
    if record and results:
        image = Path(session.config.getoption("--image"))
        Path(record).write_text(text(Path(record), image))


def text(record, image):
    """The record with these results in place of older ones of the same tests and figures."""
    manifest = json.loads(image.with_suffix(".manifest.json").read_text())
    now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M}"
    ran = f"{now} UTC | {manifest['commit'][:12]}"
    tests = {f"`{name}`": f"{outcome} | {seconds:.0f} | {ran}" for name, (outcome, seconds) in results.items()}
    measured = {what: f"{value} | {ran}" for what, value in figures.items()}
    old = record.read_text().splitlines() if record.exists() else []
    rows = [line.strip("| ").split(" | ", 1) for line in old if line.startswith("| ") and line.count("|") in (5, 6)]
    rows = [row for row in rows if row[0] not in ("test", "measured", "---")]
    tests = {name: rest for name, rest in rows if name.startswith("`")} | tests
    measured = {what: rest for what, rest in rows if not what.startswith("`")} | measured
    return "\n".join([
        "# The last run of each test of the image", "",
        "Written by `make image-test` itself; [nfv.md](nfv.md) says what the tests are about. The machine: QEMU without",
        f"KVM (TCG), 2 virtual CPUs on {os.cpu_count()} shared ones, so that times are many times those of a real machine. The "
        "last image:", f"{image.name}, {image.stat().st_size / 1e6:.0f} MB. The commit is the one that the image was built from.", "",
        "| measured | | when | commit |", "| --- | --- | --- | --- |",
        *(f"| {what} | {rest} |" for what, rest in measured.items()), "",
        "| test | result | seconds | when | commit |", "| --- | --- | --- | --- | --- |",
        *(f"| {name} | {rest} |" for name, rest in sorted(tests.items())),
    ]) + "\n"
