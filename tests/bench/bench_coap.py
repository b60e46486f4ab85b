"""CoAP Block2 against libcoap's own example server: the same load client, image and block size."""
import json
import statistics
import subprocess

from benchlib import Unavailable, need, own_bytes

from support.clients import image
from support.coap import BLOCK2, SIZE2, Endpoint, block
from support.net import eventually, free_port
from support.tools import scaled

MIB = 1 << 20
PEER = "coap-server-notls"
# What the kernel makes of it is twice as much: 212,992 is Linux's default.
SYSTEM_BUFFER = "104KiB"


def run(bench):
    program = bench.build / "bench" / "bench_coap_load"
    if not program.exists():
        raise Unavailable(f"{program} is not built: configure with -DOTAGATE_BENCH=ON")
    folder = bench.folder()
    images = {"large": image(MIB), "small": image(256 << 10)}
    for name, body in images.items():
        (folder / f"{name}.bin").write_bytes(body)

    def load(port, path, clients, name, limit=60):
        done = subprocess.run([program, str(port), path, str(clients), folder / f"{name}.bin", "1024", str(limit)],
                              stdout=subprocess.PIPE, text=True, timeout=limit + 60)
        return json.loads(done.stdout)

    # The peer keeps what is PUT to it.
    peer_port = free_port()
    peer = bench.process([need(PEER), "-A", "127.0.0.1", "-p", peer_port, "-d", "10"])
    client = need("coap-client-notls")

    def stored(name):
        subprocess.run([client, "-m", "put", "-b", "1024", "-B", "20", "-f", folder / f"{name}.bin",
                        f"coap://127.0.0.1:{peer_port}/{name}"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return load(peer_port, f"/{name}", 1, name)["done"] == 1

    for name in images:
        eventually(lambda name=name: stored(name), 30, what=f"{PEER} keeping {name}")

    gateway = bench.gateway()
    store = bench.folder()
    for name, body in images.items():
        (store / f"{name}-1.0.0.bin").write_bytes(body)
    gateway.add_directory(store, pattern=["{name}-{version}.bin"])
    gateway.add_coap("system-buffer", receive_buffer=SYSTEM_BUFFER)
    system_port = gateway.coap_port
    gateway.add_coap("coap")
    port = gateway.coap_port
    gateway.start()
    for number in (port, system_port):
        for name, body in images.items():
            wait_served(number, f"/firmware/{name}/1.0.0", len(body))

    def rate(number, path, clients, name):
        """MiB a second of all clients together, verified byte for byte."""
        result = load(number, path, clients, name)
        if result["failed"] or result["stalled"]:
            raise RuntimeError(f"{path} x {clients}: {result}")
        return result["bytes"] / MIB / result["seconds"]

    for clients in (20, 50):
        bench.compare(f"1 MiB x {clients}, 1,024-byte blocks", "MiB/s",
                      lambda n=clients: rate(port, "/firmware/large/1.0.0", n, "large"), PEER,
                      lambda n=clients: rate(peer_port, "/large", n, "large"), 1.2)

    # CPU is what a Pi runs out of; and it is not disturbed by what else this machine does.
    def cpu(seconds_of, work):
        before = seconds_of()
        work()
        return seconds_of() - before

    def gateway_cpu():
        from benchlib import cpu_seconds

        return cpu_seconds(gateway.pid)

    bench.compare("server CPU for 50 MiB to 50 clients", "s",
                  lambda: cpu(gateway_cpu, lambda: rate(port, "/firmware/large/1.0.0", 50, "large")), PEER,
                  lambda: cpu(peer.cpu_seconds, lambda: rate(peer_port, "/large", 50, "large")), 1 / 1.2,
                  better="lower")

    bench.add("RSS after 50 clients", "MiB", gateway.rss() / MIB, PEER, peer.rss() / MIB, 2, better="lower")
    bench.add("of it in no file", "MiB", own_bytes(gateway.pid) / MIB, PEER, peer.own_bytes() / MIB, None, better="lower")
    before = gateway.rss()
    load(port, "/firmware/small/1.0.0", 500, "small")
    bench.add("RSS that 500 more clients cost", "MiB", (gateway.rss() - before) / MIB, None, None, None)

    runs = scaled(100)
    stalled = sum(load(port, "/firmware/large/1.0.0", 50, "large", 30)["done"] < 50 for _ in range(runs))
    bench.add(f"runs of 50 x 1 MiB with a stalled client, of {runs}", "runs", stalled, None, None, 0, better="lower")

    for label, number in (("4 MiB receive buffer", port), ("system's receive buffer", system_port)):
        times = [load(number, "/firmware/small/1.0.0", 500, "small")["seconds"] for _ in range(bench.rounds)]
        bench.add(f"500 devices at once, 256 KiB, {label}", "s", statistics.median(times), None, None,
                  2 if number == port else None, better="lower")
    times = [load(peer_port, "/small", 500, "small")["seconds"] for _ in range(bench.rounds)]
    bench.add(f"500 devices at once, 256 KiB, {PEER}", "s", statistics.median(times), None, None, None)


def wait_served(port, path, size):
    endpoint = Endpoint(port, timeout=0.5)

    def served():
        answer = endpoint.get(path, (BLOCK2, block(0, 1024)), tries=20)
        return answer.status == "2.05" and answer.number(SIZE2) == size

    try:
        eventually(served, 30, what=path)
    finally:
        endpoint.close()
