"""RAUC's hawkBit client as its authors released it, with a D-Bus of its own and a RAUC that flashes nothing."""
import os
import pathlib
import subprocess

from .net import eventually
from .tools import need

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={path}</listen>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
  </policy>
</busconfig>
"""


class RaucClient:
    """Polls, downloads, hands the bundle to RAUC, reports."""

    def __init__(self, folder, port, device, token, mac="02:00:00:00:00:01"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "log"
        self.installed = self.folder / "installed"
        self.refuse = self.folder / "refuse"  # touch it
        client, python = need("rauc-hawkbit-client"), "/usr/bin/python3"
        bus = self.folder / "bus"
        (self.folder / "bus.conf").write_text(BUS.format(path=bus), encoding="ascii")
        (self.folder / "client.cfg").write_text(
            f"[client]\nhawkbit_server = 127.0.0.1:{port}\nssl = false\ntenant_id = DEFAULT\n"
            f"target_name = {device}\nauth_token = {token}\nmac_address = {mac}\n"
            f"bundle_download_location = {self.folder}/bundle.raucb\nlog_level = debug\n", encoding="ascii")
        self._env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}", "PYTHONUNBUFFERED": "1"}
        self._processes = []
        try:
            self._run(need("dbus-daemon"), "--nofork", "--config-file", self.folder / "bus.conf")
            eventually(bus.exists, 10, what="the bus")
            self._run(python, pathlib.Path(__file__).with_name("rauc_service.py"), self.folder)
            eventually((self.folder / "ready").exists, 20, what=f"RAUC's service: {self.log[-500:]}")
            self._run(client, "-c", self.folder / "client.cfg")
        except BaseException:
            self.close()
            raise

    def _run(self, *command):
        with open(self.log_path, "ab") as log:
            self._processes.append(subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self._env))

    @property
    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def close(self):
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._processes = []
