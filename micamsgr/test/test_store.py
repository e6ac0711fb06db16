"""
Tests for what the store promises, whether or not threads do its work.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults
from zope.interface.verify import verifyObject

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Conversation, PageId
from micamsgr.conversation.interfaces import IStore
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.parts import Kind
from micamsgr.conversation.policy import Limits
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import EventState, PartState, TurnState
from micamsgr.testing import ALICE, BOB, BOT, CAROL, NOW, PAGE, said

from .store_case import MOMENT, OTHER_BOT, Contract, FileCase, MemoryCase, part


class StoreContract(Contract):
    """
    What every store promises of messages, turns and Pages; see
    :class:`micamsgr.conversation.interfaces.IStore`.
    """

    async def test_interface(self) -> None:
        """
        The store has every method that the interface declares.
        """
        verifyObject(IStore, self.store)

    # What waits

    async def test_waiting(self) -> None:
        """
        Conversations with something to do are listed for their own bot, in
        pages.
        """
        await self.arrive(said(), said(psid=BOB), said(psid=CAROL))
        await self.arrive(said(), said(psid=BOB), bot=OTHER_BOT)
        self.assertEqual(await self.store.waiting(BOT, 0, 2), [1, 2])
        self.assertEqual(await self.store.waiting(BOT, 2, 2), [3])
        self.assertEqual(await self.store.waiting(BOT, 3, 2), [])
        self.assertEqual(await self.store.waiting(OTHER_BOT, 0, 9), [4, 5])

    async def test_waiting_all_the_way(self) -> None:
        """
        A conversation is listed once, from the message to the last part.
        """
        listed = []

        async def look() -> None:
            listed.append(await self.store.waiting(BOT, 0, 9))

        await self.arrive(said())
        await look()
        turn = (await self.begin()).turn
        await look()
        composed = part(turn)
        await self.store.compose(turn, "hello", [composed], 7, MOMENT)
        await self.arrive(said())
        await look()
        sending = lifecycle.intend(composed, MOMENT)
        await self.store.change(composed, sending)
        await self.store.lapse(await self.store.situation(1), "window")
        await look()
        self.assertEqual(listed, [[1]] * 4)
        await self.store.change(sending, evolve(sending, state=PartState.SENT))
        self.assertEqual(await self.store.waiting(BOT, 0, 9), [])

    async def test_waiting_notice(self) -> None:
        """
        A conversation of which the turn has failed is listed until the person
        was told.
        """
        await self.arrive(said())
        turn = (await self.begin()).turn
        notice = part(turn, kind=Kind.NOTICE)
        await self.store.fail(turn, "refused", notice, MOMENT, 0)
        self.assertEqual(await self.store.waiting(BOT, 0, 9), [1])
        await self.store.change(notice, lifecycle.expire(notice, "window"))
        self.assertEqual(await self.store.waiting(BOT, 0, 9), [])

    async def test_situation(self) -> None:
        """
        A situation tells whose conversation it is, when the person was last
        heard, and what is to do.
        """
        await self.arrive(said(at=NOW - 5))
        situation = await self.store.situation(1)
        self.assertEqual(situation.conversation, Conversation(BOT, PAGE, ALICE))
        self.assertEqual(situation.heard, NOW - 5)
        self.assertEqual(situation.parts, ())
        self.assertIsNone(situation.turn)
        self.assertIsNotNone(situation.waiting)

    async def test_no_such_conversation(self) -> None:
        """
        There is no situation of a conversation that never was.
        """
        await self.assertFailure(
            Deferred.fromCoroutine(self.store.situation(1)), KeyError
        )

    # Turns

    async def test_begin(self) -> None:
        """
        A turn takes up all that waits in its conversation, and nothing waits
        any more.
        """
        await self.arrive(said("hi"))
        await self.arrive(said("there"), said("hello", psid=BOB), after=1)
        begun = await self.begin()
        self.assertEqual([u.text for u in begun.utterances], ["hi", "there"])
        self.assertEqual(begun.turn, begun.situation.turn)
        self.assertEqual(begun.turn.state, TurnState.GENERATING)
        self.assertEqual(begun.turn.began, NOW)
        self.assertIsNone(begun.situation.waiting)

    async def test_nothing_to_begin(self) -> None:
        """
        Without a message there is no turn, and none while the answer to the
        last one is not sent.
        """
        await self.compose()
        await self.arrive(said())
        self.assertIsNone(await self.store.begin(1, 100, Limits(), len, MOMENT))

    async def test_begin_again(self) -> None:
        """
        A turn that was cut short is taken up as it was, and what came since
        waits for the next.
        """
        await self.arrive(said("hi"))
        first = await self.begin()
        await self.arrive(said("wait"))
        second = await self.begin()
        self.assertEqual(second.turn, first.turn)
        self.assertEqual(second.utterances, first.utterances)
        self.assertIsNotNone(second.situation.waiting)

    async def test_park(self) -> None:
        """
        A turn that rests knows until when, and how often it was tried in
        vain.
        """
        await self.arrive(said())
        for tries in (1, 2):
            turn = (await self.begin()).turn
            self.assertIsNone(turn.rest)
            rest = Tick(120.0, "boot")
            situation = await self.store.park(turn, rest, "busy", 0)
            self.assertEqual(
                situation.turn,
                evolve(turn, state=TurnState.READY, tries=tries, why="busy", rest=rest),
            )

    async def test_compose(self) -> None:
        """
        An answer's parts are there in order, each as it was given; what it
        answers is done.
        """
        await self.compose(3)
        self.assertEqual(self.rows("event"), [("done", None)])

    async def test_compose_twice(self) -> None:
        """
        Composing an answer that was composed before, unbeknown, leaves the
        first one.
        """
        await self.arrive(said())
        turn = (await self.begin()).turn
        first = await self.store.compose(turn, "hello", [part(turn)], 7, MOMENT)
        other = evolve(part(turn), id="other", text="other")
        second = await self.store.compose(turn, "other", [other], 7, MOMENT)
        self.assertEqual(second, first)

    async def test_history(self) -> None:
        """
        The assistant is given what was said before, on both sides, oldest
        first, and of that no more than asked for.
        """
        for text in ("one", "two"):
            await self.arrive(said(text))
            turn = (await self.begin()).turn
            composed = part(turn)
            await self.store.compose(turn, f"re: {text}", [composed], 7, MOMENT)
            await self.store.change(composed, lifecycle.expire(composed, "window"))
        await self.arrive(said("three"), said("four"))
        begun = await self.store.begin(1, 3, Limits(), len, MOMENT)
        assert begun is not None
        self.assertEqual(
            [(u.role.value, u.text) for u in begun.utterances],
            [
                ("bot", "re: one"),
                ("person", "two"),
                ("bot", "re: two"),
                ("person", "three"),
                ("person", "four"),
            ],
        )

    async def test_fail(self) -> None:
        """
        A turn that failed leaves a notice for the person; its messages are
        dead, for its reason, and stay known to the assistant.
        """
        await self.arrive(said("hi"))
        turn = (await self.begin()).turn
        await self.arrive(said("still there?"))
        notice = part(turn, kind=Kind.NOTICE)
        for _ in range(2):
            situation = await self.store.fail(turn, "refused", notice, MOMENT, 0)
            self.assertEqual(situation.parts, (notice,))
            self.assertIsNone(situation.turn)
            self.assertIsNotNone(situation.waiting)
        self.assertEqual(self.rows("turn"), [("failed", "refused")])
        self.assertEqual(self.rows("event"), [("dead", "refused"), ("new", None)])
        utterances = (await self.begin()).utterances
        self.assertEqual([u.text for u in utterances], ["hi", "still there?"])

    async def test_open(self) -> None:
        """
        A turn may be opened before the assistant is asked, but only one.
        """
        await self.arrive(said("one"))
        for _ in range(2):
            situation = await self.store.open(1)
            assert situation.turn is not None
            self.assertEqual(situation.turn.state, TurnState.READY)
        await self.arrive(said("two"))
        begun = await self.begin()
        self.assertEqual([it.text for it in begun.utterances], ["one"])
        self.assertEqual(len(self.rows("turn")), 1)

    async def test_apologize(self) -> None:
        """
        A turn has one apology at most, and none once its answer is there.
        """
        await self.arrive(said())
        turn = (await self.begin()).turn
        sorry = part(turn, kind=Kind.APOLOGY)
        for name in ("s0", "s1"):
            situation = await self.store.apologize(turn, evolve(sorry, id=name))
            self.assertEqual([it.id for it in situation.parts], ["s0"])
        await self.store.compose(turn, "hello", [part(turn)], 7, MOMENT)
        situation = await self.store.apologize(turn, evolve(sorry, number=2, id="s2"))
        self.assertNotIn("s2", [it.id for it in situation.parts])

    async def test_lapse_too_late(self) -> None:
        """
        What was written after it was seen that it is too late is not given up.
        """
        await self.arrive(said("old"))
        seen = await self.store.situation(1)
        await self.arrive(said("new", at=NOW + 1000), after=1000)
        situation = await self.store.lapse(seen, "window")
        self.assertIsNotNone(situation.waiting)
        self.assertEqual(self.rows("event"), [("new", None)] * 2)

    async def test_lapse(self) -> None:
        """
        What can't be answered any more ends in silence: first the open turn,
        then what waited behind it.
        """
        await self.arrive(said("hi"))
        await self.begin()
        await self.arrive(said("still there?"))
        situation = await self.store.lapse(await self.store.situation(1), "window")
        self.assertIsNone(situation.turn)
        self.assertIsNotNone(situation.waiting)
        situation = await self.store.lapse(await self.store.situation(1), "window")
        self.assertIsNone(situation.waiting)
        self.assertEqual(self.rows("turn"), [("expired", "window")])
        self.assertEqual(self.rows("event"), [("dead", "window")] * 2)

    # Pages

    async def test_remember_page(self) -> None:
        """
        A bot's Page is remembered as long as its token is the same.
        """
        await self.store.remember_page(BOT, "token", PageId("1"))
        await self.store.remember_page(OTHER_BOT, "token", PageId("2"))
        self.assertEqual(await self.store.remembered_page(BOT, "token"), "1")
        self.assertIsNone(await self.store.remembered_page(BOT, "new token"))
        await self.store.remember_page(BOT, "new token", PageId("3"))
        self.assertEqual(await self.store.remembered_page(BOT, "new token"), "3")
        self.assertIsNone(await self.store.remembered_page(BOT, "token"))
        self.assertEqual(await self.store.remembered_page(OTHER_BOT, "token"), "2")


class MemoryStoreTests(StoreContract, MemoryCase):
    """
    Tests for the store in memory.
    """


class FileStoreTests(StoreContract, FileCase):
    """
    Tests for the store in a file.
    """

    async def test_reopened(self) -> None:
        """
        What the store was told is there when it is opened again.
        """
        parts = await self.compose()
        await self.service.stopService()
        self.start()
        self.assertEqual((await self.store.situation(1)).parts, parts)

    async def test_durable_when_told(self) -> None:
        """
        What the store has said it keeps, everybody sees who opens the file.
        """
        await self.arrive(said())
        self.assertEqual(self.rows("event"), [("new", None)])

    async def test_many_at_once(self) -> None:
        """
        Many may record at once, and each is told of its own.
        """
        events = [said(psid=psid) for psid in (ALICE, BOB, CAROL) for _ in range(50)]
        recorded = await gatherResults(
            [
                Deferred.fromCoroutine(
                    self.store.record(
                        [Arrival(bot=BOT, event=event, state=EventState.NEW)], MOMENT
                    )
                )
                for event in [*events, *events]
            ]
        )
        self.assertEqual(
            [r.known for r in recorded],
            [frozenset()] * 150 + [frozenset({event.key}) for event in events],
        )
        self.assertEqual(self.rows("event"), [("new", None)] * 150)
