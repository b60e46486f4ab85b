# ctest-timeout: 300
"""Requests of device protocols as the http and coap transports carry them: methods, bodies, who asks."""
import base64
import contextlib
import re
import socket
import time

import pytest

from support import coap
from support.clients import coap_client_path, curl, run
from support.coap import BLOCK2, CON, CONTENT_FORMAT, ECHO, NON, Endpoint, Message, block, path_options
from support.net import eventually

STATUS = bytes.fromhex("a40045312e302e300119020002f603f6")  # version 1.0.0, mtu 512
BLOCK1, AUTHORIZATION, COMMAND = 27, 4209, 4210
CBOR = coap.uint(60)
DFU = "/v1/dfu?device=sensor-1"


def secret(folder, text):
    path = folder / ("secret-" + text[:5])
    path.write_text(text)
    path.chmod(0o600)
    return {"file": str(path)}


def one_device(folder):
    return {"name": "one", "kind": "basic", "user": "sensor-1", "secret": secret(folder, "pw-one-very-secret-word"),
            "device": "sensor-1"}


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# ------------------------------------------------------------------ HTTP


@pytest.fixture
def make_site(gateway, tmp_path):
    def make(credentials=(), **options):
        (tmp_path / "firmware").mkdir()
        gateway.add_directory(tmp_path / "firmware", pattern=["{type}/{name}-{version}.bin"])
        gateway.add_http(**options)
        gateway.config["credential"] += credentials
        gateway.start()
        gateway.wait_log("http: listening on")
        return gateway

    return make


def ask(gateway, method, path, body=None, **headers):
    connection = gateway.http()
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read()


def raw(gateway, data, timeout=10):
    """All that comes back for these bytes until the server closes."""
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=timeout) as peer:
        peer.sendall(data)
        got = b""
        while part := peer.recv(65536):
            got += part
        return got


def test_methods_belong_to_paths(make_site):
    gateway = make_site(drogue=True, poll=True)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/firmware", "/firmware/app/1.0.0", "/blobs/sha256/" + 64 * "0", "/nothing"):
            answer, _ = ask(gateway, method, path, b"x")
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD"), (method, path)
    answer, _ = ask(gateway, "GET", "/nothing")
    assert answer.status == 404
    answer, body = ask(gateway, "FOO", "/v1/dfu")
    assert answer.status == 501
    answer, _ = ask(gateway, "GET", "/v1/dfu")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_a_device_asks_and_there_is_nothing_to_do(make_site, tmp_path):
    gateway = make_site(drogue=True, poll=True)
    answer, body = ask(gateway, "POST", DFU, STATUS, Content_Type="application/cbor")
    assert answer.status == 200, body
    assert answer.headers["command"] == "dfu"
    assert answer.headers["Content-Type"] == "application/cbor"
    assert body[:2] == b"\xa1\x01", "a packed Sync: nothing to do"
    status = tmp_path / "status.cbor"
    status.write_bytes(STATUS)
    assert curl("--data-binary", f"@{status}", gateway.url(DFU)) == body
    answer, body = ask(gateway, "GET", "/v1/devices/sensor-1/update?version=1.0.0&type=sensor")
    assert (answer.status, body) == (204, b"")
    assert answer.headers["Content-Length"] is None, "RFC 9110, 8.6"


def test_the_connection_goes_on_after_a_body(make_site):
    gateway = make_site(drogue=True)
    sized = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (DFU.encode(), len(STATUS), STATUS)
    chunked = b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        DFU.encode(), len(STATUS), STATUS)
    refused = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /"
    last = b"GET /firmware HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    got = raw(gateway, sized + chunked + refused + sized + last)
    assert re.findall(rb"HTTP/1\.1 (\d+) ", got) == [b"200", b"200", b"405", b"200", b"200"]


def test_bodies_are_bounded(make_site):
    gateway = make_site(drogue=True, body_limit="1KiB")
    answer, _ = ask(gateway, "POST", DFU, b"x" * 1025)
    assert answer.status == 413
    answer, _ = ask(gateway, "POST", DFU, b"x" * 1024)
    assert answer.status == 400, "read, and no Drogue status"
    got = raw(gateway, b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n%s" % (
        DFU.encode(), b"x" * 1025))
    assert got.startswith(b"HTTP/1.1 413 ")


def test_who_asks_is_known_before_the_body_is_read(make_site, tmp_path):
    gateway = make_site(credentials=[
        one_device(tmp_path),
        {"name": "two", "kind": "token", "secret": secret(tmp_path, "token-two-token-two"), "device": "sensor-2"},
    ], anonymous=False)
    got = raw(gateway, b"POST /v1/dfu HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 401 "), "not 100"
    assert b"WWW-Authenticate: Bearer" in got
    for who in (basic("sensor-1", "pw-one-very-secret-word"), basic("sensor-1@fleet", "pw-one-very-secret-word"), "Bearer token-two-token-two",
                "TargetToken token-two-token-two", "GatewayToken token-two-token-two"):
        answer, body = ask(gateway, "POST", "/v1/dfu", STATUS, Authorization=who)
        assert answer.status == 200, (who, body)
    for who in (basic("sensor-1@fleet", "wrong"), basic("other@sensor-1", "pw-one-very-secret-word"), "TargetToken wrong"):
        answer, body = ask(gateway, "POST", "/v1/dfu", STATUS, Authorization=who)
        assert answer.status == 401, (who, body)
    assert "pw-one-very-secret-word" not in gateway.log and "token-two" not in gateway.log


def test_where_nobody_needs_a_credential_protocols_are_asked_for(make_site):
    gateway = make_site()
    answer, _ = ask(gateway, "POST", DFU, STATUS)
    assert answer.status == 405
    answer, _ = ask(gateway, "GET", "/v1/devices/sensor-1/update?version=1.0.0")
    assert answer.status == 404


def test_a_held_answer_outlives_the_idle_timeout(make_site):
    gateway = make_site(drogue=True, idle_timeout="1s")
    begin = time.monotonic()
    answer, body = ask(gateway, "POST", DFU + "&ct=3", STATUS)
    assert answer.status == 200, body
    assert 2.5 < time.monotonic() - begin < 10


def test_a_held_answer_keeps_within_the_total_timeout(make_site):
    gateway = make_site(drogue=True, total_timeout="2s")
    begin = time.monotonic()
    answer, body = ask(gateway, "POST", DFU + "&ct=50", STATUS)
    assert answer.status == 200, body
    assert time.monotonic() - begin < 5


def waiting(gateway):
    """A connection whose answer is held back."""
    peer = socket.create_connection(("127.0.0.1", gateway.http_port), timeout=20)
    peer.sendall(b"POST %s&ct=50 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (
        DFU.encode(), len(STATUS), STATUS))
    gateway.wait_log("device.registered|registered by its first check-in")
    return peer


def test_who_leaves_is_not_waited_for(make_site):
    gateway = make_site(drogue=True)
    before = gateway.open_files()
    peer = waiting(gateway)
    assert gateway.open_files() > before
    peer.close()
    eventually(lambda: gateway.open_files() <= before, 20, what="the connection closed")
    assert ask(gateway, "POST", DFU, STATUS)[0].status == 200


def test_who_has_closed_his_half_gets_an_answer_that_comes_soon(make_site):
    gateway = make_site(drogue=True)
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=10) as peer:
        peer.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (
            DFU.encode(), len(STATUS), STATUS))
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(2048).startswith(b"HTTP/1.1 200 ")


def test_a_stop_does_not_wait_for_held_answers(make_site):
    gateway = make_site(drogue=True)
    with waiting(gateway) as peer:
        begin = time.monotonic()
        gateway.process.terminate()
        assert peer.recv(2048).startswith(b"HTTP/1.1 503 ")
        gateway.stop()
        assert time.monotonic() - begin < 10


# ------------------------------------------------------------------ CoAP


@pytest.fixture
def make_coap(gateway, owner):
    def make(credentials=(), **options):
        gateway.add_coap(**options)
        gateway.config["credential"] += credentials
        gateway.start()
        endpoint = owner.add(Endpoint(gateway.coap_port, timeout=1.0))
        endpoint.get("/.well-known/core", tries=20)
        return gateway, endpoint

    return make


def post(endpoint, path, payload, *options, code=coap.POST, mid=None, type=CON, token=b"\x07\x08"):
    mid = endpoint.next_mid() if mid is None else mid
    return endpoint.ask(Message(type, code, mid, token, path_options(path) + list(options), payload))


def test_coap_posts_reach_their_protocol(make_coap, tmp_path):
    gateway, device = make_coap(drogue=True)
    answer = post(device, DFU, STATUS, (CONTENT_FORMAT, CBOR))
    assert (answer.status, answer.type) == ("2.05", coap.ACK), answer
    assert answer.option(COMMAND) == b"dfu"
    assert answer.number(CONTENT_FORMAT) == 60
    assert answer.payload[:2] == b"\xa1\x01", "a packed Sync: nothing to do"
    assert post(device, DFU, STATUS, (CONTENT_FORMAT, CBOR), type=NON).status == "2.05"
    # libcoap's client, which cuts the body into blocks of 16 bytes here.
    status, out = tmp_path / "status.cbor", tmp_path / "command.cbor"
    status.write_bytes(STATUS + b"")
    run(coap_client_path(), "-B", "10", "-m", "post", "-t", "60", "-b", "16", "-f", status, "-o", out,
        gateway.coap_url(DFU))
    assert out.read_bytes() == answer.payload


def test_a_repeated_coap_post_is_answered_the_same(make_coap):
    _, device = make_coap(drogue=True)
    request = Message(CON, coap.POST, 4711, b"\x01", path_options(DFU) + [(CONTENT_FORMAT, CBOR)], STATUS)
    answers = set()
    for _ in range(3):
        device.socket.send(request.encode())
        answers.add(device.socket.recv(2048))
    assert len(answers) == 1
    assert Message.decode(answers.pop()).status == "2.05"


def test_coap_methods_and_paths(make_coap):
    _, device = make_coap(drogue=True)
    for code in (coap.POST, coap.PUT, coap.DELETE, 5, 6, 7):
        for path in ("/firmware", "/firmware/app/1.0.0", "/.well-known/core", "/nothing"):
            assert post(device, path, b"x", code=code).status == "4.05", (code, path)
    assert device.get("/nothing").status == "4.04"
    assert device.get("/v1/dfu").status == "4.05"
    assert post(device, DFU, b"\xff").status == "4.00"
    assert post(device, DFU, STATUS, (CONTENT_FORMAT, coap.uint(9999))).status == "4.15"
    assert post(device, DFU, STATUS, (coap.ACCEPT, coap.uint(9999))).status == "4.06"


def test_a_body_in_blocks(make_coap):
    gateway, device = make_coap(drogue=True)
    # Unknown keys are ignored: a status of more than one block.
    status = bytes.fromhex("a20045312e302e301864") + b"\x58\x64" + bytes(100)
    parts = [status[i : i + 32] for i in range(0, len(status), 32)]
    for number, part in enumerate(parts):
        more = number + 1 < len(parts)
        answer = post(device, DFU, part, (CONTENT_FORMAT, CBOR), (BLOCK1, block(number, 32, more)))
        assert answer.status == ("2.31" if more else "2.05"), answer
        assert answer.number(BLOCK1) == int.from_bytes(block(number, 32, more), "big")
    assert post(device, DFU, parts[2], (BLOCK1, block(2, 32, True))).status == "4.08"
    assert post(device, DFU, b"x" * 16, (BLOCK1, block(65536 // 16, 16, True))).status == "4.13"
    assert post(device, DFU, b"short", (BLOCK1, block(0, 16, True))).status == "4.00"


def test_an_answer_in_blocks(make_coap):
    _, device = make_coap(drogue=True)
    small = (BLOCK2, block(0, 16))
    whole = post(device, "/v1/dfu", STATUS).payload  # an error in words: who asks?
    assert len(whole) > 32
    first = post(device, "/v1/dfu", STATUS, small)
    assert first.block2() == (0, True, 16)
    got, number = first.payload, 0
    while True:
        number += 1
        answer = post(device, "/v1/dfu", b"", (BLOCK2, block(number, 16)))
        assert answer.option(coap.ETAG) == first.option(coap.ETAG)
        got += answer.payload
        if not answer.block2()[1]:
            break
    assert got == whole
    assert post(device, "/v1/dfu?other", b"", (BLOCK2, block(1, 16))).status == "4.08"


def test_a_coap_device_shows_its_credential(make_coap, tmp_path):
    gateway, device = make_coap(credentials=[one_device(tmp_path)], drogue=True)
    for who, status in ((basic("sensor-1", "pw-one-very-secret-word"), "2.05"), (basic("sensor-1@fleet", "pw-one-very-secret-word"), "2.05"),
                        (basic("sensor-1", "wrong"), "4.01"), ("Nonsense", "4.01")):
        answer = post(device, "/v1/dfu", STATUS, (AUTHORIZATION, who.encode()))
        assert answer.status == status, (who, answer)
    assert "pw-one-very-secret-word" not in gateway.log


def test_a_stranger_shows_that_he_hears_us_first(make_coap):
    _, device = make_coap(drogue=True, trusted_networks=["192.0.2.0/24"], echo="small")
    answer = post(device, DFU, STATUS, token=b"12345678")
    assert answer.status == "4.01" and answer.option(ECHO), answer
    assert post(device, DFU, STATUS, (ECHO, answer.option(ECHO)), token=b"12345678").status == "2.05"


def test_coap_protocols_are_asked_for(make_coap):
    _, device = make_coap()
    assert post(device, DFU, STATUS).status == "4.05"
    assert device.get("/v1/devices/sensor-1/update").status == "4.04"


def test_a_held_coap_answer_is_one_of_its_own(make_coap):
    _, device = make_coap(drogue=True)
    device.socket.settimeout(10)
    begin = time.monotonic()
    answer = post(device, DFU + "&ct=3", STATUS)
    assert (answer.status, answer.type) == ("2.05", CON), answer
    assert answer.option(COMMAND) == b"dfu"
    assert 2.5 < time.monotonic() - begin < 10
