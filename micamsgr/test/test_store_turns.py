"""
Tests for steps of turns that are taken many at once.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Mid, Psid
from micamsgr.conversation.interfaces import Begun
from micamsgr.conversation.limits import Limit
from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent, Outcome, Sent
from micamsgr.conversation.parts import Kind, Part
from micamsgr.conversation.planner import Situation
from micamsgr.conversation.policy import Limits
from micamsgr.conversation.states import PartState
from micamsgr.store.arrivals import record_all
from micamsgr.store.database import open_database
from micamsgr.store.rows import read_situations
from micamsgr.store.turns import (
    Beginning,
    Composition,
    begin_all,
    change_all,
    compose_all,
)
from micamsgr.testing import said

from .test_store_record import arriving, moment

T = TypeVar("T")
R = TypeVar("R")
PEOPLE = [Psid(name) for name in ("alice", "bob", "carol", "dave", "eve")]
OUTCOMES: Sequence[Outcome] = (
    Sent(Mid("m_sent")),
    NotSent(detail="later", rest=1.0),
    NeverSent("refused", "refused", human=False),
    InDoubt("who knows"),
)

# The bot's are reached after some turns, and one person's sooner.
LIMITS = Limits(person_turns_per_minute=1, bot_tokens_per_day=400)


class Pair:
    """
    Two stores: what is done in one at once is done in the other one by one.
    """

    def __init__(self, together: sqlite3.Connection, apart: sqlite3.Connection):
        self.together, self.apart = together, apart
        self.begun: list[Begun] = []
        self.reached: list[Limit] = []

    def do(
        self,
        work: Callable[[sqlite3.Connection, Sequence[T]], Sequence[R]],
        given: Sequence[T],
    ) -> Sequence[R]:
        """
        Do some work in both.
        """
        done = work(self.together, given)
        for it in given:
            (_,) = work(self.apart, [it])
        return done

    def contents(self) -> list[list[Any]]:
        """
        Read all of both.
        """
        return [
            [
                database.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
                for table in (
                    *("conversation", "event", "turn", "part", "spending"),
                    "tally",
                )
            ]
            + [
                # What one says after the other keeps its order.
                database.execute(
                    "SELECT conversation, role, at, text FROM utterance"
                    " ORDER BY conversation, id"
                ).fetchall()
            ]
            for database in (self.together, self.apart)
        ]


def hear(pair: Pair, chance: random.Random, step: int) -> None:
    """
    Let some people write.
    """
    arrivals = [
        arriving(said(f"{psid} says {step}.", psid), step)
        for psid in chance.sample(PEOPLE, chance.randrange(1, 4))
    ]
    pair.do(record_all, [([it], moment(step)) for it in arrivals])


def begin(pair: Pair, chance: random.Random, step: int) -> None:
    """
    Begin turns in some conversations, in one of them perhaps twice.
    """
    begun = pair.do(
        begin_all,
        [
            Beginning(
                conversation=conversation,
                history=chance.choice((2, 40)),
                limits=LIMITS,
                estimate=lambda words: 50 * len(words),
                now=moment(step * 700),
            )
            # In this order, turns have the same numbers in both.
            for conversation in sorted(chance.choices(range(1, 6), k=4))
        ],
    )
    for it in begun:
        if it is not None:
            pair.begun.append(it)
            pair.reached += [] if it.limit is None else [it.limit]


def compose(pair: Pair, chance: random.Random, step: int) -> None:
    """
    Answer some turns, perhaps such as were answered before.
    """
    pair.do(
        compose_all,
        [
            Composition(
                turn=it.turn,
                text=f"answer {step}",
                parts=[
                    some_part(chance, it.turn.id, f"{step}-{place}", number, step)
                    for number in range(1, chance.randrange(2, 4))
                ],
                tokens=chance.randrange(100),
                now=moment(step),
            )
            for place, it in enumerate(
                chance.choices(pair.begun, k=4) if pair.begun else []
            )
        ],
    )


def some_part(
    chance: random.Random, turn: int, name: str, number: int, step: int
) -> Part:
    """
    Make a part, the first one perhaps about to be sent.
    """
    composed = Part(
        id=f"{name}-{number}",
        turn=turn,
        kind=Kind.ANSWER,
        number=number,
        text="Yes.",
        state=PartState.COMPOSED,
    )
    intended = number == 1 and chance.random() < 0.7
    return lifecycle.intend(composed, moment(step)) if intended else composed


def change(pair: Pair, chance: random.Random, step: int) -> None:
    """
    Let something become of parts, some of which are not as they are believed to
    be, some twice.
    """
    open_now = [part for it in situations(pair) for part in it.parts]
    given: list[tuple[Part, Part]] = []
    for part in chance.choices(open_now, k=4) if open_now else []:
        before = evolve(part, attempt=part.attempt + (chance.random() < 0.2))
        if before.state is PartState.SENDING:
            outcome, jitter = chance.choice(OUTCOMES), chance.random()
            after = lifecycle.after_outcome(before, outcome, moment(step), jitter)
        elif before.state is PartState.COMPOSED:
            after = lifecycle.intend(before, moment(step))
        else:
            after = evolve(before, state=PartState.SENT, mid=Mid(f"m_{step}"))
        given.append((before, after))
    pair.do(change_all, given)


def situations(pair: Pair) -> Sequence[Situation]:
    """
    Read how it is in all conversations, which changes nothing.
    """
    ids = [id for (id,) in pair.together.execute("SELECT id FROM conversation")]

    return list(read_situations(pair.together, ids).values())


class TurnsTests(SynchronousTestCase):
    """
    Tests for :mod:`micamsgr.store.turns`.
    """

    def test_as_one_by_one(self) -> None:
        """
        Whatever is done at once, what is kept is the same as if it had been done
        one by one: turns, words, parts, what was spent, and what is counted.
        """
        reached: set[Limit] = set()
        counted: set[tuple[str, str]] = set()
        for seed in range(60):
            chance = random.Random(seed)
            with (
                closing(open_database(":memory:")) as together,
                closing(open_database(":memory:")) as apart,
            ):
                pair = Pair(together, apart)
                hear(pair, chance, 0)
                for step in range(1, 25):
                    chance.choice((hear, begin, compose, change))(pair, chance, step)
                    one, other = pair.contents()
                    self.assertEqual(one, other, f"seed {seed}, step {step}")
                reached.update(pair.reached)
                counted.update(together.execute("SELECT what, state FROM tally"))
        # What was to be compared did happen.
        self.assertEqual(len(reached), 2)
        self.assertGreater(len(counted), 12)

    def test_told(self) -> None:
        """
        Each is told how it is in its own conversation, in the order in which
        they asked.
        """
        with closing(open_database(":memory:")) as database:
            record_all(
                database, [([arriving(said("?", psid))], moment()) for psid in PEOPLE]
            )
            order = [4, 2, 5, 1, 3, 2]
            begun = begin_all(
                database,
                [
                    Beginning(
                        conversation=it,
                        history=1,
                        limits=Limits(),
                        estimate=len,
                        now=moment(),
                    )
                    for it in order
                ],
            )
            self.assertEqual([it and it.situation.id for it in begun], order)
            turns = [it.turn for it in begun if it is not None]
            composed = compose_all(
                database,
                [
                    Composition(
                        turn=turn,
                        text="!",
                        parts=[some_part(random.Random(0), turn.id, f"{n}", 2, 0)],
                        tokens=1,
                        now=moment(),
                    )
                    for n, turn in enumerate(turns[:5])
                ],
            )
            self.assertEqual([it.id for it in composed], order[:5])
            changes = [
                (part, lifecycle.intend(part, moment()))
                for it in composed
                for part in it.parts
            ]
            changed = change_all(database, changes)
            self.assertEqual([it.id for it in changed], order[:5])
            self.assertEqual(
                [it.parts[0] for it in changed], [after for _, after in changes]
            )
