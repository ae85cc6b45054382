"""The manifest (SOL004): what the package is, the hash of each file, perhaps a signature."""

import dataclasses

from . import Wrong

FILE = "lwaftr.mf"
METADATA = ["vnf_product_name", "vnf_provider_id", "vnf_package_version", "vnf_release_date_time"]
_SIGNATURE = "-----BEGIN CMS-----"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """`signed` is the text that the signature is about."""

    metadata: dict[str, str]
    hashes: dict[str, str]
    signed: str
    signature: str


def write(metadata: dict[str, str], hashes: dict[str, str]) -> str:
    lines = ["metadata:"] + [f"  {name}: {metadata[name]}" for name in METADATA]
    for place, value in sorted(hashes.items()):
        lines += ["", f"Source: {place}", "Algorithm: SHA-256", f"Hash: {value}"]
    return "\n".join(lines) + "\n"


def sign(text: str, signature: str) -> str:
    """An empty line in front, as readers divide the manifest at these."""
    return f"{text}\n{signature}"


def parse(text: str) -> Manifest:
    body, found, rest = text.partition("\n" + _SIGNATURE)
    first, *blocks = [block for block in body.split("\n\n") if block.strip()] or [""]
    head, *lines = first.strip().splitlines() or [""]
    if head != "metadata:":
        raise Wrong(f'{FILE}: must begin with "metadata:"')
    metadata = dict(_pair(line) for line in lines)
    for name in METADATA:
        if not metadata.get(name):
            raise Wrong(f"{FILE}: metadata: {name} is missing")
    hashes = {}
    for block in blocks:
        fields = dict(_pair(line) for line in block.strip().splitlines())
        if fields.keys() != {"Source", "Algorithm", "Hash"}:
            raise Wrong(f'{FILE}: "{block.strip()}" must have Source, Algorithm and Hash')
        place = fields["Source"]
        if fields["Algorithm"] != "SHA-256":
            raise Wrong(f"{FILE}: {place}: the algorithm must be SHA-256")
        if place in hashes:
            raise Wrong(f"{FILE}: {place} stands there twice")
        hashes[place] = fields["Hash"].lower()
    return Manifest(metadata, hashes, body, _SIGNATURE + rest if found else "")


def _pair(line: str) -> tuple[str, str]:
    name, colon, value = line.strip().partition(": ")
    if not colon:
        raise Wrong(f'{FILE}: "{line}" is not a name and a value')
    return name, value.strip()
