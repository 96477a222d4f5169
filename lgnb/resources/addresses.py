"""Which addresses a webhook may call: by its URL, and by what the host's name resolves to.

A caller names any URL, and the server calls it from inside its network; so the rules look at addresses, not at names,
and whoever calls must connect to the address that was looked at.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from ..errors import InvalidRequest
from ..models.webhooks import UrlPolicy

Address = IPv4Address | IPv6Address

_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
# The metadata services of clouds that lie in networks which are otherwise allowed.
_METADATA = tuple(map(ip_address, ("100.100.100.200", "fd00:ec2::254", "168.63.129.16", "192.0.0.192")))
_NAT64 = ip_network("64:ff9b::/96")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_RESOLVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL, and the addresses that may be connected to for it."""

    url: SplitResult
    port: int
    addresses: tuple[Address, ...]


async def allowed_target(url: str, policy: UrlPolicy) -> Target:
    """Where to connect for this URL.

    Raises:
        InvalidRequest: the policy forbids it, or the name does not resolve; the sentence says which.
    """
    parts, port = _checked(url, policy)
    assert parts.hostname is not None
    addresses = await _resolved(parts.hostname, port)
    for address in addresses:
        # One forbidden address is enough: a name that means several must not get through by chance.
        if why := forbidden(address, policy):
            raise InvalidRequest(f"The webhook's host {parts.hostname[:128]!r} leads to {why}, which is not allowed.")
    return Target(url=parts, port=port, addresses=addresses)


def forbidden(address: Address, policy: UrlPolicy) -> str | None:
    """What is wrong with an address, or None."""
    address = _embedded(address)
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return f"the address {address} of the network itself"
    if address.is_loopback:
        return f"the loopback address {address}" if policy.disable_loopback else None
    if isinstance(address, IPv6Address) and address.is_site_local:
        return f"the address {address} of a kind that was given up"
    if any(address in network for network in _PRIVATE):
        return f"the private address {address}" if policy.disable_private_ips else None
    return None if address.is_global and not address.is_reserved else f"the reserved address {address}"


def _checked(url: str, policy: UrlPolicy) -> tuple[SplitResult, int]:
    if len(url) > policy.max_url_length:
        raise InvalidRequest(f"The webhook's URL is longer than {policy.max_url_length} characters.")
    if not url.isprintable() or " " in url or "\\" in url:
        raise InvalidRequest("The webhook's URL holds a character that no URL has.")
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:
        raise InvalidRequest("The webhook is not a URL.") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise InvalidRequest("The webhook must be a whole URL that begins with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest("The webhook's URL must not hold a user name or a password.")
    if policy.require_https and parts.scheme != "https":
        raise InvalidRequest("The webhook's URL must begin with https://.")
    port = given_port or _DEFAULT_PORTS[parts.scheme]
    if policy.allowed_ports and port not in policy.allowed_ports:
        raise InvalidRequest(f"The webhook's port {port} is not allowed.")
    host = parts.hostname.rstrip(".").lower()
    if policy.allowed_domains and not any(_is_of(host, domain.lower()) for domain in policy.allowed_domains):
        raise InvalidRequest(f"The webhook's host {host[:128]!r} is not among those that are allowed.")
    if policy.disable_loopback and (host == "localhost" or host.endswith(".localhost")):
        raise InvalidRequest("The webhook leads to this machine itself, which is not allowed.")
    return parts, port


def _is_of(host: str, domain: str) -> bool:
    if domain.startswith("*."):
        return host.endswith(domain[1:])
    return host == domain


async def _resolved(host: str, port: int) -> tuple[Address, ...]:
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise InvalidRequest(f"The webhook's host {host[:128]!r} cannot be resolved.") from None
    # A scope id (fe80::1%eth0) is no part of an address that may be called.
    return tuple(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
