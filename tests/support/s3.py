"""A real S3 server (versitygw over a folder), filled by an independent client (boto3)."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from .net import eventually, free_port
from .tools import need, need_module

ACCESS_KEY = "AKIDOTAGATETEST"
SECRET_KEY = "otagate/test+secret/only"


class S3Server:
    """Owns its folder and process. `endpoint` is where it listens; the bucket exists once started."""

    def __init__(self, bucket="firmware", port=None, cert=None, key=None):
        self._binary = need("versitygw")
        need_module("boto3")
        self.bucket = bucket
        self.port = port or free_port()
        self.access_key, self.secret_key = ACCESS_KEY, SECRET_KEY
        self._tls = ["--cert", str(cert), "--key", str(key)] if cert else []
        self.endpoint = f"{'https' if cert else 'http'}://127.0.0.1:{self.port}"
        self._ca = str(cert) if cert else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="otg-s3-"))
        self.data, self.versions = self.folder / "data", self.folder / "versions"
        self.data.mkdir()
        self.versions.mkdir()
        self.log_path = self.folder / "log"
        self._process = None

    def _storage(self):
        try:
            os.setxattr(self.data, "user.otagate_probe", b"1")
            os.removexattr(self.data, "user.otagate_probe")
            return ["posix", "--versioning-dir", self.versions, self.data]
        except OSError:
            sidecar = self.folder / "sidecar"
            sidecar.mkdir(exist_ok=True)
            return ["posix", "--sidecar", sidecar, self.data]

    def start(self):
        env = {**os.environ, "ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "--quiet", "--keep-alive", "--port", f"127.0.0.1:{self.port}",
                 "--virtual-domain", f"s3.localhost:{self.port}", *self._tls, *self._storage()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=self.folder,
            )

        def listens():
            assert self._process.poll() is None, f"versitygw ended: {self.log_path.read_text()[-2000:]}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        eventually(listens, 20, what="versitygw listening")
        if not (self.data / self.bucket).exists():
            self.client().create_bucket(Bucket=self.bucket)
        return self

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, endpoint=None):
        """A boto3 client; `endpoint` to go through a proxy."""
        boto3 = need_module("boto3")
        config = need_module("botocore.config").Config(
            s3={"addressing_style": "path"}, signature_version="s3v4", retries={"max_attempts": 2}
        )
        return boto3.client(
            "s3", endpoint_url=endpoint or self.endpoint, region_name="us-east-1",
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
            config=config, verify=self._ca,
        )

    def put(self, key, data, **metadata):
        """Stores an object; keyword arguments become x-amz-meta-*. Returns its ETag."""
        answer = self.client().put_object(Bucket=self.bucket, Key=key, Body=data, Metadata=metadata)
        return answer["ETag"]

    def delete(self, key):
        self.client().delete_object(Bucket=self.bucket, Key=key)

    def options(self, endpoint=None, **more):
        """The [store.options] of a store on this bucket; secrets lie in a file."""
        secret = self.folder / "secret"
        if not secret.exists():
            secret.write_text(self.secret_key, encoding="ascii")
            secret.chmod(0o600)
        return {
            "endpoint": endpoint or self.endpoint, "bucket": self.bucket, "region": "us-east-1",
            "addressing": "path", "access_key": self.access_key,
            "secret_key": {"file": str(secret)}, **more,
        }
