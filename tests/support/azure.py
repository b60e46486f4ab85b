"""A real Blob service (Azurite), filled by Microsoft's own client."""
import concurrent.futures
import contextlib
import copy
import datetime
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from .certificate import self_signed
from .net import eventually, free_port
from .tools import need, need_module

ACCOUNT = "otagatetest"
KEY = "b3RhZ2F0ZSB0ZXN0cyBvbmx5OiBhIGtleSBvZiA2NCBieXRlcywgbm90IGEgc2VjcmV0IGF0IGFsbCEhIQ=="


class Azurite:
    """Owns its folder and process. `endpoint` is the account's; the container exists once started. With
    `tls` it serves https and takes tokens of Entra ID, whose signature it does not check."""

    def __init__(self, container="firmware", tls=False):
        self._binary = need("azurite-blob")
        need("node")
        self._sdk = need_module("azure.storage.blob")
        self.container, self.account, self.key = container, ACCOUNT, KEY
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="otg-azure-"))
        self.cert, tls_key = self_signed(self.folder) if tls else (None, None)
        self._tls = ["--cert", self.cert, "--key", tls_key, "--oauth", "basic"] if tls else []
        self.scheme = "https" if tls else "http"
        self.endpoint = self.at(self.port)
        self.log_path = self.folder / "log"
        self._process = None
        self._service = None

    def at(self, port):
        """The account's endpoint at another port: that of a proxy."""
        return f"{self.scheme}://127.0.0.1:{port}/{self.account}"

    def start(self):
        env = {**os.environ, "AZURITE_ACCOUNTS": f"{self.account}:{self.key}"}
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "--silent", "--inMemoryPersistence", "--disableTelemetry", "--blobHost", "127.0.0.1",
                 "--blobPort", str(self.port), *self._tls],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=self.folder,
            )

        def listens():
            assert self._process.poll() is None, f"azurite ended: {self.log_path.read_text()[-2000:]}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        eventually(listens, 60, what="azurite listening")
        self.client().create_container()
        return self

    def with_container(self, name):
        """The same server with another, new container."""
        other = copy.copy(self)
        other.container = name
        other.client().create_container()
        return other

    def stop(self):
        """What it held is lost: it lives in memory."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self):
        if self._service:
            self._service.close()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def service(self):
        """Microsoft's client of the account."""
        if not self._service:
            self._service = self._sdk.BlobServiceClient(
                self.endpoint, credential={"account_name": self.account, "account_key": self.key},
                connection_verify=str(self.cert) if self.cert else True, retry_total=2,
            )
        return self._service

    def client(self):
        return self.service.get_container_client(self.container)

    def put(self, name, data, /, *, index_tags=None, **metadata):
        """Stores a blob; keyword arguments become its metadata. Returns its ETag."""
        blob = self.client().get_blob_client(name)
        return blob.upload_blob(data, overwrite=True, metadata=metadata, tags=index_tags)["etag"]

    def put_many(self, names):
        """Small blobs, each with its name as its bytes."""
        client = self.client()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for _ in pool.map(lambda name: client.get_blob_client(name).upload_blob(name.encode()), names):
                pass

    def delete(self, name):
        self.client().delete_blob(name)

    def sas(self, permission="rl", **how):
        """A SAS token of the container, an hour long."""
        expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        return self._sdk.generate_container_sas(
            self.account, self.container, account_key=self.key, permission=permission, **{"expiry": expiry, **how}
        )

    def connection_string(self, endpoint=None):
        return (f"DefaultEndpointsProtocol={self.scheme};AccountName={self.account};AccountKey={self.key};"
                f"BlobEndpoint={endpoint or self.endpoint};")

    def secret(self, text, name="secret"):
        """A file that holds a secret, as an option takes it."""
        path = self.folder / name
        path.write_text(text, encoding="ascii")
        path.chmod(0o600)
        return {"file": str(path)}

    def options(self, endpoint=None, **more):
        """The [store.options] of a store on this container, with the account's key."""
        if self.cert:
            more = {"ca_file": str(self.cert), **more}
        return {"endpoint": endpoint or self.endpoint, "account": self.account, "container": self.container,
                "account_key": self.secret(self.key, "key"), **more}
