"""The programs that devices and people use: curl, wget, coap-client."""
import dataclasses
import hashlib
import pathlib
import shutil
import subprocess
import tempfile

from .net import eventually
from .tools import need, unavailable


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def image(size, seed=1):
    """Bytes of a firmware that no compression or accidental repeat makes easy; the same each time."""
    return hashlib.shake_128(f"otagate {seed}".encode()).digest(size)


def run(*command, timeout=120, check=True, **how):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, **how
    )
    assert not check or done.returncode == 0, (
        f"{command[0]} ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace')[-2000:]}"
    )
    return done


def curl(*arguments, **how):
    """The body that curl wrote to its standard output."""
    return run(need("curl"), "--silent", "--show-error", "--fail", *arguments, **how).stdout


def wget(*arguments, **how):
    return run(need("wget"), "--no-verbose", "--tries=1", *arguments, **how)


def coap_client_path():
    for name in ("coap-client-notls", "coap-client-openssl", "coap-client-gnutls", "coap-client"):
        found = shutil.which(name)
        if found:
            return found
    return unavailable("coap-client (libcoap3-bin) is not installed; ./dev test installs it")


@dataclasses.dataclass
class CoapAnswer:
    """coap-client exits with 0 on errors too: `error` is the code and text it printed, "" on success."""

    body: bytes
    error: str
    output: str


def coap_get(url, block=None, timeout=90, arguments=()):
    """GET by coap-client; `block` is the block size asked for (16 to 1024)."""
    with tempfile.TemporaryDirectory(prefix="otg-coap-") as folder:
        out = pathlib.Path(folder) / "body"
        sized = ["-b", str(block)] if block else []
        done = run(coap_client_path(), "-B", str(timeout), *sized, *arguments, "-o", out, url, timeout=timeout + 30)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        error = next((line for line in text.splitlines() if line[:2] in ("4.", "5.")), "")
        return CoapAnswer(out.read_bytes() if out.exists() else b"", error, text)


def coap_get_patiently(url, block=None, patience=30):
    """coap_get(), asked again while the gateway answers 5.03: the firmware is still being fetched."""
    return eventually(
        lambda: None if (answer := coap_get(url, block)).error.startswith("5.03") else answer,
        patience, interval=0.2, what=f"{url} being fetched",
    )
