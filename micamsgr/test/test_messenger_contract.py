"""
What any messenger promises, and the messengers that there are.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from micamsgr.conversation.events import Conversation, Psid
from micamsgr.conversation.interfaces import IMessenger, Presence
from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent, Outcome, Sent
from micamsgr.errors import Refused, Unavailable
from micamsgr.httpcall import HTTPCaller
from micamsgr.messenger.graph import GraphMessenger
from micamsgr.sandbox.graph_api import GraphAPI
from micamsgr.sandbox.journal import (
    DROPPED_AFTER,
    HANGING,
    INTERNAL,
    Acted,
    Applied,
    Call,
    Fault,
    Journal,
    rejection,
)
from micamsgr.sandbox.meta import App, Meta, Page
from micamsgr.testing import (
    ALICE,
    BOB,
    BOT,
    NOW,
    PAGE,
    FixedClocks,
    MemoryMessenger,
)

DEADLINE = 15.0


class MessengerCase(SynchronousTestCase):
    """
    A messenger, and its other end.
    """

    messenger: IMessenger

    def go_on(self) -> None:
        """
        Let the other end do what it was asked for.
        """
        raise NotImplementedError

    def read(self, psid: Psid) -> list[tuple[str, str | None]]:
        """
        Tell what a person has read, oldest first, each with its metadata.
        """
        raise NotImplementedError

    def saw(self, psid: Psid) -> list[Presence]:
        """
        Tell what a person saw beside words.
        """
        raise NotImplementedError

    def spoil_send(self, applied: bool) -> None:
        """
        Let the next send end in doubt.
        """
        raise NotImplementedError

    def put_off_send(self) -> None:
        """
        Let the next send be put off.
        """
        raise NotImplementedError

    def hang_send(self) -> None:
        """
        Let the next send arrive and never be answered.
        """
        raise NotImplementedError

    def hang_show(self) -> None:
        """
        Let what is shown next never be answered.
        """
        raise NotImplementedError

    def pass_second(self) -> None:
        """
        Let a second pass.
        """
        raise NotImplementedError

    def fail_look_up(self, lasting: bool) -> None:
        """
        Let the next look-up fail.
        """
        raise NotImplementedError

    def send(
        self, text: str = "hello", psid: Psid = ALICE, metadata: str = "mica:1:p:1"
    ) -> Deferred[Outcome]:
        """
        Begin to send.
        """
        conversation = Conversation(BOT, PAGE, psid)
        sending = self.messenger.send(conversation, text, metadata)
        return Deferred.fromCoroutine(sending)

    def outcome(self, text: str = "hello", psid: Psid = ALICE) -> Outcome:
        """
        Send, and tell what came of it.
        """
        sending = self.send(text, psid)
        self.go_on()
        return self.successResultOf(sending)

    def show(self, presence: Presence = Presence.TYPING) -> Deferred[None]:
        """
        Begin to show that we are there.
        """
        showing = self.messenger.show(Conversation(BOT, PAGE, ALICE), presence)
        return Deferred.fromCoroutine(showing)


class MemoryCase(MessengerCase):
    """
    The messenger that tests use.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        clocks = FixedClocks(self.clock)
        self.messenger: MemoryMessenger = MemoryMessenger(clocks.now)
        self.arriving = True
        self.outcomes: list[Outcome] = []

    def go_on(self) -> None:
        for _ in range(len(self.messenger.pending)):
            if self.arriving:
                self.messenger.arrive()
            if self.outcomes:
                self.messenger.settle(self.outcomes.pop())
            elif self.arriving:
                self.messenger.settle()
            self.arriving = True

    def read(self, psid: Psid) -> list[tuple[str, str | None]]:
        return [
            (arrived.text, arrived.metadata)
            for arrived in self.messenger.arrived
            if arrived.conversation.psid == psid
        ]

    def saw(self, psid: Psid) -> list[Presence]:
        return [presence for person, presence in self.messenger.shown if person == psid]

    def spoil_send(self, applied: bool) -> None:
        self.arriving = applied
        self.outcomes.append(InDoubt("the test says so"))

    def put_off_send(self) -> None:
        self.arriving = False
        self.outcomes.append(NotSent(detail="the test says so"))

    def hang_send(self) -> None:
        self.arriving = False

    def hang_show(self) -> None:
        self.messenger.holding = Deferred()

    def pass_second(self) -> None:
        self.clock.advance(1.0)

    def fail_look_up(self, lasting: bool) -> None:
        detail = "the test says so"
        self.messenger.look_ups.append(
            Refused(detail) if lasting else Unavailable(detail)
        )


class GraphCase(MessengerCase):
    """
    The messenger that speaks to the Graph API, here to a stand-in for it.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW / 1000)
        self.journal = Journal()
        meta = Meta(
            self.clock,
            Random(1),
            self.journal,
            lambda *_: succeed(200),
            lambda _: succeed((200, b"")),
        )
        people: dict[str, float] = {ALICE: NOW / 1000, BOB: NOW / 1000}
        app = App("731904582216637", "app secret")
        meta.pages[PAGE] = Page(PAGE, "page token", app, people=people)
        self.faults: list[Fault] = []
        graph = GraphAPI(
            self.clock, Random(2), meta, faults=self.fault, proof_required=True
        )
        self.stub = stub = StubTreq(graph)
        request: Any = stub.request  # type: ignore[attr-defined]
        self.messenger = GraphMessenger(
            HTTPCaller(self.clock, request).call,
            "https://graph.test/v25.0",
            "page token",
            "app secret",
            DEADLINE,
            lambda date: None,
        )

    def fault(self, call: Call, random: Random) -> Fault | None:
        """
        Spoil the next call, if one is to be spoiled.
        """
        return self.faults.pop() if self.faults else None

    def go_on(self) -> None:
        self.stub.flush()

    def read(self, psid: Psid) -> list[tuple[str, str | None]]:
        return [
            (applied.text, applied.metadata)
            for applied in self.journal.of(Applied)
            if applied.psid == psid
        ]

    def saw(self, psid: Psid) -> list[Presence]:
        names = {"mark_seen": Presence.SEEN, "typing_on": Presence.TYPING}
        return [
            names[acted.action]
            for acted in self.journal.of(Acted)
            if acted.psid == psid
        ]

    def spoil_send(self, applied: bool) -> None:
        refused = rejection(1, status=500)
        self.faults.append(INTERNAL if applied else refused)

    def put_off_send(self) -> None:
        self.faults.append(rejection(613))

    def hang_send(self) -> None:
        self.faults.append(HANGING)

    hang_show = hang_send

    def pass_second(self) -> None:
        self.clock.advance(1.0)

    def fail_look_up(self, lasting: bool) -> None:
        self.faults.append(rejection(10 if lasting else 613))


if TYPE_CHECKING:
    Contract = MessengerCase
else:
    # Its tests are run by the classes that mix it in, and not by itself.
    Contract = object


class MessengerContract(Contract):
    """
    Tests for :class:`micamsgr.conversation.interfaces.IMessenger`, but for
    its look-ups.
    """

    def test_interface(self) -> None:
        """
        It has every method that the interface declares.
        """
        verifyObject(IMessenger, self.messenger)

    def test_sent(self) -> None:
        """
        A message reaches the person with its words and its metadata, and its
        ID is told.
        """
        text = "Grüße, 世界 \N{GRINNING FACE}\n• “quoted”\t\\ </script>"
        outcome = self.outcome(text)
        assert isinstance(outcome, Sent)
        self.assertTrue(outcome.mid)
        self.assertEqual(self.read(ALICE), [(text, "mica:1:p:1")])

    def test_ids(self) -> None:
        """
        No two messages have the same ID, though they say the same.
        """
        self.assertNotEqual(self.outcome(), self.outcome())

    def test_whose(self) -> None:
        """
        A message reaches whom it is for, and nobody else.
        """
        self.outcome(psid=BOB)
        self.assertEqual(self.read(ALICE), [])
        self.assertEqual(len(self.read(BOB)), 1)

    def test_longest(self) -> None:
        """
        A text of 2,000 UTF-16 units is sent.
        """
        self.assertIsInstance(self.outcome("\N{GRINNING FACE}" * 1000), Sent)

    def test_unacceptable(self) -> None:
        """
        A text that is too long, or empty, is refused for good, and not sent.
        """
        for text in ("x" * 2001, "\N{GRINNING FACE}" * 1001, ""):
            self.assertIsInstance(self.outcome(text), NeverSent)
        self.assertEqual(self.read(ALICE), [])

    def test_half_a_character(self) -> None:
        """
        Words in which half of a character is left do not raise an error.
        """
        self.assertIsInstance(self.outcome("hello \ud83d"), (Sent, NeverSent))

    def test_put_off(self) -> None:
        """
        A send that surely had no effect is told from one that may have had.
        """
        self.put_off_send()
        self.assertIsInstance(self.outcome(), NotSent)
        self.assertEqual(self.read(ALICE), [])

    def test_doubt(self) -> None:
        """
        A send that fails in a way that tells nothing is in doubt, whether or
        not the person got it.
        """
        for applied in (False, True):
            self.spoil_send(applied)
            self.assertIsInstance(self.outcome(), InDoubt)
            self.assertEqual(len(self.read(ALICE)), applied)

    def test_canceled(self) -> None:
        """
        A send that nobody waits for any more ends at once, in doubt.
        """
        self.hang_send()
        sending = self.send()
        self.go_on()
        self.assertNoResult(sending)
        sending.cancel()
        self.assertIsInstance(self.successResultOf(sending), InDoubt)

    def test_show(self) -> None:
        """
        A person sees that we read and write.
        """
        for presence in (Presence.SEEN, Presence.TYPING):
            shown = self.show(presence)
            self.go_on()
            self.successResultOf(shown)
        self.assertEqual(self.saw(ALICE), [Presence.SEEN, Presence.TYPING])

    def test_show_canceled(self) -> None:
        """
        Where nobody waits any more for the person to see it, that ends at
        once, and quietly.
        """
        self.hang_show()
        showing = self.show()
        self.go_on()
        self.assertNoResult(showing)
        showing.cancel()
        self.successResultOf(showing)


class MemoryMessengerTests(MessengerContract, MemoryCase):
    """
    Tests for the messenger that tests use.
    """


class GraphMessengerTests(MessengerContract, GraphCase):
    """
    Tests for the messenger that speaks to the Graph API.
    """

    def test_deadline(self) -> None:
        """
        A send that is not answered in time is in doubt.
        """
        self.hang_send()
        sending = self.send()
        self.go_on()
        self.clock.advance(DEADLINE)
        self.assertIsInstance(self.successResultOf(sending), InDoubt)

    def test_dropped(self) -> None:
        """
        A send whose connection ends is in doubt.
        """
        self.faults.append(DROPPED_AFTER)
        self.assertIsInstance(self.outcome(), InDoubt)
        self.assertEqual(len(self.read(ALICE)), 1)

    def test_show_fails(self) -> None:
        """
        That a person can't be shown that we write raises no error.
        """
        for fault in (rejection(100), rejection(190, status=401), DROPPED_AFTER):
            self.faults.append(fault)
            shown = self.show()
            self.go_on()
            self.successResultOf(shown)
