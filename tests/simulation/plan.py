"""
What goes wrong in a run, and when: all of it drawn from a seed beforehand, but
for chances, which are drawn as the run goes on.

Times are seconds.  What the protocol counts on is kept: a request lands within
28 seconds or never, and a look-up shows what is older than 10.
"""

from __future__ import annotations

from enum import Enum
from random import Random
from typing import TypeVar

from attrs import evolve, frozen

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
from micamsgr.sandbox.meta import Habits

T = TypeVar("T")

#: No message that people write is later, nor anything that goes wrong on
#: purpose.
LONGEST = 90.0

# The waits before Meta delivers again, the last of them for ever.
_RETRIES = (0.0, 0.5, 2.0, 5.0, 5.0, 10.0)

# The longest pause between two lives of the daemon.
_DOWN = 40.0


class Cause(Enum):
    """
    What a life of the daemon ends with: a signal to stop; or its death, after
    so many events, or before or after so many writes to the network or
    commits.
    """

    STOP = "stop"
    EVENT = "event"
    BEFORE_WRITE = "before write"
    AFTER_WRITE = "after write"
    BEFORE_COMMIT = "before commit"
    AFTER_COMMIT = "after commit"


@frozen(kw_only=True)
class Life:
    """
    A life of the daemon.

    :ivar count: after how many; for STOP, seconds.
    :ivar down: until the next life begins.
    :ivar reboot: whether the machine restarts meanwhile.
    :ivar silent: whether its peers are not told.
    :ivar wrong: by how much the wall clock is wrong, in the next life.
    """

    cause: Cause
    count: int
    down: float
    reboot: bool
    silent: bool
    wrong: float


@frozen(kw_only=True)
class Message:
    """
    A person, or one of the Page's staff, writes.

    :ivar person: who writes or is written to, from 0.
    """

    at: float
    person: int
    text: str
    human: bool = False


@frozen(kw_only=True)
class Plan:
    """
    One run.

    :ivar lookups_denied: no look-up is ever answered, and parts in doubt are
        dropped.
    :ivar lone: only the first person's calls go wrong, so that nobody else's
        answer may be late.
    :ivar calm: nothing but the LLM, and the daemon's own deaths, may keep
        anybody waiting.
    :ivar calls: of the LLM at once; 0: more than there are people.
    :ivar turns: of one person and day; 0: more than there are messages.
    :ivar patience: for so many seconds an answer is sought.
    :ivar until: from then on all goes well.
    :ivar slowness: how many seconds a slow commit takes, at least and at most.
    """

    seed: int
    people: int
    messages: tuple[Message, ...]
    lone: bool
    calm: bool
    calls: int
    turns: int
    patience: float
    until: float
    lives: tuple[Life, ...]
    habits: Habits
    lookup_lag: float
    lookups_denied: bool
    graph: Chances[Fault]
    echoes: Chances[EchoFault]
    model: Chances[llm.Fault]
    slow_commits: float
    slowness: tuple[float, float]
    failing_commits: float
    cuts: float
    held: float
    refusals: float
    jumps: tuple[tuple[float, float], ...]


def draw(seed: int) -> Plan:
    """
    Draw the plan of a run.
    """
    random = Random(f"plan {seed}")
    if random.random() < 0.15:
        return _calm(seed, random)
    lone = random.random() < 0.15
    # All that the protocol counts on is stretched to its limit.
    stretched = not lone and random.random() < 0.15
    people = random.choice((1, 2, 2, 3, 4)) + lone
    messages = _messages(random, people, lone)
    lives = () if lone else _lives(random)
    held = _often(random, 0.02, lone or stretched)
    if stretched:
        graph = Chances({"message": ((0.7, _VERY_LATE),)})
        echoes = Chances({"message": ((0.9, EchoFault(lost=True)),)})
    else:
        graph, echoes = _graph(random, lone, held > 0.0), _echoes(random)
    return Plan(
        seed=seed,
        people=people,
        messages=messages,
        lone=lone,
        calm=False,
        calls=0,
        turns=0,
        patience=900.0,
        until=LONGEST if stretched else max(LONGEST / 2.0, messages[-1].at + 10.0),
        lives=lives,
        habits=_habits(random, lone),
        lookup_lag=9.5 if stretched else random.choice((0.0, 3.0, 9.5)),
        lookups_denied=random.random() < 0.04,
        graph=graph,
        echoes=echoes,
        model=_model(random, lone),
        slow_commits=0.3 if stretched else _often(random, 0.03, lone),
        slowness=(8.0, 12.0) if stretched else (1.0, 12.0),
        failing_commits=_often(random, 0.05, lone),
        cuts=_often(random, 0.02, lone),
        held=held,
        refusals=_often(random, 0.1, lone),
        jumps=_jumps(random),
    )


def _calm(seed: int, random: Random) -> Plan:
    """
    Draw a plan in which people wait for nothing but the LLM, or for the daemon
    to come back.
    """
    calls = random.choice((0, 1, 1, 2, 3))
    people = random.randint(2, 8) if calls else random.randint(1, 4)
    messages = _messages(random, people, lone=True)
    lives = tuple(evolve(life, wrong=0.0) for life in _lives(random))
    slow = () if not calls else (llm.Fault(delay=8.0), llm.Fault(delay=25.0))
    failing = () if not calls or random.random() < 0.7 else _FAILING
    faults = (*_shared(0.7, slow), *_shared(0.2, failing))
    return Plan(
        seed=seed,
        people=people,
        messages=messages,
        lone=False,
        calm=True,
        calls=calls,
        turns=random.choice((0, 0, 0, 1, 2)),
        patience=random.choice((30.0, 900.0)),
        until=LONGEST if calls else messages[-1].at + 10.0,
        lives=lives if random.random() < 0.6 or not calls else (),
        # Soon enough that the daemon reads nothing from the thread before.
        habits=_habits(random, lone=True),
        lookup_lag=random.choice((0.0, 3.0, 9.5)),
        lookups_denied=False,
        graph=Chances({}),
        echoes=Chances({}),
        model=Chances({"completion": faults}),
        slow_commits=0.0,
        slowness=(0.0, 0.0),
        failing_commits=0.0,
        cuts=0.0,
        held=0.0,
        refusals=0.0,
        jumps=(),
    )


def psid(person: int) -> str:
    """
    Name a person to the Page.
    """
    return f"628491377510{person:04}"


def _often(random: Random, most: float, lone: bool = False) -> float:
    """Draw a chance that in many a run is none."""
    chance = random.uniform(0.0, most)
    return chance if random.random() < 0.5 and not lone else 0.0


def _messages(random: Random, people: int, lone: bool) -> tuple[Message, ...]:
    drawn = []
    count = random.randint(people, people + 4)
    for number in range(count):
        person = number if number < people else random.randrange(people)
        kind = random.choice(("", "", "", " long"))
        # Several at once, as people write, or later.
        at = random.choice((0.0, 1.0, random.uniform(0.0, 15.0)))
        at += random.choice((0.0, 0.0, random.uniform(0.0, 30.0)))
        text = f"w:{number:04}{kind}"
        drawn.append(Message(at=at, person=person, text=text))
    for _ in range(random.choice((0, 0, 0, 0, 1, 2)) if not lone else 0):
        at, person = random.uniform(5.0, 40.0), random.randrange(people)
        drawn.append(Message(at=at, person=person, text="A human", human=True))
    return tuple(sorted(drawn, key=lambda message: message.at))


def _lives(random: Random) -> tuple[Life, ...]:
    drawn = []
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        cause = random.choice(tuple(Cause))
        most = {Cause.STOP: 20, Cause.EVENT: 200}.get(cause, 15)
        reboot = random.random() < 0.2
        drawn.append(
            Life(
                cause=cause,
                count=random.randint(1, most),
                down=random.choice((0.5, random.uniform(0.1, _DOWN))),
                reboot=reboot,
                silent=reboot and random.random() < 0.5,
                wrong=_wrong(random),
            )
        )
    return tuple(drawn)


def _wrong(random: Random) -> float:
    return random.choice((0.0, 0.0, 0.0, 1.0, -1.0, 90.0, -90.0, 3600.0, -86400.0 * 3))


def _jumps(random: Random) -> tuple[tuple[float, float], ...]:
    if random.random() < 0.8:
        return ()
    return ((random.uniform(0.0, LONGEST / 2.0), _wrong(random)),)


def _habits(random: Random, lone: bool) -> Habits:
    if lone:
        return Habits(window=random.choice((0.0, 0.05)), doubles=_often(random, 0.5))
    return Habits(
        window=random.choice((0.0, 0.0, 0.05, 1.0)),
        doubles=_often(random, 0.6),
        reorders=_often(random, 0.3),
        spread=random.choice((2.0, 20.0)),
        retries=_RETRIES,
    )


# Errors that are errors, and what only looks like one.
_REFUSED = Fault(applied=False, error=GraphError("Error", 1, status=500))
_REFUSED_2 = Fault(applied=False, error=GraphError("Error", 2))
_LYING_2 = Fault(error=GraphError("Error", 2, status=200))
_LOST = Fault(applied=False, ending=Ending.HANG)
_LATE = Fault(landing=8.0)
_VERY_LATE = Fault(landing=24.0, ending=Ending.HANG)
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


def _graph(random: Random, lone: bool, held: bool) -> Chances[Fault]:
    # Together they would be later than the protocol counts on.
    late = () if held else (_VERY_LATE, _VERY_LATE)
    doubt, vain = 0.7 if lone else _often(random, 0.7), _often(random, 0.3)
    slow, rejected = _often(random, 0.3), _often(random, 0.15, lone)
    looks = _often(random, 0.3)
    message = (
        *_shared(doubt, (*_IN_DOUBT, *late)),
        *_shared(vain, _IN_VAIN),
        *_shared(rejected * (1.0 - doubt - vain), _REJECTED),
        *_shared(slow * (1.0 - doubt - vain - rejected), (_SLOW,)),
    )
    looked = _shared(looks, (_REFUSED, HTML, _LOST, rejection(613), _SLOW))
    return Chances({"message": message, "conversations": looked, "action": message})


def _echoes(random: Random) -> Chances[EchoFault]:
    lost, late, bare = _often(random, 0.9), _often(random, 0.4), _often(random, 0.1)
    late, bare = late * (1.0 - lost), bare * (1.0 - lost)
    faults = (
        *_shared(lost, (EchoFault(lost=True),)),
        *_shared(late, (EchoFault(delay=2.0), EchoFault(delay=20.0))),
        *_shared(bare, (EchoFault(app_id=False, metadata=False),)),
    )
    return Chances({"message": faults})


_FAILING = (
    *(llm.INTERNAL, llm.RATE_LIMITED, llm.BAD_GATEWAY, llm.ERROR_IN_200),
    *(llm.EMPTY, llm.TRUNCATED, llm.STALLING, llm.HANGING, llm.DROPPED),
)


def _model(random: Random, lone: bool) -> Chances[llm.Fault]:
    failing, slow = _often(random, 0.4), 0.5 if lone else _often(random, 0.5)
    final = _often(random, 0.1, lone)
    faults = (
        *_shared(failing, _FAILING),
        *_shared(slow, (llm.Fault(delay=1.0), llm.Fault(delay=25.0))),
        *_shared(final, (llm.BAD_KEY, llm.TOO_LONG)),
    )
    return Chances({"completion": faults})


def _shared(chance: float, faults: tuple[T, ...]) -> tuple[tuple[float, T], ...]:
    return tuple((chance / len(faults), fault) for fault in faults)
