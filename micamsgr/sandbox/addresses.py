"""
Where the sandbox is, as told by the configuration's endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from micamsgr.services import CannotStart

_ENDPOINT = re.compile(
    r"tcp6?:(?P<port>\d+)(?:.*?:interface=(?P<host>(?:\\:|[^:])*))?(?::.*)?"
)


def is_loopback(host: str) -> bool:
    """
    Say whether a host is this machine, as seen from it.

    :param host: a name or an address, without brackets.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def address(endpoint: str) -> tuple[str, int] | None:
    """
    Tell to which host and port one connects that reaches a TCP endpoint of
    this machine.

    :param endpoint: a Twisted endpoint string.
    """
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None:
        return None
    host = (match["host"] or "127.0.0.1").replace("\\:", ":")
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return everywhere.get(host, host), int(match["port"])


def served(graph_url: str, endpoints: Iterable[str]) -> bool:
    """
    Say whether a bot's Graph API is the sandbox that listens at *endpoints*.
    """
    url = urlsplit(graph_url)
    if url.scheme != "http" or url.path.strip("/") or not url.hostname:
        return False
    ports = {found[1] for it in endpoints if (found := address(it)) is not None}
    return is_loopback(url.hostname) and (url.port or 80) in ports


def base_url(endpoints: Sequence[str]) -> str | None:
    """
    Make the URL of the first of *endpoints* that is TCP.
    """
    for host, port in filter(None, map(address, endpoints)):
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"
    return None


def check(daemon: str | None, address: str | None, bots: int) -> None:
    """
    Say what a sandbox can't do without.

    :param bots: how many it serves.

    :raises CannotStart: naming what is missing.
    """
    if address is None:
        raise CannotStart(
            "sandbox.listen: a browser needs TCP; put an endpoint such as"
            " tcp:8090:interface=127.0.0.1 here"
        )
    if not bots:
        raise CannotStart(
            "sandbox.listen: no bot's Graph API is the sandbox; put"
            f" {address} under facebook.graph_url, or take sandbox.listen away"
        )
    if daemon is None:
        raise CannotStart(
            "sandbox.listen: the sandbox delivers by plain HTTP; put an endpoint"
            " such as tcp:8080:interface=127.0.0.1 under listen"
        )
