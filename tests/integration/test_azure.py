# ctest-timeout: 600
"""A container of a real Blob service as a store, through the gateway to curl."""
import base64
import json
import re
import threading
import urllib.parse

import pytest

from support.azure import Azurite
from support.clients import curl, image, sha256
from support.net import eventually
from support.tools import scaled

PATTERN = ["{type}/{name}-{version}.bin"]
MIB = 1024 * 1024


def start(gateway, options, **keys):
    gateway.add_store("container", "azure", options, **{"pattern": PATTERN, "interval": "10m", **keys})
    gateway.add_http()
    gateway.start()
    gateway.wait_log("http: listening on")
    return gateway


def sync(gateway):
    """Lists now; the interval is far too long for a test."""
    gateway.api("/stores/container/sync", "POST")


def test_blobs_of_all_names_are_served_byte_identical(gateway, azure):
    names = {"a b": "a b/c+d%/ü.bin", "plain": "fw/plain.bin", "odd": "%2F~'&=?#.bin"}
    digests = {}
    for number, name in enumerate(names.values()):
        data = image(300_000 + number, seed=number)
        azure.put(name, data, name=f"n{number}", version="1.0.0", type="t")
        digests[f"n{number}"] = sha256(data)
    start(gateway, azure.options())
    for name, digest in digests.items():
        gateway.wait_firmware(name, "1.0.0", type="t")
        assert sha256(curl(gateway.url(f"/firmware/{name}/1.0.0"))) == digest
        gateway.wait_firmware(name, "1.0.0", sha256=digest)
        part = gateway.get(f"/firmware/{name}/1.0.0", {"Range": "bytes=1000-1999"})
        assert part.status == 206 and len(part.body) == 1000


def test_the_options_of_a_cumulocity_repository(gateway, azure):
    """connectionString and containerName, and the index files at the container's root."""
    data = image(30_000)
    azure.put("anywhere/x", data)
    azure.put("c8y-firmware-info.json", json.dumps({"name": "indexed", "description": "d", "deviceType": "nrf"}).encode())
    azure.put("c8y-firmware-versions.json", b"# comment\n\n" + json.dumps(
        {"key": "anywhere/x", "name": "indexed", "version": "4.5.6"}).encode() + b"\n")
    connection = {"connection_string": azure.secret(azure.connection_string()), "container": azure.container}
    start(gateway, connection, index=[{"kind": "c8y"}])
    gateway.wait_firmware("indexed", "4.5.6", type="nrf")
    assert curl(gateway.url("/firmware/indexed/4.5.6")) == data
    assert azure.key not in gateway.log


def test_index_tags_name_firmware(gateway, azure):
    data = image(20_000)
    azure.put("x", data, index_tags={"name": "tagged", "version": "2.0.0", "type": "t"}, sha256=sha256(data))
    start(gateway, azure.options(tags=True))
    gateway.wait_firmware("tagged", "2.0.0", type="t", sha256=sha256(data))
    assert curl(gateway.url("/firmware/tagged/2.0.0")) == data


def test_a_digest_in_the_metadata_that_is_wrong_rejects(gateway, azure):
    azure.put("t/fw-1.0.0.bin", image(300_000), sha256=sha256(b"something else"))
    start(gateway, azure.options())
    gateway.wait_firmware("fw", "1.0.0")
    assert curl("--max-time", "20", gateway.url("/firmware/fw/1.0.0"), check=False) != image(300_000)
    eventually(lambda: "fill_rejected" in gateway.log, what="the rejection")
    assert gateway.get("/firmware/fw/1.0.0").status >= 500


def test_an_unchanged_container_costs_only_lists(gateway, azure, make_proxy):
    for number in range(5):
        azure.put(f"t/fw-1.0.{number}.bin", image(1000, seed=number), sha256=sha256(image(1000, seed=number)))
    azure.put("odd name", image(1000), name="odd", version="1.0.0")
    uplink = make_proxy(azure.port)
    start(gateway, azure.options(endpoint=azure.at(uplink.port)))
    gateway.wait_firmware("fw", "1.0.4")
    gateway.wait_firmware("odd", "1.0.0")
    sync(gateway)
    uplink.reset_counts()
    for _ in range(3):
        sync(gateway)
    eventually(lambda: uplink.count(path="comp=list") >= 3, 20, what="three listings")
    assert [one.path for one in uplink.requests if "comp=list" not in one.path] == []


def test_a_replaced_blob_is_the_new_firmware_and_a_deleted_one_is_gone(gateway, azure):
    old, new = image(500_000, seed=1), image(500_000, seed=2)
    azure.put("t/fw-1.0.0.bin", old)
    start(gateway, azure.options())
    gateway.wait_firmware("fw", "1.0.0")
    assert curl(gateway.url("/firmware/fw/1.0.0")) == old
    azure.put("t/fw-1.0.0.bin", new)
    sync(gateway)

    def served():
        body = gateway.get("/firmware/fw/1.0.0").body
        assert body in (old, new)
        return body == new

    eventually(served, 20, what="the new bytes")
    azure.delete("t/fw-1.0.0.bin")
    sync(gateway)
    eventually(lambda: gateway.catalog() == [], 20, what="an empty catalog")


def test_a_blob_that_changes_under_a_fill_never_mixes(gateway, azure, make_proxy):
    old, new = image(3 * MIB, seed=1), image(3 * MIB, seed=2)
    azure.put("t/fw-1.0.0.bin", old)
    uplink = make_proxy(azure.port, rate=MIB)
    start(gateway, azure.options(endpoint=azure.at(uplink.port)), prefetch=False)
    gateway.wait_firmware("fw", "1.0.0")
    got = []
    reader = threading.Thread(target=lambda: got.append(curl(gateway.url("/firmware/fw/1.0.0"), check=False)))
    reader.start()
    eventually(lambda: uplink.bytes_down > MIB, 20, what="a third of the blob")
    azure.put("t/fw-1.0.0.bin", new)
    reader.join()
    # Whoever followed the first fill has all of one state, or was cut short of it.
    assert got[0] in (old, new) or len(got[0]) <= len(old) - 4096
    assert got[0] == old[: len(got[0])] or got[0] == new[: len(got[0])]
    sync(gateway)
    uplink.rate = None
    eventually(lambda: gateway.get("/firmware/fw/1.0.0").body == new, 30, what="the new bytes")


def test_a_line_that_goes_mid_body_is_resumed(gateway, azure, make_proxy):
    data = image(4 * MIB)
    azure.put("t/fw-1.0.0.bin", data)
    uplink = make_proxy(azure.port, rate=2 * MIB)
    start(gateway, azure.options(endpoint=azure.at(uplink.port)), prefetch=False,
          retry={"initial": "200ms", "max": "1s"})
    gateway.wait_firmware("fw", "1.0.0")
    uplink.reset_counts()
    got = []
    reader = threading.Thread(target=lambda: got.append(curl(gateway.url("/firmware/fw/1.0.0"))))
    reader.start()
    eventually(lambda: uplink.bytes_down > 1.5 * MIB, 20, what="a third of the blob")
    uplink.cut()
    uplink.restore()
    uplink.rate = None
    reader.join()
    assert sha256(got[0]) == sha256(data)
    assert uplink.bytes_down < 1.5 * len(data), "what was there is not fetched again"


def test_wrong_credentials_are_told(gateway, azure):
    wrong = base64.b64encode(b"another key of 64 bytes, which opens nothing whatsoever here....").decode()
    start(gateway, {**azure.options(), "account_key": azure.secret(wrong, "wrong")})
    store = eventually(
        lambda: next((one for one in gateway.api("/stores")["items"] if "account_key" in json.dumps(one)), None), 20,
        what="the reason in the status",
    )
    assert store["name"] == "container"
    assert wrong not in json.dumps(store) + gateway.log


def test_a_sas_token_is_in_no_log(gateway, azure, make_proxy):
    token = azure.sas()
    signature = urllib.parse.parse_qs(token)["sig"][0]
    data = image(100_000)
    azure.put("t/fw-1.0.0.bin", data)
    uplink = make_proxy(azure.port)
    options = {name: value for name, value in azure.options(azure.at(uplink.port)).items() if name != "account_key"}
    start(gateway, {**options, "sas_token": azure.secret(token, "sas")}, prefetch=False)
    gateway.wait_firmware("fw", "1.0.0")
    uplink.cut()  # what fails names its URL
    assert gateway.get("/firmware/fw/1.0.0").status == 503
    uplink.restore()
    eventually(lambda: gateway.get("/firmware/fw/1.0.0").body == data, 30, what="the firmware")
    azure.delete("t/fw-1.0.0.bin")
    shown = gateway.log + json.dumps(gateway.api("/stores")) + json.dumps(gateway.api("/events"))
    for secret in (signature, urllib.parse.quote(signature, safe=""), "sig="):
        assert secret not in shown


def test_redirect_sends_to_a_url_that_curl_can_open(gateway, azure, make_proxy):
    data = image(700_000)
    azure.put("a b/c+d%/ü.bin", data, name="app", version="1.0.0", type="edge")
    uplink = make_proxy(azure.port)
    start(gateway, azure.options(azure.at(uplink.port)), redirect=True, expiry="2m", prefetch=False)
    gateway.wait_firmware("app", "1.0.0")
    path = gateway.url("/firmware/app/1.0.0")
    answer = gateway.get("/firmware/app/1.0.0")
    assert answer.status == 307 and answer.headers["Cache-Control"] == "no-store"
    assert curl("--location", "--max-redirs", "1", path) == data
    assert curl("--location", "--range", "1000-1999", path) == data[1000:2000]
    head = curl("--location", "--head", path).decode()
    assert re.search(rf"(?im)^content-length: {len(data)}\r?$", head.split("\r\n\r\n")[1])
    assert gateway.api("/cache")["fetched_bytes"] == 0, "the bytes went past the gateway"
    signature = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["Location"]).query)["sig"][0]
    assert signature not in gateway.log and urllib.parse.quote(signature, safe="") not in gateway.log


def test_many_blobs_in_pages(gateway, azure):
    count = scaled(10_000, 1200)
    azure.put_many(f"t/fw{number}-1.0.0.bin" for number in range(count))
    start(gateway, azure.options(), prefetch=False)
    eventually(lambda: len(gateway.catalog()) == count, 90, what="all of them")


def test_the_server_goes_away_and_what_is_cached_stays(gateway, owner):
    azure = owner.add(Azurite()).start()
    data = image(100_000)
    azure.put("t/fw-1.0.0.bin", data)
    start(gateway, azure.options())
    gateway.wait_firmware("fw", "1.0.0")
    assert curl(gateway.url("/firmware/fw/1.0.0")) == data
    azure.stop()
    with pytest.raises(AssertionError, match="503"):
        sync(gateway)
    assert curl(gateway.url("/firmware/fw/1.0.0")) == data


def test_what_is_published_is_read_by_microsofts_client(gateway, azure, tmp_path):
    start(gateway, azure.options(publish=True))
    data, file = image(300_000, seed=51), tmp_path / "x"
    file.write_bytes(data)
    gateway.cli("firmware", "import", str(file), "--name", "app", "--version", "3.0.0")
    key = json.loads(gateway.cli("--json", "firmware", "publish", "app/3.0.0", "--store", "container").stdout)["key"]
    blob = azure.client().get_blob_client(key)
    assert blob.download_blob().readall() == data
    metadata = blob.get_blob_properties().metadata
    assert metadata["version"] == "3.0.0" and metadata["sha256"] == sha256(data)
