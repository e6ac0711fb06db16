"""
What goes wrong with the calls, the network and the disk of a run, as its plan
has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from attrs import define, evolve, field

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    Call,
    Chances,
    EchoFault,
    Ending,
    Fault,
    rejection,
)
from tests.simulation.disk import Condition
from tests.simulation.network import Trouble, Weather
from tests.simulation.plan import Plan, psid

# A call of the LLM is given up after 60 seconds, of which some have passed when
# it arrives.
_TIMEOUT = 59.0


@define(eq=False, repr=False)
class Faults:
    """
    Decide by chance what goes wrong, and count it.

    :ivar _clock: tells the seconds.
    :ivar most: how many calls of the LLM one process made at once, if no
        connection was lost.
    """

    _plan: Plan
    _counts: Counter[str]
    _clock: Callable[[], float]

    most: int = field(default=0, init=False)
    _chance: Random = field(init=False)
    # Which texts were sent in vain, and how often.
    _vain: Counter[str | None] = field(factory=Counter, init=False)
    # When each of the calls of the LLM ends that are under way.
    _asking: list[float] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = Random(f"network and disk {self._plan.seed}")

    def begin(self) -> None:
        """
        Let a new process begin, which made no calls yet.
        """
        self._asking = []

    def end(self) -> None:
        """
        Let nothing go wrong any more, but for what was denied for good.
        """
        calm = evolve(self._plan, cuts=0.0, held=0.0, refusals=0.0)
        calm = evolve(calm, slow_commits=0.0, failing_commits=0.0)
        none: Chances[llm.Fault] = Chances({})
        self._plan = evolve(calm, graph=Chances({}), echoes=Chances({}), model=none)

    def _mine(self, call: Call) -> bool:
        if not self._plan.lone:
            return True
        texts = [it.text for it in self._plan.messages if it.person == 0]
        own = call.psid == psid(0)
        return own or any(text in (call.text or "") for text in texts)

    def spoil(self, call: Call, random: Random) -> Fault | None:
        """
        Decide what goes wrong with a call of the Graph API.
        """
        if self._plan.lookups_denied and call.kind == "conversations":
            return rejection(10)
        fault = self._plan.graph(call, random)
        if fault is None or not self._mine(call):
            return None
        if call.kind == "message" and not fault.applied and fault.error is None:
            # Three times would mean that the person can't be reached.
            self._vain[call.text] += 1
            if self._vain[call.text] > 1:
                return None
        self._counts[f"graph: {call.kind} spoiled"] += 1
        return fault

    def spoil_echo(self, call: Call, random: Random) -> EchoFault | None:
        """
        Decide what goes wrong with an echo.
        """
        fault = self._plan.echoes(call, random)
        if fault is not None:
            self._counts["echoes spoiled"] += 1
        return fault

    def spoil_answer(self, call: Call, random: Random) -> llm.Fault | None:
        """
        Decide what goes wrong with a call of the LLM.
        """
        fault = self._plan.model(call, random)
        if fault is None or not self._mine(call):
            return None
        self._counts["llm: spoiled"] += 1
        if fault != llm.Fault(delay=fault.delay):
            self._counts["llm: failed"] += 1
        lasts = fault.delay
        if fault.ending in (Ending.STALL, Ending.HANG):
            lasts = _TIMEOUT
        now = self._clock()
        self._asking = [end for end in self._asking if end > now] + [now + lasts]
        self.most = max(self.most, len(self._asking))
        return fault

    def weather(self) -> Weather:
        """
        Make the network's behavior.
        """
        chance = self._chance
        return Weather(
            latency=lambda: chance.choice((0.001, 0.02, 0.1)),
            connecting=self._connecting,
            naming=lambda: (
                not self._happens(self._plan.refusals / 4.0, "names unknown")
            ),
            writing=self._writing,
            holding=lambda: chance.uniform(0.5, 12.0),
            leaving=lambda: chance.random() < 0.5,
        )

    def _connecting(self, port: int) -> bool | None:
        if not self._happens(self._plan.refusals, "connections refused"):
            return False
        return self._chance.choice((True, None))

    def _writing(self, port: int) -> Trouble | None:
        if self._happens(self._plan.held, "writes held back"):
            return Trouble.HELD
        if self._happens(self._plan.cuts, "connections cut"):
            return self._chance.choice((Trouble.LOST, Trouble.HALF, Trouble.CUT))
        return None

    def _happens(self, chance: float, what: str) -> bool:
        if chance <= 0.0 or self._chance.random() >= chance:
            return False
        self._counts[what] += 1
        return True

    def condition(self) -> Condition:
        """
        Make the disk's behavior.
        """
        chance = self._chance
        return Condition(
            before=self._committing,
            after=lambda: chance.choice((0.0001, 0.001)),
            failing=lambda: self._happens(self._plan.failing_commits, "commits failed"),
        )

    def _committing(self) -> float:
        if self._happens(self._plan.slow_commits, "commits slow"):
            return self._chance.uniform(*self._plan.slowness)
        return self._chance.choice((0.0005, 0.002))
