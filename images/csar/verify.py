"""Judges a package. It trusts nothing in it, and finds all that is wrong, not just the first."""

import hashlib
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from . import Wrong, manifest, signature
from .contents import META

_ENTRIES = [
    "Entry-Definitions",
    "ETSI-Entry-Manifest",
    "ETSI-Entry-Change-Log",
    "ETSI-Entry-Licenses",
    "ETSI-Entry-Tests",
]

# What Python says of archives that are damaged, or of a kind that nobody needs here.
_UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Verified:
    """What was found: `problems` in words, and who signed, if anybody did."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.signer: str | None = None


def verify(path: Path, authorities: Path | None = None) -> Verified:
    """With `authorities`, one of them must stand behind the signature."""
    found = Verified()
    try:
        with zipfile.ZipFile(path) as archive:
            _judge(archive, authorities, found)
    except _UNREADABLE as error:
        found.problems.append(f"{path}: cannot be read as an archive: {error}")
    except Wrong as wrong:
        found.problems.append(str(wrong))
    return found


def _judge(archive: zipfile.ZipFile, authorities: Path | None, found: Verified) -> None:
    places = archive.namelist()
    for place in sorted(set(places)):
        if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
            raise Wrong(f"{place}: leads out of the package")
        if places.count(place) > 1:
            raise Wrong(f"{place}: is in the package more than once")
    meta = _meta(archive)
    entry = meta["ETSI-Entry-Manifest"]
    stated = manifest.parse(_text(archive, entry))
    _signature(stated, authorities, found)

    for name in _ENTRIES:
        if not any(place == meta[name] or place.startswith(meta[name] + "/") for place in places):
            found.problems.append(f"{meta[name]}: is missing: {META} names it as {name}")
    for place, value in stated.hashes.items():
        if place not in places:
            found.problems.append(f"{place}: is missing, but {entry} lists it")
            continue
        seen = _hash(archive, place)
        if seen != value:
            found.problems.append(
                f"{place}: was changed: its SHA-256 is {seen}, {entry} says {value}"
            )
    for place in places:
        if place not in stated.hashes and place != entry and not place.endswith("/"):
            found.problems.append(f"{place}: is in the package, but not in {entry}")
    if found.problems:
        return
    for place in places:
        if place.startswith("Definitions/"):
            try:
                found.problems += _images(archive, place, stated)
            except (AttributeError, KeyError, TypeError):
                found.problems.append(f"{place}: cannot be understood as a descriptor")


def _signature(stated: manifest.Manifest, authorities: Path | None, found: Verified) -> None:
    if stated.signature:
        try:
            found.signer = signature.verify(stated.signed, stated.signature, authorities)
        except Wrong as wrong:
            found.problems.append(str(wrong))
    elif authorities:
        found.problems.append("the package is not signed")


def _images(archive: zipfile.ZipFile, place: str, stated: manifest.Manifest) -> list[str]:
    """The descriptor has the image's hash, too. Orchestrators go by it."""
    problems = []
    template = _yaml(archive, place).get("topology_template", {})
    for name, node in template.get("node_templates", {}).items():
        for artifact in node.get("artifacts", {}).values():
            if artifact.get("type") != "tosca.artifacts.nfv.SwImage":
                continue
            file = _join(PurePosixPath(place).parent, artifact["file"])
            says = node["properties"]["sw_image_data"]["checksum"]["hash"]
            if file not in stated.hashes:
                problems.append(f"{place}: {name}: its image {file} is not in the package")
            elif stated.hashes[file] != says:
                problems.append(f"{place}: {name}: says that the SHA-256 of {file} is {says}")
    return problems


def _join(directory: PurePosixPath, relative: str) -> str:
    parts = list(directory.parts)
    for part in PurePosixPath(relative).parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _meta(archive: zipfile.ZipFile) -> dict:
    meta = _yaml(archive, META)
    for name in _ENTRIES:
        if not isinstance(meta, dict) or name not in meta:
            raise Wrong(f"{META}: {name} is missing")
    return meta


def _yaml(archive: zipfile.ZipFile, place: str) -> Any:
    try:
        return yaml.load(_text(archive, place), yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise Wrong(f"{place}: is not YAML: {error}") from error


def _text(archive: zipfile.ZipFile, place: str) -> str:
    try:
        return archive.read(place).decode()
    except KeyError:
        raise Wrong(f"{place}: is missing") from None
    except UnicodeDecodeError:
        raise Wrong(f"{place}: is not text") from None


def _hash(archive: zipfile.ZipFile, place: str) -> str:
    digest = hashlib.sha256()
    try:
        with archive.open(place) as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except _UNREADABLE as error:
        return f"unknown, as it cannot be unpacked ({error})"
    return digest.hexdigest()
