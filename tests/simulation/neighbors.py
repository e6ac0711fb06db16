"""
What those are like that the daemon talks to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from twisted.web.server import Site

#: What stands for a message of somebody, in it and in its answer.
WORD = re.compile(r"w:\d{4}")

# Of an answer of several messages.
_FILLER = ("\n" + " ".join(["and so on and so forth"] * 80)) * 3


def reply(messages: Sequence[Mapping[str, str]]) -> str:
    """
    Answer by naming what is to be answered, with a long speech if wished.
    """
    asked = messages[-1]["content"]
    return f"You wrote: {asked}" + (_FILLER if "long" in asked else "")


def named(answer: str) -> list[str]:
    """
    Read what an answer names.
    """
    return WORD.findall(answer)


class QuietSite(Site):
    """
    A site that keeps no access log, and no time of its own for it.
    """

    noisy = False

    def startFactory(self) -> None:  # noqa: N802
        """Nothing is to be started."""

    def log(self, request: object) -> None:
        """Nothing is to be logged."""
