# ctest-timeout: 900
"""Updates that a store assigns: a store plugin over the real ABI says what its files say, simulated devices do them,
and what became of each goes back, whatever happens in between."""
import collections
import hashlib
import os
import random
import re
import time

import pytest

from support.clients import image
from support.net import eventually
from support.poll import PollDevice
from support.sim import Sim
from support.tools import scaled

BODY = image(60_000)
SHA = hashlib.sha256(BODY).hexdigest()
KINDS = {"success", "failure", "cancelled", "cancel_refused", "confirmed", "denied"}
Said = collections.namedtuple("Said", "id kind device done total code message")


class Assigner:
    """The folder that steers the store."""

    def __init__(self, folder):
        self.folder = folder
        for part in ("objects", "wishes"):
            (folder / part).mkdir(parents=True)
        (folder / "objects/app").write_bytes(BODY)

    def assign(self, number, device, version="2.0.0", key="app", sha=SHA, locators="", component="application", **more):
        lines = [f"device={device}", *(f"{name}={value}" for name, value in more.items())]
        lines.append(f"part={component}|app|{version}|{key}|{sha}|{locators}")
        draft = self.folder / "wishes" / f"{number}.draft"
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.utime(draft, ns=(time.time_ns(), time.time_ns()))
        draft.rename(draft.with_suffix(".assign"))

    def cancel(self, number):
        (self.folder / "wishes" / f"{number}.cancel").touch()

    def uplink(self, there):
        if there:
            (self.folder / "away").unlink()
        else:
            (self.folder / "away").touch()

    def lines(self, name):
        path = self.folder / name
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def feedback(self, number=None):
        said = [Said(*line.split("\t")) for line in self.lines("feedback.log")]
        return [one for one in said if number is None or one.id == str(number)]

    def kinds(self, number):
        return [one.kind for one in self.feedback(number)]

    def wait(self, number, kind, timeout=30):
        return eventually(lambda: kind in self.kinds(number), timeout, what=f"{kind} of {number}")

    @property
    def fetched(self):
        """Bytes asked of the store."""
        return sum(int(line.split()[2]) or len(BODY) for line in self.lines("fetch.log"))


@pytest.fixture
def store(gateway, build_dir, tmp_path):
    assigner = Assigner(tmp_path / "upstream")
    gateway.config["daemon"]["plugin_dirs"].append(str(build_dir / "tests/plugins"))
    gateway.config["devices"] = {"max_per_source": 10_000, "next_check_in": "1s"}
    gateway.add_store("hb", "assigner", {"path": str(assigner.folder)},
                      retry={"initial": "100ms", "max": "1s"})
    gateway.add_http(max_connections_per_source=4096, poll=True, drogue=True, ddi=True)
    return assigner


@pytest.fixture
def device(gateway):
    def make(name, version="1.0.0"):
        one = PollDevice(gateway.http_port, name, version, "sensor")
        one.offer()
        return one

    return make


def deployments(gateway, **want):
    items = gateway.api("/deployments?limit=1000")["items"]
    return [one for one in items if all(one[key] == value for key, value in want.items())]


def stores(gateway):
    return gateway.api("/stores")["items"][0]["assignments"]


def offer(device):
    return eventually(device.offer, 20, what=f"an offer to {device.name}")


def test_an_assignment_becomes_a_deployment_and_its_result_flows_back(gateway, store, device):
    gateway.start()
    one = device("d0")
    eventually(lambda: "watch d0 type=sensor version=1.0.0" in store.lines("watch.log"))
    store.assign(17, "d0")
    got = offer(one)
    assert (got["version"], got["sha256"], got["mode"]) == ("2.0.0", SHA, "update")
    assert one.download(got) == BODY
    one.report(got, "downloading", offset=len(BODY) // 2)
    one.report(got, "downloaded")
    one.report(got, "applying")
    one.version = "2.0.0"
    assert one.offer() is None
    store.wait(17, "success")
    assert [kind for kind in store.kinds(17) if kind != "progress"] == ["downloaded", "success"]
    assert all(said.device == "d0" for said in store.feedback(17))
    made = deployments(gateway, origin="hb")[0]
    assert (made["external_id"], made["state"]) == ("17", "completed")
    assert made["assignment"]["outcome"] == "success"
    assert gateway.api("/devices/d0")["assigned_by"] == {"application": "hb"}
    assert "hb 17" in gateway.cli("deployments").stdout
    assert "hb" in gateway.cli("devices").stdout
    eventually(lambda: stores(gateway) == {"watched": 1, "unsaid": 0, "outbox": 0, "last_error": None})
    # It is told of what the device runs now, and that it has gone.
    eventually(lambda: "watch d0 type=sensor version=2.0.0" in store.lines("watch.log"))
    gateway.api("/devices/d0", "DELETE")
    eventually(lambda: "unwatch d0" in store.lines("watch.log"))


def test_only_approved_devices_that_are_meant_are_watched(gateway, store, device):
    gateway.config["devices"]["approval"] = True
    gateway.config["store"][0]["assignments"] = {"types": ["sensor"], "devices": ["odd"]}
    gateway.start()
    for name in ("d0", "d1"):
        device(name)
    PollDevice(gateway.http_port, "pump-1", "1.0.0", "pump").offer()
    gateway.api("/devices/d0", "PATCH", {"approval": "approved"})
    gateway.api("/devices/pump-1", "PATCH", {"approval": "approved"})
    eventually(lambda: store.lines("watch.log"))
    gateway.api("/devices/d0", "PATCH", {"approval": "blocked"})
    eventually(lambda: "unwatch d0" in store.lines("watch.log"))
    assert {line.split()[1] for line in store.lines("watch.log")} == {"d0"}


def test_cancel_confirm_and_windows(gateway, store, device):
    gateway.start()
    one = device("d0")
    store.assign(1, "d0", window=2)
    made = eventually(lambda: deployments(gateway, external_id="1"))[0]
    assert one.offer() is None
    eventually(lambda: "window of store hb is closed" in str(gateway.api(f"/deployments/{made['id']}")["problems"]))
    store.assign(1, "d0", window=1)
    got = offer(one)
    store.cancel(1)
    store.wait(1, "cancelled")
    assert one.offer() is None

    store.assign(2, "d0", needs_confirm=1)
    made = eventually(lambda: deployments(gateway, external_id="2"))[0]
    assert made["state"] == "needs_approval" and one.offer() is None
    gateway.api(f"/deployments/{made['id']}/approve", "POST")
    store.wait(2, "confirmed")
    got = offer(one)
    one.report(got, "applying")
    store.cancel(2)
    store.wait(2, "cancel_refused")
    one.version = "2.0.0"
    assert one.offer() is None
    store.wait(2, "success")

    store.assign(3, "d0", version="3.0.0", needs_confirm=1)
    made = eventually(lambda: deployments(gateway, external_id="3"))[0]
    gateway.api(f"/deployments/{made['id']}/abort", "POST")
    store.wait(3, "denied")


def test_places_of_an_object_are_tried_in_turn(gateway, store, device):
    (store.folder / "objects/third").write_bytes(BODY)
    gateway.start()
    one = device("d0")
    store.assign(1, "d0", key="gone", locators="also-gone,third")
    assert one.download(offer(one)) == BODY
    places = [line.split()[0] for line in store.lines("fetch.log")]
    assert list(dict.fromkeys(places)) == ["gone", "also-gone", "third"]


@pytest.mark.timeout(500)
def test_five_hundred_targets_cost_one_download(gateway, store, build_dir, owner):
    count = scaled(500, 50)
    gateway.start()
    sim = owner.add(Sim(build_dir, "--devices", count, "--mix", "poll=60,drogue-http=25,ddi=15", "--type", "sensor",
                        "--poll-interval", "500ms", "--time-scale", 10, "--expect", "2.0.0", "--until-idle",
                        http=gateway.http_port))
    eventually(lambda: stores(gateway)["watched"] == count, 120, what="a store that knows all devices")
    names = [item["id"] for item in gateway.api("/devices?limit=1000")["items"]]
    for number, name in enumerate(names):
        store.assign(number, name)
    assert sim.wait(300) == 0, sim.log[-2000:]
    for number, name in enumerate(names):
        store.wait(number, "success", 60)
        assert {said.device for said in store.feedback(number)} == {name}
    assert store.fetched == len(BODY), store.lines("fetch.log")
    assert sum(record["bytes"] for record in sim.devices.values()) >= count * len(BODY)
    # Sparingly: hawkBit takes 1,000 words for an action.
    assert max(collections.Counter(said.id for said in store.feedback()).values()) <= 15


def test_download_only_is_kept(gateway, store, build_dir, owner):
    gateway.start()
    sim = owner.add(Sim(build_dir, "--devices", 4, "--mix", "poll=50,ddi=50", "--type", "sensor",
                        "--poll-interval", "300ms", "--time-scale", 10, http=gateway.http_port))
    eventually(lambda: stores(gateway)["watched"] == 4, 60, what="a store that knows all devices")
    names = [item["id"] for item in gateway.api("/devices")["items"]]
    for number, name in enumerate(names):
        store.assign(number, name, mode=2)
    for number, _ in enumerate(names):
        store.wait(number, "downloaded", 60)
    assert all(one["state"] == "completed" for one in deployments(gateway, origin="hb"))
    # A DDI device says what it runs only once it has installed something.
    assert {item["versions"].get("application", "1.0.0") for item in gateway.api("/devices")["items"]} == {"1.0.0"}
    sim.stop()
    for record in sim.devices.values():
        assert [change["state"] for change in record["changes"]][-1] == "kept", record
        assert not record["violations"], record


def test_no_feedback_is_lost_while_the_uplink_is_away_and_the_daemon_is_killed(gateway, store, device):
    # One try: a failure is the end.
    gateway.config["store"][0].setdefault("assignments", {})["attempts"] = 1
    gateway.start()
    fleet = [device(f"d{number}") for number in range(10)]
    eventually(lambda: stores(gateway)["watched"] == len(fleet))
    for number, one in enumerate(fleet):
        store.assign(number, one.name)
    offers = [offer(one) for one in fleet]
    store.uplink(False)
    for number, (one, got) in enumerate(zip(fleet, offers)):
        one.report(got, "downloaded")
        if number % 2:
            one.report(got, "failed", code=7, message="bad flash")
        else:
            one.report(got, "applying")
            one.version = "2.0.0"
            assert one.offer() is None
    # Each answer above is durable, so everything below has to arrive.
    gateway.kill()
    gateway.start()
    eventually(lambda: stores(gateway)["outbox"] >= len(fleet) and stores(gateway)["last_error"])
    for _ in range(3):
        time.sleep(random.uniform(0, 0.3))
        gateway.kill()
        gateway.start()
    assert not any(said.kind in KINDS for said in store.feedback())
    store.uplink(True)
    # And again while it is being said.
    eventually(lambda: len(store.lines("feedback.log")) > 2)
    gateway.kill()
    gateway.start()
    for number in range(0, len(fleet), 2):
        store.wait(number, "success")
    for number in range(1, len(fleet), 2):
        store.wait(number, "failure")
    eventually(lambda: stores(gateway)["outbox"] == 0)
    for number in range(0, len(fleet), 2):
        ends = [kind for kind in store.kinds(number) if kind != "progress"]
        # In order, each at least once.
        assert list(dict.fromkeys(ends)) == ["downloaded", "success"], ends


def test_what_was_assigned_goes_on_without_the_uplink(gateway, store, device):
    gateway.start()
    one = device("d0")
    store.assign(1, "d0")
    got = offer(one)
    store.uplink(False)
    gateway.kill()
    gateway.start()
    got = offer(one)
    assert one.download(got) == BODY
    one.report(got, "applying")
    one.version = "2.0.0"
    assert one.offer() is None
    store.uplink(True)
    store.wait(1, "success")


def test_a_restart_changes_nothing_of_what_was_assigned(gateway, store, device):
    """A restart makes the store say everything again; nothing is done twice."""
    gateway.start()
    one = device("d0")
    store.assign(1, "d0")
    got = offer(one)
    one.report(got, "applying")
    one.version = "2.0.0"
    one.offer()
    store.wait(1, "success")
    eventually(lambda: stores(gateway)["outbox"] == 0)
    seen = len(store.lines("watch.log"))
    gateway.restart()
    eventually(lambda: len(store.lines("watch.log")) > seen)
    # Said once more to a store that asks once more.
    eventually(lambda: store.kinds(1).count("success") == 2)
    assert len(deployments(gateway, origin="hb")) == 1
    assert one.offer() is None
    assert not re.search(r"\[error\]", gateway.log)
