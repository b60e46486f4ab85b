# ctest-timeout: 900
"""CoAP while the bytes are still on their way: a store of 20 KB/s, an uplink that is gone, bad bytes."""
import json
import time

import pytest

from support import coap
from support.clients import coap_get, image, sha256
from support.coap import BLOCK2, Endpoint, NrfDownloader, Refused, block
from support.net import eventually
from support.tools import scaled

PATTERN = ["{type}/{name}-{version}.bin"]


class Uplink:
    """A gateway whose only store is an S3 bucket behind a thin line."""

    def __init__(self, gateway, s3, proxy, **coap_options):
        self.gateway, self.s3, self.proxy = gateway, s3, proxy
        gateway.add_store("bucket", "s3", s3.options(proxy.endpoint), pattern=PATTERN, interval="10s")
        gateway.add_coap(**coap_options)
        gateway.start()
        self.endpoint = Endpoint(gateway.coap_port, timeout=0.5)
        self.endpoint.get("/.well-known/core", tries=40)

    def listed(self, name):
        def found():
            return name.encode() in self.endpoint.get(f"/firmware?name={name}").payload

        eventually(found, 30, what=f"{name} in the catalog")

    def close(self):
        self.endpoint.close()


@pytest.fixture
def make_uplink(gateway, s3, make_proxy, owner):
    def make(rate=20 * 1024, **options):
        return owner.add(Uplink(gateway, s3, make_proxy(s3.port, rate=rate), **options))

    return make


def test_an_nrf_device_gets_its_firmware_from_a_slow_store(s3, make_uplink, owner):
    """It takes nothing but 2.05 and gives up on all else; then it tries again from where it was."""
    body = image(100_000)
    s3.put("nrf52/app-1.0.0.bin", body)
    uplink = make_uplink()
    uplink.listed("app")
    device = owner.add(NrfDownloader(uplink.gateway.coap_port))
    begin, waits = time.monotonic(), []
    while True:
        try:
            got = device.run("firmware/app/1.0.0")
            break
        except Refused as refused:
            answer = refused.answer
            assert answer.status == "5.03", answer
            assert answer.type == coap.ACK
            waits.append(answer.number(coap.MAX_AGE))
            assert 1 <= waits[-1] <= 60
            assert time.monotonic() - begin < 60
            time.sleep(waits[-1])
    assert sha256(got) == sha256(body)
    assert device.size == len(body)
    # What it was told to wait was worth waiting: about 5 s of fill do not take dozens of tries.
    assert 1 <= len(waits) <= 12
    assert uplink.proxy.count("GET", "app-1.0.0.bin") >= 1


def patiently(device, path, limit):
    """The firmware as the device gets it: it tries again after each 5.03, when it was told to."""
    end = time.monotonic() + limit
    while True:
        try:
            return device.run(path)
        except Refused as refused:
            answer = refused.answer
            assert (answer.status, answer.type) == ("5.03", coap.ACK), answer
            assert 1 <= answer.number(coap.MAX_AGE) <= 60
            assert time.monotonic() < end, f"stalled at {len(device.body)} bytes"
            time.sleep(answer.number(coap.MAX_AGE))


def test_no_nrf_device_stalls_in_a_hundred_runs(s3, make_uplink, owner):
    """Each run is a firmware of its own that nobody has asked for before, over the same thin line."""
    runs = scaled(100, 5)
    bodies = [image(4_000 + 331 * number % 25_000, number) for number in range(runs)]
    for number, body in enumerate(bodies):
        s3.put(f"nrf52/run-1.0.{number}.bin", body)
    uplink = make_uplink()
    eventually(lambda: uplink.endpoint.get(f"/firmware/run/1.0.{runs - 1}").status in ("2.05", "5.03"), 60,
               what="the last one in the catalog")
    took = []
    for number, body in enumerate(bodies):
        device = owner.add(NrfDownloader(uplink.gateway.coap_port))
        begin = time.monotonic()
        assert sha256(patiently(device, f"firmware/run/1.0.{number}", 30)) == sha256(body), f"run {number}"
        assert device.block_size == 512
        took.append(time.monotonic() - begin)
    print(f"{runs} runs, none stalled; the longest took {max(took):.1f} s")


def test_streaming_serves_blocks_as_they_come(s3, make_uplink):
    body = image(120_000)
    s3.put("nrf52/app-1.0.0.bin", body)
    uplink = make_uplink(stream=True)
    uplink.listed("app")
    device = uplink.endpoint
    device.socket.settimeout(15)

    def first_block():
        answer = device.get("/firmware/app/1.0.0", (BLOCK2, block(0, 1024)))
        assert answer.type == coap.ACK, "block 0 never waits"
        if answer.status == "2.05":
            return answer
        assert answer.status == "5.03" and answer.number(coap.MAX_AGE) >= 1
        return None

    answer = eventually(first_block, 20, interval=0.3, what="block 0")
    got, separate = bytearray(answer.payload), 0
    while len(got) < len(body):
        answer = device.get("/firmware/app/1.0.0", (BLOCK2, block(len(got) // 1024, 1024)),
                            token=len(got).to_bytes(4, "big"))
        assert answer.status == "2.05", f"{answer.status} {answer.payload!r} at {len(got)}"
        separate += answer.type != coap.ACK
        got += answer.payload
    assert bytes(got) == body
    assert separate >= 1, "no block had to wait: the test does not test"


def test_without_uplink_what_is_cached_goes_on(s3, make_uplink):
    body, other = image(5000, 1), image(5000, 2)
    s3.put("nrf52/app-1.0.0.bin", body)
    s3.put("nrf52/other-1.0.0.bin", other)
    uplink = make_uplink(rate=None)
    uplink.listed("app")
    uplink.listed("other")
    eventually(lambda: coap_get(uplink.gateway.coap_url("/firmware/app/1.0.0")).body == body, 20,
               what="the first firmware")
    uplink.proxy.cut()
    assert uplink.endpoint.download("/firmware/app/1.0.0") == body
    refused = uplink.endpoint.get("/firmware/other/1.0.0")
    assert refused.status == "5.03"
    assert 1 <= refused.number(coap.MAX_AGE) <= 60
    uplink.proxy.restore()
    eventually(lambda: coap_get(uplink.gateway.coap_url("/firmware/other/1.0.0")).body == other, 90, interval=1,
               what="the second firmware")


@pytest.mark.parametrize("stream", [False, True])
def test_bytes_that_fail_verification_are_never_complete(s3, make_uplink, stream):
    """The digest that the sidecar promises is another: 5.02, and not the last block."""
    body = image(60_000)
    s3.put("nrf52/app-1.0.0.bin.json", json.dumps({"sha256": sha256(b"something else")}).encode())
    s3.put("nrf52/app-1.0.0.bin", body)
    uplink = make_uplink(rate=200 * 1024, stream=stream)
    uplink.listed("app")
    device = uplink.endpoint
    device.socket.settimeout(15)
    got, number, end = bytearray(), 0, time.monotonic() + 60
    while time.monotonic() < end:
        answer = device.get("/firmware/app/1.0.0", (BLOCK2, block(number, 1024)),
                            token=number.to_bytes(4, "big"))
        if answer.status == "2.05":
            got += answer.payload
            assert answer.block2()[1], "a complete download of bytes that failed verification"
            number += 1
        elif answer.status == "5.03":
            time.sleep(0.2)
        else:
            break
    assert answer.status in ("5.02", "4.12", "4.04"), f"{answer.status} {answer.payload!r}"
    assert len(got) <= len(body) - 4096
    assert stream or not got
