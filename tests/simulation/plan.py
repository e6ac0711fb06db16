"""
What goes wrong in a run, and when: all of it drawn from a seed beforehand, but
for chances, which are drawn as the run goes on.

Times are seconds.  What the protocol counts on is kept: a request lands within
28 seconds or never, and a look-up shows what is older than 10.
"""

from __future__ import annotations

from enum import Enum
from random import Random

from attrs import evolve, frozen

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import Chances, EchoFault, Fault
from micamsgr.sandbox.meta import Habits
from tests.simulation.chances import (
    FAILING,
    VERY_LATE,
    echo_faults,
    graph_faults,
    model_faults,
    often,
    shared,
)

#: No message that people write is later, nor anything that goes wrong on
#: purpose.
LONGEST = 90.0

# The waits before Meta delivers again, the last of them for ever.
_RETRIES = (0.0, 0.5, 2.0, 5.0, 5.0, 10.0)

# The longest pause between two lives of the daemon, but for outages.
_DOWN = 40.0

# So many runs have an outage, of those in which one may.
_OUTAGES = 0.25

# Longer than what is read again before an interruption; and, of messages that
# came when it began, longer than Meta's window.
_LONG_DOWN = (1500.0, 3000.0, 25.0 * 3600.0)


# By then the first life is over, as a rule.
_DEAD = 20.0


class ThreadIDs(Enum):
    """
    The IDs of messages in threads: the mids of webhooks; those without their
    ``m_``, as once; or others.
    """

    SAME = "same"
    BARE = "bare"
    OTHER = "other"

    def of(self, mid: str) -> str:
        """Make of a mid what a thread shows."""
        if self is ThreadIDs.SAME:
            return mid
        rest = mid.removeprefix("m_")
        return rest if self is ThreadIDs.BARE else f"t.{rest}"


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
    :ivar outage: Meta gives up what it can't deliver, and the subscription.
    :ivar after_all: in the end it delivers it nevertheless.
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
    outage: bool = False
    after_all: bool = False
    thread_ids: ThreadIDs = ThreadIDs.SAME


def draw(seed: int) -> Plan:
    """
    Draw the plan of a run.
    """
    plan = _draw(seed)
    random = Random(f"outage {seed}")
    if plan.lone or plan.calm or random.random() > _OUTAGES:
        return plan
    return _with_outage(plan, random)


def _with_outage(plan: Plan, random: Random) -> Plan:
    """
    Let one life be down until Meta gives up, while people write.
    """
    lives = list(plan.lives) or [_life(random)]
    place = random.randrange(len(lives))
    down = random.choice((90.0, random.uniform(60.0, 400.0), *_LONG_DOWN))
    lives[place] = evolve(lives[place], down=down)
    if random.random() < 0.5:
        # It dies again before all is read, or while it is.
        again = evolve(_life(random), down=random.uniform(0.1, _DOWN))
        if random.random() < 0.5:
            again = evolve(again, cause=Cause.STOP, count=random.randint(5, 20))
        lives.insert(place + 1, again)
    messages = [
        message if random.random() < 0.4 else evolve(message, at=at)
        for message in plan.messages
        for at in (_around(random, down),)
    ]
    messages.sort(key=lambda message: message.at)
    attempts = random.choice((None, len(_RETRIES) + 4))
    return evolve(
        plan,
        messages=tuple(messages),
        lives=tuple(lives),
        habits=evolve(
            plan.habits,
            attempts=attempts,
            patience=random.choice((5.0, 20.0, 40.0, 3600.0 if attempts else 5.0)),
        ),
        until=max(plan.until, messages[-1].at + 10.0, down + LONGEST),
        outage=True,
        after_all=random.random() < 0.5,
        thread_ids=random.choice(_IDS),
    )


def _around(random: Random, down: float) -> float:
    """Draw when in an outage, or after it, somebody writes."""
    if random.random() < 0.3:
        return down + random.uniform(0.0, 3.0 * _DEAD)
    return _DEAD + random.uniform(0.0, random.choice((_DEAD, down, down)))


def _draw(seed: int) -> Plan:
    random = Random(f"plan {seed}")
    if random.random() < 0.15:
        return _calm(seed, random)
    lone = random.random() < 0.15
    # All that the protocol counts on is stretched to its limit.
    stretched = not lone and random.random() < 0.15
    people = random.choice((1, 2, 2, 3, 4)) + lone
    messages = _messages(random, people, lone)
    lives = () if lone else _lives(random)
    held = often(random, 0.02, lone or stretched)
    if stretched:
        graph = Chances({"message": ((0.7, VERY_LATE),)})
        echoes = Chances({"message": ((0.9, EchoFault(lost=True)),)})
    else:
        graph, echoes = graph_faults(random, lone, held > 0.0), echo_faults(random)
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
        model=model_faults(random, lone),
        slow_commits=0.3 if stretched else often(random, 0.03, lone),
        slowness=(8.0, 12.0) if stretched else (1.0, 12.0),
        failing_commits=often(random, 0.05, lone),
        cuts=often(random, 0.02, lone),
        held=held,
        refusals=often(random, 0.1, lone),
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
    failing = () if not calls or random.random() < 0.7 else FAILING
    faults = (*shared(0.7, slow), *shared(0.2, failing))
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


# Those that the daemon can tell apart by now.
_IDS = (ThreadIDs.SAME,)


def psid(person: int) -> str:
    """
    Name a person to the Page.
    """
    return f"628491377510{person:04}"


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
    count = random.choice((0, 1, 1, 2, 3))
    return tuple(_life(random) for _ in range(count))


def _life(random: Random) -> Life:
    cause = random.choice(tuple(Cause))
    most = {Cause.STOP: 20, Cause.EVENT: 200}.get(cause, 15)
    reboot = random.random() < 0.2
    return Life(
        cause=cause,
        count=random.randint(1, most),
        down=random.choice((0.5, random.uniform(0.1, _DOWN))),
        reboot=reboot,
        silent=reboot and random.random() < 0.5,
        wrong=_wrong(random),
    )


def _wrong(random: Random) -> float:
    return random.choice((0.0, 0.0, 0.0, 1.0, -1.0, 90.0, -90.0, 3600.0, -86400.0 * 3))


def _jumps(random: Random) -> tuple[tuple[float, float], ...]:
    if random.random() < 0.8:
        return ()
    return ((random.uniform(0.0, LONGEST / 2.0), _wrong(random)),)


def _habits(random: Random, lone: bool) -> Habits:
    if lone:
        return Habits(window=random.choice((0.0, 0.05)), doubles=often(random, 0.5))
    return Habits(
        window=random.choice((0.0, 0.0, 0.05, 1.0)),
        doubles=often(random, 0.6),
        reorders=often(random, 0.3),
        spread=random.choice((2.0, 20.0)),
        retries=_RETRIES,
    )
