#!/usr/bin/env python3
"""An HTTP server that writes one line for each request to its standard output: ledger_server.py PORT."""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        sys.stdout.write(f"served {self.path[1:]} to {self.client_address[0]}\n")
        sys.stdout.flush()
        body = self.path[1:].encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
