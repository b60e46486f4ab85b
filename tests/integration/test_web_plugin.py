# ctest-timeout: 600
"""The web plugin against nginx and Python's http.server; no gateway in between."""
import base64
import time
import urllib.error
import urllib.request

import pytest

from support import store_probe
from support.clients import image, sha256
from support.store_probe import StoreProbe
from support.web import Nginx, PlainServer

STRANGE = ["a b/c+d%/ü.bin", "plain.bin", "sp ace", "%2F", "a+b", "ключ/日本.bin", "quo'te\"<&>.bin", "~tilde!*()",
           "a=b&c=d", "x#y?z"]
PAST = 1_700_000_000


@pytest.fixture
def probe(build_dir, owner):
    return lambda **options: owner.add(StoreProbe(build_dir, "web", options))


@pytest.fixture
def nginx(owner):
    return owner.add(Nginx()).start()


def requests(nginx):
    """(method, status) of all requests so far, in order."""
    lines = (nginx.folder / "access.log").read_text().splitlines()
    return [(line.split('"')[1].split()[0], int(line.split('"')[2].split()[0])) for line in lines]


def test_files_of_all_names_come_back_byte_identical(nginx, probe):
    for number, key in enumerate(STRANGE):
        nginx.put(key, image(10_000 + number, seed=number))
    store = probe(index_url=nginx.url)
    answer = store.ask("list", 3)
    assert answer["status"] == store_probe.OK, answer
    listed = {one["key"]: one for one in answer["objects"]}
    assert set(listed) == set(STRANGE)
    for number, key in enumerate(STRANGE):
        fetched = store.fetch(key, listed[key]["token"])
        assert fetched["status"] == store_probe.OK, fetched
        assert fetched["sha256"] == sha256(image(10_000 + number, seed=number)), key
        assert fetched["token"] == listed[key]["token"] and listed[key]["size"] == 10_000 + number


@pytest.mark.parametrize("ranges", [True, False])
def test_ranges_join_to_the_whole(nginx, probe, owner, ranges):
    data = image(1_000_003)
    nginx.put("fw.bin", data)
    nginx.index([nginx.entry("fw.bin", "fw", "1.0.0")])
    url = nginx.url if ranges else owner.add(PlainServer(nginx.data)).url
    store = probe(index_url=url + "index.json")
    token = store.objects()["fw.bin"]["token"]
    for offset, length in [(0, 0), (0, 1), (65536, 262144), (999_999, 100), (1_000_002, 1)]:
        fetched = store.fetch("fw.bin", token, offset, length)
        assert fetched["sha256"] == sha256(data[offset : offset + length if length else None]), fetched
        assert fetched["total"] == len(data)
    for offset in (len(data), len(data) + 5):
        beyond = store.fetch("fw.bin", token, offset, 10)
        assert (beyond["status"], beyond["size"]) == (store_probe.OK, 0), beyond


def test_an_index_says_what_objects_are(nginx, probe):
    nginx.put("f/a.bin", b"abc")
    nginx.put("f/b.bin", b"defg")
    first = nginx.entry("f/a.bin", "probe", "1.2.3", type="esp32", kind="patch", dependency="1.2.0")
    nginx.index([{"url": "f/b.bin"}, {"url": "f/gone.bin"}], "two.json")
    url = nginx.index([first, {"name": "no url"}, {**first, "url": "file:///etc/passwd"}, 7], next="two.json")
    listed = probe(index_url=url).objects()
    assert sorted(listed) == ["f/a.bin", "f/b.bin"]
    assert listed["f/a.bin"]["sha256"] == sha256(b"abc") and listed["f/a.bin"]["size"] == 3
    assert listed["f/a.bin"]["metadata"] == {"name": "probe", "version": "1.2.3", "type": "esp32", "kind": "patch",
                                             "dependency": "1.2.0", "sha256": sha256(b"abc")}
    # Of this one the index says nothing: a HEAD does.
    assert listed["f/b.bin"]["size"] == 4 and listed["f/b.bin"]["token"].startswith('etag:"')


def test_an_unchanged_index_costs_one_304(nginx, probe):
    for number in range(5):
        nginx.put(f"fw{number}.bin", image(1000, seed=number))
    # Three with digests, two that a HEAD each was needed for.
    url = nginx.index([nginx.entry(f"fw{n}.bin", "fw", f"1.0.{n}", **({} if n < 3 else {"sha256": None}))
                       for n in range(5)])
    store = probe(index_url=url)
    first = store.objects()
    before = len(requests(nginx))
    assert store.objects() == first and len(first) == 5
    assert requests(nginx)[before:] == [("GET", 304)]


def test_a_replaced_file_never_mixes(nginx, probe):
    nginx.put("fw.bin", image(300_000, seed=1), modified=PAST)
    for url in (nginx.url, nginx.index([nginx.entry("fw.bin", "fw", "1.0.0")])):
        nginx.put("fw.bin", image(300_000, seed=1), modified=PAST)
        store = probe(index_url=url)
        token = store.objects()["fw.bin"]["token"]
        assert store.fetch("fw.bin", token, 0, 100_000)["status"] == store_probe.OK
        nginx.put("fw.bin", image(300_000, seed=2), modified=PAST + 60)
        changed = store.fetch("fw.bin", token, 100_000, 100_000)
        assert (changed["status"], changed["size"]) == (store_probe.CHANGED, 0), changed
    nginx.data.joinpath("fw.bin").unlink()
    assert store.fetch("fw.bin", token)["status"] == store_probe.NOT_FOUND


def test_a_replaced_file_without_digest_is_listed_anew(nginx, probe):
    nginx.put("fw.bin", image(1000, seed=1), modified=PAST)
    store = probe(index_url=nginx.index([nginx.entry("fw.bin", "fw", "1.0.0", sha256=None)]))
    token = store.objects()["fw.bin"]["token"]
    nginx.put("fw.bin", image(1000, seed=2), modified=PAST + 60)
    assert store.fetch("fw.bin", token)["status"] == store_probe.CHANGED
    again = store.objects()["fw.bin"]["token"]  # the index has not changed, the file was asked about
    assert again != token and store.fetch("fw.bin", again)["sha256"] == sha256(image(1000, seed=2))


def test_a_change_is_seen_without_ranges_and_tags(nginx, probe, owner):
    nginx.put("fw.bin", image(300_000, seed=1), modified=PAST)
    nginx.index([nginx.entry("fw.bin", "fw", "1.0.0", sha256=None, size=None)])
    store = probe(index_url=owner.add(PlainServer(nginx.data)).url + "index.json")
    token = store.objects()["fw.bin"]["token"]
    assert token == f"date:{PAST}/300000"
    assert store.fetch("fw.bin", token, 1000, 1000)["sha256"] == sha256(image(300_000, seed=1)[1000:2000])
    nginx.put("fw.bin", image(300_000, seed=2), modified=PAST + 1)
    assert store.fetch("fw.bin", token)["status"] == store_probe.CHANGED


def test_wrong_credentials_say_what_to_check(owner, probe):
    nginx = owner.add(Nginx(user="gateway", password="right-secret")).start()
    nginx.put("fw.bin", b"x")
    assert list(probe(index_url=nginx.url, credentials="basic", user="gateway", password="right-secret").objects())
    wrong = probe(index_url=nginx.url, credentials="basic", user="gateway", password="wrong-secret").ask("list", 10)
    assert wrong["status"] == store_probe.DENIED and "'password'" in wrong["message"]
    assert "wrong-secret" not in wrong["message"]
    none = probe(index_url=nginx.url).ask("list", 10)
    assert none["status"] == store_probe.DENIED and "'credentials'" in none["message"]
    bearer = probe(index_url=nginx.url, credentials="bearer", token="t0ken").ask("list", 10)
    assert bearer["status"] == store_probe.DENIED and "'token'" in bearer["message"]
    nowhere = probe(index_url=nginx.url + "no/", credentials="basic", user="gateway", password="right-secret")
    answer = nowhere.ask("list", 10)
    assert answer["status"] == store_probe.PERMANENT and "'index_url'" in answer["message"]


def test_credentials_go_to_the_configured_server_only(owner, probe):
    """Files on another server, named by the index and by a redirect: neither sees the credentials."""
    other = owner.add(Nginx(
        extra="location /open/ { if ($http_authorization) { return 418; } alias %DATA%/; }")).start()
    other.put("fw.bin", image(5000))
    home = owner.add(Nginx(user="gateway", password="s3cret",
                           extra=f"location /moved/ {{ rewrite ^/moved/(.*)$ {other.url}open/$1 redirect; }}"
                                 "location /loop { return 302 /loop; }")).start()
    said = {"name": "fw", "sha256": sha256(image(5000)), "size": 5000}
    url = home.index([{**said, "version": "1.0.0", "url": other.url + "open/fw.bin"},
                      {**said, "version": "2.0.0", "url": "moved/fw.bin"}, {**said, "version": "3.0.0", "url": "loop"}])
    store = probe(index_url=url, credentials="basic", user="gateway", password="s3cret")
    listed = store.objects()
    assert set(listed) == {other.url + "open/fw.bin", "moved/fw.bin", "loop"}
    for key in (other.url + "open/fw.bin", "moved/fw.bin"):
        fetched = store.fetch(key, listed[key]["token"], 0, 5000)
        assert fetched["status"] == store_probe.OK and fetched["sha256"] == sha256(image(5000)), fetched
    loop = store.fetch("loop", listed["loop"]["token"])
    assert loop["status"] == store_probe.PERMANENT and "redirects" in loop["message"], loop
    # The check can fail: whoever does send them is seen.
    request = urllib.request.Request(other.url + "open/fw.bin")
    request.add_header("Authorization", "Basic " + base64.b64encode(b"a:b").decode())
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request)


def test_a_listing_that_is_none_says_what_it_must_be(nginx, probe):
    nginx.put("index.html", b"<html>welcome</html>")
    page = probe(index_url=nginx.url + "index.html").ask("list", 10)
    assert page["status"] == store_probe.PERMANENT and "autoindex_format json" in page["message"], page
    nginx.put("sub/x", b"")
    moved = probe(index_url=nginx.url + "sub").ask("list", 10)
    assert moved["status"] == store_probe.PERMANENT and "/sub/" in moved["message"], moved
    circle = probe(index_url=nginx.index([], next="index.json")).ask("list", 10)
    assert circle["status"] == store_probe.PERMANENT and "circle" in circle["message"], circle


def test_depth_bounds_the_folders(nginx, probe):
    for path in ("0.bin", "a/1.bin", "a/b/2.bin"):
        nginx.put(path, b"x")
    assert set(probe(index_url=nginx.url, depth=0).objects()) == {"0.bin"}
    assert set(probe(index_url=nginx.url, depth=1).objects()) == {"0.bin", "a/1.bin"}
    assert set(probe(index_url=nginx.url + "a/").objects()) == {"1.bin", "b/2.bin"}


def test_ten_thousand_entries(nginx, probe):
    nginx.put("fw.bin", b"abc")
    entries = [{"name": "fw", "version": f"1.{n}.0", "url": f"v/{n}.bin", "sha256": sha256(str(n).encode()), "size": 3}
               for n in range(10_000)]
    store = probe(index_url=nginx.index(entries))
    answer = store.ask("count", 1000)
    assert answer["status"] == store_probe.OK and answer["count"] == 10_000
    assert answer["grown_kib"] < 24 * 1024, answer
    begun = time.monotonic()
    before = len(requests(nginx))
    assert store.ask("count", 1000)["count"] == 10_000
    assert requests(nginx)[before:] == [("GET", 304)]
    assert time.monotonic() - begun < 20


def test_the_server_away_is_worth_another_try(nginx, probe):
    nginx.put("fw.bin", b"x")
    store = probe(index_url=nginx.url)
    assert list(store.objects()) == ["fw.bin"]
    nginx.stop()
    assert store.ask("list", 10)["status"] == store_probe.TRANSIENT
    nginx.start()
    assert list(store.objects()) == ["fw.bin"]
