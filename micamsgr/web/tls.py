"""
TLS for those who connect to us.
"""

from __future__ import annotations

from typing import Any

from attrs import define
from OpenSSL.SSL import (
    NO_OVERLAPPING_PROTOCOLS,
    OP_CIPHER_SERVER_PREFERENCE,
    OP_NO_RENEGOTIATION,
    OP_NO_TICKET,
    TLS1_2_VERSION,
    TLS_SERVER_METHOD,
    Connection,
    Context,
    Error,
)
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

# Mozilla's "intermediate", of which Twisted's own list is a superset.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(certificate: str, private_key: str) -> Context:
    """
    Make a context from a certificate with its chain, and its key.

    :param certificate: path of a PEM file, the server's own first.
    :param private_key: path of a PEM file.

    :raises ValueError: where they can't be used, with the reason.
    """
    context = Context(TLS_SERVER_METHOD)
    context.set_min_proto_version(TLS1_2_VERSION)
    context.set_options(
        OP_CIPHER_SERVER_PREFERENCE | OP_NO_TICKET | OP_NO_RENEGOTIATION
    )
    context.set_cipher_list(_CIPHERS)
    context.set_alpn_select_callback(_select_protocol)
    # Without it, OpenSSL asks the terminal for a passphrase, and waits.
    context.set_passwd_cb(lambda *_: b"")
    for what, path, use in (
        # In the other order, a key that doesn't fit counts as unreadable.
        ("private_key", private_key, context.use_privatekey_file),
        ("certificate", certificate, context.use_certificate_chain_file),
    ):
        try:
            # OpenSSL's own words for a file that isn't there are none.
            with open(path, "rb"):  # noqa: PTH123
                use(path)
        except OSError as error:
            raise ValueError(f"tls.{what}: {path}: {error.strerror}") from error
        except Error as error:
            raise ValueError(
                f"tls.{what}: {path} is not what it should be, in PEM"
            ) from error
    try:
        context.check_privatekey()
    except Error as error:
        raise ValueError(
            f"tls.private_key: {private_key} is not the key of {certificate}"
        ) from error
    return context


def _select_protocol(_: Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else NO_OVERLAPPING_PROTOCOLS


@implementer(IOpenSSLServerConnectionCreator)
@define(eq=False)
class ServerCertificate:
    """
    Make the server's side of TLS connections.

    :ivar context: for connections to come; may be replaced at any time.
    """

    context: Context

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        return Connection(self.context, None)
