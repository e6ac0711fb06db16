"""
Tests for messages that are kept many at once.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from functools import cache
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import BotName, Event, Psid, Said
from micamsgr.conversation.interfaces import Recorded
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import EventState
from micamsgr.store import arrivals
from micamsgr.store.arrivals import record, record_all
from micamsgr.store.database import open_database
from micamsgr.store.erasure import Person, forget
from micamsgr.store.plain import keep_plain
from micamsgr.store.rows import read_situation
from micamsgr.testing import BOT, NOW, PAGE, echo, said

from .test_store_record import arriving, moment

PEOPLE = [Psid(name) for name in ("alice", "bob", "carol", "dave")]


def backfilled(event: Said, *, undecided: bool) -> Arrival:
    """
    Let a message be read from its thread.
    """
    return Arrival(
        bot=BOT,
        event=event,
        state=EventState.DEAD if undecided else EventState.NEW,
        reason="backfill: who knows" if undecided else None,
        opens=True,
        backfilled=True,
    )


def arrival_of(number: int, event: Event, after: int) -> Arrival:
    """
    Let an event arrive, some of them for another bot, some read from a thread.
    """
    if number % 10 == 0 and isinstance(event, Said):
        return backfilled(event, undecided=False)
    bot = BotName("other") if number % 7 == 0 else BOT
    return evolve(arriving(event, after), bot=bot)


def some_event(chance: random.Random) -> tuple[Event, int]:
    """
    Make one of few events of few people, so that many are known, and many of
    one person.

    :return: also when it comes.
    """
    psid, number = chance.choice(PEOPLE), chance.randrange(12)
    return event_of(psid, number, chance.random() < 0.15), 1000 * number


@cache
def event_of(psid: Psid, number: int, human: bool) -> Event:
    """
    Make an event, the same each time.
    """
    at = NOW + 1000 * number
    if human:
        return echo(f"I am {number}.", psid=psid, at=at)
    return said(f"message {number}", psid, at=at)


@cache
def copy_of(event: Said) -> Said:
    """
    Make what its thread has of a message, under another ID.
    """
    return said(event.text, event.psid, at=event.at + 1000)


def first_events(chance: random.Random) -> list[Arrival]:
    """
    Make what was there before: some of it read from threads, under other IDs.
    """
    made = []
    for _ in range(4):
        event, after = some_event(chance)
        if isinstance(event, Said):
            read = copy_of(event)
            made.append(backfilled(read, undecided=chance.random() < 0.5))
        else:
            made.append(arriving(event, after))
    return made


def deliveries(chance: random.Random) -> list[tuple[list[Arrival], Moment]]:
    """
    Make some deliveries of some events each.
    """
    made = []
    for _ in range(chance.randrange(1, 6)):
        events = [some_event(chance) for _ in range(chance.randrange(1, 4))]
        events_of = [arrival_of(chance.randrange(50), *it) for it in events]
        made.append((events_of, moment(max(after for _, after in events))))
    return made


def told(recorded: Recorded) -> tuple[object, ...]:
    """
    Tell what came of a delivery, but for the numbers of things.
    """
    return (
        recorded.known,
        recorded.silenced,
        recorded.erased,
        len(recorded.wake),
        len(recorded.takeovers),
        set(recorded.traces),
    )


def contents(database: sqlite3.Connection) -> list[Any]:
    """
    Read what is kept, but for the numbers of things.
    """
    return [
        database.execute(query).fetchall()
        for query in (
            "SELECT hex(key), event.bot, psid, kind, mid, at, received, text, state,"
            " reason, source FROM event"
            " LEFT JOIN conversation ON conversation.id = event.conversation"
            " ORDER BY key, event.bot",
            "SELECT bot, page, psid, opened, heard, quiet_until, seen"
            " FROM conversation WHERE psid NOT LIKE 'erased%' ORDER BY bot, psid",
            "SELECT psid, role, at, text FROM utterance JOIN conversation"
            " ON conversation.id = utterance.conversation ORDER BY 1, 2, 3, 4",
        )
    ]


class PlainTests(SynchronousTestCase):
    """
    Tests for :mod:`micamsgr.store.plain`.
    """

    def setUp(self) -> None:
        self.kept = 0

    def keep(
        self, seed: int, together: bool
    ) -> tuple[list[Any], list[tuple[object, ...]]]:
        """
        Keep what a seed says, and tell what is kept and what was told.
        """
        chance = random.Random(seed)
        before, given = first_events(chance), deliveries(chance)
        with closing(open_database(":memory:")) as database:
            record(database, before, moment())
            if seed % 3 == 0:
                gone = Person(psid=PEOPLE[0], pages=((BOT, PAGE),))
                forget(database, gone, NOW + 3000)
            # And all of it once more.
            given += given
            if together:
                half = len(given) // 2
                recorded = record_all(database, given[:half])
                recorded += record_all(database, given[half:])
            else:
                self.patch(arrivals, "keep_plain", lambda *_: {})
                recorded = [record(database, *delivery) for delivery in given]
                self.patch(arrivals, "keep_plain", self.count)
            return contents(database), [told(it) for it in recorded]

    def count(self, *given: Any) -> dict[Any, Any]:
        kept = keep_plain(*given)
        self.kept += len(kept)
        return kept

    def test_as_one_by_one(self) -> None:
        """
        Whatever comes together, it is kept and told of as if it had come one by
        one: what is known already, what was read from threads, what a human
        says meanwhile, and what is of somebody who was forgotten.
        """
        self.patch(arrivals, "keep_plain", self.count)
        for seed in range(150):
            together, apart = (self.keep(seed, how) for how in (True, False))
            self.assertEqual(together, apart, f"seed {seed}")
        self.assertGreater(self.kept, 150)

    def test_situation(self) -> None:
        """
        How it is in a conversation is told as it would be read; not where there
        is more to be done than to answer.
        """
        with closing(open_database(":memory:")) as database:
            for number, text in enumerate(("one", "two")):
                (recorded,) = record_all(
                    database, [([arriving(said(text, at=NOW + number))], moment())]
                )
                self.assertEqual(recorded.situations, {1: read_situation(database, 1)})
            database.execute(
                "INSERT INTO turn (conversation, state, began) VALUES (1, 'ready', 0)"
            )
            (recorded,) = record_all(
                database, [([arriving(said("three", at=NOW + 3))], moment())]
            )
        self.assertEqual(recorded.situations, {})
        self.assertEqual(recorded.wake, ((BOT, 1),))

    def test_many(self) -> None:
        """
        More than go into one statement are kept in order.
        """
        given = [
            ([arriving(said(f"{n}", Psid(f"p{n}"), at=NOW + n))], moment())
            for n in range(150)
        ]
        with closing(open_database(":memory:")) as database:
            recorded = record_all(database, given)
            texts = database.execute("SELECT text FROM event ORDER BY id").fetchall()
        self.assertEqual(texts, [(f"{n}",) for n in range(150)])
        self.assertEqual([it.wake for it in recorded][149], ((BOT, 150),))
