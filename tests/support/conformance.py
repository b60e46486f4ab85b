"""The conformance kit over one plugin."""
import json
import pathlib
import subprocess

from . import toml


def check_plugin(build_dir, plugin, folder, options, check=None, timeout=240, limits=None):
    """Runs otagate-plugin-check; returns {check: verdict} and asserts that nothing failed.
    `limits` are what the upstream cannot do, {check: start of the reason}: these must fail, for that reason.
    Secrets in `options` may be {"file": ...}; the kit hands options on as they are."""
    resolved = {
        name: pathlib.Path(value["file"]).read_text(encoding="utf-8") if isinstance(value, dict) else value
        for name, value in options.items()
    }
    config = pathlib.Path(folder) / f"{plugin}.toml"
    config.write_text(toml.dumps({"options": resolved, "check": check or {}}), encoding="utf-8")
    build_dir = pathlib.Path(build_dir)
    done = subprocess.run(
        [build_dir / "bin/otagate-plugin-check", "--json", build_dir / f"lib/otagate/plugins/{plugin}.so", config],
        capture_output=True, text=True, timeout=timeout,
    )
    assert done.returncode in (0, 1), done.stderr
    rows = json.loads(done.stdout)["checks"]
    limits = limits or {}
    failed = {row["name"]: row["reason"] for row in rows if row["verdict"] == "fail"}
    assert failed.keys() == limits.keys() and done.returncode == (1 if limits else 0), rows
    assert all(failed[name].startswith(reason) for name, reason in limits.items()), failed
    return {row["name"]: row["verdict"] for row in rows}
