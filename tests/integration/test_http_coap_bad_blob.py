"""A cached blob that rots or is cut while it is served: no transfer completes with bad bytes, the transport
reports it, the gateway says so and fetches the blob again. (A disk that cannot read it: test_bad_disk.py.)"""
import http.client
import os
import re
import socket

import pytest

from support.clients import image, sha256
from support.coap import BLOCK2, Endpoint, block
from support.net import eventually

PATH = "/firmware/app/1.0.0"
BODY = image(6 << 20, 7)


@pytest.fixture
def site(cached_firmware):
    return cached_firmware(BODY)


def blob(gateway):
    """The file that the blob lies in, once it is there."""
    digest = sha256(BODY)
    return eventually(lambda: next(gateway.cache_dir.glob(f"**/blobs/**/{digest}"), None), what="the cached blob")


def whole(gateway):
    """All of it is served, right, and the cache has fetched it again."""
    return eventually(lambda: (a := gateway.get(PATH)).status == 200 and a.body == BODY, 30, what="the right bytes again")


def quarantined(gateway):
    """What the gateway says about each blob it has put away."""
    items = gateway.api("/events?limit=200")["items"]
    return [str(item) for item in items if item["kind"] == "blob_quarantined"]


class Download:
    """A download over HTTP that has begun and takes no more for now."""

    def __init__(self, gateway):
        self.peer = socket.socket()
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.peer.settimeout(20)
        self.peer.connect(("127.0.0.1", gateway.http_port))
        self.peer.sendall(f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.peer.recv(4096)
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.length = int(re.search(rb"Content-Length: (\d+)", head)[1])

    def rest(self):
        """Takes what comes until the gateway closes."""
        try:
            while len(self.body) < self.length and (part := self.peer.recv(65536)):
                self.body += part
        except ConnectionError:
            pass
        return self.body

    def close(self):
        self.peer.close()


def test_http_a_blob_cut_under_a_download(site, owner):
    download = owner.add(Download(site))
    os.truncate(blob(site), len(BODY) // 2)
    got = download.rest()
    assert len(got) < download.length, "a complete download of a blob that was cut"
    assert got == BODY[: len(got)]
    whole(site)
    assert quarantined(site)
    assert site.api("/cache")["fills_completed"] == 2


class Http:
    """One kept connection: its reader stays open from one request to the next."""

    right = BODY[5_000_000:5_000_512]

    def __init__(self, gateway):
        self.connection = gateway.http()

    def ask(self):
        """One range in the middle of the blob, or None."""
        try:
            self.connection.request("GET", PATH, headers={"Range": "bytes=5000000-5000511"})
            answer = self.connection.getresponse()
            body = answer.read()
        except (ConnectionError, http.client.HTTPException):
            self.connection.close()
            return None
        return body if answer.status == 206 else None

    def close(self):
        self.connection.close()


class Coap:
    """The listener has one reader for all its peers."""

    right = BODY[5_000_000 // 512 * 512 :][:512]

    def __init__(self, gateway):
        self.endpoint = Endpoint(gateway.coap_port)

    def ask(self):
        answer = self.endpoint.get(PATH, (BLOCK2, block(5_000_000 // 512, 512)))
        return answer.payload if answer.status == "2.05" else None

    def close(self):
        self.endpoint.close()


@pytest.mark.parametrize("kind", [Http, Coap])
def test_who_reads_the_cut_file_first_reports_it(site, owner, kind):
    """The gateway's own look at open blobs comes once a second: what comes before it is the transport's to
    notice, and the event carries its words. The look may win the race, so there are a few tries."""
    device, name = owner.add(kind(site)), kind.__name__.lower()
    for _ in range(5):
        assert eventually(device.ask, 20, what="a range") == device.right
        os.truncate(blob(site), 1 << 20)
        got = device.ask()
        assert got in (None, device.right), "other bytes than the blob's"
        said = eventually(lambda: quarantined(site), what="the event")
        whole(site)
        if any(f"{name}: the cached copy is too short" in event for event in said):
            return
    raise AssertionError(f"{name} never reported it: {quarantined(site)}")
