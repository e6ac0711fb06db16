"""
The tables, and how older ones become them.

``PRAGMA user_version`` counts the steps of ``MIGRATIONS`` that were taken;
``PRAGMA application_id`` tells our files from others'.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from enum import Enum
from functools import cache

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

# "mica"
APPLICATION_ID = 0x6D696361

#: Why a file that is not ours can't be the store.
ANOTHERS = "it is another program's database: name another file in `store:`"


def _is_one_of(column: str, values: Iterable[str]) -> str:
    # Not IN: of more than two values SQLite makes a table, and in the condition
    # of an index or a trigger a new one for each row, which takes as long as the
    # row.
    return "(" + " OR ".join(f"{column} = '{value}'" for value in values) + ")"


def _values(states: Iterable[Enum]) -> list[str]:
    return [str(state.value) for state in states]


# To be used as they stand or with of(): SQLite takes a partial index only for a
# query that repeats its condition.
OPEN_EVENT = _is_one_of("state", _values(OPEN_EVENTS))
OPEN_TURN = _is_one_of("state", _values(OPEN_TURNS))
OPEN_PART = _is_one_of("state", _values(OPEN_PARTS))
ENDED = _is_one_of("state", ("refused", "expired", "dead"))
GIVEN_UP = f"attempt > 0 AND mid IS NULL AND {ENDED}"
SPOKEN = _is_one_of("kind", ("message", "quick_reply", "postback", "echo"))


@cache
def of(table: str, condition: str) -> str:
    """
    Say of which table's rows one of the above is asked.
    """
    return re.sub(r"\b(attempt|kind|mid|state)\b", rf"{table}.\1", condition)


# Never edit a step that was on somebody's machine: add one.  What it finds there
# is in micamsgr/test/stores.
MIGRATIONS = (
    """
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY,
        bot TEXT NOT NULL,
        page TEXT NOT NULL,
        psid TEXT NOT NULL,
        opened INTEGER NOT NULL,      -- ms: the message that opened it
        heard INTEGER NOT NULL,       -- ms: the last act that opens the window
        quiet_until INTEGER NOT NULL DEFAULT 0,  -- ms: a human is at it
        UNIQUE (bot, page, psid)
    ) STRICT;

    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL,            -- 16 bytes; see conversation/events.py
        conversation INTEGER REFERENCES conversation,
        bot TEXT NOT NULL,
        page TEXT NOT NULL,
        kind TEXT NOT NULL,
        mid TEXT,
        at INTEGER NOT NULL,          -- ms, by Meta's clock
        received INTEGER NOT NULL,    -- ms
        text TEXT,
        raw BLOB,                     -- of unreadable ones
        state TEXT NOT NULL,
        reason TEXT,
        turn INTEGER REFERENCES turn,
        -- What one bot has no use for another may have to answer.
        UNIQUE (key, bot)
    ) STRICT;
    CREATE INDEX event_open ON event (conversation)
        WHERE state IN ('new', 'in_turn');

    CREATE TABLE turn (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversation,
        state TEXT NOT NULL,
        reason TEXT,
        began INTEGER NOT NULL,       -- ms: receipt of its oldest event
        tries INTEGER NOT NULL DEFAULT 0,
        rest REAL,                    -- seconds on the monotonic clock of boot
        boot TEXT,
        tokens INTEGER
    ) STRICT;
    -- One turn per conversation at a time.
    CREATE UNIQUE INDEX turn_open ON turn (conversation)
        WHERE state IN ('ready', 'generating', 'composed');

    CREATE TABLE part (
        id TEXT PRIMARY KEY,
        turn INTEGER NOT NULL REFERENCES turn,
        conversation INTEGER NOT NULL REFERENCES conversation,
        kind TEXT NOT NULL,
        number INTEGER NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        attempt INTEGER NOT NULL DEFAULT 0,
        absent INTEGER NOT NULL DEFAULT 0,
        first_wall INTEGER,           -- ms, by Meta's clock
        first_intended REAL,          -- this one, intended, looked and rest:
        intended REAL,                -- seconds on the monotonic clock of boot
        looked REAL,
        rest REAL,
        boot TEXT,
        resent INTEGER NOT NULL DEFAULT 0,
        withdrawn INTEGER NOT NULL DEFAULT 0,
        mid TEXT,
        echo TEXT,                    -- the mid of its first echo
        UNIQUE (turn, kind, number)
    ) STRICT;
    CREATE INDEX part_open ON part (conversation, turn)
        WHERE state IN ('composed', 'sending', 'unknown');
    CREATE INDEX part_mid ON part (mid) WHERE mid IS NOT NULL;

    CREATE TABLE utterance (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversation,
        role TEXT NOT NULL,
        at INTEGER NOT NULL,          -- ms
        text TEXT NOT NULL
    ) STRICT;
    CREATE INDEX utterance_of ON utterance (conversation);

    CREATE TABLE page (
        bot TEXT PRIMARY KEY,
        token TEXT NOT NULL,          -- a fingerprint of it
        page TEXT NOT NULL
    ) STRICT;
    """,
    """
    -- Where an event comes from: Meta delivered it (webhook), or it was read
    -- from the thread after an outage (backfill); or read and, under another
    -- ID, delivered later (both).
    ALTER TABLE event ADD COLUMN source TEXT NOT NULL DEFAULT 'webhook';

    -- What is set aside for the call of the LLM that is under way, and of
    -- which day's limits.
    ALTER TABLE turn ADD COLUMN reserved INTEGER;
    ALTER TABLE turn ADD COLUMN reserved_on INTEGER;

    -- What was used of the limits: by one person, or, where the conversation
    -- is 0, by all who write to the bot.
    CREATE TABLE spending (
        bot TEXT NOT NULL,
        conversation INTEGER NOT NULL,
        day INTEGER NOT NULL,         -- since the epoch, UTC
        turns INTEGER NOT NULL DEFAULT 0,
        tokens INTEGER NOT NULL DEFAULT 0,  -- what is reserved among them
        minute INTEGER NOT NULL DEFAULT 0,  -- since the epoch: the last one
        minute_turns INTEGER NOT NULL DEFAULT 0,  -- in that minute
        told_until INTEGER NOT NULL DEFAULT 0,  -- ms: the person knows so long
        PRIMARY KEY (bot, conversation, day)
    ) STRICT, WITHOUT ROWID;

    -- Whose words were erased, so that they are not read back from Meta.
    CREATE TABLE tombstone (
        person BLOB PRIMARY KEY,      -- 32 bytes: SHA-256 of bot, Page and PSID
        at INTEGER NOT NULL           -- ms: what is older stays erased
    ) STRICT, WITHOUT ROWID;

    -- How far each task that goes over the tables bit by bit has come.
    CREATE TABLE progress (
        task TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- ms: when the last of its events came; what nobody has seen for long has
    -- nothing left.
    ALTER TABLE conversation ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
    """,
    """
    -- What was said in one conversation, by time: to compare it with the thread.
    -- It is partial also so that no query takes it that has a better one.
    CREATE INDEX event_spoken ON event (conversation, at)
        WHERE kind IN ('message', 'quick_reply', 'postback', 'echo');
    """,
    """
    -- Who asked through Facebook to be erased; see conversation/deletion.py.
    CREATE TABLE deletion (
        id INTEGER PRIMARY KEY,
        code TEXT NOT NULL UNIQUE,    -- by which the person knows the request
        bots TEXT NOT NULL,           -- JSON: the names of the app's
        at INTEGER NOT NULL,          -- ms
        psid TEXT,                    -- who is to be erased, until it is done
        done INTEGER                  -- ms
    ) STRICT;
    CREATE INDEX deletion_open ON deletion (id) WHERE psid IS NOT NULL;
    """,
    """
    -- The notice after which the thread is to be passed on, until it is.
    ALTER TABLE conversation ADD COLUMN farewell TEXT;
    CREATE INDEX conversation_farewell ON conversation (id)
        WHERE farewell IS NOT NULL;
    """,
    """
    -- What came before step 3 was there was seen, too.
    UPDATE conversation SET seen = last.at FROM (
        SELECT conversation AS id, max(received) AS at FROM event
        WHERE conversation IN (SELECT id FROM conversation WHERE seen = 0) GROUP BY 1
    ) AS last WHERE last.id = conversation.id;
    """,
    """
    -- The oldest of its events, by which the log names all that becomes of them.
    ALTER TABLE turn ADD COLUMN first INTEGER;
    CREATE INDEX part_given_up ON part (conversation)
        WHERE attempt > 0 AND mid IS NULL AND state IN ('refused', 'expired', 'dead');
    """,
    f"""
    -- The same rows, by conditions that take less to see of each that is written.
    DROP INDEX event_open;
    DROP INDEX turn_open;
    DROP INDEX part_open;
    DROP INDEX event_spoken;
    DROP INDEX part_given_up;
    CREATE INDEX event_open ON event (conversation) WHERE {OPEN_EVENT};
    CREATE UNIQUE INDEX turn_open ON turn (conversation) WHERE {OPEN_TURN};
    CREATE INDEX part_open ON part (conversation, turn) WHERE {OPEN_PART};
    CREATE INDEX event_spoken ON event (conversation, at) WHERE {SPOKEN};
    CREATE INDEX part_given_up ON part (conversation) WHERE {GIVEN_UP};
    """,
)


def version_of(database: sqlite3.Connection, migrations: tuple[str, ...]) -> int:
    """
    Count the steps that were taken.

    :raises ValueError: where the file is of a newer version, or not ours.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise ValueError(ANOTHERS)
    if version > len(migrations):
        raise ValueError(
            f"its schema version is {version}, and this program knows only"
            f" {len(migrations)}: a newer one has used it; install that one, or"
            " restore a copy that was made before the upgrade"
        )
    return int(version)


def migrate(database: sqlite3.Connection, migrations: tuple[str, ...]) -> None:
    """
    Bring the tables to the newest version, in one transaction.

    :raises ValueError: where the file is of a newer version, or not ours.
    :raises sqlite3.Error: where that can't be done; then the file is as it was.
    """
    version = version_of(database, migrations)
    if version == len(migrations):
        return
    steps = "".join(migrations[version:])
    try:
        database.executescript(
            f"BEGIN IMMEDIATE; {steps} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {len(migrations)}; COMMIT"
        )
    except BaseException as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        if version and isinstance(error, sqlite3.Error):
            # Its beginning tells what is wrong with the disk: see trouble.py.
            raise type(error)(
                f"{error}; it stays as it was, of version {version}"
            ) from error
        raise


def check_tables(database: sqlite3.Connection) -> None:
    """
    See whether the tables are those that this program makes.

    :raises ValueError: where they aren't.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, MIGRATIONS)
        wanted = _shape(fresh)
    there = _shape(database)
    wrong = sorted(
        {name for name, _ in wanted - there} | {n for n, _ in there - wanted}
    )
    if wrong:
        raise ValueError(
            f"its tables are not this program's ({', '.join(wrong)}): restore a copy,"
            " or name another file in `store:`"
        )


def _shape(database: sqlite3.Connection) -> set[tuple[str, tuple[str, ...]]]:
    """
    Name tables and indexes, each with its columns.
    """
    names = database.execute(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'index')"
        " AND name NOT LIKE 'sqlite_stat%'"
    ).fetchall()
    shape = set()
    for name, kind in names:
        pragma, column = ("index_info", 2) if kind == "index" else ("table_info", 1)
        columns = database.execute(f"PRAGMA {pragma}({name})").fetchall()
        shape.add((name, tuple(str(row[column]) for row in columns)))
    return shape


def guard_states(database: sqlite3.Connection) -> None:
    """
    Refuse, on this connection, every change of state that is not legal.

    The triggers are temporary, so that they are always this program's.
    """
    tables: tuple[tuple[str, type[Enum]], ...] = (
        ("event", EventState),
        ("turn", TurnState),
        ("part", PartState),
    )
    for table, states in tables:
        first = _is_one_of("NEW.state", sorted(_values(FIRST[states])))
        steps = " ".join(
            f"WHEN '{state.value}' THEN {_is_one_of('NEW.state', sorted(after))}"
            for state in states
            if (after := _values({*NEXT.get(state, ()), *BY_OPERATOR.get(state, ())}))
        )
        database.executescript(
            f"""
            CREATE TEMP TRIGGER {table}_begins BEFORE INSERT ON main.{table}
            WHEN NOT {first}
            BEGIN SELECT RAISE(ABORT, 'not a state in which a {table} begins'); END;
            CREATE TEMP TRIGGER {table}_goes_on BEFORE UPDATE OF state ON main.{table}
            WHEN NEW.state <> OLD.state AND NOT CASE OLD.state {steps} ELSE 0 END
            BEGIN SELECT RAISE(ABORT, 'not a legal change of a {table}''s state'); END;
            """
        )
