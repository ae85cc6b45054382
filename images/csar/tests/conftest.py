"""A small package around a stand-in for the image, for tests of what packages are made of."""

import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from csar import archive, contents, flavours, image

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The head of a qcow2 image with a disk of 4 GiB, and some bytes."""
    path = tmp_path_factory.mktemp("image") / "lwaftr-0.0.0.qcow2"
    path.write_bytes(b"QFI\xfb" + struct.pack(">I16xQ", 3, 4 << 30) + bytes(range(256)) * 64)
    return path


@pytest.fixture(scope="session")
def built(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unsigned package, not to be changed."""
    path = tmp_path_factory.mktemp("package") / "lwaftr.csar"
    sizes = flavours.read()
    files = contents.collect(sizes, image.read(standin, sizes))
    archive.write(path, files, contents.released(), None)
    return path


@pytest.fixture
def package(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(built, tmp_path))


Change = Callable[[dict[str, bytes]], None]


def change(package: Path, how: Change) -> None:
    """Writes a package anew after `how` has changed its files."""
    with zipfile.ZipFile(package) as old:
        files = {place: old.read(place) for place in old.namelist()}
    how(files)
    with zipfile.ZipFile(package, "w") as new:
        for place, content in files.items():
            new.writestr(place, content)


def make_again(package: Path, how: Change) -> None:
    """The same by somebody who also writes the manifest anew."""
    with zipfile.ZipFile(package) as old:
        files = {place: old.read(place) for place in old.namelist()}
    how(files)
    del files["lwaftr.mf"]
    archive.write(package, files, contents.released(), None)


@pytest.fixture(scope="session")
def program() -> Path:
    """lwaftr itself, which judges configurations; `make csar-test` builds it."""
    return Path(os.environ["LWAFTR"])
