# ctest-timeout: 900
"""The hawkbit plugin against a real hawkBit, driven by its Management API; no gateway in between."""
import itertools

import pytest

from support import store_probe
from support.clients import image, sha256
from support.net import eventually
from support.store_probe import StoreProbe
from support.tools import scaled

pytestmark = pytest.mark.timeout(600)
PROGRESS, DOWNLOADED, SUCCESS, FAILURE, CANCELLED, CANCEL_REFUSED = range(6)
FORCED, SOFT, DOWNLOAD_ONLY = range(3)
WINDOW_NONE, WINDOW_OPEN, WINDOW_CLOSED = range(3)


@pytest.fixture
def probe(build_dir, owner, hawkbit):
    """probe(options...) -> the plugin, with fast polls and the gateway token unless told otherwise."""
    def make(**options):
        wanted = {**hawkbit.options(), "poll_min": 1000, "poll_max": 2000, **options}
        return owner.add(StoreProbe(build_dir, "hawkbit", {k: v for k, v in wanted.items() if v is not None}))

    return make


_numbers = itertools.count()


@pytest.fixture
def name(hawkbit):
    """name("pump") -> a name that nothing on the server has."""
    return lambda kind: f"{kind}-{hawkbit.unique}-{next(_numbers)}"


def has_said(hawkbit, target, action, kind, text):
    """Whether the action has a status of that type with that message."""
    return any(one == kind and text in messages for one, messages in hawkbit.statuses(target, action))


def assignment(store, seconds=30):
    said = store.assigned(seconds)
    assert said and "assignment" in said, said
    return said["assignment"]


def fetch_whole(store, part):
    """As the gateway does: in ranges of at most 8 MiB, each with the change token."""
    whole, size = part["object"], part["object"]["size"]
    fetched = store.fetch(whole["key"], whole["token"], 0, size, part["locators"][0])
    assert fetched["status"] == store_probe.OK, fetched
    assert fetched["sha256"] == whole["sha256"] and fetched["size"] == size
    return fetched


def test_an_assignment_is_fetched_reported_and_finished(hawkbit, probe, name):
    pump, app, data = name("pump"), name("app"), image(300_000)
    hawkbit.add_target(pump)
    action = hawkbit.release(app, "1.2.3", data, pump)[pump]
    store = probe()
    assert store.ask("watch", pump, {})["status"] == store_probe.OK
    wish = assignment(store)
    assert (wish["external_id"], wish["device"], wish["mode"]) == (str(action), pump, FORCED)
    (part,) = wish["parts"]
    assert (part["component"], part["name"], part["version"]) == ("application", app, "1.2.3")
    assert part["object"]["sha256"] == sha256(data) and part["params"]["filename"] == "firmware.bin"
    fetch_whole(store, part)
    middle = store.fetch(part["object"]["key"], part["object"]["token"], 1000, 5000, part["locators"][0])
    assert middle["sha256"] == sha256(data[1000:6000]) and middle["total"] == len(data)

    for done in range(0, len(data), 1000):
        assert store.feedback(pump, action, PROGRESS, done, len(data))["status"] == store_probe.OK
    assert store.feedback(pump, action, DOWNLOADED)["status"] == store_probe.OK
    assert hawkbit.action(pump, action)["status"] == "pending"
    assert store.feedback(pump, action, SUCCESS, code=0, message="runs 1.2.3")["status"] == store_probe.OK
    assert hawkbit.action(pump, action)["status"] == "finished"
    assert hawkbit.target(pump)["updateStatus"] == "in_sync"
    assert has_said(hawkbit, pump, action, "downloaded", "the device has all of it")
    assert has_said(hawkbit, pump, action, "finished", "runs 1.2.3")
    # 300 blocks were one report for each percent, and two ranges one for each: far from the quota.
    assert len(hawkbit.statuses(pump, action)) < 120
    # Said twice, it is over.
    assert store.feedback(pump, action, SUCCESS)["status"] == store_probe.NOT_FOUND
    assert store.assigned(3) is None


def test_a_failure_is_told_with_its_reason(hawkbit, probe, name):
    pump = name("pump")
    hawkbit.add_target(pump)
    action = hawkbit.release(name("app"), "1", b"x", pump)[pump]
    store = probe()
    store.ask("watch", pump, {})
    assignment(store)
    assert store.feedback(pump, action, FAILURE, code=-5, message="no room in flash")["status"] == store_probe.OK
    assert has_said(hawkbit, pump, action, "error", "no room in flash")
    assert hawkbit.target(pump)["updateStatus"] == "error"


@pytest.mark.parametrize("answer", [CANCELLED, CANCEL_REFUSED])
def test_a_cancel_reaches_the_device_and_its_answer_the_server(hawkbit, probe, name, answer):
    pump = name("pump")
    hawkbit.add_target(pump)
    action = hawkbit.release(name("app"), "1", b"x", pump)[pump]
    store = probe()
    store.ask("watch", pump, {})
    assignment(store)
    hawkbit.cancel(pump, action)
    assert store.assigned(30)["cancelled"] == str(action)
    assert store.feedback(pump, action, answer)["status"] == store_probe.OK
    if answer == CANCELLED:
        assert hawkbit.action(pump, action)["status"] != "pending"
        assert "canceled" in [kind for kind, _ in hawkbit.statuses(pump, action)]
        # Said once more: gone, or taken without a word.
        assert store.feedback(pump, action, CANCELLED)["status"] in (store_probe.NOT_FOUND, store_probe.OK)
        return
    assert "cancel_rejected" in [kind for kind, _ in hawkbit.statuses(pump, action)]
    # It goes on, and may still end well. What was cancelled in the meantime may have been said again.
    assert store.feedback(pump, action, SUCCESS)["status"] == store_probe.OK
    assert hawkbit.action(pump, action)["status"] == "finished"


def test_a_cancel_by_force_is_noticed(hawkbit, probe, name):
    pump = name("pump")
    hawkbit.add_target(pump)
    action = hawkbit.release(name("app"), "1", b"x", pump)[pump]
    store = probe()
    store.ask("watch", pump, {})
    assignment(store)
    hawkbit.cancel(pump, action)
    store.assigned(30)
    hawkbit.cancel(pump, action, force=True)
    assert store.feedback(pump, action, SUCCESS)["status"] == store_probe.NOT_FOUND


def test_a_newer_assignment_replaces_the_older(hawkbit, probe, name):
    pump, app = name("pump"), name("app")
    hawkbit.add_target(pump)
    first = hawkbit.release(app, "1", b"one", pump)[pump]
    store = probe()
    store.ask("watch", pump, {})
    assert assignment(store)["external_id"] == str(first)
    second = hawkbit.release(app, "2", b"two", pump)[pump]
    assert store.assigned(30)["cancelled"] == str(first)
    assert store.feedback(pump, first, CANCELLED)["status"] == store_probe.OK

    def next_assignment():
        said = store.assigned(30)
        return said if said and "assignment" in said else None

    wish = eventually(next_assignment, 30)["assignment"]
    assert (wish["external_id"], wish["parts"][0]["version"]) == (str(second), "2")


def test_soft_download_only_and_windows(hawkbit, probe, name):
    app, data = name("app"), image(5000)
    module = hawkbit.add_module(app, "1", {"a.bin": data})
    wanted = hawkbit.add_set(app, "1", [module])
    soft, closed, only = name("soft"), name("closed"), name("only")
    for target in (soft, closed, only):
        hawkbit.add_target(target)
    hawkbit.assign(wanted, soft, kind="soft")
    window = {"schedule": "0 0 3 * * ? 2099", "duration": "01:00:00", "timezone": "+00:00"}
    hawkbit.assign(wanted, closed, kind="forced", maintenanceWindow=window)
    action = hawkbit.assign(wanted, only, kind="downloadonly")[only]
    store = probe()
    for target in (soft, closed, only):
        store.ask("watch", target, {})
    said = {wish["device"]: wish for wish in (assignment(store) for _ in range(3))}
    assert (said[soft]["mode"], said[soft]["window"]) == (SOFT, WINDOW_NONE)
    assert (said[closed]["mode"], said[closed]["window"]) == (FORCED, WINDOW_CLOSED)
    assert (said[only]["mode"], said[only]["window"]) == (DOWNLOAD_ONLY, WINDOW_NONE)
    # One object, whoever was assigned it.
    assert len({wish["parts"][0]["object"]["key"] for wish in said.values()}) == 1
    assert store.feedback(only, action, DOWNLOADED)["status"] == store_probe.OK
    assert has_said(hawkbit, only, action, "downloaded", "the device has all of it")


def test_several_modules_and_artifacts_are_parts(hawkbit, probe, name):
    pump, app = name("pump"), name("app")
    hawkbit.add_target(pump)
    files = {"fw.bin": image(4000, seed=1), "radio.bin": image(3000, seed=2), "notes.txt": b"read me"}
    firmware = hawkbit.add_module(app, "1.0", files)
    extra = hawkbit.add_module(name("boot"), "7", {"boot.bin": image(2000, seed=3)}, kind="application")
    hawkbit.assign(hawkbit.add_set(app, "1.0", [firmware, extra], kind="os_app"), pump)
    store = probe(components=[
        {"part": "os", "file": "fw.bin", "component": "application"},
        {"part": "os", "file": "radio.bin", "component": "modem"},
        {"part": "os", "file": "notes.txt", "component": ""},
        {"part": "bApp", "component": "bootloader"},
    ])
    store.ask("watch", pump, {})
    parts = {part["component"]: part for part in assignment(store)["parts"]}
    assert set(parts) == {"application", "modem", "bootloader"}
    for component, file in [("application", "fw.bin"), ("modem", "radio.bin")]:
        assert parts[component]["object"]["sha256"] == sha256(files[file])
        fetch_whole(store, parts[component])


def test_attributes_appear_at_the_target(hawkbit, probe, name):
    pump = name("pump")
    hawkbit.add_target(pump)
    store = probe()
    store.ask("watch", pump, {"type": "esp32", "application": "1.0.0"})
    eventually(lambda: hawkbit.attributes(pump) == {"type": "esp32", "application": "1.0.0"}, 30)
    store.ask("watch", pump, {"type": "esp32", "application": "1.1.0"})
    eventually(lambda: hawkbit.attributes(pump).get("application") == "1.1.0", 30)
    store.ask("watch", pump, {"application": "1.1.0"})
    eventually(lambda: hawkbit.attributes(pump) == {"application": "1.1.0"}, 30)


def test_tokens_of_gateway_and_targets(hawkbit, probe, name):
    pump, valve, data = name("pump"), name("valve"), image(9000)
    tokens = {target: hawkbit.add_target(target) for target in (pump, valve)}
    hawkbit.release(name("app"), "1", data, pump, valve)
    text = "".join(f"{target} {token}\n" for target, token in tokens.items())
    store = probe(gateway_token=None, target_tokens=f"# targets\n{text}")
    for target in tokens:
        store.ask("watch", target, {})
    wishes = [assignment(store) for _ in tokens]
    for wish in wishes:
        # By a URL of its own, with its own token; and by that of the other target.
        for locator in wish["parts"][0]["locators"]:
            fetched = store.fetch(wish["parts"][0]["object"]["key"], "", 0, len(data), locator)
            assert fetched["sha256"] == sha256(data), fetched
    # The switch of target tokens off: refused, and told what to look at.
    hawkbit.configure("authentication.targettoken.enabled", False)
    try:
        eventually(lambda: store.ask("health")["health"] == store_probe.DENIED, 30)
        refused = store.ask("list", 10)
        assert refused["status"] == store_probe.DENIED
        assert "target_tokens" in refused["message"] and "targettoken.enabled" in refused["message"]
    finally:
        hawkbit.configure("authentication.targettoken.enabled", True)
    eventually(lambda: store.ask("health")["health"] == store_probe.OK, 30)


def test_a_wrong_token_names_the_option_and_shows_no_secret(hawkbit, probe, name):
    pump, data = name("pump"), image(1000)
    hawkbit.add_target(pump)
    hawkbit.release(name("app"), "1", data, pump)
    good = probe()
    good.ask("watch", pump, {})
    part = assignment(good)["parts"][0]
    store = probe(gateway_token="not-the-token")
    store.ask("watch", pump, {})
    eventually(lambda: store.ask("health")["health"] == store_probe.DENIED, 30)
    for refused in (store.ask("list", 10),
                    store.fetch(part["object"]["key"], "", 0, 1000, part["locators"][0]),
                    store.feedback(pump, 1, SUCCESS)):
        assert refused["status"] == store_probe.DENIED, refused
        assert "gateway_token" in refused["message"] and "not-the-token" not in refused["message"]


def test_a_replaced_artifact_never_mixes(hawkbit, probe, name):
    pump, app, data = name("pump"), name("app"), image(50_000, seed=1)
    hawkbit.add_target(pump)
    module = hawkbit.add_module(app, "1", {"a.bin": data})
    hawkbit.assign(hawkbit.add_set(app, "1", [module]), pump)
    store = probe()
    store.ask("watch", pump, {})
    part = assignment(store)["parts"][0]
    key, token, (locator, *_) = part["object"]["key"], part["object"]["token"], part["locators"]
    assert store.fetch(key, token, 0, 20_000, locator)["status"] == store_probe.OK
    (artifact,) = hawkbit.call("GET", f"/softwaremodules/{module}/artifacts")
    hawkbit.call("DELETE", f"/softwaremodules/{module}/artifacts/{artifact['id']}")
    assert store.fetch(key, token, 20_000, 20_000, locator)["status"] == store_probe.NOT_FOUND


def test_a_server_that_goes_away_and_comes_back(hawkbit, probe, name, make_proxy):
    pump = name("pump")
    hawkbit.add_target(pump)
    uplink = make_proxy(hawkbit.port)
    store = probe(url=uplink.endpoint)
    uplink.cut()
    store.ask("watch", pump, {})
    eventually(lambda: store.ask("health")["health"] != store_probe.OK, 30)
    away = store.ask("list", 10)
    assert away["status"] == store_probe.TRANSIENT, away
    assert store.feedback(pump, 1, SUCCESS)["status"] == store_probe.TRANSIENT
    uplink.restore()
    action = hawkbit.release(name("app"), "1", b"x", pump)[pump]
    assert assignment(store)["external_id"] == str(action)
    eventually(lambda: store.ask("health")["health"] == store_probe.OK, 30)
    assert store.ask("list", 10)["status"] == store_probe.OK


def test_many_targets_one_object(hawkbit, probe, name):
    count = scaled(500, 40)
    app, data = name("app"), image(20_000)
    targets = [name("t") for _ in range(count)]
    for start in range(0, count, 100):
        hawkbit.call("POST", "/targets", [{"controllerId": one, "name": one} for one in targets[start:start + 100]])
    module = hawkbit.add_module(app, "1", {"a.bin": data})
    wanted = hawkbit.add_set(app, "1", [module])
    for start in range(0, count, 100):
        hawkbit.call("POST", f"/distributionsets/{wanted}/assignedTargets",
                     [{"id": one, "type": "forced"} for one in targets[start:start + 100]])
    store = probe(poll_rate=50)
    for target in targets:
        store.ask("watch", target, {})
    wishes = [assignment(store, 60) for _ in targets]
    assert {wish["device"] for wish in wishes} == set(targets)
    objects = {wish["parts"][0]["object"]["key"] for wish in wishes}
    assert len(objects) == 1
    fetch_whole(store, wishes[-1]["parts"][0])
    for wish in wishes:
        assert store.feedback(wish["device"], wish["external_id"], SUCCESS)["status"] == store_probe.OK
    assert hawkbit.call("GET", f"/distributionsets/{wanted}/installedTargets?limit=1")["total"] == count
