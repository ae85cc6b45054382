"""The test that the package brings along, against machines that a stand-in for ssh plays."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

SCRIPT = ROOT / "images/csar/acceptance.sh"


def run(tmp_path: Path, there: str, *arguments: str) -> subprocess.CompletedProcess:
    """`there` is a shell script that gets each command as "$2"."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$1: $2" >>{tmp_path}/asked\n{there}\n')
    ssh.chmod(0o755)
    return subprocess.run(
        [SCRIPT, *arguments],
        env=os.environ | {"SSH": str(ssh)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_relay_in_service_passes(tmp_path: Path) -> None:
    done = run(tmp_path, "exit 0", "lwaftr@192.0.2.10")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 6 and all(line.startswith("ok ") for line in lines)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == "lwaftr@192.0.2.10: cloud-init status --wait"
    assert "lwaftr@192.0.2.10: sudo -n lwaftr health" in asked


def test_what_fails_is_shown_with_what_it_says(tmp_path: Path) -> None:
    there = 'case $2 in "sudo -n lwaftr health") echo "not ready"; exit 1;; esac'
    done = run(tmp_path, there, "relay")
    assert done.returncode == 1
    assert "FAILED  it can forward both ways\n          not ready\n" in done.stdout
    # The others are asked all the same.
    assert done.stdout.count("ok ") == 5


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_it_says_how_it_is_used(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, "exit 0", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_the_verbs_that_it_uses_exist(program: Path) -> None:
    for verb in ("check", "doctor", "health", "alarms"):
        assert f"lwaftr {verb}" in SCRIPT.read_text()
        subprocess.run([program, verb, "--help"], check=True, capture_output=True)
