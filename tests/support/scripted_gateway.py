"""A gateway of a few lines that says what each device protocol's specification says, over HTTP and CoAP.

It knows one firmware, offers it to whoever runs another version, and writes down what it is told: the peer
that the fleet simulator is tested with, independent of the daemon.
"""
import base64
import hashlib
import http.server
import json
import random
import socket
import struct
import sys
import threading
import urllib.parse

from . import coap

DROGUE_AUTHORIZATION = 4209


def cbor(value):
    if value is None:
        return b"\xf6"
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())
    if isinstance(value, int):
        return _head(0, value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    return _head(3, len(value.encode())) + value.encode()


def _head(major, value):
    for info, form in ((None, None), (24, "!B"), (25, "!H"), (26, "!I")):
        if info is None:
            if value < 24:
                return bytes([major << 5 | value])
        elif value < 1 << (8 * struct.calcsize(form)):
            return bytes([major << 5 | info]) + struct.pack(form, value)
    raise ValueError(value)


def uncbor(data, at=0):
    """(value, where it ends)"""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    value = info
    if info in (24, 25, 26, 27):
        width = 1 << (info - 24)
        value, at = int.from_bytes(data[at : at + width], "big"), at + width
    if major == 0:
        return value, at
    if major in (2, 3):
        raw = bytes(data[at : at + value])
        return (raw if major == 2 else raw.decode()), at + value
    if major == 5:
        out = {}
        for _ in range(value):
            key, at = uncbor(data, at)
            out[key], at = uncbor(data, at)
        return out, at
    assert (major, info) == (7, 22), (major, info)
    return None, at


class ScriptedGateway:
    def __init__(self, body, version="1.1.0"):
        self.body, self.version = body, version
        self.sha256 = hashlib.sha256(body).hexdigest()
        self.served = body  # other bytes here are what a broken gateway would send
        self.cut = None  # HTTP: the next download ends after so many bytes
        self.ranges = []  # (offset, length) of the downloads over HTTP, under lock
        self.told = {}  # device -> [what it said], under lock
        self.ended = set()  # (device) DDI actions that are closed
        self.configured = set()
        self.lock = threading.Lock()
        self.separate = False  # CoAP: acknowledge, then answer by itself
        self._whole = {}  # peer -> the answer whose blocks it asks for
        self.echo = False  # CoAP: 4.01 with Echo to whoever has not returned it
        self._http = _Server(("127.0.0.1", 0), _handler(self))
        self.http_port = self._http.server_address[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._udp.bind(("127.0.0.1", 0))
        self.coap_port = self._udp.getsockname()[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        threading.Thread(target=self._serve_coap, daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            self._closing = True
            waker.sendto(b"", ("127.0.0.1", self.coap_port))

    _closing = False

    def tell(self, device, what):
        with self.lock:
            self.told.setdefault(device, []).append(what)

    # (status, content type, body) of a request, whatever carries it.

    def answer(self, method, target, body, content_type, base):
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        path = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        if path[:2] == ["v1", "devices"]:
            return self.poll(path[2], path[3], query, body, base)
        if path == ["v1", "dfu"]:
            return self.drogue(query, body, content_type)
        if path[1:3] == ["controller", "v1"]:
            return self.ddi(method, path, body, base)
        if path == ["firmware"]:
            item = {"name": "app", "version": self.version, "size": len(self.body), "sha256": self.sha256}
            return 200, "application/json", json.dumps({"items": [item], "next": None}).encode()
        return 404, "application/json", b"{}"

    def poll(self, device, what, query, body, base):
        if what == "report":
            self.tell(device, json.loads(body)["state"])
            return 204, "", b""
        self.tell(device, "runs " + query["version"])
        if query["version"] == self.version:
            return 204, "", b""
        offer = {"version": self.version, "url": base + "/firmware/app/" + self.version, "size": len(self.body),
                 "sha256": self.sha256, "deployment": 5}
        return 200, "application/json", json.dumps(offer).encode()

    def drogue(self, query, body, content_type):
        if content_type == "application/json":
            status = json.loads(body)
            version = status["version"]
            update = status["update"] and (status["update"]["version"], status["update"]["offset"])
            mtu, cid = status["mtu"], status["correlation_id"]
        else:
            status, end = uncbor(body)
            assert end == len(body)
            named = "version" in status
            key = (lambda number, name: name) if named else (lambda number, name: number)
            version = status[key(0, "version")].decode()
            mtu, cid = status[key(1, "mtu")], status[key(2, "correlation_id")]
            update = status[key(3, "update")]
            update = update and (update[key(0, "version")].decode(), update[key(1, "offset")])
        self.tell(query["device"], f"runs {version}" if not update else f"has {update[1]}")
        new = self.version.encode()
        if version == self.version:
            command = {1: {0: new, 1: cid, 2: None}}
        else:
            offset = update[1] if update and update[0] == self.version else 0
            if offset < len(self.body):
                length = mtu // 4 * 4
                command = {2: {0: new, 1: cid, 2: offset, 3: self.served[offset : offset + length]}}
            else:
                command = {3: {0: new, 1: cid, 2: bytes.fromhex(self.sha256)}}
        if content_type == "application/json":
            names = {1: ("Sync", ("version", "correlation_id", "poll")),
                     2: ("Write", ("version", "correlation_id", "offset", "data")),
                     3: ("Swap", ("version", "correlation_id", "checksum"))}
            ((variant, fields),) = command.items()
            name, keys = names[variant]
            text = {keys[k]: v for k, v in fields.items()}
            text["version"] = self.version
            if "data" in text:
                text["data"] = base64.b64encode(text["data"]).decode()
            if "checksum" in text:
                text["checksum"] = text["checksum"].hex()
            return 200, "application/json", json.dumps({name: text}).encode()
        return 200, "application/cbor", cbor(command)

    def ddi(self, method, path, body, base):
        device, rest = path[3], path[4:]
        own = f"{base}/{path[0]}/controller/v1/{device}"
        if not rest:
            links = {}
            if device not in self.configured:
                links["configData"] = {"href": own + "/configData"}
            elif device not in self.ended:
                links["deploymentBase"] = {"href": own + "/deploymentBase/8?c=1"}
            answer = {"config": {"polling": {"sleep": "00:00:30"}}, "_links": links}
            return 200, "application/hal+json", json.dumps(answer).encode()
        if rest == ["configData"]:
            self.configured.add(device)
            self.tell(device, "runs " + json.loads(body)["data"]["version"])
            return 200, "", b""
        if rest[-1] == "feedback":
            status = json.loads(body)["status"]
            self.tell(device, f"{status['execution']} {status['result']['finished']}")
            if status["execution"] == "closed":
                self.ended.add(device)
            return 200, "", b""
        artifact = {
            "filename": "app.bin", "size": len(self.body),
            "hashes": {"sha256": self.sha256, "sha1": hashlib.sha1(self.body).hexdigest(),
                       "md5": hashlib.md5(self.body).hexdigest()},
            "_links": {"download-http": {"href": f"{base}/firmware/app/{self.version}"}},
        }
        chunk = {"part": "bApp", "version": self.version, "name": "app", "artifacts": [artifact]}
        deployment = {"id": "8", "deployment": {"download": "forced", "update": "forced", "chunks": [chunk]}}
        return 200, "application/hal+json", json.dumps(deployment).encode()

    # CoAP

    def _serve_coap(self):
        recent = {}  # (peer, id) -> its answer, for what comes again
        while True:
            data, peer = self._udp.recvfrom(4096)
            if self._closing:
                self._udp.close()
                return
            request = coap.Message.decode(data)
            if request.type in (coap.ACK, coap.RST):
                continue
            key = (peer, request.mid)
            if key not in recent:
                recent[key] = self._coap_answer(request, peer)
            for datagram in recent[key]:
                self._udp.sendto(datagram, peer)

    def _coap_answer(self, request, peer):
        path = "/" + "/".join(v.decode() for n, v in request.options if n == coap.URI_PATH)
        query = "&".join(v.decode() for n, v in request.options if n == coap.URI_QUERY)
        block, _, size = request.block2() or (0, False, 1024)
        options = []
        if self.echo and request.option(coap.ECHO) != b"echo":
            status, payload = "4.01", b""
            options.append((coap.ECHO, b"echo"))
        elif path.startswith("/firmware/"):
            part = self.served[block * size : (block + 1) * size]
            status, payload = "2.05", part
            options += [(coap.BLOCK2, coap.block(block, size, (block + 1) * size < len(self.served))),
                        (coap.SIZE2, coap.uint(len(self.served)))]
        else:
            method = {coap.GET: "GET", coap.POST: "POST", coap.PUT: "PUT"}[request.code]
            form = {50: "application/json", 60: "application/cbor"}.get(request.number(coap.CONTENT_FORMAT), "")
            if block == 0:
                self._whole[peer] = self.answer(method, f"{path}?{query}", request.payload, form,
                                                f"coap://127.0.0.1:{self.coap_port}")
            code, form, whole = self._whole[peer]
            status = {200: "2.05", 204: "2.04"}.get(code, f"{code // 100}.{code % 100:02}")
            # Small on purpose: an offer takes several blocks.
            size = min(size, 64) if method == "GET" else 1024
            payload = whole[block * size : (block + 1) * size]
            if form:
                options.append((coap.CONTENT_FORMAT, coap.uint(50 if "json" in form else 60)))
            if len(whole) > size:
                options.append((coap.BLOCK2, coap.block(block, size, (block + 1) * size < len(whole))))
        answer = coap.Message(coap.ACK, coap.code(status), request.mid, request.token, options, payload)
        if not self.separate:
            return [answer.encode()]
        answer.type, answer.mid = coap.CON, random.randrange(65536)
        return [coap.Message(coap.ACK, 0, request.mid).encode(), answer.encode()]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a device may go in the middle of an answer
            super().handle_error(request, client_address)


def _handler(gateway):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path.startswith("/firmware/"):
                return self.download()
            base = f"http://{self.headers['Host']}"
            status, form, body = gateway.answer(self.command, self.path, body, self.headers.get("Content-Type"), base)
            self.send_response(status)
            if form:
                self.send_header("Content-Type", form)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = handle_any

        def download(self):
            size = len(gateway.served)
            ranged = self.headers.get("Range")
            first, last = (ranged or "bytes=0-").removeprefix("bytes=").split("-")
            part = gateway.served[int(first) : int(last or size) + 1]
            with gateway.lock:
                gateway.ranges.append((int(first), len(part)))
            self.send_response(206 if ranged else 200)
            if ranged:
                self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{size}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if gateway.cut is not None:
                part, gateway.cut = part[: gateway.cut], None
                self.close_connection = True
            self.wfile.write(part)

        def log_message(self, *_):
            pass

    return Handler
