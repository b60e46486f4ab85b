# ctest-timeout: 300
"""A disk that fails under the cache: what cannot be read or made durable is served to nobody as whole, other
blobs are not touched, and all recovers when the disk does."""
import os
import subprocess

import pytest

from support.clients import image, sha256
from support.coap import BLOCK2, Endpoint, block
from support.net import eventually
from support.tools import need, need_root, unavailable

SIZE = 3 << 20
BODIES = {"good": image(SIZE, 1), "poor": image(SIZE, 2)}


class FaultyDisk:
    """A folder whose reads, writes or syncs fail with EIO while told so (see support/faultfs.c)."""

    def __init__(self, build_dir, folder):
        need_root()
        program = build_dir / "bin/faultfs"
        if not program.exists() or not os.path.exists("/dev/fuse"):
            unavailable("FUSE is not there (libfuse3-dev and /dev/fuse); ./dev test installs the former")
        self.path, self._control = folder / "disk", folder / "faults"
        backing = folder / "backing"
        self.path.mkdir()
        backing.mkdir()
        self._process = subprocess.Popen([program, backing, self.path, self._control])
        eventually(lambda: os.path.ismount(self.path), 10, what="the mount")

    def fail(self, operation, part):
        self._control.write_text(f"{operation} {part}\n", encoding="ascii")

    def mend(self):
        self._control.unlink(missing_ok=True)

    def close(self):
        self.mend()
        self._process.terminate()  # unmounts
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            subprocess.run([need("umount"), "-l", self.path], stderr=subprocess.DEVNULL, check=False)


@pytest.fixture
def disk(build_dir, tmp_path, owner):
    return owner.add(FaultyDisk(build_dir, tmp_path))


@pytest.fixture
def site(disk, make_gateway, tmp_path):
    """A gateway with its state on that disk, and two firmware files to fetch."""
    firmware = tmp_path / "firmware"
    firmware.mkdir()
    for name, body in BODIES.items():
        (firmware / f"{name}-1.0.0.bin").write_bytes(body)
    gateway = make_gateway()
    gateway.config["daemon"]["state_dir"] = str(disk.path / "state")
    gateway.add_directory(firmware, pattern=["{name}-{version}.bin"], prefetch=False)
    gateway.add_http()
    gateway.add_coap()
    gateway.start()
    for name in BODIES:
        gateway.wait_firmware(name, "1.0.0")
    return gateway


def path(name):
    return f"/firmware/{name}/1.0.0"


def whole(gateway, name):
    answer = gateway.get(path(name))
    return answer.status == 200 and answer.body == BODIES[name]


def events(gateway, kind):
    return [str(item) for item in gateway.api("/events?limit=200")["items"] if item["kind"] == kind]


def forget_pages(disk, digest):
    """The kernel's copy of a blob, so that the next read is the disk's to answer."""
    blob = next((disk.path / "state").rglob(digest))
    descriptor = os.open(blob, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def try_http(gateway):
    try:
        answer = gateway.get(path("poor"))
        return answer.body if answer.status == 200 else None
    except (OSError, EOFError, Exception) as error:  # http.client: IncompleteRead and its kin
        return getattr(error, "partial", None)


def try_coap(gateway):
    endpoint = Endpoint(gateway.coap_port)
    try:
        answer = endpoint.get(path("poor"), (BLOCK2, block(SIZE // 2 // 1024, 1024)))
        return answer.payload if answer.status == "2.05" else None
    finally:
        endpoint.close()


@pytest.mark.parametrize("ask", [try_http, try_coap])
def test_a_blob_that_cannot_be_read_is_put_away_and_fetched_again(site, disk, ask):
    for name in BODIES:
        assert whole(site, name)
    digest = sha256(BODIES["poor"])
    disk.fail("read", digest)
    forget_pages(disk, digest)
    got = ask(site)
    assert got is None or len(got) < SIZE, "a whole blob out of a disk that cannot read it"
    said = eventually(lambda: events(site, "blob_quarantined"), 20, what="the event")
    assert any(digest in event for event in said), said
    assert whole(site, "good"), "another blob is touched"
    disk.mend()
    eventually(lambda: whole(site, "poor"), 30, what="the right bytes again")


def test_what_cannot_be_made_durable_is_no_blob(site, disk):
    """The sync at the end of a fill fails: the fill says so, nothing of it is kept as verified, and the next
    one succeeds once the disk does."""
    assert whole(site, "good")
    disk.fail("fsync", "/fills/")
    got = try_http(site)
    assert got is None or len(got) < SIZE, "a reader had the last bytes before the blob was durable"
    assert eventually(lambda: events(site, "fill_failed"), 20, what="the event")
    assert not list((disk.path / "state").rglob(sha256(BODIES["poor"])))
    assert whole(site, "good"), "another blob is touched"
    disk.mend()
    eventually(lambda: whole(site, "poor"), 30, what="a fill that succeeds")


def test_a_disk_that_does_not_write_fails_the_fill_only(site, disk):
    assert whole(site, "good")
    disk.fail("write", ".part")
    got = try_http(site)
    assert got is None or len(got) < SIZE
    assert eventually(lambda: events(site, "fill_failed"), 20, what="the event")
    assert whole(site, "good")
    disk.mend()
    eventually(lambda: whole(site, "poor"), 30, what="a fill that succeeds")
