"""Hands a package to what reads it elsewhere: tosca-parser, and OpenStack's Tacker, which is a VNFM."""

import contextlib
import logging
import re
import tempfile
import warnings
import zipfile
from pathlib import Path

from .flavours import Flavour


def load(path: Path, flavours: list[Flavour]) -> list[str]:
    """What they object to, and what they read other than it was meant."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as directory:
            warnings.simplefilter("ignore")
            return _tacker(path, Path(directory), flavours)
    finally:
        logging.disable(logging.NOTSET)


def _tacker(path: Path, directory: Path, flavours: list[Flavour]) -> list[str]:
    # They take a second to import; what needs neither shall not wait for them.
    from tacker.common import csar_utils, exceptions
    from tacker.sol_refactored.common import vnfd_utils

    csar_utils.CONF.set_override("vnf_package_csar_path", str(directory), "vnf_package")
    try:
        # This runs tosca-parser on the descriptor, with all types and values.
        with contextlib.redirect_stdout(None):
            data, known, _ = csar_utils.load_csar_data(None, "package", str(path))
    except (exceptions.TackerException, zipfile.BadZipFile) as error:
        return [f"tacker refuses the package: {_words(error)}"]

    names = [flavour.name for flavour in flavours]
    if sorted(flavour["flavour_id"] for flavour in known) != sorted(names):
        return [f"tacker finds other flavours than {', '.join(names)}"]
    problems = [
        f"flavour {flavour['flavour_id']}: tacker finds no image"
        for flavour in known
        if len(flavour.get("sw_images", [])) != 1
    ]
    vnfd = vnfd_utils.Vnfd(data["descriptor_id"])
    vnfd.init_from_csar_dir(str(directory / "package"))
    for flavour in flavours:
        problems += _flavour(vnfd, flavour)
    return problems


def _flavour(vnfd: object, flavour: Flavour) -> list[str]:
    """What tacker's second API reads of a flavour, against what was meant."""
    name = flavour.name
    vdus = vnfd.get_vdu_nodes(name)
    if list(vdus) != ["relay"]:
        return [f"flavour {name}: tacker finds the VDUs {list(vdus)}"]
    compute = vdus["relay"]["capabilities"]["virtual_compute"]["properties"]
    relays = [vnfd.get_vdu_num(name, "relay", level) for level in ("single", "pair", "quad")]
    reads = {
        "CPUs": (compute["virtual_cpu"]["num_virtual_cpu"], flavour.vcpus),
        "memory": (compute["virtual_memory"]["virtual_mem_size"], f"{flavour.memory} MiB"),
        "connection points": (
            sorted(vnfd.get_vdu_cps(name, "relay")),
            ["external", "internal", "management"],
        ),
        "relays by level": (relays, [1, 2, 4]),
        "default level": (vnfd.get_default_instantiation_level(name), "single"),
        "scaling": (vnfd.get_scale_vdu_and_num(name, "relays"), {"relay": 1}),
        "most relays": (vnfd.get_max_scale_level(name, "relays"), 7),
        "relays kept apart": (vnfd.get_anti_affinity_targets(name), [(["relay"], "nfvi_node")]),
        "OpenStack's flavour": (vnfd.get_compute_flavor(name, "relay"), f"lwaftr.{name}"),
        "a Heat template": (bool(vnfd.get_base_hot(name).get("template")), True),
    }
    return [
        f"flavour {name}: {what}: tacker reads {seen}, not {meant}"
        for what, (seen, meant) in reads.items()
        if seen != meant
    ]


def _words(error: Exception) -> str:
    """What is wrong, without where in the parser that was noticed."""
    found = re.findall(r"^\s*\w+(?:Error|Exception): (.+)$", str(error), re.MULTILINE)
    return "; ".join(dict.fromkeys(found)) or " ".join(str(error).split())
