"""
The keys of the configuration below ``tls``.
"""

from __future__ import annotations

from micamsgr.config.document import Entries, Node
from micamsgr.config.readers import boolean, duration, each, endpoint, file_path
from micamsgr.config.section import Section
from micamsgr.config.values import TLS, CertificatePair

# All are read at once, and looked at every few seconds.
_MOST_FURTHER = 100

_seconds = duration(0)


def _whole_seconds(node: Node) -> float:
    value = _seconds(node)
    if value != int(value):
        raise node.refusal("expected whole seconds")
    return value


def _complete(found: Entries, tls: TLS) -> TLS:
    if not tls.listen:
        raise found["listen"].refusal("empty; put an endpoint such as tcp:443 here")
    if len(tls.further) > _MOST_FURTHER:
        raise found["further"].refusal(f"expected at most {_MOST_FURTHER}")
    return tls


_PAIR = {"certificate": file_path, "private_key": file_path}

SECTION = Section(
    TLS,
    {
        "listen": each(endpoint),
        **_PAIR,
        "further": each(Section(CertificatePair, _PAIR)),
        "modern": boolean,
        "hsts": _whole_seconds,
    },
    finish=_complete,
)
