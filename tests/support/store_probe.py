"""One store plugin without a gateway: plugins/common/testing/store_probe, spoken to line by line."""
import json
import os
import pathlib
import subprocess

OK, TRANSIENT, PERMANENT, CHANGED, NOT_FOUND, DENIED, CLOCK, THROTTLED = range(8)
CANCELLED, DEADLINE, UNSUPPORTED, INVALID = range(8, 12)


def _for_sanitizers(env):
    """In a sanitizer build: libfaketime may come before the runtime, and freed memory is not hoarded, so
    that what a listing holds can be told from what it has let go."""
    options = "verify_asan_link_order=0:quarantine_size_mb=1:malloc_context_size=2"
    return {**env, "ASAN_OPTIONS": ":".join(filter(None, [env.get("ASAN_OPTIONS"), options]))}


class StoreProbe:
    """Secrets in `options` may be {"file": ...} as in a configuration; they are read here."""

    def __init__(self, build_dir, plugin, options, env=None):
        build_dir = pathlib.Path(build_dir)
        resolved = {
            name: pathlib.Path(value["file"]).read_text(encoding="utf-8")
            if isinstance(value, dict) and list(value) == ["file"] else value
            for name, value in options.items()
        }
        self._process = subprocess.Popen(
            [build_dir / "bin/store_probe", build_dir / f"lib/otagate/plugins/{plugin}.so", json.dumps(resolved)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_for_sanitizers(env or os.environ),
        )
        self.created = self._read()

    def ask(self, *command):
        """One command's answer, as store_probe.cpp describes it."""
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read()

    def objects(self, limit=1000):
        """All objects by key; asserts that the listing went well."""
        answer = self.ask("list", limit)
        assert answer["status"] == OK, answer
        return {found["key"]: found for found in answer["objects"]}

    def fetch(self, key, token="", offset=0, length=0, locator=""):
        return self.ask("fetch", key, token, offset, length, locator)

    def feedback(self, device, external_id, kind, done=0, total=0, code=0, message=""):
        return self.ask("feedback", device, str(external_id), kind, done, total, code, message)

    def assigned(self, seconds=20):
        """The next thing that the store assigned ({"assignment"}) or took back ({"cancelled"}); None: in vain."""
        answer = self.ask("assigned", seconds)
        return answer if answer["status"] == OK else None

    def close(self):
        self._process.stdin.close()
        code = self._process.wait(30)
        assert code == 0 or self.created["status"] != OK, f"store_probe ended with {code}"

    def _read(self):
        line = self._process.stdout.readline()
        assert line, f"store_probe ended with {self._process.wait(30)}"
        return json.loads(line)
