# ctest-timeout: 300
"""The admin API against its own description, the client, reloads, and what must never be seen."""
import contextlib
import http.client
import json
import os
import re
import socket
import threading
import time

import pytest

from support.clients import image, sha256
from support.gateway import UnixConnection
from support.net import eventually, free_port
from support.tools import need_module

PLANTED = "planted-secret-0123456789abcdef"
DEVICE = "hall%203%2F%C3%A4"  # "hall 3/ä"


@pytest.fixture
def site(gateway, tmp_path):
    files = tmp_path / "files"
    gateway.add_directory(files, options={"publish": True})
    (files / "app-1.0.0.bin").write_bytes(image(50_000))
    (files / "notes.txt").write_bytes(b"no version anywhere")
    gateway.add_http()
    gateway.add_metrics()
    gateway.start()
    gateway.wait_firmware("app", "1.0.0")
    return files


def schema_of(description, method, path, status="200"):
    """The schema of an answer; $refs resolve within the description, `nullable` becomes a type."""

    def convert(node):
        if isinstance(node, list):
            return [convert(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return convert(description["components"]["schemas"][node["$ref"].rpartition("/")[2]])
        node = {key: convert(value) for key, value in node.items()}
        if node.pop("nullable", False):
            if "type" not in node:
                return {"anyOf": [node, {"type": "null"}]}
            node["type"] = [node["type"], "null"]
        return node

    answer = description["paths"][path][method.lower()]["responses"][status]
    return convert(answer["content"]["application/json"]["schema"])


def test_answers_are_what_the_description_says(site, gateway):
    validate = need_module("jsonschema").validate
    description = gateway.api("/openapi.json")
    digest = sha256(image(50_000))
    eventually(lambda: gateway.api_request(f"/api/v1/blobs/{digest}").status == 200, 10, what="the blob")
    content = gateway.api_request(f"/api/v1/blobs/{digest}/content")
    assert content.headers["Content-Type"] == "application/octet-stream" and content.body == image(50_000)
    assert gateway.api_request(f"/api/v1/blobs/{digest}/content", "HEAD").headers["Content-Length"] == "50000"
    asked = [
        ("GET", "/status", "/status"),
        ("GET", "/plugins", "/plugins"),
        ("GET", "/config", "/config"),
        ("POST", "/config/reload", "/config/reload"),
        ("PUT", "/log", "/log"),
        ("POST", "/state/backup", "/state/backup"),
        ("GET", "/openapi.json", "/openapi.json"),
        ("GET", "/stores", "/stores"),
        ("POST", "/stores/{store}/sync", "/stores/files/sync"),
        ("GET", "/stores/{store}/objects", "/stores/files/objects?limit=1"),
        ("GET", "/firmware", "/firmware"),
        ("GET", "/firmware/{name}/{version}", "/firmware/app/latest"),
        ("POST", "/firmware/{name}/{version}/fetch", "/firmware/app/1.0.0/fetch"),
        ("POST", "/firmware", "/firmware"),
        ("PUT", "/blobs/{sha256}", f"/blobs/{digest}"),
        ("POST", "/bundles", "/bundles"),
        ("POST", "/firmware/{name}/{version}/publish", "/firmware/own/1.0.0/publish?store=files"),
        ("DELETE", "/firmware/{name}/{version}", "/firmware/own/1.0.0"),
        ("DELETE", "/firmware/{name}/{version}", "/firmware/carried/2.0.0"),
        ("GET", "/cache", "/cache"),
        ("GET", "/blobs", "/blobs"),
        ("GET", "/blobs/{sha256}", f"/blobs/{digest}"),
        ("PUT", "/blobs/{sha256}/pin", f"/blobs/{digest}/pin"),
        ("DELETE", "/blobs/{sha256}/pin", f"/blobs/{digest}/pin"),
        ("POST", "/blobs/{sha256}/verify", f"/blobs/{digest}/verify"),
        ("GET", "/fills", "/fills"),
        ("GET", "/events", "/events?limit=5"),
        ("POST", "/devices", "/devices"),
        ("GET", "/devices", "/devices?limit=1"),
        ("GET", "/devices/{device}", f"/devices/{DEVICE}"),
        ("PATCH", "/devices/{device}", f"/devices/{DEVICE}"),
        ("POST", "/devices/{device}/block", f"/devices/{DEVICE}/block"),
        ("POST", "/devices/{device}/approve", f"/devices/{DEVICE}/approve"),
        ("POST", "/devices/{device}/token", f"/devices/{DEVICE}/token"),
        ("DELETE", "/devices/{device}/token", f"/devices/{DEVICE}/token"),
        ("GET", "/devices/{device}/attempts", f"/devices/{DEVICE}/attempts"),
        ("POST", "/deployments", "/deployments"),
        ("POST", "/deployments", "/deployments?dry_run=true"),
        ("GET", "/deployments", "/deployments"),
        ("GET", "/deployments/{deployment}", "/deployments/1"),
        ("GET", "/deployments/{deployment}/devices", "/deployments/1/devices"),
        ("GET", "/deployments/{deployment}/attempts", "/deployments/1/attempts"),
        ("POST", "/deployments/{deployment}/approve", "/deployments/1/approve"),
        ("POST", "/deployments/{deployment}/pause", "/deployments/1/pause"),
        ("POST", "/deployments/{deployment}/resume", "/deployments/1/resume"),
        ("POST", "/deployments/{deployment}/retry", "/deployments/1/retry"),
        ("POST", "/deployments/{deployment}/abort", "/deployments/1/abort"),
        ("GET", "/attempts", "/attempts?deployment=1"),
        ("DELETE", "/devices/{device}", f"/devices/{DEVICE}"),
        ("DELETE", "/blobs/{sha256}", f"/blobs/{digest}"),
    ]
    deployment = {"name": "test", "parts": [{"name": "app", "version": "1.0.0"}], "target": {"type": "sensor"},
                  "policy": {"waves": ["1", "50%"], "abort_at": "5%", "windows": ["02:00-04:00"], "approval": True}}
    bodies = {
        ("PUT", "/log"): {"level": "debug"},
        ("POST", "/firmware"): {"items": [{"sha256": digest, "name": "own", "version": "1.0.0"}]},
        ("PUT", f"/blobs/{digest}"): image(50_000),
        ("POST", "/bundles"): {"manifest": json.dumps({"format": "otagate-bundle/1", "items": [
            {"sha256": digest, "size": 50_000, "name": "carried", "version": "2.0.0"}]})},
        ("PUT", f"/blobs/{digest}/pin"): {"reason": "test"},
        ("POST", "/devices"): {"items": [{"id": "hall 3/ä", "type": "sensor", "versions": {"application": "0.9"}},
                                         {"id": "other", "attributes": {"site": "x"}}]},
        ("PATCH", f"/devices/{DEVICE}"): {"tags": ["lab"]},
        ("POST", "/deployments"): deployment,
        ("POST", "/deployments?dry_run=true"): deployment,
        ("POST", "/deployments/1/pause"): {"why": "test"},
    }
    for method, path, target in asked:
        answer = gateway.api_request("/api/v1" + target, method, bodies.get((method, target)))
        status = 201 if (method, target) == ("POST", "/deployments") else 200
        assert answer.status == status, f"{method} {target}: {answer.status} {answer.body!r}"
        validate(answer.json(), schema_of(description, method, "/api/v1" + path, str(status)))
    described = {
        (method.upper(), path)
        for path, methods in description["paths"].items() for method in methods
    }
    # Read as bytes above, as a stream, and in a test of its own.
    untested = {("GET", "/api/v1/blobs/{sha256}/content"), ("GET", "/api/v1/events/stream"),
                ("POST", "/api/v1/state/restore")}
    assert described - {(m, "/api/v1" + p) for m, p, _ in asked} == untested
    # Errors too, and a path nobody described.
    for target in ("/blobs/nonsense", "/stores/none/objects", "/devices/none", "/devices?approval=maybe",
                   "/deployments/0", "/deployments/99", "/deployments?over=5", "/nothing"):
        answer = gateway.api_request("/api/v1" + target)
        assert answer.status in (400, 404)
        validate(answer.json(), schema_of(description, "GET", "/api/v1/status", "default"))
    assert gateway.api_request("/api/v1/status", "DELETE").status == 405


def test_events_stream_as_they_happen_and_go_on_where_they_were(site, gateway):
    last = gateway.api("/events?limit=1")["items"][0]["sequence"]
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(20)
    stream.connect(str(gateway.socket_path))
    stream.sendall(f"GET /api/v1/events/stream?after={last - 1} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    lines = stream.makefile("r", encoding="utf-8")
    assert "200" in lines.readline()
    (site / "late-2.0.0.bin").write_bytes(image(1000, seed=2))
    sequences, kinds = [], []
    for line in lines:
        if not line.startswith("data: "):
            continue
        event = json.loads(line[6:])
        sequences.append(event["sequence"])
        kinds.append(event["kind"])
        if event["kind"] == "fill_completed" and "late-2.0.0" in event["message"]:
            break
    stream.close()
    assert sequences[0] == last, "it begins after what was seen"
    assert sequences == sorted(set(sequences))
    assert "listed" in kinds


def test_reload_takes_over_what_differs_and_refuses_what_is_wrong(site, gateway, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    (more / "extra-3.0.0.bin").write_bytes(image(2000, seed=3))
    kept = gateway.http()
    kept.request("GET", "/firmware/app/1.0.0")
    kept.getresponse().read()
    gateway.add_directory(more, name="more")
    gateway.reload()
    gateway.wait_firmware("extra", "3.0.0")
    kept.request("GET", "/firmware/app/1.0.0")
    assert kept.getresponse().read() == image(50_000), "an unchanged listener kept its connection"
    good = json.dumps(gateway.config)
    gateway.config["store"][1]["nonsense"] = 1
    gateway.write_config()
    answer = gateway.api_request("/api/v1/config/reload", "POST")
    assert answer.status == 400 and b"nonsense" in answer.body
    assert gateway.catalog(name="extra"), "a refused reload changes nothing"
    status = gateway.cli("status", check=False)
    assert status.returncode == 1 and "nonsense" in status.stdout
    gateway.config = json.loads(good)
    gateway.config["store"] = gateway.config["store"][:1]
    gateway.reload()
    eventually(lambda: not gateway.catalog(name="extra"), 10, what="the removed store's firmware gone")
    assert gateway.cli("status").returncode == 0


def test_what_was_skipped_says_why(site, gateway):
    out = gateway.cli("stores", "show", "files", "--skipped").stdout
    assert "notes.txt" in out and "add the sidecar" in out


def test_metrics_and_health(site, gateway):
    gateway.get("/firmware/app/1.0.0")
    metrics = gateway.metrics()
    assert metrics["otagate_healthy"] == 1
    assert any(name.startswith("otagate_store_up{") and value == 1 for name, value in metrics.items())
    assert metrics["otagate_cache_blobs"] >= 1
    for loop in ("api", "cache"):
        assert 0 <= metrics[f'otagate_event_loop_lag_seconds{{loop="{loop}"}}'] < 30
    answered = 'otagate_api_requests_total{status="%dxx"}'
    gateway.api("/status")
    assert gateway.api_request("/api/v1/no/such/thing").status == 404
    after = gateway.metrics()
    assert after[answered % 2] >= metrics[answered % 2] + 1
    assert after[answered % 4] >= metrics[answered % 4] + 1
    assert metrics["otagate_devices"] == 0
    gateway.api("/devices", "POST", {"id": "a"})
    assert gateway.metrics()["otagate_devices"] == 1
    for name in ("otagate_check_ins_total", 'otagate_attempts_open{state="downloading"}',
                 'otagate_attempts_ended_total{state="reverted"}'):
        assert metrics[name] == 0


def send_large(connection, method, path, body, headers=None):
    """Status and body of the answer, which may come before all of the request was taken."""
    with contextlib.closing(connection):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, json.dumps(body), headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_bodies_are_as_large_as_their_route_says(site, gateway):
    """4 MiB for lists, 64 KiB for all else; and whoever has not shown the token gets no more than that."""
    status, body = send_large(UnixConnection(gateway.socket_path, 20), "PUT", "/api/v1/log",
                              {"level": "info", "module": "x" * 70_000})
    assert status == 413 and b"64 KiB" in body
    padded = {"items": [{"id": f"d{n}", "attributes": {"pad": "x" * 250}} for n in range(1000)]}
    assert gateway.api("/devices", "POST", padded) == {"devices": 1000, "made": 1000}
    status, _ = send_large(UnixConnection(gateway.socket_path, 20), "POST", "/api/v1/devices",
                           {"items": [], "next": "x" * (5 << 20)})
    assert status == 413


def test_the_client_speaks_for_people_and_for_programs(site, gateway, build_dir):
    assert "app" in gateway.cli("firmware").stdout
    for command in (["status"], ["plugins"], ["stores"], ["firmware"], ["cache"], ["config", "show"], ["devices"],
                    ["deployments"], ["deployments", "attempts"]):
        for line in gateway.cli("--json", *command).stdout.splitlines():
            json.loads(line)
    assert json.loads(gateway.cli("events", "--json", "-n", "1").stdout)["sequence"] > 0
    assert gateway.cli("firmware", "fetch", "app", "--wait").stdout.startswith("app is cached")
    assert gateway.cli("firmware", "show", "nothing", check=False).returncode == 1
    assert gateway.cli("nonsense", check=False).returncode == 64
    assert gateway.cli("config", "check", str(gateway.folder / "otagate.toml")).returncode == 0
    for shell in ("bash", "zsh", "fish"):
        checked_in = (build_dir.parents[1] / f"cli/completion/otagate.{shell}")
        if checked_in.exists():
            assert gateway.cli("completion", shell).stdout == checked_in.read_text(encoding="utf-8"), (
                f"run: otagate completion {shell} > cli/completion/otagate.{shell}")
    gateway.stop()
    assert gateway.cli("status", check=False).returncode == 2


def test_a_backup_is_restored_into_the_running_daemon(site, gateway):
    digest = sha256(image(50_000))
    eventually(lambda: gateway.api_request(f"/api/v1/blobs/{digest}").status == 200, 10, what="the blob")
    gateway.api(f"/blobs/{digest}/pin", "PUT", {"reason": "before"})
    backup = gateway.api("/state/backup", "POST")["path"]
    gateway.api(f"/blobs/{digest}/pin", "DELETE")
    assert "restored" in gateway.cli("state", "restore", backup).stdout

    def restored():
        answer = gateway.api_request(f"/api/v1/blobs/{digest}")
        return answer.status == 200 and answer.json()["pins"] == ["operator"]

    def patiently():
        try:
            return restored()
        except OSError:  # between the old gateway and the new one
            return False

    eventually(patiently, 30, what="the pin of the backup")
    assert gateway.get("/firmware/app/1.0.0").body == image(50_000)


def test_a_lost_database_adopts_the_blobs_on_disk(site, gateway):
    digest = sha256(image(50_000))
    eventually(lambda: gateway.api_request(f"/api/v1/blobs/{digest}").status == 200, 10, what="the blob")
    gateway.stop()
    for path in (gateway.folder / "state").glob("state.db*"):
        path.unlink()
    gateway.start()
    gateway.wait_firmware("app", "1.0.0")
    assert gateway.get("/firmware/app/1.0.0").body == image(50_000)
    assert gateway.api("/cache")["fetched_bytes"] == 0, "nothing is fetched again"


def test_a_damaged_database_is_not_recreated(site, gateway):
    gateway.stop()
    database = gateway.folder / "state/state.db"
    before = bytearray(database.read_bytes())
    before[0:16] = b"not a database!!"
    database.write_bytes(before)
    gateway.start(wait=False)
    code = gateway.process.wait(20)
    gateway.process = None
    assert code == 81
    assert "otagate state" in gateway.log
    assert database.read_bytes()[:16] == b"not a database!!"


def test_no_secret_is_ever_seen(gateway, s3, tmp_path):
    """A planted key of the store and a planted token: in no log, answer, event or redirect that is logged."""
    secret = tmp_path / "secret"
    secret.write_text(PLANTED)
    secret.chmod(0o600)
    token = tmp_path / "token"
    token.write_text(PLANTED + "-token")
    token.chmod(0o600)
    options = s3.options()
    options["secret_key"] = {"file": str(secret)}  # wrong: every request fails, and errors are said
    gateway.add_store("bucket", "s3", options, interval="10s", retry={"initial": "100ms", "max": "200ms"})
    gateway.config["credential"].append(
        {"name": "dev", "kind": "token", "secret": {"file": str(token)}, "type": "*"})
    gateway.add_http(anonymous=False)
    gateway.config["log"]["level"] = "trace"
    gateway.start()
    eventually(lambda: gateway.api("/stores")["items"][0]["last_error"], 20, what="a failed listing")
    assert gateway.get("/firmware").status == 401
    assert gateway.get("/firmware", {"Authorization": f"Bearer {PLANTED}-token"}).status == 200
    assert gateway.get("/firmware", {"Authorization": f"Bearer {PLANTED}-wrong"}).status == 401
    seen = gateway.log
    for path in ("/config", "/stores", "/plugins", "/events?limit=100", "/status"):
        seen += gateway.api_request("/api/v1" + path).body.decode()
    assert PLANTED not in seen
    assert "X-Amz-Signature" not in seen or "X-Amz-Signature=***" in seen


def test_the_socket_is_for_owner_and_group(site, gateway):
    assert oct(os.stat(gateway.socket_path).st_mode & 0o777) == "0o660"


def test_the_tcp_listener_wants_the_token(gateway, tmp_path):
    token = tmp_path / "token"
    token.write_text(PLANTED)
    token.chmod(0o600)
    port = free_port()
    gateway.config["api"].update({"listen": f"127.0.0.1:{port}", "token": {"file": str(token)}})
    gateway.start()
    assert gateway.cli("--address", f"127.0.0.1:{port}", "status", check=False).returncode == 2
    done = gateway.cli("--address", f"127.0.0.1:{port}", "--token-file", str(token), "status")
    for given, status in (("", 413), (PLANTED, 200)):
        answer = send_large(http.client.HTTPConnection("127.0.0.1", port, timeout=20), "POST", "/api/v1/devices",
                            {"items": [{"id": "a"}], "next": "x" * 100_000}, {"Authorization": f"Bearer {given}"})
        assert answer[0] == status
    assert re.search(r"\bok\b", done.stdout)


def test_sigterm_ends_in_time_with_stalled_readers(gateway, tmp_path):
    files = tmp_path / "files"
    gateway.add_directory(files)
    (files / "big-1.0.0.bin").write_bytes(image(8 * 1024 * 1024))
    gateway.config["daemon"]["drain_timeout"] = "2s"
    gateway.add_http(max_connections=2048)
    gateway.start()
    gateway.wait_firmware("big", "1.0.0")
    gateway.get("/firmware/big/1.0.0")
    stalled = []
    for _ in range(1000):
        one = socket.create_connection(("127.0.0.1", gateway.http_port))
        one.sendall(b"GET /firmware/big/1.0.0 HTTP/1.1\r\nHost: x\r\n\r\n")
        stalled.append(one)
    time.sleep(0)  # they never read
    begin = time.monotonic()
    gateway.stop(timeout=20)
    took = time.monotonic() - begin
    for one in stalled:
        one.close()
    assert took < 3.5, f"it took {took:.1f} s; drain_timeout is 2 s"


def test_a_store_that_never_answers_holds_up_nobody_who_stops(gateway):
    """The call in progress is cancelled, and the reply that comes when the admin API has gone reaches nobody."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        secret = gateway.folder / "secret"
        secret.write_text("secret")
        options = {"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}", "bucket": "silent", "region": "us-east-1",
                   "access_key": "A", "secret_key": {"file": str(secret)}}
        for name in ("one", "two", "three"):
            gateway.add_store(name, "s3", options, timeout="10m")
        gateway.start()
        asked = []

        def sync(name):
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                asked.append(name)
                gateway.api(f"/stores/{name}/sync", "POST", timeout=60)

        threads = [threading.Thread(target=sync, args=[name]) for name in ("one", "two", "three") for _ in range(3)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(asked) == len(threads) and
                   all(store["phase"] == "listing" for store in gateway.api("/stores")["items"]), 20, what="listings")
        before = time.monotonic()
        gateway.stop()
        assert time.monotonic() - before < 15
        for thread in threads:
            thread.join()
