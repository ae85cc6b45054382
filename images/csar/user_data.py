"""Configurable properties to the user data that cloud-init reads at the first boot.

The properties are those of `additional_configurable_properties` in the descriptor: a table of
lwaftr.toml each, and `softwires-csv`.
"""

import difflib
import json
from pathlib import Path
from typing import NoReturn

import yaml

from . import Wrong, keys

_TABLE_FILE = "softwires-csv"


class _Dumper(yaml.SafeDumper):
    """Files as people would write them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def read(path: Path) -> dict:
    try:
        properties = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise Wrong(f"{path}: is not YAML: {error}") from error
    if not isinstance(properties, dict):
        raise Wrong(f"{path}: must have the tables of lwaftr.toml, external for one")
    return properties


def write(properties: dict) -> str:
    """A cloud-config that leaves lwaftr.toml and softwires.csv where the relay looks for them."""
    files = [_file("lwaftr.toml", toml(properties))]
    if _TABLE_FILE in properties:
        files.append(_file("softwires.csv", properties[_TABLE_FILE]))
    body = yaml.dump({"write_files": files}, Dumper=_Dumper, sort_keys=False)
    return f"#cloud-config\n{body}"


def toml(properties: dict) -> str:
    """The configuration file."""
    tables = {table.name: table for table in keys.read()}
    lines = []
    for name, value in properties.items():
        if name == _TABLE_FILE:
            if not isinstance(value, str):
                raise Wrong(f"{name}: must be the text of a table file")
            continue
        table = tables.get(name) or _unknown(name, [*tables, _TABLE_FILE])
        for part in value if table.repeated and isinstance(value, list) else [value]:
            lines += _table(table, part)
    return "\n".join(lines)


def _file(name: str, content: str) -> dict:
    return {
        "path": f"/etc/lwaftr/{name}",
        "owner": "root:lwaftr",
        "permissions": "0640",
        "content": content,
    }


def _table(table: keys.Table, values: object) -> list[str]:
    if not isinstance(values, dict):
        raise Wrong(f"{table.name}: must have the keys of [{table.name}]")
    known = {key.name: key for key in table.keys}
    lines = [f"[[{table.name}]]" if table.repeated else f"[{table.name}]"]
    for name, value in values.items():
        key = known.get(name) or _unknown(
            f"{table.name}.{name}", [f"{table.name}.{k}" for k in known]
        )
        lines.append(f"{name} = {_value(key, f'{table.name}.{name}', value)}")
    return [*lines, ""]


def _value(key: keys.Key, path: str, value: object) -> str:
    if isinstance(value, list) and key.takes_list:
        return "[" + ", ".join(_one(key, path, item) for item in value) + "]"
    return _one(key, path, value)


def _one(key: keys.Key, path: str, value: object) -> str:
    kinds = {"boolean": bool, "integer": int, "string": str}
    # TOSCA has one type for each property: what is "copy" or a number is a string there.
    if key.takes_number and str(value).isdecimal():
        return str(int(value))
    # Python's True and False are integers, too.
    if type(value) is not kinds[key.kind]:
        raise Wrong(f"{path}: {json.dumps(value, default=str)} is not {key.value}")
    return json.dumps(value, ensure_ascii=False)


def _unknown(name: str, known: list[str]) -> NoReturn:
    close = difflib.get_close_matches(name, known, 1)
    advice = f"; perhaps {close[0]} is meant" if close else f"; there are {', '.join(known)}"
    raise Wrong(f"{name}: there is no such property{advice}")
