"""Boots the image and keeps what was measured (`--image`, `--record`); see docs/nfv.md."""

import datetime
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
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
    if not record or not results:
        return
    def git(*words):
        done = subprocess.run(["git", "-C", str(TOP), *words], capture_output=True, text=True)
        return done.stdout.strip()
    path = Path(session.config.getoption("--image"))
    lines = [
        "# The last run of `make image-test`", "",
        "Written by the tests themselves (`images/test`); [nfv.md](nfv.md) says what they are about.", "",
        "| | |", "| --- | --- |",
        f"| date | {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC |",
        f"| commit | {git('describe', '--always', '--dirty', '--abbrev=12')} |",
        f"| image | {path.name}, {path.stat().st_size / 1e6:.0f} MB |",
        f"| machine | QEMU without KVM (TCG), 2 virtual CPUs on {os.cpu_count()} shared ones: "
        "times are many times those of a real machine |", "",
        "| measured | |", "| --- | --- |",
        *(f"| {what} | {value} |" for what, value in figures.items()), "",
        "| test | result | seconds |", "| --- | --- | --- |",
        *(f"| `{name}` | {outcome} | {seconds:.0f} |" for name, (outcome, seconds) in results.items()),
    ]
    Path(record).write_text("\n".join(lines) + "\n")
