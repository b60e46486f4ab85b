"""Fixtures for the tests that run the built programs."""
import itertools
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import tools  # noqa: E402
from support.azure import Azurite  # noqa: E402
from support.gateway import Gateway  # noqa: E402
from support.hawkbit import HawkBit  # noqa: E402
from support.oci import Registry  # noqa: E402
from support.proxy import ThrottledProxy  # noqa: E402
from support.s3 import S3Server  # noqa: E402


@pytest.fixture(scope="session")
def build_dir():
    return tools.build_dir()


_numbers = itertools.count(1)


class Owner:
    """Makes things for one test and closes them after it, the last one first."""

    def __init__(self):
        self._made = []

    def add(self, thing):
        self._made.append(thing)
        return thing

    def close(self):
        first = None
        for thing in reversed(self._made):
            try:
                thing.close()
            except Exception as error:  # all are closed, then the first error counts
                first = first or error
        if first:
            raise first


@pytest.fixture
def owner():
    made = Owner()
    yield made
    made.close()


@pytest.fixture
def make_gateway(build_dir, owner):
    """make_gateway() -> Gateway, not started; stopped and removed after the test."""
    return lambda **how: owner.add(Gateway(build_dir, **how))


@pytest.fixture
def gateway(make_gateway):
    return make_gateway()


@pytest.fixture
def s3(owner):
    """A running S3 server with an empty bucket."""
    return owner.add(S3Server()).start()


@pytest.fixture(scope="session")
def azurite():
    """One Blob service for all tests of a file: it takes seconds to start."""
    server = Azurite()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def hawkbit():
    """A running hawkBit, the same for all tests of a file: it takes long to start. Names must be unique."""
    server = HawkBit()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def azure(azurite):
    """An empty container of a running Blob service."""
    return azurite.with_container(f"firmware-{next(_numbers)}")


@pytest.fixture
def make_registry(owner):
    """make_registry(kind=..., auth=...) -> Registry, running and empty."""
    return lambda *args, **how: owner.add(Registry(*args, **how)).start()


@pytest.fixture
def make_proxy(owner):
    """make_proxy(upstream_port, rate=..., delay=...) -> ThrottledProxy, closed after the test."""
    return lambda *args, **how: owner.add(ThrottledProxy(*args, **how))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Gateway):
                report.sections.append((f"log of {name}", value.log[-8000:]))


# What was skipped, for the summary of ./dev test: <build>/skips/<file>, one line a reason.
_skipped = []
_ran = []


def pytest_runtest_logreport(report):
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
    elif report.when == "call":
        _ran.append(report.nodeid)


def pytest_sessionfinish(session, exitstatus):
    named = os.environ.get("OTAGATE_BUILD_DIR")
    if _skipped and named:
        folder = pathlib.Path(named) / "skips"
        folder.mkdir(exist_ok=True)
        file = _skipped[0].partition("::")[0].replace("/", "_")
        (folder / file).write_text("\n".join(_skipped) + "\n", encoding="utf-8")
    if exitstatus == 0 and _skipped and not _ran:
        session.exitstatus = 77  # ctest: skipped


@pytest.fixture
def cached_firmware(gateway, tmp_path):
    """cached_firmware(body) -> the gateway, started, with `body` in its cache as app 1.0.0, over HTTP and CoAP."""

    def make(body):
        folder = tmp_path / "firmware"
        folder.mkdir()
        (folder / "app-1.0.0.bin").write_bytes(body)
        gateway.add_directory(folder, pattern=["{name}-{version}.bin"])
        gateway.add_http()
        gateway.add_coap()
        gateway.start()
        gateway.wait_log("fill_completed")
        gateway.wait_log("http: listening on")
        return gateway

    return make
