"""Ports and waiting."""
import fcntl
import os
import pathlib
import random
import socket
import tempfile
import time

_PORT_LOCKS = pathlib.Path(tempfile.gettempdir()) / f"otagate-test-ports-{os.getuid()}"
_held = []


def free_port():
    """A port free for TCP and UDP on 127.0.0.1 and kept for this process until it ends.

    Taken from below the range the kernel hands out by itself, so that no outgoing connection of a
    test running beside this one can take it first.
    """
    _PORT_LOCKS.mkdir(mode=0o700, exist_ok=True)
    for _ in range(1000):
        port = random.randrange(20000, 32000)
        lock = os.open(_PORT_LOCKS / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        _held.append(lock)
        return port
    raise RuntimeError("no free port between 20000 and 32000")


def eventually(check, timeout=10.0, interval=0.03, what="condition"):
    """The first true value of check(), asked again until `timeout`; AssertionErrors count as not yet."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = check()
            if value:
                return value
        except AssertionError as error:
            last = error
        if time.monotonic() >= end:
            raise AssertionError(f"{what} did not come true within {timeout} s") from last
        time.sleep(interval)
