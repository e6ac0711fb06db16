"""
Tests for forgetting a person: no byte of what they said, or of who they are, is
left in any file of the store.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Mid, Psid, Unreadable
from micamsgr.conversation.outcomes import InDoubt, Sent
from micamsgr.conversation.parts import Kind
from micamsgr.conversation.policy import Limits
from micamsgr.store.database import open_database
from micamsgr.store.erasure import Person, erased_until, fingerprint
from micamsgr.store.forget_command import run
from micamsgr.store.lock import Lock, lock
from micamsgr.test.test_store_record import RecordCase, arriving, moment
from micamsgr.testing import ALICE, BOB, BOT, NOW, PAGE, MemoryDatabase, echo, said
from micamsgr.testing.store import MemoryStore

WORDS = "these are Alice's own words"


def request(psid: Psid) -> dict[str, object]:
    """
    Make what the command asks the daemon for.
    """
    return {"psid": psid, "page": None, "bot": None, "pages": []}


class ForgetCase(RecordCase):
    """
    A store in a file, in which Alice and Bob have said something.
    """

    def setUp(self) -> None:
        self.path = str(Path(self.mktemp()).resolve())
        self.open()
        self.unique = 1

    def open(self) -> None:
        """
        Use the file as a daemon does.
        """
        self.lock: Lock | None = lock(self.path)
        database = MemoryDatabase()
        database.connection.close()
        database.connection = open_database(self.path)
        self.database = database.connection
        self.memory = database
        self.store = MemoryStore(database.transact, database.transact, database)
        self.addCleanup(self.close)

    def close(self) -> None:
        """
        End as a daemon does.
        """
        if self.lock is not None:
            self.database.close()
            self.lock.release()
            self.lock = None

    def say(self, text: str = WORDS, psid: Psid = ALICE, after: int = 0) -> None:
        """
        Let a person write.
        """
        event = said(text, psid, at=NOW + after)
        self.now(self.store.record([arriving(event, after)], moment(after)))

    def answer(self, text: str, outcome: object = None) -> None:
        """
        Answer what waits, as far as the send goes.
        """
        (conversation,) = self.waiting()[-1:]
        begun = self.now(self.store.begin(conversation, 100, Limits(), len, moment()))
        assert begun is not None
        self.unique += 1
        entropy = self.unique.to_bytes(10, "big")
        turn = begun.turn.id
        part = lifecycle.compose(turn, Kind.ANSWER, 1, text, moment(), entropy)
        part = lifecycle.intend(part, moment())
        self.now(self.store.compose(begun.turn, text, [part], 7, moment()))
        if outcome is not None:
            after = lifecycle.after_outcome(part, outcome, moment(), 0.0)  # type: ignore[arg-type]
            self.change(part, after)

    def bytes(self) -> bytes:
        """
        Read every byte of every file beside the store.
        """
        path = Path(self.path)
        return b"\0".join(
            file.read_bytes()
            for file in sorted(path.parent.rglob(f"{path.name}*"))
            if file.is_file()
        )

    def forget(self, psid: Psid = ALICE, **which: Any) -> tuple[int, str]:
        """
        Run the command, which must not have to wait.
        """

        def sleep(seconds: float) -> None:
            self.fail("it waits")

        return run(self.path, Person(psid=psid, **which), sleep)

    def assertGone(self, *texts: str) -> None:
        found = self.bytes()
        for text in texts:
            self.assertNotIn(text.encode(), found)


class OfflineTests(ForgetCase):
    """
    Tests for the command while no daemon runs.
    """

    def fill(self) -> None:
        """
        Let both say much, so that pages are split and filled again.
        """
        for number in range(150):
            self.say(f"{WORDS} {number} " + "x" * (number * 37 % 900))
            self.answer(
                f"answer to Alice {number} " + "y" * (number * 53 % 700),
                Sent(Mid(f"to Alice {number}")),
            )
            self.say(f"Bob's words {number} " + "z" * (number * 41 % 900), BOB)
            self.answer(f"answer to Bob {number}", Sent(Mid(f"m_b{number}")))
        raw = json.dumps({"sender": {"id": ALICE}, "odd": WORDS}).encode()
        self.record(Unreadable(key=b"k" * 16, page=PAGE, at=NOW, raw=raw, why="odd"))
        staff = echo("the staff's words to Alice", ALICE, at=NOW + 5000)
        self.record(staff, after=5000)

    def test_gone(self) -> None:
        """
        What they wrote, were told by the bot or by staff, and who they are, is
        in no file any more; and what others said is.
        """
        self.fill()
        before = self.bytes()
        for text in (WORDS, "answer to Alice", "the staff's words", ALICE):
            self.assertIn(text.encode(), before)
        self.close()
        status, line = self.forget()
        self.assertEqual(status, 0, line)
        self.assertIn("1 conversations", line)
        self.assertGone(WORDS, "answer to Alice", "staff's words", ALICE, "to Alice")
        self.assertIn(b"Bob's words 149", self.bytes())
        self.assertIn(BOB.encode(), self.bytes())

    def test_ledger(self) -> None:
        """
        That something was said and answered stays, also for what is delivered
        again.
        """
        event = said(WORDS)
        self.record(event)
        self.answer("hello", Sent(Mid("m_1")))
        self.close()
        self.forget()
        self.assertGone(event.mid or "")
        self.open()
        self.assertEqual(self.store.events(), [("done", None)])
        self.assertEqual(self.states(), ["sent"])
        self.assertEqual(self.record(event).known, {event.key})

    def test_open(self) -> None:
        """
        What waits is not answered any more, what is not sent is withdrawn, and
        what is in doubt is given up; each says why.
        """
        self.say(WORDS)
        self.answer("in doubt", InDoubt("timeout"))
        self.say("for the next turn")
        self.close()
        self.forget()
        self.assertGone(WORDS, "in doubt", "for the next turn", ALICE)
        self.open()
        self.assertEqual(self.states(), ["dead (erased)"])
        self.assertEqual(self.store.events(), [("done", None), ("dead", "erased")])
        self.assertEqual(self.store.turns(), [("closed", None)])
        self.assertEqual(self.waiting(), [])

    def test_sending(self) -> None:
        """
        So is what a killed daemon was just sending, or thinking about.
        """
        self.say(WORDS)
        self.answer("being sent")
        self.say("thought about", BOB)
        self.begin(2)
        self.close()
        self.forget()
        self.forget(BOB)
        self.assertGone(WORDS, "being sent", "thought about", ALICE, BOB)
        self.open()
        self.assertEqual(self.states(), ["dead (erased)"])
        self.assertEqual(self.store.turns(), [("closed", None), ("expired", "erased")])
        self.assertEqual(self.waiting(), [])

    def test_tombstone(self) -> None:
        """
        What is older stays erased, whatever is delivered or read again; what
        they write from now on is answered.
        """
        self.say(WORDS)
        self.close()
        self.forget()
        self.open()
        now = erased_until(self.database, BOT, PAGE, ALICE)
        assert now is not None
        self.database.execute("UPDATE tombstone SET at = ?", (NOW + 1000,))
        self.say("older, and late", after=500)
        self.assertGone("older, and late", ALICE)
        self.assertEqual(self.store.events()[-1], ("ignored", "erased"))
        self.assertEqual(self.waiting(), [])
        self.say("newer", after=1500)
        self.assertEqual(len(self.waiting()), 1)

    def test_forgotten_twice(self) -> None:
        """
        Who is forgotten a second time, by a clock that was set back, stays
        forgotten up to the first.
        """
        self.say(WORDS)
        self.close()
        self.forget()
        self.open()
        before = erased_until(self.database, BOT, PAGE, ALICE)
        assert before is not None
        self.say("again", after=before - NOW + 1)
        self.close()
        self.patch(time, "time", lambda: NOW / 1000.0 - 86_400.0)
        self.forget()
        self.open()
        self.assertEqual(erased_until(self.database, BOT, PAGE, ALICE), before)

    def test_clock_ahead(self) -> None:
        """
        A clock that is a year ahead silences them for an hour at most.
        """
        self.say(WORDS)
        self.close()
        year = 365 * 86_400.0
        wall = time.time
        self.patch(time, "time", lambda: wall() + year)
        self.forget()
        self.open()
        until = erased_until(self.database, BOT, PAGE, ALICE)
        assert until is not None
        self.assertLessEqual(until, NOW + 3_600_000)

    def test_late_echo(self) -> None:
        """
        The echo of what was being sent to them is not taken for a human's.
        """
        self.say(WORDS)
        self.answer("being sent")
        part = self.store.parts()[0]
        self.close()
        self.forget()
        self.open()
        self.database.execute("UPDATE tombstone SET at = ?", (NOW,))
        late = echo(
            "being sent", ALICE, metadata=part.metadata, app_id=None, at=NOW + 1
        )
        self.assertEqual(self.record(late).takeovers, ())

    def test_another_number(self) -> None:
        """
        What could not be read, and names somebody whose number only contains
        theirs, stays.
        """
        raw = f'{{"sender": {{"id": "{ALICE}9"}}}}'.encode()
        self.record(Unreadable(key=b"k" * 16, page=PAGE, at=NOW, raw=raw, why="odd"))
        self.say(WORDS)
        self.close()
        self.assertEqual(self.forget()[0], 0)
        self.assertIn(raw, self.bytes())

    def test_filters(self) -> None:
        """
        Only the bot and the Page that are named forget.
        """
        self.say(WORDS)
        self.close()
        others: tuple[dict[str, Any], ...] = ({"page": "1"}, {"bot": "other"})
        for which in others:
            status, line = self.forget(**which)
            self.assertEqual(
                (status, line.split(";")[0]), (1, "the store knows nobody of that ID")
            )
            self.assertIn(WORDS.encode(), self.bytes())
        self.assertEqual(self.forget(page=PAGE, bot=BOT)[0], 0)
        self.assertGone(WORDS)

    def test_unknown(self) -> None:
        """
        Of somebody whom the store doesn't know it says so, and nothing is read
        from Meta; the second time it knows that they were forgotten.
        """
        self.say("hi", BOB)
        self.close()
        pages = ((BOT, PAGE),)
        self.assertEqual(self.forget(pages=pages)[0], 1)
        with closing(sqlite3.connect(self.path)) as database:
            stones = database.execute("SELECT person FROM tombstone").fetchall()
        self.assertEqual(stones, [(fingerprint(BOT, PAGE, ALICE),)])
        self.assertEqual(self.forget(pages=pages)[0], 0)

    def test_begun(self) -> None:
        """
        What a daemon that was killed had begun to forget is finished, too.
        """
        self.say(WORDS)
        self.say("Bob's words", BOB)
        self.database.execute("UPDATE event SET state = 'ignored'")
        self.database.execute(
            "INSERT INTO progress (task, value) VALUES ('erased.event:2', 0)"
        )
        self.close()
        self.assertEqual(self.forget()[0], 0)
        self.assertGone(WORDS, "Bob's words")

    def test_no_store(self) -> None:
        """
        Where there is no store none is made.
        """
        self.close()
        status, line = run("/nowhere/mica.db", Person(psid=ALICE))
        self.assertEqual(status, 1)
        self.assertIn("there is no store /nowhere/mica.db", line)

    def test_read_meanwhile(self) -> None:
        """
        While somebody else reads the store, it says that the log may still
        hold something.
        """
        self.say(WORDS)
        reader = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        self.close()
        status, line = self.forget()
        self.assertEqual(status, 1)
        self.assertIn("somebody is reading", line)
        reader.execute("COMMIT")
        self.assertEqual(self.forget(pages=((BOT, PAGE),))[0], 0)
        self.assertGone(WORDS, ALICE)
