"""The OpenStack templates, validated by Heat's engine."""

from collections.abc import Iterator

import pytest
import yaml
from cloud import TEMPLATES, cloud, plan
from heat.common import exception

from csar import flavours

MACHINE = {
    "flavor": "lwaftr.small",
    "image": "lwaftr",
    "management": "mgmt",
    "external": "outside",
    "internal": "inside",
    "configuration": "[external]\n",
}
RELAYS = {key: MACHINE[key] for key in ("management", "external", "internal")}


@pytest.fixture(scope="module", autouse=True)
def in_a_cloud() -> Iterator[None]:
    with cloud():
        yield


def read(name: str) -> str:
    return (TEMPLATES / name).read_text()


def test_a_machine() -> None:
    made = plan(read("machine.yaml"), MACHINE | {"softwires": "table\n"})
    for side in ("external", "internal"):
        port = made[f"{side}_port"].properties
        assert port["network"] == MACHINE[side]
        assert port["port_security_enabled"] is False
        assert port["no_fixed_ips"] is True
        assert port["binding:vnic_type"] == "normal"
    management = made["management_port"].properties
    assert management["port_security_enabled"] is None  # Neutron's default: on
    assert management["security_groups"] == ["default"]

    server = made["relay"].properties
    assert server["config_drive"] is True
    assert server["user_data_format"] == "RAW"
    assert server["availability_zone"] is None and server["key_name"] is None
    # Their order is the guest's.
    networks = yaml.safe_load(read("machine.yaml"))["resources"]["relay"]["properties"]["networks"]
    assert [network["port"]["get_resource"] for network in networks] == [
        "management_port",
        "external_port",
        "internal_port",
    ]

    files = made["day0"].properties["cloud_config"]["write_files"]
    assert {file["path"]: file["content"] for file in files} == {
        "/etc/lwaftr/lwaftr.toml": "[external]\n",
        "/etc/lwaftr/softwires.csv": "table\n",
    }


def test_a_machine_with_what_is_optional() -> None:
    made = plan(
        read("machine.yaml"),
        MACHINE | {"zone": "az1", "key_name": "ann", "group": "g", "vnic_type": "direct"},
    )
    server = made["relay"].properties
    assert (server["availability_zone"], server["key_name"]) == ("az1", "ann")
    assert server["scheduler_hints"] == {"group": "g"}
    assert made["internal_port"].properties["binding:vnic_type"] == "direct"


def test_relays_have_configurations_of_their_own() -> None:
    made = plan(
        read("relays.yaml"),
        RELAYS | {"relays": 3, "configurations": ["a", "b", "c"], "softwires": "table\n"},
    )
    assert made["apart"].properties["policies"] == ["anti-affinity"]
    group = below(made["group"])
    machines = [below(group[number])["relay"].properties for number in ("0", "1", "2")]
    assert [machine["configuration"] for machine in machines] == ["a", "b", "c"]
    assert {machine["management"] for machine in machines} == {"mgmt"}
    assert {machine["softwires"] for machine in machines} == {"table\n"}
    assert machines[0]["management_groups"] == ["default"]
    assert len(group.resources) == 3


def below(resource: object) -> object:
    """The stack that a resource stands for."""
    return resource._parse_nested_stack("below", resource.child_template(), resource.child_params())


def test_the_administrators_flavours_are_ours() -> None:
    made = plan(read("admin.yaml"), {"image_location": "https://images.example.net/lwaftr.qcow2"})
    for size in flavours.read():
        flavor = made[size.name].properties
        assert flavor["name"] == f"lwaftr.{size.name}"
        assert (flavor["vcpus"], flavor["ram"], flavor["disk"]) == (
            size.vcpus,
            size.memory,
            size.disk,
        )
        specs = flavor["extra_specs"]
        assert specs["hw:cpu_policy"] == "dedicated"
        assert specs["hw:mem_page_size"] == "large"
        assert specs["hw:numa_nodes"] == "1"
        assert specs["trait:HW_CPU_X86_AVX2"] == "required"
    smallest = flavours.read()[0]
    image = made["image"].properties
    assert (image["min_disk"], image["min_ram"]) == (smallest.disk, smallest.memory)
    assert image["extra_properties"]["hw_vif_multiqueue_enabled"] == "true"
    assert "hw_viommu_model" not in image["extra_properties"]

    made = plan(
        read("admin.yaml"), {"image_location": "https://x.example/", "viommu_model": "intel"}
    )
    assert made["image"].properties["extra_properties"]["hw_viommu_model"] == "intel"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("no_fixed_ips: true", "no_fixed_addresses: true", "Unknown Property no_fixed_addresses"),
        ("config_drive: true", "config_drive: perhaps", "is not a valid boolean"),
        ("OS::Nova::Server", "OS::Nova::Sever", "could not be found"),
        ("get_resource: day0", "get_resource: day1", "day1"),
    ],
)
def test_heat_refuses_what_is_wrong(old: str, new: str, says: str) -> None:
    text = read("machine.yaml")
    assert old in text
    with pytest.raises(exception.HeatException, match=says):
        plan(text.replace(old, new, 1), MACHINE)


def test_heat_refuses_values_that_cannot_be() -> None:
    with pytest.raises(exception.HeatException, match="vnic_type"):
        plan(read("machine.yaml"), MACHINE | {"vnic_type": "virtual"})
    with pytest.raises(exception.HeatException, match="relays"):
        plan(read("relays.yaml"), RELAYS | {"relays": 9, "configurations": []})
    missing = {name: value for name, value in MACHINE.items() if name != "configuration"}
    with pytest.raises(exception.HeatException, match="configuration"):
        plan(read("machine.yaml"), missing)


def test_templates_are_for_one_version_of_heat() -> None:
    versions = {
        yaml.safe_load(file.read_text())["heat_template_version"]
        for file in TEMPLATES.glob("*.yaml")
    }
    assert len(versions) == 1
