"""
What came of an attempt to send a part, and what a look-up tells of it; as text,
for the log.
"""

from __future__ import annotations

from attrs import field, frozen

from .events import Mid

# What came of an attempt.


@frozen
class Sent:
    """The Graph API took it."""

    mid: Mid

    def __str__(self) -> str:
        return f"sent as {self.mid}"


@frozen(kw_only=True)
class NotSent:
    """
    Surely not sent; may be tried again.

    :ivar rest: the least seconds to wait, where somebody named them.
    :ivar pause: the trouble is the Page's, not this person's: no part of the
        Page is to be sent for *rest* seconds.
    :ivar alarm: somebody must act, or it will stay so.
    :ivar away: nobody was reached; to try again costs nobody anything.
    """

    detail: str
    rest: float | None = None
    pause: bool = False
    alarm: bool = False
    away: bool = False

    def __str__(self) -> str:
        rest = f"; not again for {self.rest:g} s" if self.rest else ""
        return f"surely not sent: {self.detail}{rest}"


@frozen
class NeverSent:
    """
    Refused for good.

    :ivar human: since somebody else has the thread.
    """

    reason: str
    detail: str
    human: bool = False

    def __str__(self) -> str:
        return f"refused for good ({self.reason}): {self.detail}"


@frozen
class InDoubt:
    """It may have been sent."""

    detail: str

    def __str__(self) -> str:
        return f"it may have been sent: {self.detail}"


Outcome = Sent | NotSent | NeverSent | InDoubt


# What a look-up tells.


@frozen
class Seen:
    """
    A message of the Page's, as a look-up shows it.

    :ivar at: milliseconds, by Meta's clock; whole seconds.
    """

    mid: Mid
    at: int
    text: str = field(repr=False)


@frozen
class Found:
    """It is there."""

    mid: Mid

    def __str__(self) -> str:
        return f"it is there, as {self.mid}"


@frozen
class Absent:
    """It is not there, as far as this look-up sees."""

    def __str__(self) -> str:
        return "this look-up does not show it"


@frozen
class NoEvidence:
    """
    The look-up itself failed.

    :ivar lasting: and will go on to fail.
    """

    detail: str
    lasting: bool

    def __str__(self) -> str:
        which = "no evidence can be had" if self.lasting else "no evidence yet"
        return f"{which}: {self.detail}"


@frozen
class LookedUp:
    """
    What a look-up shows.

    :ivar seen: the Page's own messages to this person.
    :ivar back_to: how far back it reaches, in milliseconds by Meta's clock;
        ``None``: to the beginning.
    """

    seen: tuple[Seen, ...]
    back_to: int | None = None


Evidence = Found | Absent | NoEvidence
