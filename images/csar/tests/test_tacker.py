"""What Tacker makes of the package: the stack that its standard user data hands to Heat."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cloud import cloud, plan
from tacker.sol_refactored.infra_drivers.openstack import userdata_standard

STANDARD = userdata_standard.StandardUserData
SIDES = {"management": "mgmt", "external": "outside", "internal": "inside"}


@pytest.fixture(scope="module", autouse=True)
def in_a_cloud() -> Iterator[None]:
    with cloud():
        yield


@pytest.fixture
def unpacked(built: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(built) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def requests(flavour: str, numbers: range) -> tuple[dict, dict, dict]:
    """What the orchestrator asks for and grants: these relays, each with its configuration."""
    configured = {
        f"relay-{number}": {"configuration": f"# {number}\n", "softwires": "table\n"}
        for number in numbers
    }
    request = {
        "flavourId": flavour,
        "type": "SCALE_OUT",
        "extVirtualLinks": [
            {"id": network, "resourceId": network, "extCps": [{"cpdId": side, "cpConfig": {}}]}
            for side, network in SIDES.items()
        ],
        "additionalParams": {"nfv": {"VDU": configured}},
    }
    added = [
        {"id": f"r{number}", "type": "COMPUTE", "resourceTemplateId": "relay"} for number in numbers
    ]
    grant = {
        "vimAssets": {
            "softwareImages": [{"vnfdSoftwareImageId": "relay", "vimSoftwareImageId": "image-id"}]
        },
        "zones": [{"id": "z", "zoneId": "az1"}],
        "addResources": [{"resourceDefinitionId": one["id"], "zoneId": "z"} for one in added],
    }
    return request, {"addResources": added}, grant


def machines(fields: dict, files: dict[str, str]) -> dict[str, dict]:
    """The properties of each machine in the stack, which Heat has validated."""
    made = plan(fields["template"], fields["parameters"], files)
    return {name: made[name].properties for name in made.resources}


@pytest.mark.parametrize("flavour", ["small", "medium", "large"])
def test_a_pair_is_instantiated(unpacked: Path, flavour: str) -> None:
    request, asked, grant = requests(flavour, range(2))
    fields = STANDARD.instantiate(request, {"vnfdId": "x"}, asked, grant, str(unpacked))
    assert list(fields["files"]) == ["machine.yaml"]
    pair = machines(fields, fields["files"])
    assert sorted(pair) == ["relay-0", "relay-1"]
    for number in range(2):
        machine = pair[f"relay-{number}"]
        assert machine["configuration"] == f"# {number}\n"
        assert machine["softwires"] == "table\n"
        # The flavour's name comes from the descriptor, the image from the grant.
        assert machine["flavor"] == f"lwaftr.{flavour}"
        assert (machine["image"], machine["zone"]) == ("image-id", "az1")
        assert {side: machine[side] for side in SIDES} == SIDES


def test_one_more_is_added(unpacked: Path) -> None:
    request, asked, grant = requests("small", range(1, 2))
    links = [
        {
            "id": network,
            "resourceHandle": {"resourceId": network},
            "currentVnfExtCpData": [{"cpdId": side, "cpConfig": {}}],
        }
        for side, network in SIDES.items()
    ]
    instance = {
        "vnfdId": "x",
        "instantiatedVnfInfo": {
            "flavourId": "small",
            "vnfcResourceInfo": [{"vduId": "relay"}],
            "extVirtualLinkInfo": links,
        },
    }
    fields = STANDARD.scale(request, instance, asked, grant, str(unpacked))
    files = {"machine.yaml": (unpacked / "BaseHOT/small/nested/machine.yaml").read_text()}
    added = machines(fields, files)
    assert list(added) == ["relay-1"]
    assert added["relay-1"]["configuration"] == "# 1\n"
    assert added["relay-1"]["external"] == "outside"


def test_without_a_configuration_heat_refuses(unpacked: Path) -> None:
    request, asked, grant = requests("small", range(1))
    del request["additionalParams"]
    fields = STANDARD.instantiate(request, {"vnfdId": "x"}, asked, grant, str(unpacked))
    assert yaml.safe_load(fields["template"])["resources"].keys() == {"relay-0"}
    with pytest.raises(Exception, match="configuration"):
        plan(fields["template"], fields["parameters"], fields["files"])
