"""
Tests for :mod:`micamsgr.conversation.reception`.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Event, Other, PageId, Psid, Unreadable
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.policy import Handover
from micamsgr.conversation.reception import (
    INBOXES,
    INSTANT,
    STALE,
    Arrival,
    arrival,
    person,
    quiet_until,
)
from micamsgr.conversation.states import EventState
from micamsgr.testing import ALICE, BOB, BOT, INBOX, NOW, PAGE, echo, said

NOW_READ = Moment(wall=NOW + 1000, tick=Tick(1.0, "boot"), started=0.0)

NEW, IGNORED, DEAD = EventState.NEW, EventState.IGNORED, EventState.DEAD


def other(kind: str, psid: Psid | None = ALICE) -> Other:
    """
    Make an event that needs no answer.
    """
    return Other(key=b"k" * 16, page=PAGE, psid=psid, at=NOW, kind=kind)


UNREADABLE = Unreadable(
    key=b"u" * 16, page=PageId(""), at=NOW, raw=b"{}", why="KeyError"
)


class ArrivalTestCase(SynchronousTestCase):
    """
    A bot that has an event to judge.
    """

    now = NOW_READ

    def arrive(self, event: Event, *, ours: bool = True, **more: Any) -> Arrival:
        """
        Decide what becomes of *event*.
        """
        handover = Handover(**{k: more.pop(k) for k in ("quiet", "by") if k in more})
        handover = more.pop("handover", handover)
        return arrival(
            event, bot=BOT, ours=ours, now=self.now, handover=handover, **more
        )

    def end(self, event: Event, **more: Any) -> tuple[EventState, str | None]:
        """
        Tell the state in which *event* begins, and why.
        """
        taken = self.arrive(event, **more)
        return taken.state, taken.reason


class SaidTests(ArrivalTestCase):
    """
    Tests for what people say.
    """

    def test_answered(self) -> None:
        """
        A message, a quick reply and a postback want an answer, and open the
        window.
        """
        for kind in ("message", "quick_reply", "postback"):
            taken = self.arrive(said(kind=kind))
            self.assertEqual((taken.state, taken.reason), (NEW, None))
            self.assertTrue(taken.opens)

    def test_bot(self) -> None:
        """
        It is known whose event it is.
        """
        event = said()
        taken = self.arrive(event)
        self.assertEqual((taken.bot, taken.event), (BOT, event))

    def test_other_page(self) -> None:
        """
        What is said to a Page that is not the bot's is not answered.
        """
        self.assertEqual(self.end(said(), ours=False), (IGNORED, "other page"))

    def test_standby(self) -> None:
        """
        What is said while another app owns the thread is not answered.
        """
        self.assertEqual(self.end(said(standby=True)), (IGNORED, "standby"))

    def test_stale(self) -> None:
        """
        What is older than two days is not answered any more, and opens no
        window.
        """
        self.assertEqual(self.end(said(at=NOW + 1000 - STALE)), (NEW, None))
        taken = self.arrive(said(at=NOW + 999 - STALE))
        self.assertEqual((taken.state, taken.reason), (IGNORED, "stale"))
        self.assertFalse(taken.opens)

    def test_unsure(self) -> None:
        """
        As long as nobody knows what time it is for Meta, nothing counts as
        old.
        """
        self.now = evolve(NOW_READ, sure=False)
        self.assertEqual(self.end(said(at=NOW - 2 * STALE)), (NEW, None))

    def test_allow(self) -> None:
        """
        Where the operator names people, only they are answered.
        """
        self.assertEqual(self.end(said(psid=ALICE), allow={ALICE}), (NEW, None))
        end = self.end(said(psid=BOB), allow={ALICE})
        self.assertEqual(end, (IGNORED, "not allowed"))


class OtherTests(ArrivalTestCase):
    """
    Tests for what is not said by people.
    """

    def test_counted(self) -> None:
        """
        Anything else is counted under its kind.
        """
        for kind in ("read", "delivery", "unknown"):
            self.assertEqual(self.end(other(kind)), (IGNORED, kind))

    def test_opens(self) -> None:
        """
        Of these a reaction and a referral open the window.
        """
        opening = {"reaction", "referral"}
        for kind in ("reaction", "referral", "read", "delivery", "optin"):
            self.assertEqual(self.arrive(other(kind)).opens, kind in opening, kind)

    def test_unreadable(self) -> None:
        """
        What can't be read is kept as dead, whosever it may be.
        """
        for ours in (True, False):
            self.assertEqual(self.end(UNREADABLE, ours=ours), (DEAD, "unreadable"))


class EchoTests(ArrivalTestCase):
    """
    Tests for what the Page said.
    """

    def test_ignored(self) -> None:
        """
        An echo is never answered, and opens no window.
        """
        taken = self.arrive(echo())
        self.assertEqual((taken.state, taken.reason), (IGNORED, "echo"))
        self.assertFalse(taken.opens)

    def human(self, app_id: str | None, by: str | tuple[str, ...] = "inbox") -> bool:
        """
        Say whether an echo tells of a human.
        """
        return self.arrive(echo(app_id=app_id), handover=Handover(by=by)).human

    def test_inbox(self) -> None:
        """
        By default a human is who sends from one of Meta's inboxes, or as no
        app at all.
        """
        for app_id in (*INBOXES, None):
            self.assertTrue(self.human(app_id), app_id)
        self.assertFalse(self.human("731904582216637"))

    def test_any(self) -> None:
        """
        The operator may take whoever is not the bot for a human.
        """
        for app_id in (INBOX, None, "731904582216637"):
            self.assertTrue(self.human(app_id, "any"), app_id)

    def test_named(self) -> None:
        """
        Or only certain apps' senders.
        """
        self.assertTrue(self.human("731904582216637", ("1", "731904582216637")))
        for app_id in (INBOX, None, "73190458221663"):
            self.assertFalse(self.human(app_id, ("1", "731904582216637")), app_id)

    def test_never(self) -> None:
        """
        With no time to be quiet for, the bot takes no notice of humans.
        """
        taken = self.arrive(echo(), handover=Handover(quiet=0.0))
        self.assertFalse(taken.human)

    def test_quiet(self) -> None:
        """
        It is known for how long the bot is then quiet.
        """
        taken = self.arrive(echo(), handover=Handover(quiet=60.0))
        self.assertEqual(taken.quiet, 60.0)

    def test_wake(self) -> None:
        """
        A word, alone and however it is written, wakes the bot, if there is
        such a word.
        """
        handover = Handover(wake="Mica")
        for text, wakes in (
            ("Mica", True),
            (" mica\n", True),
            ("mica!", False),
            ("", False),
        ):
            self.assertEqual(self.arrive(echo(text), handover=handover).wake, wakes)
        self.assertFalse(self.arrive(echo("mica")).wake)


class QuietUntilTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.reception.quiet_until`.
    """

    def until(
        self, at: int = 0, opened: int = -3_600_000, now: int = 1000, **more: Any
    ) -> int | None:
        """
        Decide until when the bot is quiet, with all times counted from NOW.
        """
        heard = echo(at=NOW + at)
        taken = Arrival(
            bot=BOT,
            event=heard,
            state=IGNORED,
            **{"human": True, "quiet": 60.0, **more},
        )
        moment = evolve(NOW_READ, wall=NOW + now)
        until = quiet_until(taken, NOW + opened, moment)
        return until - NOW if until else until

    def test_human(self) -> None:
        """
        The bot is quiet for its time from when the human wrote.
        """
        self.assertEqual(self.until(), 60_000)

    def test_future(self) -> None:
        """
        A human's words from the future count as said now.
        """
        self.assertEqual(self.until(at=9000), 61_000)

    def test_late(self) -> None:
        """
        Those that come so late that the bot would be awake again change
        nothing.
        """
        self.assertEqual(self.until(now=59_999), 60_000)
        self.assertIsNone(self.until(now=60_000))

    def test_wake(self) -> None:
        """
        The word that wakes the bot ends the quiet.
        """
        self.assertEqual(self.until(wake=True), 0)

    def test_instant(self) -> None:
        """
        What follows the opening of a conversation at once is no human's.
        """
        for at in (0, INSTANT):
            self.assertIsNone(self.until(at, opened=0))
        for at in (-1, INSTANT + 1):
            self.assertIsNotNone(self.until(at, opened=0))

    def test_nobody(self) -> None:
        """
        What no human said changes nothing, not even if it is the word that
        wakes the bot.
        """
        self.assertIsNone(self.until(human=False))
        self.assertIsNone(self.until(human=False, wake=True))


class PersonTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.conversation.reception.person`.
    """

    def test_person(self) -> None:
        """
        Whatever concerns one person belongs to that person's conversation.
        """
        for event in (said(), echo(), other("read")):
            self.assertEqual(person(event), (PAGE, ALICE))

    def test_nobody(self) -> None:
        """
        What concerns nobody in particular, or can't be read, belongs to none.
        """
        self.assertIsNone(person(other("unknown", None)))
        self.assertIsNone(person(UNREADABLE))
