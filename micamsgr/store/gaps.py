"""
When something may have been missed, and what is known to compare a thread
with.
"""

from __future__ import annotations

import sqlite3

from micamsgr.conversation.events import BotName, Mid, PageId, Psid, Said
from micamsgr.conversation.missed import NEAR, Gap, Heard, Recollection, bare
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.parts import same_words
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import EventState

from .erasure import erased_until
from .schema import SPOKEN, of

# Among so many of the latest events a bot's last one is looked for.
_LATEST = 20_000

# Later than any time, in milliseconds.
_NEVER = 2**62

#: Says of an event that it was read from a thread, and that nobody could tell
#: whether it was to be answered.
UNDECIDED = (
    "event.source = 'backfill' AND event.state = 'dead'"
    " AND event.reason LIKE 'backfill:%'"
)

# The tasks in the table of progress; each with the bot's name behind it.
# When something may have been missed, and since when we look at all: ms.
_GAP, _FLOOR = "gap:", "floor:"
# When Meta was last found to tell of all that the bot needs, and since then
# not to: ms.
_TOLD, _LACKED = "told:", "lacked:"
# That IDs in threads are those of webhooks.
_IDS = "ids:"


def interrupted(
    database: sqlite3.Connection,
    bot: BotName,
    now: Moment,
    since: int | None = None,
    floor: int | None = None,
    before: int | None = None,
) -> Gap:
    """
    See :meth:`~micamsgr.conversation.interfaces.IStore.interrupted`.
    """
    page: PageId | None = None
    first = False
    if since is None:
        last = _last(database, bot, before)
        if last is not None:
            since, page = min(last[0], now.wall), PageId(last[1])
    known = _read(database, _FLOOR + bot)
    if floor is not None:
        # Also what was kept before this floor was known.
        _write(database, _FLOOR + bot, floor)
        _write(database, _GAP + bot, floor)
        return Gap(since=floor, floor=floor)
    if since is None:
        if known is None:
            first, known = True, now.wall
            _write(database, _FLOOR + bot, known)
        since = known
    pending = _read(database, _GAP + bot)
    if pending is None or since < pending:
        _write(database, _GAP + bot, since)
    else:
        since = pending
    return Gap(since=since, floor=known or 0, page=page, first=first)


def repaired(database: sqlite3.Connection, bot: BotName, gap: Gap) -> None:
    """
    See :meth:`~micamsgr.conversation.interfaces.IStore.repaired`.
    """
    database.execute(
        "DELETE FROM progress WHERE task = ? AND value >= ?", (_GAP + bot, gap.since)
    )


def lacked(database: sqlite3.Connection, bot: BotName, now: Moment) -> None:
    """
    See :meth:`~micamsgr.conversation.interfaces.IStore.lacked`.
    """
    _write(database, _LACKED + bot, now.wall)


def told(
    database: sqlite3.Connection, bot: BotName, now: Moment, at: int | None
) -> Gap | None:
    """
    See :meth:`~micamsgr.conversation.interfaces.IStore.told`.
    """
    gap = None
    pending = _read(database, _GAP + bot)
    if pending is not None:
        gap = interrupted(database, bot, now, pending)
    if _read(database, _LACKED + bot) is not None:
        gap = interrupted(database, bot, now, _read(database, _TOLD + bot))
        database.execute("DELETE FROM progress WHERE task = ?", (_LACKED + bot,))
    if at is not None:
        _write(database, _TOLD + bot, at)
    return gap


def ids_agree(database: sqlite3.Connection, bot: BotName) -> bool:
    """
    See :meth:`~micamsgr.conversation.interfaces.IStore.ids_agree`.
    """
    return _read(database, _IDS + bot) is not None


def note_ids_agree(database: sqlite3.Connection, bot: BotName) -> None:
    """
    See :meth:`~micamsgr.conversation.interfaces.IStore.note_ids_agree`.
    """
    _write(database, _IDS + bot, 1)


def recollect(
    database: sqlite3.Connection, bot: BotName, page: PageId, psid: Psid, since: int
) -> Recollection:
    """
    See :meth:`~micamsgr.conversation.interfaces.IStore.recollect`.
    """
    erased = erased_until(database, bot, page, psid) or 0
    row = database.execute(
        "SELECT id, quiet_until FROM conversation"
        " WHERE bot = ? AND page = ? AND psid = ?",
        (bot, page, psid),
    ).fetchone()
    if row is None:
        return Recollection(erased=erased)
    conversation, quiet_until = row
    events = database.execute(
        "SELECT kind, mid, at, text, source FROM event"
        f" WHERE conversation = ? AND {SPOKEN} AND at >= ?",
        (conversation, since),
    ).fetchall()
    parts = database.execute(
        "SELECT text, mid, echo FROM part WHERE turn IN (SELECT turn FROM event"
        f" WHERE conversation = ? AND {SPOKEN} AND at >= ? AND turn IS NOT NULL)",
        (conversation, since),
    ).fetchall()
    human = database.execute(
        "SELECT at, text FROM utterance"
        " WHERE conversation = ? AND role = 'human' AND at >= ?",
        (conversation, since),
    ).fetchall()
    ours = {Mid(mid) for _, *mids in parts for mid in mids if mid is not None}
    echoes = {Mid(mid) for kind, mid, *_ in events if kind == "echo"}
    delivered = {Mid(it[1]) for it in events if it[1] and it[4] != "backfill"}
    return Recollection(
        heard=tuple(
            Heard(mid, at, text)
            for kind, mid, at, text, _ in events
            if kind in ("message", "quick_reply", "postback")
        ),
        ours=frozenset(ours),
        our_words=tuple(text for text, _, _ in parts),
        theirs=frozenset(echoes - ours),
        their_words=tuple(Heard(None, at, text) for at, text in human),
        delivered=frozenset(delivered | ours),
        quiet_until=quiet_until,
        erased=erased,
    )


def known_from_thread(database: sqlite3.Connection, arrival: Arrival) -> bool:
    """
    Say whether what is delivered was read from its thread before, where its
    key does not tell.

    What is found so gets the delivered event's key: it is known by it from now
    on, and stands for no other.
    """
    event = arrival.event
    if arrival.backfilled or not isinstance(event, Said):
        return False
    rows = database.execute(
        f"SELECT event.id, event.mid, event.text, {UNDECIDED} FROM event"
        " JOIN conversation ON conversation.id = event.conversation"
        " WHERE conversation.bot = ? AND conversation.page = ?"
        " AND conversation.psid = ? AND event.at BETWEEN ? AND ?"
        f" AND {of('event', SPOKEN)} AND event.source = 'backfill'"
        " ORDER BY abs(event.at - ?)",
        (
            arrival.bot,
            event.page,
            event.psid,
            event.at - NEAR,
            event.at + NEAR,
            event.at,
        ),
    ).fetchall()
    for id, mid, text, undecided in rows:
        if mid and event.mid and bare(mid) == bare(event.mid):
            return not (undecided and gives_way(database, id, arrival))
        if not _same(text, event.text):
            continue
        if event.mid is not None and ids_agree(database, arrival.bot):
            # Another ID is another message.
            continue
        if undecided and gives_way(database, id, arrival):
            return False
        database.execute(
            "UPDATE event SET key = ?, mid = ?, source = 'both' WHERE id = ?",
            (event.key, event.mid or mid, id),
        )
        return True
    return False


def gives_way(database: sqlite3.Connection, event: int, arrival: Arrival) -> bool:
    """
    Take out what was read from a thread and left to the operator, where Meta
    delivers it after all: then it is answered like any other.
    """
    if arrival.backfilled or arrival.state is not EventState.NEW:
        return False
    database.execute("DELETE FROM event WHERE id = ?", (event,))
    return True


def _same(read: str | None, delivered: str) -> bool:
    # What came with a message stands on a line of its own, in brackets.
    words, _, _ = delivered.partition("\n[")
    return read is not None and (same_words(read, delivered) or same_words(read, words))


def _last(
    database: sqlite3.Connection, bot: BotName, before: int | None
) -> tuple[int, str] | None:
    """
    Find a bot's last event: when it was, and of which Page.
    """
    before = _NEVER if before is None else before
    row: tuple[int, str] | None = database.execute(
        "SELECT min(at, received), page FROM (SELECT id, bot, page, at, received,"
        " conversation FROM event ORDER BY id DESC LIMIT ?)"
        " WHERE bot = ? AND conversation IS NOT NULL AND received < ?"
        " ORDER BY id DESC LIMIT 1",
        (_LATEST, bot, before),
    ).fetchone()
    if row is None:
        row = database.execute(
            "SELECT heard, page FROM conversation WHERE bot = ? AND heard > 0"
            " AND seen < ? ORDER BY heard DESC LIMIT 1",
            (bot, before),
        ).fetchone()
    return row


def _read(database: sqlite3.Connection, task: str) -> int | None:
    row = database.execute(
        "SELECT value FROM progress WHERE task = ?", (task,)
    ).fetchone()
    return None if row is None else int(row[0])


def _write(database: sqlite3.Connection, task: str, value: int) -> None:
    database.execute(
        "INSERT INTO progress (task, value) VALUES (?, ?)"
        " ON CONFLICT (task) DO UPDATE SET value = excluded.value",
        (task, value),
    )
