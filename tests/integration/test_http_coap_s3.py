# ctest-timeout: 600
"""Real firmware in a real S3 bucket, through the gateway to curl, wget and coap-client: the very bytes."""
import os
import subprocess

import pytest

from support import tools
from support.clients import coap_get, coap_get_patiently, curl, sha256, wget
from support.tools import unavailable

# Debian package, file in it: from 16 KB to 3.7 MB.
IMAGES = [
    ("sigrok-firmware-fx2lafw", "fx2lafw-hantek-6022be.fw"),
    ("firmware-ath9k-htc", "htc_9271-1.4.0.fw"),
    ("opensbi", "generic/fw_jump.bin"),
    ("seabios", "bios-256k.bin"),
    ("u-boot-qemu", "qemu_arm64/u-boot.bin"),
    ("ovmf", "OVMF_CODE_4M.fd"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Name -> bytes, out of the packages that the demo takes its firmware from."""
    cache = tools.CACHE / "demo"
    packages = [package for package, _ in IMAGES]
    if any(not (cache / package).exists() for package in packages):
        cache = tmp_path_factory.mktemp("packages")  # the demo's own test may be filling the other one just now
        script = """set -eu; here=$1; shift; say() { :; }; die() { echo "$*" >&2; exit 1; }; as_root() { "$@"; }
                    . "$here/dev.d/demo.sh"; for package; do demo_package "$package" >/dev/null; done"""
        done = subprocess.run(["sh", "-c", script, "sh", tools.TREE, *packages], capture_output=True, text=True,
                              env={**os.environ, "OTAGATE_DEMO_CACHE": str(cache)})
        if done.returncode != 0:
            unavailable(f"the firmware of Debian's packages cannot be fetched: {done.stderr.strip()[-300:]}")
    found = {}
    for package, file in IMAGES:
        (path, *_) = sorted(p for p in (cache / package).rglob(file.rsplit("/", 1)[-1]) if str(p).endswith(file))
        found[package] = path.read_bytes()
    assert len({sha256(body) for body in found.values()}) == len(IMAGES)
    return found


def test_real_firmware_from_a_bucket_is_byte_identical(gateway, s3, images, tmp_path):
    for name, body in images.items():
        s3.put(f"board/{name}-1.0.0.bin", body)
    gateway.add_store("bucket", "s3", s3.options(), pattern=["{type}/{name}-{version}.bin"], interval="1h")
    gateway.add_http()
    gateway.add_coap()
    gateway.start()
    gateway.wait_log("http: listening on")
    for name, body in images.items():
        gateway.wait_firmware(name, "1.0.0", size=len(body))
        path = f"/firmware/{name}/1.0.0"
        url = gateway.url(path)
        # The first one to ask is a coap-client for one half of them, curl for the other.
        if len(name) % 2:
            assert coap_get_patiently(gateway.coap_url(path), block=1024).body == body, name
        assert curl(url) == body, name
        assert b"".join(
            curl("-r", f"{at}-{at + 1023}", url) for at in range(0, min(len(body), 16 * 1024), 1024)
        ) == body[: 16 * 1024]
        half = tmp_path / name
        half.write_bytes(body[: len(body) // 2])
        curl("-C", "-", "-o", half, url)
        assert half.read_bytes() == body, name
        wget("-O", half, url)
        assert half.read_bytes() == body, name
        gateway.wait_firmware(name, "1.0.0", sha256=sha256(body))
        assert curl(gateway.url("/blobs/sha256/" + sha256(body))) == body
        assert coap_get(gateway.coap_url(path), block=1024).body == body, name
        if len(body) < 1 << 20:  # the larger ones take 16 times the datagrams
            assert coap_get(gateway.coap_url(path), block=64).body == body, name
    stats = gateway.api("/cache")
    assert stats["fetched_bytes"] == sum(len(body) for body in images.values()), "each byte came from the bucket once"
