# ctest-timeout: 600
"""An HTTP server as a store, through the gateway to curl: nginx, Python's http.server, and uplinks that break."""
import json
import socketserver
import threading

from support.clients import curl, image, sha256
from support.net import eventually
from support.web import Nginx, PlainServer, certificate

PATTERN = ["{type}/{name}-{version}.bin"]
PAST = 1_700_000_000


def start(gateway, url, **options):
    gateway.add_store("vendor", "web", {"index_url": url, **options}, pattern=PATTERN, interval="10m")
    gateway.add_http()
    gateway.start()
    gateway.wait_log("http: listening on")
    return gateway


def sync(gateway):
    gateway.api("/stores/vendor/sync", "POST")


def status(gateway):
    return next(one for one in gateway.api("/stores")["items"] if one["name"] == "vendor")


def make_nginx(owner, **how):
    return owner.add(Nginx(**how)).start()


def requests(nginx):
    lines = (nginx.folder / "access.log").read_text().splitlines()
    return [(line.split('"')[1].split()[0], line.split('"')[1].split()[1], int(line.split('"')[2].split()[0]))
            for line in lines]


def test_folders_are_served_byte_identical(gateway, owner):
    nginx = make_nginx(owner)
    data = image(700_001)
    nginx.put("esp32/probe-1.2.3.bin", data)
    nginx.put("a b+%ü/probe-2.0.0.bin", data[:50_000])
    start(gateway, nginx.url)
    gateway.wait_firmware("probe", "1.2.3", type="esp32")
    gateway.wait_firmware("probe", "2.0.0", type="a b+%ü")
    assert curl(gateway.url("/firmware/probe/1.2.3")) == data
    assert curl(gateway.url("/firmware/probe/2.0.0")) == data[:50_000]
    part = gateway.get("/firmware/probe/1.2.3", {"Range": "bytes=1000-1999"})
    assert part.status == 206 and part.body == data[1000:2000]


def test_an_index_over_tls_with_credentials(gateway, owner, tmp_path):
    cert, key = certificate(tmp_path)
    nginx = make_nginx(owner, user="gateway", password="s3cret", cert=cert, key=key)
    data = image(300_000)
    nginx.put("x/y.bin", data)
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    start(gateway, nginx.index([nginx.entry("x/y.bin", "probe", "1.2.3", type="esp32")]), ca_file=str(cert),
          credentials="basic", user="gateway", password={"file": str(secret)})
    gateway.wait_firmware("probe", "1.2.3", type="esp32")
    assert curl(gateway.url("/firmware/probe/1.2.3")) == data
    assert "s3cret" not in gateway.log


def test_an_unchanged_index_costs_one_304(gateway, owner):
    nginx = make_nginx(owner)
    for number in range(5):
        nginx.put(f"{number}.bin", image(1000, seed=number))
    entries = [nginx.entry(f"{n}.bin", "fw", f"1.0.{n}") for n in range(5)]
    start(gateway, nginx.index(entries))
    gateway.wait_firmware("fw", "1.0.4")
    sync(gateway)
    before = len(requests(nginx))
    for count in (1, 2, 3):
        sync(gateway)
        eventually(lambda: len(requests(nginx)) >= before + count, 20, what=f"sync {count}")
    assert requests(nginx)[before:] == [("GET", "/index.json", 304)] * 3
    nginx.put("9.bin", image(1000, seed=9))
    nginx.index([*entries, nginx.entry("9.bin", "fw", "1.0.9")])
    sync(gateway)
    gateway.wait_firmware("fw", "1.0.9")


def test_a_file_that_changes_during_its_fill_never_mixes(gateway, owner, make_proxy):
    nginx = make_nginx(owner)
    old, new = image(3_000_000, seed=1), image(3_000_000, seed=2)
    nginx.put("t/fw-1.0.0.bin", old, modified=PAST)
    uplink = make_proxy(nginx.port, rate=600_000)
    start(gateway, uplink.endpoint + "/")
    gateway.wait_firmware("fw", "1.0.0")
    bodies = []
    reader = threading.Thread(target=lambda: bodies.append(
        curl("--retry", "0", gateway.url("/firmware/fw/1.0.0"), check=False)))
    reader.start()
    eventually(lambda: uplink.bytes_down > 400_000, 20, what="part of the body")
    nginx.put("t/fw-1.0.0.bin", new, modified=PAST + 60)
    reader.join(60)
    # Whole and old, or cut short of the held tail; never the new bytes behind old ones.
    assert old.startswith(bodies[0]), "bytes of two states"
    assert bodies[0] == old or len(bodies[0]) <= len(old) - 4096
    uplink.rate = None
    sync(gateway)

    def served():
        answer = gateway.get("/firmware/fw/1.0.0")
        assert answer.status >= 500 or answer.body in (old, new)
        return answer.body == new

    eventually(served, 40, interval=0.5, what="the new bytes")


def test_a_fill_goes_on_after_a_cut(gateway, owner, make_proxy):
    nginx = make_nginx(owner)
    data = image(4_000_000)
    nginx.put("fw.bin", data)
    nginx.index([nginx.entry("fw.bin", "fw", "1.0.0")])
    uplink = make_proxy(nginx.port, rate=1_500_000)
    start(gateway, uplink.endpoint + "/index.json")
    gateway.wait_firmware("fw", "1.0.0")
    bodies = []
    reader = threading.Thread(target=lambda: bodies.append(curl(gateway.url("/firmware/fw/1.0.0"), check=False)))
    reader.start()
    eventually(lambda: uplink.bytes_down > 1_200_000, 20, what="part of the body")
    uplink.cut()
    uplink.restore()
    reader.join(90)
    eventually(lambda: gateway.get("/firmware/fw/1.0.0").body == data, 60, interval=0.5, what="the whole")
    # What was there is not fetched again: pieces that were under way are, four of 256 KiB at most.
    assert uplink.bytes_down < len(data) + 4 * 300_000 + 100_000, uplink.bytes_down
    assert data.startswith(bodies[0])


def test_a_server_without_ranges(gateway, owner):
    nginx = make_nginx(owner)
    data = image(900_000)
    nginx.put("fw.bin", data)
    nginx.index([nginx.entry("fw.bin", "fw", "1.0.0")])
    start(gateway, owner.add(PlainServer(nginx.data)).url + "index.json")
    gateway.wait_firmware("fw", "1.0.0")
    assert curl(gateway.url("/firmware/fw/1.0.0")) == data
    part = gateway.get("/firmware/fw/1.0.0", {"Range": "bytes=500000-500099"})
    assert part.status == 206 and part.body == data[500_000:500_100]


def test_wrong_credentials_name_the_store_and_the_option(gateway, owner, tmp_path):
    nginx = make_nginx(owner, user="gateway", password="right")
    secret = tmp_path / "secret"
    secret.write_text("not-the-secret-at-all")
    start(gateway, nginx.url, credentials="basic", user="gateway", password={"file": str(secret)})
    told = eventually(lambda: status(gateway) if "'password'" in json.dumps(status(gateway)) else None, 20,
                      what="the reason in the status")
    assert told["name"] == "vendor"
    eventually(lambda: "vendor" in gateway.log and "'password'" in gateway.log, what="the reason in the log")
    assert "not-the-secret-at-all" not in json.dumps(told) + gateway.log


def test_an_object_that_was_deleted(gateway, owner):
    nginx = make_nginx(owner)
    nginx.put("t/fw-1.0.0.bin", image(300_000))
    nginx.put("t/fw-2.0.0.bin", image(300_000, seed=2))
    start(gateway, nginx.url)
    gateway.wait_firmware("fw", "2.0.0")
    (nginx.data / "t/fw-1.0.0.bin").unlink()
    assert gateway.get("/firmware/fw/1.0.0").status >= 404
    sync(gateway)
    eventually(lambda: [one["version"] for one in gateway.catalog()] == ["2.0.0"], 20, what="one firmware")


def test_a_redirect_loop_ends(gateway, owner):
    nginx = make_nginx(owner, extra="location /loop { return 302 /loop; }")
    said = {"name": "fw", "version": "1.0.0", "url": "loop", "sha256": sha256(b"x"), "size": 1}
    start(gateway, nginx.index([said]))
    gateway.wait_firmware("fw", "1.0.0")
    assert gateway.get("/firmware/fw/1.0.0").status >= 500
    loops = [one for one in requests(nginx) if one[1] == "/loop" and one[0] == "GET"]
    assert 0 < len(loops) <= 60, len(loops)


def test_a_certificate_of_another_name(gateway, owner, tmp_path):
    cert, key = certificate(tmp_path, "DNS:else.example")
    nginx = make_nginx(owner, cert=cert, key=key)
    start(gateway, nginx.url, ca_file=str(cert))
    told = eventually(lambda: status(gateway) if "certificate" in json.dumps(status(gateway)) else None, 20,
                      what="the reason in the status")
    assert gateway.catalog() == [] and "127.0.0.1" in json.dumps(told)


class Endless(socketserver.ThreadingTCPServer):
    """Answers everything with 200 and a body that never ends."""

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        self.sent = 0
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                while True:
                    self.wfile.write(b"x" * 65536)
                    self.server.sent += 65536
            except OSError:
                pass  # the other side has had enough

    def close(self):
        self.shutdown()
        self.server_close()


def test_an_endless_body_is_cut(gateway, owner):
    nginx = make_nginx(owner)
    endless = owner.add(Endless())
    url = f"http://127.0.0.1:{endless.server_address[1]}/fw.bin"
    start(gateway, nginx.index([{"name": "fw", "version": "1.0.0", "url": url, "sha256": "0" * 64, "size": 100_000}]))
    gateway.wait_firmware("fw", "1.0.0")
    # Refused, or cut short of the held tail.
    assert len(curl(gateway.url("/firmware/fw/1.0.0"), check=False)) <= 100_000 - 4096
    eventually(lambda: "declares" in gateway.log or "fill_rejected" in gateway.log, 30, what="the reason")
    assert endless.sent < 64 << 20  # what sockets hold, for each attempt


def test_an_endless_index_is_cut(gateway, owner):
    endless = owner.add(Endless())
    start(gateway, f"http://127.0.0.1:{endless.server_address[1]}/index.json")
    eventually(lambda: "bytes" in json.dumps(status(gateway).get("last_error")), 30, what="the reason")
    assert gateway.catalog() == []


def test_ten_thousand_entries(gateway, owner):
    nginx = make_nginx(owner)
    data = image(5000)
    nginx.put("v/7777.bin", data)
    entries = [{"name": "fw", "version": f"1.{n}.0", "url": f"v/{n}.bin", "sha256": sha256(str(n).encode()), "size": 3}
               for n in range(10_000)]
    entries[7777].update(sha256=sha256(data), size=len(data))
    start(gateway, nginx.index(entries))
    eventually(lambda: status(gateway)["objects"] == 10_000, 60, what="the whole listing")
    # In pages that a sanitized build reads in time.
    assert len(gateway.catalog(limit=100)) == 10_000
    assert curl(gateway.url("/firmware/fw/1.7777.0")) == data
