# ctest-timeout: 300
"""Deployments by the client, taken by devices that ask by plain poll."""
import json
import os
import pty
import re
import select
import subprocess
import time

import pytest

from support.clients import image
from support.net import eventually
from support.poll import PollDevice


@pytest.fixture
def site(gateway, tmp_path):
    files = tmp_path / "files"
    gateway.add_directory(files)
    for version in ("1.0.0", "1.1.0"):
        (files / f"app-{version}.bin").write_bytes(image(20_000, seed=int(version[2])))
    gateway.add_http(poll=True)
    gateway.start()
    gateway.wait_firmware("app", "1.1.0")
    return gateway


def fleet(gateway, count, prefix="d"):
    """Devices that have checked in once."""
    devices = [PollDevice(gateway.http_port, f"{prefix}{n}", "1.0.0", type="sensor") for n in range(count)]
    for one in devices:
        assert one.offer() is None
    return devices


def deploy(gateway, *arguments):
    return json.loads(gateway.cli("--json", "deploy", *arguments).stdout)["id"]


def counts(gateway, number):
    return gateway.api(f"/deployments/{number}")["counts"]


def follow(gateway, *arguments):
    return subprocess.Popen(
        [gateway.build_dir / "bin/otagate", "--socket", gateway.socket_path, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def test_a_deployment_is_done_wave_by_wave(site):
    devices = fleet(site, 4)
    number = deploy(site, "app@1.1.0", "--to", "type=sensor", "--waves", "1,100%", "--once", "--name", "spring")
    first = eventually(lambda: next((one for one in devices if one.update()), None), 20, what="the first offer")
    rest = [one for one in devices if one is not first]
    for one in rest:
        eventually(one.update, 20, what=f"the second wave for {one.name}")
    done = eventually(lambda: (view := site.api(f"/deployments/{number}"))["state"] == "completed" and view, 10,
                      what="its end")
    assert done["counts"]["succeeded"] == 4 and done["over"] and done["ended_ms"]
    attempts = site.api(f"/deployments/{number}/attempts")["items"]
    assert len(attempts) == 4 and {attempt["state"] for attempt in attempts} == {"confirmed"}
    assert "spring" in site.cli("deployments").stdout
    assert site.cli("deployments", "list", "--open").stdout.strip() == ""
    assert "confirmed" in site.cli("deployments", "attempts", "--device", devices[0].name).stdout
    members = site.cli("deployments", "devices", str(number), "--state", "succeeded").stdout
    assert all(one.name in members for one in devices)
    assert f"app/1.1.0" in site.cli("devices", "show", devices[0].name).stdout


def test_a_wave_holds_the_others_back(site):
    devices = fleet(site, 5)
    number = deploy(site, "app", "--to", "everybody", "--waves", "1,100%")
    begun = eventually(lambda: next((one for one in devices if one.offer()), None), 20, what="the first offer")
    assert [one.name for one in devices if one.offer()] == [begun.name]
    assert counts(site, number)["admitted"] == 1


def test_too_many_failures_abort_it(site):
    devices = fleet(site, 4)
    number = deploy(site, "app@1.1.0", "--to", "type=sensor", "--attempts", "1", "--abort-at", "2")
    for one in devices[:2]:
        eventually(one.fail, 20, what=f"an offer to {one.name}")
    view = eventually(lambda: (v := site.api(f"/deployments/{number}"))["state"] == "aborted" and v, 10, what="abort")
    assert view["counts"]["failed"] == 2 and view["why"]
    assert all(one.offer() is None for one in devices)
    failed = site.api(f"/devices/{devices[0].name}/attempts")["items"][0]
    assert (failed["state"], failed["code"], failed["message"]) == ("failed", -28, "no space")
    assert site.cli("deployments", "show", str(number), "--follow", check=False).returncode == 3
    assert site.cli("deployments", "resume", str(number), check=False).returncode == 1


def test_pause_resume_and_retry(site):
    devices = fleet(site, 2)
    number = deploy(site, "app@1.1.0", "--to", "type=sensor", "--attempts", "1")
    eventually(devices[0].fail, 20, what="an offer")
    out = site.cli("deployments", "pause", str(number), "--why", "lunch").stdout
    assert "paused" in out and "lunch" in out
    assert devices[1].offer() is None
    assert site.cli("deployments", "show", str(number), "--follow", check=False).returncode == 4
    site.cli("deployments", "resume", str(number))
    eventually(devices[1].update, 10, what="an offer after resume")
    site.cli("deployments", "retry", str(number))
    eventually(devices[0].update, 10, what="an offer after retry")
    assert counts(site, number)["succeeded"] == 2


def test_approval_comes_first(site):
    one, = fleet(site, 1)
    number = deploy(site, "app@1.1.0", "--to", "device=d0", "--approval")
    assert site.api(f"/deployments/{number}")["state"] == "needs_approval" and one.offer() is None
    site.cli("deployments", "approve", str(number))
    eventually(one.update, 20, what="an offer once approved")


def test_a_dry_run_makes_nothing_and_says_all(site):
    fleet(site, 2)
    PollDevice(site.http_port, "new", "1.1.0", type="sensor").offer()
    out = site.cli("deploy", "app@1.1.0", "--to", "type=sensor", "--dry-run").stdout
    assert "1.0.0 -> 1.1.0" in out and "2 devices would be updated in their turn, 1 would not" in out
    assert site.api("/deployments")["items"] == []
    missing = site.cli("deploy", "nothing@9", "--to", "everybody", "--dry-run").stdout
    assert "nothing" in missing and "!" in missing
    for wrong in (["app"], ["app", "--to", "all"], ["--to", "everybody"], ["app/", "--to", "everybody"]):
        assert site.cli("deploy", *wrong, check=False).returncode == 64, wrong
    refused = site.cli("deploy", "app", "--to", "everybody", "--waves", "10%,5%", check=False)
    assert refused.returncode == 1 and "waves" in refused.stderr


def test_wait_follows_it_to_its_end(site):
    devices = fleet(site, 3)
    waiting = follow(site, "deploy", "app@1.1.0", "--to", "type=sensor", "--once", "--wait")
    for one in devices:
        eventually(one.update, 20, what=f"an offer to {one.name}")
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, err
    lines = out.splitlines()
    assert "completed" in lines[-1] and "3 updated" in lines[-1]
    assert len(lines) == len({line[20:] for line in lines}), "a line is a change"


def test_following_outlives_a_restart_of_the_daemon(site):
    one, = fleet(site, 1)
    number = deploy(site, "app@1.1.0", "--to", "type=sensor", "--once")
    waiting = follow(site, "--json", "deployments", "show", str(number), "--follow")
    assert json.loads(waiting.stdout.readline())["state"] == "active"
    site.restart()
    site.wait_firmware("app", "1.1.0")
    eventually(one.update, 20, what="an offer")
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["state"] == "completed"


def test_a_terminal_shows_bars_that_are_drawn_anew(site):
    devices = fleet(site, 2)
    number = deploy(site, "app@1.1.0", "--to", "type=sensor", "--once", "--waves", "1,100%")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [site.build_dir / "bin/otagate", "--socket", site.socket_path, "deployments", "show", str(number), "-f"],
        stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    for one in devices:
        eventually(one.update, 20, what=f"an offer to {one.name}")
    shown, end = b"", time.monotonic() + 30
    try:
        while time.monotonic() < end and select.select([master], [], [], 30)[0]:
            data = os.read(master, 65536)
            if not data:
                break
            shown += data
    except OSError:  # EIO: the other side has closed
        pass
    os.close(master)
    assert process.wait(10) == 0
    text = shown.decode()
    assert re.search(r"wave 1 +\[#+\] 1 of 1", text) and "\x1b[" in text and "2 updated" in text


def test_it_asks_on_a_terminal(site):
    fleet(site, 1)
    for answer, made in (("n\n", 0), ("y\n", 1)):
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [site.build_dir / "bin/otagate", "--socket", site.socket_path, "deploy", "app@1.1.0", "--to", "everybody"],
            stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        os.write(master, answer.encode())
        shown = b""
        try:
            while select.select([master], [], [], 20)[0]:
                data = os.read(master, 65536)
                if not data:
                    break
                shown += data
        except OSError:
            pass
        os.close(master)
        assert process.wait(10) == (0 if made else 1)
        assert b"updates 1 devices" in shown
        assert len(site.api("/deployments")["items"]) == made
