"""Catalog sync of 100,000 objects, from a bucket and from a directory: time and memory. rclone's listing of
the same objects is the peer of a sync that finds nothing new."""
import os
import re
import subprocess
import time

from benchlib import need
from support.net import eventually
from support.s3 import S3Server

OBJECTS = 100_000
DESCRIBED = 2_000  # objects whose metadata is asked for, one HEAD each
MIB = 1 << 20
PATTERN = ["{type}/{name}-{version}.bin"]


def fill(root, count=OBJECTS):
    """As files of a folder: a PUT for each would take longer than all that is measured."""
    for number in range(count):
        if number % 1000 == 0:
            folder = root / f"type{number // 1000:03}"
            folder.mkdir()
        file = os.open(folder / f"fw{number:06}-1.0.0.bin", os.O_CREAT | os.O_WRONLY)
        os.write(file, b"%d" % number)
        os.close(file)


def memory(pid, line):
    """VmRSS or VmHWM in MiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(line + r":\s+(\d+) kB", status.read())[1]) / 1024


def measure(bench, what, gateway, add, listing):
    """The first sync, what it adds to the memory, and syncs that find nothing new, beside `listing`."""
    name = gateway.config["store"][0]["name"]

    def sync():
        before = time.monotonic()
        gateway.api(f"/stores/{name}/sync", "POST", timeout=600)
        return time.monotonic() - before

    def objects():
        return gateway.api("/stores")["items"][0]["objects"]

    gateway.start()
    sync()
    idle = memory(gateway.pid, "VmRSS")
    gateway.stop()
    add()
    time.sleep(1)  # a directory leaves alone what is younger than half a second
    started = time.monotonic()
    gateway.start()
    eventually(lambda: objects() >= OBJECTS, 600, interval=0.05, what="the first sync")
    bench.add(f"{what}: start and first sync of {OBJECTS:,}", "s", time.monotonic() - started, None, None, 30,
              better="lower")
    bench.add(f"{what}: memory beyond idle, at most", "MiB", memory(gateway.pid, "VmHWM") - idle, None, None, 20,
              better="lower")
    bench.compare(f"{what}: sync of {OBJECTS:,} unchanged", "s", sync, "rclone lsf", listing, 1.0, better="lower")
    bench.add(f"{what}: memory beyond idle, at most, after all", "MiB", memory(gateway.pid, "VmHWM") - idle, None,
              None, 20, better="lower")
    gateway.stop()


def run(bench):
    rclone = need("rclone")
    s3 = S3Server()
    bench._cleanup.callback(s3.close)
    s3.start()
    bucket = s3.data / s3.bucket
    config = bench.folder() / "rclone.conf"
    config.write_text(
        f"[s3]\ntype = s3\nprovider = Other\nendpoint = {s3.endpoint}\naccess_key_id = {s3.access_key}\n"
        f"secret_access_key = {s3.secret_key}\nregion = us-east-1\n", encoding="utf-8")

    # rclone would take it for its own.
    environment = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}

    def lister(place, *more):
        def listing():
            before = time.monotonic()
            done = subprocess.run(
                [rclone, "--config", config, "lsf", "--recursive", "--files-only", *more, "--format", "ps", place],
                check=True, stdout=subprocess.PIPE, env=environment)
            assert done.stdout.count(b"\n") == OBJECTS
            return time.monotonic() - before

        return listing

    one = bench.gateway()
    one.add_store("bucket", "s3", s3.options(metadata=False), pattern=PATTERN, interval="1h", timeout="10m")
    measure(bench, "s3", one, lambda: fill(bucket), lister(f"s3:{s3.bucket}", "--fast-list"))

    two = bench.gateway()
    folder = bench.folder()
    two.add_directory(folder, "files", pattern=PATTERN, interval="1h", timeout="10m", prefetch=False,
                      options={"rescan": "1h"})
    measure(bench, "directory", two, lambda: fill(folder), lister(folder))

    # With metadata: each object costs one request, several at a time.
    s3.stop()
    described = S3Server("described")
    bench._cleanup.callback(described.close)
    described.start()
    fill(described.data / described.bucket, DESCRIBED)
    three = bench.gateway()
    three.add_store("bucket", "s3", described.options(), pattern=PATTERN, interval="1h", timeout="10m")
    before = time.monotonic()
    three.start()
    eventually(lambda: three.api("/stores")["items"][0]["objects"] >= DESCRIBED, 600, interval=0.05,
               what="the first sync")
    bench.add(f"s3: first sync of {DESCRIBED:,} with the metadata of each", "s", time.monotonic() - before, None, None,
              None, better="lower")
