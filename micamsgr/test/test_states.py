"""
Tests for :mod:`micamsgr.conversation.states`, and for the store that holds to
them.
"""

from __future__ import annotations

import sqlite3
from enum import Enum

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.states import (
    BY_OPERATOR,
    FIRST,
    NEXT,
    OPEN_EVENTS,
    OPEN_PARTS,
    OPEN_TURNS,
    EventState,
    PartState,
    TurnState,
)
from micamsgr.store.database import open_database

# Written out again, so that a change needs to be made twice.
LEGAL: dict[type[Enum], dict[str, set[str]]] = {
    EventState: {
        "": {"new", "ignored", "dead"},
        "new": {"in_turn", "ignored", "dead"},
        "in_turn": {"done", "new", "ignored", "dead"},
        "done": set(),
        # Only as an operator wants it.
        "ignored": {"new"},
        "dead": {"new"},
    },
    TurnState: {
        "": {"ready"},
        "ready": {"generating", "failed", "expired"},
        "generating": {"composed", "ready", "failed", "expired"},
        "composed": {"closed"},
        "closed": set(),
        "failed": set(),
        "expired": set(),
    },
    PartState: {
        "": {"composed"},
        "composed": {"sending", "expired"},
        "sending": {"sent", "composed", "unknown", "refused"},
        "unknown": {"sent", "composed", "dead"},
        "sent": set(),
        "refused": set(),
        "expired": set(),
        "dead": set(),
    },
}

# How a row of each table is made, in a given state.
ROWS: dict[type[Enum], tuple[str, str]] = {
    EventState: (
        "event",
        "INSERT INTO event (key, bot, page, kind, at, received, state)"
        " VALUES (randomblob(16), 'mica', '1', 'message', 0, 0, ?)",
    ),
    TurnState: (
        "turn",
        "INSERT INTO turn (conversation, state, began)"
        " SELECT max(id), ?, 0 FROM conversation",
    ),
    PartState: (
        "part",
        "INSERT INTO part (id, turn, conversation, kind, number, text, state)"
        " SELECT hex(randomblob(16)), max(turn.id), max(conversation.id), 'answer',"
        " 1, '', ? FROM turn, conversation",
    ),
}


def path_to(state: str, legal: dict[str, set[str]]) -> list[str]:
    """
    Find the states by which a thing comes to be in *state*.
    """
    paths = [[first] for first in sorted(legal[""])]
    while True:
        path = paths.pop(0)
        if path[-1] == state:
            return path
        paths += [[*path, after] for after in sorted(legal[path[-1]])]


class StatesTests(SynchronousTestCase):
    """
    Tests for the legal states, as data.
    """

    def test_legal(self) -> None:
        """
        Events, turns and parts begin and go on as they should, and no other
        way.
        """
        for kind, legal in LEGAL.items():
            self.assertEqual({state.value for state in FIRST[kind]}, legal[""])
            for state in kind:
                steps = {*NEXT.get(state, ()), *BY_OPERATOR.get(state, ())}
                after = {after.value for after in steps}
                self.assertEqual(after, legal[state.value], state)

    def test_open(self) -> None:
        """
        Something is still to be done about exactly those that can go on.
        """
        going_on = set(NEXT)
        self.assertEqual(going_on & set(BY_OPERATOR), set())
        self.assertEqual({*OPEN_EVENTS, *OPEN_TURNS, *OPEN_PARTS}, going_on)


class GuardTests(SynchronousTestCase):
    """
    Tests for what the store makes of an attempt to change a state.
    """

    def setUp(self) -> None:
        self.database = open_database(":memory:")
        self.addCleanup(self.database.close)

    def make(self, kind: type[Enum], state: str) -> int:
        """
        Try to make something that begins in *state*.

        :return: its row.
        """
        # One conversation each, since it has one open turn at a time.
        self.database.execute(
            "INSERT INTO conversation (bot, page, psid, opened, heard)"
            " VALUES ('mica', '1', hex(randomblob(16)), 0, 0)"
        )
        if kind is PartState:
            self.database.execute(ROWS[TurnState][1], ("ready",))
        row = self.database.execute(ROWS[kind][1], (state,)).lastrowid
        assert row is not None
        return row

    def change(self, kind: type[Enum], row: int, state: str) -> None:
        """
        Try to put a row into *state*.
        """
        self.database.execute(
            f"UPDATE {ROWS[kind][0]} SET state = ? WHERE rowid = ?", (state, row)
        )

    def test_begins(self) -> None:
        """
        Nothing is kept that begins in a state in which it can't begin.
        """
        for kind, legal in LEGAL.items():
            for state in kind:
                if state.value in legal[""]:
                    self.make(kind, state.value)
                else:
                    with self.assertRaises(sqlite3.IntegrityError, msg=state):
                        self.make(kind, state.value)

    def test_goes_on(self) -> None:
        """
        Every change that is legal is made, and every other one is refused and
        changes nothing.
        """
        for kind, legal in LEGAL.items():
            for state in kind:
                first, *rest = path_to(state.value, legal)
                for after in kind:
                    row = self.make(kind, first)
                    for step in rest:
                        self.change(kind, row, step)
                    if after is state or after.value in legal[state.value]:
                        self.change(kind, row, after.value)
                        continue
                    with self.assertRaises(sqlite3.IntegrityError, msg=(state, after)):
                        self.change(kind, row, after.value)
                    (now,) = self.database.execute(
                        f"SELECT state FROM {ROWS[kind][0]} WHERE rowid = ?", (row,)
                    ).fetchone()
                    self.assertEqual(now, state.value)

    def test_unknown(self) -> None:
        """
        A state that nobody has heard of is refused.
        """
        row = self.make(PartState, "composed")
        for state in ("", "Sending", "lost"):
            with self.assertRaises(sqlite3.IntegrityError):
                self.change(PartState, row, state)
