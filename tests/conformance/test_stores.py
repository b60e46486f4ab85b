# ctest-timeout: 600
"""The conformance kit over the bundled stores."""
import shutil
import sys
import textwrap

import pytest

from support.clients import image
from support.conformance import check_plugin
from support.oci import TITLE, layer_of
from support.tools import TREE
from support.web import Nginx

SKIPPED_BY_NATURE = {"store.assignments", "transport.start-stop"}


def fill(write):
    """Some objects of different sizes and names."""
    for key, size in [("a/fw-1.0.0.bin", 700_000), ("a b/c+d%/ü.bin", 3000), ("z.json", 20)]:
        write(key, image(size, seed=size))


def skipped(verdicts):
    return {name for name, verdict in verdicts.items() if verdict == "skip"} - SKIPPED_BY_NATURE


def test_directory(build_dir, tmp_path):
    folder = tmp_path / "fw"

    def write(key, data):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(data)

    fill(write)
    # In place, so that a descriptor that is open sees the new bytes.
    mutate = f'printf changed | dd of="{folder}/$OTAGATE_CHECK_KEY" conv=notrunc status=none'
    verdicts = check_plugin(
        build_dir, "directory", tmp_path, {"path": str(folder), "settle": 0},
        {"fixture": str(folder), "mutate": mutate, "bad": [{"path": "relative"}, {}]},
    )
    assert skipped(verdicts) == {"store.stat", "store.presign", "store.publish"}


@pytest.mark.parametrize("addressing", ["path", "virtual"])
def test_s3(build_dir, s3, tmp_path, addressing):
    fixture = tmp_path / "fixture"

    def write(key, data):
        s3.put(key, data, name="probe")
        (fixture / key).parent.mkdir(parents=True, exist_ok=True)
        (fixture / key).write_bytes(data)

    fill(write)
    script = tmp_path / "mutate.py"
    script.write_text(textwrap.dedent(f"""
        import os, boto3
        from botocore.config import Config
        boto3.client("s3", endpoint_url={s3.endpoint!r}, region_name="us-east-1",
                     aws_access_key_id={s3.access_key!r}, aws_secret_access_key={s3.secret_key!r},
                     config=Config(s3={{"addressing_style": "path"}})).put_object(
            Bucket={s3.bucket!r}, Key=os.environ["OTAGATE_CHECK_KEY"], Body=b"changed" * 50000)
    """), encoding="utf-8")
    options = s3.options(publish=True, addressing=addressing)
    if addressing == "virtual":
        options["endpoint"] = f"http://s3.localhost:{s3.port}"
    verdicts = check_plugin(
        build_dir, "s3", tmp_path, options,
        {"fixture": str(fixture), "mutate": f"{sys.executable} {script}",
         "bad": [{"bucket": "a/b"}, {"bucket": "firmware", "endpoint": "no url"}, {"bucket": "firmware"}]},
    )
    assert skipped(verdicts) == set()


def test_azure(build_dir, azure, tmp_path):
    fixture = tmp_path / "fixture"

    def write(key, data):
        azure.put(key, data, name="probe")
        (fixture / key).parent.mkdir(parents=True, exist_ok=True)
        (fixture / key).write_bytes(data)

    fill(write)
    script = tmp_path / "mutate.py"
    script.write_text(textwrap.dedent(f"""
        import os
        from azure.storage.blob import BlobServiceClient
        credential = {{"account_name": {azure.account!r}, "account_key": {azure.key!r}}}
        container = BlobServiceClient({azure.endpoint!r}, credential=credential).get_container_client({azure.container!r})
        container.upload_blob(os.environ["OTAGATE_CHECK_KEY"], b"changed" * 50000, overwrite=True)
    """), encoding="utf-8")
    verdicts = check_plugin(
        build_dir, "azure", tmp_path, azure.options(publish=True),
        {"fixture": str(fixture), "mutate": f"{sys.executable} {script}",
         "bad": [{"container": "a/b", "anonymous": True, "account": "abc"}, {"container": "firmware"},
                 {"container": "firmware", "connection_string": "AccountName=abc"}]},
        # A shared access signature is for reading: Azure has none for one method only.
        limits={"store.presign": "GET and HEAD have the same presigned URL"},
    )
    assert skipped(verdicts) == {"store.stat"}


@pytest.mark.timeout(600)
def test_hawkbit(build_dir, hawkbit, tmp_path):
    """It lists nothing: its objects are those that a target was assigned."""
    target = f"kit-{hawkbit.unique}"
    hawkbit.add_target(target)
    hawkbit.release("kit", hawkbit.unique, image(700_000), target)
    verdicts = check_plugin(
        build_dir, "hawkbit", tmp_path, hawkbit.options(poll_min=1000, poll_max=2000),
        {"assigned_device": target,
         "bad": [{"url": hawkbit.endpoint}, {"url": "no url", "gateway_token": "t"},
                 {"url": f"{hawkbit.endpoint}/DEFAULT/controller/v1", "gateway_token": "t"}]},
    )
    assert verdicts["store.assignments"] == "pass"
    assert skipped(verdicts) == {"store.stat", "store.presign", "store.publish", "store.changed-mid-read"}


@pytest.mark.parametrize("kind", ["docker-registry", "registry"])
def test_oci(build_dir, make_registry, tmp_path, kind):
    registry = make_registry(kind)
    fixture = tmp_path / "fixture"

    def keep(key, data):
        (fixture / key).parent.mkdir(parents=True, exist_ok=True)
        (fixture / key).write_bytes(data)

    for tag, size in [("1.0.0", 700_000), ("tiny", 20)]:
        keep(f"vendor/fw:{tag}", image(size, seed=size))
        registry.push_firmware("vendor/fw", tag, image(size, seed=size))
    named = {"a.bin": image(3000, seed=1), "b c+d%.bin": image(4000, seed=2)}
    registry.push_artifact("vendor/files", "1.0.0", [("text/plain", data, {TITLE: name}) for name, data in named.items()])
    for name, data in named.items():
        keep(f"vendor/files:1.0.0/{name}", data)
    keep("vendor/image:1.0.0", image(50_000, seed=3))
    registry.skopeo_image("vendor/image", "1.0.0", [layer_of({"firmware.bin": image(50_000, seed=3)})])
    script = tmp_path / "mutate.py"
    script.write_text(textwrap.dedent(f"""
        import os, pathlib, subprocess, sys
        sys.path.insert(0, {str(TREE / "tests")!r})
        from support.oci import Registry
        registry = Registry.attach({kind!r}, {registry.port})
        repository, _, tag = os.environ["OTAGATE_CHECK_KEY"].partition(":")
        registry.push_firmware(repository, tag, b"changed" * 50000)
    """), encoding="utf-8")
    options = registry.options("vendor/fw", "vendor/files", "vendor/image", publish=True)
    verdicts = check_plugin(
        build_dir, "oci", tmp_path, options,
        {"fixture": str(fixture), "mutate": f"{sys.executable} {script}",
         "bad": [{"registry": "no url", "repositories": ["a"]}, {"registry": registry.url, "repositories": ["UPPER"]},
                 {"registry": registry.url, "repositories": []}, {"repositories": ["a"]},
                 {"registry": registry.url, "repositories": ["a"], "username": "u"}]},
    )
    assert skipped(verdicts) == {"store.presign"}


@pytest.mark.parametrize("listing", ["autoindex", "json"])
def test_web(build_dir, owner, tmp_path, listing):
    nginx = owner.add(Nginx(user="gateway", password="secret")).start()
    fill(nginx.put)
    keys = [str(file.relative_to(nginx.data)) for file in nginx.data.rglob("*") if file.is_file()]
    fixture = shutil.copytree(nginx.data, tmp_path / "fixture")
    url = nginx.url
    if listing == "json":
        url = nginx.index([nginx.entry(key, "fw", key, sha256=None, size=None) for key in keys])
    script = tmp_path / "mutate.py"
    # Of another size: nginx lists nothing else that differs within a second.
    script.write_text(textwrap.dedent(f"""
        import os, pathlib
        part = pathlib.Path({str(nginx.folder)!r}) / "part"
        part.write_bytes(b"changed" * 50000)
        part.replace(pathlib.Path({str(nginx.data)!r}) / os.environ["OTAGATE_CHECK_KEY"])
    """), encoding="utf-8")
    options = {"listing": listing, "credentials": "basic", "user": "gateway", "password": "secret"}
    verdicts = check_plugin(
        build_dir, "web", tmp_path, {"index_url": url, **options},
        {"fixture": str(fixture), "mutate": f"{sys.executable} {script}",
         "bad": [{"index_url": "no url"}, {"index_url": url, "credentials": "basic"}, {"index_url": "ftp://h/"}]},
    )
    assert skipped(verdicts) == {"store.stat", "store.presign", "store.publish"}
