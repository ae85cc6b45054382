"""The descriptor: the templates of images/vnfd, filled with flavours, keys and the image."""

import string
import uuid
from collections.abc import Iterator
from pathlib import Path

import yaml

from . import keys
from .flavours import Flavour
from .image import Image

TEMPLATES = Path(__file__).parent.parent / "vnfd"
ENTRY = "lwaftr_vnfd.yaml"

# Descriptors of the same content have the same identifier, others have others.
_NAMESPACE = uuid.UUID("5f0c8a5e-9a0d-4f3c-8a52-6d0b4d2f3a7e")


def write(flavours: list[Flavour], image: Image, version: str) -> dict[str, str]:
    """The definition files by their names."""
    unnamed = dict(_files(flavours, image, version, "unnamed"))
    identifier = str(uuid.uuid5(_NAMESPACE, "".join(unnamed.values())))
    return dict(_files(flavours, image, version, identifier))


def _files(
    flavours: list[Flavour], image: Image, version: str, identifier: str
) -> Iterator[tuple[str, str]]:
    common = {
        "version": version,
        "descriptor_id": identifier,
        "flavour_ids": ", ".join(flavour.name for flavour in flavours),
        "default_flavour": flavours[0].name,
        "flavour_imports": "\n".join(f"  - {_file(flavour)}" for flavour in flavours),
        "image_name": image.name.removesuffix(".qcow2"),
        "image_file": image.place,
        "image_hash": image.hash,
        "image_size": image.size,
        "image_disk": image.disk,
        "least_memory": min(flavour.memory for flavour in flavours),
    }
    yield ENTRY, _fill("top.yaml", common)
    yield "lwaftr_types.yaml", _with_configuration(_fill("types.yaml", common))
    for flavour in flavours:
        own = {
            "flavour": flavour.name,
            "queues_mandatory": str(flavour.workers > 1).lower(),
            **vars(flavour),
        }
        yield _file(flavour), _fill("flavour.yaml", common | own)


def _file(flavour: Flavour) -> str:
    return f"lwaftr_{flavour.name}.yaml"


def _fill(template: str, values: dict) -> str:
    return string.Template((TEMPLATES / template).read_text()).substitute(values)


def _with_configuration(text: str) -> str:
    """Our types, and those of the configuration."""
    types = yaml.safe_load(text)
    types["data_types"] |= _configuration_types()
    return yaml.safe_dump(types, sort_keys=False, width=120, allow_unicode=True)


def _configuration_types() -> dict:
    """A data type for each table of lwaftr.toml, and one for all of it."""
    tables = keys.read()
    types = {f"lwaftr.datatypes.configuration.{table.name}": _table(table) for table in tables}
    types["lwaftr.datatypes.Configuration"] = {
        "derived_from": "tosca.datatypes.nfv.VnfAdditionalConfigurableProperties",
        "description": "lwaftr.toml, a property for each of its tables, and the binding table",
        "properties": {table.name: _member(table) for table in tables}
        | {
            "softwires-csv": {
                "type": "string",
                "description": "The table file, which softwires.file names: softwires.csv",
                "required": False,
            }
        },
    }
    return types


def _table(table: keys.Table) -> dict:
    return {
        "derived_from": "tosca.datatypes.Root",
        "description": f"[{table.name}] of lwaftr.toml",
        "properties": {key.name: _key(key) for key in table.keys},
    }


def _member(table: keys.Table) -> dict:
    of = f"lwaftr.datatypes.configuration.{table.name}"
    kind = {"type": "list", "entry_schema": {"type": of}} if table.repeated else {"type": of}
    return kind | {"description": f"[{table.name}]", "required": False}


def _key(key: keys.Key) -> dict:
    default = "" if key.default in ("required", "none") else f"; {key.default} unless given"
    one = {"type": key.kind}
    if key.range:
        one["constraints"] = [{"in_range": list(key.range)}]
    if key.words:
        one["constraints"] = [{"valid_values": key.words}]
    kind = {"type": "list", "entry_schema": one} if key.takes_list else one
    return kind | {
        "description": f"{key.meaning} Takes {key.value}{default}. New values: {key.change}.",
        "required": key.required,
    }
