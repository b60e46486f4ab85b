# ctest-timeout: 900
# ctest-serial
"""The Debian packages, installed into a clean root and booted with systemd as PID 1."""
import json
import pathlib
import shutil
import subprocess

import pytest

from support import tools
from support.clients import image, sha256

HERE = pathlib.Path(__file__).parent
CONFIG = """# otagate.toml
[[store]]
name = "files"
plugin = "directory"
[store.options]
path = "/srv/firmware"

[[store]]
name = "nobody"
plugin = "s3"
[store.options]
endpoint = "http://127.0.0.1:1"
bucket = "b"
region = "r"
access_key = "k"
secret_key = { file = "/etc/otagate/secrets/key" }

[[transport]]
name = "http"
plugin = "http"
[transport.options]
listen = "127.0.0.1:8080"
anonymous = true

[[transport]]
name = "coap"
plugin = "coap"
[transport.options]
listen = "127.0.0.1:5683"
anonymous = true
"""


def run(*command, timeout=600):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def codename():
    for line in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2]
    return tools.unavailable("this is no Debian")


@pytest.fixture
def root():
    """A clean root of this Debian release, with what a booted system and the checks need."""
    tools.need_root()
    for tool in ("mmdebstrap", "systemd-nspawn"):
        tools.need(tool)
    packages = sorted(str(p) for p in (tools.TREE / "dist").glob("*.deb")
                      if "+" not in p.name and "sdk" not in p.name)
    if not packages:
        tools.unavailable("dist/ has no packages: run ./dev deb first")
    cached = tools.CACHE / f"roots/run-{codename()}.tar"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        new = cached.with_suffix(".new.tar")
        run("mmdebstrap", "--variant=apt", "--include=systemd,systemd-sysv,dbus,curl,libcoap3-bin,man-db,procps,adduser",
            codename(), new)
        new.rename(cached)
    folder = pathlib.Path("/var/tmp") / f"otagate-root-{codename()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run("tar", "-x", "-C", folder, "-f", cached)
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    # Minimal roots leave manual pages out; whether ours are installed is one of the questions.
    for excludes in (folder / "etc/dpkg/dpkg.cfg.d").glob("*"):
        excludes.unlink()
    (folder / "packages").mkdir()
    for package in packages:
        shutil.copy(package, folder / "packages")
    run("systemd-nspawn", "-q", "--register=no", "--keep-unit", "--as-pid2", "-D", folder, "--console=pipe", "sh", "-c",
        "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && "
        "apt-get -qq -y --no-install-recommends install /packages/*.deb && "
        "useradd -m -G otagate operator && useradd -m stranger")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_installed_packages_serve_and_are_confined(root):
    body = image(300_000)
    (root / "srv/firmware").mkdir(parents=True)
    (root / "srv/firmware/demo-1.0.0.bin").write_bytes(body)
    config = root / "etc/otagate/otagate.toml"
    assert config.exists()
    config.write_text(CONFIG, encoding="utf-8")
    key = root / "etc/otagate/secrets/key"
    key.parent.mkdir(exist_ok=True)
    key.write_text("secret\n", encoding="ascii")
    run("systemd-nspawn", "-q", "--register=no", "--keep-unit", "--as-pid2", "-D", root, "--console=pipe", "sh", "-c",
        "chgrp -R otagate /etc/otagate/secrets && chmod 0640 /etc/otagate/secrets/key && systemctl enable otagated")
    shutil.copy(HERE / "inside-check", root / "inside-check")
    unit = root / "etc/systemd/system/inside-check.service"
    unit.write_text("[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nExecStart=/inside-check\n",
                    encoding="ascii")
    wants = root / "etc/systemd/system/default.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "inside-check.service").symlink_to("/etc/systemd/system/inside-check.service")
    subprocess.run(["systemd-nspawn", "-q", "--register=no", "--keep-unit", "--private-network", "-D", root, "-b",
                    "--console=pipe"], stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
    text = (root / "result").read_text(encoding="utf-8")
    print(text)
    seen = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and not line.startswith("journal"))
    digest = sha256(body)
    assert seen["active"] == "active"
    assert seen["http"] == digest
    assert seen["coap"] == digest
    assert seen["member"] in ("0", "1"), "a member of the group reaches the daemon (1: the S3 store has no server)"
    assert seen["stranger"] == "2", "nobody else does"
    plugins = json.loads(seen["plugins"])
    assert {p["id"] for p in plugins["plugins"] if p["loaded"]} == {"coap", "directory", "http", "s3"}
    assert {i["name"]: i["state"] for i in plugins["instances"]} == {
        "files": "running", "nobody": "running", "http": "running", "coap": "running"}
    assert seen["user"] == "otagate"
    assert float(seen["security"]) <= 1.2
    assert seen["man"] == "0"
    assert seen["reload"] == "active" and seen["restarts"] == "0"
    assert seen["after_kill"] == digest
    assert seen["stopped"] == "success"
