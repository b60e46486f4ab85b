"""A TCP proxy that stands for the uplink: a rate, a delay, a cut, a count of what went through."""
import asyncio
import contextlib
import dataclasses
import re
import threading
import time

from .net import free_port

_HEAD_LIMIT = 64 * 1024
_CHUNK = 16 * 1024


@dataclasses.dataclass
class Request:
    """One HTTP request that went upstream. `range` is (first, last) as asked for, or None."""

    method: str
    path: str
    headers: dict
    at: float

    @property
    def range(self):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        return (int(match[1]), int(match[2]) if match[2] else None) if match else None


class _RequestLog:
    """Finds the request heads in one connection's upstream bytes; bodies by Content-Length."""

    def __init__(self, found):
        self._found, self._buffer, self._body = found, b"", 0

    def feed(self, data):
        self._buffer += data
        while self._buffer:
            skipped = min(self._body, len(self._buffer))
            self._body -= skipped
            self._buffer = self._buffer[skipped:]
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                if self._body == 0 and len(self._buffer) > _HEAD_LIMIT:
                    self._buffer = b""  # not HTTP
                return
            lines = head.decode("latin-1").split("\r\n")
            words = lines[0].split(" ")
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if len(words) == 3:
                self._found(Request(words[0], words[1], headers, time.monotonic()))
            self._body = int(headers.get("content-length", "0") or 0)
            self._buffer = rest


class ThrottledProxy:
    """Forwards 127.0.0.1:port to 127.0.0.1:upstream_port.

    rate: bytes a second towards the client, of all connections together; None without limit.
    delay: seconds added to the first byte of each request (the round trip of an uplink).
    transform: called with each piece of bytes towards the client, may change it.
    May be used from any thread; runs its own.
    """

    def __init__(self, upstream_port, rate=None, delay=0.0, transform=None):
        self.upstream_port, self.port = upstream_port, free_port()
        self.rate, self.delay, self.transform = rate, delay, transform
        self.bytes_down = self.bytes_up = self.connections = 0
        self.requests = []  # in order of arrival; appended by the proxy's thread only
        self._next_free = 0.0
        self._writers = set()
        self._hanging = False
        self._server = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._run(self._listen())

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def count(self, method=None, path=""):
        """How many requests went upstream, by method and part of the path."""
        return sum(1 for r in list(self.requests) if (not method or r.method == method) and path in r.path)

    def reset_counts(self):
        self.requests.clear()  # the same list: open connections append to it
        self.bytes_down = self.bytes_up = self.connections = 0

    def cut(self, hang=False):
        """The uplink goes: connections break and new ones are refused. With hang=True nothing is
        answered any more, as behind a dead router."""
        self._run(self._cut(hang))

    def restore(self):
        self._run(self._restore())

    def close(self):
        self._run(self._cut(False))
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_CHUNK, backlog=512)

    async def _cut(self, hang):
        self._hanging = hang
        if hang:
            return
        if self._server:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _restore(self):
        if self._hanging:  # what hung is lost, as after a re-dial
            self._hanging = False
            for writer in list(self._writers):
                writer.transport.abort()
        if not self._server:
            await self._listen()

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        upstream_writer = None
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(
                "127.0.0.1", self.upstream_port, limit=_CHUNK
            )
            self._writers.add(upstream_writer)
            up = asyncio.ensure_future(self._up(reader, upstream_writer))
            down = asyncio.ensure_future(self._down(upstream_reader, writer))
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if up.done() and not down.done():
                await asyncio.wait({down}, timeout=60)
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        except OSError:
            pass
        finally:
            for side in (writer, upstream_writer):
                if side:
                    self._writers.discard(side)
                    with contextlib.suppress(Exception):
                        side.close()

    async def _up(self, reader, writer):
        log = _RequestLog(self.requests.append)
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._not_hanging()
                log.feed(data)
                self.bytes_up += len(data)
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def _down(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._not_hanging()
                if self.rate:
                    now = self._loop.time()
                    # An idle uplink saves up no more than 20 ms of bytes.
                    self._next_free = max(self._next_free, now - 0.02) + len(data) / self.rate
                    if self._next_free > now:
                        await asyncio.sleep(self._next_free - now)
                if self.transform:
                    data = self.transform(data)
                self.bytes_down += len(data)
                writer.write(data)
                await writer.drain()

    async def _not_hanging(self):
        while self._hanging:
            await asyncio.sleep(0.05)
