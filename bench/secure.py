"""
TLS between a benchmark and the daemon: a certificate that nobody has to trust.
"""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from bench.webhooks import whole

_PATIENCE = 30.0


def pair(directory: Path) -> dict[str, str]:
    """
    Make a certificate and its key.

    :return: where they are, by the keys that ``tls`` has for them.
    """
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = {"certificate": directory / "pair.pem", "private_key": directory / "key"}
    paths["private_key"].touch(0o600)
    paths["certificate"].write_bytes(made.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    paths["private_key"].write_bytes(secret)
    return {key: str(path) for key, path in paths.items()}


def unchecked() -> ssl.SSLContext:
    """
    Make what a client needs to speak TLS with anybody.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def deliver(port: int, request: bytes, context: ssl.SSLContext) -> None:
    """
    Deliver a webhook over a new connection.

    :raises SystemExit: unless it is taken.
    """
    with (
        socket.create_connection(("127.0.0.1", port), _PATIENCE) as plain,
        context.wrap_socket(plain) as secure,
    ):
        secure.sendall(request)
        received = b""
        while not whole(received):
            more = secure.recv(65536)
            if not more:
                raise SystemExit("it hung up")
            received += more
    if not received.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not taken: {received[:100]!r}")
