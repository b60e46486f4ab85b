# ctest-timeout: 600
"""otagate-sim against a gateway of a few lines that follows the same specifications: all protocols, all fates."""
import collections
import subprocess

import pytest

from support.clients import image
from support.scripted_gateway import ScriptedGateway
from support.sim import Sim
from support.tools import scaled

BODY = image(20_001)
QUICK = ["--poll-interval", "200ms", "--time-scale", "50", "--until-idle", "--for", "90s"]
PROTOCOLS = ["poll", "poll-coap", "drogue-http", "drogue-http-named", "drogue-http-json", "drogue-coap",
             "drogue-coap-named", "drogue-coap-json", "ddi", "plain-http", "plain-coap"]


@pytest.fixture
def peer(owner):
    return owner.add(ScriptedGateway(BODY))


@pytest.fixture
def run(build_dir, owner, peer):
    def start(*options):
        return owner.add(Sim(build_dir, *options, "--firmware", "app/1.1.0", http=peer.http_port, coap=peer.coap_port))

    return start


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_updates(run, peer, protocol):
    sim = run("--devices", 5, "--mix", protocol, *QUICK)
    assert sim.wait() == 0, sim.report
    for name, device in sim.devices.items():
        assert device["version"] == "1.1.0" and device["checked"] == 1 and device["bytes"] == len(BODY), device
        assert device["violations"] == [] and device["unanswered"] == 0
        if protocol.startswith("poll"):
            assert peer.told[name][:6] == [
                "runs 1.0.0", "downloading", "downloaded", "applying", "runs 1.1.0", "succeeded"
            ]
        elif protocol == "ddi":
            assert peer.told[name] == [
                "runs 1.0.0", "proceeding none", "downloaded none", "proceeding none", "closed success"
            ]
        elif protocol.startswith("drogue"):
            told = [what for what in peer.told[name] if what != "runs 1.1.0"]  # it goes on saying so
            assert told[0] == "runs 1.0.0" and told[-1] == f"has {len(BODY)}"
            assert peer.told[name][-1] == "runs 1.1.0"


def test_dice_come_true_and_come_again(run, peer):
    options = ["--devices", scaled(300, 60), "--mix", ",".join(PROTOCOLS), "--seed", 4, *QUICK,
               "--crash", 0.3, "--revert", 0.15, "--fail", 0.15, "--silent", 0.15]
    sim = run(*options)
    assert sim.wait() == 0, [d for d in sim.report["devices"] if not d["settled"] or d["violations"]]
    fates = collections.Counter(device["fate"] for device in sim.devices.values())
    assert set(fates) == {"good", "silent", "fails", "reverts"}, fates
    for device in sim.devices.values():
        states = [change["state"] for change in device["changes"]]
        last = {"good": "confirmed", "silent": "silent", "fails": "failed", "reverts": "reverted"}[device["fate"]]
        assert last in states, device
        assert device["version"] == ("1.1.0" if device["fate"] == "good" else "1.0.0")
        if device["crashes"] and device["fate"] == "good":
            assert states.count("crashed") == 1, device
        if device["fate"] == "silent":
            assert states[-1] == "silent"
    again = run(*options, "--prefix", "other-")
    assert again.wait() == 0
    for name, device in sim.devices.items():
        other = again.devices[name.replace("sim-", "other-")]
        assert all(device[key] == other[key] for key in ("protocol", "fate", "crashes")), (device, other)


def test_lost_and_repeated_datagrams(run, peer):
    sim = run("--devices", 20, "--mix", "poll-coap,drogue-coap,plain-coap", *QUICK, "--loss", 0.1,
              "--duplicate", 0.1, "--ack-timeout", "100ms")
    assert sim.wait() == 0, sim.report["summary"]
    summary = sim.report["summary"]
    assert summary["retransmissions"] > 0 and summary["datagrams_lost"] > 0 and summary["datagrams_duplicated"] > 0
    assert all(device["checked"] == 1 for device in sim.devices.values())


@pytest.mark.parametrize("quirk", ["separate", "echo"])
def test_what_coap_servers_do(run, peer, quirk):
    setattr(peer, quirk, True)
    sim = run("--devices", 5, "--mix", "poll-coap,drogue-coap", *QUICK)
    assert sim.wait() == 0, sim.report


def test_other_bytes_are_never_taken(run, peer):
    peer.served = b"X" + BODY[1:]
    sim = run("--devices", 22, "--mix", ",".join(PROTOCOLS), "--poll-interval", "200ms", "--time-scale", 50,
              "--for", "4s")
    assert sim.wait() == 1
    assert all(device["version"] == "1.0.0" for device in sim.devices.values())
    assert sum(device["mismatched"] for device in sim.devices.values()) >= 22


def test_a_gateway_that_comes_late(build_dir, owner):
    """Nobody listens at first: the devices go on trying."""
    first = ScriptedGateway(BODY)
    http, coap = first.http_port, first.coap_port
    first.close()
    sim = owner.add(Sim(build_dir, "--devices", 4, "--mix", "poll,drogue-coap", "--poll-interval", "100ms",
                        "--ack-timeout", "20ms", "--for", "2s", http=http, coap=coap))
    assert sim.wait() == 1
    assert all(device["unanswered"] > 0 and device["version"] == "1.0.0" for device in sim.devices.values())


@pytest.mark.parametrize("options, hint", [
    (["--devices", "0"], "--devices"),
    (["--mix", "mqtt"], "drogue-coap"),
    (["--mix", "poll"], "--url"),
    (["--url", "http://127.0.0.1:1", "--mix", "plain-http"], "--firmware"),
    (["--url", "ftp://x"], "http://"),
    (["--url", "http://127.0.0.1:1", "--poll-interval", "5"], "250ms"),
    (["--url", "http://127.0.0.1:1", "--silent", "0.6", "--fail", "0.6"], "together"),
    (["--url", "http://127.0.0.1:1", "--token-file", "/nonexistent"], "cannot read"),
])
def test_wrong_usage_says_what_to_write(build_dir, options, hint):
    done = subprocess.run([build_dir / "bin/otagate-sim", *options], capture_output=True, text=True, timeout=20)
    assert done.returncode == 64
    assert hint in done.stderr, done.stderr
