# ctest-timeout: 1200
"""What hawkBit assigns, through the gateway to simulated devices, and what became of it back in hawkBit."""
import itertools
import urllib.parse

import pytest

from support.clients import image
from support.net import eventually
from support.sim import Sim
from support.tools import scaled

pytestmark = pytest.mark.timeout(600)
BODY = image(300_000, seed=11)
PACE = ["--poll-interval", "500ms", "--time-scale", 10, "--ack-timeout", "1s"]
_numbers = itertools.count()


@pytest.fixture
def site(gateway, hawkbit):
    """The gateway with hawkBit as its store, and devices allowed to come as they are."""

    def make(assignments=None, **options):
        gateway.add_store("hawkbit", "hawkbit", hawkbit.options(**options), interval="10s",
                          **({"assignments": assignments} if assignments else {}))
        gateway.config["devices"] = {"max_per_source": 10_000}
        gateway.add_http(max_connections_per_source=4096, poll=True, drogue=True)
        gateway.add_coap(max_sessions=4096, poll=True, drogue=True)
        gateway.start()
        gateway.wait_log("http: listening on")
        gateway.wait_log("coap: listening on")
        return gateway

    return make


@pytest.fixture
def fleet(build_dir, owner, hawkbit):
    """fleet(gateway, count, options...) -> (Sim, ids), once hawkBit has a target of each device."""

    def start(gateway, count, *options, mix="poll=1"):
        prefix = f"sim-{hawkbit.unique}-{next(_numbers)}-"
        sim = owner.add(Sim(build_dir, "--devices", count, "--mix", mix, "--type", "sensor", "--prefix", prefix,
                            *PACE, *options, http=gateway.http_port, coap=gateway.coap_port))

        def ids():
            assert sim.running, sim.log
            page = hawkbit.call("GET", "/targets?limit=500&q=" + urllib.parse.quote(f"controllerid=={prefix}*"))
            return [target["controllerId"] for target in page["content"]] if page["total"] == count else None

        return sim, eventually(ids, 120, 0.3, "a hawkBit that knows all devices")

    return start


@pytest.fixture
def app(hawkbit):
    return f"app-{hawkbit.unique}-{next(_numbers)}"


def versions(gateway, ids):
    return {one: gateway.api(f"/devices/{one}")["versions"].get("application") for one in ids}


def wait_all(hawkbit, actions, wanted, timeout=240):
    """Until the last word on each action is of that type."""
    def all_said():
        for target, action in actions.items():
            kinds = [kind for kind, _ in hawkbit.statuses(target, action)]
            assert wanted in kinds, (target, kinds)
        return True

    eventually(all_said, timeout, 1, f"{wanted} of all actions")


def test_a_rollout_of_hawkbits_reaches_its_devices_and_is_downloaded_once(site, fleet, hawkbit, app, make_proxy):
    uplink = make_proxy(hawkbit.port)
    gateway = site(url=uplink.endpoint)
    sim, ids = fleet(gateway, scaled(500, 20), "--expect", "1.1.0", mix="poll=2,drogue-http=1,drogue-coap=1,poll-coap=1")
    eventually(lambda: hawkbit.attributes(ids[0]).get("type") == "sensor", 30)
    assert hawkbit.attributes(ids[0])["version"] == "1.0.0"
    actions = hawkbit.release(app, "1.1.0", BODY, *ids)
    wait_all(hawkbit, actions, "finished")
    assert set(versions(gateway, ids).values()) == {"1.1.0"}
    sim.stop()
    assert {device["version"] for device in sim.report["devices"]} == {"1.1.0"}
    assert {hawkbit.target(one)["updateStatus"] for one in ids[:5]} == {"in_sync"}
    eventually(lambda: hawkbit.attributes(ids[0]).get("version") == "1.1.0", 30)
    fetched = [request for request in uplink.requests if "/artifacts/" in request.path]
    assert len(fetched) == 1, [(one.path, one.range) for one in fetched]
    for target, action in list(actions.items())[:5]:
        assert len(hawkbit.statuses(target, action)) < 25


def test_a_failure_of_the_device_is_hawkbits_failure(site, fleet, hawkbit, app):
    gateway = site({"attempts": 1})
    _, (device,) = fleet(gateway, 1, "--fail", 1)
    actions = hawkbit.release(app, "1.1.0", BODY, device)
    wait_all(hawkbit, actions, "error")
    assert hawkbit.target(device)["updateStatus"] == "error"
    assert versions(gateway, [device]) == {device: "1.0.0"}


def test_a_cancel_stops_the_device(site, fleet, hawkbit, app):
    gateway = site()
    _, (device,) = fleet(gateway, 1, "--flash-rate", 1000)  # five minutes of it, ten times faster
    actions = hawkbit.release(app, "1.1.0", BODY, device)
    wait_all(hawkbit, actions, "running")
    eventually(lambda: gateway.api("/attempts?limit=10")["items"], 60)
    hawkbit.cancel(device, actions[device])
    wait_all(hawkbit, actions, "canceled")
    assert versions(gateway, [device]) == {device: "1.0.0"}


def test_killed_in_the_middle_it_goes_on(site, fleet, hawkbit, app):
    gateway = site()
    count = scaled(100, 10)
    sim, ids = fleet(gateway, count, "--flash-rate", 20_000)
    actions = hawkbit.release(app, "1.1.0", BODY, *ids)
    eventually(lambda: gateway.api("/attempts?limit=10")["items"], 60)
    for _ in range(3):
        gateway.kill()
        gateway.start()
    wait_all(hawkbit, actions, "finished")
    assert set(versions(gateway, ids).values()) == {"1.1.0"}
    sim.stop()


def test_results_wait_while_hawkbit_is_away(site, fleet, hawkbit, app, make_proxy):
    uplink = make_proxy(hawkbit.port)
    gateway = site(url=uplink.endpoint)
    _, ids = fleet(gateway, 5, "--flash-rate", 20_000)
    actions = hawkbit.release(app, "1.1.0", BODY, *ids)
    gateway.wait_log("fill_completed", 60)
    # Each has heard of it: what hawkBit has not said yet cannot go on without it.
    eventually(lambda: len(gateway.api("/attempts?limit=10")["items"]) == len(ids), 60)
    uplink.cut()
    eventually(lambda: set(versions(gateway, ids).values()) == {"1.1.0"}, 120)
    assert "finished" not in [kind for kind, _ in hawkbit.statuses(ids[0], actions[ids[0]])]
    gateway.restart()
    uplink.restore()
    wait_all(hawkbit, actions, "finished")


def test_a_wrong_token_is_told(site, build_dir, owner, hawkbit):
    secret = hawkbit.secret("wrong", "not-the-token-at-all")
    gateway = site(gateway_token=secret)
    owner.add(Sim(build_dir, "--devices", 1, "--prefix", f"sim-{hawkbit.unique}-x-", *PACE, http=gateway.http_port))

    def told():
        text = str(gateway.api("/stores")) + str(gateway.api("/plugins"))
        return "gateway_token" in text

    eventually(told, 60)
    assert "not-the-token-at-all" not in gateway.log
