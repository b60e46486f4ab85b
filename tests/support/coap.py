"""CoAP by hand: messages as bytes, and clients that behave as devices do."""
import dataclasses
import os
import socket
import struct
import time

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = 1, 2, 3, 4

ETAG, OBSERVE, URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY, ACCEPT = 4, 6, 11, 12, 14, 15, 17
BLOCK2, SIZE2, Q_BLOCK2, PROXY_URI, ECHO = 23, 28, 31, 35, 252


def code(text):
    """The byte for "2.05"."""
    high, low = text.split(".")
    return int(high) << 5 | int(low)


def uint(value):
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(number, size, more=False):
    """The value of a Block2 option; `size` in bytes."""
    return uint(number << 4 | (8 if more else 0) | (size.bit_length() - 5))


@dataclasses.dataclass
class Message:
    type: int = CON
    code: int = GET
    mid: int = 0
    token: bytes = b""
    options: list = dataclasses.field(default_factory=list)  # (number, bytes), any order
    payload: bytes = b""

    def encode(self):
        out = bytearray(struct.pack("!BBH", 0x40 | self.type << 4 | len(self.token), self.code, self.mid))
        out += self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            head, extended = 0, b""
            for shift, n in ((4, number - last), (0, len(value))):
                if n < 13:
                    head |= n << shift
                elif n < 269:
                    head |= 13 << shift
                    extended += bytes([n - 13])
                else:
                    head |= 14 << shift
                    extended += struct.pack("!H", n - 269)
            out += bytes([head]) + extended + value
            last = number
        if self.payload:
            out += b"\xff" + self.payload
        return bytes(out)

    @classmethod
    def decode(cls, data):
        head, what, mid = struct.unpack_from("!BBH", data)
        assert head >> 6 == 1, f"version {head >> 6}"
        message = cls(head >> 4 & 3, what, mid)
        at = 4 + (head & 15)
        message.token = data[4:at]
        number = 0
        while at < len(data):
            first = data[at]
            at += 1
            if first == 0xFF:
                assert at < len(data), "a payload marker without payload"
                message.payload = data[at:]
                break
            parts = []
            for n in (first >> 4, first & 15):
                assert n != 15, "a reserved length"
                if n == 13:
                    n = 13 + data[at]
                    at += 1
                elif n == 14:
                    n = 269 + struct.unpack_from("!H", data, at)[0]
                    at += 2
                parts.append(n)
            number += parts[0]
            assert at + parts[1] <= len(data), "an option beyond the end"
            message.options.append((number, data[at : at + parts[1]]))
            at += parts[1]
        return message

    @property
    def status(self):
        return f"{self.code >> 5}.{self.code & 31:02}"

    def option(self, number):
        """The first value of that option, or None."""
        return next((value for n, value in self.options if n == number), None)

    def number(self, option):
        value = self.option(option)
        return None if value is None else int.from_bytes(value, "big")

    def block2(self):
        """(number, more, size in bytes), or None."""
        value = self.number(BLOCK2)
        return None if value is None else (value >> 4, bool(value & 8), 16 << (value & 7))


def path_options(path):
    """Uri-Path and Uri-Query of a path as a URL would have it, without escapes."""
    path, _, query = path.partition("?")
    options = [(URI_PATH, part.encode()) for part in path.strip("/").split("/")]
    return options + [(URI_QUERY, part.encode()) for part in query.split("&") if part]


class Endpoint:
    """A UDP socket that asks one thing at a time."""

    def __init__(self, port, host="127.0.0.1", timeout=2.0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.connect((host, port))
        self.socket.settimeout(timeout)
        self.mid = int.from_bytes(os.urandom(2), "big")

    def next_mid(self):
        self.mid = (self.mid + 1) & 0xFFFF
        return self.mid

    def get(self, path, *options, token=b"\x01\x02\x03\x04", tries=3, **how):
        """The answer to a GET of `path`, as Message; `options` are added to those of the path."""
        request = Message(CON, GET, self.next_mid(), token, path_options(path) + list(options), **how)
        return self.ask(request, tries)

    def ask(self, request, tries=3):
        """Sends, and again on silence; the answer by message id or, if separate, by token."""
        for _ in range(tries):
            end = time.monotonic() + self.socket.gettimeout()
            try:
                self.socket.send(request.encode())
                while True:
                    answer = self.receive()
                    if answer.mid == request.mid and (answer.code or answer.type == RST):
                        return answer
                    if answer.token == request.token and answer.code and answer.type in (CON, NON):
                        return answer
            except socket.timeout:
                pass
            except ConnectionRefusedError:  # nobody listens yet: no news before the next try
                time.sleep(max(0, end - time.monotonic()))
        raise AssertionError(f"no answer to {request}")

    def receive(self):
        """The next message of any kind; confirmable ones are acknowledged."""
        message = Message.decode(self.socket.recv(65536))
        if message.type == CON:
            self.socket.send(Message(ACK, 0, message.mid).encode())
        return message

    def download(self, path, size=1024, start=0):
        """The whole representation, block by block, from byte `start` on."""
        body, number = bytearray(), start // size
        while True:
            answer = self.get(path, (BLOCK2, block(number, size)))
            assert answer.status == "2.05", f"{answer.status} {answer.payload!r} at block {number}"
            at, more, size = answer.block2()
            assert at * size == start + len(body)
            body += answer.payload
            if not more:
                return bytes(body)
            number = at + 1

    def close(self):
        self.socket.close()


class Refused(Exception):
    """What an nRF device gives up on."""

    def __init__(self, answer):
        super().__init__(f"{answer.status} {answer.payload!r}")
        self.answer = answer


class NrfDownloader:
    """As the CoAP transport of the nRF Connect SDK's downloader does it: confirmable GETs with Uri-Path
    split at '/' alone (a query stays in the last segment), a token of 8 bytes, Block2 of 512, Size2; the
    answer must be a piggy-backed 2.05 or 2.00 with Block2, in sequence. Anything else ends it."""

    def __init__(self, port, block_size=512):
        self.endpoint = Endpoint(port, timeout=4.0)
        self.block_size = block_size
        self.body = bytearray()
        self.size = None

    def run(self, path):
        """Goes on where the last run ended."""
        while True:
            number = len(self.body) // self.block_size
            options = [(URI_PATH, part.encode()) for part in path.split("/")]
            options += [(BLOCK2, block(number, self.block_size)), (SIZE2, b"")]
            request = Message(CON, GET, self.endpoint.next_mid(), os.urandom(8), options)
            answer = self.endpoint.ask(request, tries=5)
            if answer.type != ACK or answer.status not in ("2.05", "2.00") or answer.block2() is None:
                raise Refused(answer)
            at, more, self.block_size = answer.block2()
            assert at * self.block_size == len(self.body), "a block out of sequence"
            assert answer.token == request.token
            self.body += answer.payload
            if answer.number(SIZE2) is not None:
                self.size = answer.number(SIZE2)
            if not more:
                return bytes(self.body)

    def close(self):
        self.endpoint.close()
