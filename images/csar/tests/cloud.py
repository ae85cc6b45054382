"""Heat's own engine on our templates, with a cloud that has every network, image and flavour.

What is validated is what Heat validates when it is given a template: resource types, properties and
their types, parameters and constraints, references, nested templates.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from heat.common import messaging, policy, template_format
from heat.engine import constraints, environment, resource, resources, stack, template
from heat.engine.clients.os import glance, keystone, nova
from heat.engine.clients.os.keystone import fake_keystoneclient
from heat.tests import utils

TEMPLATES = Path(__file__).parents[2] / "heat"


@contextlib.contextmanager
def cloud() -> Iterator[None]:
    logging.disable(logging.ERROR)
    image = SimpleNamespace(status="active", min_ram=4096, min_disk=8)
    flavor = SimpleNamespace(ram=4096, disk=8)
    limits = {"maxPersonality": 5, "maxPersonalitySize": 10240, "maxServerMeta": 128}
    replaced = [
        (constraints.CustomConstraint, "validate", True),
        (resource.Resource, "is_service_available", (True, None)),
        (policy.ResourceEnforcer, "enforce", None),
        (keystone.KeystoneClientPlugin, "_create", fake_keystoneclient.FakeKeystoneClient()),
        (glance.GlanceClientPlugin, "get_image", image),
        (nova.NovaClientPlugin, "get_flavor", flavor),
        (nova.NovaClientPlugin, "is_version_supported", True),
        (nova.NovaClientPlugin, "absolute_limits", limits),
    ]
    with contextlib.ExitStack() as patches:
        for owner, name, value in replaced:
            patches.enter_context(mock.patch.object(owner, name, return_value=value))
        resources.initialise()
        messaging.setup("fake://", optional=True)
        utils.setup_dummy_db()
        yield
    logging.disable(logging.NOTSET)


def plan(text: str, parameters: dict, files: dict[str, str] | None = None) -> stack.Stack:
    """A stack as it would be made, validated. Raises what Heat says."""
    files = files or {file.name: file.read_text() for file in TEMPLATES.glob("*.yaml")}
    parsed = template.Template(
        template_format.parse(text),
        files=files,
        env=environment.Environment({"parameters": parameters}),
    )
    made = stack.Stack(utils.dummy_context(), "test", parsed)
    made.validate()
    return made
