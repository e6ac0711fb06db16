"""
What is agreed with those who connect by TLS.

Protocols and suites are Mozilla's "intermediate": TLS 1.2 and 1.3, only suites
with forward secrecy and authenticated encryption, of which Twisted's own list is
a superset, and the choice is the client's.  Or they are its "modern": TLS 1.3
alone.  The groups for the key exchange are OpenSSL's own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from OpenSSL.SSL import (
    MODE_RELEASE_BUFFERS,
    OP_NO_RENEGOTIATION,
    OP_NO_TICKET,
    SESS_CACHE_OFF,
    TLS1_2_VERSION,
    TLS1_3_VERSION,
    TLS_CLIENT_METHOD,
    TLS_SERVER_METHOD,
    Connection,
    Context,
    Error,
    WantReadError,
)

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"


class ServerConnection(Connection):
    """
    The server's side of a connection.

    :ivar choose: says which context is for a name that a client asks for, as
        it sent it, or for none.  Called once, while the handshake begins.  It
        may raise nothing, and keeps alive what *context* belongs to: OpenSSL
        is still in that one's callback as another takes its place.
    """

    def __init__(
        self, context: Context, choose: Callable[[bytes | None], Context]
    ) -> None:
        super().__init__(context, None)
        self.choose = choose


def make_context(*, modern: bool) -> Context:
    """
    Make what connections begin with, without a certificate as yet.

    :param modern: whether only TLS 1.3 is spoken.
    """
    context = Context(TLS_SERVER_METHOD)
    context.set_min_proto_version(TLS1_3_VERSION if modern else TLS1_2_VERSION)
    context.set_options(OP_NO_TICKET | OP_NO_RENEGOTIATION)
    context.set_mode(MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    context.set_alpn_select_callback(_select_protocol)
    # Now, for once it has made a connection it can't be changed.
    context.set_tlsext_servername_callback(_select_context)
    return context


def _select_context(connection: Connection) -> None:
    assert isinstance(connection, ServerConnection)
    chosen = connection.choose(connection.get_servername())
    if chosen is not connection.get_context():
        connection.set_context(chosen)


def _select_protocol(_: Connection, offered: list[bytes]) -> Any:
    if b"http/1.1" in offered:
        return b"http/1.1"
    # Raised here, it makes OpenSSL tell the client, and is raised again by the
    # handshake, where Twisted takes it for one of OpenSSL's own.
    raise Error([("SSL routines", "", "no application protocol")])


def try_out(context: Context) -> None:
    """
    Let a client connect that takes anything.

    :raises Error: where it can't.
    """
    lenient = Context(TLS_CLIENT_METHOD)
    lenient.set_cipher_list(b"ALL:@SECLEVEL=0")
    client = Connection(lenient, None)
    server = ServerConnection(context, lambda _: context)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(3):
        for side, other in ((client, server), (server, client)):
            with suppress(WantReadError):
                side.do_handshake()
            with suppress(WantReadError):
                while True:
                    other.bio_write(side.bio_read(1 << 16))
