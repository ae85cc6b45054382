"""Packages that must be refused, each with words that say why."""

import random
import zipfile
from pathlib import Path

import pytest
from conftest import change, make_again

from csar import flavours, loaders, verify

IMAGE = "Files/images/lwaftr-0.0.0.qcow2"
SMALL = "Definitions/lwaftr_small.yaml"


def problems(package: Path) -> list[str]:
    return verify.verify(package).problems


def refusal(package: Path) -> str:
    """What the loaders say of a package whose hashes are right."""
    assert problems(package) == []
    return "\n".join(loaders.load(package, flavours.read()))


def replace(place: str, old: str, new: str):
    def how(files: dict[str, bytes]) -> None:
        text = files[place].decode()
        assert old in text, f"{old} is not in {place}"
        files[place] = text.replace(old, new, 1).encode()

    return how


def test_a_tampered_image(package: Path) -> None:
    def flip(files: dict[str, bytes]) -> None:
        files[IMAGE] = files[IMAGE][:-1] + b"\x00"

    change(package, flip)
    [problem] = problems(package)
    assert problem.startswith(f"{IMAGE}: was changed: its SHA-256 is ")
    # This is why we look ourselves.
    assert loaders.load(package, flavours.read()) == []


def test_a_tampered_image_with_a_manifest_to_match(package: Path) -> None:
    def flip(files: dict[str, bytes]) -> None:
        files[IMAGE] = files[IMAGE][:-1] + b"\x00"

    make_again(package, flip)
    found = problems(package)
    assert len(found) == 3
    assert all("relay: says that the SHA-256 of" in problem for problem in found)


@pytest.mark.parametrize("place", [IMAGE, SMALL, "ChangeLog.txt", "Files/Licenses/LICENSE"])
def test_a_missing_file(package: Path, place: str) -> None:
    change(package, lambda files: files.pop(place))
    assert f"{place}: is missing, but lwaftr.mf lists it" in problems(package)


def test_a_missing_image_that_nobody_lists(package: Path) -> None:
    make_again(package, lambda files: files.pop(IMAGE))
    assert f"{SMALL}: relay: its image {IMAGE} is not in the package" in problems(package)


def test_missing_entries_of_the_meta_file(package: Path) -> None:
    def without(files: dict[str, bytes]) -> None:
        for place in [place for place in files if place.startswith("Files/Tests/")]:
            del files[place]

    make_again(package, without)
    assert problems(package) == [
        "Files/Tests: is missing: TOSCA-Metadata/TOSCA.meta names it as ETSI-Entry-Tests"
    ]


def test_no_meta_file_and_no_manifest(package: Path) -> None:
    change(package, lambda files: files.pop("lwaftr.mf"))
    assert problems(package) == ["lwaftr.mf: is missing"]
    change(package, lambda files: files.pop("TOSCA-Metadata/TOSCA.meta"))
    assert problems(package) == ["TOSCA-Metadata/TOSCA.meta: is missing"]


def test_a_file_that_nobody_lists(package: Path) -> None:
    change(package, lambda files: files.update({"Files/Tests/more.sh": b"rm -rf /"}))
    assert problems(package) == ["Files/Tests/more.sh: is in the package, but not in lwaftr.mf"]


@pytest.mark.parametrize("place", ["../../etc/passwd", "/etc/passwd"])
def test_a_file_that_leads_out(package: Path, place: str) -> None:
    change(package, lambda files: files.update({place: b"root::0:0"}))
    assert problems(package) == [f"{place}: leads out of the package"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice(package: Path) -> None:
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr("ChangeLog.txt", "another")
    assert problems(package) == ["ChangeLog.txt: is in the package more than once"]


def test_what_is_no_archive(package: Path, tmp_path: Path) -> None:
    package.write_bytes(package.read_bytes()[:-100])
    [problem] = problems(package)
    assert "cannot be read as an archive" in problem
    [problem] = problems(tmp_path / "none.csar")
    assert "cannot be read as an archive" in problem


def test_no_damage_goes_unnoticed(built: Path, package: Path) -> None:
    """One byte at a time, anywhere: what is still accepted has the same files with the same bytes."""

    def files(path: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(path) as archive:
            return {place: archive.read(place) for place in archive.namelist()}

    sound, content = built.read_bytes(), files(built)
    chance = random.Random(7596)
    noticed = 0
    for _ in range(100):
        damaged = bytearray(sound)
        damaged[chance.randrange(len(sound))] ^= 1 << chance.randrange(8)
        package.write_bytes(damaged)
        if problems(package):
            noticed += 1
        else:
            assert files(package) == content
    # The rest hit dates and permissions, of which an archive has little.
    assert noticed > 90


@pytest.mark.parametrize(
    "descriptor",
    [
        "",
        "[]",
        "a: [",
        "topology_template: 7",
        "topology_template: { node_templates: { a: { artifacts: { b: c } } } }",
    ],
)
def test_a_descriptor_that_is_none(package: Path, descriptor: str) -> None:
    make_again(package, lambda files: files.update({SMALL: descriptor.encode()}))
    [problem] = problems(package)
    assert problem.startswith(f"{SMALL}: ")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Algorithm: SHA-256", "Algorithm: MD5", "the algorithm must be SHA-256"),
        ("metadata:", "data:", 'must begin with "metadata:"'),
        ("  vnf_provider_id: lwaftr\n", "", "metadata: vnf_provider_id is missing"),
        ("Hash: ", "Sum: ", "must have Source, Algorithm and Hash"),
        ("Source: ChangeLog.txt", "Source ChangeLog.txt", "is not a name and a value"),
        ("Source: ChangeLog.txt", "Source: Definitions/lwaftr_large.yaml", "stands there twice"),
    ],
)
def test_a_manifest_that_is_none(package: Path, old: str, new: str, says: str) -> None:
    change(package, replace("lwaftr.mf", old, new))
    [problem] = problems(package)
    assert says in problem


# tosca-parser reports these all at once.
WRONG = [
    # Properties that no type has: of the VNF, a VDU, a connection point, the CPU.
    (
        "        flavour_id: small\n        flavour",
        "        colour: red\n        flavour",
        '"colour"',
    ),
    ("        name: relay\n", "        nam: relay\n", '"nam"'),
    ("vnic_type: normal", "vnic_kind: normal", '"vnic_kind"'),
    ("cpu_architecture:", "cpu_colour:", '"cpu_colour"'),
    # Values that cannot be.
    ("num_virtual_cpu: 2", "num_virtual_cpu: 0", 'The value "0" of property "num_virtual_cpu"'),
    ("disk_format: qcow2", "disk_format: floppy", 'The value "floppy" of property "disk_format"'),
    (
        "pinning_policy: static",
        "pinning_policy: maybe",
        'The value "maybe" of property "virtual_cpu',
    ),
]


def test_a_descriptor_with_wrong_properties(package: Path) -> None:
    def how(files: dict[str, bytes]) -> None:
        for old, new, _ in WRONG:
            replace(SMALL, old, new)(files)

    make_again(package, how)
    said = refusal(package)
    assert said.startswith("tacker refuses the package: ")
    for _, _, says in WRONG:
        assert says in said
    # The parser's traceback is nobody's business.
    assert "File " not in said and ", line " not in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        # What is referred to must exist.
        ("type: tosca.nodes.nfv.VduCp", "type: tosca.nodes.nfv.Plug", "tosca.nodes.nfv.Plug"),
        ("default_level: single", "default_level: none", "Level none not found"),
        ("pair: { number_of_instances: 2 }", "lone: { number_of_instances: 2 }", "lone not found"),
    ],
)
def test_a_descriptor_that_refers_to_nothing(package: Path, old: str, new: str, says: str) -> None:
    make_again(package, replace(SMALL, old, new))
    said = refusal(package)
    assert said.startswith("tacker refuses the package: ")
    assert says in said


def test_a_descriptor_that_means_something_else(package: Path) -> None:
    def how(files: dict[str, bytes]) -> None:
        replace(SMALL, "num_virtual_cpu: 2", "num_virtual_cpu: 3")(files)
        replace(SMALL, "number_of_instances: 4", "number_of_instances: 5")(files)

    make_again(package, how)
    assert refusal(package).splitlines() == [
        "flavour small: CPUs: tacker reads 3, not 2",
        "flavour small: relays by level: tacker reads [1, 2, 5], not [1, 2, 4]",
    ]
