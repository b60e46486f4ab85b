# ctest-timeout: 300
"""The Drogue protocol with Drogue's own client, drgdfu, as its authors released it."""
import contextlib
import hashlib

import pytest
from support.clients import image, sha256
from support.drgdfu import Drgdfu, SerialDevice
from support.net import eventually
from support.tools import need

DEVICE = "sensor-1"
PASSWORD = "sensor-1-has-this-password"


@pytest.fixture
def site(gateway, tmp_path):
    need("drgdfu")
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n", encoding="ascii")
    gateway.add_directory(tmp_path / "firmware", pattern=["{type}/{name}-{version}.bin"], options={"settle": "50ms"})
    gateway.config["credential"].append(
        {"name": "one", "kind": "basic", "user": DEVICE, "secret": {"file": str(password)}, "device": DEVICE}
    )
    (tmp_path / "firmware" / "sensor").mkdir()
    gateway.add_http(anonymous=False)
    gateway.start()
    gateway.wait_log("http: listening on")
    gateway.api("/devices", "POST", {"id": DEVICE, "type": "sensor"})
    return gateway


def deploy(site, tmp_path, version, body):
    (tmp_path / "firmware" / "sensor" / f"app-{version}.bin").write_bytes(body)

    def listed():
        return any(item["version"] == version for item in site.api("/firmware")["items"])

    eventually(listed, 20, what=f"app {version} in the catalog")
    return site.api("/deployments", "POST", {
        "parts": [{"name": "app", "version": version}], "target": {"type": "sensor"}, "policy": {}})["id"]


def attempts(site):
    with contextlib.suppress(AssertionError):
        return site.api(f"/devices/{DEVICE}/attempts")["items"]
    return []


def succeeded(site, deployment):
    return eventually(lambda: site.api(f"/deployments/{deployment}")["counts"]["succeeded"] == 1, 10, what="success")


def test_drgdfu_updates_a_device_behind_a_serial_line(site, tmp_path, owner):
    """From the store to the device's flash: drgdfu between our HTTP and its own serial protocol."""
    body = image(2001)
    deployment = deploy(site, tmp_path, "1.1.0", body)
    device = owner.add(SerialDevice("1.0.0"))
    owner.add(Drgdfu(tmp_path, site.url(""), DEVICE, PASSWORD)).serial(device.port).wait(90)
    assert device.synced.wait(5)
    assert sha256(device.flash) == sha256(body)
    assert device.checksum == hashlib.sha256(body).digest()
    assert (device.version, device.wrong) == ("1.1.0", [])
    (attempt,) = attempts(site)
    assert (attempt["state"], attempt["firmware"]) == ("confirmed", "app/1.1.0")
    succeeded(site, deployment)
    assert site.api(f"/devices/{DEVICE}")["versions"] == {"application": "1.1.0"}


def test_drgdfu_brings_the_device_that_it_simulates_into_sync(site, tmp_path, owner):
    deployment = deploy(site, tmp_path, "2.0.0", image(300))
    owner.add(Drgdfu(tmp_path, site.url(""), DEVICE, PASSWORD)).simulated("1.0.0").wait()
    succeeded(site, deployment)
    assert len(attempts(site)) == 1
    # Another one that runs it already has nothing to do, and hears so before it loses patience (30 s).
    owner.add(Drgdfu(tmp_path, site.url(""), DEVICE, PASSWORD)).simulated("2.0.0").wait()
    assert len(attempts(site)) == 1


def test_drgdfu_with_a_wrong_password_gets_nothing(site, tmp_path, owner):
    deploy(site, tmp_path, "2.0.0", image(300))
    client = owner.add(Drgdfu(tmp_path, site.url(""), DEVICE, "not-the-password")).simulated("1.0.0")
    eventually(lambda: "401" in client.log, 20, what="the refusal")
    assert attempts(site) == []
