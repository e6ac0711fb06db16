"""
What goes wrong in a run, and what a language model answers in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

from attrs import define, field

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_AFTER,
    DROPPED_BEFORE,
    HANGING,
    INTERNAL,
    Call,
    EchoFault,
    Fault,
    GraphError,
)

#: An error after which nothing has happened, and one that tells of no message.
REFUSED = Fault(applied=False, error=GraphError("Unknown error", 1, status=500))

#: A call that takes its time.
SLOW = Fault(delay=0.1)
SLOW_MODEL = llm.Fault(delay=0.2)
DELAYS = {repr(SLOW), repr(SLOW_MODEL)}

#: In which ways a send is ambiguous: applied and then 500, applied and never
#: answered, dropped before it is applied, dropped after.
AMBIGUOUS = (INTERNAL, HANGING, DROPPED_BEFORE, DROPPED_AFTER)


_WRITES = re.compile(r"\d{4} writes message \d+")


def name_all(messages: Sequence[Mapping[str, str]]) -> str:
    """
    Answer by naming what is to be answered, a line each; now and then with so
    many words more that they are a message of their own.
    """
    asked = messages[-1]["content"]
    more = "\n\n" + "Some words more. " * 130 if asked.endswith("7") else ""
    return f"To what you wrote:\n{asked}{more}"


def named(answer: str) -> list[str]:
    """
    Read what an answer names.
    """
    return _WRITES.findall(answer)


@define(eq=False)
class Sparing:
    """
    A plan of faults that spoils each message once at most.

    Three times in a row would mean that the person can't be reached, which
    would be no fault of the daemon's.

    :ivar _plan: whose faults these are.
    """

    _plan: Callable[[Call, Random], Fault | None]
    _met: set[str | None] = field(factory=set, init=False)

    def __call__(self, call: Call, random: Random) -> Fault | None:
        if call.kind != "message":
            return self._plan(call, random)
        # By the part, of which each attempt has the same words.
        part = (call.metadata or "").rpartition(":")[0]
        if part in self._met:
            return None
        fault = self._plan(call, random)
        if fault is not None:
            self._met.add(part)
        return fault


@define(eq=False)
class Schedule:
    """
    A plan of faults by count: of the first so many parts, exactly so many are
    spoiled, each once and in each way equally often.

    :ivar spoils: these faults.
    :ivar left: the faults of the parts that were not met yet.
    """

    parts: int
    spoiled: int
    random: Random
    faults: Sequence[Fault] = AMBIGUOUS
    spoils: list[Fault] = field(factory=list, init=False)
    left: list[Fault | None] = field(factory=list, init=False)
    _met: set[str] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.spoils = [self.faults[n % len(self.faults)] for n in range(self.spoiled)]
        self.left = [*self.spoils, *[None] * (self.parts - self.spoiled)]
        self.random.shuffle(self.left)

    def __call__(self, call: Call, random: Random) -> Fault | None:
        part = (call.metadata or "").rpartition(":")[0]
        if call.kind != "message" or part in self._met or not self.left:
            return None
        self._met.add(part)
        return self.left.pop()


def echo_lost(share: float) -> Callable[[Call, Random], EchoFault | None]:
    """
    Plan that so many echoes are lost, others late, others bare.

    :param share: from 0.0 to 1.0.
    """

    def plan(call: Call, random: Random) -> EchoFault | None:
        if random.random() < share:
            return EchoFault(lost=True)
        at = random.random()
        if at < 0.1:
            return EchoFault(delay=1.0)
        if at < 0.2:
            return EchoFault(app_id=False, metadata=False)
        return None

    return plan
