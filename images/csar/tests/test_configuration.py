"""Configurable properties: what the descriptor takes is what the program takes."""

import copy
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, make_again

from csar import Wrong, flavours, keys, loaders, user_data

TABLE = (ROOT / "configs/softwires.csv").read_text()

# One of every kind: strings, lists, a single value for a list, booleans, words, and the numbers that
# a word could stand for.
GOOD = {
    "instance": {"log-format": "json", "shutdown-grace": 30},
    "workers": {"cpus": [1]},
    "external": {
        "port": "nic:1",
        "address": ["192.0.2.2/24"],
        "next-hop": ["192.0.2.1"],
        "proxy-arp": True,
        "egress-filter": "not (tcp dst port 25) and not host 198.51.100.1",
    },
    "internal": {
        "port": "mac:52:54:00:00:00:02",
        "address": ["2001:db8:0:1::2/64"],
        "next-hop": ["2001:db8:0:1::1"],
        "mtu": 1540,
    },
    "softwires": {"br-addresses": ["2001:db8:ffff::1"], "file": "softwires.csv"},
    "softwire": [
        {
            "ipv4": "203.0.113.1",
            "psid-offset": 6,
            "psid-len": 8,
            "psid": 52,
            "b4-ipv6": "2001:db8:0:100::1",
        },
        {"ipv4": "203.0.113.9", "b4-ipv6": "2001:db8:0:100::9"},
    ],
    "policy": {"hairpinning": "local", "dscp": "46", "mss-clamp": "1400", "flow-label": "hash"},
    "softwires-csv": TABLE,
}


def with_properties(package: Path, properties: dict) -> list[str]:
    """What the loaders say when the descriptor has these properties as values."""

    def how(files: dict[str, bytes]) -> None:
        place = "Definitions/lwaftr_small.yaml"
        template = yaml.safe_load(files[place])
        node = template["topology_template"]["node_templates"]["VNF"]
        node["properties"]["configurable_properties"] = {
            "additional_configurable_properties": properties
        }
        files[place] = yaml.safe_dump(template, sort_keys=False).encode()

    make_again(package, how)
    return loaders.load(package, flavours.read())


def test_the_descriptor_has_every_key_of_the_manual(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        types = yaml.safe_load(archive.read("Definitions/lwaftr_types.yaml"))["data_types"]
    whole = types["lwaftr.datatypes.Configuration"]["properties"]
    # The commented configuration has all keys, as a test of the program makes sure.
    text = (ROOT / "configs/lwaftr.toml").read_text()
    table = None
    seen = 0
    for line in text.splitlines():
        if found := re.match(r"\[+([a-z]+)\]+$", line):
            table = found[1]
            assert table in whole
        elif found := re.match(r"(?:# )?([a-z0-9-]+) = ", line):
            seen += 1
            properties = types[f"lwaftr.datatypes.configuration.{table}"]["properties"]
            assert found[1] in properties, f"{table}.{found[1]}"
    assert seen == sum(len(table.keys) for table in keys.read()) > 0


def test_the_descriptor_takes_what_the_program_takes(
    package: Path, program: Path, tmp_path: Path
) -> None:
    assert with_properties(package, GOOD) == []

    config = yaml.safe_load(user_data.write(GOOD))
    for file in config["write_files"]:
        assert (file["owner"], file["permissions"]) == ("root:lwaftr", "0640")
        (tmp_path / Path(file["path"]).name).write_text(file["content"])
    assert [file["path"] for file in config["write_files"]] == [
        "/etc/lwaftr/lwaftr.toml",
        "/etc/lwaftr/softwires.csv",
    ]
    done = subprocess.run(
        [program, "check", tmp_path / "lwaftr.toml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "softwires.csv").read_text() == TABLE
    # They have arrived: one from each of the two kinds of values that change on the way.
    text = (tmp_path / "lwaftr.toml").read_text()
    assert "dscp = 46\n" in text and 'flow-label = "hash"\n' in text


def test_the_descriptor_refuses_what_is_wrong(package: Path) -> None:
    wrong = copy.deepcopy(GOOD)
    wrong["externals"] = {"port": "x"}
    wrong["external"] |= {"colour": "red", "proxy-arp": "perhaps"}
    del wrong["external"]["port"]
    wrong["internal"]["mtu"] = 100
    wrong["policy"]["hairpinning"] = "sideways"
    said = "\n".join(with_properties(package, wrong))
    assert said.startswith("tacker refuses the package: ")
    for says in [
        'contains unknown field "externals"',
        'contains unknown field "colour"',
        '"perhaps" is not a boolean',
        "is missing required field \"['port']\"",
        'The value "100" of property "mtu" is out of range',
        'The value "sideways" of property "hairpinning" is not valid',
    ]:
        assert says in said


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        (
            {"external": {"prot": "x"}},
            "external.prot: there is no such property; perhaps external.port is meant",
        ),
        ({"extrenal": {}}, "extrenal: there is no such property; perhaps external is meant"),
        ({"zzz": {}}, "zzz: there is no such property; there are instance, workers"),
        ({"internal": {"mtu": "big"}}, 'internal.mtu: "big" is not an integer from 1280 to 9000'),
        ({"internal": {"mtu": True}}, "internal.mtu: true is not an integer from 1280 to 9000"),
        ({"external": {"proxy-arp": 1}}, "external.proxy-arp: 1 is not true or false"),
        ({"external": {"mac": ["x"]}}, 'external.mac: ["x"] is not a MAC address'),
        ({"external": "x"}, "external: must have the keys of [external]"),
        ({"softwires-csv": 7}, "softwires-csv: must be the text of a table file"),
    ],
)
def test_user_data_is_not_made_of_what_is_wrong(properties: dict, says: str) -> None:
    with pytest.raises(Wrong, match=re.escape(says)):
        user_data.write(properties)


def test_text_of_all_kinds_arrives(tmp_path: Path) -> None:
    filter_ = 'host "a\\b" or\n\tport 80 # é'
    config = yaml.safe_load(user_data.write({"external": {"egress-filter": filter_}}))
    assert tomllib.loads(config["write_files"][0]["content"]) == {
        "external": {"egress-filter": filter_}
    }
