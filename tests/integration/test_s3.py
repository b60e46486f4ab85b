# ctest-timeout: 600
"""A bucket of a real S3 server as a store, through the gateway to curl."""
import contextlib
import http.client
import json

from support.certificate import self_signed
from support.clients import curl, image, sha256
from support.net import eventually
from support.s3 import S3Server
from support.tools import scaled

PATTERN = ["{type}/{name}-{version}.bin"]


def wait_listening(gateway):
    """READY waits for no listener."""
    def answers():
        with contextlib.suppress(ConnectionRefusedError):
            return gateway.get("/firmware").status == 200

    eventually(answers, what="the listener")
    return gateway


def start(gateway, s3, options=None, **keys):
    gateway.add_store("bucket", "s3", options or s3.options(), **{"pattern": PATTERN, "interval": "10m", **keys})
    gateway.add_http()
    gateway.start()
    return wait_listening(gateway)


def sync(gateway):
    """Lists now; the interval is far too long for a test."""
    gateway.api("/stores/bucket/sync", "POST")


def test_keys_of_all_kinds_are_served_byte_identical(gateway, s3):
    keys = {"a b": "a b/c+d%/ü.bin", "plain": "fw/plain.bin", "odd": "%2F~'&=?#.bin"}
    digests = {}
    for number, (name, key) in enumerate(keys.items()):
        data = image(300_000 + number, seed=number)
        s3.put(key, data, name=f"n{number}", version="1.0.0", type="t")
        digests[f"n{number}"] = sha256(data)
    start(gateway, s3)
    for name, digest in digests.items():
        gateway.wait_firmware(name, "1.0.0", type="t")
        assert sha256(curl(gateway.url(f"/firmware/{name}/1.0.0"))) == digest
        gateway.wait_firmware(name, "1.0.0", sha256=digest)
        part = gateway.get(f"/firmware/{name}/1.0.0", {"Range": "bytes=1000-1999"})
        assert part.status == 206 and len(part.body) == 1000


def test_names_by_pattern_and_by_index(gateway, s3):
    by_pattern, by_index = image(20_000, seed=1), image(30_000, seed=2)
    s3.put("esp32/probe-1.2.3.bin", by_pattern)
    s3.put("anywhere/x", by_index)
    s3.put("c8y-firmware-info.json", json.dumps({"name": "indexed", "description": "d", "deviceType": "nrf"}).encode())
    s3.put("c8y-firmware-versions.json", b"# comment\n\n" + json.dumps(
        {"key": "anywhere/x", "name": "indexed", "version": "4.5.6"}).encode() + b"\n")
    start(gateway, s3, index=[{"kind": "c8y"}])
    gateway.wait_firmware("probe", "1.2.3", type="esp32")
    gateway.wait_firmware("indexed", "4.5.6", type="nrf")
    assert curl(gateway.url("/firmware/probe/1.2.3")) == by_pattern
    assert curl(gateway.url("/firmware/indexed/4.5.6")) == by_index


def test_an_unchanged_bucket_costs_only_lists(gateway, s3, make_proxy):
    for number in range(5):
        s3.put(f"t/fw-1.0.{number}.bin", image(1000, seed=number), sha256=sha256(image(1000, seed=number)))
    s3.put("odd name", image(1000), name="odd", version="1.0.0")
    uplink = make_proxy(s3.port)
    start(gateway, s3, s3.options(endpoint=uplink.endpoint))
    gateway.wait_firmware("fw", "1.0.4")
    gateway.wait_firmware("odd", "1.0.0")
    sync(gateway)
    lists = f"/{s3.bucket}?"
    uplink.reset_counts()
    for _ in range(3):
        sync(gateway)
    eventually(lambda: uplink.count(path=lists) >= 3, 20, what="three listings")
    assert [one.path for one in uplink.requests if lists not in one.path] == []
    s3.put("t/fw-1.0.9.bin", image(1000))
    sync(gateway)
    gateway.wait_firmware("fw", "1.0.9")


def test_a_replaced_object_is_the_new_firmware(gateway, s3):
    old, new = image(500_000, seed=1), image(500_000, seed=2)
    s3.put("t/fw-1.0.0.bin", old)
    start(gateway, s3)
    gateway.wait_firmware("fw", "1.0.0")
    assert curl(gateway.url("/firmware/fw/1.0.0")) == old
    s3.put("t/fw-1.0.0.bin", new)
    sync(gateway)

    def served():
        body = gateway.get("/firmware/fw/1.0.0").body
        assert body in (old, new)
        return body == new

    eventually(served, 20, what="the new bytes")
    gateway.wait_firmware("fw", "1.0.0", sha256=sha256(new))
    s3.delete("t/fw-1.0.0.bin")
    sync(gateway)
    eventually(lambda: gateway.catalog() == [], 20, what="an empty catalog")


def test_a_digest_in_the_metadata_that_is_wrong_rejects(gateway, s3):
    s3.put("t/fw-1.0.0.bin", image(300_000, seed=1), sha256=sha256(b"something else"))
    start(gateway, s3)  # the pattern gives name and version: the digest counts all the same
    gateway.wait_firmware("fw", "1.0.0")
    # Whoever follows the fill is cut short of the held tail; whoever comes after it is refused.
    try:
        assert gateway.get("/firmware/fw/1.0.0").status >= 500
    except http.client.IncompleteRead as cut:
        assert len(cut.partial) <= 300_000 - 4096
    eventually(lambda: "fill_rejected" in gateway.log, what="the rejection")
    for _ in range(3):
        assert gateway.get("/firmware/fw/1.0.0").status >= 500


def test_wrong_credentials_are_told(gateway, s3):
    secret = gateway.folder / "secret"
    secret.write_text("not-the-secret-at-all")
    start(gateway, s3, {**s3.options(), "secret_key": {"file": str(secret)}})
    store = eventually(
        lambda: next((one for one in gateway.api("/stores")["items"] if "secret_key" in json.dumps(one)), None), 20,
        what="the reason in the status",
    )
    assert "not-the-secret-at-all" not in json.dumps(store) + gateway.log


def test_other_patterns_make_another_catalog_of_the_same_objects(gateway, s3):
    s3.put("esp32/probe-1.2.3.bin", image(1000))
    start(gateway, s3)
    gateway.wait_firmware("probe", "1.2.3", type="esp32")
    gateway.config["store"][0]["pattern"] = ["{name}/probe-{version}.bin"]
    gateway.reload()
    eventually(lambda: [one["name"] for one in gateway.catalog()] == ["esp32"], 20,
               what="the object read by the new pattern")


def test_tls_with_a_certificate_of_ones_own(gateway, owner, tmp_path):
    cert, key = self_signed(tmp_path)
    s3 = owner.add(S3Server(cert=cert, key=key)).start()
    data = image(700_000)
    s3.put("t/fw-1.0.0.bin", data)
    start(gateway, s3, s3.options(ca_file=str(cert)))
    gateway.wait_firmware("fw", "1.0.0")
    assert curl(gateway.url("/firmware/fw/1.0.0")) == data


def test_many_objects_in_pages(gateway, s3):
    count = scaled(3000, 1200)
    folder = s3.data / s3.bucket / "t"
    folder.mkdir()
    for number in range(count):
        (folder / f"fw{number}-1.0.0.bin").write_bytes(b"%d" % number)
    start(gateway, s3, s3.options(metadata=False))
    eventually(lambda: len(gateway.catalog()) == count, 60, what="all of them")


def test_earlier_versions_are_firmware_of_their_own(gateway, s3):
    s3.client().put_bucket_versioning(Bucket=s3.bucket, VersioningConfiguration={"Status": "Enabled"})
    images = {f"1.{n}.0": image(100_000 + n, seed=60 + n) for n in range(3)}
    for version, data in images.items():
        s3.put("app.bin", data, name="app", version=version)
    s3.put("gone.bin", image(100), name="gone", version="1.0.0")
    s3.delete("gone.bin")
    start(gateway, s3, s3.options(versions="all"))
    for version, data in images.items():
        item = gateway.wait_firmware("app", version)
        assert gateway.get(f"/firmware/app/{version}").body == data, item
    keys = sorted(o["key"] for o in gateway.api("/stores/bucket/objects")["items"])
    assert keys[0] == "app.bin" and all("?versionId=" in key for key in keys[1:])
    # What was deleted is there as the version it was.
    assert gateway.get("/firmware/gone/1.0.0").body == image(100)
    sync(gateway)
    assert len(gateway.api("/firmware?name=app")["items"]) == 3


def test_several_buckets_are_one_store(gateway, s3):
    s3.client().create_bucket(Bucket="second-bucket")
    first, second = image(50_000, seed=70), image(60_000, seed=71)
    s3.put("sensor/app-1.0.0.bin", first)
    s3.client().put_object(Bucket="second-bucket", Key="sensor/app-2.0.0.bin", Body=second)
    options = s3.options(buckets=[s3.bucket, "second-bucket"], publish=True)
    del options["bucket"]
    start(gateway, s3, options, pattern=["{any}/{type}/{name}-{version}.bin"])
    gateway.wait_firmware("app", "1.0.0", type="sensor")
    gateway.wait_firmware("app", "2.0.0", type="sensor")
    assert gateway.get("/firmware/app/1.0.0").body == first
    assert gateway.get("/firmware/app/2.0.0").body == second
    made = gateway.api("/firmware/app/2.0.0/publish?store=bucket&key=second-bucket/copy/app-3.0.0.bin", "POST")
    assert made["key"] == "second-bucket/copy/app-3.0.0.bin"
    assert s3.client().get_object(Bucket="second-bucket", Key="copy/app-3.0.0.bin")["Body"].read() == second


def test_what_a_bucket_asks_for_goes_with_each_request(gateway, s3, make_proxy):
    uplink = make_proxy(s3.port)
    s3.put("sensor/app-1.0.0.bin", image(20_000, seed=80))
    start(gateway, s3, s3.options(endpoint=uplink.endpoint, requester_pays=True, publish=True, encryption="AES256"))
    gateway.wait_firmware("app", "1.0.0", type="sensor")
    gateway.api("/firmware/app/1.0.0/publish?store=bucket&key=sensor/app-1.0.1.bin", "POST")
    assert all(r.headers.get("x-amz-request-payer") == "requester" for r in uplink.requests)
    assert {r.method: "x-amz-server-side-encryption" in r.headers for r in uplink.requests} == \
        {"GET": False, "HEAD": False, "PUT": True}
    # Signed: the server took them.
    assert all("x-amz-request-payer" in r.headers["authorization"] for r in uplink.requests)
