"""Real OCI registries for tests, their token server, and what is pushed into them."""
import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import pathlib
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.parse

from .net import eventually, free_port
from .tools import need

USER, PASSWORD = "gateway", "correct-horse"
_HTPASSWD = USER + ":$2b$04$SNmD3Au1jzCmK4DRdlDN5OWOdxvfCECwTvyz4rSjtYPw5GpJDPV5a\n"

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
BYTES = "application/octet-stream"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
TITLE = "org.opencontainers.image.title"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer_of(files, compress=True):
    """A tar of {path: bytes}; the same files give the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0) if compress else out.getvalue()


class TokenServer:
    """Issues the JWTs that a registry verifies (the distribution token specification). `asked` has one entry
    a request: (path, query, Authorization)."""

    def __init__(self, folder, issuer="otagate-test"):
        self.port, self.issuer = free_port(), issuer
        self.url = f"http://127.0.0.1:{self.port}/token"
        self.key, self.cert = pathlib.Path(folder) / "token.key", pathlib.Path(folder) / "token.pem"
        self.asked = []
        self.lifetime = 300
        self.anonymous = False
        self.refresh_token = "refresh-me"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens",
             "-keyout", self.key, "-out", self.cert], check=True, capture_output=True,
        )
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                outer._answer(self, path, query)

            def do_POST(self):
                form = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
                outer._answer(self, self.path, form)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler, path, query):
        sent = handler.headers.get("Authorization", "")
        self.asked.append((path, query, sent))
        said = dict(urllib.parse.parse_qsl(query))
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        good = sent == expected or said.get("refresh_token") == self.refresh_token or (self.anonymous and not sent)
        body = json.dumps({"token": self._token(said), "expires_in": self.lifetime} if good else
                          {"details": "incorrect username or password"}).encode()
        handler.send_response(200 if good else 401)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _token(self, said):
        access = []
        if said.get("scope"):
            kind, name, actions = said["scope"].split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        der = subprocess.run(["openssl", "x509", "-in", self.cert, "-outform", "DER"], check=True, capture_output=True)
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der.stdout).decode()]}
        claims = {"iss": self.issuer, "sub": USER, "aud": said.get("service", ""), "exp": now + self.lifetime,
                  "nbf": now - 10, "iat": now, "jti": str(len(self.asked)), "access": access}

        def packed(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        signed = packed(json.dumps(head).encode()) + b"." + packed(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed, check=True,
                                   capture_output=True).stdout
        return (signed + b"." + packed(signature)).decode()


class Registry:
    """A registry in a folder of its own. kind: "docker-registry" (Debian's, version 2), "registry" (version
    3) or "crane" (in memory, with a referrers API). auth: None, "htpasswd" or a TokenServer."""

    def __init__(self, kind="docker-registry", auth=None, cert=None, key=None, realm=None):
        self._binary = need(kind)
        self.kind, self.auth, self.port = kind, auth, free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if cert else 'http'}://{self.host}"
        self._cert, self._key = cert, key
        self._realm = realm
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="otg-oci-"))
        self.log_path = self.folder / "log"
        self._process = None

    @classmethod
    def attach(cls, kind, port):
        """One that another process runs: to push into, without sign-in."""
        self = cls.__new__(cls)
        self.kind, self.auth, self.port, self._cert = kind, None, port, None
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"
        return self

    def _command(self):
        if self.kind == "crane":
            return [self._binary, "registry", "serve", "--address", self.host]
        config = {
            "version": "0.1", "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.host, "secret": "test"},
        }
        if self._cert:
            config["http"]["tls"] = {"certificate": str(self._cert), "key": str(self._key)}
        if self.auth == "htpasswd":
            (self.folder / "htpasswd").write_text(_HTPASSWD, encoding="ascii")
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.folder / "htpasswd")}}
        elif self.auth:
            config["auth"] = {"token": {"realm": self._realm or self.auth.url, "service": "test-registry",
                                        "issuer": self.auth.issuer, "rootcertbundle": str(self.auth.cert)}}
        path = self.folder / "config.yml"
        path.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        return [self._binary, "serve", str(path)]

    def start(self):
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=subprocess.STDOUT, cwd=self.folder,
                                             env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin",
                                                  "OTEL_TRACES_EXPORTER": "none"})

        def listens():
            assert self._process.poll() is None, f"{self.kind} ended: {self.log_path.read_text()[-2000:]}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        eventually(listens, 20, what=f"{self.kind} listening")
        return self

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def options(self, *repositories, endpoint=None, **more):
        """The [store.options] of a store on these repositories; secrets lie in a file."""
        options = {"registry": endpoint or self.url, "repositories": list(repositories)}
        if self.auth:
            secret = self.folder / "secret"
            secret.write_text(PASSWORD, encoding="ascii")
            secret.chmod(0o600)
            options |= {"username": USER, "password": {"file": str(secret)}}
        if isinstance(self.auth, TokenServer):
            options["token_realms"] = [self.auth.url]
        if self._cert:
            options["ca_file"] = str(self._cert)
        return {**options, **more}

    # Filling it, with curl

    def _bearer(self, path):
        """What curl sends to a registry with a token server."""
        repository = path.removeprefix("/v2/").partition("/blobs")[0].partition("/manifests")[0]
        query = urllib.parse.urlencode({"service": "test-registry",
                                        "scope": f"repository:{repository}:pull,push,delete"})
        done = subprocess.run(["curl", "-sSf", "-u", f"{USER}:{PASSWORD}", f"{self.auth.url}?{query}"],
                              check=True, capture_output=True, timeout=30)
        return "Authorization: Bearer " + json.loads(done.stdout)["token"]

    def curl(self, path, *arguments, data=None):
        """curl on a path or URL of this registry; returns (head, body) of the answer."""
        url = path if path.startswith("http") else self.url + path
        command = ["curl", "-sSf", "-i", "--max-time", "60", *arguments]
        if self._cert:
            command += ["--cacert", str(self._cert)]
        if self.auth == "htpasswd":
            command += ["-u", f"{USER}:{PASSWORD}"]
        elif self.auth:
            command += ["-H", self._bearer(urllib.parse.urlsplit(url).path)]
        if data is not None:
            command += ["--data-binary", "@-"]
        done = subprocess.run([*command, url], input=data, capture_output=True, timeout=90)
        assert done.returncode == 0, f"curl {arguments} {url}: {done.stderr.decode()} {done.stdout[:500]!r}"
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        return head.decode("latin-1"), body

    def push_blob(self, repository, data):
        head, _ = self.curl(f"/v2/{repository}/blobs/uploads/", "-X", "POST", "-H", "Content-Length: 0")
        location = next(line.partition(":")[2].strip() for line in head.splitlines()
                        if line.lower().startswith("location:"))
        target = urllib.parse.urljoin(self.url, location)
        mark = "&" if "?" in target else "?"
        self.curl(f"{target}{mark}digest={urllib.parse.quote(digest(data))}", "-X", "PUT",
                  "-H", f"Content-Type: {BYTES}", data=data)
        return {"digest": digest(data), "size": len(data)}

    def push_manifest(self, repository, reference, document):
        """Returns the digest; `reference` None: that is its name."""
        data = json.dumps(document).encode()
        self.curl(f"/v2/{repository}/manifests/{reference or digest(data)}", "-X", "PUT",
                  "-H", f"Content-Type: {document['mediaType']}", data=data)
        return digest(data)

    def push_artifact(self, repository, tag, files, annotations=None, artifact_type="application/vnd.vendor.firmware"):
        """files: [(media type, bytes, annotations)]. Returns the manifest's digest."""
        config = self.push_blob(repository, b"{}")
        layers = [{"mediaType": kind, **self.push_blob(repository, data), "annotations": said or {}}
                  for kind, data, said in files]
        return self.push_manifest(repository, tag, {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type,
            "config": {"mediaType": artifact_type if self.kind == "docker-registry" else EMPTY, **config},
            "layers": layers, "annotations": annotations or {},
        })

    def push_firmware(self, repository, tag, data, **said):
        """One layer of bytes; keyword arguments become io.otagate.* annotations."""
        return self.push_artifact(repository, tag, [(BYTES, data, None)],
                                  {f"io.otagate.{key}": value for key, value in said.items()})

    def push_index(self, repository, tag, manifests, annotations=None):
        """manifests: [(digest, size, {descriptor's more members})]."""
        return self.push_manifest(repository, tag, {
            "schemaVersion": 2, "mediaType": INDEX, "annotations": annotations or {},
            "manifests": [{"mediaType": MANIFEST, "digest": name, "size": size, **more}
                          for name, size, more in manifests],
        })

    def manifest_size(self, repository, reference):
        head, body = self.curl(f"/v2/{repository}/manifests/{reference}", "-H", f"Accept: {MANIFEST}")
        return len(body)

    def delete_manifest(self, repository, name):
        self.curl(f"/v2/{repository}/manifests/{name}", "-X", "DELETE")

    # Filling it, with skopeo

    def skopeo_image(self, repository, tag, layers, labels=None, folder=None):
        """Pushes a container image made of `layers` (tar+gzip bytes) from an OCI layout."""
        layout = pathlib.Path(tempfile.mkdtemp(prefix="layout-", dir=folder or self.folder))
        blobs = layout / "blobs/sha256"
        blobs.mkdir(parents=True)

        def add(data):
            (blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
            return {"digest": digest(data), "size": len(data)}

        config = json.dumps({
            "architecture": "arm", "os": "linux", "config": {"Labels": labels or {}},
            "rootfs": {"type": "layers", "diff_ids": [digest(gzip.decompress(one)) for one in layers]},
        }).encode()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG, **add(config)},
            "layers": [{"mediaType": LAYER, **add(one)} for one in layers],
        }).encode()
        index = {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, **add(manifest)}]}
        (layout / "index.json").write_text(json.dumps(index), encoding="utf-8")
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
        self.skopeo("copy", f"oci:{layout}", f"docker://{self.host}/{repository}:{tag}")

    def skopeo(self, command, *arguments):
        """skopeo COMMAND on this registry; its standard output."""
        side = {"copy": ("--src-tls-verify=false" if arguments[0].startswith("docker:") else
                         "--dest-tls-verify=false")}.get(command, "--tls-verify=false")
        creds = []
        if self.auth:
            flag = {"copy": "--src-creds" if arguments[0].startswith("docker:") else "--dest-creds"}
            creds = [flag.get(command, "--creds"), f"{USER}:{PASSWORD}"]
        done = subprocess.run([need("skopeo"), "--insecure-policy", command, side, *creds, *arguments],
                              capture_output=True, timeout=90, cwd=self.folder)
        assert done.returncode == 0, f"skopeo {command} {arguments}: {done.stderr.decode()}"
        return done.stdout

    def crane(self, *arguments):
        """crane against a registry without sign-in; its standard output."""
        done = subprocess.run([need("crane"), "--insecure", *arguments], capture_output=True, timeout=90)
        assert done.returncode == 0, f"crane {arguments}: {done.stderr.decode()}"
        return done.stdout
