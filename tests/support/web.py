"""HTTP servers to list and fetch from: nginx over a folder, and one without ranges."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.parse

from .clients import sha256
from .net import eventually, free_port
from .tools import need


def listening(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def certificate(folder, names="IP:127.0.0.1,DNS:localhost"):
    """A self-signed one: (certificate, key)."""
    cert, key = pathlib.Path(folder) / "cert.pem", pathlib.Path(folder) / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", f"subjectAltName={names}", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )
    return cert, key


class Nginx:
    """nginx over `data`, listing folders in JSON. Owns its folder and process.

    user, password: basic authentication for everything. cert, key: TLS. extra: lines of the server block,
    in which %DATA% is the folder.
    """

    def __init__(self, user=None, password=None, cert=None, key=None, extra=""):
        self._binary = need("nginx")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="otg-web-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.data.mkdir()
        self.port = free_port()
        self.url = f"{'https' if cert else 'http'}://127.0.0.1:{self.port}/"
        self._process = None
        login = ""
        if user:
            digest = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=password + "\n", check=True,
                                    capture_output=True, text=True).stdout.strip()
            (self.folder / "htpasswd").write_text(f"{user}:{digest}\n", encoding="ascii")
            login = f'auth_basic "firmware"; auth_basic_user_file {self.folder}/htpasswd;'
        tls = f"ssl_certificate {cert}; ssl_certificate_key {key};" if cert else ""
        (self.folder / "nginx.conf").write_text(f"""
            daemon off; master_process off; worker_processes 1; pid {self.folder}/pid;
            {"user root;" if os.geteuid() == 0 else ""}
            error_log {self.folder}/error.log warn;
            events {{ worker_connections 512; }}
            http {{
              access_log {self.folder}/access.log; etag on; sendfile on; keepalive_requests 100000;
              client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2;
              fastcgi_temp_path {self.folder}/t3; uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
              types {{ application/json json; }} default_type application/octet-stream;
              server {{
                listen 127.0.0.1:{self.port}{" ssl" if cert else ""}; {tls} {login}
                location / {{ root {self.data}; autoindex on; autoindex_format json; }}
                {extra.replace("%DATA%", str(self.data))}
              }}
            }}
        """, encoding="utf-8")

    def start(self):
        self._process = subprocess.Popen(
            [self._binary, "-p", self.folder, "-e", self.folder / "error.log", "-c", self.folder / "nginx.conf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

        def up():
            assert self._process.poll() is None, f"nginx ended: {(self.folder / 'error.log').read_text()[-2000:]}"
            return listening(self.port)

        eventually(up, 20, what="nginx listening")
        return self

    def stop(self):
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
            self._process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def put(self, path, data, modified=None):
        """A file, there as a whole or not at all; `modified` in seconds since 1970."""
        file = self.data / path
        file.parent.mkdir(parents=True, exist_ok=True)
        part = self.folder / "part"
        part.write_bytes(data)
        if modified:
            os.utime(part, (modified, modified))
        part.replace(file)
        return file

    def entry(self, path, name, version, base="", **more):
        """What an index says of a file that was put; a member that is None is left out."""
        data = (self.data / path).read_bytes()
        said = {"name": name, "version": version, "url": base + urllib.parse.quote(path), "sha256": sha256(data),
                "size": len(data), **more}
        return {key: value for key, value in said.items() if value is not None}

    def index(self, entries, path="index.json", **more):
        self.put(path, json.dumps({"items": entries, **more} if more else entries).encode())
        return self.url + path


class PlainServer:
    """Python's own http.server: no ranges, no entity tags, Last-Modified only. Listens on another port."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1", "--directory", str(folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        eventually(lambda: listening(self.port), 20, what="http.server listening")

    def close(self):
        self._process.kill()
        self._process.wait()
