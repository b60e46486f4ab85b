"""SWUpdate: archives for it, signed, and suricatta, its client of hawkBit's DDI."""
import hashlib
import os
import pathlib
import signal
import subprocess

from .clients import run
from .tools import need

HARDWARE = "panel:1.0"


def _newc(number, name, data):
    """One member of a cpio archive of the kind "newc"."""
    raw = name.encode() + b"\0"
    fields = (number, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    out = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    out += b"\0" * (-len(out) % 4) + data
    return out + b"\0" * (-len(out) % 4)


class Vendor:
    """Makes and signs archives. Debian's swupdate installs nothing that is not signed."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate = self.folder / "certificate.pem"
        self._key = self.folder / "key.pem"
        run(
            need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
            "-subj", "/CN=vendor", "-addext", "extendedKeyUsage=emailProtection",
            "-keyout", self._key, "-out", self.certificate,
        )

    def archive(self, version, payload, path):
        """A .swu that writes `payload` to the file `path`."""
        description = self.folder / "sw-description"
        description.write_text(
            f"""software =
{{
  version = "{version}";
  hardware-compatibility: [ "{HARDWARE.partition(':')[2]}" ];
  files: (
    {{
      filename = "payload.bin";
      path = "{path}";
      sha256 = "{hashlib.sha256(payload).hexdigest()}";
      properties = {{ create-destination = "true"; }};
    }}
  );
}}
""",
            encoding="ascii",
        )
        signature = self.folder / "sw-description.sig"
        run(
            need("openssl"), "cms", "-sign", "-in", description, "-out", signature, "-signer", self.certificate,
            "-inkey", self._key, "-outform", "DER", "-nosmimecap", "-binary",
        )
        # The signature is the second member.
        members = (
            ("sw-description", description.read_bytes()),
            ("sw-description.sig", signature.read_bytes()),
            ("payload.bin", payload),
            ("TRAILER!!!", b""),
        )
        data = b"".join(_newc(number, name, content) for number, (name, content) in enumerate(members, 1))
        return data + b"\0" * (-len(data) % 512)


class Suricatta:
    """swupdate as a device has it: polls, downloads, installs, reports."""

    def __init__(self, folder, url, device, certificate, token="", attributes=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "log"
        self._url = url
        self._device = device
        self._certificate = certificate
        self._token = token
        self._process = None
        self._config = self.folder / "swupdate.cfg"
        identify = ",".join(f'{{ name = "{key}"; value = "{value}"; }}' for key, value in (attributes or {}).items())
        self._config.write_text(f"globals : {{ }};\nidentify : ( {identify} );\n", encoding="ascii")

    def start(self, *arguments):
        """`arguments` are suricatta's own: ("-c", "2") says that the update of before was a success."""
        suricatta = ["-t", "DEFAULT", "-u", self._url, "-i", self._device]
        if self._token:
            suricatta += ["-k", self._token]
        command = [
            need("swupdate"), "-l", "5", "-f", self._config, "-k", self._certificate, "-H", HARDWARE,
            "-B", "none", "-u", " ".join([*suricatta, *arguments]),
        ]
        # Its sockets are in TMPDIR, so that several can run side by side.
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self.folder)}, start_new_session=True,
            )
        return self

    @property
    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def stop(self):
        """With its children: they are in a session of their own."""
        process, self._process = self._process, None
        if process:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self):
        self.stop()
