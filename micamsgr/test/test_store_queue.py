"""
Tests for :mod:`micamsgr.store.queue`: what an operator sees of what waits, and
what becomes of it.
"""

from __future__ import annotations

from typing import Any

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Other
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import Change, next_step
from micamsgr.conversation.policy import Delivery, Manners
from micamsgr.errors import Declined
from micamsgr.store import queue
from micamsgr.store.arrivals import silence
from micamsgr.store.queue import Decided
from micamsgr.test.test_store_record import MINUTE, SECOND, RecordCase, moment
from micamsgr.testing import ALICE, BOB, BOT, PAGE, echo, said

HOUR = 60 * MINUTE
QUARANTINE = Delivery().quarantine


def policy(bot: str) -> Delivery:
    """
    Give how each bot delivers.
    """
    return Delivery()


class QueueCase(RecordCase):
    """
    A store, and an operator.
    """

    def ask(self, work: Any) -> Any:
        return self.successResultOf(self.store.database.transact(work))

    def retry(self, id: str, after: int = 0) -> Decided:
        done: Decided = self.ask(
            lambda database: queue.retry(database, id, moment(after), policy)
        )
        return done

    def drop(self, id: str) -> Decided:
        done: Decided = self.ask(lambda database: queue.drop(database, id))
        return done

    def declined(self, work: Any) -> str:
        """
        Check that something is declined, and that nothing changes.
        """
        before = list(self.store.database.connection.iterdump())
        failed = self.failureResultOf(self.store.database.transact(work), Declined)
        self.assertEqual(list(self.store.database.connection.iterdump()), before)
        return str(failed.value.detail)

    def not_retried(self, id: str, after: int = 0) -> str:
        return self.declined(
            lambda database: queue.retry(database, id, moment(after), policy)
        )

    def not_dropped(self, id: str) -> str:
        return self.declined(lambda database: queue.drop(database, id))

    def listed(self, limit: int = 100) -> dict[str, Any]:
        listed: dict[str, Any] = self.ask(
            lambda database: queue.list_queue(database, limit)
        )
        return listed

    def ids(self) -> dict[str, list[str]]:
        """
        Tell what is listed, by kind.
        """
        listed = self.listed()
        del listed["more"]
        return {name: [row["id"] for row in rows] for name, rows in listed.items()}

    def fail_turn(self, reason: str = "patience") -> Part:
        """
        Give up what waits in the first conversation.
        """
        turn = self.begin().turn
        notice = Part(id="notice", turn=turn.id, kind=Kind.NOTICE, number=1, text="no")
        self.now(self.store.fail(turn, reason, notice, moment(), 7))
        return notice

    def history(self) -> list[tuple[str, str]]:
        rows = self.store.database.connection.execute(
            "SELECT role, text FROM utterance ORDER BY id"
        )
        return rows.fetchall()

    def doubt(self, *texts: str) -> Part:
        """
        Answer, so that nobody knows whether the first part arrived.
        """
        self.record(said())
        parts = [it for it in self.compose(*texts) if it.kind is Kind.ANSWER]
        return self.settle(parts[0], InDoubt("who knows"))


class ListTests(QueueCase):
    """
    Tests for what is shown.
    """

    def test_kinds(self) -> None:
        """
        What waits, what is being answered, what is not sent or in doubt, and
        what was given up is listed, with whose it is, and without texts.
        """
        self.record(said("given up"))
        self.fail_turn()
        self.doubt("words", "more words")
        self.record(said("waits", BOB))
        self.assertEqual(
            self.ids(),
            {
                "events": ["e3"],
                "turns": ["t2"],
                "parts": ["notice", "part-2-1", "part-2-2"],
                "dead": ["e1"],
                "undelivered": [],
            },
        )
        listed = self.listed()
        self.assertEqual(listed["events"][0]["psid"], BOB)
        self.assertEqual(listed["parts"][1]["state"], "unknown")
        self.assertEqual(listed["dead"][0]["reason"], "patience")
        for word in ("given up", "waits", "words"):
            self.assertNotIn(word, str(listed))

    def test_undelivered(self) -> None:
        """
        What was refused for good is listed with its reason; not what a human's
        words or the operator's wish took the place of.
        """
        self.record(said())
        for part in self.compose("never read"):
            if part.kind is Kind.ANSWER:
                self.settle(part, NeverSent("person", "551"))
        self.assertEqual(self.ids()["parts"], [])
        (row,) = self.listed()["undelivered"]
        self.assertEqual((row["state"], row["reason"]), ("refused", "person"))
        self.assertNotIn("never read", str(self.listed()))
        for reason in ("operator", "human", "erased"):
            self.store.database.connection.execute(
                "UPDATE part SET reason = ?", (reason,)
            )
            self.assertEqual(self.listed()["undelivered"], [])

    def test_overtaken(self) -> None:
        """
        An apology that its answer has overtaken misses nobody; the answer that
        was to follow another part does, and so does an apology that came too
        late for Meta's window.
        """
        for late in (0, 25 * HOUR):
            self.setUp()
            self.record(said())
            turn = self.begin().turn
            sorry = Part(
                id="sorry", turn=turn.id, kind=Kind.APOLOGY, number=1, text="late"
            )
            self.now(self.store.apologize(turn, sorry))
            self.compose("one", "two")
            step = next_step(self.situation(), moment(late), Delivery(), Manners())
            assert isinstance(step, Change)
            self.assertEqual(step.part, sorry)
            self.change(sorry, step.after)
            self.assertEqual(step.after.reason, "window" if late else "sibling")
            first = next(it for it in self.store.parts() if it.id == "part-1-1")
            self.settle(first, NeverSent("person", "551"))
            self.assertEqual(
                set(self.ids()["undelivered"]),
                {"part-1-1", "part-1-2", *(["sorry"] if late else [])},
            )

    def test_bounded(self) -> None:
        """
        No more is listed than was asked for, and it is said that there is more.
        """
        for _ in range(3):
            self.record(said())
        listed = self.listed(2)
        self.assertEqual([it["id"] for it in listed["events"]], ["e1", "e2"])
        self.assertEqual(listed["more"], ["events"])
        self.assertEqual(self.listed(3)["more"], [])

    def test_show(self) -> None:
        """
        Whatever is named is shown with the turn to which it belongs.
        """
        part = self.doubt("words", "more")
        for id, what in (("e1", "event"), ("1", "event"), ("t1", "turn")):
            shown = self.ask(lambda database, id=id: queue.show(database, id))
            self.assertEqual(shown["what"], what)
            self.assertEqual([it["id"] for it in shown["events"]], ["e1"])
            self.assertEqual(len(shown["parts"]), 2)
        shown = self.ask(lambda database: queue.show(database, part.id))
        self.assertEqual((shown["what"], shown["part"]["state"]), ("part", "unknown"))
        for id in ("e7", "t7", "x"):
            self.assertIn(f"no {id}", self.declined(lambda d, id=id: queue.show(d, id)))


class RetryTests(QueueCase):
    """
    Tests for what is tried again.
    """

    def test_dead(self) -> None:
        """
        A message that was given up waits again, as if it came now, and is in
        the history once.
        """
        self.record(said("please"))
        self.fail_turn()
        self.assertEqual(self.history(), [("person", "please")])
        decided = self.retry("e1", HOUR)
        self.assertEqual((decided.bot, decided.conversation), (BOT, 1))
        self.assertEqual(self.store.events(), [("new", None)])
        self.assertEqual(self.situation().waiting, moment(HOUR).wall)
        self.assertEqual(self.history(), [])
        self.assertEqual(self.asked(), [("person", "please")])

    def test_left_to_human(self) -> None:
        """
        A message that was left to a human is answered after all, and is in the
        history once; also one whose answer was being made.
        """
        for being_answered in (False, True):
            self.setUp()
            self.record(said("please"))
            if being_answered:
                self.begin()
            self.ask(lambda d: silence(d, 1, moment(MINUTE).wall))
            self.assertEqual(self.store.events(), [("ignored", "human")])
            self.assertEqual(self.history(), [("person", "please")])
            self.assertIn("conversation resume", self.not_retried("e1"))
            self.assertIn("24-hour window", self.not_retried("e1", 25 * HOUR))
            self.assertIn("(human)", self.retry("e1", MINUTE).said)
            self.assertEqual(self.store.events(), [("new", None)])
            self.assertEqual(self.history(), [])
            self.assertEqual(self.asked(), [("person", "please")])

    def test_left_to_human_erased(self) -> None:
        """
        Where a message that was left to a human is erased, nobody answers it.
        """
        self.record(said())
        self.ask(lambda d: silence(d, 1, 0))
        self.ask(lambda d: d.execute("UPDATE event SET text = NULL"))
        self.assertIn("erased", self.not_retried("e1"))

    def test_turn(self) -> None:
        """
        A turn that failed is tried again by the messages that it was to answer.
        """
        self.record(said("one"), said("two"))
        self.fail_turn()
        self.retry("t1")
        self.assertEqual(self.asked(), [("person", "one"), ("person", "two")])
        self.assertEqual(self.store.turns()[0], ("failed", "patience"))
        self.assertIn("none of its events", self.not_retried("t1"))

    def test_parked(self) -> None:
        """
        A turn that rests after a failure is tried at once.
        """
        self.record(said())
        turn = self.begin().turn
        self.now(self.store.park(turn, Tick(900.0, "boot"), "why", 7))
        self.retry("t1")
        situation = self.situation()
        assert situation.turn is not None
        self.assertEqual((situation.turn.rest, situation.turn.tries), (None, 1))

    def test_window(self) -> None:
        """
        After Meta's window has closed nothing is tried again, and that is said.
        """
        part = self.doubt("words")
        self.record(said(psid=BOB))
        self.now(self.store.lapse(self.situation(2), "window"))
        late = 24 * HOUR
        for id in ("e2", part.id):
            self.assertIn("24-hour window is closed", self.not_retried(id, late))
        self.assertIn("24 h ago", self.not_retried("e2", late))

    def test_quiet(self) -> None:
        """
        While a human answers, the bot is not made to.
        """
        self.record(said())
        self.fail_turn()
        self.record(echo(at=moment(MINUTE).wall), after=MINUTE)
        self.assertIn("conversation resume", self.not_retried("e1", 2 * MINUTE))

    def test_not_dead(self) -> None:
        """
        What waits, what is answered, what nobody said and what is erased is
        not tried again.
        """
        self.record(said())
        self.assertIn("new, not dead", self.not_retried("e1"))
        self.compose("hello")
        self.assertIn("done, not dead", self.not_retried("e1"))
        self.assertIn("its answer is made", self.not_retried("t1"))
        self.record(
            Other(
                key=b"k" * 16, page=PAGE, at=moment().wall, kind="reaction", psid=ALICE
            )
        )
        self.assertIn("ignored, not dead", self.not_retried("e2"))
        self.record(said())
        self.ask(
            lambda d: d.execute(
                "UPDATE event SET state = 'ignored', reason = 'stale' WHERE id = 3"
            )
        )
        self.assertIn("ignored, not dead", self.not_retried("e3"))
        for state in ("new", "dead"):
            change = f"UPDATE event SET state = '{state}' WHERE id = 3"
            self.ask(lambda d, change=change: d.execute(change))
        self.ask(lambda d: d.execute("UPDATE event SET text = NULL WHERE id = 3"))
        self.assertIn("erased", self.not_retried("e3"))
        self.ask(lambda d: d.execute("UPDATE event SET kind = 'x' WHERE id = 3"))
        self.assertIn("none that is answered", self.not_retried("e3"))

    def test_no_bot(self) -> None:
        """
        What was said to a bot that there is no more stays as it is.
        """

        def gone(bot: str) -> Delivery:
            raise Declined("no such bot")

        self.record(said())
        self.fail_turn()
        why = self.declined(lambda d: queue.retry(d, "e1", moment(), gone))
        self.assertEqual(why, "no such bot")

    def test_doubt(self) -> None:
        """
        A part in doubt is sent again, once it can't be under way any more, and
        the risk is named; what a look-up finds then changes nothing.
        """
        part = self.doubt("words")
        soon = int((QUARANTINE - 1) * SECOND)
        self.assertIn("in 1 s", self.not_retried(part.id, soon))
        decided = self.retry(part.id, int(QUARANTINE * SECOND))
        self.assertIn("twice", decided.said)
        self.assertEqual(self.states(), ["composed"])
        (released,) = self.store.parts()
        self.assertTrue(released.resent)
        self.change(part, lifecycle.abandon(part))
        self.assertEqual(self.store.parts(), [released])

    def test_doubt_after_human(self) -> None:
        """
        A part in doubt of the time before a human answered is never sent again.
        """
        part = self.doubt("words")
        self.record(echo(at=moment(MINUTE).wall), after=MINUTE)
        self.assertIn("a human has answered", self.not_retried(part.id, HOUR))

    def test_resting(self) -> None:
        """
        A part that rests is tried at once; one in flight is left alone, and
        one that has ended stays so.
        """
        self.record(said())
        (part,) = self.compose("words")
        self.assertIn("being sent now", self.not_retried(part.id))
        self.settle(part, NotSent(detail="busy", rest=600.0))
        self.retry(part.id)
        self.assertEqual(self.store.parts()[0].rest, None)
        self.drop(part.id)
        self.assertIn("for good", self.not_retried(part.id))
