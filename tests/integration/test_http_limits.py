"""HTTP: who may ask, TLS, and the bounds on what a peer can make the gateway do."""
import contextlib
import pathlib
import random
import re
import socket
import ssl
import struct
import subprocess
import time

import pytest

from support.clients import curl, image, sha256
from support.net import eventually, free_port
from support.tools import TREE, need, scaled

BODY = image(200_000, 3)


@pytest.fixture
def make_site(gateway, tmp_path):
    """make_site(**http options) -> a started gateway that serves /firmware/app/1.0.0/sensor."""

    def make(wait=True, credentials=(), drain_timeout=None, **options):
        folder = tmp_path / "firmware" / "sensor"
        folder.mkdir(parents=True)
        (folder / "app-1.0.0.bin").write_bytes(BODY)
        gateway.add_directory(folder.parent, pattern=["{type}/{name}-{version}.bin"])
        gateway.add_http(**options)
        gateway.config["credential"] += credentials
        if drain_timeout:
            gateway.config["daemon"]["drain_timeout"] = drain_timeout
        gateway.start()
        if wait:
            gateway.wait_log("fill_completed")
            gateway.wait_log("http: listening on")
        return gateway

    return make


PATH = "/firmware/app/1.0.0/sensor"
REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3\r\n\r\n".encode()


def connect(gateway, timeout=20):
    return socket.create_connection(("127.0.0.1", gateway.http_port), timeout=timeout)


def drain(peer):
    got = b""
    with contextlib.suppress(ConnectionError):
        while part := peer.recv(65536):
            got += part
    return got


def test_without_a_credential_nothing_is_served(make_site):
    gateway = make_site(anonymous=False)
    for path in [PATH, "/firmware", "/blobs/sha256/" + "0" * 64]:
        answer = gateway.get(path)
        assert answer.status == 401
        schemes = answer.headers.get_all("WWW-Authenticate")
        assert any(s.startswith("Bearer") for s in schemes) and any(s.startswith("Basic") for s in schemes)
    assert gateway.get(PATH, {"Authorization": "Bearer wrong"}).status == 401
    assert gateway.get(PATH, {"Authorization": "Digest x"}).status == 401


def test_a_credential_sees_its_own_type(make_site, tmp_path):
    for name in ["right", "other", "password"]:
        (tmp_path / name).write_text(name + "-very-secret-word\n")
    gateway = make_site(anonymous=False, credentials=[
        {"name": "right", "kind": "token", "secret": {"file": str(tmp_path / "right")}, "type": "sensor"},
        {"name": "other", "kind": "token", "secret": {"file": str(tmp_path / "other")}, "type": "camera"},
        {"name": "basic", "kind": "basic", "user": "u", "secret": {"file": str(tmp_path / "password")},
         "type": "sensor"},
    ])

    def get(path, authorization):
        return gateway.get(path, {"Authorization": authorization})

    assert get(PATH, "Bearer right-very-secret-word").body == BODY
    assert get("/firmware/app/1.0.0", "bearer right-very-secret-word").body == BODY
    blob = "/blobs/sha256/" + sha256(BODY)
    assert get(blob, "Bearer right-very-secret-word").body == BODY
    for path in [PATH, blob]:
        assert get(path, "Bearer other-very-secret-word").status == 404
    assert get("/firmware", "Bearer other-very-secret-word").json()["items"] == []
    assert len(get("/firmware", "Bearer right-very-secret-word").json()["items"]) == 1
    assert curl("-u", "u:password-very-secret-word", gateway.url(PATH)) == BODY
    assert get(PATH, "Bearer right-very-secret-wor").status == 401
    # One connection may be used by several: each request stands for itself.
    connection = gateway.http()
    for authorization, status in [("Bearer right-very-secret-word", 200), ("Bearer other-very-secret-word", 404), (None, 401),
                                  ("Bearer right-very-secret-word", 200)] * 2:
        connection.request("GET", PATH, headers={"Authorization": authorization} if authorization else {})
        answer = connection.getresponse()
        assert (answer.status, len(answer.read()) == len(BODY)) == (status, status == 200)
    connection.close()
    assert "very-secret" not in gateway.log


def test_tls_and_a_new_certificate(make_site, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def certify(name):
        subprocess.run(
            [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-days", "30",
             "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)

    def shown():
        pem = ssl.get_server_certificate(("127.0.0.1", gateway.http_port))
        return pem.strip() == cert.read_text().strip()

    certify("first")
    gateway = make_site(tls={"cert": str(cert), "key": str(key)})
    url = f"https://127.0.0.1:{gateway.http_port}{PATH}"
    assert curl("--cacert", cert, url) == BODY
    assert curl("--cacert", cert, "-r", "100-199", url) == BODY[100:200]
    assert curl("--cacert", cert, "--tlsv1.2", "--tls-max", "1.2", url) == BODY
    with pytest.raises(AssertionError):
        curl("--cacert", cert, "--tls-max", "1.1", url)
    old = cert.read_text()
    certify("second")
    gateway.reload()
    eventually(shown, what="the new certificate")
    cert.write_text("not a certificate")
    with contextlib.suppress(AssertionError):
        gateway.reload(timeout=5)
    gateway.wait_log("certificate_refused")
    cert.write_text(old)
    assert ssl.get_server_certificate(("127.0.0.1", gateway.http_port)).strip() != old.strip()


def test_a_taken_address_is_waited_for(make_site):
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port = free_port()
    holder.bind(("127.0.0.1", port))
    holder.listen()
    gateway = make_site(wait=False, listen=f"127.0.0.1:{port}")
    gateway.http_port = port
    gateway.wait_log("listener_waiting.*in use by another process")
    holder.close()
    gateway.wait_log("http: listening on")
    eventually(lambda: gateway.get(PATH).body == BODY, what="the firmware at last")


def test_slow_heads_and_idle_connections_end(make_site):
    gateway = make_site(header_timeout="1s", idle_timeout="2s")
    with connect(gateway) as slow, connect(gateway) as idle:
        slow.sendall(REQUEST[:-2])
        idle.sendall(REQUEST)
        got = drain(slow)
        assert got.startswith(b"HTTP/1.1 408 ") and b"Connection: close" in got
        begin = time.monotonic()
        assert drain(idle).endswith(BODY[:4])
        assert time.monotonic() - begin < 8


def test_a_peer_that_takes_nothing_is_cut(make_site):
    gateway = make_site(idle_timeout="1s")
    with connect(gateway, timeout=30) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        many = REQUEST.replace(b"bytes=0-3", b"bytes=0-") * 80
        with contextlib.suppress(ConnectionError, TimeoutError):
            peer.sendall(many)
        eventually(lambda: established(gateway) == 0, 15, what="the connection to be cut")
    assert gateway.get(PATH).body == BODY


def established(gateway):
    """Connections that the daemon holds on its HTTP port."""
    count = 0
    for line in pathlib.Path(f"/proc/{gateway.pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        count += fields[1] == f"0100007F:{gateway.http_port:04X}" and fields[3] == "01"
    return count


def test_limits_on_connections_and_requests(make_site):
    gateway = make_site(max_connections=20, max_connections_per_source=10)
    with contextlib.ExitStack() as stack:
        # Busy ones: idle ones would give way.
        peers = [stack.enter_context(connect(gateway)) for _ in range(10)]
        for peer in peers:
            peer.sendall(REQUEST[:-2])
        eventually(lambda: established(gateway) >= 10, what="ten connections")
        extra = stack.enter_context(connect(gateway))
        assert drain(extra).startswith(b"HTTP/1.1 503 ")
        for peer in peers:
            peer.sendall(b"\r\n")
            assert peer.recv(65536).startswith(b"HTTP/1.1 206 ")


def test_requests_per_second(make_site):
    gateway = make_site(requests_per_second=5)
    codes = [gateway.get(PATH).status for _ in range(14)]
    assert codes.count(429) >= 2 and codes[:5].count(200) == 5
    limited = next(a for a in (gateway.get(PATH) for _ in range(50)) if a.status == 429)
    assert limited.headers["Retry-After"] == "1"


def test_large_heads_are_refused(make_site):
    gateway = make_site(header_limit="4KiB")
    for request, status in [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 5000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", b"431"),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"505"),
    ]:
        with connect(gateway) as peer:
            peer.sendall(request)
            assert drain(peer).startswith(b"HTTP/1.1 " + status), request[:40]


def exchange(peer, request):
    """Sends it and reads one answer: its status, its head in lower case, its body."""
    if request:
        peer.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        part = peer.recv(65536)
        assert part, f"the connection ended: {data!r}"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while length and len(body) < int(length[1]):
        body += peer.recv(65536)
    return int(head.split()[1]), head.lower(), body


CHUNKED = b"POST /firmware HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_body_is_read_and_the_connection_goes_on(make_site):
    gateway = make_site(body_limit="4KiB")
    sized = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 4096\r\n\r\n"
    trap = (b"GET /trap HTTP/1.1\r\nHost: a\r\n\r\n" * 200)[:4096]  # a body that looks like requests
    with connect(gateway) as peer:
        for request, status in [
            (sized % b"firmware" + trap, 405),
            (sized % b"nowhere" + trap, 405),
            (CHUNKED + b"3;a=b\r\nGET\r\nffd\r\n" + trap[:4093] + b"\r\n0\r\nX-Trailer: 1\r\n\r\n", 405),
            (b"PUT /firmware HTTP/1.1\r\nHost: a\r\n\r\n", 405),
            (REQUEST.replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\nGET / H"), 206),
            (REQUEST, 206),
        ]:
            got = exchange(peer, request)
            assert got[0] == status and b"connection: close" not in got[1], (request[:80], got)
            if status == 206:
                assert got[2] == BODY[:4]
        # Byte by byte.
        slowly = CHUNKED + b"2\r\nab\r\n0\r\n\r\n"
        for at in range(len(slowly) - 1):
            peer.sendall(slowly[at : at + 1])
        assert exchange(peer, slowly[-1:])[0] == 405
        assert exchange(peer, REQUEST)[2] == BODY[:4]


def test_expect_continue(make_site):
    gateway = make_site(body_limit="4KiB")
    head = b"POST /firmware HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with connect(gateway) as peer:
        assert exchange(peer, head % 1000)[0] == 100
        assert exchange(peer, b"x" * 1000)[0] == 405
        assert exchange(peer, REQUEST)[2] == BODY[:4]
        # Refused before a byte of it was sent.
        assert exchange(peer, head % 4097)[0] == 413
        assert drain(peer) == b""
    made = subprocess.run(
        [need("curl"), "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue", "-H",
         "Transfer-Encoding: chunked", "--data-binary", "@-", gateway.url("/firmware")],
        input=b"y" * 3000, capture_output=True, check=True, timeout=30)
    assert made.stdout == b"405"


def test_bodies_that_are_refused(make_site):
    gateway = make_site(body_limit="4KiB", header_limit="2KiB", idle_timeout="1s")
    for request, status in [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\n\r\n", 413),
        (CHUNKED + b"1001\r\n", 413),
        (CHUNKED + b"800\r\n" + b"a" * 2048 + b"\r\n801\r\n", 413),
        (CHUNKED + b"ffffffffffffffffff\r\n", 400),
        (CHUNKED + b"-1\r\n", 400),
        (CHUNKED + b"2\r\nabc\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1;" + b"e" * 3000, 400),
        (CHUNKED + b"0\r\n" + b"T: x\r\n" * 101 + b"\r\n", 431),
        (CHUNKED + b"0\r\n" + b"T: x" * 1000, 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (CHUNKED + b"5\r\nab", 408),
    ]:
        with connect(gateway) as peer:
            got = exchange(peer, request)
            assert got[0] == status and b"connection: close" in got[1], (request[:80], got)
            assert drain(peer) == b""
    assert gateway.get(PATH).body == BODY


def test_mutated_requests_do_no_harm(gateway, make_site):
    # What is freed stays unusable for a while under ASan, by default 256 MB of it, in each thread 1 MB.
    gateway.env["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:detect_stack_use_after_return=1"
    make_site(header_timeout="2s", drogue=True, poll=True)
    seeds = [p.read_bytes() for p in sorted((TREE / "tests/fuzz/corpus/http_request").iterdir())]
    seeds.append(REQUEST)
    chance = random.Random(20)

    def mutated():
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(5):
                case 0: data[at:at] = bytes([chance.randrange(256)])
                case 1: del data[at : at + chance.randrange(1, 9)]
                case 2: data[at : at + 1] = bytes([chance.randrange(256)])
                case 3: data[at:at] = chance.choice(seeds)[: chance.randrange(1, 200)]
                case 4: data[at:at] = chance.choice([b"\r\n", b"\0", b"%", b"A" * 3000, struct.pack("<Q", at)])
        return bytes(data)

    def burst(count):
        answered = 0
        for _ in range(count):
            with connect(gateway) as peer:
                with contextlib.suppress(ConnectionError):
                    peer.sendall(mutated())
                    peer.shutdown(socket.SHUT_WR)
                    answered += drain(peer).startswith(b"HTTP/1.1 ")
        return answered

    burst(500)
    before = gateway.rss()
    count = scaled(10_000, 500)
    answered = burst(count)
    print(f"{count} mutated requests, {answered} answered")
    assert answered > count / 2, "hardly anything was answered: the test does not reach the parser"
    assert gateway.get(PATH).body == BODY
    assert gateway.rss() - before < 16 << 20


def test_a_stop_does_not_wait_for_stalled_readers(make_site):
    gateway = make_site(drain_timeout="2s")
    request = f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 20
    with contextlib.ExitStack() as stack:
        peers = []
        for _ in range(scaled(1000, 100)):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.settimeout(10)
            peer.connect(("127.0.0.1", gateway.http_port))
            peer.sendall(request)
            peers.append(stack.enter_context(peer))
        begin = time.monotonic()
        gateway.stop()
        assert time.monotonic() - begin < 5
