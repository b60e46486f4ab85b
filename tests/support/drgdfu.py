"""drgdfu, Drogue's own updater, and a device for it at the other end of a serial line."""
import os
import pathlib
import pty
import select
import subprocess
import threading
import tty

from .tools import need

FRAME = 1024  # of embedded-update's serial protocol, either way


class Drgdfu:
    """`drgdfu upload ... cloud`: asks a gateway for updates on behalf of a device, until that is in sync."""

    def __init__(self, folder, url, device, password, application="fleet"):
        self.log_path = pathlib.Path(folder) / "drgdfu.log"
        self._cloud = ["cloud", "--http", url, "--application", application, "--device", device,
                       "--password", password]
        self._process = None

    def _start(self, *what):
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                [need("drgdfu"), "-vvv", "upload", *what, *self._cloud], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def simulated(self, version):
        """It plays the device, too."""
        return self._start("simulated", "--version", version)

    def serial(self, port):
        return self._start("serial", "--port", port)

    @property
    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def wait(self, timeout=60):
        code = self._process.wait(timeout)
        assert code == 0, f"drgdfu ended with {code}: {self.log[-2000:]}"
        return self

    def close(self):
        process, self._process = self._process, None
        if process and process.poll() is None:
            process.kill()
            process.wait()


# ------------------------------------------------------------------ postcard, as far as it is needed


def _varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def status_frame(version, mtu=None):
    """Status: version, mtu, correlation id, update; the rest of the frame means nothing."""
    raw = version.encode()
    message = _varint(len(raw)) + raw + (b"\0" if mtu is None else b"\1" + _varint(mtu)) + b"\0\0"
    return message.ljust(FRAME, b"\xaa")


class _Reader:
    def __init__(self, data):
        self._data, self._at = data, 0

    def number(self):
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def bytes(self):
        size = self.number()
        self._at += size
        return self._data[self._at - size:self._at]

    def optional(self):
        return self.number() if self.number() else None


def command_of(frame):
    """(kind, members) of a Command."""
    reader = _Reader(frame)
    kind = ("Wait", "Sync", "Write", "Swap")[reader.number()]
    if kind == "Wait":
        return kind, {"correlation_id": reader.optional(), "poll": reader.optional()}
    members = {"version": reader.bytes().decode(), "correlation_id": reader.optional()}
    if kind == "Sync":
        members["poll"] = reader.optional()
    elif kind == "Write":
        members["offset"] = reader.number()
        members["data"] = reader.bytes()
    else:
        members["checksum"] = reader.bytes()
    return kind, members


class SerialDevice:
    """A device with embedded-update behind a serial line: takes blocks in order, swaps, starts anew."""

    WRITE_SIZE = 4

    def __init__(self, version):
        self.version = version
        self.flash = b""
        self.checksum = None
        self.synced = threading.Event()
        self.wrong = []  # what a real device would have refused
        self._master, slave = pty.openpty()
        tty.setraw(self._master)
        self.port = os.ttyname(slave)
        self._slave = slave  # kept open: the line stays up between two owners
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _frame(self):
        frame = b""
        while len(frame) < FRAME:
            ready, _, _ = select.select([self._master, self._stop_read], [], [])
            if self._stop_read in ready:
                return None
            frame += os.read(self._master, FRAME - len(frame))
        return frame

    def _run(self):
        os.write(self._master, status_frame(self.version))
        while frame := self._frame():
            kind, members = command_of(frame)
            if kind == "Write":
                if members["offset"] == 0:
                    self.flash = b""
                if members["offset"] != len(self.flash):
                    self.wrong.append(f"offset {members['offset']} and not {len(self.flash)}")
                if len(self.flash) % self.WRITE_SIZE:
                    self.wrong.append("a block in the middle that is not aligned")
                self.flash += members["data"]
            elif kind == "Swap":
                self.version = members["version"]
                self.checksum = members["checksum"]
                os.write(self._master, status_frame(self.version))
            elif kind == "Sync":
                self.synced.set()

    def close(self):
        os.write(self._stop_write, b".")
        self._thread.join()
        for descriptor in (self._master, self._slave, self._stop_read, self._stop_write):
            os.close(descriptor)
