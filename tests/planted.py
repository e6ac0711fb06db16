"""
Secrets and words that must be shown nowhere, and how they are found.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

# Otherwise spelled, what is shorter may be part of anything.
_LONG = 10


def spellings(secret: str) -> set[str]:
    """
    List how a secret may stand in a log, a page, a URL or a header.
    """
    if len(secret) < _LONG:
        # By chance, too.
        return {secret}
    raw = secret.encode()
    return {
        secret,
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        b64encode(raw).decode().rstrip("="),
        urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
    }


def shown(secrets: Iterable[str], places: Iterable[tuple[str, str]]) -> list[str]:
    """
    Say which secrets are shown where.

    :param places: the name of each, and what is shown there.
    """
    listed = list(places)
    return [
        f"{secret!r} in {name}"
        for secret in secrets
        for name, text in listed
        if any(it in text for it in spellings(secret))
    ]
