"""HTTP from a directory: what clients get, byte for byte, and what the headers say."""
import base64
import contextlib
import email.parser
import hashlib
import json
import socket
import urllib.parse

import pytest

from support.clients import curl, image, sha256, wget
from support.net import eventually

PATTERN = ["{type}/{name}-{version}.bin"]
BODY = image(300_000)


class Site:
    """A gateway with a directory store and an HTTP listener."""

    def __init__(self, gateway, folder, **options):
        self.gateway, self.folder = gateway, folder
        gateway.add_directory(folder, pattern=PATTERN, options={"settle": "50ms"})
        gateway.add_http(**options)

    def start(self):
        self.gateway.start()
        # READY does not wait for listeners.
        self.gateway.wait_log("http: listening on")
        return self

    def put(self, name, version, body, type="sensor", wait=True):
        path = self.folder / type / f"{name}-{version}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(body)
        part.rename(path)
        if wait:
            digest = sha256(body)

            def cached():
                answer = self.gateway.get(f"/firmware/{name}/{version}/{type}")
                return answer.status == 200 and sha256(answer.body) == digest

            eventually(cached, 20, what=f"{path} over HTTP")
        return f"/firmware/{name}/{version}/{type}"

    def get(self, path, method="GET", **headers):
        return self.gateway.get(path, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)

    def raw(self, *requests, timeout=10):
        """Everything the server sends for these bytes until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.gateway.http_port), timeout=timeout) as peer:
            with contextlib.suppress(ConnectionError):
                for request in requests:
                    peer.sendall(request)
            got = b""
            with contextlib.suppress(ConnectionError):
                while part := peer.recv(65536):
                    got += part
            return got


@pytest.fixture
def site(gateway, tmp_path):
    return Site(gateway, tmp_path / "firmware").start()


def test_whole_ranges_and_resumed_downloads_are_identical(site, tmp_path):
    path = site.put("app", "1.2.0", BODY)
    url = site.gateway.url(path)
    assert curl(url) == BODY
    assert curl("--http1.0", url) == BODY
    ranges = [curl("-r", f"{i}-{i + 1023}", url) for i in range(0, 20 * 1024, 1024)]
    assert b"".join(ranges) == BODY[: 20 * 1024]
    out = tmp_path / "resumed"
    out.write_bytes(BODY[:123_457])
    curl("-C", "-", "-o", out, url)
    assert out.read_bytes() == BODY
    wget("-O", tmp_path / "wget", url)
    assert (tmp_path / "wget").read_bytes() == BODY
    part = tmp_path / "wget-c"
    part.write_bytes(BODY[:200_001])
    wget("-c", "-O", part, url)
    assert part.read_bytes() == BODY
    assert curl(site.gateway.url("/blobs/sha256/" + sha256(BODY))) == BODY


def test_the_head_says_what_it_should(site):
    path = site.put("app", "1.2.0", BODY)
    answer = site.get(path)
    headers = answer.headers
    digest = hashlib.sha256(BODY).digest()
    assert headers["Content-Length"] == str(len(BODY)) and headers["Transfer-Encoding"] is None
    assert headers["ETag"] == f'"{digest.hex()}"'
    assert headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Last-Modified"].endswith("GMT") and headers["Date"].endswith("GMT")
    assert headers["Content-Disposition"] == 'attachment; filename="app-1.2.0.bin"'
    head = site.get(path, "HEAD")
    assert head.status == 200 and head.body == b""
    assert {k: v for k, v in head.headers.items() if k != "Date"} == {
        k: v for k, v in headers.items() if k != "Date"
    }


def test_ranges(site):
    path = site.put("app", "1.2.0", BODY)
    size = len(BODY)
    for spec, first, last in [
        ("bytes=0-0", 0, 0), ("bytes=1000-1999", 1000, 1999), ("bytes=299999-", 299999, 299999),
        ("bytes=-4096", size - 4096, size - 1), ("bytes=299000-999999", 299000, size - 1),
        ("bytes=0-", 0, size - 1), ("bytes=500000-,7-9", 7, 9),
    ]:
        answer = site.get(path, Range=spec)
        assert answer.status == 206, spec
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert answer.headers["Content-Length"] == str(last - first + 1)
        assert answer.body == BODY[first : last + 1]
    for spec in ["bytes=300000-", "bytes=-0", f"bytes={2**64}-"]:
        answer = site.get(path, Range=spec)
        assert answer.status == 416 and answer.headers["Content-Range"] == f"bytes */{size}", spec
    many = "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 34, 2))
    for spec in ["bytes=5-1", "lines=1-2", "bytes=0-9,5-12", "bytes=0-,0-", many,
                 "bytes=-9223372036854775208,-9223372036854710272"]:
        answer = site.get(path, Range=spec)
        assert answer.status == 200 and answer.body == BODY, spec


def test_several_ranges_come_as_multipart(site):
    path = site.put("app", "1.2.0", BODY)
    answer = site.get(path, Range="bytes=0-9,100000-199999,-5")
    assert answer.status == 206 and len(answer.body) == int(answer.headers["Content-Length"])
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser().parsebytes(head + answer.body)
    parts = message.get_payload()
    size = len(BODY)
    assert [p["Content-Range"] for p in parts] == [
        f"bytes 0-9/{size}", f"bytes 100000-199999/{size}", f"bytes {size - 5}-{size - 1}/{size}"
    ]
    boundary = message.get_boundary().encode()
    bodies = [p.split(b"\r\n\r\n", 1)[1] for p in answer.body.split(b"\r\n--" + boundary)[1:4]]
    assert bodies == [BODY[:10], BODY[100_000:200_000], BODY[-5:]]


def test_conditions(site):
    path = site.put("app", "1.2.0", BODY)
    first = site.get(path)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]
    not_modified = site.get(path, If_None_Match=f'"other", W/{tag}')
    assert not_modified.status == 304 and not_modified.body == b"" and not_modified.headers["ETag"] == tag
    assert site.get(path, If_Modified_Since=date).status == 304
    assert site.get(path, If_None_Match='"other"', If_Modified_Since=date).status == 200
    assert site.get(path, If_Match='"other"').status == 412
    assert site.get(path, If_Match=tag).status == 200
    assert site.get(path, If_Unmodified_Since="Sun, 06 Nov 1994 08:49:37 GMT").status == 412
    assert site.get(path, Range="bytes=0-9", If_Range=tag).status == 206
    assert site.get(path, Range="bytes=0-9", If_Range=date).status == 206
    assert site.get(path, Range="bytes=0-9", If_Range='"other"').status == 200
    assert site.get(path, Range="bytes=0-9", If_Range=f"W/{tag}").status == 200


def test_the_etag_stays_over_a_restart(site):
    path = site.put("app", "1.2.0", BODY)
    tag = site.get(path).headers["ETag"]
    site.gateway.stop()
    site.gateway.log_path.unlink()
    site.start()
    eventually(lambda: site.get(path).status == 200, what="the firmware after the restart")
    assert site.get(path).headers["ETag"] == tag


def test_the_catalog_is_paged_and_filtered(site):
    for number in range(5):
        site.put("app", f"1.{number}.0", image(5000, number), wait=False)
    site.put("tool", "2.0.0", image(6000, 9), type="cam")
    eventually(lambda: len(site.gateway.catalog()) == 6, what="six firmware in the catalog")
    answer = site.get("/firmware?limit=4")
    page = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    assert list(page) == ["items", "next"] and len(page["items"]) == 4
    assert list(page["items"][0]) == [
        "name", "version", "type", "size", "sha256", "verified", "format", "store", "url"
    ]
    rest = site.get(page["next"]).json()
    assert len(rest["items"]) == 2 and rest["next"] is None
    keys = [(i["name"], i["version"]) for i in page["items"] + rest["items"]]
    assert len(set(keys)) == 6
    only = site.gateway.catalog(name="tool")
    assert [i["type"] for i in only] == ["cam"] and only[0]["store"] == "files"
    assert site.gateway.catalog(type="cam") == only and site.gateway.catalog(store="nowhere") == []
    assert sha256(site.get(only[0]["url"]).body) == only[0]["sha256"]
    assert site.get("/firmware", If_None_Match=site.get("/firmware").headers["ETag"]).status == 304
    for limit in ["0", "x", "-1", "1e3"]:
        assert site.get(f"/firmware?limit={limit}").status == 400


def test_latest_redirects_to_the_version(site):
    site.put("app", "1.9.0", image(5000, 1))
    site.put("app", "1.10.0", image(5000, 2))
    site.put("app", "2.0.0-rc.1", image(5000, 3))
    answer = site.get("/firmware/app/latest")
    assert answer.status == 307 and answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Location"] == "/firmware/app/1.10.0/sensor" and answer.body == b""
    early = site.get("/firmware/app/latest?prerelease=1")
    assert early.headers["Location"] == "/firmware/app/2.0.0-rc.1/sensor"
    assert curl("-L", site.gateway.url("/firmware/app/latest")) == image(5000, 2)


def test_an_ambiguous_name_lists_its_choices(site):
    site.put("app", "1.0.0", image(5000, 1), type="cam")
    site.put("app", "1.0.0", image(5000, 2), type="sensor")
    answer = site.get("/firmware/app/1.0.0")
    assert answer.status == 300
    choices = answer.json()["choices"]
    assert sorted(c["type"] for c in choices) == ["cam", "sensor"]
    for choice in choices:
        assert sha256(site.get(choice["url"]).body) == choice["sha256"]
    assert site.get("/firmware/app/1.0.0?type=cam").body == image(5000, 1)
    assert site.get("/firmware/app/1.0.0/sensor").body == image(5000, 2)


def test_names_with_any_character_can_be_fetched(site):
    for name in ["a b", "c+d%", "ü"]:
        site.put(name, "1.0.0", image(5000, name), wait=False)
    for name in ["a b", "c+d%", "ü"]:
        item = site.gateway.wait_firmware(name, "1.0.0")
        eventually(lambda url=item["url"]: site.get(url).status == 200, what=name)
        assert site.get(item["url"]).body == image(5000, name)
        assert site.get(f"/firmware/{urllib.parse.quote(name)}/1.0.0").status == 200


def test_what_is_not_there_is_said_with_a_reason(site):
    site.put("app", "1.2.0", BODY)
    for path in ["/", "/firmware/app", "/firmware/app/9.9.9", "/firmware/app/1.2.0/other", "/firmware/a/b/c/d",
                 "/blobs/sha256/" + "0" * 64, "/blobs/sha256/xyz", "/blobs/sha256", "/favicon.ico"]:
        answer = site.get(path)
        assert answer.status == 404, path
        assert json.loads(answer.body)["error"] == 404 and json.loads(answer.body)["message"]
    for path in ["/firmware/../../etc/passwd", "/firmware/%2e%2e/x", "/firmware/%00/1", "/firmware//1"]:
        assert b" 400 " in site.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())[:20]
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]:
        answer = site.get("/firmware", method)
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD", method
    assert site.get("/firmware", "BREW").status == 501


def test_pipelined_requests_are_answered_in_order(site):
    path = site.put("app", "1.2.0", BODY)
    one = f"GET {path} HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n"
    requests = "".join(one % (i * 100, i * 100 + 99) for i in range(200))
    last = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=-1\r\n\r\n"
    got = site.raw(requests.encode() + last.encode())
    bodies = []
    while got:
        head, _, got = got.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        bodies.append(got[:length])
        got = got[length:]
    assert bodies == [BODY[i * 100 : i * 100 + 100] for i in range(200)] + [BODY[-1:]]


def test_a_request_that_comes_byte_by_byte(site):
    path = site.put("app", "1.2.0", BODY)
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3\r\nConnection: close\r\n\r\n".encode()
    got = site.raw(*[request[i : i + 1] for i in range(len(request))])
    assert got.startswith(b"HTTP/1.1 206 ") and got.endswith(BODY[:4])


def test_a_body_is_not_mistaken_for_a_request(site):
    path = site.put("app", "1.2.0", BODY)
    smuggled = b"GET /firmware HTTP/1.1\r\nHost: a\r\n\r\n"
    last = f"GET {path} HTTP/1.1\r\nHost: a\r\nRange: bytes=4-7\r\nConnection: close\r\n\r\n".encode()
    got = site.raw(
        f"GET {path} HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3\r\nContent-Length: {len(smuggled)}\r\n\r\n".encode()
        + smuggled + last
    )
    assert got.count(b"HTTP/1.1 206 ") == 2 == got.count(b"HTTP/1.1") and got.endswith(BODY[4:8])


# nRF Connect SDK's downloader (see its http.c): a lower-case search for "http/1.1 " and for header names,
# the size from Content-Range where it sends ranges and from Content-Length where not, all of the head and
# the range in one buffer of 2,048 bytes.
def test_nrf_connect_gets_its_firmware(site):
    path = site.put("app", "1.2.0", BODY)

    def fetch(progress, ranged):
        spec = f"Range: bytes={progress}-{min(progress + 1399, len(BODY) - 1)}\r\n" if ranged else (
            f"Range: bytes={progress}-\r\n" if progress else "")
        request = f"GET {path} HTTP/1.1\r\nHost: gateway\r\n{spec}Connection: keep-alive\r\n\r\n"
        connection.sendall(request.encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(2048 - len(got))
        head, _, body = got.partition(b"\r\n\r\n")
        lower = head.lower()
        assert lower.startswith(b"http/1.1 206" if spec else b"http/1.1 200")
        assert b"\r\nconnection: close" not in lower and b"transfer-encoding" not in lower
        length = int(lower.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
        if ranged:
            assert len(head) + 4 + length <= 2048
            assert int(lower.split(b"\r\ncontent-range")[1].split(b"/")[1].split(b"\r\n")[0]) == len(BODY)
        while len(body) < length:
            body += connection.recv(65536)
        return body

    with socket.create_connection(("127.0.0.1", site.gateway.http_port), timeout=10) as connection:
        got = b""
        while len(got) < len(BODY):
            got += fetch(len(got), ranged=True)
        assert got == BODY
        assert fetch(0, ranged=False) == BODY
        assert fetch(1000, ranged=False) == BODY[1000:]


def test_a_truncated_blob_ends_the_transfer_and_nothing_else(site):
    big = image(20_000_000, 5)
    path = site.put("big", "1.0.0", big)
    other = site.put("app", "1.2.0", BODY)
    blob = next(p for p in (site.gateway.cache_dir / "blobs").rglob(sha256(big)))
    with socket.create_connection(("127.0.0.1", site.gateway.http_port), timeout=20) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        got = slow.recv(65536)
        with open(blob, "r+b") as file:
            file.truncate(10_000_000)
        while part := slow.recv(1 << 20):
            got += part
    assert len(got.partition(b"\r\n\r\n")[2]) < len(big)
    assert site.get(other).body == BODY
