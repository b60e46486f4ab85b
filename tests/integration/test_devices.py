# ctest-timeout: 300
"""The registry of devices as operators see it: by the client, the admin API and the devices' own check-ins."""
import csv
import io
import json

import pytest

from support.clients import image
from support.net import eventually
from support.poll import PollDevice

HARD = 'hall 3/ä "x",1'


@pytest.fixture
def site(gateway, tmp_path):
    files = tmp_path / "files"
    gateway.add_directory(files)
    (files / "app-1.0.0.bin").write_bytes(image(20_000))
    gateway.add_http(poll=True)
    gateway.start()
    gateway.wait_firmware("app", "1.0.0")
    return gateway


def device(gateway, name="sensor-1", version="0.9.0", **how):
    return PollDevice(gateway.http_port, name, version, **how)


def names(gateway, *filters):
    lines = gateway.cli("--json", "devices", "list", *filters).stdout.splitlines()
    return [item["id"] for line in lines for item in json.loads(line)["items"]]


def test_a_check_in_makes_a_device_known(site):
    assert device(site, "sensor-1", type="sensor").offer() is None
    known = site.api("/devices/sensor-1")
    assert known["type"] == "sensor" and known["versions"] == {"application": "0.9.0"}
    assert known["approval"] == "approved" and known["transport"] == "http" and known["last_seen_ms"] > 0
    out = site.cli("devices").stdout
    assert "sensor-1" in out and "application 0.9.0" in out and "1 of 1 devices" in out
    assert "sensor-1" in site.cli("devices", "show", "sensor-1").stdout
    assert site.cli("devices", "show", "none", check=False).returncode == 1


def test_every_filter_finds_its_devices(site):
    items = [{"id": f"{kind}-{n:03}", "type": kind, "tags": [f"t{n % 2}"], "versions": {"modem": f"{n % 3}.0"}}
             for kind in ("lamp", "sensor") for n in range(60)]
    items[0]["approval"] = "blocked"
    site.api("/devices", "POST", {"items": items})
    device(site, "came-by-http").offer()
    assert len(names(site)) == 121
    assert names(site, "--prefix", "lamp-00") == [f"lamp-{n:03}" for n in range(10)]
    assert names(site, "--type", "sensor", "--tag", "t1") == [f"sensor-{n:03}" for n in range(1, 60, 2)]
    assert names(site, "--approval", "blocked") == ["lamp-000"]
    assert names(site, "--transport", "http") == ["came-by-http"]
    assert names(site, "--component", "application") == ["came-by-http"]
    assert names(site, "--component", "modem", "--version", "2.0", "--type", "lamp") == \
        [f"lamp-{n:03}" for n in range(2, 60, 3)]
    # Pages meet without a gap and without one twice.
    seen, cursor = [], ""
    while cursor is not None:
        page = site.api(f"/devices?limit=7&cursor={cursor}")
        assert len(page["items"]) <= 7 and page["devices"] == 121
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert seen == sorted(seen) and len(seen) == len(set(seen)) == 121


def test_ids_of_all_kinds_can_be_named(site):
    for name in (HARD, "a/b/attempts", "100%", "x?y#z", "größe"):
        assert "1 devices added" in site.cli("devices", "add", name, "--type", "sensor", "--tag", "lab").stdout
        assert json.loads(site.cli("--json", "devices", "show", name).stdout.splitlines()[0])["id"] == name
        assert "is approved" in site.cli("devices", "approve", name).stdout
        assert device(site, name, type="sensor").ask()[0] == 204
        site.cli("devices", "tag", name, "--add", "a", "--add", "b", "--remove", "lab")
        one = json.loads(site.cli("--json", "devices", "list", "--prefix", name).stdout)["items"][0]
        assert one["tags"] == ["a", "b"] and one["last_seen_ms"] > 0
        assert "is forgotten" in site.cli("devices", "remove", name).stdout
        assert site.cli("devices", "show", name, check=False).returncode == 1


def test_what_is_exported_can_be_imported(site, tmp_path):
    site.cli("devices", "add", HARD, "--type", "sensor", "--tag", "lab", "--attribute", "sum==1+2",
             "--attribute", "note=two words, a \" and commas", "--version", "1.0.0", "--version", "modem=2.1")
    site.cli("devices", "add", "plain", "--approval", "blocked")
    before = {item["id"]: item for item in site.api("/devices")["items"]}
    rows = list(csv.DictReader(io.StringIO(site.cli("devices", "list", "--csv").stdout, newline="")))
    assert [row["id"] for row in rows] == sorted(before)
    assert rows[0]["version.modem"] == "2.1" and rows[0]["tags"] == "lab"
    assert rows[0]["attribute.sum"] == "'=1+2", "no spreadsheet calculates what a device sent"
    for name in ("fleet.csv", "fleet.json"):
        site.cli("devices", "export", tmp_path / name)
        site.cli("devices", "remove", HARD, "plain")
        assert site.api("/devices")["devices"] == 0
        assert "2 devices added" in site.cli("devices", "import", tmp_path / name).stdout
        after = {item["id"]: item for item in site.api("/devices")["items"]}
        for key in ("type", "approval", "tags", "versions", "attributes"):
            assert {i: d[key] for i, d in after.items()} == {i: d[key] for i, d in before.items()}, f"{name} {key}"


def test_an_import_is_all_or_nothing_and_says_where_it_is_wrong(site, tmp_path):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("id,approval\na,approved\nb,perhaps\n")
    done = site.cli("devices", "import", wrong, check=False)
    assert done.returncode == 1 and "row 3: approval: write pending" in done.stderr
    wrong.write_text("id,type\n" + "\n".join(f"d{n},t" for n in range(50)) + "\n" + "x" * 500 + ",t\n")
    assert site.cli("devices", "import", wrong, check=False).returncode == 1
    assert site.api("/devices")["devices"] == 0
    assert site.cli("devices", "import", tmp_path / "none.csv", check=False).returncode == 1
    assert site.cli("devices", "import", tmp_path / "none", check=False).returncode == 64


def test_ten_thousand_devices_come_in_one_file(site, tmp_path):
    many = tmp_path / "many.csv"
    many.write_text("id,type,tags\n" + "".join(f"d{n:05},sensor,t{n % 10}\n" for n in range(10_000)))
    assert "10000 devices added" in site.cli("devices", "import", many).stdout
    assert site.cli("devices", "export", "--type", "sensor").stdout.count("\n") == 10_001
    assert len(names(site, "--tag", "t3")) == 1000


def test_a_pending_device_waits_and_a_blocked_one_is_refused(site):
    site.stop()
    site.config["devices"] = {"approval": True}
    site.start()
    site.wait_firmware("app", "1.0.0")
    one = device(site)
    assert one.offer() is None
    assert site.api("/devices/sensor-1")["approval"] == "pending"
    site.cli("deploy", "app@1.0.0", "--to", "device=sensor-1")
    assert one.offer() is None, "nothing is offered to a device that waits for approval"
    site.cli("devices", "approve", "sensor-1")
    offered(one)
    site.cli("devices", "block", "sensor-1")
    assert one.ask()[0] == 403


def offered(one):
    """The offer once the firmware is cached and verified."""
    return eventually(one.offer, 20, what=f"an offer to {one.name}")


def test_a_token_speaks_for_its_device_alone(gateway, tmp_path):
    gateway.add_directory(tmp_path / "files")
    gateway.add_http(anonymous=False, poll=True)
    gateway.start()
    for name in ("one", "two"):
        gateway.cli("devices", "add", name)
    token = gateway.cli("devices", "token", "one").stdout.strip()
    assert len(token) >= 32 and gateway.api("/devices/one")["has_token"]
    assert device(gateway, "one").ask()[0] == 401
    assert device(gateway, "one", token=token).ask()[0] == 204
    assert device(gateway, "two", token=token).ask()[0] == 403
    second = json.loads(gateway.cli("--json", "devices", "token", "one").stdout)["token"]
    assert device(gateway, "one", token=token).ask()[0] == 401, "the one before is void"
    assert device(gateway, "one", token=second).ask()[0] == 204
    gateway.restart()
    assert device(gateway, "one", token=second).ask()[0] == 204, "it outlives a restart"
    gateway.cli("devices", "token", "one", "--revoke")
    assert device(gateway, "one", token=second).ask()[0] == 401
    for seen in (gateway.log, json.dumps(gateway.api("/events?limit=100")), json.dumps(gateway.api("/devices"))):
        assert token not in seen and second not in seen
