"""What benchmarks share: alternating rounds, medians, rows, and peers as processes."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from support.gateway import Gateway
from support.net import eventually, free_port


class Unavailable(Exception):
    """A peer or tool is not on this machine; the message says which and how to get it."""


def need(program):
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if not found:
        raise Unavailable(f"{program} is not installed; ./dev bench installs the peers")
    return found


class Bench:
    """One benchmark file's run. `rows` are what is printed and written:
    {name, unit, ours, peer, peer_value, ratio, bar, ok}."""

    def __init__(self, build, rounds=5, only=None):
        self.build, self.rounds, self.rows = build, rounds, []
        self._only = re.compile(only or "")
        self._cleanup = contextlib.ExitStack()

    def compare(self, name, unit, ours, peer, theirs, bar, better="higher", rounds=None):
        """Measures ours() and theirs() in turns, the first one changing from round to round, and adds
        a row of the medians. Each call does one round and returns one number.

        ratio is ours / peer. With better="higher" it must be at least `bar`, with "lower" at most.
        """
        if not self._only.search(name):
            return None
        mine, other = [], []
        for number in range(rounds or self.rounds):
            for measure, into in [(ours, mine), (theirs, other)][:: 1 if number % 2 == 0 else -1]:
                into.append(float(measure()))
        return self.add(name, unit, statistics.median(mine), peer, statistics.median(other), bar, better)

    def measure(self, name, unit, ours, bar, better="lower", rounds=None):
        """A bar without a peer: the median of ours() against `bar` itself."""
        values = [float(ours()) for _ in range(rounds or self.rounds)]
        return self.add(name, unit, statistics.median(values), None, None, bar, better)

    def add(self, name, unit, ours, peer, peer_value, bar, better="higher"):
        """A row from values measured elsewhere. Without a peer `bar` is in `unit`, else a ratio."""
        ratio = ours / peer_value if peer_value else None
        judged = ratio if peer is not None else ours
        ok = None if judged is None or bar is None else judged >= bar if better == "higher" else judged <= bar
        row = {"name": name, "unit": unit, "ours": _short(ours), "peer": peer, "peer_value": _short(peer_value),
               "ratio": _short(ratio), "bar": bar, "ok": ok}
        self.rows.append(row)
        print(f"  {name}: {_text(row['ours'])} {unit}", flush=True)
        return row

    def print_table(self):
        if not self.rows:
            return
        head = ("what", "ours", "peer", "ratio", "bar", "verdict")
        lines = [head]
        for row in self.rows:
            peer = f"{_text(row['peer_value'])} ({row['peer']})" if row["peer"] else "-"
            verdict = {True: "ok", False: "SHORT", None: "-"}[row["ok"]]
            lines.append((row["name"], f"{_text(row['ours'])} {row['unit']}", peer, _text(row["ratio"]),
                          _text(row["bar"]), verdict))
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        for number, line in enumerate(lines):
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
            if number == 0:
                print("  " + "  ".join("-" * width for width in widths))

    def write(self, path):
        path.write_text(json.dumps(self.rows, indent=2) + "\n", encoding="utf-8")

    def close(self):
        self._cleanup.close()

    # What is started here ends with the benchmark.

    def folder(self, parent=None):
        path = pathlib.Path(tempfile.mkdtemp(prefix="otg-bench-", dir=parent))
        self._cleanup.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    def gateway(self):
        """A Gateway of the release build (see support.gateway), not started, logging warnings only."""
        made = Gateway(self.build)
        made.config["log"]["level"] = "warn"
        self._cleanup.callback(made.close)
        return made

    def process(self, command, port=None, **how):
        made = Peer(command, port, **how)
        self._cleanup.callback(made.stop)
        return made

    def nginx(self, root, workers=1, http="", server=""):
        """nginx serving `root` by sendfile; `http` and `server` are further directives."""
        folder, port = self.folder(), free_port()
        (folder / "nginx.conf").write_text(
            f"""daemon off; worker_processes {workers}; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {http}
  server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; {server} }}
}}
""", encoding="utf-8")
        if os.geteuid() == 0:  # else the workers drop to a user who may not read the folders
            config = folder / "nginx.conf"
            config.write_text("user root;\n" + config.read_text("utf-8"), encoding="utf-8")
        return self.process([need("nginx"), "-e", folder / "error.log", "-c", folder / "nginx.conf"], port)


class Peer:
    """A server process and its children. With a TCP `port`, ready once it listens."""

    def __init__(self, command, port=None, env=None):
        self.port = port
        self.log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={**os.environ, **(env or {})}, start_new_session=True,
        )
        if port:
            eventually(self._listens, 20, what=f"{command[0]} listening on {port}")

    def _listens(self):
        if self._process.poll() is not None:
            self.log.seek(0)
            raise Unavailable(f"{self._process.args[0]} ended: {self.log.read()[-1000:]!r}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, 15)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, 9)
                self._process.wait()

    def rss(self):
        return sum(rss(pid) for pid in family(self.pid))

    def own_bytes(self):
        return sum(own_bytes(pid) for pid in family(self.pid))

    def cpu_seconds(self):
        return sum(cpu_seconds(pid) for pid in family(self.pid))


def family(pid):
    """`pid` and its descendants."""
    found = [pid]
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            found += family(int(child))
    return found


def rss(pid):
    """Resident bytes."""
    match = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) * 1024 if match else 0


def own_bytes(pid):
    """Resident bytes that are in no file: what is not shared with other programs and cannot be dropped."""
    match = re.search(r"RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) * 1024 if match else 0


def cpu_seconds(pid):
    """User and system time so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(url, connections, seconds=3, threads=1, headers=()):
    """Requests per second as wrk counts them; any non-2xx answer or socket error is an error."""
    arguments = [arg for header in headers for arg in ("-H", header)]
    done = subprocess.run(
        [need("wrk"), "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s", *arguments, url],
        capture_output=True, text=True, timeout=seconds + 60, check=True,
    )
    if "Non-2xx" in done.stdout or re.search(r"Socket errors: .*[1-9]", done.stdout):
        raise RuntimeError(f"wrk {url}: {done.stdout}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def seconds(work):
    """How long work() takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _short(value):
    return None if value is None else float(f"{value:.4g}")


def _text(value):
    return "-" if value is None else f"{value:g}" if abs(value) < 1e6 else f"{value:,.0f}"
