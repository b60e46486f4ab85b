"""A transport that was given a bandwidth keeps it, for one peer and for many, and nobody fails of it."""
import threading
import time

import pytest

from support.clients import coap_get, curl, image, sha256
from support.net import eventually

RATE = 200_000
BODY = image(500_000)


@pytest.fixture
def site(gateway, tmp_path):
    gateway.add_directory(tmp_path / "files", pattern=["{name}-{version}.bin"])
    (tmp_path / "files/app-1.0.0.bin").write_bytes(BODY)
    (tmp_path / "files/small-1.0.0.bin").write_bytes(BODY[:60_000])
    gateway.add_http(bandwidth=f"{RATE}B/s")
    gateway.add_coap(bandwidth="20000B/s")
    gateway.start()
    gateway.wait_firmware("app", "1.0.0", sha256=sha256(BODY))
    gateway.wait_firmware("small", "1.0.0", sha256=sha256(BODY[:60_000]))
    gateway.cli("firmware", "fetch", "app/1.0.0", "--wait")
    gateway.cli("firmware", "fetch", "small/1.0.0", "--wait")
    return gateway


def timed(work):
    started = time.monotonic()
    return work(), time.monotonic() - started


def test_one_http_client(site):
    body, took = timed(lambda: curl(site.url("/firmware/app/1.0.0")))
    assert sha256(body) == sha256(BODY)
    # A second's worth goes at once.
    assert took > (len(BODY) - RATE) / RATE * 0.8, took


def test_many_http_clients_share_it(site):
    done = []

    def fetch():
        done.append(sha256(curl(site.url("/firmware/app/1.0.0"))))

    threads = [threading.Thread(target=fetch) for _ in range(4)]

    def all_of_them():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    _, took = timed(all_of_them)
    assert done == [sha256(BODY)] * 4
    assert took > (4 * len(BODY) - RATE) / RATE * 0.8, took


def test_ranges_count_too(site):
    def ranges():
        for start in range(0, 400_000, 8_000):
            assert len(curl(site.url("/firmware/app/1.0.0"), "-r", f"{start}-{start + 7_999}")) == 8_000

    _, took = timed(ranges)
    assert took > (400_000 - RATE) / RATE * 0.8, took


def test_coap(site):
    eventually(lambda: coap_get(site.coap_url("/firmware/small/1.0.0"), block=1024).body[:1], 10, what="an answer")
    answer, took = timed(lambda: coap_get(site.coap_url("/firmware/small/1.0.0"), block=1024))
    assert answer.error == "" and sha256(answer.body) == sha256(BODY[:60_000]), answer.output
    assert took > 60_000 / 20_000 * 0.6, took
