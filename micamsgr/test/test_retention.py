"""
Tests for what is kept for how long.
"""

from __future__ import annotations

import sqlite3

from attrs import evolve

from micamsgr.config.keys import _LEAST_LEDGER
from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Mid, Other, Psid, Unreadable
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.outcomes import InDoubt, Outcome, Sent
from micamsgr.conversation.parts import Kind
from micamsgr.conversation.policy import Limits
from micamsgr.conversation.reception import STALE
from micamsgr.store.database import in_transaction
from micamsgr.store.retention import DAY, TASKS, Ages, Slice, Task, position
from micamsgr.store.sweeping import unguarded
from micamsgr.test.test_store_record import RecordCase, arriving, moment
from micamsgr.testing import ALICE, BOB, CAROL, NOW, PAGE, echo, said

AGES = Ages(texts=30 * 86400.0, raw=7 * 86400.0, ledger=400 * 86400.0)


class RetentionCase(RecordCase):
    """
    A store in which time passes.
    """

    days = 0.0

    def at(self) -> int:
        """Milliseconds since the beginning."""
        return int(self.days * DAY)

    def now_is(self) -> Moment:
        return moment(self.at())

    def write(self, text: str = "hi", psid: Psid = ALICE) -> None:
        """
        Let a person write, now.
        """
        event = said(text, psid, at=NOW + self.at())
        self.now(self.store.record([arriving(event, self.at())], self.now_is()))

    def answer(self, text: str = "hello", outcome: Outcome | None = None) -> None:
        """
        Answer what waits in the newest conversation with something to do.
        """
        (conversation,) = self.waiting()[-1:]
        now = self.now_is()
        begun = self.now(self.store.begin(conversation, 100, Limits(), len, now))
        assert begun is not None
        entropy = self.unique.to_bytes(10, "big")
        self.unique += 1
        part = lifecycle.compose(begun.turn.id, Kind.ANSWER, 1, text, now, entropy)
        part = lifecycle.intend(part, now)
        self.now(self.store.compose(begun.turn, text, [part], 7, now))
        outcome = outcome or Sent(Mid(f"m_{self.unique}"))
        self.change(part, lifecycle.after_outcome(part, outcome, now, 0.0))

    unique = 1

    def sweep(self, ages: Ages = AGES, most: int = 250) -> dict[str, int]:
        """
        Do all that is to be done now.

        :return: by task, how many rows were changed; of those that changed any.
        """
        now, changed = self.now_is().wall, {}
        for task in TASKS:
            before = now - int(getattr(ages, task.age) * 1000)
            total, more = 0, True
            while more:
                part = self.slice(task, before, now, most)
                if task.name != "ledger.spending":
                    self.assertLessEqual(part.changed, most)
                total, more = total + part.changed, part.more
            if total:
                changed[task.name] = total
        return changed

    def slice(self, task: Task, before: int, now: int, most: int) -> Slice:
        """
        Do a slice of a task.
        """

        def work(database: sqlite3.Connection) -> Slice:
            return task.work(database, before, now, most)

        if task.alone:
            return unguarded(work)(self.database)
        return in_transaction(self.database, work)

    def setUp(self) -> None:
        super().setUp()
        self.database = self.store.database.connection

    def count(self, table: str, condition: str = "1") -> int:
        query = f"SELECT count(*) FROM {table} WHERE {condition}"
        count: int = self.database.execute(query).fetchone()[0]
        return count


class TextTests(RetentionCase):
    """
    Tests for the texts.
    """

    def test_kept(self) -> None:
        """
        For thirty days everything that was said is kept.
        """
        self.write("secret")
        self.answer("the answer")
        self.days = 29.9
        self.assertEqual(self.sweep(), {})
        self.write("again")
        self.assertEqual(
            self.asked(),
            [("person", "secret"), ("bot", "the answer"), ("person", "again")],
        )

    def test_erased(self) -> None:
        """
        After that no text is left, but that something was said is.
        """
        self.write("secret")
        self.answer("the answer")
        self.days = 30.1
        self.sweep()
        dump = "\n".join(self.database.iterdump())
        self.assertNotIn("secret", dump)
        self.assertNotIn("the answer", dump)
        self.assertEqual(self.store.events(), [("done", None)])
        self.assertEqual(self.states(), ["sent"])
        self.assertEqual(self.sweep(), {})

    def test_each_in_its_time(self) -> None:
        """
        What is younger stays when what is older goes.
        """
        for day in range(40):
            self.days = day
            self.write(f"text {day}.")
            self.answer(f"answer {day}.")
            self.sweep(most=3)
        for table in ("event", "part", "utterance"):
            texts = {
                text
                for (text,) in self.database.execute(f"SELECT text FROM {table}")
                if text
            }
            days = {int(text.split()[1].rstrip(".")) for text in texts}
            self.assertEqual(days, set(range(9, 40)), table)

    def test_open(self) -> None:
        """
        What is not answered yet keeps its words, however old it is; once it is
        answered they go, wherever the sweep has got to by then.
        """
        self.write("the old one")
        self.days = 31
        self.write("the new one", BOB)
        self.answer()
        self.days = 70
        self.sweep()
        self.assertEqual(self.count("event", "text = 'the old one'"), 1)
        self.assertEqual(self.count("event", "text = 'the new one'"), 0)
        self.answer()
        self.sweep()
        self.assertEqual(self.count("event", "text IS NOT NULL"), 0)
        self.assertEqual(self.count("progress", "task GLOB '*:*'"), 0)

    def test_in_doubt(self) -> None:
        """
        A part in doubt keeps its words, by which it is looked for.
        """
        self.write()
        self.answer("maybe", InDoubt("timeout"))
        self.days = 500
        self.sweep()
        (part,) = self.store.parts()
        self.assertEqual((part.state.value, part.text), ("unknown", "maybe"))
        self.change(part, lifecycle.abandon(part))
        self.sweep(evolve(AGES, ledger=1000 * 86400.0))
        self.assertEqual(self.store.parts()[0].text, "")

    def test_raw(self) -> None:
        """
        What could not be read is kept for seven days, and that it came for
        longer.
        """
        odd = Unreadable(key=b"k" * 16, page=PAGE, at=NOW, raw=b"{odd}", why="odd")
        self.record(odd)
        self.days = 6.9
        self.sweep()
        self.assertEqual(self.count("event", "raw IS NOT NULL"), 1)
        self.days = 7.1
        self.sweep()
        self.assertEqual(self.count("event", "raw IS NOT NULL"), 0)
        self.assertEqual(self.store.events(), [("dead", "unreadable")])

    def test_wrong_clock(self) -> None:
        """
        What was dated far in the future holds up nothing behind it.
        """
        self.days = 40_000
        self.write("from the future")
        self.answer()
        self.days = 0
        for _ in range(5):
            self.write("now")
            self.answer()
        self.days = 31
        self.sweep(most=1)
        self.assertEqual(self.count("event", "text = 'now'"), 0)
        self.assertEqual(self.count("utterance", "text = 'now'"), 0)
        self.days = 401
        self.sweep(most=1)
        self.assertEqual(self.count("event"), 1)

    def test_dated_back(self) -> None:
        """
        What was dated long ago takes nothing along that is young.
        """
        self.write("young")
        self.days = -5000
        self.write("old?", BOB)
        self.days = 1
        self.sweep()
        self.assertEqual(self.count("event", "text = 'young'"), 1)

    def test_rowids_anew(self) -> None:
        """
        After a ``VACUUM``, or when all was deleted, the sweep goes on where it
        must.
        """
        for _ in range(20):
            self.write("first")
            self.answer()
        self.days = 31
        self.sweep()
        self.days = 450
        self.sweep()
        self.assertEqual(self.count("event"), 0)
        self.write("second")
        self.answer()
        self.days = 490
        self.sweep()
        self.assertEqual(self.count("event", "text IS NOT NULL"), 0)
        self.assertEqual(self.count("part", "text <> ''"), 0)


class LedgerTests(RetentionCase):
    """
    Tests for what is kept longest.
    """

    def test_nothing_left(self) -> None:
        """
        After its time nothing at all is left, not even who wrote.
        """
        self.write("secret")
        self.answer()
        self.days = 399
        self.sweep()
        self.assertEqual([self.count(t) for t in ("event", "turn", "part")], [1, 1, 1])
        self.days = 410
        changed = self.sweep()
        for table in ("event", "turn", "part", "conversation", "spending"):
            self.assertEqual(self.count(table), 0, table)
        self.assertEqual(changed["ledger.conversation"], 1)
        self.assertEqual(self.database.execute("PRAGMA foreign_keys").fetchone(), (1,))

    def test_open(self) -> None:
        """
        What is open or in doubt is never deleted, nor who it is about.
        """
        self.write("still waiting")
        self.write("hi", BOB)
        self.answer("maybe", InDoubt("timeout"))
        self.write("thought about", CAROL)
        self.begin(3)
        self.days = 5000
        self.sweep()
        self.assertEqual(self.count("conversation"), 3)
        self.assertEqual(self.store.events(), [("new", None), ("in_turn", None)])
        self.assertEqual(self.states(), ["unknown"])
        self.assertEqual(self.store.turns(), [("composed", None), ("generating", None)])
        self.assertEqual(len(self.waiting()), 3)
        self.assertEqual(self.situation(1).conversation.psid, ALICE)

    def test_notice_in_doubt(self) -> None:
        """
        A notice in doubt, whose turn has failed, keeps the person known too.
        """
        self.write()
        turn, now = self.begin().turn, moment()
        notice = lifecycle.compose(turn.id, Kind.NOTICE, 1, "sorry", now, bytes(10))
        self.now(self.store.fail(turn, "patience", notice, now, 0))
        intended = lifecycle.intend(notice, now)
        self.change(notice, intended)
        self.settle(intended, InDoubt("timeout"))
        self.days = 5000
        self.sweep()
        self.assertEqual(self.states(), ["unknown"])
        self.assertEqual(self.situation(1).conversation.psid, ALICE)

    def test_seen(self) -> None:
        """
        A person of whom only reads are heard, or the staff's words to them,
        stays known as long as that is.
        """
        words = echo("from staff", ALICE, app_id="1", at=NOW)
        self.record(words)
        for day in (200, 390):
            self.days = day
            read = Other(
                key=bytes([day % 256]) * 16,
                page=PAGE,
                psid=ALICE,
                at=NOW + self.at(),
                kind="read",
            )
            self.now(self.store.record([arriving(read)], self.now_is()))
        self.days = 500
        self.sweep()
        self.assertEqual(self.count("conversation"), 1)
        self.days = 900
        self.sweep()
        self.assertEqual(self.count("conversation"), 0)

    def test_known_long_enough(self) -> None:
        """
        Whatever may be configured, what is delivered again is known for longer
        than it would be answered.
        """
        self.assertGreater(_LEAST_LEDGER * 1000, STALE + DAY)
        event = said("hi", at=NOW)
        self.record(event)
        self.answer()
        self.days = _LEAST_LEDGER / 86400.0 - 0.1
        self.sweep(Ages(texts=1.0, raw=1.0, ledger=_LEAST_LEDGER))
        again = self.now(self.store.record([arriving(event)], self.now_is()))
        self.assertEqual(again.known, {event.key})

    def test_small_slices(self) -> None:
        """
        However small the slices, the end is the same.
        """
        for day in range(30):
            self.days = day
            for psid in (ALICE, BOB):
                self.write(f"text {day}", psid)
                self.answer()
        self.days = 500
        self.sweep(most=1)
        for table in ("event", "turn", "part", "conversation", "spending", "utterance"):
            self.assertEqual(self.count(table), 0, table)
        names = [task for (task,) in self.database.execute("SELECT task FROM progress")]
        self.assertEqual(sorted(names), ["raw.event", "texts.event", "texts.part"])

    def test_no_waste(self) -> None:
        """
        A sweep that finds nothing to do writes nothing.
        """
        self.write()
        self.answer()
        self.days = 31
        self.write()
        self.answer()
        self.sweep()
        before = self.database.total_changes
        self.sweep()
        self.assertEqual(self.database.total_changes, before)

    def test_years(self) -> None:
        """
        With the same number of people and messages each day, the store is as
        large after three years as after one and a half.
        """
        sizes = {}
        for day in range(1100):
            for person in range(4):
                self.days = day + person / 8.0
                self.write("word " * 40, Psid(f"{5000 + day // 20 * 4 + person}"))
                self.answer("answer " * 30)
            self.sweep()
            sizes[day] = self.database.execute("PRAGMA page_count").fetchone()[0]
        self.assertGreater(sizes[430], 2 * sizes[100])
        self.assertLess(sizes[1099], 1.03 * sizes[550])
        self.assertLess(self.count("event"), 4 * 402)
        self.assertLess(self.count("conversation"), 4 * 22)
        self.assertEqual(
            self.database.execute("PRAGMA foreign_key_check").fetchall(), []
        )
        self.assertEqual(position(self.database, "ledger.event"), 0)
