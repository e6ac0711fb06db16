"""
One conversation, as an operator looks at it and takes part in it.  Nothing here
begins or ends a transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.parts import Kind
from micamsgr.conversation.planner import WINDOW
from micamsgr.errors import Declined

from .arrivals import set_quiet, silence
from .queue import LEFT, OPERATOR, UNDELIVERED
from .rows import insert_part, utter
from .schema import OPEN_EVENT, OPEN_PART, OPEN_TURN, SPOKEN

#: Quiet for good: milliseconds, the end of the year 9999.
FOREVER = 253_402_300_799_000


@frozen(kw_only=True)
class Whose:
    """
    With whom a conversation is; where it is clear so, bot and Page need not be
    named.
    """

    psid: str
    bot: str | None = None
    page: str | None = None


def find(database: sqlite3.Connection, whose: Whose) -> dict[str, Any]:
    """
    Find the one conversation with a person.

    :return: its row.

    :raises Declined: where there is none, or there are several.
    """
    cursor = database.cursor()
    cursor.row_factory = sqlite3.Row
    rows = cursor.execute(
        "SELECT id, bot, page, psid, opened, heard, quiet_until FROM conversation"
        " WHERE psid = :psid AND bot = coalesce(:bot, bot)"
        " AND page = coalesce(:page, page) ORDER BY id",
        {"psid": whose.psid, "bot": whose.bot, "page": whose.page},
    ).fetchall()
    if not rows:
        raise Declined("nobody of that ID is known here; look at --bot and --page")
    if len(rows) > 1:
        known = ", ".join(f"--bot {row['bot']} --page {row['page']}" for row in rows)
        raise Declined(f"there are several conversations; name one: {known}")
    return dict(rows[0])


def show(database: sqlite3.Connection, whose: Whose, most: int) -> dict[str, Any]:
    """
    Show what was said, oldest first, and what is open.

    :param most: of the utterances.

    :return: the conversation's row, with ``history``, ``unanswered``,
        ``unsent`` and ``undelivered``; of the history, what of it was never
        delivered is there, too, but for an operator's words that were in vain.

    :raises Declined: see :func:`find`.
    """
    found = find(database, whose)
    past = database.execute(
        "SELECT role, at, text FROM utterance WHERE conversation = ?"
        " ORDER BY id DESC LIMIT ?",
        (found["id"], most),
    ).fetchall()
    waiting = database.execute(
        f"SELECT id, at, text FROM event WHERE conversation = ? AND {OPEN_EVENT}"
        " ORDER BY at, id LIMIT ?",
        (found["id"], most),
    ).fetchall()
    parts = database.execute(
        f"SELECT id, kind, state, text FROM part WHERE conversation = ? AND {OPEN_PART}"
        " ORDER BY turn, number",
        (found["id"],),
    ).fetchall()
    undelivered = database.execute(
        "SELECT id, kind, state, reason, text FROM part WHERE conversation = ?"
        f" AND {UNDELIVERED} ORDER BY part.rowid DESC LIMIT ?",
        (found["id"], most),
    ).fetchall()
    return {
        **found,
        "history": [
            {"role": role, "at": at, "text": text} for role, at, text in reversed(past)
        ],
        "unanswered": [
            {"id": f"e{id}", "at": at, "text": text} for id, at, text in waiting
        ],
        "unsent": [
            {"id": id, "kind": kind, "state": state, "text": text}
            for id, kind, state, text in parts
        ],
        "undelivered": [
            {"id": id, "kind": kind, "state": state, "reason": reason, "text": text}
            for id, kind, state, reason, text in reversed(undelivered)
        ],
    }


def pause(database: sqlite3.Connection, whose: Whose, until: int) -> dict[str, Any]:
    """
    Let the bot be quiet, as if a human answered, and no longer than wished.

    :param until: milliseconds, by Meta's clock.

    :return: the conversation's row, as it was.

    :raises Declined: see :func:`find`.
    """
    found = find(database, whose)
    silence(database, found["id"], until)
    set_quiet(database, found["id"], until)
    return found


def resume(database: sqlite3.Connection, whose: Whose) -> dict[str, Any]:
    """
    Let the bot be awake.

    :return: the conversation's row, as it was.

    :raises Declined: see :func:`find`.
    """
    found = find(database, whose)
    set_quiet(database, found["id"], 0)
    return found


def speak(
    database: sqlite3.Connection,
    whose: Whose,
    texts: Sequence[str],
    now: Moment,
    quiet: Callable[[str], float],
    entropy: Callable[[int], bytes],
) -> tuple[dict[str, Any], list[str]]:
    """
    Say something as the Page, in so many parts, in place of the bot, which is
    quiet then as after any human's words.

    :param texts: at least one.
    :param quiet: gives for how many seconds a bot is to be quiet; may raise
        :exc:`~micamsgr.errors.Declined`.

    :return: the conversation's row, as it was, with ``quiet``, until when the
        bot is now, ``unanswered``, the numbers of the messages that it leaves to
        the operator, ``newest``, the last event before, and ``utterance``, by
        what the words are known in the history; and the IDs of the parts.

    :raises Declined: where Meta's window is closed; see also :func:`find`.
    """
    found = find(database, whose)
    id, until = found["id"], now.wall + int(quiet(found["bot"]) * 1000)
    if now.sure and now.wall - found["heard"] > WINDOW:
        raise Declined(
            "Meta's 24-hour window is closed: nothing may be sent until the person"
            " writes again"
        )
    unanswered = database.execute(
        f"SELECT id FROM event WHERE conversation = ? AND {OPEN_EVENT}", (id,)
    ).fetchall()
    (newest,) = database.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
    silence(database, id, until)
    turn = _turn(database, id, now)
    (last,) = database.execute(
        "SELECT coalesce(max(number), 0) FROM part WHERE turn = ?", (turn,)
    ).fetchone()
    parts = [
        lifecycle.compose(turn, Kind.OPERATOR, number, text, now, entropy(10))
        for number, text in enumerate(texts, last + 1)
    ]
    for part in parts:
        insert_part(database, id, part)
    spoken = {
        **found,
        "quiet": max(until, found["quiet_until"]),
        "unanswered": frozenset(event for (event,) in unanswered),
        "newest": newest,
        "utterance": utter(database, id, "human", now.wall, "\n\n".join(texts)),
    }
    return spoken, [part.id for part in parts]


def take_back(database: sqlite3.Connection, spoken: Mapping[str, Any]) -> list[str]:
    """
    Take an operator's words out of the history, since nothing of them was
    delivered, and let the bot be as awake as before, unless somebody else has
    spoken since.

    :param spoken: see :func:`speak`.

    :return: the IDs of the messages that were left to the operator, and that
        nobody answers now; with those that came meanwhile.
    """
    # An ID may be another's, if the words were erased meanwhile.
    database.execute(
        "DELETE FROM utterance WHERE id = :utterance AND conversation = :id"
        " AND role = 'human'",
        {name: spoken[name] for name in ("id", "utterance")},
    )
    awake = database.execute(
        "UPDATE conversation SET quiet_until = :quiet_until"
        " WHERE id = :id AND quiet_until = :quiet AND NOT EXISTS (SELECT 1 FROM event"
        " WHERE conversation = :id AND id > :newest AND kind NOT IN"
        " ('message', 'quick_reply', 'postback'))",
        {name: spoken[name] for name in ("id", "quiet", "quiet_until", "newest")},
    ).rowcount
    left = database.execute(
        "SELECT id, received FROM event WHERE conversation = ?"
        f" AND {SPOKEN} AND {LEFT} ORDER BY at, id",
        (spoken["id"],),
    ).fetchall()
    return [
        f"e{event}"
        for event, received in left
        if event in spoken["unanswered"]
        or (awake and event > spoken["newest"] and received >= spoken["quiet_until"])
    ]


def _turn(database: sqlite3.Connection, conversation: int, now: Moment) -> int:
    """
    Find the turn to which an operator's words belong, or make one.
    """
    # What is still open has an answer in doubt: this is said after it.
    row = database.execute(
        f"SELECT id FROM turn WHERE conversation = ? AND {OPEN_TURN}", (conversation,)
    ).fetchone()
    if row is None:
        row = database.execute(
            "INSERT INTO turn (conversation, state, began) VALUES (?, 'ready', ?)"
            " RETURNING id",
            (conversation, now.wall),
        ).fetchone()
        database.execute(
            "UPDATE turn SET state = 'expired', reason = ? WHERE id = ?",
            (OPERATOR, *row),
        )
    return int(row[0])


def become_of(
    database: sqlite3.Connection, parts: Sequence[str]
) -> list[dict[str, Any]]:
    """
    Tell what has become of parts: ``id``, ``state`` and ``reason``.
    """
    marks = ", ".join("?" * len(parts))
    rows = database.execute(
        f"SELECT id, state, reason FROM part WHERE id IN ({marks}) ORDER BY number",
        tuple(parts),
    ).fetchall()
    return [{"id": id, "state": state, "reason": why} for id, state, why in rows]
