"""What stands in the package, and where it comes from."""

import os
import subprocess
import tomllib
from importlib.util import find_spec
from pathlib import Path

from . import Wrong, vnfd
from .flavours import Flavour
from .image import Image

ROOT = Path(__file__).parents[2]
META = "TOSCA-Metadata/TOSCA.meta"

# ETSI's types come from the package of OpenStack's Tacker, which is what the result is tried with.
_ETSI = ["etsi_nfv_sol001_common_types.yaml", "etsi_nfv_sol001_vnfd_types.yaml"]
_TACKER = "tests/unit/vnfm/infra_drivers/openstack/data/etsi_nfv"

_FILES = {
    "Files/Licenses/LICENSE": "LICENSE",
    "Files/Tests/acceptance.sh": "images/csar/acceptance.sh",
    "Files/Configuration/lwaftr.toml": "configs/lwaftr.toml",
    "Files/Configuration/softwires.csv": "configs/softwires.csv",
    "Files/Monitoring/lwaftr-alerts.yml": "configs/prometheus/lwaftr-alerts.yml",
    "Files/Monitoring/lwaftr-dashboard.json": "configs/grafana/lwaftr.json",
}
# What the build of an image leaves beside it: checksum, bill of materials, versions.
_BESIDE = (".sha256", ".json", ".txt")


def version() -> str:
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def released() -> int:
    """Seconds since 1970: when the commit was made, unless SOURCE_DATE_EPOCH says another time."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or _run("git", "log", "-1", "--format=%ct"))


def collect(flavours: list[Flavour], image: Image) -> dict[str, bytes | Path]:
    """Everything but the manifest, by its place in the archive."""
    files: dict[str, bytes | Path] = {place: ROOT / file for place, file in _FILES.items()}
    for name, text in vnfd.write(flavours, image, version()).items():
        files[f"Definitions/{name}"] = text.encode()
    for name in _ETSI:
        files[f"Definitions/{name}"] = _etsi() / name
    for flavour in flavours:
        files[f"BaseHOT/{flavour.name}/relay.yaml"] = ROOT / "images/heat/tacker.yaml"
        files[f"BaseHOT/{flavour.name}/nested/machine.yaml"] = ROOT / "images/heat/machine.yaml"
    stem = image.name.removesuffix(".qcow2")
    for beside in sorted(image.path.parent.glob(f"{stem}*")):
        if beside.suffix in _BESIDE:
            files[f"Files/images/{beside.name}"] = beside
    files[image.place] = image.path
    files["Files/Licenses/crates.txt"] = _crates().encode()
    files["Files/Licenses/README.txt"] = _LICENCES.encode()
    files["ChangeLog.txt"] = _change_log().encode()
    files[META] = _META.encode()
    return files


_META = f"""\
TOSCA-Meta-File-Version: 1.0
CSAR-Version: 1.1
Created-by: lwaftr
Entry-Definitions: Definitions/{vnfd.ENTRY}
ETSI-Entry-Manifest: lwaftr.mf
ETSI-Entry-Change-Log: ChangeLog.txt
ETSI-Entry-Licenses: Files/Licenses
ETSI-Entry-Tests: Files/Tests
"""

_LICENCES = """\
LICENSE is that of lwaftr: Apache-2.0. crates.txt lists the Rust libraries that the program is made
of, with their licences. Each Debian package in the image has its own in /usr/share/doc/PACKAGE/copyright.
The definitions etsi_nfv_sol001_*.yaml are ETSI's, as OpenStack's Tacker distributes them.
"""


def _etsi() -> Path:
    tacker = find_spec("tacker")
    if not tacker:
        raise Wrong("Python's tacker is missing: `make csar` installs it in its own environment")
    return Path(tacker.submodule_search_locations[0], _TACKER)


def _change_log() -> str:
    log = _run("git", "log", "--date=short", "--format=%h %ad %s")
    return f"lwaftr {version()}. Commits, the newest first:\n\n{log}\n"


def _crates() -> str:
    tree = _run(
        "cargo",
        "tree",
        "--locked",
        "--package",
        "vnf",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}: {l}",
    )
    # Our own crates have their path behind the version; repeated subtrees have a star.
    crates = {line.replace(" (*)", "") for line in tree.splitlines() if "(/" not in line}
    return "\n".join(sorted(crates)) + "\n"


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or error
        raise Wrong(f"`{' '.join(command)}` is needed for the package: {said}") from error
    return done.stdout.strip()
