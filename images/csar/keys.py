"""The keys of lwaftr.toml, as docs/configuration.md lists them.

A test of the program compares that list with the program itself, so that what is made of it here
is what the program takes.
"""

import dataclasses
import re
from pathlib import Path

MANUAL = Path(__file__).parents[2] / "docs" / "configuration.md"

_TABLE = re.compile(r"^## `(\[+)([a-z]+)\]+`$")
_ROW = re.compile(r"^\| `([a-z0-9-]+)` \| (.+?) \| (.+?) \| (reload|restart) \| (.+) \|$")
_INTEGER = re.compile(r"^an integer from (\d+) to (\d+)$")
_WORD = re.compile(r'^"[a-z]+"$')
_OR_LIST = "; or a list of such"


@dataclasses.dataclass(frozen=True)
class Key:
    """One key: `value` says in words what it takes."""

    name: str
    value: str
    default: str
    change: str
    meaning: str

    @property
    def required(self) -> bool:
        return self.default == "required"

    @property
    def takes_list(self) -> bool:
        return self.value.endswith(_OR_LIST)

    @property
    def one(self) -> str:
        """What a single value is, in words."""
        return self.value.removesuffix(_OR_LIST)

    @property
    def kind(self) -> str:
        """The type of a single value: boolean, integer or string."""
        if self.one == "true or false":
            return "boolean"
        return "integer" if _INTEGER.match(self.one) else "string"

    @property
    def takes_number(self) -> bool:
        """A string here may stand for a number: `"copy"` or an integer."""
        return self.kind == "string" and " or an integer from " in self.one

    @property
    def range(self) -> tuple[int, int] | None:
        """The smallest and the largest integer."""
        found = _INTEGER.match(self.one)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def words(self) -> list[str]:
        """The values there are, where they are few and have names."""
        parts = self.one.split(" or ")
        return [part.strip('"') for part in parts] if all(map(_WORD.match, parts)) else []


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of the file; `repeated` when there may be several, as with [[softwire]]."""

    name: str
    repeated: bool
    keys: list[Key]


def read(manual: Path = MANUAL) -> list[Table]:
    """All tables with their keys, in the manual's order."""
    tables: list[Table] = []
    current = None
    for line in manual.read_text().splitlines():
        if line.startswith("## "):
            found = _TABLE.match(line)
            current = Table(found[2], found[1] == "[[", []) if found else None
            if current:
                tables.append(current)
        elif current and (found := _ROW.match(line)):
            name, value, default, change, meaning = found.groups()
            current.keys.append(Key(name, value, default.strip("`"), change, meaning))
    return tables
