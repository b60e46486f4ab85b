"""Durable writes: group commit against SQLite at the same settings, one row per commit."""
import statistics
import subprocess

from benchlib import Unavailable

SECONDS = "2"


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
