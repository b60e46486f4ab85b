# ctest-timeout: 300
"""Devices that know no protocol and show no credential: where the operator says so, their address is enough to make
a download their attempt. nRF Connect's FOTA library is one of them."""
import pytest

from support import coap
from support.clients import coap_get, curl, image, sha256
from support.net import eventually

BODY = image(150_000)
PATH = "/firmware/app/1.1.0"


class Site:
    """A gateway with app 1.1.0 in its cache, meant for all lamps."""

    def __init__(self, gateway, folder):
        self.gateway = gateway
        gateway.add_directory(folder, pattern=["{name}-{version}.bin"], options={"settle": "50ms"})
        (folder / "app-1.1.0.bin").write_bytes(BODY)
        gateway.start()
        eventually(lambda: any(item["cached"] for item in gateway.api("/firmware")["items"]), 20, what="its bytes")
        gateway.api("/deployments", "POST", {
            "parts": [{"name": "app", "version": "1.1.0"}], "target": {"type": "lamp"}})

    def lamp(self, name, transport, address):
        out = self.gateway.cli("devices", "add", name, "--type", "lamp", "--transport", transport, "--address", address)
        assert out.returncode == 0
        return name

    def by_coap(self, address, **how):
        answer = coap_get(self.gateway.coap_url(PATH), arguments=("-a", address), **how)
        assert answer.error == ""
        assert sha256(answer.body) == sha256(BODY)

    def by_http(self, address):
        assert curl("--interface", address, self.gateway.url(PATH)) == BODY

    def attempts(self, name):
        return self.gateway.api(f"/devices/{name}/attempts")["items"]

    def downloaded(self, name):
        def there():
            found = self.attempts(name)
            return found[0] if found and found[0]["state"] == "downloaded" else None

        return eventually(there, 20, what=f"all bytes with {name}")


@pytest.fixture
def make_site(gateway, tmp_path):
    def make(coap=None, http=None):
        if coap is not None:
            gateway.add_coap(**coap)
        if http is not None:
            gateway.add_http(**http)
        return Site(gateway, tmp_path / "firmware")

    return make


ADDRESS = {"identify": "address"}


def test_a_coap_download_is_the_attempt_of_whoever_is_registered_there(make_site):
    site = make_site(coap=ADDRESS)
    lamp = site.lamp("lamp-1", "coap", "127.0.0.2")
    site.by_coap("127.0.0.2", block=1024)
    attempt = site.downloaded(lamp)
    assert (attempt["firmware"], attempt["offset"]) == ("app/1.1.0", len(BODY))
    device = site.gateway.api(f"/devices/{lamp}")
    assert device["address"].startswith("127.0.0.2:") and device["last_seen_ms"] > 0
    assert site.gateway.api("/devices")["devices"] == 1, "a download registers nobody"


def test_nrf_connects_downloader_moves_its_attempt(make_site):
    site = make_site(coap={**ADDRESS, "max_block": 512})
    lamp = site.lamp("lamp-1", "coap", "127.0.0.1")
    device = coap.NrfDownloader(site.gateway.coap_port)
    try:
        assert device.run(PATH.removeprefix("/")) == BODY
    finally:
        device.close()
    assert site.downloaded(lamp)["offset"] == len(BODY)


def test_an_http_download_without_a_credential_is_an_attempt_too(make_site):
    site = make_site(http=ADDRESS)
    lamp = site.lamp("lamp-1", "http", "127.0.0.2")
    for start in range(0, len(BODY), 50_000):
        curl("--interface", "127.0.0.2", "-r", f"{start}-{start + 49_999}", site.gateway.url(PATH))
    assert site.downloaded(lamp)["offset"] == len(BODY)


def test_nobody_else_moves_an_attempt(make_site):
    """From another address, by another transport, for a device that has a credential, or for one of two."""
    site = make_site(coap=ADDRESS, http=ADDRESS)
    elsewhere = site.lamp("lamp-1", "coap", "127.0.0.3")
    secured = site.lamp("lamp-2", "coap", "127.0.0.4")
    assert site.gateway.cli("devices", "token", secured).returncode == 0
    twins = [site.lamp("lamp-3", "coap", "127.0.0.5"), site.lamp("lamp-4", "coap", "127.0.0.5")]
    for address in ("127.0.0.2", "127.0.0.4", "127.0.0.5"):
        site.by_coap(address)
    site.by_http("127.0.0.3")
    # Whoever came before has been heard when this one has.
    last = site.lamp("lamp-5", "coap", "127.0.0.6")
    site.by_coap("127.0.0.6")
    site.downloaded(last)
    for name in (elsewhere, secured, *twins):
        assert site.attempts(name) == [], name


@pytest.mark.parametrize("options", [{}, {**ADDRESS, "trusted_networks": ["10.0.0.0/8"]}])
def test_only_where_the_operator_says_that_an_address_is_enough(make_site, options):
    site = make_site(coap=options, http=options)
    coap_lamp = site.lamp("lamp-1", "coap", "127.0.0.2")
    http_lamp = site.lamp("lamp-2", "http", "127.0.0.2")
    before = site.gateway.api(f"/devices/{coap_lamp}")
    site.by_coap("127.0.0.2")
    site.by_http("127.0.0.2")
    assert site.attempts(coap_lamp) == [] and site.attempts(http_lamp) == []
    assert site.gateway.api(f"/devices/{coap_lamp}") == before, "it was not even asked for"


def test_it_is_refused_where_it_could_not_mean_anything(gateway, tmp_path):
    gateway.add_directory(tmp_path / "firmware")
    gateway.add_http(anonymous=False, identify="address")
    gateway.start()
    gateway.wait_log("option 'identify'")
    assert "anonymous = true" in gateway.cli("plugins", check=False).stdout + gateway.log
