"""`redirect = true`: a device is sent to a presigned URL of the bucket, on a real S3 server, and only those
are who may have the firmware."""
import re
import urllib.error
import urllib.parse
import urllib.request

import pytest

from support.clients import coap_get_patiently, curl, image, sha256
from support.net import eventually

KEY = "a b/c+d%/ü.bin"  # what a URL has to escape
PATH = "/firmware/app/1.0.0"
BODY = image(700_000, 11)


@pytest.fixture
def make_site(gateway, s3, make_proxy):
    """make_site(**http options) -> the proxy before the bucket; the gateway serves /firmware/app/1.0.0/edge."""

    def make(credentials=(), **options):
        s3.put(KEY, BODY, name="app", version="1.0.0", type="edge")
        proxy = make_proxy(s3.port)
        gateway.add_store("bucket", "s3", s3.options(proxy.endpoint), metadata="always", interval="1h", redirect=True,
                          expiry="2m", prefetch=False)
        gateway.add_http(**options)
        gateway.add_coap()
        gateway.config["credential"] += credentials
        gateway.start()
        gateway.wait_log("http: listening on")
        gateway.wait_log("listed: app/1.0.0/edge", 20)
        return proxy

    return make


def test_a_device_follows_to_the_bucket_and_gets_the_same_bytes(make_site, gateway, s3):
    make_site()
    answer = gateway.get(PATH)
    assert answer.status == 307 and answer.headers["Cache-Control"] == "no-store"
    where = urllib.parse.urlsplit(answer.headers["Location"])
    query = urllib.parse.parse_qs(where.query)
    assert urllib.parse.unquote(where.path) == f"/{s3.bucket}/{KEY}"
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert 1 <= int(query["X-Amz-Expires"][0]) <= 120, "no longer than `expiry`"
    assert curl("--location", "--max-redirs", "1", gateway.url(PATH)) == BODY
    assert curl("--location", "--range", "1000-1999", gateway.url(PATH)) == BODY[1000:2000]
    stats = gateway.api("/cache")
    assert (stats["fetched_bytes"], stats["fills_completed"]) == (0, 0), "the bytes went past the gateway"
    assert query["X-Amz-Signature"][0] not in gateway.log, "a signature in the log"


def test_head_is_signed_for_head(make_site, gateway):
    make_site()
    answer = gateway.get(PATH, method="HEAD")
    assert answer.status == 307 and answer.body == b""
    url = answer.headers["Location"]
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD")) as there:
        assert int(there.headers["Content-Length"]) == len(BODY)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    assert refused.value.code == 403
    head = curl("--location", "--head", gateway.url(PATH)).decode()
    assert re.search(rf"(?im)^content-length: {len(BODY)}\r?$", head.split("\r\n\r\n")[1])


def test_the_url_opens_that_object_only(make_site, gateway, s3):
    make_site()
    s3.put("a b/other.bin", b"another object")
    url = gateway.get(PATH).headers["Location"]
    for changed in (url.replace(urllib.parse.quote("ü.bin"), "x.bin"), re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=604800", url)):
        assert changed != url
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(changed)
        assert refused.value.code in (403, 404)


def test_nobody_is_sent_where_he_may_not_go(make_site, gateway, tmp_path):
    for name in ["edge", "camera"]:
        (tmp_path / name).write_text(f"{name}-very-secret-word\n")
        (tmp_path / name).chmod(0o600)
    make_site(anonymous=False, credentials=[
        {"name": name, "kind": "token", "secret": {"file": str(tmp_path / name)}, "type": name}
        for name in ["edge", "camera"]])
    blob = "/blobs/sha256/" + sha256(BODY)
    allowed = {"Authorization": "Bearer edge-very-secret-word"}
    assert gateway.get(PATH, allowed).status == 307
    for method in ["GET", "HEAD"]:
        for path in [PATH, PATH + "/edge", "/firmware/app/latest", blob]:
            for headers, status in [({}, 401), ({"Authorization": "Bearer wrong"}, 401),
                                    ({"Authorization": "Bearer camera-very-secret-word"}, 404)]:
                answer = gateway.get(path, headers, method=method)
                assert (answer.status, answer.headers["Location"]) == (status, None), (method, path, headers)
    # One connection, one after the other: what one was told is no answer for the next.
    connection = gateway.http()
    for _ in range(3):
        for word, status in [("edge", 307), ("camera", 404)]:
            connection.request("GET", PATH, headers={"Authorization": f"Bearer {word}-very-secret-word"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
    connection.close()


def test_without_the_bucket_the_cache_serves(make_site, gateway):
    proxy = make_site(wait_timeout="1s")
    item = gateway.catalog()[0]
    # CoAP has no redirects: it fills the cache.
    assert coap_get_patiently(gateway.coap_url(item["url"])).body == BODY
    proxy.cut()
    # What was seen in the bucket just now is taken to be there still, for half a minute at most.
    served = eventually(lambda: (a := gateway.get(PATH)).status == 200 and a, 60, interval=1, what="the cache's copy")
    assert served.body == BODY
    proxy.restore()
    eventually(lambda: gateway.get(PATH).status == 307, 60, interval=1, what="the bucket again")
