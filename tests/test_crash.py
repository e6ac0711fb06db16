"""
The daemon is killed again and again while people write, while the language
model errs, and while the Graph API says that what it did had failed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_AFTER,
    DROPPED_BEFORE,
    HANGING,
    INTERNAL,
    Applied,
    Asked,
    Call,
    Chances,
    EchoFault,
    Ending,
    Fault,
    GraphError,
    Journal,
    LookedUp,
    Posted,
    Spoiled,
    Wrote,
    always,
    in_turn,
    nothing,
)
from micamsgr.sandbox.meta import Habits
from tests import oracle
from tests.daemon import DELIVERY, DaemonCase, reactor

ALICE = "6284913775102846"

PEOPLE, EACH, KILLS = 60, 10, 8

# An error that is one.
REFUSED = Fault(applied=False, error=GraphError("Unknown error", 1, status=500))

GRAPH = Chances(
    {
        "message": (
            (0.025, INTERNAL),
            (0.025, REFUSED),
            (0.01, DROPPED_AFTER),
            (0.01, DROPPED_BEFORE),
            (0.43, Fault(delay=0.1)),
        ),
        "conversations": ((0.05, REFUSED),),
    }
)
ECHOES = Chances(
    {
        "message": (
            (0.1, EchoFault(lost=True)),
            (0.1, EchoFault(delay=1.0)),
            (0.1, EchoFault(app_id=False, metadata=False)),
        )
    }
)
MODEL = Chances(
    {"completion": ((0.05, llm.INTERNAL), (0.5, llm.Fault(delay=0.2)))},
)

_PREFIX = "To what you wrote:\n"


def name_all(messages: Sequence[Mapping[str, str]]) -> str:
    """
    Answer by naming what is to be answered, a line each.
    """
    return _PREFIX + messages[-1]["content"]


def named(answer: str) -> list[str]:
    """
    Read what an answer names.
    """
    return answer.removeprefix(_PREFIX).splitlines()


@define(eq=False)
class Sparing:
    """
    Spoil each message once at most: three times in a row, which means that
    the person can't be reached, would be no fault of the daemon's.
    """

    _spoiled: set[str | None] = field(factory=set)

    def __call__(self, call: Call, random: Random) -> Fault | None:
        fault = GRAPH(call, random)
        if call.kind == "message" and fault is not None:
            if call.text in self._spoiled:
                return None
            self._spoiled.add(call.text)
        return fault


@define(eq=False)
class Accepted:
    """
    Know which messages Meta need not deliver again.
    """

    _journal: Journal
    _read: int = 0
    _mids: set[str] = field(factory=set)

    def __contains__(self, mid: str) -> bool:
        for fact in self._journal.facts[self._read :]:
            if isinstance(fact, Posted) and fact.status == 200:
                for entry in json.loads(fact.body)["entry"]:
                    for item in entry["messaging"]:
                        self._mids.add(item["message"]["mid"])
        self._read = len(self._journal.facts)
        return mid in self._mids


class CrashTests(DaemonCase):
    """
    Tests for a daemon that dies at any moment.
    """

    timeout = 240

    def setUp(self) -> None:
        self.seed = int(os.environ.get("MICA_SEED") or Random().getrandbits(32))
        self.random = Random(self.seed)
        super().setUp()
        self.stand_ins.meta.habits = Habits(
            window=0.01, doubles=0.05, spread=1.0, retries=(0.0, 0.1, 0.2, 0.5)
        )
        self.stand_ins.model.reply = name_all
        self.stand_ins.model.faults = MODEL
        self.stand_ins.graph.faults = Sparing()
        self.stand_ins.graph.echoes = ECHOES
        self.stand_ins.graph.lookup_lag = 0.5
        self.accepted = Accepted(self.stand_ins.journal)

    async def person(self, psid: str) -> None:
        """
        Write now and then; each message once the last one was delivered,
        since nobody else may change their order.
        """
        for number in range(EACH):
            await deferLater(reactor, self.random.uniform(0.0, 2.0))
            mid = self.write(psid, f"{psid[-3:]} writes message {number}")
            await self.stand_ins.until(partial(self.accepted.__contains__, mid), 60.0)

    async def test_kill(self) -> None:
        """
        Whenever the daemon is killed, every message is answered, once, and in
        order.
        """
        try:
            await self.live_and_die()
            await self.settled(60.0)
            self.judge()
        except Exception as error:
            raise AssertionError(f"MICA_SEED={self.seed} met {error}") from error

    async def live_and_die(self) -> None:
        """
        Kill the daemon again and again, until all has been written; then let
        it live.
        """
        writing = gatherResults(
            [
                Deferred.fromCoroutine(self.person(f"628491377510{number:04}"))
                for number in range(PEOPLE)
            ],
            consumeErrors=True,
        )
        kills = 0
        while kills < KILLS or not writing.called:
            daemon = await self.serve(delivery=DELIVERY)
            await deferLater(reactor, self.random.uniform(0.3, 1.5))
            daemon.kill()
            await daemon.exited
            kills += 1
        await self.serve(delivery=DELIVERY)
        await writing

    def judge(self) -> None:
        """
        Check that nothing was lost, said twice, or said out of order.
        """
        journal, database = self.stand_ins.journal, self.directory / "mica.db"
        self.assertEqual(len(journal.of(Wrote)), PEOPLE * EACH)
        self.assertEqual(oracle.misspoken(journal, named), [])
        self.assertEqual(oracle.complaints(journal, database, settled=True), [])
        states = {row["state"] for row in self.kept("SELECT state FROM part")}
        self.assertEqual(states, {"sent"})


class MomentTests(DaemonCase):
    """
    Tests for a daemon that dies at certain moments.
    """

    async def dies(self, condition: Callable[[], bool], **changes: float) -> None:
        """
        Start the daemon, let a person write, kill it as soon as something is
        so, and start it again.

        :param changes: of how messages are sent.
        """
        delivery = {**DELIVERY, **changes}
        daemon = await self.serve(delivery=delivery)
        self.write(ALICE, "Just before the end")
        await self.stand_ins.until(condition)
        daemon.kill()
        await daemon.exited
        self.stand_ins.model.faults = nothing
        self.stand_ins.graph.faults = nothing
        await self.serve(delivery=delivery)

    def applied(self, count: int = 1) -> bool:
        """
        Say whether so many messages have reached people.
        """
        return len(self.stand_ins.journal.of(Applied)) >= count

    def asked(self) -> bool:
        """
        Say whether the language model was asked.
        """
        return bool(self.stand_ins.journal.of(Asked))

    def spoiled(self) -> bool:
        """
        Say whether something went wrong.
        """
        return bool(self.stand_ins.journal.of(Spoiled))

    async def test_thinking(self) -> None:
        """
        Killed while the language model thinks, it asks again, and answers
        within two seconds after it is back.
        """
        self.stand_ins.model.faults = always("completion", llm.HANGING)
        await self.dies(self.asked)
        back = reactor.seconds()
        self.assertEqual(await self.said(ALICE), ["You said: Just before the end"])
        self.assertLess(reactor.seconds() - back, 2.0)
        await self.settled()

    async def test_sent(self) -> None:
        """
        Killed while a message is on its way, and that arrives, it learns of it
        by the echo, and says nothing again.
        """
        self.stand_ins.meta.habits = Habits(retries=(0.1,))
        self.stand_ins.graph.faults = always("message", HANGING)
        await self.dies(self.applied, quarantine=15.0)
        await self.settled(10.0)
        self.assertEqual(self.stand_ins.said(ALICE), ["You said: Just before the end"])
        self.assertEqual(self.stand_ins.journal.of(LookedUp), [])

    async def test_sent_without_echo(self) -> None:
        """
        The same without an echo: it looks the message up.
        """
        self.stand_ins.graph.faults = always("message", HANGING)
        self.stand_ins.graph.echoes = always("message", EchoFault(lost=True))
        await self.dies(self.applied)
        await self.settled()
        self.assertEqual(self.stand_ins.said(ALICE), ["You said: Just before the end"])
        self.assertEqual(len(self.stand_ins.journal.of(LookedUp)), 1)

    async def test_not_sent(self) -> None:
        """
        Killed while a message is on its way, and that never arrives, it sends
        it once it is sure; the wait goes on from where it was.
        """
        lost = Fault(applied=False, ending=Ending.HANG)
        self.stand_ins.graph.faults = always("message", lost)
        await self.dies(self.spoiled)
        self.assertEqual(await self.said(ALICE), ["You said: Just before the end"])
        await self.settled()
        first, second = self.stand_ins.journal.of(LookedUp)
        (spoiled,) = self.stand_ins.journal.of(Spoiled)
        self.assertGreaterEqual(first.at - spoiled.at, 1.9)
        self.assertGreaterEqual(second.at - first.at, 1.0)

    async def test_between_parts(self) -> None:
        """
        Killed in the middle of a long answer, it goes on where it was, with
        the same words.
        """
        words = [f"word {n} of this answer" for n in range(300)]
        self.stand_ins.model.reply = lambda messages: " ".join(self.random_order(words))
        self.stand_ins.graph.faults = in_turn("message", None, HANGING)
        await self.dies(lambda: self.applied(2))
        parts = await self.said(ALICE, 4)
        await self.settled()
        said = " ".join(parts)
        self.assertEqual(sorted(said.split()), sorted(" ".join(words).split()))
        self.assertEqual(len(self.stand_ins.journal.of(Asked)), 1)
        self.assertEqual(self.stand_ins.said(ALICE), parts)

    def random_order(self, words: Sequence[str]) -> list[str]:
        """
        Shuffle words, so that no two answers are alike.
        """
        return Random(len(self.stand_ins.journal.facts)).sample(words, len(words))
