"""
What answers people: the interface, and what it is given and gives back.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import Enum

from attrs import field, frozen
from zope.interface import Interface


class Role(Enum):
    """
    Who said something: the PERSON, this program's BOT, or a HUMAN of the
    Page's staff.
    """

    PERSON = "person"
    BOT = "bot"
    HUMAN = "human"


@frozen
class Utterance:
    """
    One thing said in a conversation.

    :ivar text: never empty.
    """

    role: Role
    text: str = field(repr=False)


@frozen(kw_only=True)
class Reply:
    """
    What the assistant answers.

    :ivar text: of any length; never blank.
    :ivar tokens: all that was spent on it, of prompt and answer together, and
        on whatever was asked in vain before: as the LLM counted them or, where
        it did not, an estimate; at least 1.
    """

    text: str = field(repr=False)
    tokens: int


class IAssistant(Interface):
    """
    Something that answers a person.
    """

    async def reply(utterances: Sequence[Utterance], asker: Hashable) -> Reply:
        """
        Answer what was said last.

        Asking again has no effect but its cost.  Canceled, it ends the call that is
        under way.

        :param utterances: oldest first; the last ones are the person's that
            want an answer.
        :param asker: who asks, only to be compared: the same value for the
            same conversation, another for any other; not ``None``.

        :raises micamsgr.errors.Unavailable: try again, not before its
            *retry_after* where it has one.
        :raises micamsgr.errors.Refused: there is no sense in trying again.
            Both tell in *tokens* what may have been spent.
        """

    def estimate(utterances: Sequence[Utterance]) -> int:
        """
        Say what one reply to that may cost at most, in tokens; at least 1.

        An upper bound in practice: a reply costs more only if the LLM takes
        more tokens for a text than any is known to, or answers at greater
        length than it was allowed to.
        """
