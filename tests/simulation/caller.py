"""
Meta's HTTP client: as little of one as it takes to deliver a webhook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.simulation.machine import Process

# The longest wait for a connection, in seconds.
_CONNECTING = 5.0


@define(eq=False, repr=False)
class Caller:
    """
    Make requests, with a connection for each.
    """

    _process: Process

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[int]:
        """
        Make a POST.

        :return: the status of the answer.
        """
        return self._call("POST", url, body, headers).addCallback(lambda it: it[0])

    def get(self, url: str) -> Deferred[tuple[int, bytes]]:
        """
        Make a GET.

        :return: the status and body of the answer.
        """
        return self._call("GET", url, b"", {})

    def _call(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Deferred[tuple[int, bytes]]:
        parts = urlsplit(url)
        lines = [
            f"{method} {parts.path}?{parts.query} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        head = "\r\n".join([*lines, "", ""]).encode("ascii")
        exchange = _Exchange(head + body)
        factory: Any = _Once(exchange)
        self._process.connectTCP(
            parts.hostname or "", parts.port or 80, factory, _CONNECTING
        )
        return exchange.answered


class _Once(ClientFactory):
    noisy = False

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    def buildProtocol(self, addr: object) -> Protocol:
        return self._exchange

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:  # noqa: N802
        self._exchange.fail(reason)


class _Exchange(Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = b""
        self.answered: Deferred[tuple[int, bytes]] = Deferred(self._cancel)

    def connectionMade(self) -> None:
        assert self.transport is not None
        if self.answered.called:
            # Nobody waits for it any more.
            self._close()
        else:
            self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended or self.answered.called:
            return
        status, *lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines)
        if len(body) >= int(fields[b"content-length"]):
            self._close()
            self.answered.callback((int(status.split()[1]), body))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.fail(Failure(ConnectionLost()))

    def fail(self, reason: Failure) -> None:
        """Have no answer."""
        if not self.answered.called:
            self.answered.errback(reason)

    def _cancel(self, _: object) -> None:
        self._close()

    def _close(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()
