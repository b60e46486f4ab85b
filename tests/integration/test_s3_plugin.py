# ctest-timeout: 600
"""The s3 plugin against a real S3 server, filled by boto3; no gateway in between."""
import datetime
import hashlib
import os
import re
import urllib.error
import urllib.request

import pytest

from support import object_cases as cases
from support import store_probe
from support.certificate import self_signed
from support.clients import image, sha256
from support.s3 import S3Server
from support.store_probe import StoreProbe
from support.tools import need, scaled


@pytest.fixture
def probe(build_dir, owner):
    return lambda options, plugin="s3", env=None: owner.add(StoreProbe(build_dir, plugin, options, env))


def test_keys_of_all_kinds_come_back_byte_identical(s3, probe):
    cases.keys_of_all_kinds(s3, [probe(s3.options())])


def test_ranges_join_to_the_whole(s3, probe):
    cases.ranges_join(s3, probe(s3.options()))


def test_an_empty_object_is_fetched_as_nothing(s3, probe):
    cases.nothing_in_an_empty_object(s3, probe(s3.options()))


def test_pages_of_more_than_a_thousand(s3, probe):
    client = s3.client()
    count = scaled(2345, 1100)
    keys = {f"fw/{n % 7} {n}.bin" for n in range(count)}
    for key in keys:
        client.put_object(Bucket=s3.bucket, Key=key, Body=b"x")
    store = probe(s3.options())
    for limit in (1000, 333):
        answer = store.ask("list", limit)
        found = [one["key"] for one in answer["objects"]]
        assert len(found) == len(keys) and set(found) == keys
        assert found == sorted(found)
    assert set(probe(s3.options(prefix="fw/3 ")).objects()) == {key for key in keys if key.startswith("fw/3 ")}
    assert probe(s3.options(delimiter="/")).objects() == {}


def test_metadata_and_checksum_of_an_object(s3, probe):
    s3.put("fw.bin", b"abc", name="probe", version="1.2.3", sha256=sha256(b"abc"))
    store = probe(s3.options())
    found = store.ask("stat", "fw.bin")
    assert found["status"] == store_probe.OK, found
    (one,) = found["objects"]
    assert one["metadata"] == {"name": "probe", "version": "1.2.3", "sha256": sha256(b"abc")}
    assert one["token"] == store.objects()["fw.bin"]["token"]
    s3.client().put_object(Bucket=s3.bucket, Key="sum.bin", Body=b"abc", ChecksumAlgorithm="SHA256")
    assert store.ask("stat", "sum.bin")["objects"][0]["sha256"] == sha256(b"abc")
    assert store.ask("stat", "nothing")["status"] == store_probe.NOT_FOUND


def test_a_replaced_object_never_mixes(s3, probe):
    cases.replaced_never_mixes(s3, probe(s3.options()))


def test_wrong_credentials_say_what_to_check(s3, probe):
    s3.put("fw.bin", b"x")
    wrong_secret = probe({**s3.options(), "secret_key": "wrong-secret-value"}).ask("list", 10)
    assert wrong_secret["status"] == store_probe.DENIED
    assert "secret_key" in wrong_secret["message"] and "wrong-secret-value" not in wrong_secret["message"]
    wrong_key = probe(s3.options(access_key="NOBODY")).ask("list", 10)
    assert wrong_key["status"] == store_probe.DENIED and "access_key" in wrong_key["message"], wrong_key
    anonymous = {k: v for k, v in s3.options(credentials="anonymous").items() if "_key" not in k}
    assert probe(anonymous).ask("list", 10)["status"] == store_probe.DENIED
    no_bucket = probe(s3.options(bucket="nowhere")).ask("list", 10)
    assert no_bucket["status"] == store_probe.PERMANENT and "bucket" in no_bucket["message"]
    other_region = probe(s3.options(region="eu-west-1")).ask("list", 10)
    assert other_region["status"] in (store_probe.DENIED, store_probe.PERMANENT) and "region" in other_region["message"]


def test_the_server_away_is_worth_another_try(s3, probe):
    store = probe(s3.options())
    assert store.objects() == {}
    s3.stop()
    assert store.ask("list", 10)["status"] == store_probe.TRANSIENT
    s3.start()
    assert store.objects() == {}


@pytest.fixture
def certificate(tmp_path):
    return self_signed(tmp_path)


def test_tls_with_a_certificate_of_ones_own(owner, probe, certificate):
    cert, key = certificate
    s3 = owner.add(S3Server(cert=cert, key=key)).start()
    s3.put("a b/c+d%/ü.bin", b"over tls")
    store = probe(s3.options(ca_file=str(cert)))
    token = store.objects()["a b/c+d%/ü.bin"]["token"]
    assert store.fetch("a b/c+d%/ü.bin", token)["sha256"] == sha256(b"over tls")
    refused = probe(s3.options()).ask("list", 10)
    assert refused["status"] == store_probe.PERMANENT and "ca_file" in refused["message"]


def test_virtual_host_addressing(s3, probe):
    s3.put("a b/c+d%/ü.bin", b"by host")
    store = probe({**s3.options(), "endpoint": f"http://s3.localhost:{s3.port}", "addressing": "virtual"})
    token = store.objects()["a b/c+d%/ü.bin"]["token"]
    assert store.fetch("a b/c+d%/ü.bin", token)["sha256"] == sha256(b"by host")


def test_a_presigned_url_opens_one_object_for_one_method(s3, probe):
    s3.put("a b/c+d%/ü.bin", b"presigned")
    store = probe(s3.options())
    token = store.objects()["a b/c+d%/ü.bin"]["token"]
    get = store.ask("presign", "a b/c+d%/ü.bin", token, False, 60_000)
    assert get["status"] == store_probe.OK, get
    with urllib.request.urlopen(get["url"]) as answer:
        assert answer.read() == b"presigned"
    head = store.ask("presign", "a b/c+d%/ü.bin", token, True, 60_000)["url"]
    with urllib.request.urlopen(urllib.request.Request(head, method="HEAD")) as answer:
        assert answer.headers["Content-Length"] == "9"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(head)
    assert refused.value.code == 403
    s3.put("a b/c+d%/ü.bin", b"replaced!")
    assert store.ask("presign", "plain", "", False, 1000)["status"] == store_probe.NOT_FOUND


def test_what_it_publishes_boto3_reads(s3, probe, tmp_path):
    data = image(700_000)
    file = tmp_path / "fw.bin"
    file.write_bytes(data)
    store = probe(s3.options(publish=True, prefix="made/"))
    made = store.ask("publish", str(file), sha256(data), "made/a b+ü.bin", {"name": "probe", "version": "1.0.0"})
    assert made["status"] == store_probe.OK, made
    answer = s3.client().get_object(Bucket=s3.bucket, Key="made/a b+ü.bin")
    assert answer["Body"].read() == data
    assert answer["Metadata"] == {"name": "probe", "version": "1.0.0", "sha256": sha256(data)}
    assert store.objects()["made/a b+ü.bin"]["token"] == made["objects"][0]["token"]
    lie = store.ask("publish", str(file), hashlib.sha256(b"else").hexdigest(), "made/lie", {})
    assert lie["status"] != store_probe.OK
    assert "made/lie" not in store.objects()


def test_an_unchanged_bucket_costs_only_lists(s3, probe, make_proxy):
    for number in range(5):
        s3.put(f"fw{number}", image(1000, seed=number))
    uplink = make_proxy(s3.port)
    # The proxy forwards bytes: the signature covers the Host that the client names, which is the proxy's.
    store = probe(s3.options(endpoint=uplink.endpoint))
    first = store.objects()
    uplink.reset_counts()
    assert store.objects() == first
    assert [(one.method, one.path.partition("?")[0]) for one in uplink.requests] == [("GET", f"/{s3.bucket}")]
    assert uplink.connections == 0  # the warm one was used


def test_a_hundred_thousand_objects_in_little_memory(s3, probe):
    count = scaled(100_000, 20_000)
    folder = s3.data / s3.bucket
    for number in range(count):
        if number % 1000 == 0:
            part = folder / f"part-{number // 1000:03}"
            part.mkdir()
        os.close(os.open(part / f"firmware image-{number:06}.bin", os.O_CREAT | os.O_WRONLY))
    answer = probe(s3.options()).ask("count", 1000)
    assert answer["status"] == store_probe.OK, answer
    assert answer["count"] == count
    assert answer["grown_kib"] < 20 * 1024, answer


def test_a_wrong_clock_is_learned_once(s3, probe):
    faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    if not os.path.exists(faketime):
        need("faketime")
    s3.put("fw.bin", b"x")
    for wrong in ("1970-01-02 00:00:00", "2040-01-01 00:00:00"):
        store = probe(s3.options(), env={**os.environ, "LD_PRELOAD": faketime, "FAKETIME": f"@{wrong}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
        assert store.ask("list", 10)["status"] == store_probe.CLOCK, wrong
        assert list(store.objects()) == ["fw.bin"]
        assert store.fetch("fw.bin")["status"] == store_probe.OK
        url = store.ask("presign", "fw.bin", "", False, 60_000)["url"]
        stamp = re.search(r"X-Amz-Date=(\d{8})", url)[1]
        assert stamp == datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")


def test_a_slow_upstream_is_read_in_parallel(s3, probe, make_proxy):
    uplink = make_proxy(s3.port, rate=2_000_000)
    cases.range_goes_out_with_its_condition(s3, probe(s3.options(endpoint=uplink.endpoint)), uplink)


def test_a_cut_uplink_ends_the_attempt(s3, probe, make_proxy):
    uplink = make_proxy(s3.port, rate=1_000_000)
    cases.cut_uplink_ends_the_attempt(s3, probe(s3.options(endpoint=uplink.endpoint)), uplink)
