"""A real hawkBit (tests/support/hawkbit over H2 in memory), spoken to by its Management API.

OTAGATE_TEST_HAWKBIT_URL names another server to use instead: http://admin:admin@127.0.0.1:8080. It needs a
user that may do everything, and its settings for authentication and polling are changed.
"""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from .net import eventually, free_port
from .tools import CACHE, need, unavailable

GATEWAY_TOKEN = "gateway-token-of-the-tests"


class Refused(Exception):
    """An answer of 4xx or 5xx to a call of the Management API."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status


def _class_path():
    path = CACHE / "hawkbit/classpath"
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    missing = CACHE / "hawkbit.missing"
    if missing.exists():
        return unavailable(missing.read_text(encoding="utf-8").strip())
    return unavailable("hawkBit is not installed; ./dev test installs it")


class HawkBit:
    """`endpoint` is its URL. Names are made unique by the caller where the server is not our own."""

    def __init__(self, port=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="otg-hawkbit-"))
        self.log_path = self.folder / "log"
        self._process = None
        self._user = "admin:admin"
        named = os.environ.get("OTAGATE_TEST_HAWKBIT_URL")
        self.own = not named
        if named:
            parts = urllib.parse.urlsplit(named)
            if parts.username:
                self._user = f"{parts.username}:{parts.password}"
            self.port = parts.port or (443 if parts.scheme == "https" else 80)
            self.endpoint = f"{parts.scheme}://{parts.hostname}:{self.port}"
        else:
            self.port = port or free_port()
            self.endpoint = f"http://127.0.0.1:{self.port}"
        self.tenant = "DEFAULT"
        self.unique = f"{os.getpid():x}{int(time.time() * 1000) % 16**6:x}"

    def start(self):
        if self.own:
            opens = [f"--add-opens=java.base/java.{part}=ALL-UNNAMED" for part in ("lang", "util", "lang.reflect")]
            with open(self.log_path, "ab") as log:
                self._process = subprocess.Popen(
                    [need("java"), "-Xmx512m", "-XX:TieredStopAtLevel=1", *opens, "-cp", _class_path(),
                     "org.otagate.test.Server", "--server.address=127.0.0.1", f"--server.port={self.port}",
                     "--spring.datasource.url=jdbc:h2:mem:hb;MODE=MySQL;DB_CLOSE_ON_EXIT=FALSE",
                     "--spring.main.allow-bean-definition-overriding=true",
                     "--spring.security.user.name=admin", "--spring.security.user.password={noop}admin",
                     "--hawkbit.controller.minPollingTime=00:00:01"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder,
                )
        eventually(self._answers, 240, 0.2, "hawkBit answering")
        self.configure("authentication.gatewaytoken.enabled", True)
        self.configure("authentication.gatewaytoken.key", GATEWAY_TOKEN)
        self.configure("authentication.targettoken.enabled", True)
        self.configure("pollingTime", "00:00:01" if self.own else "00:00:30")
        return self

    def _answers(self):
        if self._process:
            assert self._process.poll() is None, f"hawkBit ended: {self.log_path.read_text()[-3000:]}"
        with contextlib.suppress(OSError, Refused):
            return self.call("GET", "/targets?limit=1") is not None
        return False

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The Management API

    def call(self, method, path, body=None, content_type="application/json"):
        data = json.dumps(body).encode() if content_type == "application/json" and body is not None else body
        request = urllib.request.Request(f"{self.endpoint}/rest/v1{path}", data=data, method=method)
        request.add_header("Authorization", "Basic " + base64.b64encode(self._user.encode()).decode())
        request.add_header("Accept", "application/hal+json, application/json")
        if data is not None:
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode("utf-8", "replace")[:500]) from error
        return json.loads(text) if text.strip() else {}

    def configure(self, key, value):
        self.call("PUT", f"/system/configs/{key}", {"value": value})

    def add_target(self, name, token=None):
        """Returns its security token."""
        target = {"controllerId": name, "name": name, **({"securityToken": token} if token else {})}
        (made,) = self.call("POST", "/targets", [target])
        return made["securityToken"]

    def target(self, name):
        return self.call("GET", f"/targets/{name}")

    def attributes(self, name):
        return self.call("GET", f"/targets/{name}/attributes")

    def ask_for_attributes(self, name):
        self.call("PUT", f"/targets/{name}", {"requestAttributes": True})

    def add_module(self, name, version, files, kind="os"):
        """`files`: file name -> bytes. Returns the module's number."""
        (module,) = self.call("POST", "/softwaremodules", [{"name": name, "version": version, "type": kind}])
        for file, data in files.items():
            edge = "otagate-test-boundary"
            body = (f"--{edge}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n"
                    f"Content-Type: application/octet-stream\r\n\r\n").encode() + data + f"\r\n--{edge}--\r\n".encode()
            self.call("POST", f"/softwaremodules/{module['id']}/artifacts", body,
                      f"multipart/form-data; boundary={edge}")
        return module["id"]

    def add_set(self, name, version, modules, kind="os"):
        (made,) = self.call("POST", "/distributionsets", [
            {"name": name, "version": version, "type": kind, "modules": [{"id": module} for module in modules]}])
        return made["id"]

    def assign(self, distribution_set, *targets, kind="forced", **more):
        """Returns target -> number of its action."""
        wanted = [{"id": target, "type": kind, **more} for target in targets]
        self.call("POST", f"/distributionsets/{distribution_set}/assignedTargets", wanted)
        return {target: self.actions(target)[0]["id"] for target in targets}

    def release(self, name, version, data, *targets, kind="forced", file="firmware.bin", **more):
        """One module with one artifact as a distribution set, assigned. Returns target -> action."""
        module = self.add_module(name, version, {file: data})
        return self.assign(self.add_set(name, version, [module]), *targets, kind=kind, **more)

    def actions(self, target):
        """The newest first."""
        return self.call("GET", f"/targets/{target}/actions?sort=id:DESC")["content"]

    def action(self, target, action):
        return self.call("GET", f"/targets/{target}/actions/{action}")

    def statuses(self, target, action):
        """[(type, [message])], the oldest first."""
        found = self.call("GET", f"/targets/{target}/actions/{action}/status?limit=500&sort=id:ASC")["content"]
        return [(one["type"], one["messages"]) for one in found]

    def cancel(self, target, action, force=False):
        self.call("DELETE", f"/targets/{target}/actions/{action}{'?force=true' if force else ''}")

    def wait_status(self, target, action, wanted, timeout=30):
        """Until the action has had a status of that type."""
        def has():
            types = [kind for kind, _ in self.statuses(target, action)]
            assert wanted in types, types
            return types

        return eventually(has, timeout, 0.2, f"status {wanted} of action {action}")

    # Options of a store

    def options(self, **more):
        """With the gateway token, in a file."""
        return {"url": self.endpoint, "gateway_token": self.secret("gateway", GATEWAY_TOKEN),
                "poll_min": "1s", "poll_max": "5s", **more}

    def secret(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="ascii")
        path.chmod(0o600)
        return {"file": str(path)}
