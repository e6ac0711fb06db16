"""
What a question comes to.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from attrs import frozen


class Verdict(Enum):
    """
    OK: nothing is to be done.  WARNING: it works, or nobody can tell; somebody
    should look.  FAILED: people are not answered, or soon will not be, or
    others can act in our name.
    """

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@frozen(kw_only=True)
class Trouble:
    """
    A way in which a question can fail.

    :ivar when: what is so, in general; a finding's line says it of the case.
    :ivar means: what follows from it.
    :ivar todo: what the operator is to do.
    """

    verdict: Verdict
    when: str
    means: str
    todo: str


def failed(name: str, when: str, means: str, todo: str) -> tuple[str, Trouble]:
    """
    Name a way in which a question fails.
    """
    return name, Trouble(verdict=Verdict.FAILED, when=when, means=means, todo=todo)


def warning(name: str, when: str, means: str, todo: str) -> tuple[str, Trouble]:
    """
    Name a reason to look.
    """
    return name, Trouble(verdict=Verdict.WARNING, when=when, means=means, todo=todo)


@frozen(kw_only=True)
class Finding:
    """
    What came of one question about one thing.

    :ivar question: its name, which stays.
    :ivar about: a bot, an endpoint or a file; may be empty.
    :ivar line: what was found, in one line without a secret.
    :ivar name: of the trouble, such as ``token.expired``; empty: none.
    :ivar means: empty where all is well, as is *todo*.
    """

    question: str
    about: str
    verdict: Verdict
    line: str
    name: str = ""
    means: str = ""
    todo: str = ""


def fine(question: str, about: str, line: str) -> Finding:
    """
    Make the finding that all is well.
    """
    return Finding(question=question, about=about, verdict=Verdict.OK, line=line)


def exit_status(findings: Iterable[Finding]) -> int:
    """
    Sum findings up: 0 where all is well, 1 where there are warnings, 2 where
    something failed.
    """
    verdicts = {finding.verdict for finding in findings}
    if Verdict.FAILED in verdicts:
        return 2
    return int(Verdict.WARNING in verdicts)
