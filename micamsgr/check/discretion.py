"""
The last of several nets: what is secret in a configuration is taken out of what
is told, wherever it got in.

Nothing of ours is meant to show a secret; but a Page, or an app, may have one in
its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote, quote_plus

from attrs import evolve

from micamsgr.config.values import Config
from micamsgr.messenger.graph import appsecret_proof

from .findings import Finding

_INSTEAD = "(a secret)"

# What is shorter is in other words, too.
_SHORTEST = 8

# Behind a name that was cut short; see told.text().
_CUT = "…"


def without_secrets(findings: Sequence[Finding], config: Config) -> list[Finding]:
    """
    Take out what is secret in a configuration, as it stands, as it is written in
    URLs, and where it was cut short.
    """
    secrets = sorted(set(_written(config)), key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in secrets:
            text = taken_out(text, secret)
        return text

    return [
        evolve(each, line=clean(each.line), about=clean(each.about))
        for each in findings
    ]


def taken_out(text: str, secret: str) -> str:
    """
    Take a secret out of a text, also where it was cut short.
    """
    pieces = text.replace(secret, _INSTEAD).split(_CUT)
    # The last one was not cut.
    for place, piece in enumerate(pieces[:-1]):
        for length in range(min(len(secret) - 1, len(piece)), _SHORTEST - 1, -1):
            if piece.endswith(secret[:length]):
                pieces[place] = piece[:-length] + _INSTEAD
                break
    return _CUT.join(pieces)


def _written(config: Config) -> Iterator[str]:
    for secret in _secrets(config):
        if len(secret) >= _SHORTEST:
            yield from (secret, quote(secret, safe=""), quote(secret))
            yield quote_plus(secret)


def _secrets(config: Config) -> Iterator[str]:
    for bot in config.bots:
        facebook = bot.facebook
        token, secret = facebook.page_access_token.value, facebook.secret.value
        yield from (facebook.verify_token.value, token, secret)
        yield appsecret_proof(secret, token)
        for model in (bot.llm, *bot.llm.fallbacks):
            values = [value.value for value in model.headers.values()]
            values += [] if model.api_key is None else [model.api_key.value]
            for value in values:
                yield from (value, *value.split())
