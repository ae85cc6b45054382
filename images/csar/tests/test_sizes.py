"""Whether the sizes of flavours.toml are enough, by what the program says it needs."""

import itertools
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from csar import flavours

SIZES = {size.name: size for size in flavours.read()}
MIB = 1 << 20
GUIDE = (ROOT / "docs/nfv.md").read_text()

# The system, cloud-init, the relay's own code and what it keeps besides the table, in MiB.
SYSTEM = 768
# A softwire that is alone on its IPv4 address (docs/performance.md), in bytes.
SCATTERED = 164
# What counting packets costs for each softwire and worker (softwires.counters), in bytes.
COUNTED = 32
FRAGMENTS = 64


@pytest.mark.parametrize("name", SIZES)
def test_buffers_fit_into_the_guests_hugepages(name: str, program: Path, tmp_path: Path) -> None:
    size = SIZES[name]
    first = size.vcpus - size.workers
    cpus = ", ".join(str(first + worker) for worker in range(size.workers))
    text = (ROOT / "configs/lwaftr.toml").read_text()
    assert "# cpus = [2, 3]\n" in text
    (tmp_path / "lwaftr.toml").write_text(text.replace("# cpus = [2, 3]\n", f"cpus = [{cpus}]\n"))
    (tmp_path / "softwires.csv").write_bytes((ROOT / "configs/softwires.csv").read_bytes())
    done = subprocess.run(
        [program, "check", tmp_path / "lwaftr.toml"], check=True, capture_output=True, text=True
    )
    assert re.search(rf"workers +{size.workers}, on CPU {cpus}", done.stdout)
    buffers = int(re.search(r"buffers .*: (\d+) MiB, in hugepages", done.stdout)[1])
    assert 0 < buffers <= size.hugepages
    assert size.hugepages % 1024 == 0
    workers = "1 worker" if size.workers == 1 else f"{size.workers} workers"
    stated = int(re.search(rf"(\d+) MiB for {workers}", GUIDE)[1])
    assert buffers == pytest.approx(stated, rel=0.05)


@pytest.mark.parametrize("name", SIZES)
def test_the_table_fits_into_the_rest_of_the_memory(name: str) -> None:
    size = SIZES[name]
    # While a reload replaces it, there are two.
    each = 2 * (SCATTERED + COUNTED * size.workers)
    assert size.softwires * each / MIB + size.hugepages + SYSTEM + FRAGMENTS <= size.memory


def test_the_guide_states_these_figures() -> None:
    for size in SIZES.values():
        row = [
            size.name,
            f"{size.vcpus}",
            f"{size.workers}",
            f"{size.memory // 1024} GiB",
            f"{size.disk} GiB",
            f"{size.softwires // 10**6} million",
        ]
        assert f"| {' | '.join(row)} |" in GUIDE
        last = size.vcpus - 1
        assert f"`[{', '.join(map(str, range(1, last + 1)))}]`" in GUIDE.replace("workers.cpus = ", "")
    assert f"up to {SCATTERED} MB where each is alone" in GUIDE
    assert f"{COUNTED} MB more for each worker" in GUIDE
    assert f"`fragments.bytes`, {FRAGMENTS} MiB" in GUIDE
    assert f"| the system | {SYSTEM} MiB" in GUIDE


def test_sizes_grow_and_leave_a_cpu_for_the_rest() -> None:
    sizes = list(SIZES.values())
    assert [size.name for size in sizes] == ["small", "medium", "large"]
    for smaller, larger in itertools.pairwise(sizes):
        assert smaller.workers < larger.workers and smaller.softwires < larger.softwires
        assert smaller.memory < larger.memory and smaller.disk < larger.disk
    # The image isolates all CPUs but the first: more than one for the rest would lie idle.
    assert all(size.vcpus == size.workers + 1 for size in sizes)
