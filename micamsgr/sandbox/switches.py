"""
What is made to go wrong while people chat in the sandbox, switch by switch.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import Enum
from random import Random

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from micamsgr.conversation.assistant import IAssistant, Reply, Utterance
from micamsgr.errors import Unavailable
from micamsgr.sandbox.journal import INTERNAL, Call, EchoFault, Fault
from micamsgr.sandbox.meta import Habits

#: By how many seconds a slow LLM is late.
SLOWNESS = 8.0

#: By how many seconds a late echo is late: less than the quarantine.
LATENESS = 1.5

# Meta as it is met on an ordinary day.
_HABITS = Habits(
    window=0.04, doubles=0.1, spread=1.5, retries=(0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
)

_INTERNAL_BEFORE = evolve(INTERNAL, applied=False)


class Trouble(Enum):
    """
    LLM_SLOW and LLM_FAILS: each answer is late, or none comes.  GRAPH_FAILS:
    the first try of each message is answered 500, and has no effect.
    ANSWER_LOST: each is answered 500 although the message arrived, and no echo
    comes; ECHO_LATE: the same, but the echo comes late.  DOUBLES: all that
    Meta delivers, it delivers twice.
    """

    LLM_SLOW = "llm_slow"
    LLM_FAILS = "llm_fails"
    GRAPH_FAILS = "graph_fails"
    ANSWER_LOST = "answer_lost"
    ECHO_LATE = "echo_late"
    DOUBLES = "doubles"


@define(eq=False)
class Switches:
    """
    Which troubles are on; none at first.
    """

    _on: set[Trouble] = field(factory=set, init=False)
    # By person, the text whose first try failed and whose second is to come.
    _failed: dict[str | None, str | None] = field(factory=dict, init=False)

    def on(self, trouble: Trouble) -> bool:
        """
        Say whether a trouble is on.
        """
        return trouble in self._on

    def flip(self, trouble: Trouble, on: bool) -> None:
        """
        Put a trouble on or off.
        """
        (self._on.add if on else self._on.discard)(trouble)
        self._failed.clear()

    def positions(self) -> dict[str, bool]:
        """
        Tell of each trouble whether it is on.
        """
        return {trouble.value: trouble in self._on for trouble in Trouble}

    def habits(self) -> Habits:
        """
        Tell how Meta delivers now.
        """
        return evolve(_HABITS, doubles=1.0 if self.on(Trouble.DOUBLES) else 0.1)

    def spoil(self, call: Call, random: Random) -> Fault | None:
        """
        Decide what goes wrong with a call of the Graph API.
        """
        if call.kind != "message":
            return None
        if self.on(Trouble.GRAPH_FAILS) and self._first_try(call):
            return _INTERNAL_BEFORE
        lost = self.on(Trouble.ANSWER_LOST) or self.on(Trouble.ECHO_LATE)
        return INTERNAL if lost else None

    def spoil_echo(self, call: Call, random: Random) -> EchoFault | None:
        """
        Decide what goes wrong with the echo of a message.
        """
        if self.on(Trouble.ANSWER_LOST):
            return EchoFault(lost=True)
        if self.on(Trouble.ECHO_LATE):
            return EchoFault(delay=LATENESS)
        return None

    def _first_try(self, call: Call) -> bool:
        # One person's messages come one after another.
        if self._failed.pop(call.psid, None) == call.text:
            return False
        self._failed[call.psid] = call.text
        return True


@implementer(IAssistant)
@define(eq=False)
class Troubled:
    """
    An assistant, with the troubles that are on.

    :ivar _pause: by how many seconds each answer is late anyway.
    """

    _assistant: IAssistant
    _switches: Switches
    _clock: IReactorTime
    _pause: float = 0.0

    async def reply(self, utterances: Sequence[Utterance], asker: Hashable) -> Reply:
        slow = self._switches.on(Trouble.LLM_SLOW)
        delay = SLOWNESS if slow else self._pause
        if delay > 0.0:
            await deferLater(self._clock, delay)
        if self._switches.on(Trouble.LLM_FAILS):
            raise Unavailable("the LLM fails, as the sandbox was asked")
        return await self._assistant.reply(utterances, asker)

    def estimate(self, utterances: Sequence[Utterance]) -> int:
        return self._assistant.estimate(utterances)
