"""Devices checking in over HTTP, durable when they bring news, cheap when they do not; what operators see of
10,000 of them; and a rollout beside the mere downloads that it consists of."""
import contextlib
import itertools
import json
import os
import re
import statistics
import subprocess
import time
import urllib.parse

from benchlib import Unavailable, cpu_seconds, need
from support.clients import image
from support.gateway import UnixConnection

DEVICES = 10_000
SECONDS = 5
CONNECTIONS = 256
UNITS = {"us": 1e-3, "ms": 1, "s": 1e3}
LISTS = int(os.environ.get("OTAGATE_BENCH_LISTS", "1000"))  # requests of each kind
ROLLOUT = int(os.environ.get("OTAGATE_BENCH_ROLLOUT", "1000"))  # devices
ROLLOUT_BAR = 1.5  # checking in, three reports and coming back with the new version, beside 13 ranges
IMAGE = image(200_000)

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


def lists(bench, gateway):
    """The API's answers about the fleet, one connection, each a request and its whole JSON."""
    page = gateway.api("/devices?limit=2")
    known, version = page["devices"], page["items"][0]["versions"]["application"]
    assert known >= DEVICES, f"{known} devices"
    with contextlib.closing(UnixConnection(gateway.socket_path, 30)) as connection:
        def ask(query):
            started = time.perf_counter()
            connection.request("GET", "/api/v1/devices?" + urllib.parse.urlencode(query))
            answer = connection.getresponse()
            body = answer.read()
            took = (time.perf_counter() - started) * 1000
            assert answer.status == 200, body
            return took, json.loads(body)

        def paged():
            cursor = ""
            while True:
                took, body = ask({"limit": 100, **({"cursor": cursor} if cursor else {})})
                assert body["items"]
                yield took
                cursor = body["next"] or ""

        def filtered(number):
            # Every other one matches nobody, so that all of them are looked at.
            query = {"version": version} if number % 2 else {"tag": "nobody-has-this"}
            took, body = ask({"limit": 100, "type": "sensor", **query})
            assert bool(body["items"]) == (number % 2 == 1)
            return took

        kinds = {
            "a list of the first 100": [ask({"limit": 100})[0] for _ in range(LISTS)],
            "a filter over all of them": [filtered(number) for number in range(LISTS)],
            "page after page of 100": list(itertools.islice(paged(), LISTS)),
        }
    for kind, times in kinds.items():
        p99 = sorted(times)[int(len(times) * 0.99)]
        bench.add(f"10,000 devices by the API, {kind}: p99", "ms", p99, None, None, 20, better="lower")


def rollout(bench):
    """A deployment to a fleet that starts at once, against as many clients that only fetch the same bytes in the
    same ranges: by the same simulator, which costs the same."""
    sim = bench.build / "bin" / "otagate-sim"
    if not sim.exists():
        raise Unavailable(f"{sim} is not built")
    gateway = bench.gateway()
    gateway.config["devices"] = {"max": 1_000_000, "max_per_source": 1_000_000}
    files = bench.folder()
    (files / "app-1.1.0.bin").write_bytes(IMAGE)
    gateway.add_directory(files, pattern=["{name}-{version}.bin"])
    gateway.add_http(poll=True, max_connections=2 * ROLLOUT + 64, max_connections_per_source=0)
    gateway.start()
    gateway.wait_firmware("app", "1.1.0")
    number = itertools.count()
    deployment = gateway.api("/deployments", "POST", {
        "parts": [{"name": "app", "version": "1.1.0"}], "target": {"type": "sensor"}})["id"]
    cpu = {"poll": [], "plain-http": []}

    def measured(protocol, *options):
        before, started = cpu_seconds(gateway.pid), time.monotonic()
        done = subprocess.run(
            [sim, "--devices", str(ROLLOUT), "--mix", protocol, "--prefix", f"{protocol}-{next(number)}-", "--type",
             "sensor", "--url", gateway.url(""), "--chunk", "16384", "--spread", "0s", "--poll-interval", "100ms",
             "--reboot", "0s", "--until-idle", "--for", "300s", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=330)
        took = time.monotonic() - started
        assert done.returncode == 0, done.stderr[-2000:]
        cpu[protocol].append((cpu_seconds(gateway.pid) - before) / ROLLOUT)
        return took

    bench.compare(f"a rollout of 200 KB to {ROLLOUT} devices, until all run it", "s", lambda: measured("poll"),
                  "as many that only download", lambda: measured("plain-http", "--firmware", "app/1.1.0"),
                  ROLLOUT_BAR, better="lower")
    if not cpu["poll"]:
        return
    bench.add("the same: the gateway's CPU for each device", "ms", statistics.median(cpu["poll"]) * 1000,
              "as many that only download", statistics.median(cpu["plain-http"]) * 1000, None, better="lower")
    counts = gateway.api(f"/deployments/{deployment}")["counts"]
    assert counts["succeeded"] == ROLLOUT * len(cpu["poll"]), counts


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
    lists(bench, gateway)
    rollout(bench)
