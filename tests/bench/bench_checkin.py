"""Devices checking in over HTTP: durable when they bring news, cheap when they do not."""
import re
import statistics
import subprocess

from benchlib import Unavailable, cpu_seconds, need

DEVICES = 10_000
SECONDS = 5
CONNECTIONS = 256
UNITS = {"us": 1e-3, "ms": 1, "s": 1e3}

# Every check-in of a device: with another version each time, or always the same.
SCRIPT = """
local number = 0
function request()
  number = number + 1
  local device = number % %DEVICES%
  local version = %NEWS% and number or 1
  return wrk.format("GET", "/v1/devices/d" .. device .. "/update?type=sensor&version=1.0." .. version)
end
"""


def load(bench, url, news):
    """Check-ins a second, and the p99 of an answer in ms."""
    script = bench.folder() / "load.lua"
    script.write_text(SCRIPT.replace("%DEVICES%", str(DEVICES)).replace("%NEWS%", "true" if news else "false"))
    done = subprocess.run(
        [need("wrk"), "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "--latency", "-s", script, url],
        check=True, stdout=subprocess.PIPE, text=True)
    if "Non-2xx" in done.stdout:
        raise RuntimeError(f"answers that are no success:\n{done.stdout}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    return rate, float(value) * UNITS[unit]


def run(bench):
    single = bench.build / "bench" / "bench_state_load"
    if not single.exists():
        raise Unavailable(f"{single} is not built: configure with -DOTAGATE_BENCH=ON")
    gateway = bench.gateway()
    gateway.config["devices"] = {"max": DEVICES, "max_per_source": DEVICES}
    gateway.add_directory(bench.folder())
    gateway.add_http()
    gateway.start()
    url = gateway.url("")
    while gateway.api("/devices?limit=1")["devices"] < DEVICES:
        load(bench, url, news=True)

    def one_row_per_commit():
        done = subprocess.run([single, "single", bench.folder(), "2"], check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout.splitlines()[-1].split()[0])

    slowest, cpu = [], []

    def durable():
        before = cpu_seconds(gateway.pid)
        rate, p99 = load(bench, url, news=True)
        cpu.append((cpu_seconds(gateway.pid) - before) / (rate * SECONDS))
        slowest.append(p99)
        return rate

    bench.compare("check-ins with news, 10,000 devices", "1/s", durable, "SQLite, one row per commit",
                  one_row_per_commit, 10)
    bench.add("the same: time until answered, p99", "ms", statistics.median(slowest), None, None, 20, better="lower")
    bench.add("the same: CPU of each", "us", statistics.median(cpu) * 1e6, None, None, None)
    quiet, cpu[:] = [], []
    for _ in range(bench.rounds):
        before = cpu_seconds(gateway.pid)
        quiet.append(load(bench, url, news=False)[0])
        cpu.append((cpu_seconds(gateway.pid) - before) / (quiet[-1] * SECONDS))
    bench.add("check-ins without news", "1/s", statistics.median(quiet), None, None, None)
    bench.add("the same: CPU of each", "us", statistics.median(cpu) * 1e6, None, None, None)
    listing = []
    for number in range(200):
        page = gateway.api_request(f"/api/v1/devices?limit=100&type=sensor&prefix=d{number}")
        assert page.status == 200
    timed = subprocess.run(["sh", "-c", f"for i in $(seq 100); do curl -s -o /dev/null -w '%{{time_total}}\\n' "
                            f"--unix-socket {gateway.socket_path} 'http://x/api/v1/devices?limit=100&type=sensor'; done"],
                           check=True, stdout=subprocess.PIPE, text=True)
    listing = sorted(float(line) * 1000 for line in timed.stdout.split())
    bench.add("a page of 100 of 10,000 devices by the API, p99", "ms", listing[98], None, None, 20, better="lower")
