# ctest-serial
"""HTTP while a firmware is still being fetched: bytes as they come, the held tail, failures."""
import concurrent.futures
import contextlib
import http.client
import json
import time

import pytest

from support.clients import image, sha256
from support.net import eventually

SIZE = 1_500_000
BODY = image(SIZE, 7)
PATH = "/firmware/app/1.0.0/sensor"


@pytest.fixture
def make_site(gateway, tmp_path):
    """make_site(rate, **http options) -> a gateway whose store is slow and asked on demand."""

    def make(rate, **options):
        folder = tmp_path / "firmware" / "sensor"
        folder.mkdir(parents=True)
        (folder / "app-1.0.0.bin").write_bytes(BODY)
        gateway.add_directory(folder.parent, pattern=["{type}/{name}-{version}.bin"], prefetch=False,
                              bandwidth=rate)
        gateway.add_http(**options)
        gateway.start()
        gateway.wait_log("http: listening on")
        gateway.wait_firmware("app", "1.0.0")
        return gateway

    return make


def timed(gateway, headers=None):
    """(status, headers, body, seconds to the first byte of the body, seconds to the end)"""
    begin = time.monotonic()
    with contextlib.closing(gateway.http(timeout=60)) as connection:
        connection.request("GET", PATH, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read(1)
        first = time.monotonic() - begin
        try:
            body += answer.read()
        except http.client.IncompleteRead as short:
            body += short.partial
        return answer.status, answer.headers, body, first, time.monotonic() - begin


def test_readers_follow_the_fill(make_site):
    gateway = make_site("500KiB/s")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: timed(gateway), range(8)))
    for status, headers, body, first, last in answers:
        assert status == 200 and headers["Content-Length"] == str(SIZE)
        assert sha256(body) == sha256(BODY)
        assert first < last / 2
    assert gateway.log.count("fill_started") == 1


def test_a_far_range_is_waited_for_and_comes_whole(make_site):
    gateway = make_site("300KiB/s", wait_timeout="30s")
    status, headers, body, *_ = timed(gateway, {"Range": "bytes=900000-901023"})
    assert status == 206 and body == BODY[900_000:901_024]
    assert headers["Content-Range"] == f"bytes 900000-901023/{SIZE}"
    # The tail waits for verification, which is the end of the fill.
    status, _, body, *_ = timed(gateway, {"Range": "bytes=-100"})
    assert status == 206 and body == BODY[-100:]
    gateway.wait_log("fill_completed")


def test_what_does_not_come_in_time_is_503_with_a_hint(make_site):
    gateway = make_site("60KiB/s", wait_timeout="500ms", stream_wait="1s")
    status, headers, body, _, last = timed(gateway, {"Range": "bytes=-100"})
    assert status == 503 and int(headers["Retry-After"]) >= 1 and last < 10
    assert json.loads(body)["message"]
    # The beginning is there at once, and the fill went on meanwhile.
    assert timed(gateway, {"Range": "bytes=0-99"})[2] == BODY[:100]


def test_the_etag_is_the_same_before_and_after_the_fill(make_site):
    gateway = make_site("500KiB/s")
    tags = {gateway.get(PATH, {"Range": "bytes=0-9"}).headers["ETag"]}
    timed(gateway)
    tags.add(gateway.get(PATH).headers["ETag"])
    tags.add(gateway.get(PATH, method="HEAD").headers["ETag"])
    assert len(tags) == 1


def test_a_file_that_changes_under_its_download_never_completes(make_site, tmp_path):
    gateway = make_site("300KiB/s", stream_wait="5s")
    file = tmp_path / "firmware" / "sensor" / "app-1.0.0.bin"
    changed = BODY[:-5000] + image(5000, 8)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        download = pool.submit(timed, gateway)
        gateway.wait_log("fill_started")
        with open(file, "r+b") as out:
            out.seek(-5000, 2)
            out.write(changed[-5000:])
        status, headers, body, *_ = download.result()
    # Short of its Content-Length, and nothing but bytes of the old version.
    assert status == 200 and headers["Content-Length"] == str(SIZE)
    assert len(body) <= SIZE - 4096 and BODY.startswith(body)
    gateway.wait_firmware("app", "1.0.0", timeout=20, sha256=sha256(changed))
    status, new_headers, body, *_ = timed(gateway)
    assert status == 200 and sha256(body) == sha256(changed)
    assert new_headers["ETag"] != headers["ETag"]


def test_a_client_that_leaves_leaves_nothing_behind(make_site):
    gateway = make_site("300KiB/s")
    before = gateway.open_files()
    for _ in range(20):
        with contextlib.closing(gateway.http()) as connection:
            connection.request("GET", PATH)
            assert connection.getresponse().read(10) == BODY[:10]
    eventually(lambda: gateway.open_files() <= before + 8, 15, what="the connections to be gone")
    assert timed(gateway)[2] == BODY
