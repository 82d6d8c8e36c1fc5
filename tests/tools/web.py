# usage: web.py PORT TEXT: answers each request with "CLIENT-ADDRESS TEXT", on IPv4 and IPv6
import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)  # HTTPServer's would ask for our name


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.client_address[0].removeprefix('::ffff:')} {sys.argv[2]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


Server(("::", int(sys.argv[1])), Handler).serve_forever()
