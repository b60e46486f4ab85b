"""What every store of objects must do, over a real server: `server` has put() and delete(), `store` is a
StoreProbe of it."""
import threading
import time

from . import store_probe
from .clients import image, sha256

STRANGE = ["a b/c+d%/ü.bin", "plain.bin", "sp ace", "%2F", "a+b", "ключ/日本.bin", "quo'te\"<&>.bin", "~tilde!*()", "a=b&c=d", "x#y?z"]


def keys_of_all_kinds(server, stores):
    digests = {}
    for number, key in enumerate(STRANGE):
        data = image(10_000 + number, seed=number)
        server.put(key, data)
        digests[key] = sha256(data)
    for store in stores:
        listed = store.objects()
        assert sorted(listed) == sorted(STRANGE)
        for key in STRANGE:
            fetched = store.fetch(key, listed[key]["token"])
            assert fetched["status"] == store_probe.OK, fetched
            assert fetched["sha256"] == digests[key], key
            assert fetched["token"] == listed[key]["token"]


def ranges_join(server, store):
    data = image(1_000_003)
    server.put("fw.bin", data)
    token = store.objects()["fw.bin"]["token"]
    for offset, length in [(0, 1), (0, 65536), (65536, 262144), (999_999, 100), (1_000_002, 1)]:
        fetched = store.fetch("fw.bin", token, offset, length)
        assert fetched["sha256"] == sha256(data[offset : offset + length]), (offset, length, fetched)
        assert fetched["total"] == len(data)
    for offset in (len(data), len(data) + 5):
        beyond = store.fetch("fw.bin", token, offset, 10)
        assert (beyond["status"], beyond["size"]) == (store_probe.OK, 0), beyond


def nothing_in_an_empty_object(server, store):
    server.put("empty", b"")
    token = store.objects()["empty"]["token"]
    for length in (0, 100):
        fetched = store.fetch("empty", token, 0, length)
        assert (fetched["status"], fetched["size"]) == (store_probe.OK, 0), fetched


def replaced_never_mixes(server, store):
    server.put("fw.bin", image(300_000, seed=1))
    token = store.objects()["fw.bin"]["token"]
    assert store.fetch("fw.bin", token, 0, 100_000)["status"] == store_probe.OK
    server.put("fw.bin", image(300_000, seed=2))
    changed = store.fetch("fw.bin", token, 100_000, 100_000)
    assert (changed["status"], changed["size"]) == (store_probe.CHANGED, 0), changed
    assert store.objects()["fw.bin"]["token"] != token
    server.delete("fw.bin")
    assert store.fetch("fw.bin")["status"] == store_probe.NOT_FOUND
    # With a condition a server may say either: the state that was asked for is not there.
    assert store.fetch("fw.bin", token)["status"] in (store_probe.NOT_FOUND, store_probe.CHANGED)


def range_goes_out_with_its_condition(server, store, uplink):
    server.put("fw.bin", image(500_000))
    token = store.objects()["fw.bin"]["token"]
    assert store.fetch("fw.bin", token, 0, 250_000)["size"] == 250_000
    assert uplink.requests[-1].range == (0, 249_999)
    assert uplink.requests[-1].headers["if-match"].strip('"') == token.rsplit("/", 1)[0]


def cut_uplink_ends_the_attempt(server, store, uplink):
    """`uplink` is slow enough for a cut in mid-body."""
    server.put("fw.bin", image(3_000_000))
    token = store.objects()["fw.bin"]["token"]
    timer = threading.Timer(0.5, uplink.cut)
    timer.start()
    started = time.monotonic()
    answer = store.fetch("fw.bin", token)
    timer.join()
    assert answer["status"] == store_probe.TRANSIENT and answer["size"] < 3_000_000, answer
    assert time.monotonic() - started < 10
    uplink.restore()
    rest = store.fetch("fw.bin", token, answer["size"])
    assert rest["status"] == store_probe.OK and rest["size"] == 3_000_000 - answer["size"]
