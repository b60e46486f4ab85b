"""A device that asks by plain poll: GET /v1/devices/<id>/update, POST .../report."""
import hashlib
import http.client
import json
import urllib.parse


class PollDevice:
    """One device at a gateway's HTTP listener. Keeps its version; not thread-safe."""

    def __init__(self, port, name, version, type="", token=""):
        self.port = port
        self.name = name
        self.version = version
        self.type = type
        self.token = token

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @property
    def _path(self):
        return "/v1/devices/" + urllib.parse.quote(self.name, safe="")

    def ask(self):
        """(status, offer): 204 and None when there is nothing to do."""
        query = urllib.parse.urlencode({"version": self.version, **({"type": self.type} if self.type else {})})
        status, body = self._ask("GET", f"{self._path}/update?{query}")
        return status, json.loads(body) if body else None

    def offer(self):
        """The offer, or None."""
        status, offer = self.ask()
        assert status in (200, 204), f"{self.name}: {status} {offer}"
        return offer if status == 200 else None

    def report(self, offer, state, **more):
        status, body = self._ask("POST", f"{self._path}/report",
                                 {"deployment": offer["deployment"], "state": state, **more})
        assert status == 204, f"{self.name} {state}: {status} {body!r}"

    def download(self, offer):
        """The bytes, which are those that were offered."""
        path = urllib.parse.urlsplit(offer["url"]).path
        status, body = self._ask("GET", path)
        assert status == 200 and hashlib.sha256(body).hexdigest() == offer["sha256"], f"{path}: {status}"
        return body

    def update(self):
        """Takes an update as it should; False when there is none."""
        offer = self.offer()
        if not offer:
            return False
        self.report(offer, "downloading", offset=0)
        self.report(offer, "downloaded", offset=len(self.download(offer)))
        self.report(offer, "applying")
        self.version = offer["version"]
        self.offer()  # asks with the new version: that is the proof
        return True

    def fail(self, message="no space"):
        """Takes an update and fails; False when there is none."""
        offer = self.offer()
        if not offer:
            return False
        self.report(offer, "failed", code=-28, message=message)
        return True
