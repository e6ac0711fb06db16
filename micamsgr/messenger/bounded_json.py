"""
JSON within limits: to read what is accepted takes no longer than a moment, and
it can be written again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from micamsgr.errors import RejectedRequest

MAX_DEPTH = 64
"""How deeply JSON may be nested: so little that it can be written again."""

MAX_DIGITS = 40
"""How many digits a whole number may have; to read one takes quadratic time."""

MAX_VALUES = 100_000
"""How many values it may hold, all in all; what takes time is their number."""


def read_json(body: bytes) -> Any:
    """
    Read JSON in UTF-8.

    :raises RejectedRequest: with status 400, where it is none, or beyond one of
        the limits above.
    """
    try:
        text = body.decode("utf-8")
        if _separators(text) > MAX_VALUES and _separators(_outside(text)) > MAX_VALUES:
            raise RejectedRequest(400, "JSON of too many values")
        document = _DECODER.decode(text)
    except (ValueError, RecursionError):
        # Without its cause, which quotes what people wrote.
        raise RejectedRequest(400, "not JSON, or not within the limits") from None
    # Without so many brackets it can't be so deep.
    if text.count("[") + text.count("{") > MAX_DEPTH and not _is_shallow(document):
        raise RejectedRequest(400, "JSON nested too deeply")
    return document


def _separators(text: str) -> int:
    """
    Count what stands before each value of an array, or each member.
    """
    return text.count(",") + text.count("[") + text.count("{")


def _outside(text: str) -> str:
    """
    Take away what is inside the strings of JSON.
    """
    unescaped = text.replace("\\\\", "").replace('\\"', "")
    return "".join(unescaped.split('"')[::2])


def _is_shallow(document: object) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for group in level
            for value in (group.values() if isinstance(group, dict) else group)
            if isinstance(value, dict | list)
        ]
        if not level:
            return True
    return False


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def _no_constant(name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


# Made once: the functions of the json module make one for each call.
_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical(value: object) -> bytes:
    """
    Write JSON in the one way that does not depend on the order of members.
    """
    return _ENCODER.encode(value).encode("ascii")


def canonical_strings(values: Sequence[str]) -> bytes:
    """
    Do the same for an array of strings, in a fraction of the time.
    """
    return f"[{','.join(map(encode_basestring_ascii, values))}]".encode("ascii")
