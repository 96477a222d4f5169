"""Which URLs and addresses a webhook may call."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from lgnb.errors import InvalidRequest
from lgnb.models.webhooks import UrlPolicy
from lgnb.resources.addresses import allowed_target, forbidden

_DEFAULT = UrlPolicy()
_LOOPBACK = UrlPolicy(disable_loopback=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "10.1.2.3", "172.16.0.1", "192.168.1.1", "fd12::1"])
def test_public_and_private_addresses_are_allowed_by_default(address: str) -> None:
    assert forbidden(ip_address(address), _DEFAULT) is None


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "198.51.100.7",
        "203.0.113.9",
        "198.18.0.1",
        "2001:db8::1",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_addresses_of_the_network_itself_are_never_allowed(address: str) -> None:
    assert forbidden(ip_address(address), _LOOPBACK) is not None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_loopback_is_allowed_only_when_the_policy_says_so(address: str) -> None:
    assert forbidden(ip_address(address), _DEFAULT) is not None
    assert forbidden(ip_address(address), _LOOPBACK) is None


@pytest.mark.parametrize("address", ["10.1.2.3", "100.64.0.1", "fd12::1", "::ffff:192.168.0.1"])
def test_private_addresses_can_be_forbidden(address: str) -> None:
    assert forbidden(ip_address(address), UrlPolicy(disable_private_ips=True)) is not None


@pytest.mark.parametrize(
    "url",
    [
        "/relative",
        "//host/path",
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
        "http://",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://api.localhost/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://user:pass@8.8.8.8/",
        "http://8.8.8.8:99999/",
        "http://8.8.8.8/a b",
        "http://8.8.8.8/\r\nX: y",
        "http://8.8.8.8\\@127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://8.8.8.8/" + "a" * 5000,
    ],
)
async def test_urls_that_are_refused_by_default(url: str) -> None:
    with pytest.raises(InvalidRequest):
        await allowed_target(url, _DEFAULT)


@pytest.mark.parametrize(
    ("policy", "allowed", "refused"),
    [
        ({"require_https": True}, "https://8.8.8.8/", "http://8.8.8.8/"),
        ({"allowed_ports": (8443,)}, "https://8.8.8.8:8443/", "https://8.8.8.8/"),
        ({"allowed_domains": ("8.8.8.8",)}, "https://8.8.8.8/", "https://8.8.4.4/"),
        ({"max_url_length": 20}, "https://8.8.8.8/", "https://8.8.8.8/aaaaaaaaaa"),
    ],
)
async def test_each_rule_of_a_policy(policy: dict[str, Any], allowed: str, refused: str) -> None:
    rules = replace(_DEFAULT, **policy)

    assert (await allowed_target(allowed, rules)).addresses == (ip_address("8.8.8.8"),)
    with pytest.raises(InvalidRequest):
        await allowed_target(refused, rules)


def _resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def test_a_wildcard_domain_means_subdomains_only(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolving(monkeypatch, "8.8.8.8")
    policy = UrlPolicy(allowed_domains=("*.example.com",))

    await allowed_target("https://a.b.example.com/", policy)
    for host in ("example.com", "badexample.com", "example.com.evil.org"):
        with pytest.raises(InvalidRequest):
            await allowed_target(f"https://{host}/", policy)


async def test_a_name_is_judged_by_every_address_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolving(monkeypatch, "8.8.8.8", "127.0.0.1")

    with pytest.raises(InvalidRequest, match="loopback"):
        await allowed_target("https://rebound.example.com/", _DEFAULT)


async def test_a_name_that_does_not_resolve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*arguments: Any, **options: Any) -> list[Any]:
        raise socket.gaierror

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    with pytest.raises(InvalidRequest, match="resolved"):
        await allowed_target("https://nowhere.example.com/", _DEFAULT)
