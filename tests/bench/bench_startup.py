"""Start-up and idle memory with every bundled plugin in use."""
import pathlib
import re
import time

from support.net import eventually
from support.s3 import S3Server

KIB_PER_MIB = 1024


def resident(pid):
    """MiB by what they are: everything, files (code of libraries), and the rest (heap, stacks, data)."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    rss, anonymous, file, shared = (
        int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / KIB_PER_MIB for name in ("VmRSS", "RssAnon", "RssFile", "RssShmem"))
    return rss, anonymous, file + shared


def run(bench):
    s3 = S3Server()
    bench._cleanup.callback(s3.close)
    s3.start()
    gateway = bench.gateway()
    folder = bench.folder()
    (folder / "probe-1.0.0.bin").write_bytes(b"x" * 10_000)
    gateway.add_directory(folder, pattern=["{name}-{version}.bin"])
    gateway.add_store("bucket", "s3", s3.options())
    gateway.add_http()
    gateway.add_coap()
    gateway.add_metrics()

    def ready():
        gateway.stop()
        before = time.monotonic()
        gateway.start()
        return (time.monotonic() - before) * 1000

    gateway.start()
    bench.measure("from exec to ready", "ms", ready, 200)

    def listed():
        return all(store["last_ok_ms"] for store in gateway.api("/stores")["items"])

    values = []
    for _ in range(bench.rounds):
        ready()
        eventually(listed, 30, what="both stores listed")
        gateway.wait_firmware("probe", "1.0.0")
        time.sleep(2)  # idle: nothing to wait for
        values.append(resident(gateway.pid))
    middle = sorted(values)[len(values) // 2]
    bench.add("resident, idle", "MiB", middle[0], None, None, 20, better="lower")
    bench.add("of it heap, stacks and data", "MiB", middle[1], None, None, None)
    bench.add("of it files, code of libraries most of all", "MiB", middle[2], None, None, None)
