"""The parts of tests/support that can be wrong without a test noticing."""
import socket
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support import net, toml
from support.gateway import NotifySocket

tomllib = pytest.importorskip("tomllib")


@pytest.fixture
def upstream():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = b"x" * 200_000
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def fetch(proxy):
    request = urllib.request.Request(proxy.endpoint + "/a/b", headers={"Range": "bytes=5-9"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def test_proxy_counts_requests_and_bytes(upstream, make_proxy):
    proxy = make_proxy(upstream)
    assert len(fetch(proxy)) == 200_000
    assert proxy.count("GET", "/a/") == 1
    assert proxy.requests[0].range == (5, 9)
    assert 200_000 <= proxy.bytes_down <= 201_000


def test_proxy_keeps_the_rate_over_all_connections(upstream, make_proxy):
    proxy = make_proxy(upstream, rate=400_000)
    started = time.monotonic()
    threads = [threading.Thread(target=fetch, args=(proxy,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.9 <= time.monotonic() - started <= 1.6


def test_proxy_cut_refuses_and_restore_mends(upstream, make_proxy):
    proxy = make_proxy(upstream)
    proxy.cut()
    with pytest.raises(urllib.error.URLError):
        fetch(proxy)
    proxy.restore()
    assert len(fetch(proxy)) == 200_000


def test_toml_is_read_back_the_same():
    config = {
        "a": {"n": 1, "s": 'q"\\\n\u00fc', "b": True, "l": ["x", "y"], "f": 0.5, "inner": {"odd key": "v"}},
        "store": [{"name": "one", "options": {"path": "/x", "file": {"file": "/y"}}}, {"name": "two"}],
    }
    assert tomllib.loads(toml.dumps(config)) == config


def test_ports_differ():
    assert len({net.free_port() for _ in range(20)}) == 20


def test_notify_socket_waits_for_another_message(tmp_path):
    notify = NotifySocket(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"STATUS=x\nREADY=1", str(notify.path))
        assert notify.wait("READY=1", 5)
        assert not notify.wait("READY=1", 0.1, seen=1)
        sender.sendto(b"READY=1", str(notify.path))
        assert notify.wait("READY=1", 5, seen=1)
    notify.close()


def test_s3_server_keeps_keys_metadata_and_ranges(s3):
    key = "a b/c+d%/\u00fc.bin"
    etag = s3.put(key, b"0123456789", version="1.2.3")
    answer = s3.client().get_object(Bucket=s3.bucket, Key=key, Range="bytes=2-4", IfMatch=etag)
    assert answer["Body"].read() == b"234"
    assert answer["Metadata"]["version"] == "1.2.3"
    s3.stop()
    s3.start()
    assert s3.client().list_objects_v2(Bucket=s3.bucket)["Contents"][0]["Key"] == key
