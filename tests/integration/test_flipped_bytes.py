# ctest-timeout: 300
"""One flipped byte: in the store's copy, on the way, in the `.part`, in a cached blob; once for each level of
verification. What a level can catch is delivered to nobody complete, is reported, and is fetched again."""
import hashlib
import http.client
import os
import struct

import pytest

from support.clients import coap_get_patiently, image, sha256
from support.net import eventually

MIB = 1024 * 1024
PATTERN = ["{type}/{name}-{version}.bin"]
LEVELS = ["digest", "format", "length"]


def mcuboot(payload):
    """An unsigned MCUboot image of version 1.0.0: header, payload, SHA-256 in a TLV."""
    hashed = struct.pack("<IIHHIIBBHII", 0x96F3B83D, 0, 32, 0, len(payload), 0, 1, 0, 0, 0, 0) + payload
    tlv = struct.pack("<HH", 0x10, 32) + hashlib.sha256(hashed).digest()
    return hashed + struct.pack("<HH", 0x6907, 4 + len(tlv)) + tlv


def flipped(body, offset):
    return body[:offset] + bytes([body[offset] ^ 1]) + body[offset + 1 :]


def flip(path, offset):
    """One bit of one byte of a file, and the times put back: only the bytes tell."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class Site:
    """A bucket whose one object can be verified at `level`, the line to it, and a gateway."""

    def __init__(self, gateway, s3, proxy, level):
        self.gateway, self.s3, self.proxy, self.level = gateway, s3, proxy, level
        self.good = mcuboot(image(3 * MIB)) if level == "format" else image(3 * MIB)
        gateway.add_store("bucket", "s3", s3.options(proxy.endpoint), pattern=PATTERN, interval="1h",
                          metadata="always")
        gateway.add_http()
        gateway.add_coap()

    def put(self, body):
        promised = {"sha256": sha256(self.good)} if self.level == "digest" else {}
        self.s3.put("edge/app-1.0.0.bin", body, **promised)

    def start(self):
        self.gateway.start()
        return self.gateway.wait_firmware("app", "1.0.0")

    def download(self):
        """(status, bytes that came), also of a transfer that was cut."""
        connection = self.gateway.http(timeout=60)
        try:
            connection.request("GET", "/firmware/app/1.0.0")
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.IncompleteRead as cut:
            return answer.status, cut.partial
        finally:
            connection.close()

    def kinds(self):
        return [event["kind"] for event in self.gateway.api("/events?limit=100")["items"]]

    def served_whole_and_right(self):
        status, body = self.download()
        return status == 200 and body == self.good

    def blob(self):
        digest = sha256(self.good)
        return self.gateway.cache_dir / "blobs" / "sha256" / digest[:2] / digest


@pytest.fixture(params=LEVELS)
def site(request, gateway, s3, make_proxy):
    return Site(gateway, s3, make_proxy(s3.port), request.param)


def test_in_the_copy_of_the_store(site):
    bad = flipped(site.good, MIB)
    site.put(bad)
    site.start()
    status, body = site.download()
    if site.level == "length":
        # Nothing vouches for these bytes; the catalog says so, and the documentation too.
        assert (status, body) == (200, bad)
        assert site.gateway.wait_firmware("app", "1.0.0", verified="length")
        return
    assert len(body) < len(bad) and body == bad[: len(body)]
    assert site.download()[0] == 502
    over_coap = coap_get_patiently(site.gateway.coap_url("/firmware/app/1.0.0"))
    assert over_coap.error.startswith("5.02")
    eventually(lambda: "fill_rejected" in site.kinds(), 10, what="an event about the rejection")
    # The vendor mends its copy: no restart, no operator.
    site.put(site.good)
    site.gateway.api("/stores/bucket/sync", "POST")
    eventually(site.served_whole_and_right, 30, interval=0.2, what="the mended firmware")
    assert site.gateway.wait_firmware("app", "1.0.0", verified=site.level)


def test_on_the_way(site):
    site.put(site.good)
    site.start()
    left = [1]

    def corrupt(data):
        if left[0] and len(data) > 8192:
            left[0] -= 1
            return flipped(data, len(data) - 1)
        return data

    site.proxy.transform = corrupt
    status, body = site.download()
    assert left == [0]
    if site.level == "length":
        assert (status, len(body)) == (200, len(site.good)) and body != site.good
        return
    assert not (status == 200 and len(body) == len(site.good))
    done = site.gateway.cli("firmware", "fetch", "app/1.0.0", "--wait")
    assert sha256(site.good) in done.stdout
    assert site.served_whole_and_right()


def test_in_the_part(site):
    """A chunk that rotted while the daemon was down is fetched again; the rest is not."""
    site.put(site.good)
    site.start()
    site.proxy.rate = 2 * MIB
    connection = site.gateway.http(timeout=30)
    connection.request("GET", "/firmware/app/1.0.0", headers={"Range": "bytes=0-1048575"})
    assert connection.getresponse().read() == site.good[:MIB]
    connection.close()
    site.gateway.kill()
    parts = list((site.gateway.cache_dir / "fills").glob("*.part"))
    assert len(parts) == 1
    flip(parts[0], 500_000)
    site.proxy.rate = None
    site.gateway.start()
    site.proxy.reset_counts()
    eventually(site.served_whole_and_right, 30, interval=0.2, what="the firmware, whole and right")
    asked = [r.range for r in site.proxy.requests if r.method == "GET" and "app-1.0.0" in r.path]
    assert min(first for first, _ in asked) == 500_000 // 65536 * 65536, "the bad chunk and nothing before it"
    assert site.proxy.bytes_down < len(site.good) - MIB + 512 * 1024, asked


def test_in_a_cached_blob(site):
    site.put(site.good)
    site.start()
    assert site.served_whole_and_right()
    site.gateway.stop()
    flip(site.blob(), MIB)
    site.gateway.start()
    status, body = site.download()
    assert status != 200 or len(body) < len(site.good) or body == site.good
    eventually(site.served_whole_and_right, 30, interval=0.2, what="the blob fetched again")
    assert "blob_quarantined" in site.kinds()
    assert site.gateway.api("/blobs/" + sha256(site.good))["size"] == len(site.good)
