# ctest-timeout: 1800
"""Rollouts to a simulated fleet over HTTP and CoAP: 1,000 devices at full scale, some of which crash, come back with
the old version, or are never heard again. What the gateway let happen is read from its event log, instant by
instant; what the devices did, from the simulator's report; both have to agree on every single device."""
import collections
import math
import random
import time

import pytest

from support.clients import image
from support.net import eventually
from support.sim import Sim
from support.tools import scaled

BODY = image(40_000)
VERSION = "1.1.0"
pytestmark = pytest.mark.timeout(1500)
MIX = "poll=30,drogue-http=20,poll-coap=15,drogue-coap=25,drogue-coap-named=5,drogue-http-json=5"
ODDS = ["--crash", 0.05, "--revert", 0.05, "--silent", 0.02]
# Crashed devices are away for 0.5 s and reboot in 0.3 s.
PACE = ["--poll-interval", "500ms", "--time-scale", 10, "--ack-timeout", "1s"]
BAD = {"failed", "reverted", "timed_out"}


def policy(**more):
    return {"attempts": 1, "silence": "12s", "apply": "12s", "once": True, "advance_at": "60%", **more}


@pytest.fixture
def site(gateway, tmp_path):
    """The gateway with app 1.1.0 in its cache."""

    def make(devices, store=None):
        if store is None:
            files = tmp_path / "files"
            gateway.add_directory(files, pattern=["{name}-{version}.bin"])
            (files / f"app-{VERSION}.bin").write_bytes(BODY)
        else:
            store()
        gateway.config["devices"] = {"max_per_source": 10_000}
        gateway.config["log"]["level"] = "info"
        gateway.add_http(max_connections_per_source=4096, poll=True, drogue=True)
        gateway.add_coap(max_sessions=4096, poll=True, drogue=True)
        gateway.start()
        gateway.wait_log("http: listening on")
        gateway.wait_firmware("app", VERSION)
        return gateway

    return make


@pytest.fixture
def fleet(build_dir, owner):
    """fleet(gateway, count, options...) -> Sim, all of whose devices the gateway knows."""

    def start(gateway, count, *options):
        sim = owner.add(Sim(build_dir, "--devices", count, "--mix", MIX, "--type", "sensor", *PACE, *options,
                            http=gateway.http_port, coap=gateway.coap_port))

        def known():
            assert sim.running, sim.log
            return gateway.api("/devices?limit=1")["devices"] == count

        eventually(known, 90, what="a gateway that knows all devices")
        return sim

    return start


def deploy(gateway, **spec):
    made = gateway.api("/deployments", "POST", {
        "name": "rollout", "parts": [{"name": "app", "version": VERSION}], "target": {"type": "sensor"}, **spec,
    })
    return made["id"]


def deployment(gateway, number):
    return gateway.api(f"/deployments/{number}")


def pages(gateway, path, key):
    """All items of a list that goes on with ?<key>=<next>."""
    items, after = [], None
    while True:
        page = gateway.api(f"{path}?limit=1000" + (f"&{key}={after}" if after is not None else ""))
        items += page["items"]
        after = page["next"]
        if after is None:
            return items


def events(gateway):
    """The whole log, oldest first."""
    items, after = [], 0
    while True:
        page = gateway.api(f"/events?after={after}&limit=1000")["items"]
        if not page:
            return items
        items += page
        after = page[-1]["sequence"]


class Ledger:
    """The event log of one deployment, checked at every event."""

    def __init__(self, gateway, number, count, waves, concurrency, advance=0.6):
        self.begun = {}  # device -> attempts begun
        self.open = {}  # device -> attempt
        self.ended = {}  # attempt -> state
        self.ends = collections.Counter()  # devices by how their last attempt ended
        self.states = []  # of the deployment, in order
        self.most = 0
        self.stopped = False
        succeeded = set()
        limits = [math.ceil(count * share / 100) for share in waves]
        wave = 0
        for event in events(gateway):
            data = event["data"] or {}
            if data.get("deployment") != number:
                continue
            kind = event["kind"]
            if kind == "attempt.started":
                device = data["device"]
                assert not self.stopped, f"{device} begins after the deployment stopped"
                assert device not in self.open, f"{device} begins twice at once: {self.open[device]}, {data}"
                assert data["attempt"] not in self.ended
                assert data["wave"] >= wave, "a wave comes twice"
                if data["wave"] > wave:
                    needed = math.ceil(limits[data["wave"] - 1] * advance)
                    assert len(succeeded) >= needed, f"wave {data['wave']} begins after {len(succeeded)} of {needed}"
                wave = data["wave"]
                self.open[device] = data["attempt"]
                self.begun[device] = self.begun.get(device, 0) + 1
                self.most = max(self.most, len(self.open))
                assert len(self.begun) <= limits[wave], f"{len(self.begun)} have begun in wave {wave}: {limits}"
                assert len(self.open) <= concurrency, f"{len(self.open)} at once"
            elif kind == "attempt.ended":
                assert self.open.pop(data["device"]) == data["attempt"]
                self.ended[data["attempt"]] = data["state"]
                self.ends[data["state"]] += 1
                if data["state"] == "confirmed":
                    succeeded.add(data["device"])
            elif kind.startswith("deployment."):
                self.states.append(kind.removeprefix("deployment."))
                if kind in ("deployment.aborted", "deployment.completed"):
                    self.stopped = True
                    self.bad_at_stop = sum(self.ends[state] for state in BAD)


def check_every_device(gateway, number, sim):
    """What the gateway thinks of each device is what happened to it."""
    members = {member["device"]: member for member in pages(gateway, f"/deployments/{number}/devices", "after")}
    assert set(members) == set(sim.devices)
    for name, device in sim.devices.items():
        member = members[name]
        assert not device["violations"] and not device["mismatched"], device
        if device["fate"] == "good":
            assert member["state"] == "succeeded" and device["version"] == VERSION, (member, device)
            assert device["checked"] >= 1
        else:
            ends = {"reverts": {"reverted"}, "silent": {"timed_out"}}[device["fate"]]
            assert member["state"] == "failed" and member["attempt"]["state"] in ends, (member, device)
            assert device["version"] == "1.0.0"
    runs = collections.Counter(d["versions"].get("application") for d in every_device(gateway))
    assert runs[VERSION] == sum(device["fate"] == "good" for device in sim.devices.values()), runs


def every_device(gateway):
    return pages(gateway, "/devices", "cursor")


def end(gateway, number, sim):
    """The simulator's exit code, once its devices had time to be told that there is nothing more."""
    try:
        return sim.wait(20)
    except AssertionError:
        sim.stop()
        open_ones = [d for d in sim.report["devices"] if not d["settled"]]
        members = pages(gateway, f"/deployments/{number}/devices", "after")
        views = [m for m in members if m["device"] in {d["id"] for d in open_ones[:3]}]
        raise AssertionError(f"{len(open_ones)} devices are not where their dice lead them: {open_ones[:3]}, "
                             f"the gateway says {views}") from None


def wait_over(gateway, number, timeout):
    def over():
        view = deployment(gateway, number)
        assert view["state"] != "paused", view
        return view if view["over"] else None

    try:
        return eventually(over, timeout, interval=0.5, what="the end of the deployment")
    except AssertionError as error:
        raise AssertionError(f"{error}: {deployment(gateway, number)}") from None


def test_a_rollout_ends_with_every_device_accounted_for(site, fleet):
    count = scaled(1000, 40)
    concurrency = max(5, count // 10)
    gateway = site(count)
    sim = fleet(gateway, count, *ODDS, "--seed", 11, "--until-idle", "--for", "600s")
    began = time.monotonic()
    number = deploy(gateway, policy=policy(waves=["20%", "50%", "100%"], concurrency=concurrency))
    view = wait_over(gateway, number, 300)
    code = end(gateway, number, sim)
    print(f"{count} devices in {time.monotonic() - began:.1f} s: {view['counts']}, {sim.report['summary']}")
    assert code == 0, [d for d in sim.report["devices"] if not d["settled"] or d["violations"]][:3]
    assert view["state"] == "completed", view
    check_every_device(gateway, number, sim)
    fates = collections.Counter(device["fate"] for device in sim.devices.values())
    counts = view["counts"]
    assert (counts["succeeded"], counts["failed"]) == (fates["good"], fates["reverts"] + fates["silent"])
    assert counts["waiting"] == counts["running"] == 0
    ledger = Ledger(gateway, number, count, [20, 50, 100], concurrency)
    assert not ledger.open and set(ledger.begun) == set(sim.devices)
    assert all(times == 1 for times in ledger.begun.values())
    assert ledger.ends == {k: v for k, v in (("confirmed", fates["good"]), ("reverted", fates["reverts"]),
                                             ("timed_out", fates["silent"])) if v}
    assert ledger.states.count("wave") == 2
    assert 1 < ledger.most <= concurrency


def test_a_rollout_is_aborted_at_its_threshold(site, fleet):
    count = scaled(1000, 40)
    concurrency = max(5, count // 10)
    gateway = site(count)
    # They say so themselves, or come back with the old version where their protocol has no word for it.
    sim = fleet(gateway, count, "--fail", 0.5, "--seed", 12)
    number = deploy(gateway, policy=policy(waves=["100%"], concurrency=concurrency, abort_at="10%"))
    view = wait_over(gateway, number, 120)
    assert view["state"] == "aborted" and view["why"], view

    def nobody_is_at_it():
        return deployment(gateway, number)["counts"]["running"] == 0

    eventually(nobody_is_at_it, 60, what="the end of the attempts that were let through")
    assert sim.stop() == 1  # most of them were not let finish
    ledger = Ledger(gateway, number, count, [100], concurrency)
    assert ledger.bad_at_stop == math.ceil(count / 10)
    assert not ledger.open and ledger.stopped
    assert len(ledger.begun) < count
    assert ledger.ends["cancelled"] + ledger.ends["confirmed"] + sum(ledger.ends[s] for s in BAD) == len(ledger.begun)
    members = pages(gateway, f"/deployments/{number}/devices", "after")
    assert len(members) == count
    assert all(not device["violations"] for device in sim.devices.values())


def test_a_rollout_survives_the_daemon_being_killed(site, fleet):
    """kill -9 at random moments: the same outcome, device by device."""
    count = scaled(1000, 40)
    kills = scaled(100, 5)
    concurrency = max(5, count // 20)
    gateway = site(count)
    sim = fleet(gateway, count, *ODDS, "--seed", 13, "--until-idle", "--for", "1200s", "--flash-rate", 4_000)
    number = deploy(gateway, policy=policy(waves=["20%", "50%", "100%"], concurrency=concurrency,
                                            silence="40s", apply="40s"))  # a restart counts as silence
    chance = random.Random(13)
    killed = 0
    while killed < kills and sim.running and not deployment(gateway, number)["over"]:
        time.sleep(chance.uniform(0.05, 1.0))  # the moment of the kill is what the test is about
        gateway.kill()
        gateway.start()
        killed += 1
    view = wait_over(gateway, number, 1000 if count > 200 else 400)
    code = end(gateway, number, sim)
    print(f"{count} devices, {killed} kills: {view['counts']}")
    assert killed >= min(kills, 3)
    assert code == 0, [d for d in sim.report["devices"] if not d["settled"] or d["violations"]][:3]
    assert view["state"] == "completed", view
    check_every_device(gateway, number, sim)
    # The attempts that are written down: one of each device, never more at once than allowed.
    attempts = pages(gateway, f"/deployments/{number}/attempts", "before")
    assert sorted(attempt["device"] for attempt in attempts) == sorted(sim.devices)
    moments = [(a["started_ms"], 1) for a in attempts] + [(a["ended_ms"], -1) for a in attempts]
    at_once = 0
    for _, step in sorted(moments):  # ends before beginnings of the same millisecond
        at_once += step
        assert at_once <= concurrency
    assert gateway.cli("state", "check", "--database", str(gateway.folder / "state/state.db")).returncode == 0


def test_a_rollout_needs_no_uplink(gateway, site, s3, fleet):
    """Everything is in the cache: the store is gone for the whole rollout."""
    count = scaled(200, 30)
    s3.put(f"edge/app-{VERSION}.bin", BODY)

    def bucket():
        gateway.add_store("bucket", "s3", s3.options(), pattern=["edge/{name}-{version}.bin", "{name}-{version}.bin"],
                          interval="1h", prefetch=True)

    gateway = site(count, bucket)
    eventually(lambda: gateway.api("/blobs")["items"], 30, what="the prefetched blob")
    sim = fleet(gateway, count, "--seed", 14, "--until-idle", "--for", "300s")
    s3.stop()
    number = deploy(gateway, policy=policy())
    assert sim.wait(320) == 0, sim.report["summary"]
    assert wait_over(gateway, number, 30)["counts"]["succeeded"] == count
