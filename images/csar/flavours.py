"""The sizes of images/flavours.toml."""

import dataclasses
import tomllib
from pathlib import Path

FILE = Path(__file__).parent.parent / "flavours.toml"


@dataclasses.dataclass(frozen=True)
class Flavour:
    """One size: memory and hugepages in MiB, disk in GiB."""

    name: str
    description: str
    vcpus: int
    workers: int
    memory: int
    hugepages: int
    disk: int
    softwires: int


def read(file: Path = FILE) -> list[Flavour]:
    """All of them, the smallest first."""
    tables = tomllib.loads(file.read_text())
    return [Flavour(name=name, **table) for name, table in tables.items()]
