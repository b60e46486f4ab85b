# ctest-timeout: 300
"""Hundreds of devices that ask at the same moment, as after a power cut: all are served, soon."""
import selectors
import socket
import struct
import time

import pytest

from support import coap
from support.clients import image, sha256
from support.coap import BLOCK2, Message, block, path_options
from support.net import eventually
from support.tools import sanitized, scaled

PATH = "/firmware/app/1.0.0"
# For everybody, from the first request to the last byte, at full scale and with a build that is meant to be
# fast. This client is Python and shares the machine: what it costs itself is in it too.
SECONDS = 2.0


@pytest.fixture
def make_site(cached_firmware):
    def make(body):
        gateway = cached_firmware(body)
        eventually(lambda: gateway.get(PATH).body == body, 20, what="the firmware")
        return gateway

    return make


def in_time(seconds, devices, build_dir):
    print(f"{devices} devices: {seconds:.2f} s")
    assert sanitized(build_dir) or seconds < SECONDS, f"{devices} devices took {seconds:.2f} s"


class HttpDevice:
    def __init__(self, port, expected):
        self.peer = socket.socket()
        self.peer.setblocking(False)
        self.peer.connect_ex(("127.0.0.1", port))
        self.expected, self.got = expected, bytearray()

    def begin(self):
        self.peer.setblocking(True)
        self.peer.sendall(f"GET {PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        self.peer.setblocking(False)

    def go_on(self):
        """True once it has all."""
        part = self.peer.recv(1 << 20)
        self.got += part
        if part:
            return False
        head, _, body = bytes(self.got).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert body == self.expected
        return True


class CoapDevice:
    """Asks for one block after the other; says again what was not answered for two seconds, as RFC 7252 has it."""

    timeout = 2.0

    def __init__(self, port, expected, number):
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.setblocking(False)
        self.peer.connect(("127.0.0.1", port))
        self.expected, self.got = expected, bytearray()
        self.mid, self.token = number * 97 & 0xFFFF, struct.pack("!I", number)
        self.sent, self.repeats = None, 0

    def begin(self):
        self.mid = self.mid + 1 & 0xFFFF
        options = path_options(PATH) + [(BLOCK2, block(len(self.got) // 1024, 1024))]
        self.datagram = Message(coap.CON, coap.GET, self.mid, self.token, options).encode()
        self.peer.send(self.datagram)
        self.sent = time.monotonic()

    def repeat(self, now):
        if now - self.sent < self.timeout:
            return
        self.peer.send(self.datagram)
        self.sent = now
        self.repeats += 1

    def go_on(self):
        answer = Message.decode(self.peer.recv(2048))
        if answer.mid != self.mid:
            return False  # to what was said again
        assert answer.status == "2.05", f"{answer.status} {answer.payload!r}"
        self.got += answer.payload
        if answer.block2()[1]:
            self.begin()
            return False
        assert bytes(self.got) == self.expected
        return True


def serve_all(devices, repeat=None):
    """Seconds until the last one has all."""
    with selectors.DefaultSelector() as selector:
        for device in devices:
            selector.register(device.peer, selectors.EVENT_READ, device)
        begin = time.monotonic()
        for device in devices:
            device.begin()
        left = len(devices)
        while left:
            for key, _ in selector.select(0.1):
                if key.data.go_on():
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    left -= 1
            now = time.monotonic()
            assert now - begin < 60, f"{left} of {len(devices)} devices have not been served"
            if repeat:
                for key in list(selector.get_map().values()):
                    repeat(key.data, now)
        return time.monotonic() - begin


def test_http_devices_at_once(make_site, build_dir):
    body = image(256 << 10)
    gateway = make_site(body)
    count = scaled(500, 50)
    in_time(serve_all([HttpDevice(gateway.http_port, body) for _ in range(count)]), count, build_dir)
    assert sha256(gateway.get(PATH).body) == sha256(body)


def test_coap_devices_at_once(make_site, build_dir):
    body = image(32 << 10)  # more is measured by ./dev bench coap: this client is too slow for it
    gateway = make_site(body)
    count = scaled(500, 50)
    devices = [CoapDevice(gateway.coap_port, body, number) for number in range(count)]
    in_time(serve_all(devices, CoapDevice.repeat), count, build_dir)
    print(f"said again: {sum(device.repeats for device in devices)}")
