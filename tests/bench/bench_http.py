"""HTTP from the cache against nginx with one worker and sendfile: the same bytes, the same load."""
import re
import subprocess

from benchlib import cpu_seconds, need, own_bytes, wrk

from support.clients import image
from support.net import eventually

KIB = 1024
PEER = "nginx"
FILES = {"64 KiB": 64 * KIB, "1 MiB": KIB * KIB, "100 MiB": 100 * KIB * KIB}


def run(bench):
    need("wrk")
    root = bench.folder()
    store = root / "store"
    store.mkdir()
    for number, size in enumerate(FILES.values()):
        (store / f"f{number}-1.0.0.bin").write_bytes(image(size, number))
    peer = bench.nginx(store, http="open_file_cache max=100 inactive=60s; default_type application/octet-stream;")
    gateway = bench.gateway()
    gateway.add_directory(store, pattern=["{name}-{version}.bin"])
    gateway.add_http()
    gateway.start()

    def ours(number):
        return gateway.url(f"/firmware/f{number}/1.0.0")

    def theirs(number):
        return f"http://127.0.0.1:{peer.port}/f{number}-1.0.0.bin"

    def cached(number):
        try:
            return len(gateway.get(f"/firmware/f{number}/1.0.0", timeout=60).body) == list(FILES.values())[number]
        except ConnectionError:
            return False  # not listening yet

    for number in range(len(FILES)):
        eventually(lambda number=number: cached(number), 60, what=f"f{number} in the cache")

    idle, peer_idle = gateway.rss(), peer.rss()

    def ranges(url, size, connections):
        return wrk(url, connections, headers=[f"Range: bytes={8 * size}-{9 * size - 1}"])

    for size, connections, bar in [(1, 16, 1.3), (1, 256, 1.3), (2, 16, 1.2), (4, 16, 1.2), (4, 256, 1.2)]:
        bench.compare(f"ranges of {size} KiB, {connections} connections", "1/s",
                      lambda s=size, c=connections: ranges(ours(1), s * KIB, c), PEER,
                      lambda s=size, c=connections: ranges(theirs(1), s * KIB, c), bar)

    for name, connections in [("64 KiB", 1), ("64 KiB", 16), ("64 KiB", 256), ("1 MiB", 1), ("1 MiB", 16),
                              ("1 MiB", 1000), ("100 MiB", 4)]:
        number, size = list(FILES).index(name), FILES[name]
        bench.compare(f"whole files of {name}, {connections} connections", "MiB/s",
                      lambda n=number, c=connections, s=size: wrk(ours(n), c) * s / KIB / KIB, PEER,
                      lambda n=number, c=connections, s=size: wrk(theirs(n), c) * s / KIB / KIB, 1.0)

    # The load generator shares the machine: CPU per request says what a Pi with one core free would.
    def cost(seconds_of, url):
        before = seconds_of()
        done = subprocess.run([need("wrk"), "-t", "1", "-c", "16", "-d", "3s", "-H", "Range: bytes=0-1023", url],
                              capture_output=True, text=True, check=True)
        requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
        return (seconds_of() - before) * 1e6 / requests

    bench.compare("server CPU for a range of 1 KiB", "us", lambda: cost(lambda: cpu_seconds(gateway.pid), ours(1)),
                  PEER, lambda: cost(peer.cpu_seconds, theirs(1)), round(1 / 1.3, 3), better="lower")

    bench.add("RSS after it all", "MiB", gateway.rss() / KIB / KIB, PEER, peer.rss() / KIB / KIB, 1.0,
              better="lower")
    bench.add("RSS beyond idle", "MiB", (gateway.rss() - idle) / KIB / KIB, PEER,
              max(peer.rss() - peer_idle, 1) / KIB / KIB, None, better="lower")
    bench.add("of it in no file", "MiB", own_bytes(gateway.pid) / KIB / KIB, PEER, peer.own_bytes() / KIB / KIB, None,
              better="lower")
