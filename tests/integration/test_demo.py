# ctest-timeout: 300
"""What a newcomer sees: ./dev run with real firmware out of Debian packages, curl and coap-client."""
import hashlib
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from support import tools
from support.clients import coap_client_path, coap_get_patiently, curl, image, sha256
from support.net import eventually, free_port


class Demo:
    """`./dev run` on a build tree, in folders and on ports of its own."""

    def __init__(self, build_dir, folder, *arguments):
        self.folder, self.http, self.coap = folder, f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        env = {
            **os.environ, "OTAGATE_DEMO_DIR": str(folder), "OTAGATE_DEMO_CACHE": str(tools.CACHE / "demo"),
            "OTAGATE_DEMO_HTTP": self.http, "OTAGATE_DEMO_COAP": self.coap,
        }
        self.process = subprocess.Popen(
            [tools.TREE / "dev", "run", *arguments, build_dir], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=env, cwd=tools.TREE,
        )
        self.output = []
        threading.Thread(target=lambda: self.output.extend(self.process.stdout), daemon=True).start()
        eventually(self._ready, 120, what="the demo's admin socket")

    def _ready(self):
        if self.process.poll() is not None:
            text = "".join(self.output)
            if "could not fetch the Debian package" in text:
                tools.unavailable(text.strip().splitlines()[-1])
            pytest.fail(f"./dev run ended with {self.process.returncode}:\n{text}")
        return (self.folder / "run/api.sock").exists()

    def files(self):
        """The seeded images by path, once the gateway lists all of them."""
        eventually(lambda: len(self.catalog()) >= len(list(self.folder.glob("firmware/*/*.bin"))), 20,
                   what="the demo's firmware being listed")
        return {path.relative_to(self.folder / "firmware"): path for path in self.folder.glob("firmware/*/*.bin")}

    def catalog(self):
        return json.loads(curl(f"http://{self.http}/firmware"))["items"]

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(35)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def demo(build_dir, tmp_path, owner):
    tools.need("curl")
    coap_client_path()
    return owner.add(Demo(build_dir, tmp_path / "demo"))


def url_path(relative):
    name, version = re.fullmatch(r"(.*)-([0-9.]+)\.bin", relative.name).groups()
    return f"/firmware/{name}/{version}"


def test_real_firmware_arrives_whole_over_http_and_coap(demo):
    files = demo.files()
    sizes = [path.stat().st_size for path in files.values()]
    assert len(files) >= 5 and min(sizes) < 20_000 and max(sizes) > 3_000_000
    for relative, path in files.items():
        wanted = sha256(path.read_bytes())
        assert sha256(curl(f"http://{demo.http}{url_path(relative)}")) == wanted, relative
        for block in (64, 1024) if path.stat().st_size < 100_000 else (1024,):
            answer = coap_get_patiently(f"coap://{demo.coap}{url_path(relative)}", block=block)
            assert answer.error == "" and sha256(answer.body) == wanted, f"{relative} by {block}: {answer.output}"


def test_the_printed_commands_work(demo, build_dir, tmp_path):
    have = {hashlib.sha256(path.read_bytes()).digest() for path in demo.files().values()}
    text = "".join(demo.output)
    commands = re.findall(r"^    ((?:curl|coap-client\S*) .*|\./dev otagate .*)$", text, re.MULTILINE)
    assert len(commands) == 3, text
    env = {**os.environ, "OTAGATE_SOCKET": str(demo.folder / "run/api.sock")}
    for command in commands:
        if command.startswith("./dev otagate"):  # that asks the release build's client
            command = command.replace("./dev otagate", str(build_dir / "bin/otagate"))
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
    for name in ("ovmf.bin", "htc.bin"):
        assert hashlib.sha256((tmp_path / name).read_bytes()).digest() in have, name


def test_a_dropped_file_is_served_within_two_seconds(demo):
    folder = demo.folder / "firmware/lamp"
    folder.mkdir()
    body = image(30_000)
    (folder / "glow-1.2.3.bin").write_bytes(body)

    def served():
        done = subprocess.run(
            [tools.need("curl"), "-sf", f"http://{demo.http}/firmware/glow/1.2.3"], capture_output=True, timeout=10
        )
        return done.returncode == 0 and done.stdout == body

    eventually(served, 2.0, what="the dropped file being served")


def test_ctrl_c_ends_it_cleanly(demo):
    assert demo.interrupt() == 0, "".join(demo.output)
    assert not (demo.folder / "run/api.sock").exists()


def test_simulated_devices_update_themselves(build_dir, tmp_path, owner):
    demo = owner.add(Demo(build_dir, tmp_path / "demo", "--devices", "4"))
    env = {**os.environ, "OTAGATE_SOCKET": str(demo.folder / "run/api.sock")}

    def otagate(*arguments):
        done = subprocess.run([build_dir / "bin/otagate", *arguments], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def versions():
        devices = json.loads(otagate("devices", "list", "--json"))["items"]
        return [device["versions"].get("application") for device in devices]

    demo.files()
    eventually(lambda: len(versions()) == 4, 30, what="devices that check in")
    otagate("deploy", "htc9271", "--to", "type=ath9k-htc", "--waves", "1,100%", "--yes")
    eventually(lambda: versions() == ["1.4.0"] * 4, 90, what="updated devices")
    assert demo.interrupt() == 0, "".join(demo.output)
    assert not (demo.folder / "run/api.sock").exists()
