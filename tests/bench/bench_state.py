"""Durable writes: group commit against SQLite at the same settings, one row per commit."""
import os
import statistics
import subprocess

from benchlib import Unavailable

SECONDS = "2"
FILL = 100 << 20
FILL_RATE = "20MiB/s"  # so that it outlasts the load


def run(bench):
    program = bench.build / "bench" / "bench_state_load"
    if not program.exists():
        raise Unavailable(f"{program} is not built: configure with -DOTAGATE_BENCH=ON")

    def load(mode):
        done = subprocess.run([program, mode, bench.folder(), SECONDS], check=True, stdout=subprocess.PIPE, text=True)
        return [float(number) for number in done.stdout.splitlines()[-1].split()]

    p99 = []

    def ours():
        rate, slowest = load("ours")
        p99.append(slowest)
        return rate

    bench.compare("durable writes, 1,000 in flight", "rows/s", ours, "SQLite, one row per commit",
                  lambda: load("single")[0], 10)
    bench.add("time until acknowledged, p99", "ms", statistics.median(p99), None, None, 20, better="lower")

    gateway = bench.gateway()
    firmware = bench.folder()
    for number in range(bench.rounds):
        (firmware / f"fill{number}-1.0.0.bin").write_bytes(os.urandom(1 << 20) * (FILL >> 20))
    gateway.add_directory(firmware, pattern=["{name}-{version}.bin"], options={"hash": False}, bandwidth=FILL_RATE,
                          prefetch=False)
    gateway.add_http()
    gateway.start()
    beside = []
    for number in range(bench.rounds):
        gateway.wait_firmware(f"fill{number}", "1.0.0")
        gateway.cli("firmware", "fetch", f"fill{number}/1.0.0")
        beside.append(load("ours")[1])
        fills = gateway.api("/fills")["items"]
        assert fills and fills[0]["present"] > 0, "the fill must outlast the load"
        gateway.cli("firmware", "fetch", f"fill{number}/1.0.0", "--wait")
    bench.add("the same beside a fill of 100 MiB", "ms", statistics.median(beside), None, None, 20, better="lower")
