"""
Which change of state is legal, as the design has it: written down once more,
so that a table of the daemon's that is wrong is found out, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

_FIRST = {
    "event": ("new", "ignored", "dead"),
    "turn": ("ready",),
    "part": ("composed",),
}
_LEGAL = {
    "event": {
        "new": ("in_turn", "ignored", "dead"),
        "in_turn": ("done", "new", "ignored", "dead"),
    },
    "turn": {
        "ready": ("generating", "failed", "expired"),
        "generating": ("ready", "composed", "failed", "expired"),
        "composed": ("closed",),
    },
    "part": {
        "composed": ("sending", "expired"),
        "sending": ("sent", "composed", "unknown", "refused"),
        "unknown": ("sent", "composed", "dead"),
    },
}


def watch(database: sqlite3.Connection) -> None:
    """
    Note from now on each change of a state that is not legal.
    """
    database.execute("CREATE TEMP TABLE illegal (change TEXT NOT NULL)")
    for table, legal in _LEGAL.items():
        begins = ", ".join(map(repr, _FIRST[table]))
        goes_on = ", ".join(
            repr(f"{state}>{after}") for state, then in legal.items() for after in then
        )
        database.executescript(
            f"""
            CREATE TEMP TRIGGER {table}_began AFTER INSERT ON main.{table}
            WHEN NEW.state NOT IN ({begins})
            BEGIN INSERT INTO illegal
            VALUES ('{table} ' || NEW.id || ': begins as ' || NEW.state); END;
            CREATE TEMP TRIGGER {table}_went_on AFTER UPDATE OF state ON main.{table}
            WHEN NEW.state <> OLD.state
            AND OLD.state || '>' || NEW.state NOT IN ({goes_on})
            BEGIN INSERT INTO illegal
            VALUES ('{table} ' || NEW.id || ': ' || OLD.state || ' > ' || NEW.state);
            END;
            """
        )


def illegal(database: sqlite3.Connection) -> Iterator[str]:
    """
    Name the changes that were not legal.
    """
    for (change,) in database.execute("SELECT change FROM temp.illegal"):
        yield f"not a legal change: {change}"
