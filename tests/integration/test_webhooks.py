"""Events posted to a receiver: signed, in order, again until they are taken, also across kill -9."""
import hashlib
import hmac
import http.server
import json
import threading

import pytest

from support.clients import image
from support.net import eventually

SECRET = "webhook-secret-0123456789abcdef"


class Receiver:
    """A web server that keeps what it is sent, and answers what it is told to."""

    def __init__(self):
        self.status = 204
        self.taken = []  # of 2xx, in order
        self.refused = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer._lock:
                    status = outer.status
                    if status < 300:
                        outer.taken.append((dict(self.headers), body))
                    else:
                        outer.refused += 1
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def kinds(self):
        return [json.loads(body)["kind"] for _, body in self.taken]

    def sequences(self):
        return [json.loads(body)["sequence"] for _, body in self.taken]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def site(gateway, receiver, tmp_path):
    files = tmp_path / "files"
    gateway.add_directory(files)
    (tmp_path / "secret").write_text(SECRET)
    gateway.config["webhook"] = [
        {
            "name": "hook",
            "url": receiver.url,
            "secret": {"file": str(tmp_path / "secret")},
            "events": ["listed"],
        }
    ]
    gateway.add_http()
    gateway.start()
    return files


def publish(gateway, files, version):
    (files / f"app-{version}.bin").write_bytes(image(10_000) + version.encode())
    gateway.wait_firmware("app", version)


def test_an_event_is_posted_once_and_signed(gateway, receiver, site):
    publish(gateway, site, "1.0.0")
    eventually(lambda: len(receiver.taken) == 1, 10, what="the event")
    headers, body = receiver.taken[0]
    event = json.loads(body)
    assert event["kind"] == "listed" and "app/1.0.0" in event["firmware"]
    assert headers["X-Otagate-Event"] == "listed"
    assert headers["X-Otagate-Delivery"] == str(event["sequence"])
    time, mac = (part.split("=", 1)[1] for part in headers["X-Otagate-Signature"].split(","))
    assert mac == hmac.new(SECRET.encode(), time.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert SECRET not in gateway.log_path.read_text()
    publish(gateway, site, "1.1.0")
    eventually(lambda: len(receiver.taken) == 2, 10, what="the second event")
    assert receiver.sequences() == sorted(set(receiver.sequences()))


def test_what_is_refused_comes_again_and_nothing_is_lost_by_a_kill(gateway, receiver, site):
    receiver.status = 503
    publish(gateway, site, "1.0.0")
    eventually(lambda: receiver.refused > 0, 10, what="the first try")
    publish(gateway, site, "1.1.0")
    gateway.kill()
    receiver.status = 204
    gateway.start()
    eventually(lambda: len(receiver.taken) >= 2, 20, what="both events")
    versions = [json.loads(body)["firmware"].split("/")[1] for _, body in receiver.taken]
    assert versions == ["1.0.0", "1.1.0"]


def test_a_receiver_that_is_gone_is_left_alone(gateway, receiver, site):
    receiver.status = 410
    publish(gateway, site, "1.0.0")
    eventually(lambda: gateway.api("/events?kind=webhook_gone")["items"], 10, what="the event")
    refused = receiver.refused
    publish(gateway, site, "1.1.0")
    assert receiver.refused == refused
