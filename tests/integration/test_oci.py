# ctest-timeout: 900
"""Repositories of real registries as a store: filled by skopeo and curl, read through the gateway by curl."""
import contextlib
import hashlib
import json
import re
import subprocess
import threading

import pytest

from support import oci, store_probe
from support.certificate import self_signed
from support.clients import curl, image, sha256
from support.net import eventually
from support.oci import BYTES, TITLE, TokenServer, layer_of
from support.store_probe import StoreProbe
from support.tools import need, scaled

KINDS = ["docker-registry", "registry"]


@pytest.fixture(params=KINDS)
def registry(request, make_registry):
    return make_registry(request.param)


@pytest.fixture
def tokens(owner, tmp_path):
    return owner.add(TokenServer(tmp_path))


@pytest.fixture
def probe(build_dir, owner):
    return lambda options: owner.add(StoreProbe(build_dir, "oci", options))


def start(gateway, options, **keys):
    gateway.add_store("registry", "oci", options, **{"interval": "10m", **keys})
    gateway.add_http()
    gateway.start()

    def answers():
        with contextlib.suppress(ConnectionRefusedError):
            return gateway.get("/firmware").status == 200

    eventually(answers, what="the listener")
    return gateway


def sync(gateway):
    gateway.api("/stores/registry/sync", "POST")


def store_status(gateway, text):
    """The store's status once it says `text`."""
    return eventually(
        lambda: next((one for one in gateway.api("/stores")["items"] if text in json.dumps(one)), None), 20,
        what=f"{text!r} in the status",
    )


# The layouts


def test_each_layout_is_served_byte_identical(gateway, registry):
    images = {name: image(300_000 + n, seed=n) for n, name in enumerate(
        ["plain", "annotated", "label", "root", "named", "files"])}
    # Drogue since 2022: the first layer of bytes, the version is the tag.
    registry.push_firmware("vendor/plain", "1.0.0", images["plain"])
    # Annotations say it all.
    registry.push_artifact("vendor/any", "v7", [(BYTES, images["annotated"], {TITLE: "x.bin"})],
                           {"io.otagate.name": "annotated", "io.otagate.type": "esp32",
                            "org.opencontainers.image.version": "1.0.0"})
    # Drogue before: an image with a label and the file `firmware`.
    label = {"version": "1.0.0", "size": len(images["label"]), "checksum": "sha256:" + sha256(images["label"])}
    registry.skopeo_image("vendor/label", "old", [layer_of({"firmware": images["label"]})],
                          {"io.drogue.metadata": json.dumps(label)})
    # Drogue's documentation: two files in the image's root.
    said = {"version": "1.0.0", "size": len(images["root"]), "checksum": sha256(images["root"])}
    registry.skopeo_image("vendor/root", "latest", [
        layer_of({"etc/hosts": b"127.0.0.1 localhost\n"}),
        layer_of({"./firmware.bin": images["root"]}),
        layer_of({"firmware.json": json.dumps(said).encode()}),
    ])
    # ORAS: a layer that is named as a file, whatever its media type.
    registry.push_artifact("vendor/named", "1.0.0", [
        ("application/vnd.oci.image.layer.v1.tar", images["named"], {TITLE: "named.bin"})])
    # Several files, of which those with annotations count.
    registry.push_artifact("vendor/many", "1.0.0", [
        ("text/markdown", b"# read me", {TITLE: "README.md"}),
        (BYTES, images["files"], {TITLE: "files.bin", "io.otagate.name": "files", "io.otagate.type": "nrf"})])
    start(gateway, registry.options(*(f"vendor/{one}" for one in ["plain", "any", "label", "root", "named", "many"])))
    for name, data in images.items():
        gateway.wait_firmware(name, "1.0.0", 20)
        assert curl(gateway.url(f"/firmware/{name}/1.0.0")) == data, name
        gateway.wait_firmware(name, "1.0.0", sha256=sha256(data))
    assert len(gateway.catalog()) == len(images)


def test_an_index_gives_each_device_type_its_own(gateway, registry):
    parts = {"linux-arm-v7": image(200_000, seed=1), "nrf52840": image(200_000, seed=2)}
    listed = []
    for more, data in zip([{"platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
                           {"annotations": {"io.otagate.type": "nrf52840"}}], parts.values()):
        name = registry.push_firmware("vendor/multi", None, data)
        listed.append((name, registry.manifest_size("vendor/multi", name), more))
    # What build tools add about the others is no firmware.
    listed.append((*listed[0][:2], {"platform": {"os": "unknown", "architecture": "unknown"}}))
    registry.push_index("vendor/multi", "2.0.0", listed)
    start(gateway, registry.options("vendor/multi"))
    for kind, data in parts.items():
        gateway.wait_firmware("multi", "2.0.0", 20, type=kind)
        assert curl(gateway.url(f"/firmware/multi/2.0.0/{kind}")) == data
    assert len(gateway.catalog()) == 2
    assert gateway.get("/firmware/multi/2.0.0").status == 300


def test_an_ordinary_image_is_skipped_with_its_reason(gateway, registry):
    registry.skopeo_image("vendor/app", "1.0.0", [layer_of({"bin/app": b"x" * 5000})])
    registry.push_firmware("vendor/app", "2.0.0", image(10_000))
    start(gateway, registry.options("vendor/app"))
    gateway.wait_firmware("app", "2.0.0", 20)
    gateway.wait_log("vendor/app:1.0.0.*the container image has no /firmware")
    assert [one["version"] for one in gateway.catalog()] == ["2.0.0"]


# Tags and digests


def test_a_tag_that_moves_is_the_new_firmware(gateway, registry):
    old, new = image(400_000, seed=1), image(400_000, seed=2)
    registry.push_firmware("vendor/fw", "stable", old, version="1.0.0")
    start(gateway, registry.options("vendor/fw"))
    gateway.wait_firmware("fw", "1.0.0", 20)
    assert curl(gateway.url("/firmware/fw/1.0.0")) == old
    registry.push_firmware("vendor/fw", "stable", new, version="1.1.0")
    sync(gateway)
    gateway.wait_firmware("fw", "1.1.0", 20, sha256=sha256(new))
    assert curl(gateway.url("/firmware/fw/1.1.0")) == new
    assert [one["version"] for one in gateway.catalog()] == ["1.1.0"]


def test_a_pinned_digest_stays_whatever_the_tag_names(gateway, registry):
    old, new = image(300_000, seed=1), image(300_000, seed=2)
    name = registry.push_firmware("vendor/fw", "1.0.0", old)
    registry.push_firmware("vendor/fw", "1.0.0", new)
    start(gateway, registry.options(f"vendor/fw:1.0.0@{name}"))
    gateway.wait_firmware("fw", "1.0.0", 20, sha256=sha256(old))
    assert curl(gateway.url("/firmware/fw/1.0.0")) == old
    sync(gateway)
    assert curl(gateway.url("/firmware/fw/1.0.0")) == old


def test_only_the_tags_that_are_wanted(gateway, registry):
    for tag in ["1.0.0", "1.1.0", "2.0.0", "1.2.0-rc1", "nightly"]:
        registry.push_firmware("vendor/fw", tag, tag.encode())
    registry.push_firmware("vendor/other", "5", b"other")
    start(gateway, registry.options("vendor/fw", "vendor/other:5", tags=["1.*"], ignore_tags=["*-rc*"]))
    gateway.wait_firmware("other", "5", 20)
    gateway.wait_firmware("fw", "1.1.0", 20)
    assert sorted(one["version"] for one in gateway.catalog()) == ["1.0.0", "1.1.0", "5"]


def test_a_tag_that_is_deleted_leaves_the_catalog(gateway, make_registry):
    registry = make_registry("docker-registry")
    name = registry.push_firmware("vendor/fw", "1.0.0", image(10_000, seed=1))
    registry.push_firmware("vendor/fw", "1.1.0", image(10_000, seed=2))
    start(gateway, registry.options("vendor/fw"))
    gateway.wait_firmware("fw", "1.0.0", 20)
    registry.delete_manifest("vendor/fw", name)
    sync(gateway)
    eventually(lambda: [one["version"] for one in gateway.catalog()] == ["1.1.0"], 20, what="one version less")


def test_many_tags_come_page_by_page(registry, probe):
    count = scaled(300, 60)
    blob, config = registry.push_blob("vendor/fw", b"same bytes"), registry.push_blob("vendor/fw", b"{}")
    document = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "artifactType": "application/vnd.x",
                "config": {"mediaType": "application/vnd.x", **config},
                "layers": [{"mediaType": BYTES, **blob}]}
    for number in range(count):
        registry.push_manifest("vendor/fw", f"1.0.{number}", document)
    store = probe(registry.options("vendor/fw", referrers=False))
    wanted = {f"vendor/fw:1.0.{number}" for number in range(count)}
    for limit in (1000, 7):
        answer = store.ask("list", limit)
        found = [one["key"] for one in answer["objects"]]
        assert len(found) == count and set(found) == wanted, limit


def test_unchanged_tags_cost_a_list_and_a_head_each(gateway, registry, make_proxy):
    for number in range(5):
        registry.push_firmware("vendor/fw", f"1.0.{number}", image(1000, seed=number))
    uplink = make_proxy(registry.port)
    start(gateway, registry.options("vendor/fw", endpoint=uplink.endpoint))
    gateway.wait_firmware("fw", "1.0.4", 20)
    eventually(lambda: uplink.count("HEAD") >= 5, 20, what="the first listing")
    uplink.reset_counts()
    sync(gateway)
    eventually(lambda: uplink.count("HEAD") >= 5, 20, what="a second listing")
    assert sorted((one.method, one.path.partition("?")[0]) for one in uplink.requests) == sorted(
        [("GET", "/v2/vendor/fw/tags/list")] + [("HEAD", f"/v2/vendor/fw/manifests/1.0.{n}") for n in range(5)])


def test_what_refers_to_a_manifest_is_listed(registry, probe):
    name = registry.push_firmware("vendor/fw", "1.0.0", b"signed")
    signature = registry.push_artifact("vendor/fw", "signature", [(BYTES, b"signature", None)])
    size = registry.manifest_size("vendor/fw", signature)
    # As clients do where the server has no API for it (distribution specification, referrers tag schema).
    registry.push_index("vendor/fw", name.replace(":", "-"),
                        [(signature, size, {"artifactType": "application/vnd.example.signature"})])
    found = probe(registry.options("vendor/fw", ignore_tags=["signature"])).objects()
    assert list(found) == ["vendor/fw:1.0.0"]
    assert found["vendor/fw:1.0.0"]["metadata"]["referrers"] == f"application/vnd.example.signature {signature}"


# Signing in


def test_a_password_of_the_registrys_own(gateway, make_registry):
    registry = make_registry("docker-registry", auth="htpasswd")
    data = image(300_000)
    registry.push_firmware("vendor/fw", "1.0.0", data)
    start(gateway, registry.options("vendor/fw"))
    gateway.wait_firmware("fw", "1.0.0", 20)
    assert curl(gateway.url("/firmware/fw/1.0.0")) == data


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_a_token_server(gateway, make_registry, tokens, kind):
    registry = make_registry(kind, auth=tokens)
    data = image(700_000)
    registry.push_firmware("vendor/fw", "1.0.0", data)
    tokens.asked.clear()
    start(gateway, registry.options("vendor/fw"))
    gateway.wait_firmware("fw", "1.0.0", 20)
    assert curl(gateway.url("/firmware/fw/1.0.0")) == data
    assert len(tokens.asked) == 1, "one token serves the repository"
    assert "scope=repository%3Avendor%2Ffw%3Apull" in tokens.asked[0][1]
    assert oci.PASSWORD not in gateway.log


def test_a_token_that_ended_is_asked_for_again(make_registry, tokens, probe):
    tokens.lifetime = -100  # over when it arrives, by the registry's clock
    registry = make_registry("docker-registry", auth=tokens)
    store = probe(registry.options("vendor/fw"))
    assert store.ask("list", 10)["status"] == store_probe.DENIED
    tokens.lifetime = 300
    registry.push_firmware("vendor/fw", "1.0.0", b"x")
    assert list(store.objects()) == ["vendor/fw:1.0.0"]


def test_anonymous_tokens(make_registry, tokens, probe):
    registry = make_registry("docker-registry", auth=tokens)
    registry.push_firmware("vendor/fw", "1.0.0", b"public")
    options = {"registry": registry.url, "repositories": ["vendor/fw"]}
    refused = probe(options).ask("list", 10)
    assert refused["status"] == store_probe.DENIED and "username" in refused["message"], refused
    tokens.anonymous = True
    tokens.asked.clear()
    assert list(probe(options).objects()) == ["vendor/fw:1.0.0"]
    assert [one[2] for one in tokens.asked] == [""]


def test_the_file_that_docker_keeps(make_registry, tokens, probe, tmp_path):
    registry = make_registry("docker-registry", auth=tokens)
    registry.push_firmware("vendor/fw", "1.0.0", b"x")
    config = tmp_path / "config.json"
    options = {"registry": registry.url, "repositories": ["vendor/fw"], "token_realms": [tokens.url],
               "docker_config": {"file": str(config)}}
    # Written by a client of this kind itself.
    subprocess.run([need("skopeo"), "login", "--tls-verify=false", "--authfile", config,
                    "-u", oci.USER, "--password-stdin", registry.host], input=oci.PASSWORD, text=True, check=True,
                   capture_output=True)
    assert list(probe(options).objects()) == ["vendor/fw:1.0.0"]
    config.write_text(json.dumps({"auths": {registry.host: {"identitytoken": tokens.refresh_token}}}))
    assert list(probe(options).objects()) == ["vendor/fw:1.0.0"]
    assert "grant_type=refresh_token" in tokens.asked[-1][1]
    config.write_text(json.dumps({"auths": {}, "credsStore": "desktop"}))
    answer = probe(options).created
    assert answer["status"] == store_probe.INVALID and "docker_config" in answer["message"], answer


def test_wrong_credentials_are_told(gateway, make_registry):
    registry = make_registry("docker-registry", auth="htpasswd")
    secret = gateway.folder / "secret"
    secret.write_text("not-the-password-at-all")
    start(gateway, {**registry.options("vendor/fw"), "password": {"file": str(secret)}})
    store = store_status(gateway, "'password'")
    assert "not-the-password-at-all" not in json.dumps(store) + gateway.log


def test_credentials_go_to_no_realm_on_another_host(gateway, make_registry, tokens, owner, tmp_path):
    """The registry names the realm; whoever answers for it must not be sent the password at a place of his own."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    attacker = owner.add(TokenServer(elsewhere))
    registry = make_registry("docker-registry", auth=tokens, realm=attacker.url)
    start(gateway, {**registry.options("vendor/fw"), "token_realms": [tokens.url]})
    store = store_status(gateway, "token_realms")
    assert attacker.asked == []
    assert oci.PASSWORD not in json.dumps(store) + gateway.log


# What goes wrong


def test_a_cut_uplink_is_resumed(gateway, make_registry, make_proxy):
    registry = make_registry("docker-registry")
    data = image(6_000_000)
    registry.push_firmware("vendor/fw", "1.0.0", data)
    uplink = make_proxy(registry.port, rate=3_000_000)
    start(gateway, registry.options("vendor/fw", endpoint=uplink.endpoint))
    gateway.wait_firmware("fw", "1.0.0", 20)
    uplink.reset_counts()
    got = {}
    reader = threading.Thread(target=lambda: got.update(body=curl(gateway.url("/firmware/fw/1.0.0"), timeout=90)))
    reader.start()
    eventually(lambda: uplink.bytes_down > 1_500_000, 20, what="a part of the blob")
    uplink.cut()
    uplink.restore()
    reader.join()
    assert got["body"] == data
    # What had arrived was not asked for again: at most a segment and the tail of each connection.
    assert uplink.bytes_down < len(data) + 3_000_000


def test_a_registry_that_is_away_is_worth_another_try(registry, probe):
    registry.push_firmware("vendor/fw", "1.0.0", b"x")
    store = probe(registry.options("vendor/fw"))
    assert len(store.objects()) == 1
    registry.stop()
    assert store.ask("list", 10)["status"] == store_probe.TRANSIENT
    registry.start()
    assert len(store.objects()) == 1


def test_a_repository_that_is_not_there_is_named(registry, probe):
    answer = probe(registry.options("vendor/nothing")).ask("list", 10)
    assert answer["status"] == store_probe.PERMANENT and "'repositories'" in answer["message"], answer


def test_a_replaced_tag_never_mixes(registry, probe):
    old, new = image(300_000, seed=1), image(300_000, seed=2)
    name = registry.push_firmware("vendor/fw", "1.0.0", old)
    store = probe(registry.options("vendor/fw"))
    assert store.objects()["vendor/fw:1.0.0"]["token"] == name
    assert store.fetch("vendor/fw:1.0.0", name, 0, 100_000)["sha256"] == sha256(old[:100_000])
    registry.push_firmware("vendor/fw", "1.0.0", new)
    # A fill that has begun ends with the bytes it began with, named by their digest; no new one begins.
    assert store.fetch("vendor/fw:1.0.0", name, 100_000, 200_000)["sha256"] == sha256(old[100_000:])
    changed = store.fetch("vendor/fw:1.0.0", name, 0, 100_000)
    assert (changed["status"], changed["size"]) == (store_probe.CHANGED, 0), changed


def test_firmware_whose_checksum_is_wrong_is_not_listed(gateway, registry):
    label = {"version": "1.0.0", "checksum": hashlib.sha256(b"something else").hexdigest()}
    registry.skopeo_image("vendor/root", "1.0.0", [
        layer_of({"firmware.bin": image(10_000), "firmware.json": json.dumps(label).encode()})])
    start(gateway, registry.options("vendor/root"))
    gateway.wait_log("vendor/root:1.0.0.*checksum")
    assert gateway.catalog() == []


def test_tls_with_a_certificate_of_ones_own(make_registry, probe, tmp_path):
    cert, key = self_signed(tmp_path)
    registry = make_registry("docker-registry", cert=cert, key=key)
    registry.push_firmware("vendor/fw", "1.0.0", b"over tls")
    store = probe(registry.options("vendor/fw"))
    (found,) = store.objects().values()
    assert store.fetch(found["key"], found["token"])["sha256"] == sha256(b"over tls")
    without = registry.options("vendor/fw")
    del without["ca_file"]
    refused = probe(without).ask("list", 10)
    assert refused["status"] == store_probe.PERMANENT and "ca_file" in refused["message"], refused


# Publishing


@pytest.mark.parametrize("auth", [None, "htpasswd", "token"])
def test_what_it_publishes_other_clients_read(make_registry, tokens, probe, tmp_path, auth):
    registry = make_registry("docker-registry", auth=tokens if auth == "token" else auth)
    data = image(1_200_000)
    file = tmp_path / "fw.bin"
    file.write_bytes(data)
    store = probe(registry.options("vendor/fw", publish=True))
    said = {"name": "probe", "version": "1.2.3+4", "type": "esp32"}
    made = store.ask("publish", str(file), sha256(data), "", said)
    assert made["status"] == store_probe.OK, made
    (one,) = store.objects().values()
    assert one["key"] == "vendor/fw:probe-1.2.3_4-esp32" and one["sha256"] == sha256(data)
    assert {key: one["metadata"][key] for key in said} == said
    assert store.fetch(one["key"], one["token"])["sha256"] == sha256(data)
    folder = tmp_path / "copy"
    registry.skopeo("copy", f"docker://{registry.host}/{one['key']}", f"dir:{folder}")
    assert (folder / sha256(data)).read_bytes() == data
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["annotations"]["io.otagate.version"] == "1.2.3+4"
    assert sha256((folder / "manifest.json").read_bytes()) in one["token"]
    if not auth:
        assert registry.crane("digest", f"{registry.host}/{one['key']}").decode().strip() == one["token"]
        assert registry.crane("blob", f"{registry.host}/vendor/fw@sha256:{sha256(data)}") == data
    # The registry compares the bytes with the digest they are sent under.
    lie = store.ask("publish", str(file), sha256(b"else"), "", {"version": "9.9.9"})
    assert lie["status"] == store_probe.PERMANENT and len(store.objects()) == 1, lie
    # The same again is the same; other bytes do not take its place.
    assert store.ask("publish", str(file), sha256(data), "", said)["status"] == store_probe.OK
    file.write_bytes(b"other")
    refused = store.ask("publish", str(file), sha256(b"other"), "", said)
    assert refused["status"] == store_probe.PERMANENT and "is something else" in refused["message"], refused


def test_firmware_of_the_gateway_is_published(gateway, make_registry, tmp_path):
    registry = make_registry("docker-registry")
    data = image(500_000)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "app-3.0.0.bin").write_bytes(data)
    gateway.add_directory(folder, pattern=["{name}-{version}.bin"])
    start(gateway, registry.options("vendor/app", publish=True))
    gateway.wait_firmware("app", "3.0.0", 20)
    gateway.cli("firmware", "publish", "app/3.0.0", "--store", "registry")
    registry.skopeo("copy", f"docker://{registry.host}/vendor/app:3.0.0", f"dir:{tmp_path / 'copy'}")
    assert (tmp_path / "copy" / sha256(data)).read_bytes() == data


def test_publishing_to_a_registry_of_version_3(make_registry, probe, tmp_path):
    registry = make_registry("registry")
    data = image(400_000)
    file = tmp_path / "fw.bin"
    file.write_bytes(data)
    store = probe(registry.options("vendor/fw", publish=True))
    assert store.ask("publish", str(file), sha256(data), "", {"version": "1.0.0"})["status"] == store_probe.OK
    assert registry.crane("blob", f"{registry.host}/vendor/fw@sha256:{sha256(data)}") == data
    assert re.search(r"sha256:[0-9a-f]{64}", registry.crane("digest", f"{registry.host}/vendor/fw:1.0.0").decode())


def test_what_crane_pushes_is_served(gateway, make_registry, tmp_path):
    registry = make_registry("docker-registry")
    data = image(250_000)
    layer = tmp_path / "layer.tar"
    layer.write_bytes(layer_of({"firmware.bin": data}, compress=False))
    registry.crane("append", "-f", str(layer), "-t", f"{registry.host}/vendor/appended:3.1.0", "--oci-empty-base")
    start(gateway, registry.options("vendor/appended"))
    gateway.wait_firmware("appended", "3.1.0", 20)
    assert curl(gateway.url("/firmware/appended/3.1.0")) == data
