"""What a test needs from the machine, and what to say when it is not there."""
import importlib
import os
import pathlib
import shutil

import pytest

CI = os.environ.get("CI") == "true"
TREE = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(
    os.environ.get("OTAGATE_TEST_CACHE")
    or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "otagate-test"
)


def unavailable(reason):
    """Skips the running test with `reason`; under CI=true fails it."""
    if CI:
        pytest.fail(f"CI=true and {reason}", pytrace=False)
    pytest.skip(reason)


def need(tool):
    """Path of a program, from the tool cache or the PATH; else the test is skipped with the reason."""
    cached = CACHE / "bin" / tool
    if os.access(cached, os.X_OK):
        return str(cached)
    path = os.environ.get("PATH", "")
    found = shutil.which(tool, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")
    if found:
        return found
    missing = CACHE / f"{tool}.missing"
    if missing.exists():
        unavailable(missing.read_text(encoding="utf-8").strip())
    unavailable(f"{tool} is not installed; ./dev test installs it")


def need_module(name):
    """An imported Python module, else the test is skipped with the reason."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        unavailable(f"the Python module {name} is not there ({error}); ./dev test installs it")


def need_root():
    if os.geteuid() != 0:
        unavailable("the test needs root (mounts, namespaces)")


def scale():
    return float(os.environ.get("OTAGATE_TEST_SCALE", "1.0"))


def scaled(count, minimum=1):
    """`count` repeats at full scale; CI runs a tenth of them."""
    return max(minimum, round(count * scale()))


def build_dir():
    """The build tree under test, from OTAGATE_BUILD_DIR (ctest sets it)."""
    named = os.environ.get("OTAGATE_BUILD_DIR")
    path = pathlib.Path(named) if named else TREE / "build/debug"
    if not (path / "bin/otagated").exists():
        pytest.fail(f"no bin/otagated in {path}; run ./dev build debug or set OTAGATE_BUILD_DIR", pytrace=False)
    return path


def sanitized(path):
    """The sanitizers of a build tree, "" without: timing bars do not hold under them."""
    cache = (path / "CMakeCache.txt").read_text(encoding="utf-8")
    for line in cache.splitlines():
        if line.startswith("OTAGATE_SANITIZE:"):
            return line.partition("=")[2]
    return ""
