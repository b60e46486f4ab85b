# ctest-timeout: 200
"""The same firmware in two stores: who wins, who steps in, and that the bytes are kept once."""
import pytest

from support.clients import image, sha256
from support.net import eventually
from support.s3 import S3Server


@pytest.fixture
def bucket(owner, make_proxy):
    """A second bucket behind an uplink that can be cut."""
    server = owner.add(S3Server()).start()
    return server, make_proxy(server.port)


def served(gateway, name, version, **headers):
    connection = gateway.http()
    connection.request("GET", f"/firmware/{name}/{version}", headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def item(gateway, name, store):
    found = [i for i in gateway.api(f"/firmware?all=true&name={name}")["items"] if i["store"] == store]
    return found[0] if found else None


def two(gateway, bucket, tmp_path, **vendor):
    server, uplink = bucket
    mirror = gateway.add_directory(tmp_path / "mirror", name="mirror", priority=200, prefetch=False)
    store = gateway.add_store("vendor", "s3", server.options(endpoint=uplink.endpoint), priority=100, prefetch=False,
                              interval="10s", **vendor)
    gateway.add_http()
    return mirror, store


def test_the_same_bytes_are_one_blob(gateway, bucket, tmp_path):
    server, uplink = bucket
    data = image(400_000, seed=1)
    server.put("app-1.0.0.bin", data)
    two(gateway, bucket, tmp_path)
    (tmp_path / "mirror" / "app-1.0.0.bin").write_bytes(data)
    gateway.start()
    eventually(lambda: item(gateway, "app", "mirror") and item(gateway, "app", "vendor"), 20, what="both listings")
    assert served(gateway, "app", "1.0.0")[1] == data
    assert [b["sha256"] for b in gateway.api("/blobs")["items"]] == [sha256(data)]
    # Of the store that ranks lower nothing was read but its list.
    assert not [r for r in uplink.requests if r.method == "GET" and r.path.endswith("app-1.0.0.bin")]


def test_the_next_store_steps_in_and_steps_back(gateway, bucket, make_proxy, owner, tmp_path):
    """A mirror that goes away, with bytes that nobody has fetched yet."""
    server, _ = bucket
    near = owner.add(S3Server()).start()
    link = make_proxy(near.port)
    gateway.add_store("mirror", "s3", near.options(endpoint=link.endpoint), priority=200, interval="10s")
    gateway.add_store("vendor", "s3", server.options(), priority=100, interval="10s")
    gateway.add_http()
    first, second = image(300_000, seed=2), image(200_000, seed=3)
    for store in (server, near):
        store.put("app-1.0.0.bin", first)
        store.put("app-2.0.0.bin", second)
    gateway.start()
    eventually(lambda: item(gateway, "app", "mirror") and item(gateway, "app", "vendor"), 20, what="both listings")
    link.cut()
    assert gateway.cli("stores", "sync", "mirror", check=False).returncode == 1
    status, body, headers = served(gateway, "app", "1.0.0")
    assert (status, body) == (200, first)
    # What came from the vendor has a tag of its own: a download begun there never goes on with the mirror's bytes.
    tag = headers["ETag"]
    link.restore()
    gateway.cli("stores", "sync", "mirror")
    status, body, headers = served(gateway, "app", "2.0.0")
    assert (status, body) == (200, second)
    status, body, headers = served(gateway, "app", "1.0.0", **{"Range": "bytes=100-199", "If-Range": tag})
    assert (status, body) in ((206, first[100:200]), (200, first))


def test_a_store_with_other_bytes_does_not_step_in(gateway, bucket, tmp_path):
    server, uplink = bucket
    two(gateway, bucket, tmp_path)
    ours = tmp_path / "mirror" / "app-1.0.0.bin"
    ours.write_bytes(image(50_000, seed=4))
    server.put("app-1.0.0.bin", image(60_000, seed=5))
    gateway.start()
    eventually(lambda: item(gateway, "app", "mirror") and item(gateway, "app", "vendor"), 20, what="both listings")
    (tmp_path / "mirror").rename(tmp_path / "gone")
    assert gateway.cli("stores", "sync", "mirror", check=False).returncode == 1
    status, body, _ = served(gateway, "app", "1.0.0")
    assert status == 503 and image(60_000, seed=5)[:100] not in body


def test_a_store_that_fails_does_not_hold_up_another(gateway, bucket, tmp_path):
    server, uplink = bucket
    two(gateway, bucket, tmp_path)
    uplink.cut()
    data = image(10_000, seed=6)
    (tmp_path / "mirror" / "near-1.0.0.bin").write_bytes(data)
    server.put("far-1.0.0.bin", image(20_000, seed=7))
    gateway.start()
    gateway.wait_firmware("near", "1.0.0")
    assert served(gateway, "near", "1.0.0")[1] == data
    failing = next(s for s in gateway.api("/stores")["items"] if s["name"] == "vendor")
    eventually(lambda: next(s for s in gateway.api("/stores")["items"] if s["name"] == "vendor")["last_error"], 20,
               what="an error of the vendor's store")
    assert failing["state"] == "running"
    table = gateway.cli("stores").stdout
    assert "vendor" in table and "REQUESTS" in table and "READ" in table
    uplink.restore()
    gateway.wait_firmware("far", "1.0.0", timeout=60)
    assert served(gateway, "far", "1.0.0")[1] == image(20_000, seed=7)


def test_imported_bytes_that_rot_are_had_from_a_store(gateway, tmp_path):
    data = image(70_000, seed=8)
    file = tmp_path / "app-1.0.0.bin"
    file.write_bytes(data)
    gateway.add_directory(tmp_path / "mirror", name="mirror", prefetch=False)
    gateway.add_http()
    gateway.start()
    gateway.cli("firmware", "import", str(file))

    def rot():
        digest = sha256(data)
        blob = next(gateway.folder.rglob(f"blobs/sha256/*/{digest}"))
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        gateway.cli("cache", "verify", digest, check=False)

    rot()
    status, body, _ = served(gateway, "app", "1.0.0")
    assert status == 404 and b"import it again" in body
    (tmp_path / "mirror" / "app-1.0.0.bin").write_bytes(data)
    eventually(lambda: item(gateway, "app", "mirror"), 20, what="the mirror's listing")
    assert served(gateway, "app", "1.0.0")[:2] == (200, data)
