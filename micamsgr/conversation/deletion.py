"""
What becomes of a person's request, made through Facebook, to be erased.

Facebook names the person by another ID than Messenger does, so that mostly
nobody knows which conversations are theirs.  So they get a code; who writes it
to the Page shows which one is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode
from collections.abc import Awaitable, Iterable
from enum import Enum
from typing import Protocol

from attrs import frozen

from .moment import Moment

# A word in front, lest something else that people write be taken for a code.
_PREFIX, _LENGTH = "ERASE", 20
_CODE = re.compile(rf"{_PREFIX}[A-Z2-7]{{{_LENGTH}}}")


class Progress(Enum):
    """
    How far a request has come.
    """

    #: Nothing is kept under the ID that Facebook sent.
    UNKNOWN = "unknown"
    #: It is known whose it is; they are erased within moments.
    UNDER_WAY = "under way"
    #: All is erased that was kept of them.
    ERASED = "erased"


@frozen(kw_only=True)
class Deletion:
    """
    :ivar asked: when it was made, in milliseconds by Meta's clock.
    :ivar done: when something was erased last, likewise.
    """

    progress: Progress
    asked: int
    done: int | None = None


def code_of(secret: bytes, user: str, issued: str) -> str:
    """
    Name a request: the same one by the same code, whenever it comes.

    Nobody without the app's secret can tell from it who asked, or guess one.
    """
    what = "\0".join(("deletion", user, issued)).encode("utf-8", "surrogatepass")
    digest = hmac.new(secret, what, hashlib.sha256).digest()
    return _PREFIX + b32encode(digest)[:_LENGTH].decode()


def code_in(text: str) -> str | None:
    """
    Read a code, if a text is nothing else; small letters do.
    """
    text = text.strip().upper()
    return text if _CODE.fullmatch(text) else None


class Deletions(Protocol):
    """
    Where the requests are kept; see :class:`micamsgr.store.deletions.Deletions`.
    """

    def ask(
        self, code: str, user: str, bots: Iterable[str], now: Moment
    ) -> Awaitable[Deletion]: ...

    def claim(
        self, code: str, bot: str, psid: str, at: int
    ) -> Awaitable[Deletion | None]: ...

    def look_up(
        self, code: str, bot: str | None = None
    ) -> Awaitable[Deletion | None]: ...
