"""50 clients and one uncached file of 20 MB behind an uplink of 4 MB/s, and a middle range asked for while
the file is being fetched. Peers: varnish, which streams to all who wait, and nginx, which lets the others
wait until the first has it all (proxy_cache_lock); for the range nginx's slice module.

ours reads from a bucket, the peers from an nginx: each through a line of the same rate and delay."""
import selectors
import socket
import statistics
import time

from benchlib import cpu_seconds, need
from support.clients import image
from support.net import eventually, free_port
from support.proxy import ThrottledProxy
from support.s3 import S3Server

MIB = 1 << 20
SIZE = 20 * MIB
RATE = 4 * MIB
CLIENTS = 50
PART = 64 * 1024
DELAY = 0.05  # seconds that the uplink adds to each request, for the middle range


class Download:
    """One GET on a connection of its own. Times are seconds since `start`."""

    def __init__(self, port, path, headers=()):
        self.port, self.path, self.headers = port, path, headers
        self.first = self.last = None
        self.body = 0
        self._head, self._expected = b"", None

    def begin(self, selector):
        self.start = time.monotonic()
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        lines = [f"GET {self.path} HTTP/1.1", "Host: bench", "Connection: close", *self.headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.socket.setblocking(False)
        selector.register(self.socket, selectors.EVENT_READ, self)

    def read(self, selector, buffer):
        got = self.socket.recv_into(buffer)
        if self._expected is None:
            self._head += bytes(buffer[:got])
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end and got:
                return
            status = int(head.split(b" ")[1])
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
            assert status in (200, 206), head
            self._expected = int(fields[b"content-length"])
            self.body = len(body)
        else:
            self.body += got
        if self.body and self.first is None:
            self.first = time.monotonic() - self.start
        if not got or self.body >= self._expected:
            self.last = time.monotonic() - self.start
            assert self.body == self._expected, f"{self.path}: {self.body} of {self._expected} bytes"
            selector.unregister(self.socket)
            self.socket.close()


def drive(downloads, later=()):
    """Runs all at once in one thread; each of `later` is a (seconds, Download) that begins then."""
    buffer = memoryview(bytearray(256 * 1024))
    waiting = sorted(later, key=lambda one: one[0])
    begun = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for download in downloads:
            download.begin(selector)
        while selector.get_map() or waiting:
            while waiting and time.monotonic() - begun >= waiting[0][0]:
                waiting.pop(0)[1].begin(selector)
            timeout = max(0.0, begun + waiting[0][0] - time.monotonic()) if waiting else 60
            ready = selector.select(timeout)
            assert ready or waiting, "nothing came for a minute"
            for key, _ in ready:
                key.data.read(selector, buffer)


def range_bytes(proxy, size):
    """What was asked of the uplink in bytes; a request without a range asks for all."""
    total = 0
    for request in proxy.requests:
        if request.method == "GET" and ".bin" in request.path:
            first, last = request.range or (0, size - 1)
            total += (last if last is not None else size - 1) - first + 1
    return total


class Side:
    """One server under test: where to ask, its uplink, and how much CPU it has used."""

    def __init__(self, name, proxy, port, cpu, path):
        self.name, self.proxy, self.port, self.cpu, self.path = name, proxy, port, cpu, path
        self.used = 0  # files of this side that are cached by now

    def next_path(self):
        self.used += 1
        return self.path(self.used - 1)

    def crowd(self):
        """(median first byte, time until all have it, CPU seconds, uplink bytes per byte of the file)."""
        self.proxy.rate, self.proxy.delay = RATE, 0
        self.proxy.reset_counts()
        path, cpu = self.next_path(), self.cpu()
        clients = [Download(self.port, path) for _ in range(CLIENTS)]
        begun = time.monotonic()
        drive(clients)
        done = time.monotonic() - begun
        return (statistics.median(one.first for one in clients), done, self.cpu() - cpu,
                range_bytes(self.proxy, SIZE) / SIZE)

    def middle(self):
        """(seconds until a range of 64 KiB at three quarters is there, uplink bytes per byte)."""
        self.proxy.rate, self.proxy.delay = RATE, DELAY
        self.proxy.reset_counts()
        path = self.next_path()
        at = SIZE * 3 // 4 + 12_345
        part = Download(self.port, path, [f"Range: bytes={at}-{at + PART - 1}"])
        drive([Download(self.port, path)], [(0.7, part)])
        return part.last, range_bytes(self.proxy, SIZE) / SIZE


def run(bench):
    files = 2 * (bench.rounds + 1)
    origin = bench.folder()
    s3 = S3Server()
    bench._cleanup.callback(s3.close)
    s3.start()
    for number in range(files):
        body = image(SIZE, seed=number)
        (origin / f"fw{number}-1.0.0.bin").write_bytes(body)
        s3.put(f"edge/fw{number}-1.0.0.bin", body)
    static = bench.nginx(origin)

    def line(port):
        proxy = ThrottledProxy(port, rate=RATE)
        bench._cleanup.callback(proxy.close)
        return proxy

    uplink = line(s3.port)
    gateway = bench.gateway()
    gateway.add_store("bucket", "s3", s3.options(uplink.endpoint, metadata=False), interval="1h",
                      pattern=["{type}/{name}-{version}.bin"])
    gateway.add_http()
    gateway.start()
    gateway.wait_firmware(f"fw{files - 1}", "1.0.0")
    ours = Side("otagate", uplink, gateway.http_port, lambda: cpu_seconds(gateway.pid),
                lambda number: f"/firmware/fw{number}/1.0.0")

    def from_static(number):
        return f"/fw{number}-1.0.0.bin"

    folder, port, behind = bench.folder(), free_port(), line(static.port)
    process = bench.process([need("varnishd"), "-F", "-j", "none", "-n", folder, "-a", f"127.0.0.1:{port}", "-b",
                             f"127.0.0.1:{behind.port}", "-s", f"malloc,{files * 2 * SIZE // MIB}m"], port)
    varnish = Side("varnish", behind, port, process.cpu_seconds, from_static)

    def cache(name, lines):
        behind = line(static.port)
        server = bench.nginx(
            bench.folder(), http=f"proxy_cache_path {bench.folder()} keys_zone=z:10m max_size=4g use_temp_path=off;",
            server=f"""location / {{
              proxy_pass http://127.0.0.1:{behind.port}; proxy_http_version 1.1; proxy_cache z;
              proxy_cache_valid 200 206 1h; proxy_cache_lock on; proxy_cache_lock_age 60s; proxy_cache_lock_timeout 60s;
              {lines} }}""")
        return Side(name, behind, server.port, server.cpu_seconds, from_static)

    lock = cache("nginx lock", "")
    sliced = cache("nginx slice", "slice 1m; proxy_cache_key $uri$slice_range; "
                                  "proxy_set_header Range $slice_range;")

    crowd = {side.name: [] for side in (ours, varnish, lock)}
    alone = []
    for number in range(bench.rounds):
        for side in (ours, varnish, lock)[:: 1 if number % 2 == 0 else -1]:
            crowd[side.name].append(side.crowd())
        one = Download(behind.port, from_static(files - 1))
        drive([one])
        alone.append(one.last)
    first, done, cpu, share = ({name: statistics.median(values[column] for values in rounds)
                                for name, rounds in crowd.items()} for column in range(4))
    own = statistics.median(alone)
    what = f"{CLIENTS} clients, {SIZE // MIB} MiB, {RATE // MIB} MiB/s"
    bench.add(f"{what}: median first byte", "ms", first["otagate"] * 1000, None, None, 50, better="lower")
    for peer in ("varnish", "nginx lock"):
        bench.add(f"{what}: median first byte", "ms", first["otagate"] * 1000, peer, first[peer] * 1000, None)
    bench.add(f"{what}: all done", "s", done["otagate"], "one client, no cache", own, 1.02, better="lower")
    for peer in ("varnish", "nginx lock"):
        bench.add(f"{what}: all done", "s", done["otagate"], peer, done[peer], None)
    bench.add(f"{what}: bytes of the uplink", "x the file", share["otagate"], None, None, 1.0, better="lower")
    for peer in ("varnish", "nginx lock"):
        bench.add(f"{what}: bytes of the uplink", "x the file", share["otagate"], peer, share[peer], None)
    bench.add(f"{what}: CPU", "s", cpu["otagate"], "varnish", cpu["varnish"], 0.25, better="lower")
    bench.add(f"{what}: CPU", "s", cpu["otagate"], "nginx lock", cpu["nginx lock"], None, better="lower")

    middle = {side.name: [] for side in (ours, varnish, sliced)}
    for number in range(bench.rounds):
        for side in (ours, varnish, sliced)[:: 1 if number % 2 == 0 else -1]:
            middle[side.name].append(side.middle())
    took, share = ({name: statistics.median(values[column] for values in rounds)
                    for name, rounds in middle.items()} for column in range(2))
    # What the line itself needs for the part is no round trip.
    wire = PART / RATE
    what = f"{PART // 1024} KiB at three quarters, during the fill"
    bench.add(f"{what}: round trips of {DELAY * 1000:g} ms", "", (took["otagate"] - wire) / DELAY, None, None, 2,
              better="lower")
    for peer in ("varnish", "nginx slice"):
        bench.add(f"{what}: time", "ms", took["otagate"] * 1000, peer, took[peer] * 1000, None)
        bench.add(f"{what}: bytes of the uplink", "x the file", share["otagate"], peer, share[peer], None)
    bench.add(f"{what}: bytes of the uplink", "x the file", share["otagate"], None, None, 1.0, better="lower")
