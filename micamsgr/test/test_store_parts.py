"""
Tests for how the store keeps what becomes of parts.
"""

from __future__ import annotations

from attrs import evolve

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Mid
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.outcomes import InDoubt, NeverSent, Sent
from micamsgr.conversation.parts import Kind
from micamsgr.conversation.states import PartState
from micamsgr.test.store_case import MOMENT, Contract, FileCase, MemoryCase, part
from micamsgr.testing import NOW, said


class PartContract(Contract):
    """
    What every store promises of parts.
    """

    async def test_change_all(self) -> None:
        """
        All that is known of a part is kept.
        """
        first, _ = await self.compose()
        tick = Tick(123.456, "boot")
        after = evolve(
            first,
            state=PartState.UNKNOWN,
            attempt=3,
            absent=2,
            intended=tick,
            looked=tick,
            rest=tick,
            first_intended=Tick(99.5, "boot"),
            first_wall=NOW,
            resent=True,
            withdrawn=True,
            mid=Mid("m_1"),
            echo=Mid("m_2"),
            reason="why",
        )
        situation = await self.store.change(first, after)
        self.assertEqual(situation.parts[0], after)

    async def test_change_conditional(self) -> None:
        """
        What is concluded from something that is not so any more is not
        written down; what is so comes back.
        """
        first, second = await self.compose()
        sent = lifecycle.after_outcome(first, Sent(Mid("m_1")), MOMENT, 0.0)
        await self.store.change(first, sent)
        for outcome in (InDoubt("late"), NeverSent(reason="late", detail="late")):
            after = lifecycle.after_outcome(first, outcome, MOMENT, 0.0)
            situation = await self.store.change(first, after)
            self.assertEqual(situation.parts, (second,))

    async def test_change_of_an_earlier_attempt(self) -> None:
        """
        What is concluded from an earlier attempt doesn't touch the one that
        is being made.
        """
        first, second = await self.compose()
        composed = evolve(first, state=PartState.COMPOSED)
        await self.store.change(first, composed)
        again = lifecycle.intend(composed, MOMENT)
        await self.store.change(composed, again)
        sent = lifecycle.after_outcome(first, Sent(Mid("m_1")), MOMENT, 0.0)
        situation = await self.store.change(first, sent)
        self.assertEqual(situation.parts, (again, second))

    async def test_all_sent(self) -> None:
        """
        With the last part that was sent a turn is over, and not before.
        """
        for sending in await self.compose(2):
            self.assertEqual(self.rows("turn"), [("composed", None)])
            if sending.state is PartState.COMPOSED:
                intended = lifecycle.intend(sending, MOMENT)
                await self.store.change(sending, intended)
                sending = intended
            sent = lifecycle.after_outcome(sending, Sent(Mid("m")), MOMENT, 0.0)
            situation = await self.store.change(sending, sent)
        self.assertEqual(self.rows("turn"), [("closed", None)])
        self.assertEqual(situation.parts, ())
        self.assertIsNone(situation.turn)

    async def test_refused(self) -> None:
        """
        If a part is refused, those behind it are not sent, and the turn is
        over.
        """
        first, *_ = await self.compose(3)
        outcome = NeverSent(reason="blocked", detail="551")
        refused = lifecycle.after_outcome(first, outcome, MOMENT, 0.0)
        await self.store.change(first, refused)
        self.assertEqual(
            self.rows("part"),
            [("refused", "blocked"), ("expired", "sibling"), ("expired", "sibling")],
        )
        self.assertEqual(self.rows("turn"), [("closed", None)])

    async def test_apology_refused(self) -> None:
        """
        If an apology is refused, the answer goes on, and the other way round.
        """
        await self.arrive(said())
        turn = (await self.begin()).turn
        apology, answer = part(turn, kind=Kind.APOLOGY), part(turn)
        other = part(turn, 2, kind=Kind.APOLOGY)
        await self.store.compose(turn, "hello", [apology, answer, other], 7, MOMENT)
        for composed, left in ((apology, (answer, other)), (answer, (other,))):
            sending = lifecycle.intend(composed, MOMENT)
            await self.store.change(composed, sending)
            refused = evolve(sending, state=PartState.REFUSED)
            situation = await self.store.change(sending, refused)
            self.assertEqual(situation.parts, left)
        self.assertEqual(self.rows("turn"), [("closed", None)])

    async def test_after_reboot(self) -> None:
        """
        A part that was in doubt, and waited for a look-up, when the machine
        went down, is in doubt since this start, and not anew for ever.
        """
        first, second = await self.compose()
        resting = evolve(
            first,
            state=PartState.UNKNOWN,
            looked=Tick(110.0, "boot"),
            rest=Tick(400.0, "boot"),
        )
        await self.store.change(first, resting)
        later = Moment(wall=NOW, tick=Tick(5.0, "next boot"), started=4.0)
        adopted = lifecycle.adopt(resting, later)
        situation = await self.store.change(resting, adopted)
        self.assertEqual(situation.parts, (adopted, second))
        self.assertEqual(adopted.intended, Tick(4.0, "next boot"))

    async def test_claimed(self) -> None:
        """
        What was sent as another part is known to be so.
        """
        first, second = await self.compose()
        sent = lifecycle.after_outcome(first, Sent(Mid("m_1")), MOMENT, 0.0)
        await self.store.change(first, sent)
        mids = [Mid("m_1"), Mid("m_2")]
        self.assertEqual(await self.store.claimed(mids, second.id), {"m_1"})
        self.assertEqual(await self.store.claimed(mids, first.id), frozenset())
        self.assertEqual(await self.store.claimed([], second.id), frozenset())


class MemoryPartTests(PartContract, MemoryCase):
    """
    Tests for parts in memory.
    """


class FilePartTests(PartContract, FileCase):
    """
    Tests for parts in a file.
    """
