"""What is in an image: a manifest of versions, and a bill of materials in SPDX."""

import argparse
import datetime
import hashlib
import json
import os
import subprocess
import tomllib
from pathlib import Path


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def debian_packages(root):
    form = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"
    text = run("dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat", form)
    keys = ("name", "version", "architecture", "source", "source-version")
    return [dict(zip(keys, line.split("\t"))) for line in text.splitlines()]


def crates(top):
    lock = tomllib.loads((top / "Cargo.lock").read_text())
    return [package for package in lock["package"] if "source" in package]


def spdx(name, digest, created, packages, crates):
    entries = [{
        "SPDXID": "SPDXRef-image", "name": name, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
    }]
    for package in packages:
        purl = f"pkg:deb/debian/{package['name']}@{package['version']}?arch={package['architecture']}&distro=bookworm"
        entries.append(entry(f"deb-{package['name']}", package["name"], package["version"], purl))
    for crate in crates:
        purl = f"pkg:cargo/{crate['name']}@{crate['version']}"
        entries.append(entry(f"crate-{crate['name']}-{crate['version']}", crate["name"], crate["version"], purl,
                             crate.get("checksum")))
    contained = [{"spdxElementId": "SPDXRef-image", "relationshipType": "CONTAINS",
                  "relatedSpdxElement": each["SPDXID"]} for each in entries[1:]]
    described = {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                 "relatedSpdxElement": "SPDXRef-image"}
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{digest}",
        "creationInfo": {"created": created, "creators": ["Tool: images/build/manifest.py"]},
        "packages": entries, "relationships": [described, *contained],
    }


def entry(identifier, name, version, purl, checksum=None):
    identifier = "".join(c if c.isalnum() or c in ".-" else "-" for c in identifier)
    found = {
        "SPDXID": f"SPDXRef-{identifier}", "name": name, "versionInfo": version,
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }
    if checksum:
        found["checksums"] = [{"algorithm": "SHA256", "checksumValue": checksum}]
    return found


def main():
    parser = argparse.ArgumentParser()
    for name in ("root", "image", "package", "top"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    packages = debian_packages(args.root)
    digest = sha256(args.image)
    name = args.image.name
    time = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.UTC)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    versions = {package["name"]: package["version"] for package in packages}
    kernel = next(name for name in versions if name.startswith("linux-image-6"))
    disk = json.loads(run("qemu-img", "info", "--output=json", str(args.image)))
    manifest = {
        "image": name,
        "sha256": digest,
        "bytes": args.image.stat().st_size,
        "disk-bytes": disk["virtual-size"],
        "commit": run("git", "-C", str(args.top), "describe", "--always", "--dirty", "--abbrev=40"),
        "commit-time": created,
        "lwaftr": versions["lwaftr"],
        "lwaftr-package-sha256": sha256(args.package),
        "dpdk": run("pkg-config", "--modversion", "libdpdk"),
        "kernel": f"{kernel} {versions[kernel]}",
        "packages": {package["name"]: package["version"] for package in packages},
    }
    stem = args.image.with_suffix("")
    Path(f"{stem}.manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    bill = spdx(name, digest, created, packages, crates(args.top))
    Path(f"{stem}.spdx.json").write_text(json.dumps(bill, indent=1) + "\n")


main()
