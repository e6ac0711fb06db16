"""
What may go wrong with calls, and how likely that is in a run.
"""

from __future__ import annotations

from random import Random
from typing import TypeVar

from attrs import evolve

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_AFTER,
    DROPPED_BEFORE,
    GARBAGE,
    HANGING,
    HTML,
    INTERNAL,
    Chances,
    EchoFault,
    Ending,
    Fault,
    GraphError,
    rejection,
)

T = TypeVar("T")

# Errors that are errors, and what only looks like one.
_REFUSED = Fault(applied=False, error=GraphError("Error", 1, status=500))
_REFUSED_2 = Fault(applied=False, error=GraphError("Error", 2))
# What a proxy may put in the place of an answer.
_PAGES = (HTML, evolve(HTML, status=403), evolve(HTML, status=404))
_LYING_2 = Fault(error=GraphError("Error", 2, status=200))
_LOST = Fault(applied=False, ending=Ending.HANG)
_LATE = Fault(landing=8.0)
VERY_LATE = Fault(landing=24.0, ending=Ending.HANG)
_STALLING = Fault(ending=Ending.STALL)
_SLOW = Fault(delay=3.0)

_IN_DOUBT = (
    *(INTERNAL, HTML, GARBAGE, DROPPED_AFTER, HANGING, _LYING_2),
    *(_LATE, _STALLING),
)
_IN_VAIN = (DROPPED_BEFORE, _REFUSED, _REFUSED_2, _LOST)
_REJECTED = (
    *(rejection(613), rejection(4), rejection(190, status=401)),
    *(rejection(100), rejection(551), rejection(2018321)),
)


def graph_faults(random: Random, lone: bool, held: bool) -> Chances[Fault]:
    """
    Draw how often what goes wrong with calls of the Graph API.

    :param lone: somebody's calls surely go wrong.
    :param held: writes are held back besides.
    """
    # Together they would be later than the protocol counts on.
    late = () if held else (VERY_LATE, VERY_LATE)
    doubt, vain = 0.7 if lone else often(random, 0.7), often(random, 0.3)
    slow, rejected = often(random, 0.3), often(random, 0.15, lone)
    looks = often(random, 0.3)
    message = (
        *shared(doubt, (*_IN_DOUBT, *late)),
        *shared(vain, _IN_VAIN),
        *shared(rejected * (1.0 - doubt - vain), _REJECTED),
        *shared(slow * (1.0 - doubt - vain - rejected), (_SLOW,)),
    )
    looked = shared(looks, (*_PAGES, _REFUSED, _LOST, rejection(613), _SLOW))
    return Chances({"message": message, "conversations": looked, "action": message})


def echo_faults(random: Random) -> Chances[EchoFault]:
    """
    Draw how often what goes wrong with echoes.
    """
    lost, late, bare = often(random, 0.9), often(random, 0.4), often(random, 0.1)
    late, bare = late * (1.0 - lost), bare * (1.0 - lost)
    faults = (
        *shared(lost, (EchoFault(lost=True),)),
        *shared(late, (EchoFault(delay=2.0), EchoFault(delay=20.0))),
        *shared(bare, (EchoFault(app_id=False, metadata=False),)),
    )
    return Chances({"message": faults})


FAILING = (
    *(llm.INTERNAL, llm.RATE_LIMITED, llm.BAD_GATEWAY, llm.ERROR_IN_200),
    *(llm.EMPTY, llm.TRUNCATED, llm.STALLING, llm.HANGING, llm.DROPPED),
)


def model_faults(random: Random, lone: bool) -> Chances[llm.Fault]:
    """
    Draw how often what goes wrong with calls of the LLM.
    """
    failing, slow = often(random, 0.4), 0.5 if lone else often(random, 0.5)
    final = often(random, 0.1, lone)
    faults = (
        *shared(failing, FAILING),
        *shared(slow, (llm.Fault(delay=1.0), llm.Fault(delay=25.0))),
        *shared(final, (llm.BAD_KEY, llm.TOO_LONG)),
    )
    return Chances({"completion": faults})


def shared(chance: float, faults: tuple[T, ...]) -> tuple[tuple[float, T], ...]:
    """
    Share a chance among faults.
    """
    return tuple((chance / len(faults), fault) for fault in faults)


def often(random: Random, most: float, lone: bool = False) -> float:
    """
    Draw a chance that in many a run is none.
    """
    chance = random.uniform(0.0, most)
    return chance if random.random() < 0.5 and not lone else 0.0
