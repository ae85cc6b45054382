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
        Path(record).write_text(text(Path(session.config.getoption("--image"))))


def text(image):
    manifest = json.loads(image.with_suffix(".manifest.json").read_text())
    now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M}"
    return "\n".join([
        "# The last run of the tests of the image", "",
        "Written by `make image-test`; [nfv.md](nfv.md) says what the tests are about.", "",
        f"- The end: {now} UTC, {sum(outcome == 'passed' for outcome, _ in results.values())} of {len(results)} passed.",
        f"- The image: {image.name} of commit {manifest['commit'][:12]}, {manifest['bytes'] / 1e6:.0f} MB, with the relay "
        f"{manifest['lwaftr']}, DPDK {manifest['dpdk']}, {manifest['kernel']}.",
        f"- The machine: QEMU without KVM (TCG), on {os.cpu_count()} CPUs, with a load of {os.getloadavg()[2]:.0f} in the last "
        "quarter of an hour: times are many times those of a real machine.", "",
        "| measured | |", "| --- | --- |",
        *(f"| {what} | {value} |" for what, value in figures.items()), "",
        "| test | result | seconds |", "| --- | --- | --- |",
        *(f"| `{name}` | {outcome} | {seconds:.0f} |" for name, (outcome, seconds) in results.items()),
    ]) + "\n"
