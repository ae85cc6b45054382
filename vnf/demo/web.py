"""A web server for one address, port 80 and one directory: web.py ADDRESS DIRECTORY.

`python3 -m http.server` asks the DNS for its own name first, and there is none here.
"""

import functools
import http.server
import socketserver
import sys

address, directory = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=directory)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer((address, 80), handler).serve_forever()
