# ctest-timeout: 600
"""CoAP from a directory: what devices get, byte for byte, and what they are told when they do not."""
import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from support import coap, tools
from support.clients import coap_get, image, sha256
from support.coap import BLOCK2, ECHO, ETAG, OBSERVE, SIZE2, Endpoint, block
from support.net import eventually

PATTERN = ["{type}/{name}-{version}.bin"]


class Site:
    """A gateway with a directory store and a CoAP listener."""

    def __init__(self, gateway, folder, **options):
        self.gateway, self.folder = gateway, folder
        gateway.add_directory(folder, pattern=PATTERN, options={"settle": "50ms"})
        gateway.add_coap(**options)
        gateway.start()
        self.endpoints = []
        self.endpoint(timeout=0.1).get("/.well-known/core", tries=100)

    def put(self, name, version, body, type="sensor", wait=True):
        path = self.folder / type / f"{name}-{version}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(body)
        part.rename(path)
        if wait:
            self.wait(f"/firmware/{name}/{version}/{type}", body)
        return body

    def wait(self, path, body):
        """Until it can be had and begins as `body` does, with its size."""

        def served():
            answer = self.endpoint().get(path, (BLOCK2, block(0, 1024)))
            begins = body.startswith(answer.payload)
            return answer.status == "2.05" and begins and answer.number(SIZE2) == len(body)

        eventually(served, 20, what=f"{path} over CoAP")

    def endpoint(self, **how):
        made = Endpoint(self.gateway.coap_port, **how)
        self.endpoints.append(made)
        return made

    def url(self, path):
        return self.gateway.coap_url(path)

    def close(self):
        for made in self.endpoints:
            made.close()


@pytest.fixture
def make_site(gateway, tmp_path, owner):
    return lambda **options: owner.add(Site(gateway, tmp_path / "firmware", **options))


@pytest.fixture
def site(make_site):
    return make_site()


@pytest.mark.parametrize("size", [0x10, 1, 1023, 1024, 1025, 4096, 300_001])
def test_coap_client_gets_the_same_bytes(site, size):
    body = site.put("app", "1.0.0", image(size))
    for block_size in (64, 1024):
        answer = coap_get(site.url("/firmware/app/1.0.0"), block=block_size)
        assert answer.error == ""
        assert sha256(answer.body) == sha256(body)


def test_every_answer_carries_block2_size_and_etag(site):
    body = site.put("app", "1.0.0", image(700))
    answer = site.endpoint().get("/firmware/app/1.0.0")
    assert (answer.type, answer.status) == (coap.ACK, "2.05")
    assert answer.block2() == (0, False, 1024)
    assert answer.number(SIZE2) == len(body)
    assert answer.number(coap.CONTENT_FORMAT) == 42
    assert len(answer.option(ETAG)) == 8


def test_any_block_of_any_size_at_any_time(site):
    body = site.put("app", "1.0.0", image(10_000))
    endpoint = site.endpoint()
    for number, size in [(3, 512), (0, 16), (624, 16), (9, 1024), (2, 64), (1, 32)]:
        answer = endpoint.get("/firmware/app/1.0.0", (BLOCK2, block(number, size)))
        assert answer.payload == body[number * size : (number + 1) * size]
        assert answer.block2() == (number, (number + 1) * size < len(body), size)
    beyond = endpoint.get("/firmware/app/1.0.0", (BLOCK2, block(10, 1024)))
    assert beyond.status == "4.00"
    reserved = endpoint.get("/firmware/app/1.0.0", (BLOCK2, b"\x07"))
    assert reserved.status == "4.00"


def test_blobs_by_digest(site):
    body = site.put("app", "1.0.0", image(5000))
    endpoint = site.endpoint()
    assert endpoint.download(f"/blobs/sha256/{sha256(body)}") == body
    assert endpoint.get(f"/blobs/sha256/{sha256(b'other')}").status == "4.04"
    # The tag of a blob is its digest.
    etag = endpoint.get(f"/blobs/sha256/{sha256(body)}").option(ETAG)
    assert etag == hashlib.sha256(sha256(body).encode()).digest()[:8]


def test_validation_by_etag(site):
    site.put("app", "1.0.0", image(5000))
    endpoint = site.endpoint()
    etag = endpoint.get("/firmware/app/1.0.0").option(ETAG)
    valid = endpoint.get("/firmware/app/1.0.0", (ETAG, b"\0" * 8), (ETAG, etag))
    assert (valid.status, valid.payload, valid.option(ETAG)) == ("2.03", b"", etag)
    assert endpoint.get("/firmware/app/1.0.0", (ETAG, b"\0" * 8)).status == "2.05"


def test_types_and_choices(site):
    one = site.put("app", "1.0.0", image(3000, 1), type="esp32")
    two = site.put("app", "1.0.0", image(3000, 2), type="nrf52")
    endpoint = site.endpoint()
    assert endpoint.download("/firmware/app/1.0.0/esp32") == one
    assert endpoint.download("/firmware/app/1.0.0?type=nrf52") == two
    many = endpoint.get("/firmware/app/1.0.0")
    assert many.status == "4.09"
    assert many.number(coap.CONTENT_FORMAT) == 50
    assert many.block2() is not None
    body = many.payload
    while many.block2()[1]:
        many = endpoint.get("/firmware/app/1.0.0", (BLOCK2, block(many.block2()[0] + 1, many.block2()[2])))
        body += many.payload
    assert sorted(choice["url"] for choice in json.loads(body)["choices"]) == [
        "/firmware/app/1.0.0/esp32", "/firmware/app/1.0.0/nrf52",
    ]


def test_a_query_left_in_the_last_segment(site):
    """nRF Connect's downloader splits a URL at '/' and sends no Uri-Query."""
    site.put("app", "1.0.0", image(3000, 1), type="esp32")
    two = site.put("app", "1.0.0", image(3000, 2), type="nrf52")
    options = [(coap.URI_PATH, part) for part in (b"firmware", b"app", b"1.0.0?type=nrf52")]
    request = coap.Message(coap.CON, coap.GET, 77, b"t", options)
    assert site.endpoint().ask(request).payload == two[:1024]


def test_latest_is_pinned_while_its_transfer_goes_on(site):
    old = site.put("app", "1.0.0", image(6000, 1))
    device, other = site.endpoint(), site.endpoint()
    first = device.get("/firmware/app/latest")
    assert first.payload == old[:1024]
    assert first.number(coap.MAX_AGE) == 0
    new = site.put("app", "1.1.0", image(7000, 2))
    eventually(lambda: other.get("/firmware/app/latest").payload == new[:1024], 10, what="the new latest")
    assert first.payload + device.download("/firmware/app/latest", start=1024) == old
    assert device.download("/firmware/app/latest") == new


def test_new_bytes_under_the_same_version_never_mix(site):
    old = site.put("app", "1.0.0", image(6000, 1))
    device, other = site.endpoint(), site.endpoint()
    begun = device.get("/firmware/app/1.0.0").payload
    new = site.put("app", "1.0.0", image(6000, 2), wait=False)
    eventually(lambda: other.get("/firmware/app/1.0.0").payload == new[:1024], 20, what="the new bytes")
    rest = device.download("/firmware/app/1.0.0", start=1024)
    assert begun + rest == old
    assert other.download("/firmware/app/1.0.0", start=1024) == new[1024:]


def test_catalog_pages_and_filters(site):
    for number in range(5):
        site.put("app", f"1.0.{number}", image(100 + number, number))
    site.put("tool", "2.0.0", image(50), type="esp32")
    endpoint = site.endpoint()

    def catalog(path):
        answer = endpoint.get(path, (BLOCK2, block(0, 1024)))
        assert answer.number(coap.CONTENT_FORMAT) == 50
        return json.loads(endpoint.download(path))

    everything = catalog("/firmware")
    assert len(everything["items"]) == 6 and everything["next"] is None
    item = next(item for item in everything["items"] if item["name"] == "tool")
    assert item == {
        "name": "tool", "version": "2.0.0", "type": "esp32", "size": 50, "sha256": sha256(image(50)),
        "verified": "digest", "format": None, "store": "files", "url": "/firmware/tool/2.0.0/esp32",
    }
    assert [item["name"] for item in catalog("/firmware?type=esp32")["items"]] == ["tool"]
    assert len(catalog("/firmware?name=app")["items"]) == 5
    assert catalog("/firmware?store=nowhere")["items"] == []
    seen, path = [], "/firmware?limit=2"
    while path:
        page = catalog(path)
        assert len(page["items"]) <= 2
        seen += [item["url"] for item in page["items"]]
        path = page["next"]
    assert sorted(seen) == sorted(item["url"] for item in everything["items"])
    assert endpoint.get("/firmware?limit=0").status == "4.00"


def test_discovery(site):
    links = coap_get(site.url("/.well-known/core")).body.decode()
    assert '</firmware>;ct=50;obs' in links


def test_what_is_refused(site):
    site.put("app", "1.0.0", image(100))
    endpoint = site.endpoint()
    assert endpoint.get("/firmware/app/9.9.9").status == "4.04"
    assert endpoint.get("/nothing/here").status == "4.04"
    assert endpoint.get("/firmware/app/1.0.0", (coap.ACCEPT, b"\x32")).status == "4.06"
    assert endpoint.get("/firmware/app/1.0.0", (coap.ACCEPT, b"\x2a")).status == "2.05"
    assert endpoint.get("/firmware/app/1.0.0", (coap.PROXY_URI, b"coap://example.org/x")).status == "5.05"
    # Q-Block2 is critical and not spoken here: the client falls back to Block2 (RFC 9177, 4.1).
    assert endpoint.get("/firmware/app/1.0.0", (coap.Q_BLOCK2, block(0, 1024))).status == "4.02"
    for method in (coap.POST, coap.PUT, coap.DELETE):
        for path in ("/firmware/app/1.0.0", "/firmware", "/new"):
            request = coap.Message(coap.CON, method, endpoint.next_mid(), b"t", coap.path_options(path))
            assert endpoint.ask(request).status == "4.05"


def test_block_sizes_are_capped_per_listener_and_type(make_site):
    site = make_site(max_block=512, max_block_by_type={"nrf52": 128})
    body = site.put("app", "1.0.0", image(3000, 1), type="esp32")
    small = site.put("app", "2.0.0", image(3000, 2), type="nrf52")
    endpoint = site.endpoint()
    assert endpoint.get("/firmware/app/1.0.0").block2() == (0, True, 512)
    assert endpoint.get("/firmware/app/1.0.0", (BLOCK2, block(1, 1024))).block2() == (2, True, 512)
    assert endpoint.get("/firmware/app/2.0.0").block2() == (0, True, 128)
    assert endpoint.download("/firmware/app/1.0.0") == body
    assert endpoint.download("/firmware/app/2.0.0") == small
    assert coap_get(site.url("/firmware/app/2.0.0"), block=1024).body == small


def test_a_second_client_agrees(site):
    tools.need_module("aiocoap")
    import aiocoap

    body = site.put("app", "1.0.0", image(200_000))

    async def fetch():
        context = await aiocoap.Context.create_client_context()
        try:
            answer = await context.request(
                aiocoap.Message(code=aiocoap.GET, uri=site.url("/firmware/app/1.0.0"))
            ).response
            return answer.code.dotted, answer.payload
        finally:
            await context.shutdown()

    assert asyncio.run(fetch()) == ("2.05", body)


def test_observers_hear_of_changes(site):
    site.put("app", "1.0.0", image(100, 1))
    endpoint = site.endpoint(timeout=10)
    first = endpoint.get("/firmware", (OBSERVE, b""), (BLOCK2, block(0, 1024)), token=b"obs")
    assert first.status == "2.05" and first.option(OBSERVE) is not None
    site.put("app", "1.1.0", image(100, 2), wait=False)
    heard = []

    def notified():
        message = endpoint.receive()
        assert message.token == b"obs" and message.status == "2.05"
        assert message.option(OBSERVE) is not None
        assert len([1 for number, _ in message.options if number == BLOCK2]) == 1
        heard.append(message)
        return b"1.1.0" in message.payload

    eventually(notified, 20, what="a notification with the new version")
    assert heard[-1].option(ETAG) != first.option(ETAG)
    # Deregistered: the next change is for others.
    endpoint.get("/firmware", (OBSERVE, b"\x01"), token=b"obs")
    site.put("app", "1.2.0", image(100, 3))
    endpoint.socket.settimeout(2.5)
    with pytest.raises(socket.timeout):
        endpoint.receive()


def test_a_second_client_observes(site):
    tools.need_module("aiocoap")
    import aiocoap

    site.put("app", "1.0.0", image(100, 1))

    async def watch():
        context = await aiocoap.Context.create_client_context()
        try:
            request = context.request(aiocoap.Message(code=aiocoap.GET, uri=site.url("/firmware"), observe=0))
            first = await request.response
            assert b"1.0.0" in first.payload
            await asyncio.get_running_loop().run_in_executor(
                None, lambda: site.put("app", "1.1.0", image(2000, 2), wait=False)
            )
            async for message in request.observation:
                if b"1.1.0" in message.payload:
                    return True
        finally:
            await context.shutdown()

    assert asyncio.run(asyncio.wait_for(watch(), 30))


def test_observers_are_bounded(site):
    site.put("app", "1.0.0", image(100, 1))
    codes = []
    for number in range(80):
        answer = site.endpoint().get("/firmware", (OBSERVE, b""), token=bytes([number]))
        codes.append((answer.status, answer.option(OBSERVE) is not None))
    assert codes.count(("2.05", True)) == 64
    assert codes.count(("5.03", False)) == 16


class TestStrangers:
    """Peers outside trusted_networks get at most three times what they sent until they are verified."""

    def raw(self, endpoint, message):
        data = message.encode()
        endpoint.socket.send(data)
        answer = endpoint.socket.recv(65536)
        return coap.Message.decode(answer), len(answer) / len(data)

    def request(self, endpoint, *options, token=b"12345678", path="/firmware/app/1.0.0"):
        return coap.Message(coap.CON, coap.GET, endpoint.next_mid(), token, coap.path_options(path) + list(options))

    def test_are_challenged_and_then_served(self, make_site):
        site = make_site(trusted_networks=["192.0.2.0/24"])
        path = site.folder / "sensor"
        path.mkdir()
        body = image(20_000)
        (path / "app-1.0.0.bin").write_bytes(body)
        endpoint = site.endpoint()

        def challenged():
            answer, ratio = self.raw(endpoint, self.request(endpoint, (BLOCK2, block(0, 1024))))
            assert ratio <= 3
            return answer if answer.status == "4.01" else None

        answer = eventually(challenged, 10, what="a challenge")
        echo = answer.option(ECHO)
        assert answer.payload == b"" and 1 <= len(echo) <= 40
        # Somebody else's token is worth nothing.
        stranger = site.endpoint()
        answer, _ = self.raw(stranger, self.request(stranger, (BLOCK2, block(0, 1024)), (ECHO, echo)))
        assert answer.status == "4.01"
        answer, ratio = self.raw(endpoint, self.request(endpoint, (BLOCK2, block(0, 1024)), (ECHO, echo)))
        assert answer.status == "2.05" and ratio > 3
        # Verified for as long as the session lasts.
        assert endpoint.download("/firmware/app/1.0.0") == body

    def test_every_answer_stays_within_the_limit(self, make_site):
        site = make_site(trusted_networks=["192.0.2.0/24"])
        endpoint = site.endpoint()
        for path in ("/firmware", "/.well-known/core", "/x", "/firmware/app/1.0.0", "/firmware/a/b?type=c"):
            for token in (b"", b"1", b"12345678"):
                for options in ([], [(OBSERVE, b"")], [(BLOCK2, b"\x07")], [(coap.ACCEPT, b"\x01")]):
                    message = self.request(endpoint, *options, token=token, path=path)
                    answer, ratio = self.raw(endpoint, message)
                    assert ratio <= 3, f"{message} -> {answer}"
                    assert answer.option(OBSERVE) is None

    def test_coap_client_answers_the_challenge(self, make_site):
        site = make_site(trusted_networks=["192.0.2.0/24"])
        path = site.folder / "sensor"
        path.mkdir()
        body = image(50_000)
        (path / "app-1.0.0.bin").write_bytes(body)
        eventually(lambda: coap_get(site.url("/firmware/app/1.0.0"), block=1024).body == body, 20,
                   what="the firmware by coap-client")

    def test_get_small_blocks_where_they_cannot_answer_a_challenge(self, make_site):
        site = make_site(trusted_networks=["192.0.2.0/24"], echo="small")
        path = site.folder / "sensor"
        path.mkdir()
        body = image(3000)
        (path / "app-1.0.0.bin").write_bytes(body)
        endpoint = site.endpoint()

        def small():
            answer, ratio = self.raw(endpoint, self.request(endpoint, (BLOCK2, block(0, 512)), (SIZE2, b"")))
            assert ratio <= 3
            return answer if answer.status == "2.05" else None

        answer = eventually(small, 10, what="a small block")
        assert answer.block2()[2] < 512
        device = coap.NrfDownloader(site.gateway.coap_port)
        try:
            assert device.run("firmware/app/1.0.0") == body
        finally:
            device.close()


def test_requests_per_source_are_limited(make_site):
    site = make_site(requests_per_second=20)
    endpoint = site.endpoint()
    statuses = [endpoint.get("/.well-known/core").status for _ in range(60)]
    assert statuses[:20] == ["2.05"] * 20
    assert "4.29" in statuses


def test_an_address_that_is_taken_is_waited_for(gateway, tmp_path, owner):
    gateway.add_directory(tmp_path / "firmware", pattern=PATTERN)
    gateway.add_coap()
    blocker = owner.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    # As libcoap does it: without the plugin's own look, both would have the port and one the datagrams.
    blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    blocker.bind(("127.0.0.1", gateway.coap_port))
    gateway.start()
    endpoint = owner.add(Endpoint(gateway.coap_port, timeout=0.3))
    with pytest.raises(AssertionError):
        endpoint.get("/.well-known/core", tries=1)
    blocker.close()
    patient = owner.add(Endpoint(gateway.coap_port, timeout=1.0))
    assert patient.get("/.well-known/core", tries=10).status == "2.05"
    # And nobody takes it from the gateway in the same way.
    thief = owner.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with pytest.raises(OSError):
        thief.bind(("127.0.0.1", gateway.coap_port))


def test_a_transfer_that_runs_ends_before_the_daemon(site):
    body = site.put("app", "1.0.0", image(40_000))
    device, late = site.endpoint(), site.endpoint()
    got = bytearray(device.get("/firmware/app/1.0.0").payload)
    os.kill(site.gateway.pid, signal.SIGTERM)
    refused = eventually(
        lambda: (answer := late.get("/firmware/app/1.0.0")).status == "5.03" and answer, 5, what="a refusal"
    )
    assert refused.number(coap.MAX_AGE) >= 1
    while len(got) < len(body):
        answer = device.get("/firmware/app/1.0.0", (BLOCK2, block(len(got) // 1024, 1024)))
        assert answer.status == "2.05"
        got += answer.payload
    assert bytes(got) == body
    begin = time.monotonic()
    assert site.gateway.process.wait(15) == 0
    assert time.monotonic() - begin < 10


def test_a_kill_in_mid_transfer_costs_the_device_a_wait(site):
    body = site.put("app", "1.0.0", image(100_000))
    device = site.endpoint(timeout=0.5)
    got = bytearray()
    for number in range(40):
        got += device.get("/firmware/app/1.0.0", (BLOCK2, block(number, 1024))).payload
    etag = device.get("/firmware/app/1.0.0").option(ETAG)
    site.gateway.kill()
    site.gateway.start()

    def again():
        answer = device.get("/firmware/app/1.0.0", (BLOCK2, block(40, 1024)), tries=20)
        return answer if answer.status == "2.05" else None

    answer = eventually(again, 20, what="the next block")
    assert answer.option(ETAG) == etag
    got += device.download("/firmware/app/1.0.0", start=40 * 1024)
    assert bytes(got) == body


def test_without_anonymous_it_is_refused(gateway, tmp_path):
    gateway.add_directory(tmp_path / "firmware", pattern=PATTERN)
    gateway.add_coap(anonymous=False)
    done = subprocess.run(
        [gateway.binary, "--config", gateway.write_config(), "--check"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode != 0
    assert "anonymous" in done.stdout + done.stderr
