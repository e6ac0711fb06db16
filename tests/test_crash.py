"""
The daemon is killed at the moments that matter, and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    HANGING,
    Applied,
    Asked,
    EchoFault,
    Ending,
    Fault,
    LookedUp,
    Spoiled,
    always,
    in_turn,
    nothing,
)
from micamsgr.sandbox.meta import Habits
from tests.daemon import DELIVERY, DaemonCase, reactor

ALICE = "6284913775102846"


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
