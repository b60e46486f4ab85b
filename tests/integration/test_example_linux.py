"""examples/linux as a device would run it: against a scripted gateway in every corner, then against the real one."""
import os
import pathlib
import subprocess

import pytest

from support import tools
from support.clients import image
from support.net import eventually
from support.scripted_gateway import ScriptedGateway

EXAMPLE = tools.TREE / "examples/linux"
BODY = image(300_000)


class Device:
    """What the script finds on a device: its hook, its state, its version."""

    def __init__(self, folder, port):
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.firmware = self.folder / "firmware"
        self.env = {
            "PATH": os.environ["PATH"], "GATEWAY": f"http://127.0.0.1:{port}", "DEVICE": "pi-7", "TYPE": "sensor",
            "HOOK": str(EXAMPLE / "hook"), "STATE_DIR": str(self.state), "FIRMWARE": str(self.firmware),
        }
        self.runs_version("1.0.0")

    @property
    def version(self):
        return (self.folder / "firmware.version").read_text().strip()

    def runs_version(self, version):
        (self.folder / "firmware.version").write_text(version)

    def hook(self, text):
        """Another hook, as shell; $1 is what it is asked."""
        path = self.folder / "hook"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        self.env["HOOK"] = str(path)

    def update(self, **more):
        tools.need("curl"), tools.need("flock")
        return subprocess.run(
            [EXAMPLE / "otagate-update"], env={**self.env, **more}, capture_output=True, text=True, timeout=90,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def peer(owner):
    return owner.add(ScriptedGateway(BODY))


@pytest.fixture
def device(tmp_path, peer):
    return Device(tmp_path, peer.http_port)


def test_is_forty_lines_and_clean():
    lines = (EXAMPLE / "otagate-update").read_text().splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 120
    checked = subprocess.run([tools.need("shellcheck"), "-s", "sh", EXAMPLE / "otagate-update", EXAMPLE / "hook"],
                             capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout


def test_updates(device, peer):
    done = device.update()
    assert done.returncode == 0, done.stderr
    assert device.version == "1.1.0" and device.firmware.read_bytes() == BODY
    assert peer.told["pi-7"] == [
        "runs 1.0.0", "downloading", "downloaded", "applying", "succeeded", "runs 1.1.0"
    ]
    assert [p.name for p in device.state.iterdir() if p.name not in ("lock", "answer")] == []


def test_goes_on_where_it_was_cut_off(device, peer):
    peer.cut = 100_000
    assert device.update().returncode != 0
    assert device.version == "1.0.0"
    done = device.update()
    assert done.returncode == 0, done.stderr
    assert [offset for offset, _ in peer.ranges] == [0, 100_000]
    assert device.firmware.read_bytes() == BODY


def test_other_bytes_are_reported_and_dropped(device, peer):
    peer.served = b"X" + BODY[1:]
    assert device.update().returncode == 1
    assert peer.told["pi-7"] == ["runs 1.0.0", "downloading", "failed"]
    assert device.version == "1.0.0" and not device.firmware.exists()
    peer.served = BODY
    assert device.update().returncode == 0  # from the beginning
    assert peer.ranges[-1] == (0, len(BODY))


def test_a_hook_that_fails_is_reported(device, peer):
    device.hook('[ "$1" = version ] && echo 1.0.0')
    assert device.update().returncode == 1
    assert peer.told["pi-7"][-2:] == ["applying", "failed"]


def test_a_hook_that_restarts(device, peer):
    """It does not come back from the hook: the next run says how it went."""
    device.hook(f'if [ "$1" = version ]; then cat {device.folder}/firmware.version; else kill -9 $PPID; fi')
    assert device.update().returncode != 0
    assert peer.told["pi-7"][-1] == "applying"
    device.runs_version("1.1.0")
    done = device.update()
    assert done.returncode == 0, done.stderr
    assert peer.told["pi-7"][-2:] == ["succeeded", "runs 1.1.0"]


def test_a_device_that_came_back_with_the_old_version(device, peer):
    device.hook('if [ "$1" = version ]; then echo 1.0.0; else kill -9 $PPID; fi')
    device.update()
    device.update()
    assert peer.told["pi-7"][4:] == ["runs 1.0.0", "downloading", "downloaded", "applying"]


def test_what_is_no_offer_is_refused(device, peer):
    peer.sha256 = "../../../../../../../../../../../../../../../../../../../etc/passwd"[:64]
    done = device.update()
    assert done.returncode == 1 and "no offer" in done.stderr
    assert peer.told["pi-7"] == ["runs 1.0.0"] and peer.ranges == []


def test_only_one_at_a_time(device, peer):
    device.state.mkdir()
    with subprocess.Popen([tools.need("flock"), device.state / "lock", "sh", "-c", "echo ready; read end"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"ready\n"
        assert device.update().returncode == 0
        assert peer.told == {}
        holder.communicate(b"\n")


def test_with_the_gateway(gateway, tmp_path):
    """From the deployment to the confirmed device."""
    files = tmp_path / "files"
    gateway.add_directory(files, pattern=["{type}/{name}-{version}.bin"])
    (files / "sensor").mkdir(parents=True)
    (files / "sensor/app-1.1.0.bin").write_bytes(BODY)
    gateway.add_http(poll=True)
    gateway.start()
    gateway.wait_log("http: listening on")
    gateway.wait_firmware("app", "1.1.0")
    device = Device(tmp_path, gateway.http_port)
    done = device.update()  # makes itself known; nothing is meant for it yet
    assert done.returncode == 0, done.stderr
    made = gateway.api("/deployments", "POST", {
        "name": "linux example", "parts": [{"name": "app", "version": "1.1.0"}], "target": {"type": "sensor"},
    })

    def confirmed():
        done = device.update()
        assert done.returncode == 0, done.stderr
        counts = gateway.api(f"/deployments/{made['id']}")["counts"]
        return device.version == "1.1.0" and counts["succeeded"] == 1

    eventually(confirmed, 30, interval=0.5, what="the confirmed device")
    assert device.firmware.read_bytes() == BODY
    attempt = gateway.api("/devices/pi-7")
    assert attempt["versions"]["application"] == "1.1.0"
