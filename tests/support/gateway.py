"""One otagated of the build under test: configured, started, watched, killed, asked."""
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

from . import toml
from .net import eventually, free_port

SANITIZER = re.compile(r"(ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:).*")


@dataclasses.dataclass
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request(connection, method, path, headers=None, body=None):
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())


class NotifySocket:
    """Receives what the daemon tells systemd: READY=1, RELOADING=1, STATUS=..., WATCHDOG=1."""

    def __init__(self, path):
        self.path = path
        self.messages = []  # guarded by _changed
        self._changed = threading.Condition()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            with self._changed:
                self.messages += data.decode("utf-8", "replace").splitlines()
                self._changed.notify_all()

    def count(self, line):
        with self._changed:
            return self.messages.count(line)

    def wait(self, line, timeout, seen=0, alive=lambda: True):
        """Waits until `line` came more than `seen` times; False when not, or no longer alive()."""
        end = time.monotonic() + timeout
        with self._changed:
            while self.messages.count(line) <= seen:
                left = end - time.monotonic()
                if left <= 0 or not alive():
                    return self.messages.count(line) > seen
                self._changed.wait(min(left, 0.1))
        return True

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Gateway:
    """Owns a folder with configuration, state, socket and log. Not thread-safe, except for get(),
    api() and the properties that only look."""

    def __init__(self, build_dir, folder=None):
        self.build_dir = pathlib.Path(build_dir)
        self._own_folder = folder is None
        # Socket paths are short: at most 107 bytes.
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="otg-"))
        self.socket_path = self.folder / "api.sock"
        self.log_path = self.folder / "log"
        self.process = None
        self.http_port = None
        self.coap_port = None
        self.metrics_port = None
        self.env = {}
        self.notify = None
        self.config = {
            "daemon": {
                "state_dir": str(self.folder / "state"),
                "plugin_dirs": [str(self.build_dir / "lib/otagate/plugins")],
            },
            "api": {"socket": str(self.socket_path), "group": ""},
            # Tests say themselves when they want a floor: the machine's own disk may be nearly full.
            "cache": {"min_free": 0},
            "log": {"level": "debug", "format": "text"},
            "store": [],
            "transport": [],
            "credential": [],
        }

    # Configuration

    def add_store(self, name, plugin, options=None, **keys):
        store = {"name": name, "plugin": plugin, **keys, "options": options or {}}
        self.config["store"].append(store)
        return store

    def add_directory(self, path, name="files", **keys):
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        options = {"path": str(path), **keys.pop("options", {})}
        return self.add_store(name, "directory", options, **keys)

    def add_transport(self, name, plugin, options=None, **keys):
        transport = {"name": name, "plugin": plugin, **keys, "options": options or {}}
        self.config["transport"].append(transport)
        return transport

    def add_http(self, name="http", **options):
        self.http_port = free_port()
        return self.add_transport(
            name, "http", {"listen": f"127.0.0.1:{self.http_port}", "anonymous": True, **options}
        )

    def add_coap(self, name="coap", **options):
        self.coap_port = free_port()
        return self.add_transport(
            name, "coap", {"listen": f"127.0.0.1:{self.coap_port}", "anonymous": True, **options}
        )

    def add_metrics(self):
        self.metrics_port = free_port()
        self.config["metrics"] = {"listen": f"127.0.0.1:{self.metrics_port}"}

    def write_config(self):
        path = self.folder / "otagate.toml"
        path.write_text(toml.dumps({k: v for k, v in self.config.items() if v != []}), encoding="utf-8")
        return path

    @property
    def cache_dir(self):
        return pathlib.Path(self.config["cache"].get("dir", self.folder / "state/cache"))

    # Life

    @property
    def binary(self):
        return self.build_dir / "bin/otagated"

    def start(self, wait=True, timeout=30, wrapper=(), extra=()):
        """Starts the daemon on the present configuration and waits for READY=1."""
        assert self.process is None, "already running"
        config = self.write_config()
        if self.notify:
            self.notify.close()
        self.notify = NotifySocket(self.folder / "notify")
        env = {**os.environ, "NOTIFY_SOCKET": str(self.notify.path), **self.env}
        env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, self.binary, "--config", config, *extra],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=self.folder,
            )
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        ready = self.notify.wait("READY=1", timeout, alive=lambda: self.process.poll() is None)
        if not ready:
            code = self.process.poll()
            state = f"ended with {code}" if code is not None else f"not ready after {timeout} s"
            raise AssertionError(f"otagated {state}; its log:\n{self.log[-4000:]}")

    def reload(self, timeout=30):
        """Writes the configuration, sends SIGHUP and waits until the daemon says it is done."""
        self.write_config()
        seen = self.notify.count("READY=1")
        self.process.send_signal(signal.SIGHUP)
        assert self.notify.wait("READY=1", timeout, seen=seen), f"no READY after SIGHUP:\n{self.log[-4000:]}"

    def stop(self, timeout=40):
        """SIGTERM; the daemon must end by itself, with 0 and without a sanitizer's report."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.terminate()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"otagated did not end within {timeout} s:\n{self.log[-4000:]}") from None
        self.check_log()
        assert code == 0, f"otagated ended with {code}:\n{self.log[-4000:]}"

    def kill(self):
        """kill -9, as a crash would."""
        process, self.process = self.process, None
        if process:
            process.kill()
            process.wait()

    def restart(self, **how):
        self.stop()
        return self.start(**how)

    def close(self):
        """The end of the test: stops what runs and removes the folder."""
        try:
            self.stop()
        finally:
            if self.process:
                self.kill()
            if self.notify:
                self.notify.close()
            if self._own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def check_log(self):
        found = SANITIZER.search(self.log)
        assert not found, f"sanitizer report: {self.log[found.start():found.start() + 8000]}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, timeout=10):
        return eventually(lambda: re.search(pattern, self.log), timeout, what=f"a log line like {pattern!r}")

    def rss(self):
        """Resident bytes."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # Asking

    def url(self, path):
        return f"http://127.0.0.1:{self.http_port}{path}"

    def coap_url(self, path):
        return f"coap://127.0.0.1:{self.coap_port}{path}"

    def http(self, timeout=30):
        """A fresh http.client connection to the HTTP listener."""
        return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout)

    def get(self, path, headers=None, method="GET", timeout=30):
        return request(self.http(timeout), method, path, headers)

    def api_request(self, path, method="GET", body=None, timeout=30, headers=None):
        """A request to the admin API; `body` goes out as JSON, bytes as they are."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        return request(UnixConnection(self.socket_path, timeout), method, path, headers, body)

    def api(self, path, method="GET", body=None, timeout=30):
        """The JSON answer of the admin API under /api/v1; anything but 2xx fails the test."""
        answer = self.api_request("/api/v1" + path, method, body, timeout)
        assert 200 <= answer.status < 300, f"{method} {path}: {answer.status} {answer.body[:500]!r}"
        return answer.json() if answer.body else None

    def metrics(self):
        """The metrics as {name with labels: value}."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        text = request(connection, "GET", "/metrics").body.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def catalog(self, **filters):
        """All items of GET /firmware, page by page."""
        items, path = [], "/firmware" + ("?" + urllib.parse.urlencode(filters) if filters else "")
        while path:
            answer = self.get(path)
            assert answer.status == 200, f"{path}: {answer.status} {answer.body[:500]!r}"
            page = answer.json()
            items += page["items"]
            path = page.get("next")
        return items

    def wait_firmware(self, name, version, timeout=10, **expected):
        """The catalog's item once it is listed and its fields equal `expected`."""

        def listed():
            for item in self.catalog(name=name):
                if item["version"] == version and all(item.get(k) == v for k, v in expected.items()):
                    return item
            return None

        return eventually(listed, timeout, what=f"firmware {name} {version} {expected or ''}")

    def cli(self, *arguments, timeout=60, check=True):
        """Runs otagate against this gateway."""
        done = subprocess.run(
            [self.build_dir / "bin/otagate", "--socket", self.socket_path, *arguments],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"otagate {arguments}: {done.returncode} {done.stderr}"
        return done
