# ctest-timeout: 600
"""Malformed CoAP: thousands of mutations of a checked-in corpus, and the gateway still serves."""
import pathlib
import random
import socket

from support import coap
from support.clients import image
from support.coap import BLOCK2, Endpoint, block
from support.net import eventually
from support.tools import scaled

CORPUS = pathlib.Path(__file__).parent / "corpus/coap"
INTERESTING = [b"\x00", b"\xff", b"\x7f", b"\x80", b"\x0d", b"\x0e", b"\xd0", b"\xe0", b"\xdd", b"\xee", b"\xf0"]


def mutate(rng, seeds):
    """One to six changes to a message, or two messages cut together."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 2:
            data[at:at] = rng.choice(INTERESTING) * rng.randint(1, 4)
        elif kind == 3:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 4:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other) + 1) :]
        elif kind == 5:
            data[at:at] = data[: rng.randint(0, 64)]
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 16))
    return bytes(data[:1400])


def drain(endpoint):
    """What has come back; every datagram must be a CoAP message."""
    count = 0
    endpoint.setblocking(False)
    while True:
        try:
            coap.Message.decode(endpoint.recv(65536))
        except BlockingIOError:
            return count
        count += 1


def test_mutated_requests_do_no_harm(gateway, tmp_path, owner):
    seeds = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    assert len(seeds) >= 20
    # A freed block stays unusable for a while under ASan; its default is 256 MB of them.
    gateway.env["ASAN_OPTIONS"] = "quarantine_size_mb=8:detect_stack_use_after_return=1"
    body = image(20_000)
    folder = tmp_path / "firmware/sensor"
    folder.mkdir(parents=True)
    (folder / "app-1.0.0.bin").write_bytes(body)
    gateway.add_directory(tmp_path / "firmware", pattern=["{type}/{name}-{version}.bin"])
    gateway.add_coap(drogue=True, poll=True)
    gateway.start()
    watcher = owner.add(Endpoint(gateway.coap_port, timeout=1.0))
    request = ("/firmware/app/1.0.0", (BLOCK2, block(0, 1024)))
    eventually(lambda: watcher.get(*request, tries=10).payload == body[:1024], 20, what="the firmware")
    rng = random.Random(20240521)
    senders = [owner.add(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(32)]
    for sender in senders:
        sender.connect(("127.0.0.1", gateway.coap_port))

    def burst(count):
        for number in range(count):
            senders[number % len(senders)].send(mutate(rng, seeds))
            if number % 100 == 99:
                # The gateway is there, and its queue is empty again.
                assert watcher.get(*request).payload == body[:1024]
        return sum(drain(sender) for sender in senders)

    answered = burst(500)
    before = gateway.rss()
    answered += burst(scaled(10_000))
    assert answered > 100, "nothing was answered: the test does not reach the parser"
    assert gateway.process.poll() is None
    grown = gateway.rss() - before
    assert grown < 24 << 20, f"{grown} bytes more"
    assert watcher.download("/firmware/app/1.0.0") == body
