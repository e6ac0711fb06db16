"""
What the Graph API told, as far as a question may want to know it.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen

from micamsgr.httpcall import Answer

from .graph_answers import document, fit, mapping, read_error
from .graph_errors import Meaning

_SHOWN = 80


@frozen(kw_only=True)
class Told:
    """
    What came of one call.

    :ivar answer: ``None`` where none came.
    :ivar failure: why not; holds no secret.
    :ivar at: this machine's wall clock halfway through the call, in seconds.
    :ivar seconds: how long it took.
    """

    answer: Answer | None
    failure: str = ""
    at: float = 0.0
    seconds: float = 0.0

    @property
    def document(self) -> dict[str, Any]:
        """The answer's JSON object; empty where there is none."""
        return mapping(None if self.answer is None else document(self.answer))

    @property
    def good(self) -> bool:
        """Whether it was answered as it should be."""
        answer = self.answer
        if answer is None or answer.status != 200:
            return False
        return bool(self.document) and "error" not in self.document

    @property
    def spoken(self) -> bool:
        """Whether it was the Graph API that answered, and not with 5xx."""
        answer = self.answer
        return answer is not None and answer.status < 500 and bool(self.document)

    @property
    def id(self) -> str | None:
        """The ID of whatever was asked for; ``None`` where it is not told."""
        found = number(self.document.get("id")) if self.good else None
        return None if found is None else str(found)

    @property
    def code(self) -> int | None:
        """The code of an error; ``None`` where there is none."""
        if self.answer is None or self.good:
            return None
        return read_error(self.answer).code

    @property
    def subcode(self) -> int | None:
        """The subcode of an error."""
        return number(mapping(self.document.get("error")).get("error_subcode"))

    @property
    def meaning(self) -> Meaning | None:
        """What an error says; ``None`` where there is none."""
        if self.answer is None or self.good:
            return None
        return read_error(self.answer).meaning

    @property
    def why(self) -> str:
        """Say why it is not good; holds no text of the answer's."""
        if self.answer is None:
            return self.failure
        return read_error(self.answer).detail


def number(value: object) -> int | None:
    """
    Read a whole number, which may be written as text.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,20}", value):
        return int(value)
    return None


def text(value: object) -> str:
    """
    Show a name that somebody else gave, on one line and not at length.
    """
    shown = "".join(c if c.isprintable() else " " for c in fit(str(value)))
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
