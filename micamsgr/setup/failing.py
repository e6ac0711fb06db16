"""
How a step fails.
"""

from __future__ import annotations

from attrs import frozen

from micamsgr.messenger.graph_answers import fit, mapping
from micamsgr.messenger.told import Told

_LONGEST = 300


@frozen(kw_only=True)
class Failed(Exception):
    """
    A step was not done; it can be repeated.

    :ivar why: what happened, in a sentence without a full stop.
    :ivar todo: what the operator is to do; likewise.
    :ivar by_hand: how the same is done by hand; may be empty.
    :ivar doubtful: the answers that may be wrong, and are asked for again.
    :ivar skippable: why one may go on in spite of it; empty: one may not.
    """

    why: str
    todo: str
    by_hand: str = ""
    doubtful: tuple[str, ...] = ()
    skippable: str = ""


class GivenUp(Exception):
    """There is nobody who answers, or who wants to go on."""


def words(told: Told) -> str:
    """
    Say why the Graph API refused, in its own words where there are any.
    """
    if told.answer is None:
        return f"the Graph API did not answer ({told.failure})"
    message = mapping(told.document.get("error")).get("message")
    if not isinstance(message, str) or not message:
        return f"the Graph API's answer can't be read ({told.why})"
    subcode = "" if told.subcode is None else f", subcode {told.subcode}"
    return f"Meta says: {shown(message)} (code {told.code}{subcode})"


def shown(message: str) -> str:
    """
    Show what somebody else wrote: on one line, and not at length.
    """
    line = "".join(c if c.isprintable() else " " for c in fit(message)).strip()
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
