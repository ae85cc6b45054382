"""A mistake in the user data, which OpenStack's metadata service serves: the machine is reachable, says
what is wrong, and can be mended."""

import pytest

import relay as lab


@pytest.fixture(scope="module")
def relay(image, directory):
    toml = lab.config(external="nic:0").replace("mtu = 1540", "mtu = 900")
    relay = lab.on_sockets(image, directory, "bad", toml, cloud="OpenStack")
    yield relay.start()
    relay.stop()


def test_the_console_says_file_line_and_what_is_wrong(relay):
    relay.machine.wait_for_console(
        "/etc/lwaftr/lwaftr.toml:10: internal.mtu: 900 is not accepted: must be an integer from 1280 to 9000")


def test_the_machine_is_reachable_and_the_journal_says_so_too(relay):
    relay.machine.wait_for_ssh()
    journal = relay.machine.ssh("journalctl --no-pager -u lwaftr-prepare -u lwaftr")
    assert "internal.mtu: 900 is not accepted" in journal


def test_the_user_data_came_from_the_metadata_service(relay):
    assert "DataSourceOpenStack" in relay.machine.ssh("cat /var/lib/cloud/instance/datasource")
    assert any(path.endswith("/user_data") for path in relay.machine.metadata.asked)


def test_the_management_card_is_not_taken(relay):
    relay.machine.copy(lab.config(external="nic:0"), "/etc/lwaftr/lwaftr.toml")
    relay.machine.ssh("sudo systemctl reset-failed lwaftr; sudo systemctl restart lwaftr", check=False, seconds=300)
    relay.machine.wait_for_console("(enp0s16) has the only default route of this machine: it would be cut off", 60)
    # The relay's own refusal, and the doctor's, follow.
    relay.machine.wait_for_console("problem  port-binding", 120)
    relay.machine.ssh("true")


def test_mended_it_forwards(relay):
    relay.machine.copy(lab.config(), "/etc/lwaftr/lwaftr.toml")
    relay.machine.ssh("sudo systemctl reset-failed lwaftr; sudo systemctl restart lwaftr", seconds=300)
    relay.wait_until_it_forwards(60)
