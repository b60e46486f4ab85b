# ctest-timeout: 900
"""kill -9 at random points of a fill: it goes on where it was, and nothing corrupt is kept or served."""
import random
import time

from support import tools
from support.clients import image, sha256
from support.net import eventually

MIB = 1024 * 1024
PATTERN = ["{type}/{name}-{version}.bin"]
# What a kill may cost on each of two connections: a chunk, the held tail, and what was in a socket, not received.
CHUNK, TAIL, IN_FLIGHT = 64 * 1024, 4 * 1024, 64 * 1024
HEADS = 64 * 1024  # of answers, and listings


def test_killed_fills_resume(gateway, s3, make_proxy):
    rounds = tools.scaled(200, minimum=10)
    body = image(3 * MIB)
    proxy = make_proxy(s3.port, rate=16 * MIB)
    gateway.add_store("bucket", "s3", s3.options(proxy.endpoint), pattern=PATTERN, interval="1h")
    gateway.add_http()
    s3.put("edge/crash-1.0.0.bin", body)
    chance = random.Random(7)
    kills = fills = most = 0
    gateway.start()
    gateway.wait_firmware("crash", "1.0.0")
    while kills < rounds:
        # Each fill is of an object of its own, killed until it is through.
        fills += 1
        name = f"f{fills}"
        s3.put(f"edge/{name}-1.0.0.bin", body + str(fills).encode())
        expected = body + str(fills).encode()
        gateway.api("/stores/bucket/sync", "POST")
        gateway.wait_firmware(name, "1.0.0")
        proxy.reset_counts()
        before = kills
        for _ in range(6):
            connection = gateway.http(timeout=30)
            connection.request("GET", f"/firmware/{name}/1.0.0", headers={"Range": "bytes=0-1023"})
            answer = connection.getresponse()
            got = answer.read()
            if answer.status == 206:
                assert got == expected[:1024]
            connection.close()
            time.sleep(chance.uniform(0, 0.15))  # the moment of the kill is what the test is about
            gateway.kill()
            kills += 1
            gateway.start()
        answer = gateway.get(f"/firmware/{name}/1.0.0", timeout=60)
        assert answer.status == 200 and answer.body == expected
        again = proxy.bytes_down - len(expected) - HEADS
        assert again <= (kills - before) * 2 * (CHUNK + TAIL + IN_FLIGHT), (again, [r.range for r in proxy.requests])
        most = max(most, again // (kills - before))
        item = next(i for i in gateway.catalog(name=name) if i["version"] == "1.0.0")
        assert item["sha256"] == sha256(expected)
    print(f"{kills} kills over {fills} fills; asked for again: at most {most} bytes for each kill, the mean of a fill")
    for blob in gateway.api("/blobs")["items"]:
        path = gateway.cache_dir / "blobs/sha256" / blob["sha256"][:2] / blob["sha256"]
        assert sha256(path.read_bytes()) == blob["sha256"]
    assert gateway.cli("state", "check", "--database", str(gateway.folder / "state/state.db")).returncode == 0


def test_what_was_acknowledged_is_there_after_a_kill(gateway, tmp_path):
    """A pin that the daemon said is done survives a kill right after."""
    body = image(20_000)
    files = tmp_path / "files"
    gateway.add_directory(files)
    (files / "app-1.0.0.bin").write_bytes(body)
    gateway.add_http()
    gateway.start()
    digest = sha256(body)
    eventually(lambda: gateway.api_request("/api/v1/blobs/" + digest).status == 200, 10, what="the blob")
    for _ in range(tools.scaled(20, minimum=3)):
        gateway.api(f"/blobs/{digest}/pin", "PUT", {"reason": "test"})
        gateway.kill()
        gateway.start()
        assert gateway.api("/blobs/" + digest)["pins"] == ["operator"]
        gateway.api(f"/blobs/{digest}/pin", "DELETE")
        gateway.kill()
        gateway.start()
        assert gateway.api("/blobs/" + digest)["pins"] == []
