# ctest-timeout: 1500
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
bucket = "bucket"
region = "r"
access_key = "k"
secret_key = { file = "/etc/otagate/secrets/key" }

[[store]]
name = "no-container"
plugin = "azure"
[store.options]
endpoint = "http://127.0.0.1:1/account"
account = "account"
container = "firmware"
anonymous = true

[[store]]
name = "no-registry"
plugin = "oci"
[store.options]
registry = "http://127.0.0.1:1"
repositories = ["firmware"]

[[store]]
name = "no-server"
plugin = "web"
[store.options]
index_url = "http://127.0.0.1:1/index.json"

[[store]]
name = "no-hawkbit"
plugin = "hawkbit"
[store.options]
url = "http://127.0.0.1:1"
gateway_token = { file = "/etc/otagate/secrets/key" }

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
SECOND = """# conf.d/second.toml
[[transport]]
name = "second"
plugin = "http"
[transport.options]
listen = "127.0.0.1:8082"
anonymous = true
"""
CHECK_UNIT = """[Unit]
After=multi-user.target otagated.service
[Service]
Type=oneshot
ExecStart=/inside-check
[Install]
WantedBy=default.target
"""
STORES = ("azure", "hawkbit", "oci", "s3", "web")  # those with a package of their own
RUNTIME = ("otagate", "otagate-plugin-coap", *(f"otagate-plugin-{store}" for store in STORES))
INSTALLED = "installed " * len(RUNTIME)


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


def built_packages():
    """What `./dev deb` made for this machine."""
    names = run(tools.TREE / "packaging/build-deb", "--list").split()
    files = [tools.TREE / "dist" / name for name in names if name.partition("_")[0] in RUNTIME]
    assert len(files) == len(RUNTIME)
    missing = [file.name for file in files if not file.exists()]
    if missing:
        tools.unavailable(f"dist/ has no {missing[0]}: run ./dev deb first")
    return files


def next_version(package, folder):
    """The same package with a higher version and another shipped configuration, as the next release."""
    tree = folder / package.stem
    run("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN/control"
    lines = control.read_text(encoding="utf-8").splitlines()
    version = next(line.partition(": ")[2] for line in lines if line.startswith("Version: "))
    control.write_text("\n".join(lines).replace(version, f"{version}+next") + "\n", encoding="utf-8")
    shipped = tree / "etc/otagate/otagate.toml"
    if shipped.exists():
        shipped.write_text(shipped.read_text(encoding="utf-8") + "\n# The next release says more.\n", encoding="utf-8")
    run("dpkg-deb", "--root-owner-group", "-b", tree, folder)
    shutil.rmtree(tree)


def in_root(folder, script):
    run("systemd-nspawn", "-q", "--register=no", "--keep-unit", "--as-pid2", "-D", folder, "--console=pipe",
        "sh", "-ec", "export DEBIAN_FRONTEND=noninteractive; " + script)


@pytest.fixture(scope="module")
def root():
    """A clean root of this Debian release with the packages in it."""
    tools.need_root()
    for tool in ("mmdebstrap", "systemd-nspawn", "dpkg-deb"):
        tools.need(tool)
    packages = built_packages()
    cached = tools.CACHE / f"roots/run-{codename()}.tar"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        new = cached.with_suffix(".new.tar")
        run("mmdebstrap", "--quiet", "--dpkgopt=force-unsafe-io", "--variant=apt",
            "--include=systemd,systemd-sysv,dbus,curl,libcoap3-bin,man-db,procps,ca-certificates", codename(), new)
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
    (folder / "next").mkdir()
    for package in packages:
        shutil.copy(package, folder / "packages")
        next_version(package, folder / "next")
    in_root(folder, "apt-get -qq update; apt-get -qq -y --no-install-recommends install /packages/*.deb; "
                    "useradd -m -G otagate technician; useradd -m stranger")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def seen(root):
    """What inside-check saw in the booted root, by name."""
    (root / "srv/firmware").mkdir(parents=True)
    (root / "srv/firmware/demo-1.0.0.bin").write_bytes(BODY)
    (root / "test.toml").write_text(CONFIG, encoding="utf-8")
    (root / "second.toml").write_text(SECOND, encoding="utf-8")
    (root / "etc/otagate/secrets/key").write_text("secret\n", encoding="ascii")
    shutil.copy(HERE / "inside-check", root / "inside-check")
    units = root / "etc/systemd/system"
    (units / "inside-check.service").write_text(CHECK_UNIT, encoding="ascii")
    (units / "otagated.service.d").mkdir()
    (units / "otagated.service.d/watchdog.conf").write_text("[Service]\nWatchdogSec=3\nStartLimitBurst=20\n",
                                                            encoding="ascii")
    in_root(root, "chgrp otagate /etc/otagate/secrets/key; chmod 0640 /etc/otagate/secrets/key; "
                  "systemctl enable inside-check.service")
    subprocess.run(["systemd-nspawn", "-q", "--register=no", "--keep-unit", "--private-network", "-D", str(root), "-b",
                    "--console=pipe"], stdin=subprocess.DEVNULL, capture_output=True, timeout=400, check=False)
    text = (root / "result").read_text(encoding="utf-8")
    print(text)
    found = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and "| " not in line.split(": ")[0])
    assert found.get("complete") == "yes", "inside-check came to its end"
    return found


BODY = image(300_000)
DIGEST = sha256(BODY)
PIN = '"pins":["operator"]'


def test_the_packages_start_it_with_the_shipped_configuration(seen):
    assert seen["shipped_enabled"] == "enabled"
    assert seen["shipped_active"] == "active"
    assert seen["shipped_status"] == "0"
    assert seen["shipped_files"].split(",")[:-1] == [
        "/etc/otagate root:otagate 750",
        "/etc/otagate/conf.d root:otagate 750",
        "/etc/otagate/secrets root:otagate 750",
        "/etc/otagate/otagate.toml root:otagate 640",
        "/var/lib/otagate otagate:otagate 750",
        "/var/lib/otagate/firmware otagate:otagate 2770",
        "/run/otagate otagate:otagate 750",
        "/run/otagate/api.sock otagate:otagate 660",
    ]
    assert seen["man"] == "0"


def test_every_plugin_is_loaded_and_serves(seen):
    assert seen["active"] == "active"
    assert seen["http"] == DIGEST
    assert seen["coap"] == DIGEST
    plugins = json.loads(seen["plugins"])
    assert {p["id"] for p in plugins["plugins"] if p["loaded"]} == \
        {"coap", "directory", "http", *STORES}
    assert {i["name"]: i["state"] for i in plugins["instances"]} == {
        "files": "running", "nobody": "running", "no-container": "running", "no-registry": "running",
        "no-server": "running", "no-hawkbit": "running", "http": "running", "coap": "running"}


def test_a_member_of_the_group_administers_and_nobody_else(seen):
    assert seen["member"] in ("0", "1"), "reaches the daemon (1: the S3 store has no server)"
    assert seen["dropped"] == "0", "may put firmware into the shipped store's folder"
    assert seen["stranger"] == "2"


def test_it_runs_confined(seen):
    assert seen["user"] == "otagate"
    assert int(seen["capabilities"], 16) == 0
    assert seen["seccomp"] == "2", "a system call filter is in force"
    assert float(seen["security"]) <= 1.2
    assert seen["refused_by_the_unit"] == "0", "it asks for nothing that its unit forbids"


def test_reload_takes_a_drop_in_without_a_restart(seen):
    assert seen["reload"] == "active"
    assert seen["reload_serves"] == DIGEST
    assert seen["wrong_reload"] == f"active {DIGEST}"
    assert seen["same_process"] == "yes"


def test_the_watchdog_and_systemd_bring_it_back(seen):
    assert seen["watchdog"] == "3s"
    assert seen["after_periods"] == "0", "a healthy daemon feeds its watchdog"
    assert seen["after_hang"] == f"1 {DIGEST}"
    assert seen["after_kill"] == f"2 {DIGEST}"


def test_an_upgrade_keeps_configuration_and_state(seen):
    assert PIN in seen["pinned"]
    assert seen["again"] == f"0 {INSTALLED}"
    assert seen["again_serves"].startswith(DIGEST) and PIN in seen["again_serves"]
    assert seen["upgrade"] == f"0 {INSTALLED}"
    assert seen["upgrade_version"].endswith("+next")
    assert seen["upgrade_serves"].startswith(DIGEST) and PIN in seen["upgrade_serves"]
    assert int(seen["upgrade_starts"]) in (1, 2), "one restart for the daemon, at most one for all plugins"
    assert seen["upgrade_config"] == "kept"
    assert seen["upgrade_modes"] == "root:otagate 640,otagate:otagate 600,"


def test_without_a_plugin_the_rest_runs(seen):
    assert seen["without_plugin"] == "0"
    assert seen["without_plugin_serves"] == DIGEST
    states = {i["name"]: i["state"] for i in json.loads(seen["without_plugin_state"])["instances"]}
    assert states["http"] == "running" and states["coap"] == "failed"


def test_remove_keeps_and_purge_takes(seen):
    assert seen["stopped"] == "success"
    assert seen["remove"] == "0 inactive 0"
    assert seen["remove_keeps"] == "config state cache otagate"
    assert seen["back"] == f"0 {INSTALLED}"
    assert seen["back_serves"].startswith(DIGEST) and PIN in seen["back_serves"]
    assert seen["purge"] == "0"
    assert seen["purge_leaves"] == ""
    kept = seen["purge_keeps"].split()
    assert "state.db" in kept and "firmware" in kept and "cache" not in kept
