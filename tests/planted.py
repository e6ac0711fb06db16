"""
Secrets and words that must be shown nowhere, and how they are found.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus

import micamsgr

# Otherwise spelled, what is shorter may be part of anything.
_LONG = 10


@cache
def _own_words() -> str:
    """
    Read all that the daemon may say of itself.
    """
    product = Path(micamsgr.__file__).parent
    return "\n".join(file.read_text() for file in sorted(product.rglob("*.py")))


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
    Say which secrets are shown where; but for those short ones, such as "now",
    that the daemon has words of its own with.

    :param places: the name of each, and what is shown there.
    """
    listed = list(places)
    telling = [it for it in secrets if len(it) >= _LONG or it not in _own_words()]
    return [
        f"{secret!r} in {name}"
        for secret in telling
        for name, text in listed
        if any(it in text for it in spellings(secret))
    ]
