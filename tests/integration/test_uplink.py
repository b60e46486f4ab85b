# ctest-timeout: 300
"""The uplink goes and comes back; the disk fills up and is freed. Nothing needs a restart."""
import subprocess

import pytest

from support import tools
from support.clients import coap_get, image
from support.net import eventually

MIB = 1024 * 1024
PATTERN = ["{type}/{name}-{version}.bin"]


@pytest.fixture
def site(gateway, s3, make_proxy):
    """A gateway over a bucket, and the line between them."""
    proxy = make_proxy(s3.port)
    gateway.add_store("bucket", "s3", s3.options(proxy.endpoint), pattern=PATTERN, interval="10s",
                      retry={"initial": "200ms", "max": "1s"})
    gateway.add_http(wait_timeout="2s")
    gateway.add_coap()
    return proxy


def test_without_uplink_the_cache_goes_on(site, gateway, s3):
    cached, other = image(MIB, seed=1), image(MIB, seed=2)
    s3.put("edge/cached-1.0.0.bin", cached)
    s3.put("edge/other-1.0.0.bin", other)
    gateway.start()
    gateway.wait_firmware("other", "1.0.0")
    assert gateway.get("/firmware/cached/1.0.0").body == cached
    site.cut()
    try:
        gateway.api("/stores/bucket/sync", "POST")
        pytest.fail("a listing over a cut line must fail")
    except AssertionError as error:
        assert "503" in str(error)
    assert gateway.get("/firmware/cached/1.0.0").body == cached
    assert coap_get(gateway.coap_url("/firmware/cached/1.0.0")).body == cached
    answer = gateway.get("/firmware/other/1.0.0")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert coap_get(gateway.coap_url("/firmware/other/1.0.0")).error.startswith("5.03")
    status = gateway.cli("status", check=False)
    assert status.returncode == 1
    assert "bucket" in status.stdout
    site.restore()

    def back():
        answer = gateway.get("/firmware/other/1.0.0")
        return answer.status == 200 and answer.body == other

    eventually(back, 60, interval=0.5, what="the other firmware once the uplink is back")
    eventually(lambda: gateway.cli("status", check=False).returncode == 0, 30, interval=0.3, what="status ok")


def test_a_restart_without_uplink_still_serves(site, gateway, s3):
    body = image(MIB)
    s3.put("edge/app-1.0.0.bin", body)
    gateway.start()
    gateway.wait_firmware("app", "1.0.0")
    tag = gateway.get("/firmware/app/1.0.0").headers["ETag"]
    site.cut()
    gateway.restart()
    answer = gateway.get("/firmware/app/1.0.0")
    assert answer.body == body
    assert answer.headers["ETag"] == tag, "the entity tag of the same bytes stays"


def test_a_full_disk_fails_the_fill_and_nothing_else(site, gateway, s3, tmp_path):
    tools.need_root()
    small, large = image(MIB, seed=1), image(24 * MIB, seed=2)
    s3.put("edge/small-1.0.0.bin", small)
    s3.put("edge/large-1.0.0.bin", large)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "otagate-test", disk], check=False)
    if mounted.returncode != 0:
        tools.unavailable("a tmpfs cannot be mounted here")
    try:
        gateway.config["cache"]["dir"] = str(disk / "cache")
        gateway.start()
        gateway.wait_firmware("large", "1.0.0")
        assert gateway.get("/firmware/small/1.0.0").body == small
        connection = gateway.http(timeout=60)
        connection.request("GET", "/firmware/large/1.0.0")
        answer = connection.getresponse()
        try:
            got = answer.read()
        except Exception:
            got = b""
        assert answer.status != 200 or len(got) < len(large)
        connection.close()
        eventually(lambda: any(e["kind"] == "no_space" for e in gateway.api("/events?limit=50")["items"]), 20,
                   what="an event that says the disk is full")
        assert gateway.get("/firmware/small/1.0.0").body == small
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)

        def recovered():
            answer = gateway.get("/firmware/large/1.0.0", timeout=60)
            return answer.status == 200 and answer.body == large

        eventually(recovered, 60, interval=0.5, what="the large firmware once there is space")
        gateway.stop()
    finally:
        gateway.kill()
        subprocess.run(["umount", "-l", disk], check=False)


@pytest.mark.parametrize("require", ["digest", "length"])
def test_what_a_level_can_and_cannot_catch(gateway, s3, require):
    """`digest` refuses what nobody vouches for; `length` delivers it."""
    body = image(100_000)
    s3.put("edge/plain-1.0.0.bin", body)
    gateway.add_store("bucket", "s3", s3.options(), pattern=PATTERN, interval="1h", require=require)
    gateway.add_http()
    gateway.start()
    gateway.wait_firmware("plain", "1.0.0")
    answer = gateway.get("/firmware/plain/1.0.0")
    if require == "length":
        assert answer.body == body
    else:
        assert answer.status == 502
        assert b"sha256" in answer.body or b"SHA-256" in answer.body
