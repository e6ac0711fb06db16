"""
A small world in which everything goes wrong: a Page of the stand-ins, people
who write to it, and a daemon that is killed, stopped and started again, whole
or broken on purpose.  What came of it is for the oracle to say.

``tests/test_chaos.py`` runs it small, ``bench/chaos.py`` as large as one likes.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.task import LoopingCall, deferLater

from micamsgr.sandbox.journal import (
    Applied,
    Asked,
    Journal,
    Posted,
    Spoiled,
    Wrote,
)
from micamsgr.sandbox.meta import Habits, Page
from tests import oracle
from tests.daemon import Daemon, callback, configuration, reactor
from tests.excuses import unreached as unreachable
from tests.launch import starter
from tests.plans import DELAYS, name_all, named
from tests.ports import free_port
from tests.stand_ins import StandIns

#: How messages are sent where doubts are to be over soon: in seconds, but for
#: the rates.  The stand-ins may be slow to take what is in flight, so that the
#: quarantine is longer than elsewhere in the tests.
DELIVERY = {
    "rate": 0,
    "deadline": 2,
    "quarantine": 5,
    "lookup_lag": 1,
    "lookup_rate": 1000,
}

# What all of this costs is not the subject.
_LIMITS = {
    "person": {"turns_per_minute": 0, "turns_per_day": 0, "tokens_per_day": 0},
    "bot": {"tokens_per_day": 0},
}

#: How Meta delivers, and again, and late.
HABITS = Habits(window=0.01, doubles=0.05, spread=1.0, retries=(0.0, 0.2, 0.5))

# For how long a broken build is waited for at most, in seconds.
_GIVEN_UP = 20.0

# Seconds between two looks at what has happened.
_LOOK = 0.05


@define(eq=False)
class Watch:
    """
    Know which messages Meta need not deliver again, and which are answered.

    :ivar accepted: mids.
    :ivar answered: pairs of PSID and text.
    """

    _journal: Journal
    accepted: set[str] = field(factory=set, init=False)
    answered: set[tuple[str, str]] = field(factory=set, init=False)
    _read: int = field(default=0, init=False)
    _waiting: list[tuple[Callable[[], bool], Deferred[None]]] = field(
        factory=list, init=False
    )
    _looking: LoopingCall = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._looking = LoopingCall(self.look)
        self._looking.start(_LOOK)

    def look(self) -> None:
        """
        Read on, and call back those who waited for it.
        """
        facts = self._journal.facts
        for fact in facts[self._read :]:
            if isinstance(fact, Posted) and fact.status == 200:
                self.accepted.update(oracle.mids(fact.body))
            elif isinstance(fact, Applied):
                self.answered |= {(fact.psid, text) for text in named(fact.text)}
        self._read = len(facts)
        waiting, self._waiting = self._waiting, []
        for condition, met in waiting:
            if met.called:
                continue
            if condition():
                met.callback(None)
            else:
                self._waiting.append((condition, met))

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """
        Wait for something, and say whether it came in time.
        """
        met: Deferred[None] = Deferred()
        self._waiting.append((condition, met))
        try:
            await met.addTimeout(seconds, reactor)
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()


@frozen
class Verdict:
    """
    What came of a run.

    :ivar figures: in the order in which they are to be read.
    :ivar complaints: of the oracle and of whoever else looked.
    """

    figures: Mapping[str, object]
    complaints: Sequence[str]

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        return f"{told}; complaints {len(self.complaints)}"


@define(eq=False)
class World:
    """
    A Page, the people who write to it, and the daemon of the day.

    :ivar directory: of the daemon.
    :ivar broken: names of ``tests/broken.py``: what its build does wrong.
    :ivar patience: for how many seconds a person waits for each thing.
    :ivar changes: of its configuration.
    """

    directory: Path
    seed: int
    broken: Sequence[str] = ()
    patience: float = 60.0
    changes: dict[str, Any] = field(factory=dict)

    random: Random = field(init=False)
    stand_ins: StandIns = field(init=False)
    page: Page = field(init=False)
    watch: Watch = field(init=False)
    daemons: list[Daemon] = field(factory=list, init=False)
    # What was complained about on the way.
    seen: list[str] = field(factory=list, init=False)
    begun: float = field(init=False)
    port: int = field(factory=free_port, init=False)

    def __attrs_post_init__(self) -> None:
        self.patience = min(self.patience, _GIVEN_UP) if self.broken else self.patience
        self.random = Random(self.seed)
        self.stand_ins = StandIns(reactor, self.seed)
        self.stand_ins.start()
        self.stand_ins.meta.habits = HABITS
        self.stand_ins.model.reply = name_all
        self.page = self.stand_ins.open_page(callback(self.port))
        self.watch = Watch(self.stand_ins.journal)
        self.begun = reactor.seconds()

    @property
    def journal(self) -> Journal:
        """What happened."""
        return self.stand_ins.journal

    @property
    def database(self) -> Path:
        """The daemon's store."""
        return self.directory / "mica.db"

    async def serve(self, *, kind: type[Daemon] = Daemon, **spec: Any) -> Daemon:
        """
        Start the daemon, and wait until it is ready, if it isn't stopped.

        :param spec: further words for ``tests/launch.py``.
        """
        if self.broken:
            spec["broken"] = list(self.broken)
        delivery = {**DELIVERY, **self.changes.get("delivery", {})}
        changes = {"limits": _LIMITS, **self.changes, "delivery": delivery}
        wanted = configuration(self.stand_ins, self.page, self.port, **changes)
        first = starter(sys.executable, **spec) if spec else ()
        daemon = kind(self.directory, self.port, wanted, first)
        self.daemons.append(daemon)
        daemon.start()
        if "stops" not in spec:
            await daemon.ready(60.0)
        return daemon

    def deliver(self, **changes: object) -> dict[str, Any]:
        """
        Change how messages are sent.

        :return: all of it.
        """
        self.changes["delivery"] = {**self.changes.get("delivery", {}), **changes}
        return {**DELIVERY, **self.changes["delivery"]}

    async def wait(self, least: float, most: float) -> None:
        """
        Wait by chance.
        """
        await deferLater(reactor, self.random.uniform(least, most))

    # People

    def write(self, psid: str, text: str) -> str:
        """
        Let a person write.

        :return: the message's mid.
        """
        return self.stand_ins.meta.message(self.page.id, psid, text)

    async def person(
        self, psid: str, each: int, pause: float, answered: bool, first: int = 0
    ) -> None:
        """
        Write now and then; each message once the last one was delivered, or
        answered: nobody else may change their order.
        """
        for number in range(first, first + each):
            await self.wait(0.0, pause)
            text = f"{psid[-4:]} writes message {number}"
            mid = self.write(psid, text)
            await self.watch.until(
                partial(self.watch.accepted.__contains__, mid), self.patience
            )
            if answered:
                await self.watch.until(
                    partial(self.watch.answered.__contains__, (psid, text)),
                    self.patience,
                )

    def crowd(
        self, people: int, each: int, pause: float, *, answered: bool = False
    ) -> Deferred[Any]:
        """
        Let people write, all at the same time.

        :param each: how many messages each of them writes.
        :param pause: the most seconds before each of these.
        :param answered: whether they wait for their answers.

        :return: fires once all has been written.
        """
        return gatherResults(
            [
                Deferred.fromCoroutine(self.person(regular(n), each, pause, answered))
                for n in range(people)
            ],
            consumeErrors=True,
        )

    # What came of it

    async def settled(self, seconds: float) -> bool:
        """
        Wait until the daemon has nothing left to do; not long for one that
        can't be expected to get there.
        """
        seconds = min(seconds, self.patience) if self.broken else seconds
        deadline = reactor.seconds() + seconds
        while oracle.unfinished(self.database):
            if reactor.seconds() > deadline:
                return False
            await deferLater(reactor, 0.25)
        return True

    def look(self) -> None:
        """
        Let the oracle judge what is there, in the middle of it all.
        """
        found = oracle.complaints(self.journal, self.database)
        self.seen += [f"on the way: {why}" for why in found]

    def verdict(
        self,
        figures: Mapping[str, object],
        *,
        settled: bool = True,
        unreached: bool = False,
    ) -> Verdict:
        """
        Let the oracle judge.

        :param figures: what else is to be told.
        :param settled: whether nothing may be left to do.
        :param unreached: whether somebody may count as unreachable, if only
            very few do.
        """
        journal = self.journal
        spoken = oracle.misspoken(journal, named, lambda it: it.startswith(_REGULAR))
        excused = unreachable(journal, self.database, named) if unreached else ()
        given_up = [why for why in spoken if why in excused]
        if unreached:
            figures = {**figures, "unreached": len(given_up)}
        if len(given_up) <= max(_FEW, _RARE * len(journal.of(Wrote))):
            spoken = [why for why in spoken if why not in excused]
        left = oracle.complaints(journal, self.database, settled=settled)
        found = [*dict.fromkeys(self.seen), *spoken, *left]
        for daemon in self.daemons:
            if "Traceback" in daemon.output:
                found.append("a traceback: " + traceback_of(daemon.output))
        return Verdict(
            {
                "seed": self.seed,
                "messages": len(journal.of(Wrote)),
                "people": len({it.psid for it in journal.of(Wrote)}),
                "seconds": round(reactor.seconds() - self.begun),
                "sent": len(journal.of(Applied)),
                "LLM calls": len(journal.of(Asked)),
                **figures,
                "lost": sum(": lost " in why for why in spoken),
                "said twice": max(
                    sum(" times" in why for why in some) for some in (spoken, left)
                ),
                "out of order": sum("out of order" in why for why in spoken),
            },
            found,
        )

    def spoiled(self) -> Counter[str]:
        """
        Count the faults that are more than a delay, by the kind of call.
        """
        return Counter(
            fact.call.kind
            for fact in self.journal.of(Spoiled)
            if fact.fault not in DELAYS
        )

    async def stop(self) -> None:
        """
        Leave nothing behind.
        """
        self.watch.stop()
        for daemon in self.daemons:
            await daemon.stop()
        await self.stand_ins.stop()


_REGULAR = "628491377510"

# Of all that was written, so little may go to whom nobody could reach.
_FEW, _RARE = 2, 0.002


def regular(number: int) -> str:
    """
    Name one of those who must be answered.
    """
    return f"{_REGULAR}{number:04}"


def visitor(number: int) -> str:
    """
    Name one of those with whom something is the matter.
    """
    return f"73905120{number:08}"


def traceback_of(output: str) -> str:
    """
    Cut the first traceback out of a log.
    """
    at = output.index("Traceback")
    return output[max(0, at - 200) : at + 1500]


@asynccontextmanager
async def world(directory: Path, seed: int, **more: Any) -> Any:
    """
    Make a world, and leave nothing of it behind.
    """
    made = World(directory, seed, **more)
    try:
        yield made
    finally:
        await made.stop()
