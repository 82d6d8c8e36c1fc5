#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that misbehaves, one way for each repository name.

usage: hostile-registry.py ADDRESS PORT LOG [CERTIFICATE KEY [CLIENT-CA]]

Prints "ready" when it listens. LOG gets a line for each request: METHOD PATH AUTHORIZATION RANGE. With CLIENT-CA clients need a
certificate, and those who show the foreign host theirs have the word "certified" in front.
A second, foreign host listens on PORT + 1: where redirects lead.
"""
import base64, gzip, hashlib, http.server, io, json, os, ssl, subprocess, sys, tarfile, threading, time

ADDRESS, PORT, LOG = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "a", buffering=1)
BIG = 40 << 20  # bytes: three chunks of a download


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                tar.addfile(info)
    return out.getvalue()


class Image:
    def __init__(self, layer, plain=None, diff_id=None, size=None, media=".gzip"):
        self.blobs = {}
        plain = layer if plain is None else plain
        config = json.dumps({"architecture": os.environ.get("ARCH", "amd64"), "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id or digest(plain)]}}).encode()
        self.layer = self.add(layer)
        self.manifest = json.dumps({"schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": self.add(config), "size": len(config)},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar" + media,
                "digest": self.layer, "size": size or len(layer)}]}).encode()

    def add(self, data):
        self.blobs[digest(data)] = data
        return digest(data)


def packed(entries, **more):
    plain = make_tar(entries)
    return Image(gzip.compress(plain, 1), plain, **more)


FILE = tarfile.REGTYPE


def big():
    return Image(make_tar([("noise", FILE, os.urandom(BIG))]), media="")


def bomb():
    plain = make_tar([("zeros", FILE, bytes(150 << 20))])
    return Image(gzip.compress(plain, 1), plain)


def zstd_bomb():
    plain = make_tar([("zeros", FILE, bytes(150 << 20))])
    return Image(subprocess.run(["zstd", "-q", "-19"], input=plain, stdout=subprocess.PIPE).stdout, plain, media="")


MAKERS = {
    "zbomb": lambda: zstd_bomb(),
    "deep": lambda: packed([("d/" * 300 + "f", FILE, b"x")]),
    "manyfiles": lambda: packed([("f%d" % i, FILE, b"") for i in range(2000)]),
    "good": lambda: packed([("hello", FILE, b"world\n")]),
    "big": big, "flaky": big, "norange": big, "slow": big, "held": big, "bomb": bomb,
    "diffid": lambda: packed([("hello", FILE, b"x")], diff_id=digest(b"another")),
    "dotdot": lambda: packed([("../escaped", FILE, b"x")]),
    "symlink": lambda: packed([("l", tarfile.SYMTYPE, "/"), ("l/escaped", FILE, b"x")]),
    "garbage": lambda: Image(b"\x1f\x8b" + os.urandom(5000)),
    "cut": lambda: Image(gzip.compress(make_tar([("noise", FILE, os.urandom(100000))]))[:5000]),
}
images, images_lock = {}, threading.Lock()


def image_of(name):
    """Made when it is first asked for: some take a while."""
    name = name if name in MAKERS else "good"
    with images_lock:
        if name not in images:
            images[name] = MAKERS[name]()
        return images[name]


counts = {}


def certified(handler):
    return isinstance(handler.connection, ssl.SSLSocket) and handler.connection.getpeercert()



class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    foreign = False

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=(), length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        LOG.write("%s%s%s %s %s %s\n" % ("certified " if self.foreign and certified(self) else "",
            "foreign " if self.foreign else "", self.command, self.path,
            self.headers.get("Authorization", "-"), self.headers.get("Range", "-")))
        try:
            self.route()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def route(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        if self.path == "/v2/":
            return self.answer(200, b"{}")
        if parts[0] == "token":
            return self.token()
        if parts[1:] == ["pushaway", "blobs", "uploads"] and self.command == "POST":
            if self.allowed("basic"):
                where = "http://%s:%d/v2/pushaway/blobs/uploads/1" % (ADDRESS, PORT + 1)
                self.answer(202, b"", [("Location", where)])
            return
        if len(parts) != 4 or self.command not in ("GET", "HEAD"):
            return self.answer(404, b"{}")
        name, kind, what = parts[1:]
        if name in ("bearer", "basic") and not self.allowed(name):
            return
        if kind == "manifests":
            return self.manifest(name, image_of(name), what)
        image = image_of(name)
        if what not in image.blobs:
            return self.answer(404, b"{}")
        self.blob(name, image, what, image.blobs[what])

    def allowed(self, name):
        given = self.headers.get("Authorization", "")
        want = "Bearer secret-token" if name == "bearer" else "Basic " + base64.b64encode(b"user:pass").decode()
        if given == want:
            return True
        scheme = 'Bearer realm="http://%s:%d/token",service="test",scope="repository:bearer:pull"' % (ADDRESS, PORT)
        self.answer(401, b"{}", [("WWW-Authenticate", scheme if name == "bearer" else 'Basic realm="x"')])

    def token(self):
        want = "Basic " + base64.b64encode(b"user:pass").decode()
        if self.headers.get("Authorization") != want:
            return self.answer(401, b"{}")
        self.answer(200, json.dumps({"token": "secret-token"}).encode())

    def manifest(self, name, image, what):
        kind = [("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")]
        body = image.manifest
        if name == "hugemanifest":
            return self.answer(200, b" " * (5 << 20), kind)
        if name == "endlessmanifest":
            return self.endless()
        if name == "wrongtype":
            kind = [("Content-Type", "application/vnd.oci.image.index.v1+json")]
        if name == "ambiguous":
            body = json.dumps({**json.loads(body), "manifests": []}).encode()
        if name == "schema1":
            body, kind = b'{"schemaVersion":1,"name":"x"}', []
        if name == "longer":
            document = json.loads(body)
            document["layers"][0]["size"] -= 1
            body = json.dumps(document).encode()
        if name == "shorter":
            document = json.loads(body)
            document["layers"][0]["size"] += 10
            body = json.dumps(document).encode()
        if name in ("inject-layer", "inject-config"):
            document = json.loads(body)
            where = document["layers"][0] if name == "inject-layer" else document["config"]
            where["digest"] = "sha256:../../../../injected"
            body = json.dumps(document).encode()
        if name == "inject-index":
            body = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": len(body),
                "digest": "../../../../injected", "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
            kind = [("Content-Type", "application/vnd.oci.image.index.v1+json")]
        if name == "inject-header":
            kind.append(("Docker-Content-Digest", "sha256:../../../../injected"))
        if name == "uppercase":
            document = json.loads(body)
            document["config"]["digest"] = document["config"]["digest"].replace("sha256:", "SHA256:")
            body = json.dumps(document).encode()
        if name == "bydigest" and what.startswith("sha256:"):
            body = body + b"\n"
        if name == "warning":
            kind.append(("Warning", '299 - "this image is \\"really\\" going to go away"'))
            kind.append(("Warning", '110 - "a cache\'s affair"'))
        if name == "many":
            self.answer(429, b"{}", [("Retry-After", "0")])
            return
        self.answer(200, body, kind)

    def endless(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(bytes(1 << 16))

    def ranged(self, data):
        wanted = self.headers.get("Range")
        if not wanted:
            return 200, data, []
        first, last = wanted[len("bytes="):].split("-")
        first, last = int(first), min(int(last), len(data) - 1)
        return 206, data[first:last + 1], [("Content-Range", "bytes %d-%d/%d" % (first, last, len(data)))]

    def blob(self, name, image, what, data):
        layer = what == image.layer
        counts[name] = counts.get(name, 0) + layer
        status, body, headers = self.ranged(data)
        if not layer:
            return self.answer(status, body, headers)
        if name == "wrongdigest":
            body = bytes([body[0], body[1] ^ 1]) + body[2:-1] + bytes([body[-1] ^ 1])
        elif name == "endless":
            return self.endless()
        elif name == "loop":
            return self.answer(307, b"", [("Location", self.path)])
        elif name == "foreign" and not self.foreign:
            return self.answer(307, b"", [("Location", "%s://%s:%d/v2/foreign/blobs/%s" % ("https" if len(sys.argv) > 4 else "http", ADDRESS, PORT + 1, what))])
        elif name == "drip":
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            for byte in data:
                self.wfile.write(bytes([byte]))
                time.sleep(0.5)
            return
        elif name == "norange":
            status, body, headers = 200, data, []
        elif name == "wrongrange" and status == 206:
            headers = [("Content-Range", "bytes 1-2/3")]
        elif name in ("slow", "held"):
            self.send_response(status)
            for header in headers:
                self.send_header(*header)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for at in range(0, len(body), 1 << 18):
                # The end of each answer is kept back for as long as there is a file "hold".
                while name == "held" and at + (1 << 18) >= len(body) and os.path.exists("hold"):
                    time.sleep(0.05)
                self.wfile.write(body[at:at + (1 << 18)])
                time.sleep(0.05)
            return
        elif name == "flaky" and counts[name] % 2:
            self.answer(status, body[:len(body) // 2], headers, length=len(body))
            self.close_connection = True
            return
        self.answer(status, body, headers)


class Foreign(Handler):
    foreign = True


def serve(handler, port):
    server = http.server.ThreadingHTTPServer((ADDRESS, port), handler)
    server.daemon_threads = True
    if len(sys.argv) > 4:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[4], sys.argv[5])
        if len(sys.argv) > 6:
            context.load_verify_locations(sys.argv[6])
            context.verify_mode = ssl.CERT_OPTIONAL if handler.foreign else ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


serve(Handler, PORT)
serve(Foreign, PORT + 1)
print("ready", flush=True)
sys.stdin.read()
