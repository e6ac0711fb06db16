"""
What Meta delivered, on its way into the tables: each event once, the echoes
against the parts that they are of, a human's words against the bot's plans.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from attrs import define, evolve, field

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.echoes import whose
from micamsgr.conversation.events import (
    BotName,
    Echo,
    Event,
    Other,
    Said,
    Unreadable,
)
from micamsgr.conversation.interfaces import Recorded
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.parts import Part
from micamsgr.conversation.planner import Situation
from micamsgr.conversation.reception import (
    Arrival,
    heard,
    person,
    quiet_until,
    received,
)
from micamsgr.conversation.states import EventState, PartState

from .erasure import ERASED, erased_until
from .gaps import UNDECIDED, gives_way, known_from_thread
from .plain import Kept, keep_plain
from .rows import (
    PART,
    close_turn,
    place_conversations,
    read_part,
    replace_part,
    trace,
    utter,
)
from .schema import GIVEN_UP, OPEN_EVENT, OPEN_PART, OPEN_TURN


@define
class _Tally:
    known: set[bytes] = field(factory=set)
    silenced: set[bytes] = field(factory=set)
    erased: set[bytes] = field(factory=set)
    wake: dict[int, BotName] = field(factory=dict)
    takeovers: dict[int, BotName] = field(factory=dict)
    doubled: list[tuple[BotName, str, str]] = field(factory=list)
    traces: dict[tuple[BotName, bytes], str] = field(factory=dict)
    situations: dict[int, Situation] = field(factory=dict)

    def note(self, situation: Situation | None) -> None:
        if situation is not None:
            self.situations[situation.id] = situation


def record(
    database: sqlite3.Connection, arrivals: Sequence[Arrival], now: Moment
) -> Recorded:
    """
    Keep events; see :meth:`~micamsgr.conversation.interfaces.IStore.record`.
    """
    (recorded,) = record_all(database, [(arrivals, now)])
    return recorded


def record_all(
    database: sqlite3.Connection, deliveries: Sequence[tuple[Sequence[Arrival], Moment]]
) -> list[Recorded]:
    """
    Keep the events of several deliveries, as if one after the other.
    """
    plain = keep_plain(database, deliveries)
    return [_record(database, *delivery, plain) for delivery in deliveries]


def _record(
    database: sqlite3.Connection,
    arrivals: Sequence[Arrival],
    now: Moment,
    plain: Mapping[tuple[BotName, bytes], Kept],
) -> Recorded:
    tally = _Tally()
    for arrival in arrivals:
        name = arrival.bot, arrival.event.key
        kept = plain.get(name)
        if kept is not None:
            tally.wake[kept.conversation] = arrival.bot
            tally.traces[name] = kept.trace
            tally.note(kept.situation)
        elif _known(database, arrival) or known_from_thread(database, arrival):
            if name not in tally.traces:
                tally.known.add(arrival.event.key)
        else:
            _take(database, arrival, now, tally)
    return Recorded(
        known=frozenset(tally.known),
        silenced=frozenset(tally.silenced),
        erased=frozenset(tally.erased),
        wake=tuple((bot, conversation) for conversation, bot in tally.wake.items()),
        takeovers=tuple(
            (bot, conversation) for conversation, bot in tally.takeovers.items()
        ),
        doubled=tuple(tally.doubled),
        traces=tally.traces,
        situations=tally.situations,
    )


def _known(database: sqlite3.Connection, arrival: Arrival) -> bool:
    row = database.execute(
        f"SELECT id, {UNDECIDED} FROM event WHERE key = ? AND bot = ?",
        (arrival.event.key, arrival.bot),
    ).fetchone()
    if row is None:
        return False
    id, undecided = row
    return not (undecided and gives_way(database, id, arrival))


def _take(
    database: sqlite3.Connection, arrival: Arrival, now: Moment, tally: _Tally
) -> None:
    event = arrival.event
    if _is_erased(database, arrival):
        arrival = evolve(arrival, state=EventState.IGNORED, reason=ERASED, human=False)
        tally.erased.add(event.key)
    if arrival.reason in ("other page", ERASED):
        conversation, quiet = None, False
    else:
        conversation, quiet = _conversation(database, arrival, now)
    if isinstance(event, Said) and arrival.state is EventState.NEW and quiet:
        arrival = evolve(arrival, state=EventState.IGNORED, reason="human")
        tally.silenced.add(event.key)
    id = _insert(database, arrival, conversation, now)
    tally.traces[arrival.bot, event.key] = trace(id)
    if conversation is None:
        return
    if arrival.state is EventState.NEW:
        tally.wake[conversation] = arrival.bot
        tally.traces[arrival.bot, event.key] = _turn_to_be(database, conversation)
    elif isinstance(event, Said) and arrival.reason in ("human", "standby"):
        utter(database, conversation, "person", event.at, event.text)
    elif isinstance(event, Echo) and arrival.reason == "echo":
        _echo(database, arrival, event, conversation, now, tally)
    elif arrival.human:
        _hand_over(database, arrival, conversation, now, tally)


def _is_erased(database: sqlite3.Connection, arrival: Arrival) -> bool:
    """
    Say whether an event is of the time before its person was forgotten.
    """
    whose = person(arrival.event)
    if whose is None:
        return False
    until = erased_until(database, arrival.bot, *whose)
    return until is not None and arrival.event.at <= until


def _conversation(
    database: sqlite3.Connection, arrival: Arrival, now: Moment
) -> tuple[int | None, bool]:
    """
    Find or make the event's conversation, and note what opens the window.

    :return: its ID, if the event has one, and whether the bot is quiet in it.
    """
    whose = person(arrival.event)
    if whose is None:
        return None, False
    place_conversations(
        database, [(arrival.bot, *whose, heard(arrival, now), now.wall)]
    )
    conversation, quiet_until = database.execute(
        "SELECT id, quiet_until FROM conversation"
        " WHERE bot = ? AND page = ? AND psid = ?",
        (arrival.bot, *whose),
    ).fetchone()
    # Just after a start nobody knows what time it is for Meta; what was said
    # before the quiet ends is the human's all the same.
    wall = now.wall if now.sure else arrival.event.at
    return conversation, quiet_until > wall


def _insert(
    database: sqlite3.Connection,
    arrival: Arrival,
    conversation: int | None,
    now: Moment,
) -> int | None:
    """
    Keep an event.

    :return: its ID.
    """
    event = arrival.event
    whose, named = conversation is not None, arrival.reason != ERASED
    # An echo's text is compared, and not kept; nor are words of which nobody
    # could tell later whose they are.
    return database.execute(
        "INSERT INTO event (key, conversation, bot, page, kind, mid, at, received,"
        " text, raw, state, reason, source)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.key,
            conversation,
            arrival.bot,
            event.page,
            _kind(event),
            event.mid if named and isinstance(event, (Said, Echo)) else None,
            event.at,
            received(event, now),
            event.text if whose and isinstance(event, Said) else None,
            event.raw if isinstance(event, Unreadable) else None,
            arrival.state.value,
            arrival.reason,
            "backfill" if arrival.backfilled else "webhook",
        ),
    ).lastrowid


def _turn_to_be(database: sqlite3.Connection, conversation: int) -> str:
    """
    Say by what the log will name the turn over all the events that wait.
    """
    (first,) = database.execute(
        f"SELECT min(id) FROM event WHERE conversation = ? AND {OPEN_EVENT}"
        " AND state = 'new'",
        (conversation,),
    ).fetchone()
    return trace(first)


def _kind(event: Event) -> str:
    if isinstance(event, (Said, Other)):
        return event.kind
    return "echo" if isinstance(event, Echo) else "unreadable"


def _echo(
    database: sqlite3.Connection,
    arrival: Arrival,
    echo: Echo,
    conversation: int,
    now: Moment,
    tally: _Tally,
) -> None:
    part = _part_of(database, echo, conversation, now)
    if part is not None:
        _settle(database, part, echo, arrival.bot, tally)
        tally.traces[arrival.bot, echo.key] = part.trace
        tally.wake[conversation] = arrival.bot
    elif not _ours(database, echo):
        _hand_over(database, arrival, conversation, now, tally)


def _hand_over(
    database: sqlite3.Connection,
    arrival: Arrival,
    conversation: int,
    now: Moment,
    tally: _Tally,
) -> None:
    """
    Let the bot be quiet, or awake again.
    """
    (opened,) = database.execute(
        "SELECT opened FROM conversation WHERE id = ?", (conversation,)
    ).fetchone()
    until = quiet_until(arrival, opened, now)
    if until is None:
        return
    if until:
        tally.takeovers[conversation] = arrival.bot
        silence(database, conversation, until)
        if isinstance(arrival.event, Echo) and arrival.event.text:
            utter(database, conversation, "human", arrival.event.at, arrival.event.text)
    else:
        set_quiet(database, conversation, until)


def set_quiet(database: sqlite3.Connection, conversation: int, until: int) -> None:
    """
    Set until when the bot is quiet; 0: it is awake.
    """
    database.execute(
        "UPDATE conversation SET quiet_until = ? WHERE id = ?", (until, conversation)
    )


def _part_of(
    database: sqlite3.Connection, echo: Echo, conversation: int, now: Moment
) -> Part | None:
    """
    Find the part that an echo is of: by what we gave the Send API, else by
    its ID, else by the words of a part whose fate is open, or, if the echo does
    not even name an app, was given up.
    """
    named = lifecycle.part_named(echo.metadata)
    for condition, value in (("id = ?", named), ("mid = ?", echo.mid)):
        row = database.execute(
            f"SELECT {PART} FROM part WHERE {condition} AND conversation = ?",
            (value, conversation),
        ).fetchone()
        if row is not None:
            return read_part(row)
    rows = database.execute(
        f"SELECT {PART} FROM part WHERE conversation = ? AND {OPEN_PART}"
        " AND state <> 'composed' ORDER BY turn, number",
        (conversation,),
    ).fetchall()
    if named is None and echo.app_id is None:
        rows += database.execute(
            f"SELECT {PART} FROM part WHERE conversation = ? AND {GIVEN_UP}"
            " AND echo IS NULL ORDER BY turn, number",
            (conversation,),
        ).fetchall()
    return whose(map(read_part, rows), echo.text, echo.at, now)


def _ours(database: sqlite3.Connection, echo: Echo) -> bool:
    """
    Say whether an echo is of a part that belonged to somebody who was
    forgotten, and has begun anew.
    """
    named = lifecycle.part_named(echo.metadata)
    row = database.execute(
        "SELECT 1 FROM part WHERE id = ? AND reason = ?", (named, ERASED)
    ).fetchone()
    return row is not None


def _settle(
    database: sqlite3.Connection, part: Part, echo: Echo, bot: BotName, tally: _Tally
) -> None:
    if part.echo is not None and part.echo != echo.mid:
        tally.doubled.append((bot, part.id, part.trace))
        return
    before = part
    if part.state is PartState.COMPOSED:
        # It was sent after all; by way of the state in which parts are sent.
        before = evolve(part, state=PartState.SENDING)
        replace_part(database, part, before)
    after = lifecycle.after_echo(before, echo.mid)
    if after != before and replace_part(database, before, after):
        close_turn(database, after)


def silence(database: sqlite3.Connection, conversation: int, until: int) -> None:
    """
    Let the bot be quiet, and take back what it was about to say, since a
    human answers.  What an operator says stays.  What a human said earlier, and
    is told of later, makes the quiet no shorter.

    :param until: milliseconds, by Meta's clock; where it is to be quiet for
        longer already, it stays so.
    """
    database.execute(
        "UPDATE conversation SET quiet_until = max(quiet_until, ?) WHERE id = ?",
        (until, conversation),
    )
    rows = database.execute(
        f"SELECT {PART} FROM part WHERE conversation = ? AND {OPEN_PART}"
        " AND kind <> 'operator' ORDER BY turn, number",
        (conversation,),
    ).fetchall()
    withdrawn = [(part, lifecycle.withdraw(part)) for part in map(read_part, rows)]
    for part, after in withdrawn:
        replace_part(database, part, after)
    for _, after in withdrawn:
        close_turn(database, after)
    said = database.execute(
        f"SELECT at, text FROM event WHERE conversation = ? AND {OPEN_EVENT}"
        " ORDER BY at, id",
        (conversation,),
    ).fetchall()
    for at, text in said:
        utter(database, conversation, "person", at, text)
    database.execute(
        "UPDATE event SET state = 'ignored', reason = 'human'"
        f" WHERE conversation = ? AND {OPEN_EVENT}",
        (conversation,),
    )
    database.execute(
        "UPDATE turn SET state = 'expired', reason = 'human'"
        f" WHERE conversation = ? AND {OPEN_TURN} AND state <> 'composed'",
        (conversation,),
    )
