"""The VM image: what the descriptor says of it."""

import dataclasses
import hashlib
import struct
from pathlib import Path

from . import Wrong
from .flavours import Flavour

_GIB = 1 << 30


@dataclasses.dataclass(frozen=True)
class Image:
    """`disk` is the size of the disk that a guest sees, in GiB; `size` that of the file, in bytes."""

    path: Path
    hash: str
    size: int
    disk: int

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def place(self) -> str:
        """Where it stands in the archive."""
        return f"Files/images/{self.name}"


def read(path: Path, flavours: list[Flavour]) -> Image:
    """Looks at the image, and whether it fits on the disks of all flavours."""
    if not path.is_file():
        raise Wrong(f"{path}: there is no such image: `make image` builds it")
    disk = -(-_disk_bytes(path) // _GIB)
    for flavour in flavours:
        if flavour.disk < disk:
            raise Wrong(
                f"{path}: needs a disk of {disk} GiB, but flavour {flavour.name} has {flavour.disk}"
            )
    return Image(path, sha256(path), path.stat().st_size, disk)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _disk_bytes(path: Path) -> int:
    """The header of a qcow2 file has it at byte 24, after the magic number."""
    with path.open("rb") as file:
        header = file.read(32)
    if len(header) < 32 or header[:4] != b"QFI\xfb":
        raise Wrong(f"{path}: is not a qcow2 image")
    return struct.unpack(">Q", header[24:32])[0]
