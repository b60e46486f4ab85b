"""The fleet simulator, otagate-sim, as tests run it."""
import json
import pathlib
import subprocess
import tempfile


class Sim:
    """One run. wait() or stop() ends it; then `report` is what became of each device."""

    def __init__(self, build_dir, *options, http=None, coap=None):
        self._folder = tempfile.TemporaryDirectory(prefix="otg-sim-")
        self._report = pathlib.Path(self._folder.name) / "report.json"
        self._log = pathlib.Path(self._folder.name) / "log"
        command = [build_dir / "bin/otagate-sim", *map(str, options), "--report", self._report]
        command += ["--url", f"http://127.0.0.1:{http}"] if http else []
        command += ["--coap", f"coap://127.0.0.1:{coap}"] if coap else []
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.report = None

    @property
    def log(self):
        return self._log.read_text("utf-8", "replace")

    @property
    def running(self):
        return self.process.poll() is None

    def wait(self, timeout=120):
        """The exit code."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the simulator did not end in {timeout} s:\n{self.log[-2000:]}") from None
        assert self._report.exists(), f"ended with {code}, without a report:\n{self.log[-4000:]}"
        self.report = json.loads(self._report.read_text("utf-8"))
        return code

    def stop(self):
        """SIGTERM: it ends with what it has."""
        if self.running:
            self.process.terminate()
        return self.wait(30)

    def close(self):
        if self.running:
            self.process.kill()
            self.process.wait()
        self._folder.cleanup()

    @property
    def devices(self):
        return {device["id"]: device for device in self.report["devices"]}
