# ctest-timeout: 300
"""A folder as a store, through the gateway to curl."""
import contextlib
import http.client
import json
import os
import threading
import time

from support.clients import curl, image, sha256
from support.net import eventually


def wait_listening(gateway):
    """READY waits for no listener."""
    def answers():
        with contextlib.suppress(ConnectionRefusedError):
            return gateway.get("/firmware").status == 200

    eventually(answers, what="the listener")
    return gateway


def start(gateway, folder, **options):
    gateway.add_directory(folder, pattern=["{type}/{name}-{version}.bin", "{name}-{version}.bin"], options=options)
    gateway.add_http()
    gateway.start()
    return wait_listening(gateway)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_dropped_file_is_served_within_two_seconds(gateway, tmp_path):
    folder = tmp_path / "fw"
    start(gateway, folder)
    for number, size in enumerate((10_000, 3_000_000)):
        data = image(size)
        started = time.monotonic()
        put(folder / "esp32" / f"probe-1.0.{number}.bin", data)
        eventually(lambda: gateway.get(f"/firmware/probe/1.0.{number}").status == 200, 10, what="the firmware")
        assert time.monotonic() - started < 2
        assert curl(gateway.url(f"/firmware/probe/1.0.{number}")) == data
        item = gateway.wait_firmware("probe", f"1.0.{number}", type="esp32", sha256=sha256(data))
        assert item["size"] == size


def test_a_file_still_being_written_is_not_served_half(gateway, tmp_path):
    folder = tmp_path / "fw"
    start(gateway, folder)
    data = image(400_000)
    with open(folder / "slow-1.0.0.bin", "wb") as file:
        for start_at in range(0, len(data), 100_000):
            file.write(data[start_at : start_at + 100_000])
            file.flush()
            # Longer than `settle`: only that it is open for writing tells.
            end = time.monotonic() + 0.8
            while time.monotonic() < end:
                assert gateway.get("/firmware/slow/1.0.0").status == 404
                time.sleep(0.1)
    item = gateway.wait_firmware("slow", "1.0.0")
    assert item["size"] == len(data)
    assert curl(gateway.url("/firmware/slow/1.0.0")) == data


def test_image_and_sidecar_in_any_order(gateway, tmp_path):
    folder = tmp_path / "fw"
    start(gateway, folder)
    data = image(50_000)
    sidecar = json.dumps({"name": "side", "version": "2.0.0", "type": "nrf52", "sha256": sha256(data)}).encode()
    put(folder / "x.bin", data)
    put(folder / "x.bin.json", sidecar)
    gateway.wait_firmware("side", "2.0.0", type="nrf52", sha256=sha256(data))
    put(folder / "y.bin.json", sidecar.replace(b"2.0.0", b"2.0.1"))
    put(folder / "y.bin", data)
    gateway.wait_firmware("side", "2.0.1", type="nrf52")
    # A sidecar of other bytes: nothing of it is listed until they agree.
    put(folder / "z.bin", image(50_000, seed=2))
    put(folder / "z.bin.json", sidecar.replace(b"2.0.0", b"2.0.2"))
    eventually(lambda: "z.bin" in gateway.log, 10, what="a word about z.bin")
    assert gateway.get("/firmware/side/2.0.2").status == 404
    put(folder / "z.bin", data)
    gateway.wait_firmware("side", "2.0.2")
    assert curl(gateway.url("/firmware/side/2.0.2")) == data


def test_what_is_deleted_or_renamed_goes(gateway, tmp_path):
    folder = tmp_path / "fw"
    put(folder / "gone-1.0.0.bin", image(1000))
    put(folder / "moved-1.0.0.bin", image(2000))
    start(gateway, folder)
    gateway.wait_firmware("gone", "1.0.0")
    gateway.wait_firmware("moved", "1.0.0")
    (folder / "gone-1.0.0.bin").unlink()
    (folder / "moved-1.0.0.bin").rename(folder / "moved-1.0.1.bin")
    gateway.wait_firmware("moved", "1.0.1")
    eventually(lambda: {(i["name"], i["version"]) for i in gateway.catalog()} == {("moved", "1.0.1")})


def test_a_replaced_file_never_mixes(gateway, tmp_path):
    folder = tmp_path / "fw"
    old, new = image(2_000_000, seed=1), image(2_000_000, seed=2)
    put(folder / "fw-1.0.0.bin", old)
    start(gateway, folder)
    gateway.wait_firmware("fw", "1.0.0", sha256=sha256(old))
    wrong = []
    stop = threading.Event()

    def download():
        while not stop.is_set():
            try:
                answer = gateway.get("/firmware/fw/1.0.0")
            except http.client.IncompleteRead:
                continue  # the old bytes went while they were fetched: short, and seen as such
            if answer.status == 200 and answer.body not in (old, new):
                wrong.append(sha256(answer.body))

    reader = threading.Thread(target=download)
    reader.start()
    try:
        for data in (new, old, new):
            with open(folder / "fw-1.0.0.bin", "r+b") as file:  # in place
                file.write(data)
            gateway.wait_firmware("fw", "1.0.0", sha256=sha256(data))
    finally:
        stop.set()
        reader.join()
    assert not wrong


def test_nothing_outside_of_the_folder_is_listed(gateway, tmp_path):
    folder = tmp_path / "fw"
    put(tmp_path / "secret-1.0.0.bin", image(1000))
    put(folder / "ok-1.0.0.bin", image(1000))
    os.symlink(tmp_path / "secret-1.0.0.bin", folder / "link-1.0.0.bin")
    os.symlink(tmp_path, folder / "up")
    os.symlink("ok-1.0.0.bin", folder / "alias-1.0.0.bin")
    put(folder / ".hidden-1.0.0.bin", image(1000))
    put(folder / "temp-1.0.0.bin.part", image(1000))
    start(gateway, folder)
    gateway.wait_firmware("alias", "1.0.0")
    assert {item["name"] for item in gateway.catalog()} == {"ok", "alias"}


def test_a_folder_that_comes_later(gateway, tmp_path):
    folder = tmp_path / "mnt" / "fw"
    gateway.add_store("files", "directory", {"path": str(folder)}, pattern=["{name}-{version}.bin"])
    gateway.add_http()
    wait_listening(gateway.start())
    assert gateway.catalog() == []
    put(folder / "fw-1.0.0.bin", image(1000))
    gateway.wait_firmware("fw", "1.0.0", timeout=15)
