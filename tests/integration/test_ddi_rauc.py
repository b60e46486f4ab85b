# ctest-timeout: 300
"""hawkBit's DDI, served to RAUC's own hawkBit client, as its authors released it: polling, download, feedback."""
import contextlib

import pytest
from support.clients import image, sha256
from support.net import eventually
from support.rauc import RaucClient
from support.tools import need

DEVICE = "board-1"
SECRET = "panels-have-this-secret"
BUNDLE = b"hsqs" + image(200_000)


@pytest.fixture
def site(gateway, tmp_path):
    need("rauc-hawkbit-client")
    (tmp_path / "secret").write_text(SECRET + "\n", encoding="ascii")
    (tmp_path / "firmware" / "panel").mkdir(parents=True)
    gateway.add_directory(tmp_path / "firmware", pattern=["{type}/{name}-{version}.raucb"],
                          options={"settle": "50ms"})
    gateway.config["credential"].append(
        {"name": "panels", "kind": "token", "secret": {"file": str(tmp_path / "secret")}, "type": "panel"})
    gateway.config["devices"] = {"next_check_in": "5s"}
    gateway.add_http(anonymous=False)
    (tmp_path / "firmware" / "panel" / "panel-2.0.0.raucb").write_bytes(BUNDLE)
    gateway.start()
    gateway.wait_log("http: listening on")
    eventually(lambda: gateway.api("/firmware")["items"], 20, what="the bundle in the catalog")
    return gateway


def deploy(site, **policy):
    return site.api("/deployments", "POST", {
        "parts": [{"name": "panel", "version": "2.0.0"}], "target": {"type": "panel"}, "policy": policy})["id"]


def attempt(site, state):
    def there():
        with contextlib.suppress(AssertionError):
            found = site.api(f"/devices/{DEVICE}/attempts")["items"]
            return found[0] if found and found[0]["state"] == state else None
        return None

    return eventually(there, 60, what=f"an attempt that is {state}")


def test_rauc_installs_and_says_so(site, tmp_path, owner):
    deployment = deploy(site)
    client = owner.add(RaucClient(tmp_path / "device", site.http_port, DEVICE, SECRET))
    done = attempt(site, "confirmed")
    assert done["firmware"] == "panel/2.0.0"
    assert sha256(client.installed.read_bytes()) == sha256(BUNDLE)
    device = site.api(f"/devices/{DEVICE}")
    assert (device["type"], device["versions"]["application"]) == ("panel", "2.0.0")
    eventually(lambda: site.api(f"/devices/{DEVICE}")["attributes"].get("MAC") == "02:00:00:00:00:01", 30,
               what="its attributes")
    eventually(lambda: site.api(f"/deployments/{deployment}")["counts"]["succeeded"] == 1, 10, what="success")
    assert "API error" not in client.log and "Polling failed" not in client.log, client.log
    assert len(site.api(f"/devices/{DEVICE}/attempts")["items"]) == 1


def test_what_rauc_refuses_is_a_failure_in_its_words(site, tmp_path, owner):
    deploy(site, attempts=1)
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "refuse").touch()
    client = owner.add(RaucClient(tmp_path / "device", site.http_port, DEVICE, SECRET))
    failed = attempt(site, "failed")
    assert "result: 1" in failed["message"]
    assert not client.installed.exists()
