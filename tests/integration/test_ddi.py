# ctest-timeout: 600
"""hawkBit's DDI, served to SWUpdate's suricatta as Debian ships it."""
import contextlib
import json
import re

import pytest
from support.clients import image, sha256
from support.net import eventually
from support.swupdate import Suricatta, Vendor
from support.tools import need

DEVICE = "board-1"
SECRET = "panels-have-this-secret"
BASE = f"/DEFAULT/controller/v1/{DEVICE}"


@pytest.fixture
def site(gateway, tmp_path, owner):
    need("swupdate")
    return Site(gateway, tmp_path, owner)


class Site:
    """A gateway with a folder of archives, and one device of type panel that has SWUpdate."""

    def __init__(self, gateway, tmp_path, owner, **http):
        self.gateway = gateway
        self.tmp_path = tmp_path
        self.owner = owner
        self.folder = tmp_path / "firmware" / "panel"
        self.folder.mkdir(parents=True)
        self.vendor = Vendor(tmp_path / "vendor")
        self.target = tmp_path / "device" / "installed.bin"
        secret = tmp_path / "secret"
        secret.write_text(SECRET + "\n", encoding="ascii")
        gateway.add_directory(self.folder.parent, pattern=["{type}/{name}-{version}.swu"])
        gateway.config["credential"].append(
            {"name": "panels", "kind": "token", "secret": {"file": str(secret)}, "type": "panel"}
        )
        gateway.config["devices"] = {"next_check_in": "5s"}
        gateway.add_http(anonymous=False, ddi=True, **http)
        gateway.start()

        def listens():
            with contextlib.suppress(ConnectionRefusedError):
                return gateway.get("/firmware").status == 401

        eventually(listens, what="the listener")

    def ask(self, path, method="GET", body=None):
        connection = self.gateway.http()
        headers = {"Authorization": f"TargetToken {SECRET}", "Accept": "application/hal+json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        with contextlib.closing(connection):
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text and text[:1] in b"{[" else text

    def links(self):
        status, poll = self.ask(BASE)
        assert status == 200, poll
        return {name: link["href"] for name, link in poll["_links"].items()}

    def publish(self, version, payload, vendor=None):
        archive = (vendor or self.vendor).archive(version, payload, self.target)
        (self.folder / f"panel-{version}.swu").write_bytes(archive)

        def listed():
            items = self.ask("/firmware")[1]["items"]
            return any(item["version"] == version and item["sha256"] == sha256(archive) for item in items)

        eventually(listed, 30, what=f"panel {version} in the catalog")
        return archive

    def deploy(self, version, **policy):
        made = self.gateway.api(
            "/deployments", "POST",
            {"parts": [{"name": "panel", "version": version}], "target": {"type": "panel"}, "policy": policy},
        )
        return made["id"]

    def client(self, name="device", **how):
        return self.owner.add(
            Suricatta(self.tmp_path / name, f"http://127.0.0.1:{self.gateway.http_port}", DEVICE,
                      self.vendor.certificate, SECRET, **how)
        )

    def attempts(self):
        return self.gateway.api(f"/devices/{DEVICE}/attempts")["items"]

    def wait_attempt(self, state, timeout=60):
        def there():
            with contextlib.suppress(AssertionError):
                found = self.attempts()
                return found[0] if found and found[0]["state"] == state else None
            return None

        return eventually(there, timeout, what=f"an attempt that is {state}")


def test_suricatta_installs_and_the_attempt_is_confirmed(site):
    payload = image(300_000)
    site.publish("2.0.0", payload)
    deployment = site.deploy("2.0.0")
    client = site.client(attributes={"board": "panel", "serial": "0815"}).start()
    eventually(lambda: site.target.exists() and site.target.read_bytes() == payload, 60, what="the payload")
    eventually(lambda: "All Chunks Installed" in client.log, 30, what="the last feedback")
    # It has restarted, and says so: before, the gateway cannot know how it went.
    assert site.attempts()[0]["state"] == "downloading"
    client.stop()
    client.start("-c", "2")
    attempt = site.wait_attempt("confirmed")
    assert attempt["firmware"] == "panel/2.0.0"
    device = site.gateway.api(f"/devices/{DEVICE}")
    assert device["type"] == "panel"
    assert device["versions"]["application"] == "2.0.0"
    assert device["attributes"]["serial"] == "0815"
    eventually(lambda: site.gateway.api(f"/deployments/{deployment}")["counts"]["succeeded"] == 1, 10, what="success")
    # Nothing is left to do: it is not offered again.
    assert "deploymentBase" not in site.links()
    assert len(site.attempts()) == 1


def test_an_archive_the_client_refuses_is_a_failure_in_its_words(site):
    site.publish("2.0.1", image(50_000), Vendor(site.tmp_path / "stranger"))
    site.deploy("2.0.1", attempts=1)
    site.client().start()
    attempt = site.wait_attempt("failed")
    assert attempt["message"]
    assert not site.target.exists()


def test_a_client_that_went_without_a_word_is_not_lost(site):
    """Killed in the middle of it and started anew, it finds the same action."""
    payload = image(2_000_000)
    site.publish("2.0.2", payload)
    site.deploy("2.0.2")
    client = site.client().start("-n", "200k")
    attempt = site.wait_attempt("downloading")
    client.stop()
    client.start()
    eventually(lambda: site.target.exists() and site.target.read_bytes() == payload, 90, what="the payload")
    client.stop()
    client.start("-c", "2")
    assert site.wait_attempt("confirmed")["id"] == attempt["id"]


def test_an_aborted_deployment_reaches_the_client_in_its_download(site):
    site.publish("2.0.3", image(6_000_000))
    deployment = site.deploy("2.0.3")
    # It polls beside its download, and only so learns of the end.
    client = site.client().start("-n", "100k", "-p", "2")
    site.wait_attempt("downloading")
    eventually(lambda: re.search(r"GET /blobs/sha256/", client.log), 30, what="the download")
    site.gateway.api(f"/deployments/{deployment}/abort", "POST", {"why": "changed my mind"})
    eventually(lambda: "Acknowledging cancelled update" in client.log, 60, what="the cancel")
    site.wait_attempt("cancelled")
    assert not site.target.exists()
    eventually(lambda: "cancelAction" not in site.links(), 10, what="the end of the dialogue")


def test_the_documents_of_an_update(site):
    """What a client that is not SWUpdate sees: hawkBit's documents, and links that work."""
    assert set(site.links()) == {"configData"}
    archive = site.publish("2.0.4", image(10_000))
    assert site.ask(BASE + "/configData", "PUT", {"data": {"hw": "2"}})[0] == 200
    site.deploy("2.0.4")
    href = eventually(lambda: site.links().get("deploymentBase"), 20, what="the deployment")
    path = href.removeprefix(f"http://127.0.0.1:{site.gateway.http_port}")
    assert path != href
    status, document = site.ask(path)
    assert status == 200
    (chunk,) = document["deployment"]["chunks"]
    assert (chunk["part"], chunk["name"], chunk["version"]) == ("os", "panel", "2.0.4")
    (artifact,) = chunk["artifacts"]
    assert artifact["filename"] == "panel-2.0.4.swu"
    assert artifact["hashes"]["sha256"] == sha256(archive)
    assert artifact["size"] == len(archive)
    links = {
        name: link["href"].removeprefix(f"http://127.0.0.1:{site.gateway.http_port}")
        for name, link in artifact["_links"].items()
    }
    assert site.ask(links["download-http"]) == (200, archive)
    assert site.ask(links["md5sum-http"])[1].decode().split() == [artifact["hashes"]["md5"], artifact["filename"]]
    # Feedback of a stranger's action, then of its own, twice.
    action = document["id"]
    closed = {"status": {"execution": "closed", "result": {"finished": "success"}}}
    assert site.ask(f"{BASE}/deploymentBase/{int(action) + 1000}/feedback", "POST", closed)[0] == 410
    assert site.ask(f"{BASE}/deploymentBase/{action}/feedback", "POST", {"status": {}})[0] == 400
    assert site.ask(f"{BASE}/deploymentBase/{action}/feedback", "POST", closed)[0] == 200
    assert site.ask(f"{BASE}/deploymentBase/{action}/feedback", "POST", closed)[0] == 200
    assert site.wait_attempt("confirmed")["id"] == int(action)
    # What it has installed is linked and shown as it was.
    installed = site.links()["installedBase"].removeprefix(f"http://127.0.0.1:{site.gateway.http_port}")
    assert installed == f"{BASE}/installedBase/{action}"
    assert site.ask(installed) == (200, document)
    assert site.ask(f"{BASE}/installedBase/{int(action) + 1}")[0] == 404
    assert site.ask("/OTHER/controller/v1/x")[0] == 404


def test_consent_is_asked_for_where_the_listener_says_so(gateway, tmp_path, owner):
    need("openssl")
    site = Site(gateway, tmp_path, owner, ddi_confirmation=True)
    site.publish("2.0.5", image(10_000))
    site.deploy("2.0.5")
    site.ask(BASE)
    href = eventually(lambda: site.links().get("confirmationBase"), 20, what="the question")
    assert "deploymentBase" not in site.links()
    path = href.removeprefix(f"http://127.0.0.1:{site.gateway.http_port}")
    action = site.ask(path)[1]["id"]
    assert site.ask(f"{BASE}/deploymentBase/{action}")[0] == 404
    assert site.ask(f"{BASE}/confirmationBase/{action}/feedback", "POST", {"confirmation": "confirmed"})[0] == 200
    assert site.links()["deploymentBase"].partition("?")[0].endswith(f"/deploymentBase/{action}")
    assert site.ask(f"{BASE}/deploymentBase/{action}")[0] == 200
