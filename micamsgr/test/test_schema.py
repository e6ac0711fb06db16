"""
Tests for how tables come to be, and for what they refuse.
"""

from __future__ import annotations

import re
import sqlite3
from enum import Enum
from itertools import product
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.conversation.moment import Tick
from micamsgr.conversation.parts import Kind
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import (
    BY_OPERATOR,
    FIRST,
    NEXT,
    EventState,
    PartState,
    TurnState,
)
from micamsgr.store.database import open_database
from micamsgr.store.schema import APPLICATION_ID, MIGRATIONS, check_tables, migrate
from micamsgr.test.store_case import MOMENT, MemoryCase, part
from micamsgr.testing import BOB, BOT, echo, said

FIRST_VERSION = "CREATE TABLE story (text TEXT NOT NULL) STRICT;"
SECOND_VERSION = """
ALTER TABLE story ADD COLUMN teller TEXT NOT NULL DEFAULT 'nobody';
UPDATE story SET text = upper(text);
"""


class MigrateTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.store.schema.migrate`.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.database = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.database.close)

    def marks(self) -> tuple[int, int]:
        """
        Read whose file it is, and of which version.
        """
        (application,) = self.database.execute("PRAGMA application_id").fetchone()
        (version,) = self.database.execute("PRAGMA user_version").fetchone()
        return application, version

    def stories(self) -> list[tuple[str, ...]]:
        return self.database.execute("SELECT * FROM story").fetchall()

    def tell(self, text: str) -> None:
        self.database.execute("INSERT INTO story (text) VALUES (?)", (text,))

    def test_from_nothing(self) -> None:
        """
        An empty file gets the newest tables, our mark and their version.
        """
        migrate(self.database, (FIRST_VERSION, SECOND_VERSION))
        self.tell("once")
        self.assertEqual(self.stories(), [("once", "nobody")])
        self.assertEqual(self.marks(), (APPLICATION_ID, 2))

    def test_from_first_version(self) -> None:
        """
        A file of an older version takes only the steps that it lacks, and
        keeps what it holds.
        """
        migrate(self.database, (FIRST_VERSION,))
        self.tell("once")
        migrate(self.database, (FIRST_VERSION, SECOND_VERSION))
        self.assertEqual(self.stories(), [("ONCE", "nobody")])
        self.assertEqual(self.marks(), (APPLICATION_ID, 2))

    def test_newest_version(self) -> None:
        """
        A file of the newest version is left as it is.
        """
        migrate(self.database, (FIRST_VERSION,))
        before = self.path.read_bytes()
        migrate(self.database, (FIRST_VERSION,))
        self.assertEqual(self.path.read_bytes(), before)

    def test_step_fails(self) -> None:
        """
        Where a step fails half-way, the file stays as it was, of its old
        version, and can be used again.
        """
        migrate(self.database, (FIRST_VERSION,))
        self.tell("once")
        for fault in (
            "INSERT INTO story VALUES (1, 2, 3);",
            "not SQL;",
            "UPDATE story SET text = NULL;",
        ):
            steps = (FIRST_VERSION, SECOND_VERSION + fault)
            self.assertRaises(sqlite3.Error, migrate, self.database, steps)
            self.assertEqual(self.stories(), [("once",)])
            self.assertEqual(self.marks(), (APPLICATION_ID, 1))
            self.assertFalse(self.database.in_transaction)
        migrate(self.database, (FIRST_VERSION, SECOND_VERSION))
        self.assertEqual(self.stories(), [("ONCE", "nobody")])

    def test_first_step_fails(self) -> None:
        """
        Where nothing could be made of an empty file, it stays empty, and is
        still nobody's.
        """
        self.assertRaises(
            sqlite3.Error, migrate, self.database, (FIRST_VERSION, "not SQL;")
        )
        self.assertEqual(self.marks(), (0, 0))
        migrate(self.database, (FIRST_VERSION,))
        self.assertEqual(self.stories(), [])

    def test_newer(self) -> None:
        """
        A file of a version not known here is refused.
        """
        migrate(self.database, (FIRST_VERSION, SECOND_VERSION))
        self.assertRaises(ValueError, migrate, self.database, (FIRST_VERSION,))

    def test_foreign(self) -> None:
        """
        A file with tables but without our mark is refused.
        """
        self.database.executescript(FIRST_VERSION)
        self.assertRaises(ValueError, migrate, self.database, (FIRST_VERSION,))
        self.assertEqual(self.marks(), (0, 0))

    def test_other_tables(self) -> None:
        """
        A file of our mark and version whose tables are not ours is refused,
        and what differs is named.
        """
        migrate(self.database, MIGRATIONS)
        check_tables(self.database)
        self.database.execute("DROP INDEX turn_open")
        self.database.execute("ALTER TABLE part DROP COLUMN echo")
        error = self.assertRaises(ValueError, check_tables, self.database)
        self.assertIn("(part, turn_open)", str(error))

    def test_shipped(self) -> None:
        """
        The tables that the program uses refer only to one another.
        """
        migrate(self.database, MIGRATIONS)
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        tables = {name for (name,) in self.database.execute(query)}
        for table in tables:
            rows = self.database.execute(f"PRAGMA foreign_key_list({table})")
            self.assertLessEqual({row[2] for row in rows}, tables)

    def test_told(self) -> None:
        """
        Who upgrades is told of the version that the tables have.
        """
        changes = Path(__file__).parents[2] / "CHANGELOG.md"
        told = re.search(r"store's schema has version (\d+)", changes.read_text())
        assert told is not None
        self.assertEqual(int(told[1]), len(MIGRATIONS))


class GuardTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.store.schema.guard_states`.
    """

    def setUp(self) -> None:
        self.database = open_database(":memory:")
        self.addCleanup(self.database.close)
        self.database.executescript(
            "INSERT INTO conversation (id, bot, page, psid, opened, heard)"
            " VALUES (1, 'mica', 'page', 'alice', 0, 0);"
            "INSERT INTO turn (id, conversation, state, began)"
            " VALUES (1, 1, 'ready', 0)"
        )
        self.made = 1

    def make(self, state: Enum) -> int:
        """
        Make an event, a turn or a part that is in a state.

        :return: the number of its row.
        """
        self.made += 1
        if isinstance(state, EventState):
            insert = (
                "INSERT INTO event (id, key, bot, page, kind, at, received, state)"
                " VALUES (:id, CAST(:id AS BLOB), 'mica', 'page', 'message', 0, 0,"
                " :state)"
            )
        elif isinstance(state, TurnState):
            insert = (
                "INSERT INTO turn (id, conversation, state, began)"
                " VALUES (:id, :id, :state, 0)"
            )
            self.database.execute(
                "INSERT INTO conversation (id, bot, page, psid, opened, heard)"
                " VALUES (:id, 'mica', 'page', :id || '', 0, 0)",
                {"id": self.made},
            )
        else:
            insert = (
                "INSERT INTO part (rowid, id, turn, conversation, kind, number, text,"
                " state) VALUES (:id, :id || '', 1, 1, 'answer', :id, 'hello', :state)"
            )
        self.database.execute(insert, {"id": self.made, "state": state.value})
        return self.made

    def walk(self, path: list[Enum]) -> int:
        """
        Make something, and change its state step by step.
        """
        row = self.make(path[0])
        for state in path[1:]:
            self.change(row, state)
        return row

    def change(self, row: int, state: Enum) -> None:
        table = {EventState: "event", TurnState: "turn", PartState: "part"}[type(state)]
        self.database.execute(
            f"UPDATE {table} SET state = ? WHERE rowid = ?", (state.value, row)
        )

    def paths(self, states: type[Enum]) -> dict[Enum, list[Enum]]:
        """
        Find a legal way into every state.
        """
        paths: dict[Enum, list[Enum]] = {state: [state] for state in FIRST[states]}
        found = list(paths)
        for state in found:
            for after in NEXT.get(state, ()):
                if after not in paths:
                    paths[after] = [*paths[state], after]
                    found.append(after)
        return paths

    def test_beginnings(self) -> None:
        """
        Events, turns and parts can only begin in the states in which they
        may.
        """
        for states in (EventState, TurnState, PartState):
            for state in states:
                if state in FIRST[states]:
                    self.make(state)
                else:
                    self.assertRaises(sqlite3.IntegrityError, self.make, state)

    def test_changes(self) -> None:
        """
        Every legal change of a state is possible, and no other.
        """
        for states in (EventState, TurnState, PartState):
            paths = self.paths(states)
            self.assertEqual(set(paths), set(states))
            for before, after in product(states, states):
                row = self.walk(paths[before])
                steps = {*NEXT.get(before, ()), *BY_OPERATOR.get(before, ())}
                if after is before or after in steps:
                    self.change(row, after)
                else:
                    self.assertRaises(sqlite3.IntegrityError, self.change, row, after)

    def test_one_turn_at_a_time(self) -> None:
        """
        A conversation has no two open turns.
        """
        with self.assertRaises(sqlite3.IntegrityError):
            self.database.execute(
                "INSERT INTO turn (conversation, state, began) VALUES (1, 'ready', 0)"
            )

    def test_unknown_state(self) -> None:
        """
        What is not the name of a state can't be one.
        """
        row = self.make(PartState.COMPOSED)
        with self.assertRaises(sqlite3.IntegrityError):
            self.database.execute(
                "UPDATE part SET state = 'lost' WHERE rowid = ?", (row,)
            )


class IndexTests(MemoryCase):
    """
    Tests for the indices.
    """

    async def test_no_long_search(self) -> None:
        """
        However much is kept, nothing that is asked of the store reads all of
        it.
        """
        statements: list[str] = []
        self.kept.set_trace_callback(statements.append)
        first, _ = await self.compose()
        await self.arrive(said())
        unsaid = echo("?", metadata=None)
        for event in (echo(metadata=first.metadata), unsaid):
            arrival = Arrival(
                bot=BOT,
                event=event,
                state=EventState.IGNORED,
                reason="echo",
                human=True,
            )
            await self.store.record([arrival], MOMENT)
        await self.store.change(first, first)
        await self.store.waiting(BOT, 0, 9)
        await self.store.claimed([Mid("m_1")], first.id)
        await self.arrive(said(psid=BOB))
        turn = (await self.begin(2)).turn
        notice = part(turn, kind=Kind.NOTICE)
        turn = (await self.store.park(turn, Tick(1.0, "boot"), "", 0)).turn or turn
        await self.store.apologize(turn, part(turn, kind=Kind.APOLOGY))
        await self.store.fail(turn, "refused", notice, MOMENT, 0)
        await self.store.take_over(2, 0)
        await self.store.lapse(await self.store.situation(2), "window")
        self.kept.set_trace_callback(None)
        searches = {
            (step, statement)
            for statement in statements
            if statement.startswith(("SELECT", "UPDATE"))
            for *_, step in self.kept.execute(f"EXPLAIN QUERY PLAN {statement}")
            # What is open is listed, or what is given, and no more.
            if step.startswith("SCAN")
            and step not in ("SCAN open", "SCAN CONSTANT ROW")
            and "VIRTUAL TABLE" not in step
        }
        self.assertEqual(searches, set())

    def test_no_tables_for_rows(self) -> None:
        """
        To write a row, SQLite makes no table of its own, which would take as long
        as the row.
        """
        for statement in (
            "INSERT INTO event (key, bot, page, kind, at, received, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            "UPDATE event SET state = ? WHERE id = ?",
            "INSERT INTO turn (conversation, state, began) VALUES (?, ?, ?)",
            "UPDATE turn SET state = ? WHERE id = ?",
            "INSERT INTO part (id, turn, conversation, kind, number, text, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            "UPDATE part SET state = ?, attempt = ?, mid = ? WHERE id = ?",
        ):
            given = (None,) * statement.count("?")
            program = self.kept.execute(f"EXPLAIN {statement}", given)
            opcodes = {opcode for _, opcode, *_ in program}
            self.assertLess({"Halt", "Program"}, opcodes)
            self.assertNotIn("OpenEphemeral", opcodes, statement)
