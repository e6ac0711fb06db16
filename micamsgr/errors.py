"""
What can go wrong outside this program, divided by who must act.

A defect of our own is not among these: it stays the exception that it is.
"""

from __future__ import annotations

from attrs import field, frozen


@frozen
class RejectedRequest(Exception):
    """
    An HTTP request to us is refused.

    :ivar status: the HTTP status code to answer with.
    :ivar reason: for our log only; the peer is told nothing but the status.
    """

    status: int
    reason: str

    def __str__(self) -> str:
        return self.reason


class RemoteError(Exception):
    """
    A call to somebody else's service did not succeed.  Catch a subclass.

    :ivar detail: for the log; holds no secret and no text that people wrote.
    """

    detail: str

    def __str__(self) -> str:
        return self.detail


@frozen
class Unavailable(RemoteError):
    """
    The call surely had no effect, and may be repeated.

    :ivar retry_after: the least time to wait, in seconds, where the remote
        end named one.
    :ivar tokens: what an LLM may have charged for the call all the same; 0
        elsewhere.
    :ivar tried: a call was made; or else none was, as those before had failed,
        which the log tells of once for all.
    """

    detail: str
    retry_after: float | None = field(default=None)
    tokens: int = field(default=0)
    tried: bool = field(default=True, kw_only=True)


@frozen
class OutcomeUnknown(RemoteError):
    """
    The request may have left, and no whole answer came back.

    It may have taken effect, so repeating it risks doing it twice.
    """

    detail: str


@frozen
class Refused(RemoteError):
    """
    The remote end understood, and said no; the same call can't succeed.

    :ivar tokens: what an LLM may have charged for the call all the same; 0
        elsewhere.
    """

    detail: str
    tokens: int = field(default=0)


@frozen
class Declined(Exception):
    """
    What an operator asked for can't be done; nothing was.

    :ivar detail: why, and what to do, for the operator.
    """

    detail: str


@frozen
class StoreUnavailable(Exception):
    """
    What was to be kept is not kept: the disk is full, slow, or failing, or
    more is waiting to be written than we let wait.
    """

    detail: str

    def __str__(self) -> str:
        return self.detail
