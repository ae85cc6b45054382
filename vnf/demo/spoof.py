"""Sends what an honest B4 never sends, and waits for the relay to say so.

spoof.py B4 BR ADDRESS PORT: tunnels from B4 to BR a UDP packet whose IPv4 source is ADDRESS and
PORT, which belong to somebody else. Succeeds when the relay answers with ICMPv6 destination
unreachable, source address failed policy (1/5), about that very packet.
"""

import socket
import struct
import sys
import time

b4, br, address, port = sys.argv[1:]


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


payload = b"not mine"
udp = struct.pack("!HHHH", int(port), 53, 8 + len(payload), 0) + payload
ends = socket.inet_aton(address) + socket.inet_aton("198.51.100.10")
header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0x5AFE, 0x4000, 64, 17, 0) + ends
inner = header[:10] + struct.pack("!H", checksum(header)) + header[12:] + udp

errors = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
tunnel = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_IPIP)
tunnel.bind((b4, 0))
tunnel.sendto(inner, (br, 0))

deadline = time.monotonic() + 5
while (left := deadline - time.monotonic()) > 0:
    errors.settimeout(left)
    try:
        message, source = errors.recvfrom(2048)
    except socket.timeout:
        break
    # 8 bytes of ICMPv6 and 40 of our IPv6 header, then our packet (its TTL may have changed).
    if message[:2] == bytes([1, 5]) and message[48:56] == inner[:8]:
        if source[0] != br:
            sys.exit(f"the refusal came from {source[0]} instead of {br}")
        print(f"ICMPv6 1/5 (source address failed policy) from {source[0]}")
        sys.exit(0)
sys.exit("no ICMPv6 1/5 came back within 5 s")
