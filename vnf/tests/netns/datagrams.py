"""Datagrams of any size and protocol between real stacks, compared byte for byte.

datagrams.py answer PROTOCOL ADDRESS       answers what is sent there, until it is ended
datagrams.py ask PROTOCOL FROM TO SIZE...  sends a datagram of each size, and waits for its answer

PROTOCOL is `udp:PORT`, or the number of an IP protocol. A datagram's bytes follow from its size; who
answers compares them and sends them back in reverse, so that both ways are checked. Asking is done
three times before it fails: first packets may wait for a neighbour.
"""

import random
import socket
import sys

verb, protocol, address, *rest = sys.argv[1:]
port = int(protocol.removeprefix("udp:")) if protocol.startswith("udp:") else 0


def content(size):
    return random.Random(size).randbytes(size)


def opened(at, bound_port):
    if port:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    else:
        opened = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(protocol))
    opened.bind((at, bound_port))
    return opened


def received(ends):
    """The datagram without its IPv4 header, which raw sockets hand over, and where it is from."""
    data, source = ends.recvfrom(65535)
    return (data if port else data[(data[0] & 15) * 4 :]), source


def answer():
    here = opened(address, port)
    print("ready", flush=True)
    while True:
        data, source = received(here)
        if data == content(len(data)):
            here.sendto(data[::-1], source)
        else:
            print(f"{len(data)} bytes from {source} are not what was sent", file=sys.stderr)


def ask():
    to, sizes = rest[0], [int(size) for size in rest[1:]]
    here = opened(address, 0)
    here.settimeout(3)
    for size in sizes:
        for _ in range(3):
            here.sendto(content(size), (to, port))
            try:
                data, source = received(here)
            except TimeoutError:
                continue
            if source[0] != to or data != content(size)[::-1]:
                sys.exit(f"{len(data)} bytes from {source} do not answer {size} bytes to {to}")
            print(f"{protocol}: {size} bytes there and back")
            break
        else:
            sys.exit(f"{protocol}: no answer to {size} bytes from {address} to {to}")


{"answer": answer, "ask": ask}[verb]()
