# ctest-timeout: 600
"""The azure plugin against a real Blob service, filled by Microsoft's client; no gateway in between."""
import base64
import contextlib
import http.server
import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from support import object_cases as cases
from support import store_probe
from support.azure import Azurite
from support.clients import image, sha256
from support.store_probe import StoreProbe
from support.tools import scaled

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT_SECRET = "client~secret/of+tests=only&"


@pytest.fixture
def probe(build_dir, owner):
    return lambda options, env=None: owner.add(StoreProbe(build_dir, "azure", options, env))


def without(options, *names):
    return {name: value for name, value in options.items() if name not in names}


def sas_options(azure, permission="rl", **more):
    token = azure.secret(azure.sas(permission) + "\n", f"sas-{permission}")
    return {**without(azure.options(), "account_key"), "sas_token": token, **more}


def test_keys_of_all_kinds_come_back_byte_identical(azure, probe):
    cases.keys_of_all_kinds(azure, [probe(azure.options()), probe(sas_options(azure))])


def test_ranges_join_to_the_whole(azure, probe):
    cases.ranges_join(azure, probe(azure.options()))


def test_an_empty_blob_is_fetched_as_nothing(azure, probe):
    cases.nothing_in_an_empty_object(azure, probe(azure.options()))


def test_pages_prefix_and_delimiter(azure, probe):
    keys = {f"fw/{n % 7} {n}+.bin" for n in range(40)}
    for key in keys | {"top.bin"}:
        azure.put(key, b"x")
    store = probe(azure.options())
    for limit in (1000, 7):
        found = [one["key"] for one in store.ask("list", limit)["objects"]]
        assert len(found) == len(keys) + 1 and set(found) == keys | {"top.bin"}
        assert found == sorted(found)
    assert set(probe(azure.options(prefix="fw/3 ")).objects()) == {key for key in keys if key.startswith("fw/3 ")}
    assert set(probe(azure.options(delimiter="/")).objects()) == {"top.bin"}
    assert set(probe(azure.options(prefix="fw/", delimiter="/")).objects(7)) == keys


def test_metadata_and_tags_come_with_the_list(azure, probe, make_proxy):
    azure.put("fw.bin", b"abc", index_tags={"Type": "esp32", "name": "lost: metadata wins"}, name="probe", Version="1.2.3")
    uplink = make_proxy(azure.port)
    found = probe(azure.options(endpoint=azure.at(uplink.port))).objects()["fw.bin"]
    assert found["metadata"] == {"name": "probe", "version": "1.2.3"}
    found = probe(azure.options(endpoint=azure.at(uplink.port), tags=True)).objects()["fw.bin"]
    assert found["metadata"] == {"name": "probe", "version": "1.2.3", "type": "esp32"}
    assert uplink.count(method="HEAD") == 0 and uplink.count() == 2


def test_snapshots_and_folders_are_not_listed(azure, probe):
    azure.put("fw.bin", b"new")
    blob = azure.client().get_blob_client("fw.bin")
    blob.create_snapshot()
    blob.upload_blob(b"newer", overwrite=True)
    azure.put("folder", b"", hdi_isfolder="true")
    azure.put("folder/", b"")
    azure.put("folder/inside.bin", b"x")
    listed = probe(azure.options()).objects()
    assert sorted(listed) == ["folder/inside.bin", "fw.bin"]
    assert listed["fw.bin"]["size"] == 5


def test_a_replaced_blob_never_mixes(azure, probe):
    cases.replaced_never_mixes(azure, probe(azure.options()))


def test_wrong_credentials_say_what_to_check(azure, probe):
    azure.put("fw.bin", b"x")
    wrong = base64.b64encode(b"another key of 64 bytes, which opens nothing whatsoever here....").decode()
    refused = probe({**azure.options(), "account_key": wrong}).ask("list", 10)
    assert refused["status"] == store_probe.DENIED
    assert "account_key" in refused["message"] and wrong not in refused["message"]
    nobody = probe({**without(azure.options(), "account_key", "account"), "anonymous": True}).ask("list", 10)
    assert nobody["status"] in (store_probe.DENIED, store_probe.PERMANENT), nobody
    assert "container" in nobody["message"]
    elsewhere = probe(azure.options(container="nowhere")).ask("list", 10)
    assert elsewhere["status"] == store_probe.PERMANENT and "'container'" in elsewhere["message"], elsewhere


def test_a_sas_token_is_in_no_message_and_makes_no_urls(azure, probe):
    azure.put("fw.bin", b"x")
    reader = azure.sas("r")
    signature = urllib.parse.parse_qs(reader)["sig"][0]
    store = probe(sas_options(azure, "r"))
    refused = store.ask("list", 10)
    assert refused["status"] == store_probe.DENIED, refused
    for secret in (signature, urllib.parse.quote(signature, safe=""), "sig="):
        assert secret not in refused["message"]
    assert store.fetch("fw.bin")["status"] == store_probe.OK
    assert store.ask("presign", "fw.bin", "", False, 60_000)["status"] == store_probe.UNSUPPORTED
    ended = azure.sas("rl", expiry="2020-01-01T00:00:00Z")
    options = {**without(azure.options(), "account_key"), "sas_token": "?" + ended}
    assert probe(options).ask("list", 10)["status"] == store_probe.DENIED


def test_a_connection_string_is_enough(azure, probe):
    azure.put("fw.bin", b"x")
    options = {"container": azure.container, "connection_string": azure.connection_string()}
    assert list(probe(options).objects()) == ["fw.bin"]
    signed = f"BlobEndpoint={azure.endpoint};SharedAccessSignature={azure.sas()}"
    assert list(probe({**options, "connection_string": signed}).objects()) == ["fw.bin"]
    bad = azure.connection_string().replace("AccountKey=", "AccountKey=!")
    refused = probe({**options, "connection_string": bad}).created
    assert refused["status"] == store_probe.INVALID and "AccountKey" in refused["message"]
    assert azure.key not in refused["message"]


def test_a_presigned_url_opens_one_blob(azure, probe):
    azure.put("a b/c+d%/ü.bin", b"presigned")
    azure.put("other", b"closed")
    store = probe(azure.options())
    token = store.objects()["a b/c+d%/ü.bin"]["token"]
    made = store.ask("presign", "a b/c+d%/ü.bin", token, False, 60_000)
    assert made["status"] == store_probe.OK, made
    with urllib.request.urlopen(made["url"]) as answer:
        assert answer.read() == b"presigned"
    head = store.ask("presign", "a b/c+d%/ü.bin", token, True, 60_000)["url"]
    with urllib.request.urlopen(urllib.request.Request(head, method="HEAD")) as answer:
        assert answer.headers["Content-Length"] == "9"
    query = made["url"].partition("?")[2]
    for how in (urllib.request.Request(f"{azure.endpoint}/{azure.container}/other?{query}"),
                urllib.request.Request(made["url"], method="DELETE"),
                f"{azure.endpoint}/{azure.container}?restype=container&comp=list&{query}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(how)
        assert refused.value.code == 403
    azure.put("a b/c+d%/ü.bin", b"replaced!")
    assert store.ask("presign", "nothing", "", False, 1000)["status"] == store_probe.NOT_FOUND
    assert probe(azure.options()).ask("presign", "a b/c+d%/ü.bin", token, False, 1000)["status"] == store_probe.CHANGED


def test_what_it_publishes_microsofts_client_reads(azure, probe, tmp_path):
    data = image(700_000)
    file = tmp_path / "fw.bin"
    file.write_bytes(data)
    store = probe(azure.options(publish=True, prefix="made/"))
    made = store.ask("publish", str(file), sha256(data), "made/a b+ü.bin", {"name": "probe", "version": "1.0.0"})
    assert made["status"] == store_probe.OK, made
    blob = azure.client().get_blob_client("made/a b+ü.bin")
    assert blob.download_blob().readall() == data
    properties = blob.get_blob_properties()
    assert properties.metadata == {"name": "probe", "version": "1.0.0", "sha256": sha256(data)}
    listed = store.objects()["made/a b+ü.bin"]
    assert listed["token"] == made["objects"][0]["token"]
    assert listed["metadata"]["sha256"] == sha256(data)
    made = store.ask("publish", str(file), sha256(data), "", {"name": "probe", "version": "1.0.0"})
    assert made["objects"][0]["key"] == f"made/probe/probe-1.0.0-{sha256(data)[:12]}.bin"
    lie = store.ask("publish", str(file), sha256(b"else"), "made/lie", {})
    assert lie["status"] == store_probe.INVALID
    assert "made/lie" not in store.objects()


def test_an_unchanged_container_costs_only_lists(azure, probe, make_proxy):
    for number in range(5):
        azure.put(f"fw{number}", image(1000, seed=number))
    uplink = make_proxy(azure.port)
    store = probe(azure.options(endpoint=azure.at(uplink.port)))
    first = store.objects()
    uplink.reset_counts()
    assert store.objects() == first
    path = f"/{azure.account}/{azure.container}"
    assert [(one.method, one.path.partition("?")[0]) for one in uplink.requests] == [("GET", path)]
    assert uplink.connections == 0  # the warm one was used


def test_a_range_goes_out_with_its_condition(azure, probe, make_proxy):
    uplink = make_proxy(azure.port)
    cases.range_goes_out_with_its_condition(azure, probe(azure.options(azure.at(uplink.port))), uplink)


def test_a_cut_uplink_ends_the_attempt(azure, probe, make_proxy):
    uplink = make_proxy(azure.port, rate=1_000_000)
    cases.cut_uplink_ends_the_attempt(azure, probe(azure.options(azure.at(uplink.port))), uplink)


def test_ten_thousand_blobs_in_little_memory(azure, probe):
    count = scaled(10_000, 1500)
    azure.put_many(f"part-{number % 10}/firmware image-{number:06}.bin" for number in range(count))
    answer = probe(azure.options()).ask("count", 1000)
    assert answer["status"] == store_probe.OK, answer
    assert answer["count"] == count
    assert answer["grown_kib"] < 20 * 1024, answer


# Entra ID


class TokenServer:
    """Gives tokens as Entra ID's token endpoint does (RFC 6749, 4.4), with claims that Azurite takes."""

    def __init__(self, cert, key):
        self.requests, self.lifetime, self.refuse = [], 3600, None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.requests.append((self.path, {name: values[0] for name, values in form.items()}))
                status, body = outer.answer(form)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/{TENANT}/oauth2/v2.0/token"

    def answer(self, form):
        if form.get("client_secret") != [CLIENT_SECRET]:
            return 401, json.dumps({"error": "invalid_client", "error_description":
                                    "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x"}).encode()
        now = int(time.time())
        claims = {"aud": "https://storage.azure.com", "iss": f"https://sts.windows.net/{TENANT}/", "iat": now - 60,
                  "nbf": now - 60, "exp": now + self.lifetime, "oid": "99999999-aaaa-bbbb-cccc-dddddddddddd",
                  "tid": TENANT, "jti": str(len(self.requests))}
        parts = [{"alg": "none", "typ": "JWT"}, claims]
        token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
        return 200, json.dumps({"token_type": "Bearer", "expires_in": 3599, "access_token": token + ".c2ln"}).encode()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def azurite_tls():
    server = Azurite(tls=True)
    with contextlib.closing(server):
        yield server.start()


@pytest.fixture
def tokens(azurite_tls, owner):
    return owner.add(TokenServer(azurite_tls.cert, azurite_tls.folder / "key.pem"))


@pytest.fixture
def entra(azurite_tls, tokens):
    """Options of a store that logs in with Entra ID, and its container."""
    azure = azurite_tls.with_container(f"entra-{time.time_ns()}")
    options = {**without(azure.options(), "account_key"), "client_id": "the-client", "client_secret": CLIENT_SECRET,
               "token_endpoint": tokens.url}
    return options, azure


def test_one_token_of_entra_id_serves_many_calls(entra, tokens, probe):
    options, azure = entra
    data = image(300_000)
    azure.put("a b/ü.bin", data, name="probe")
    store = probe(options)
    listed = store.objects()
    assert listed["a b/ü.bin"]["metadata"] == {"name": "probe"}
    assert store.fetch("a b/ü.bin", listed["a b/ü.bin"]["token"])["sha256"] == sha256(data)
    ((path, form),) = tokens.requests
    assert path == f"/{TENANT}/oauth2/v2.0/token"
    assert form == {"grant_type": "client_credentials", "client_id": "the-client", "client_secret": CLIENT_SECRET,
                    "scope": "https://storage.azure.com/.default"}


def test_a_token_that_ended_is_fetched_again(entra, tokens, probe):
    options, azure = entra
    azure.put("fw.bin", b"x")
    tokens.lifetime = 2  # although it says an hour
    store = probe(options)
    assert list(store.objects()) == ["fw.bin"]

    def refused():
        answer = store.ask("list", 10)
        return answer if answer["status"] != store_probe.OK else None

    end = time.monotonic() + 20
    while not (answer := refused()):
        assert time.monotonic() < end, "the token never ended"
    assert answer["status"] == store_probe.TRANSIENT, answer
    tokens.lifetime = 3600
    assert list(store.objects()) == ["fw.bin"]
    assert len(tokens.requests) == 2


def test_a_wrong_client_secret_is_told_and_not_shown(entra, tokens, probe):
    options, _ = entra
    refused = probe({**options, "client_secret": "wrong-client-secret"}).ask("list", 10)
    assert refused["status"] == store_probe.DENIED, refused
    assert "'client_secret'" in refused["message"] and "AADSTS7000215" in refused["message"]
    assert "wrong-client-secret" not in refused["message"] and "Trace" not in refused["message"]
    unprotected = probe({**options, "token_endpoint": "http://login.example/token"}).created
    assert unprotected["status"] == store_probe.INVALID and "https" in unprotected["message"]


def test_a_delegation_key_signs_urls(entra, tokens, probe):
    options, azure = entra
    azure.put("a b/c+d%/ü.bin", b"presigned")
    azure.put("other", b"closed")
    store = probe(options)
    token = store.objects()["a b/c+d%/ü.bin"]["token"]
    made = store.ask("presign", "a b/c+d%/ü.bin", token, False, 60_000)
    assert made["status"] == store_probe.OK, made
    trusted = ssl.create_default_context(cafile=str(azure.cert))
    with urllib.request.urlopen(made["url"], context=trusted) as answer:
        assert answer.read() == b"presigned"
    with pytest.raises(urllib.error.HTTPError) as refused:
        query = made["url"].partition("?")[2]
        urllib.request.urlopen(f"{azure.endpoint}/{azure.container}/other?{query}", context=trusted)
    assert refused.value.code == 403


def test_tls_with_a_certificate_of_ones_own(azurite_tls, probe):
    azurite_tls.put("over tls", b"x")
    assert "over tls" in probe(azurite_tls.options()).objects()
    refused = probe(without(azurite_tls.options(), "ca_file")).ask("list", 10)
    assert refused["status"] == store_probe.PERMANENT and "ca_file" in refused["message"]
