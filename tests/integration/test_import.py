# ctest-timeout: 300
"""Firmware that operators bring: imported from files, carried in bundles, written into stores."""
import hashlib
import http.client
import io
import json


import signal
import socket
import subprocess
import tarfile
import threading

import pytest

from support.clients import image, sha256
from support.net import eventually
from support.tools import need


@pytest.fixture
def site(gateway):
    gateway.add_http()
    gateway.start()
    return gateway


def write(path, data):
    path.write_bytes(data)
    return path


def catalog(gateway, *options):
    lines = gateway.cli("--json", "firmware", "list", *options).stdout.splitlines()
    return {(i["name"], i["version"], i["type"]): i for line in lines for i in json.loads(line)["items"]}


def served(gateway, name, version):
    connection = gateway.http()
    connection.request("GET", f"/firmware/{name}/{version}")
    answer = connection.getresponse()
    body = answer.read()
    return body if answer.status == 200 else answer.status


def test_a_file_is_served_at_once_and_after_a_restart(site, tmp_path):
    data = image(700_000, seed=1)
    file = write(tmp_path / "sensor-1.2.3.bin", data)
    out = site.cli("firmware", "import", str(file), "--type", "board").stdout
    assert "1 imported, 1 of them new" in out
    item = catalog(site, "--store", "local")[("sensor", "1.2.3", "board")]
    assert item["sha256"] == sha256(data) and item["verified"] == "digest" and item["cached"]
    assert served(site, "sensor", "1.2.3") == data
    assert "local" in site.cli("stores").stdout
    assert "0 of them new" in site.cli("firmware", "import", str(file), "--type", "board").stdout
    site.kill()
    site.start()
    assert served(site, "sensor", "1.2.3") == data


def test_what_is_imported_is_not_evicted_until_it_is_removed(site, tmp_path):
    data = image(50_000, seed=2)
    site.cli("firmware", "import", str(write(tmp_path / "x.bin", data)), "--name", "app", "--version", "1.0.0")
    refused = site.cli("cache", "evict", sha256(data), check=False)
    assert refused.returncode == 1 and "pin" in refused.stderr
    site.cli("firmware", "remove", "app/1.0.0")
    assert served(site, "app", "1.0.0") == 404
    site.cli("cache", "evict", sha256(data))
    again = site.cli("firmware", "remove", "app/1.0.0", check=False)
    assert again.returncode == 1 and "no firmware app/1.0.0 was imported" in again.stderr


def test_several_come_all_or_none(site, tmp_path):
    good = write(tmp_path / "a-1.0.0.bin", image(10_000, seed=3))
    nameless = write(tmp_path / "nothing", image(10_000, seed=4))
    refused = site.cli("firmware", "import", str(good), str(nameless), check=False)
    assert refused.returncode == 1 and "item 2 (nothing)" in refused.stderr
    assert not catalog(site)
    site.cli("firmware", "import", str(good), str(write(tmp_path / "b-2.0.0.bin", image(9_000, seed=5))))
    assert set(catalog(site)) == {("a", "1.0.0", ""), ("b", "2.0.0", "")}


def test_other_bytes_need_to_be_asked_for(site, tmp_path):
    old, new = image(20_000, seed=6), image(21_000, seed=7)
    site.cli("firmware", "import", str(write(tmp_path / "app-1.0.0.bin", old)))
    file = write(tmp_path / "app-1.0.0.bin", new)
    refused = site.cli("firmware", "import", str(file), check=False)
    assert refused.returncode == 1 and sha256(old) in refused.stderr
    assert served(site, "app", "1.0.0") == old
    site.cli("firmware", "import", str(file), "--replace")
    assert served(site, "app", "1.0.0") == new
    site.cli("cache", "evict", sha256(old))  # nobody needs it any more
    assert any(e["kind"] == "republished" for e in site.api("/events?limit=50")["items"])


def test_an_import_beats_a_store_and_gives_way_when_removed(gateway, tmp_path):
    files = tmp_path / "files"
    gateway.add_directory(files)
    stored, brought = image(5_000, seed=8), image(6_000, seed=9)
    write(files / "app-1.0.0.bin", stored)
    gateway.add_http()
    gateway.start()
    gateway.wait_firmware("app", "1.0.0")
    gateway.cli("firmware", "import", str(write(tmp_path / "app-1.0.0.bin", brought)))
    assert served(gateway, "app", "1.0.0") == brought
    assert "conflict" in gateway.cli("firmware", "list", "--all").stdout
    gateway.cli("firmware", "remove", "app/1.0.0")
    assert served(gateway, "app", "1.0.0") == stored


def put(gateway, digest, data, length=None, cut=False):
    """A PUT as no well-behaved client sends it: its status, or None where the connection was cut."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(str(gateway.socket_path))
        peer.sendall(f"PUT /api/v1/blobs/{digest} HTTP/1.1\r\nHost: x\r\n"
                     f"Content-Length: {length if length is not None else len(data)}\r\n\r\n".encode())
        peer.sendall(data)
        if cut:
            return None
        answer = http.client.HTTPResponse(peer)
        answer.begin()
        return answer.status, json.loads(answer.read())


def test_bytes_that_are_not_those_of_their_digest_are_refused(site):
    data = image(300_000, seed=10)
    flipped = bytearray(data)
    flipped[200_000] ^= 1
    status, error = put(site, sha256(data), bytes(flipped))
    assert status == 502 and error["code"] == "rejected"
    assert site.api_request(f"/api/v1/blobs/{sha256(data)}").status == 404
    status, error = put(site, "nonsense", data)
    assert status == 400 and "64 hex digits" in error["message"]
    status, error = put(site, sha256(data), b"", length=0)
    assert status == 400 and "Content-Length" in error["message"]
    status, _ = put(site, sha256(data), data)
    assert status == 200


def test_an_upload_that_is_cut_off_leaves_nothing_and_may_come_again(site):
    data = image(900_000, seed=11)
    for at in (0, 1, 65_536, 500_000, 899_999):
        put(site, sha256(data), data[:at], length=len(data), cut=True)
    eventually(lambda: not site.api("/fills")["items"], 20, what="the end of the uploads")
    assert site.api_request(f"/api/v1/blobs/{sha256(data)}").status == 404
    assert put(site, sha256(data), data)[0] == 200
    # Once more costs nothing: it is there.
    assert put(site, sha256(data), data)[0] == 200


def test_uploads_are_bounded_and_a_stop_does_not_wait_for_them(site):
    stalled = []
    for seed in range(4):
        data = image(100_000, seed=20 + seed)
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(str(site.socket_path))
        peer.sendall(f"PUT /api/v1/blobs/{sha256(data)} HTTP/1.1\r\nHost: x\r\n"
                     f"Content-Length: {len(data)}\r\n\r\n".encode() + data[:1000])
        stalled.append(peer)
    eventually(lambda: len(site.api("/fills")["items"]) == 4, 20, what="four uploads")
    data = image(100_000, seed=30)
    status, error = put(site, sha256(data), data)
    assert status == 409 and "4 imports are running" in error["message"]
    site.stop(timeout=20)
    for peer in stalled:
        peer.close()


# ------------------------------------------------------------------ bundles


@pytest.fixture
def bundle(site, tmp_path):
    """A bundle of two firmware, one of them for a type, and its images."""
    images = {("app", "1.0.0", "board"): image(400_000, seed=40), ("modem", "2.1.0", ""): image(30_000, seed=41)}
    for (name, version, device_type), data in images.items():
        more = ["--type", device_type] if device_type else []
        site.cli("firmware", "import", str(write(tmp_path / "image", data)), "--name", name, "--version", version,
                 *more)
    path = tmp_path / "site.tar"
    site.cli("bundle", "export", str(path), "modem/2.1.0", "app")
    return path, images


@pytest.fixture
def other(make_gateway):
    """A gateway at another site."""
    gateway = make_gateway()
    gateway.add_http()
    return gateway


def members(path):
    with tarfile.open(path) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]


def rebuild(path, files, kinds=None):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.type = (kinds or {}).get(name, tarfile.REGTYPE)
            info.size = len(data) if info.type == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd" if info.type != tarfile.REGTYPE else ""
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_bundle_is_the_same_file_each_time_and_plain_tar(site, bundle, tmp_path):
    path, images = bundle
    again = tmp_path / "again.tar"
    site.cli("bundle", "export", str(again), "app/1.0.0/board", "modem")
    assert again.read_bytes() == path.read_bytes()
    inside = members(path)
    assert inside[0][0] == "manifest.json"
    manifest = json.loads(inside[0][1])
    assert {(i["name"], i["version"], i.get("type", "")): i["sha256"] for i in manifest["items"]} == \
        {key: sha256(data) for key, data in images.items()}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in inside[1:]} == \
        {f"blobs/sha256/{sha256(data)}": sha256(data) for data in images.values()}
    assert site.cli("bundle", "manifest", str(path)).stdout.encode() == inside[0][1]
    refused = site.cli("bundle", "export", str(path), "app", check=False)
    assert refused.returncode == 1 and "is there already" in refused.stderr


def test_a_bundle_makes_a_site_without_uplink_serve(bundle, other):
    path, images = bundle
    other.start()
    assert "2 firmware new" in other.cli("bundle", "import", str(path)).stdout
    for (name, version, _), data in images.items():
        assert served(other, name, version) == data
    assert set(catalog(other)) == set(images)
    assert "0 firmware new" in other.cli("bundle", "import", str(path)).stdout


def test_what_a_manifest_does_not_list_is_refused(bundle, other, tmp_path):
    path, images = bundle
    files = members(path)
    names = [name for name, _ in files]
    flipped = [(n, d if n != names[1] else d[:-1] + bytes([d[-1] ^ 1])) for n, d in files]
    other.start()
    for what, content, kinds, error in [
        ("extra", [*files, ("blobs/sha256/" + "0" * 64, b"x")], None, "not listed"),
        ("traversal", [*files, ("../../etc/cron.d/x", b"x")], None, "not listed"),
        ("absolute", [*files, ("/etc/x", b"x")], None, "not listed"),
        ("folder", [*files, ("blobs", b"")], {"blobs": tarfile.DIRTYPE}, "no plain file"),
        ("link", files, {names[1]: tarfile.SYMTYPE}, "no plain file"),
        ("hard link", files, {names[1]: tarfile.LNKTYPE}, "no plain file"),
        ("missing", files[:-1], None, "it is not there"),
        ("twice", [*files, files[1]], None, "twice"),
        ("bytes", flipped, None, "are not those of that SHA-256"),
        ("length", [(n, d + b"x" if n == names[1] else d) for n, d in files], None, "the manifest says"),
        ("late manifest", [*files[1:], files[0]], None, "its first file is not manifest.json"),
        ("upper case", [(n.upper() if n == names[1] else n, d) for n, d in files], None, "not listed"),
        ("other format", [(n, d.replace(b"bundle/1", b"bundle/9") if n == names[0] else d) for n, d in files], None,
         "otagate-bundle/9"),
    ]:
        bad = rebuild(tmp_path / "bad.tar", content, kinds)
        refused = other.cli("bundle", "import", str(bad), check=False)
        assert refused.returncode == 1 and error in refused.stderr, f"{what}: {refused.stderr}"
        assert not catalog(other), what
    for at in (0, 100, 512, 1000, 5000, path.stat().st_size // 2):
        cut = write(tmp_path / "cut.tar", path.read_bytes()[:at])
        assert other.cli("bundle", "import", str(cut), check=False).returncode == 1, at
    assert not catalog(other)


def test_a_bundle_is_all_or_nothing_under_kill(bundle, other, tmp_path):
    path, images = bundle
    outcomes = set()
    for round_ in range(6):
        other.start()
        worker = subprocess.Popen([str(other.build_dir / "bin/otagate"), "--socket", str(other.socket_path), "bundle",
                                   "import", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        killer = threading.Timer(0.01 + 0.03 * round_, lambda: other.process.send_signal(signal.SIGKILL))
        killer.start()
        worker.wait(60)
        killer.join()
        other.kill()
        other.start()
        there = set(catalog(other))
        assert there in (set(), set(images)), there
        for name, version, _ in there:
            assert served(other, name, version) == images[(name, version, _)]
        outcomes.add(len(there))
        for name, version, device_type in there:
            other.cli("firmware", "remove", f"{name}/{version}" + (f"/{device_type}" if device_type else ""))
        for data in images.values():
            other.cli("cache", "evict", sha256(data), check=False)
        other.stop()
    assert outcomes <= {0, 2}


def minisign(*arguments, cwd):
    need("minisign")
    subprocess.run(["minisign", *arguments], cwd=cwd, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def test_where_a_key_is_configured_a_bundle_must_be_signed_with_it(site, bundle, other, tmp_path):
    path, images = bundle
    for name in ("good", "bad"):
        minisign("-G", "-f", "-W", "-p", f"{name}.pub", "-s", f"{name}.sec", cwd=tmp_path)
    key = (tmp_path / "good.pub").read_text().splitlines()[1]
    other.config["local"] = {"bundle_keys": [key]}
    other.start()
    refused = other.cli("bundle", "import", str(path), check=False)
    assert refused.returncode == 1 and "is not signed" in refused.stderr

    (tmp_path / "manifest.json").write_text(site.cli("bundle", "manifest", str(path)).stdout)
    beside = str(path) + ".minisig"
    minisign("-S", "-s", "bad.sec", "-m", "manifest.json", "-x", beside, cwd=tmp_path)
    refused = other.cli("bundle", "import", str(path), check=False)
    assert refused.returncode == 1 and "not trusted here" in refused.stderr
    (tmp_path / "other.json").write_text("something else")
    minisign("-S", "-s", "good.sec", "-m", "other.json", "-x", "other.minisig", cwd=tmp_path)
    refused = other.cli("bundle", "import", str(path), "--signature", str(tmp_path / "other.minisig"), check=False)
    assert refused.returncode == 1 and "not that of these bytes" in refused.stderr
    assert not catalog(other)

    minisign("-S", "-s", "good.sec", "-m", "manifest.json", "-x", "inside.minisig", cwd=tmp_path)
    files = members(path)
    signed = rebuild(tmp_path / "signed.tar",
                     [files[0], ("manifest.json.minisig", (tmp_path / "inside.minisig").read_bytes()), *files[1:]])
    assert "2 firmware new" in other.cli("bundle", "import", str(signed)).stdout
    assert set(catalog(other)) == set(images)


# ------------------------------------------------------------------ stores


def test_what_is_published_to_a_folder_is_read_back(gateway, tmp_path):
    files = tmp_path / "files"
    gateway.add_directory(files, options={"publish": True})
    gateway.add_http()
    gateway.start()
    data = image(80_000, seed=50)
    gateway.cli("firmware", "import", str(write(tmp_path / "x", data)), "--name", "app", "--version", "3.0.0",
                "--type", "board")
    out = gateway.cli("--json", "firmware", "publish", "app/3.0.0", "--store", "files").stdout
    key = json.loads(out)["key"]
    assert (files / key).read_bytes() == data
    sidecar = json.loads((files / (key + ".json")).read_text())
    assert sidecar["name"] == "app" and sidecar["sha256"] == sha256(data) and sidecar["type"] == "board"
    eventually(lambda: any(i["store"] == "files" for i in gateway.api("/firmware?all=true")["items"]), 10,
               what="the store's own listing of it")
    gateway.cli("firmware", "remove", "app/3.0.0/board")
    assert served(gateway, "app", "3.0.0") == data
    assert not list(files.rglob("*.part"))
    refused = gateway.cli("firmware", "publish", "app/3.0.0", "--store", "local", check=False)
    assert refused.returncode == 1


def test_a_store_that_takes_nothing_says_so(gateway, tmp_path):
    gateway.add_directory(tmp_path / "files")
    gateway.start()
    gateway.cli("firmware", "import", str(write(tmp_path / "app-1.0.0.bin", image(100))))
    refused = gateway.cli("firmware", "publish", "app/1.0.0", "--store", "files", check=False)
    assert refused.returncode == 1 and "publish = true" in refused.stderr


def test_what_is_published_to_a_bucket_is_read_by_others(gateway, s3, tmp_path):
    gateway.add_store("bucket", "s3", s3.options(publish=True))
    gateway.start()
    data = image(300_000, seed=51)
    gateway.cli("firmware", "import", str(write(tmp_path / "x", data)), "--name", "app", "--version", "3.0.0")
    key = json.loads(gateway.cli("--json", "firmware", "publish", "app/3.0.0", "--store", "bucket").stdout)["key"]
    found = s3.client().get_object(Bucket=s3.bucket, Key=key)
    assert found["Body"].read() == data
    assert found["Metadata"]["version"] == "3.0.0" and found["Metadata"]["sha256"] == sha256(data)
