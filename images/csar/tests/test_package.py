"""A package that is as it should be."""

import subprocess
import sys
import zipfile
from pathlib import Path

import yaml

from csar import archive, contents, flavours, image, loaders, manifest, verify

SIZES = flavours.read()


def test_a_package_is_whole_and_understood(package: Path) -> None:
    found = verify.verify(package)
    assert found.problems == []
    assert found.signer is None
    assert loaders.load(package, SIZES) == []


def test_the_same_files_make_the_same_package(standin: Path, built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.csar"
    files = contents.collect(SIZES, image.read(standin, SIZES))
    archive.write(again, files, contents.released(), None)
    assert again.read_bytes() == built.read_bytes()


def test_the_manifest_has_every_file_but_itself(package: Path) -> None:
    with zipfile.ZipFile(package) as archive_:
        stated = manifest.parse(archive_.read(manifest.FILE).decode())
        assert set(stated.hashes) | {manifest.FILE} == set(archive_.namelist())
    assert "Files/images/lwaftr-0.0.0.qcow2" in stated.hashes
    assert stated.metadata["vnf_package_version"] == contents.version()
    assert stated.metadata["vnf_release_date_time"].endswith("Z")


def test_what_the_meta_file_names_is_there(package: Path) -> None:
    with zipfile.ZipFile(package) as archive_:
        assert archive_.namelist()[0] == contents.META
        meta = yaml.safe_load(archive_.read(contents.META))
        names = archive_.namelist()
        log = archive_.read(meta["ETSI-Entry-Change-Log"]).decode()
        crates = archive_.read("Files/Licenses/crates.txt").decode()
    assert meta["Entry-Definitions"] in names
    assert "Files/Licenses/LICENSE" in names
    assert "Files/Tests/acceptance.sh" in names
    assert contents.version() in log.splitlines()[0]
    # One that the program certainly has; none of our own, with the path where it was built.
    assert "arc-swap v" in crates
    assert "(/" not in crates and "vnf v" not in crates


def test_descriptors_of_other_images_have_other_identifiers(standin: Path, tmp_path: Path) -> None:
    other = tmp_path / standin.name
    other.write_bytes(standin.read_bytes() + b"more")

    def identifier(path: Path) -> str:
        files = contents.collect(SIZES, image.read(path, SIZES))
        types = yaml.safe_load(files["Definitions/lwaftr_types.yaml"])
        return types["node_types"]["lwaftr.VNF"]["properties"]["descriptor_id"]["default"]

    assert identifier(standin) == identifier(standin)
    assert identifier(standin) != identifier(other)


def test_the_command_builds_and_verifies(standin: Path, tmp_path: Path) -> None:
    def csar(*arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "csar", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = csar("build", standin, tmp_path / "a.csar")
    assert (done.returncode, done.stderr) == (0, "")
    assert "not signed" in done.stdout
    done = csar("verify", tmp_path / "a.csar")
    assert (done.returncode, done.stderr) == (0, "")
    assert "understood by tosca-parser and tacker; not signed" in done.stdout

    done = csar("build", tmp_path / "none.qcow2", tmp_path / "b.csar")
    assert done.returncode == 1
    assert "there is no such image: `make image` builds it" in done.stderr
    done = csar("build", __file__, tmp_path / "b.csar")
    assert done.returncode == 1
    assert "is not a qcow2 image" in done.stderr
    assert not (tmp_path / "b.csar").exists()
