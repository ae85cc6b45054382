"""How a machine gets its user data: a NoCloud seed, a config drive, or OpenStack's metadata service."""

import http.server
import json
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import yaml

CONNECT = Path(__file__).with_name("connect.py")


def volume(path, label, directory):
    """A volume with a directory's files."""
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-J", "-r", "-V", label, "-o", path, directory],
                   check=True, stderr=subprocess.DEVNULL)
    return path


def text(user_data):
    return "#cloud-config\n" + yaml.safe_dump(user_data)


def no_cloud(directory, name, key, user_data):
    """What `cloud-localds` makes; the key comes by the user data."""
    place = Path(directory) / f"{name}.seed"
    place.mkdir()
    (place / "user-data").write_text(text({"ssh_authorized_keys": [key], **user_data}))
    (place / "meta-data").write_text(f"instance-id: {name}\nlocal-hostname: {name}\n")
    return volume(Path(directory) / f"{name}.iso", "CIDATA", place)


def openstack(name, key, user_data, cards):
    """The files that Nova serves, and writes to config drives. The key is OpenStack's own word, not the
    user data's. Of the cards, the first is on a network with DHCP, as the management is; the data ports
    have no addresses of Neutron's."""
    links = [{"id": f"tap{number}", "type": "ovs", "mtu": 1500, "ethernet_mac_address": mac}
             for number, mac in enumerate(cards)]
    networks = [{"id": "network0", "type": "ipv4_dhcp", "link": "tap0", "network_id": str(uuid.uuid4())}]
    meta_data = {"uuid": str(uuid.uuid4()), "name": name, "hostname": f"{name}.novalocal", "launch_index": 0,
                 "availability_zone": "nova", "public_keys": {"operator": key}}
    return {
        "meta_data.json": json.dumps(meta_data),
        "network_data.json": json.dumps({"links": links, "networks": networks, "services": []}),
        "user_data": text(user_data),
    }


def config_drive(directory, name, files):
    place = Path(directory) / f"{name}.drive"
    for version in ("2018-08-27", "latest"):
        one = place / "openstack" / version
        one.mkdir(parents=True)
        for file, content in files.items():
            (one / file).write_text(content)
    return volume(Path(directory) / f"{name}.iso", "config-2", place)


class MetadataService:
    """Nova's, at 169.254.169.254 of the management network: QEMU hands each connection to a program,
    which joins it to the server here."""

    def __init__(self, files):
        answers = {"/openstack": "2018-08-27\nlatest"}
        answers |= {f"/openstack/{version}/{file}": content
                    for version in ("2018-08-27", "latest") for file, content in files.items()}
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                content = answers.get(self.path.rstrip("/"))
                body = (content or "").encode()
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def network(self):
        """For QEMU's user network."""
        program = f"{sys.executable} {CONNECT} {self.server.server_port}"
        return f"net=169.254.0.0/16,guestfwd=tcp:169.254.169.254:80-cmd:{program}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
