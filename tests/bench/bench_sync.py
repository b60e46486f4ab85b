"""Catalog sync of a bucket with 100,000 objects: time and memory, beside rclone's listing of it."""
import os
import subprocess
import time

from benchlib import need
from support.net import eventually
from support.s3 import S3Server

OBJECTS = 100_000


def fill(s3):
    """As files of the server's folder: a PUT for each would take longer than all that is measured."""
    for number in range(OBJECTS):
        if number % 1000 == 0:
            folder = s3.data / s3.bucket / f"type{number // 1000:03}"
            folder.mkdir()
        os.close(os.open(folder / f"fw{number:06}-1.0.0.bin", os.O_CREAT | os.O_WRONLY))


def run(bench):
    rclone = need("rclone")
    s3 = S3Server()
    bench._cleanup.callback(s3.close)
    s3.start()
    gateway = bench.gateway()
    gateway.add_store("bucket", "s3", s3.options(metadata=False), pattern=["{type}/{name}-{version}.bin"],
                      interval="1h", timeout="10m")
    gateway.start()

    def sync():
        before = time.monotonic()
        gateway.api("/stores/bucket/sync", "POST", timeout=600)
        return time.monotonic() - before

    def objects():
        return gateway.api("/stores")["items"][0]["objects"]

    sync()
    empty = gateway.rss()
    fill(s3)
    before = time.monotonic()
    sync()
    eventually(lambda: objects() >= OBJECTS, 600, interval=0.1, what="the first sync")
    bench.add(f"first sync of {OBJECTS:,} objects", "s", time.monotonic() - before, None, None, None)

    config = gateway.folder / "rclone.conf"
    config.write_text(
        f"[s3]\ntype = s3\nprovider = Other\nendpoint = {s3.endpoint}\naccess_key_id = {s3.access_key}\n"
        f"secret_access_key = {s3.secret_key}\nregion = us-east-1\n", encoding="utf-8")

    def listing():
        before = time.monotonic()
        done = subprocess.run(
            [rclone, "--config", config, "lsf", "--recursive", "--files-only", "--fast-list", "--format", "ps",
             f"s3:{s3.bucket}"], check=True, stdout=subprocess.PIPE)
        assert done.stdout.count(b"\n") == OBJECTS
        return time.monotonic() - before

    bench.compare(f"sync of an unchanged bucket of {OBJECTS:,}", "s", sync, "rclone lsf", listing, 1.0, better="lower")
    bench.add(f"memory that {OBJECTS:,} objects add", "MiB", (gateway.rss() - empty) / 2**20, None, None, 20,
              better="lower")
