"""connect.py PORT: joins its input and output to a server on this host."""

import os
import socket
import sys
import threading

server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))


def send():
    while data := os.read(0, 65536):
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
while answer := server.recv(65536):
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
