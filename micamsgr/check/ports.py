"""
Finds out who listens at the endpoints of this machine.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from attrs import define, frozen
from OpenSSL.SSL import TLS_CLIENT_METHOD, Connection, Context
from treq.client import HTTPClient
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    serverFromString,
    wrapClientTLS,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from micamsgr.config.values import Bot
from micamsgr.errors import OutcomeUnknown, Unavailable
from micamsgr.httpcall import Call, HTTPCaller

from .knocking import Knocker
from .machine import Holder, Port
from .subscribed import WEBHOOK
from .webhook import is_ours

# Seconds for a request to this machine.
_PATIENCE = 3.0

_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

# The name by which this machine is asked; where to is known already.
_ROOT = "http://localhost"

_CHALLENGE = "1158201444"


@define(eq=False)
class PortAsker:
    """
    Find out who listens at an endpoint: first by listening there oneself for
    an instant, and where that can't be done, by asking who does.

    :ivar _ticks: the monotonic clock, in seconds.
    """

    _reactor: Any
    _ticks: Callable[[], float]

    async def ask_public(
        self, endpoint: str, secure: bool, bot: Bot, *, sandboxed: bool = False
    ) -> Port:
        """
        Look for the webhook.  What is asked tells nobody a secret.

        :param secure: whether TLS is spoken there.
        :param bot: any of those that it serves.
        :param sandboxed: whether it is the sandbox's: its app's secret is not the
            one of the file, and its verification token none.
        """
        url = f"{_ROOT}{WEBHOOK}{bot.name}"

        async def ours(call: Call) -> bool:
            knocker = Knocker(call, self._ticks, _PATIENCE)
            if sandboxed:
                token = bot.facebook.verify_token.value
                verified = await knocker.verify(url, token, _CHALLENGE)
                return verified.status == 200
            signed = await knocker.deliver(url, bot.facebook.secret.value)
            return is_ours(signed, await knocker.deliver(url, None))

        return await self._ask(endpoint, secure, ours)

    async def ask_private(self, endpoint: str, path: str) -> Port:
        """
        Look for what the daemon has for this machine alone.

        :param path: of something that it answers, well or not.
        """

        async def ours(call: Call) -> bool:
            url = f"{_ROOT}{path}"
            try:
                answer = await call(
                    "GET", url, headers=Headers(), body=None, deadline=_PATIENCE
                )
            except (Unavailable, OutcomeUnknown):
                return False
            return answer.status in (200, 503)

        return await self._ask(endpoint, False, ours)

    async def _ask(
        self, endpoint: str, secure: bool, ours: Callable[[Call], Awaitable[bool]]
    ) -> Port:
        if endpoint.partition(":")[0] == "systemd":
            return Port(endpoint=endpoint, holder=Holder.SYSTEMD)
        there, error = await self._try(endpoint)
        if there is not None:
            if secure:
                there = wrapClientTLS(_Anybody(), there)
            pool = HTTPConnectionPool(self._reactor, persistent=False)
            agent = Agent.usingEndpointFactory(self._reactor, _Fixed(there), pool)
            if await ours(HTTPCaller(self._reactor, HTTPClient(agent).request).call):
                return Port(endpoint=endpoint, holder=Holder.OURS)
        return Port(endpoint=endpoint, holder=Holder.NOBODY, error=error)

    async def _try(
        self, endpoint: str
    ) -> tuple[IStreamClientEndpoint | None, Exception | None]:
        """
        Try to listen.

        :return: how to reach who listens, if somebody may; and what speaks
            against listening.
        """
        memory = MemoryReactor()
        serverFromString(memory, endpoint).listen(Factory())
        for name, *_ in memory.unixServers:
            return self._try_path(Path(str(name)))
        error = await self._listen(endpoint)
        for port, _, _, interface in memory.tcpServers:
            if error is not None and port:
                host = _HERE.get(interface, interface)
                return HostnameEndpoint(self._reactor, host, port, _PATIENCE), error
        return None, error

    def _try_path(
        self, path: Path
    ) -> tuple[IStreamClientEndpoint | None, Exception | None]:
        # Not by listening: that would take the place of a socket.
        if path.exists():
            there = UNIXClientEndpoint(self._reactor, str(path), _PATIENCE)
            return there, None if _deserted(path) else _error(errno.EADDRINUSE)
        if not path.parent.is_dir():
            return None, _error(errno.ENOENT)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return None, _error(errno.EACCES)
        return None, None

    async def _listen(self, endpoint: str) -> Exception | None:
        factory: Any = Factory()
        factory.noisy = False
        try:
            port = await serverFromString(self._reactor, endpoint).listen(factory)
        except (CannotListenError, OSError) as error:
            return error
        await maybeDeferred(port.stopListening)
        return None


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _deserted(path: Path) -> bool:
    """Say whether a socket was left behind, so that it can be replaced."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0.5)
            probe.connect(str(path))
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


@implementer(IAgentEndpointFactory)
@frozen
class _Fixed:
    """
    Connect to one place, whatever the URL says.
    """

    _there: IStreamClientEndpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self._there


@implementer(IOpenSSLClientConnectionCreator)
class _Anybody:
    """
    Speak TLS with whoever is there.

    Nothing is said that is secret, and the connection stays on this machine:
    whose certificate it is, is another question.
    """

    def clientConnectionForTLS(self, tlsProtocol: object) -> Connection:
        return Connection(Context(TLS_CLIENT_METHOD), None)
