"""Writes the archive: the same files make the same archive, to the byte."""

import datetime
import hashlib
import shutil
import zipfile
from pathlib import Path

from . import contents, manifest, signature


def write(
    to: Path,
    files: dict[str, bytes | Path],
    when: int,
    signer: tuple[Path, Path, Path | None] | None,
) -> None:
    """`signer`: key, certificate, and those between it and the root."""
    moment = datetime.datetime.fromtimestamp(when, datetime.UTC)
    metadata = {
        "vnf_product_name": "lwaftr",
        "vnf_provider_id": "lwaftr",
        "vnf_package_version": contents.version(),
        "vnf_release_date_time": moment.isoformat().replace("+00:00", "Z"),
    }
    text = manifest.write(metadata, {place: _hash(source) for place, source in files.items()})
    if signer:
        text = manifest.sign(text, signature.make(text, *signer))
    partial = to.with_suffix(".partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            # What says what the rest is comes first.
            order = [contents.META, *sorted(files.keys() - {contents.META})]
            for place, source in [(order[0], files[order[0]]), (manifest.FILE, text.encode())] + [
                (place, files[place]) for place in order[1:]
            ]:
                _add(archive, place, source, moment)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)


def _add(
    archive: zipfile.ZipFile, place: str, source: bytes | Path, moment: datetime.datetime
) -> None:
    info = zipfile.ZipInfo(place, moment.timetuple()[:6])
    info.create_system = 3
    info.external_attr = (0o100755 if place.endswith(".sh") else 0o100644) << 16
    # Images are compressed already.
    stored = place.endswith(".qcow2")
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    if isinstance(source, bytes):
        archive.writestr(info, source)
        return
    info.file_size = source.stat().st_size
    with source.open("rb") as file, archive.open(info, "w") as entry:
        shutil.copyfileobj(file, entry, 1 << 20)


def _hash(source: bytes | Path) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
