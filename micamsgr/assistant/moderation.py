"""
Telling a person's words that were not let through from a key that was not:
gateways say both with a 403.  Nothing here waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

# Where an error may have prose; not what it quotes of a request.
_PROSE = frozenset(
    {
        "code",
        "description",
        "detail",
        "details",
        "error",
        "error_type",
        "errors",
        "message",
        "metadata",
        "msg",
        "raw",
        "reason",
        "status",
        "title",
        "type",
    }
)
_DEEPEST = 5
_LONGEST = 4000

_NO_WORD = re.compile("[^a-z0-9]+")

_FEW = "(?:[a-z0-9]+ ){0,4}"
_STOPPED = (
    "(?:blocked|flagged|rejected|filtered|moderated|disallowed|prohibited|intervened"
    "|triggered|inappropriate|harmful|unsafe|violat[a-z]*)"
)
_WRITTEN = (
    "(?:prompts?|inputs?|messages?|outputs?|responses?|completions?|conversation"
    "|content(?! (?:type|length|encoding|security)))"
)
_WATCH = (
    "(?:guardrails?|moderation"
    "|content (?:polic(?:y|ies)|filter[a-z]*|management|safety)"
    "|safety (?:polic(?:y|ies)|filters?|settings?|systems?)|usage polic(?:y|ies))"
)
_CONTENT = re.compile(
    r"\b(?:prompt injections?|jailbreak[a-z]*"
    f"|{_WRITTEN} {_FEW}{_STOPPED}"
    f"|(?:disallowed|flagged|harmful|inappropriate|prohibited|unsafe) {_WRITTEN}"
    f"|{_WATCH} {_FEW}{_STOPPED}"
    f"|{_STOPPED} {_FEW}{_WATCH}"
    "|(?:(?:confidential|personal|sensitive) (?:data|info|information)|pii)"
    f" {_FEW}(?:blocked|detected|found))"
    r"\b"
)
# What is of all requests; a guardrail may also limit what is spent, or on what.
_OURS = re.compile(
    r"\b(?:accounts?|allowlist|applications?|banned|billing|budgets?|cors|country"
    r"|credits|deployments?|ip|keys?|licen[cs]es?|limits?"
    r"|models? (?:[a-z0-9]+ ){0,3}(?:access|allow|availab|block)[a-z]*"
    r"|organi[sz]ations?|plan|projects?|quota|regions?|resources?|scopes?"
    r"|spend(?:ing)?|subscriptions?|suspended|temporarily|tenant|territory|tokens?"
    r"|users? (?:has|have|is|are|was|were)|workspaces?)\b"
)


def flagged(error: dict[str, Any]) -> bool:
    """
    Say whether an error names why somebody's words were not let through, as
    OpenRouter's moderation does.
    """
    metadata = error.get("metadata")
    return isinstance(metadata, dict) and bool(
        metadata.get("reasons") or metadata.get("flagged_input")
    )


def speaks_of_content(error: dict[str, Any]) -> bool:
    """
    Say whether an error says clearly, and in English, that what was written,
    or would have been answered, was blocked.

    Not where it also speaks of what is the same for all requests, such as a
    key, an account or a country: that is for somebody to mend, and whoever
    wrote can wait for it.
    """
    prose = " . ".join(_prose(error, 0))[:_LONGEST]
    return bool(_CONTENT.search(prose)) and not _OURS.search(prose)


def _prose(value: object, depth: int) -> Iterator[str]:
    """
    Find what may be prose, each as lower-case words with one space between.
    """
    if isinstance(value, str):
        yield _NO_WORD.sub(" ", value[:_LONGEST].lower()).strip()
    elif depth < _DEEPEST and isinstance(value, dict):
        for name, member in value.items():
            if name in _PROSE:
                yield from _prose(member, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for member in value[:_DEEPEST]:
            yield from _prose(member, depth + 1)
