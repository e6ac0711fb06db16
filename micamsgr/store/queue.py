"""
What waits, what is in doubt and what was given up, for an operator to look at
and to decide.  Nothing here begins or ends a transaction.

Events are named ``e`` and their number, turns ``t`` and theirs, as the log has
it; parts have IDs of their own.  No texts are shown here.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from attrs import evolve, frozen

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.parts import Part
from micamsgr.conversation.planner import WINDOW
from micamsgr.conversation.policy import Delivery
from micamsgr.conversation.states import PartState
from micamsgr.errors import Declined

from .rows import PART, close_turn, read_part, replace_part, utter
from .schema import OPEN_EVENT, OPEN_PART, OPEN_TURN, SPOKEN, of

#: Why something ended that an operator ended.
OPERATOR = "operator"

Row = dict[str, Any]

_ID = re.compile(r"(?P<kind>[et]?)(?P<number>[0-9]{1,18})")

_WHOSE = "conversation.bot, conversation.page, conversation.psid"
_EVENT = (
    f"SELECT 'e' || event.id AS id, event.kind, event.state, event.reason,"
    f" event.source, event.at, event.received, 't' || event.turn AS turn, {_WHOSE}"
    " FROM event LEFT JOIN conversation ON conversation.id = event.conversation"
)
_TURN = (
    f"SELECT 't' || turn.id AS id, turn.state, turn.reason, turn.began, turn.tries,"
    f" turn.rest, turn.boot, {_WHOSE}"
    " FROM turn JOIN conversation ON conversation.id = turn.conversation"
)
_PART = (
    f"SELECT part.id, part.kind, part.state, part.reason, part.number, part.attempt,"
    f" part.absent, part.withdrawn, part.rest, part.boot,"
    f" 't' || part.turn AS turn, {_WHOSE}"
    " FROM part JOIN conversation ON conversation.id = part.conversation"
)
# Of what was given up: what somebody may want to do something about.
_DEAD = "event.state = 'dead' AND event.reason NOT IN ('operator', 'erased')"
# Likewise of parts; what a human's words took the place of is as it should be.
# So is an apology that the answer, or that there is none, has overtaken; if that
# in turn is not delivered, it is listed itself.
_SETTLED = (OPERATOR, "erased", "human")
UNDELIVERED = (
    "part.state IN ('refused', 'expired', 'dead')"
    f" AND part.reason NOT IN {_SETTLED}"
    " AND NOT (part.reason = 'sibling' AND part.kind IN ('apology', 'notice'))"
)
#: Says of an event that the bot left it to a human.
LEFT = "event.state = 'ignored' AND event.reason = 'human'"
_ANSWERABLE = ("message", "quick_reply", "postback")


@frozen
class Decided:
    """
    What an operator's decision did.

    :ivar conversation: in which there may be something to do now.
    :ivar said: what was done, a line for the operator.
    """

    bot: str
    conversation: int
    said: str


def _rows(database: sqlite3.Connection, query: str, *values: object) -> list[Row]:
    cursor = database.cursor()
    cursor.row_factory = sqlite3.Row
    return [dict(row) for row in cursor.execute(query, values)]


def _open(query: str, table: str, condition: str) -> str:
    """
    Narrow a query down to what is open, by the index that knows only that.
    """
    # Else the whole table would be gone through in the order that is wanted.
    query = query.replace(f" FROM {table}", f" FROM {table} INDEXED BY {table}_open")
    return f"{query} WHERE {of(table, condition)}"


def list_queue(database: sqlite3.Connection, limit: int) -> dict[str, Any]:
    """
    List what is open, oldest first, and what was given up, newest first.

    :param limit: the most of each kind.

    :return: ``events``, ``turns``, ``parts``, ``dead`` events and
        ``undelivered`` parts, each a list; and ``more``,
        which of them are longer.  Turns and parts have ``rest`` and
        ``boot``, until when they rest.
    """
    of_each = {
        "events": f"{_open(_EVENT, 'event', OPEN_EVENT)} ORDER BY event.id",
        "turns": f"{_open(_TURN, 'turn', OPEN_TURN)} ORDER BY turn.id",
        "parts": f"{_open(_PART, 'part', OPEN_PART)} ORDER BY part.turn, part.number",
        "dead": f"{_EVENT} WHERE {_DEAD} ORDER BY event.id DESC",
        "undelivered": f"{_PART} WHERE {UNDELIVERED} ORDER BY part.rowid DESC",
    }
    found = {
        name: _rows(database, f"{query} LIMIT ?", limit + 1)
        for name, query in of_each.items()
    }
    more = [name for name, rows in found.items() if len(rows) > limit]
    return {**{name: rows[:limit] for name, rows in found.items()}, "more": more}


def show(database: sqlite3.Connection, id: str) -> dict[str, Any]:
    """
    Show one thing, with what belongs to it.

    :return: ``what`` it is, its row under that name, and ``events``, ``turns``
        and ``parts`` of the same turn.

    :raises Declined: where there is no such thing.
    """
    what, key = _named(id)
    query = {"event": _EVENT, "turn": _TURN, "part": _PART}[what]
    found = _rows(database, f"{query} WHERE {what}.id = ?", key)
    if not found:
        raise _unknown(id)
    turn = found[0]["id"] if what == "turn" else found[0]["turn"]
    number = -1 if turn is None else int(turn[1:])
    return {
        "what": what,
        what: found[0],
        "events": _rows(database, f"{_EVENT} WHERE event.turn = ? LIMIT 1000", number)
        if number > 0
        else [],
        "turns": _rows(database, f"{_TURN} WHERE turn.id = ?", number),
        "parts": _rows(
            database, f"{_PART} WHERE part.turn = ? ORDER BY part.number", number
        ),
    }


def _named(id: str) -> tuple[str, int | str]:
    """
    Read an ID: of what, and its key.
    """
    named = _ID.fullmatch(id)
    if named is None:
        return "part", id
    return ("turn" if named["kind"] == "t" else "event"), int(named["number"])


def _unknown(id: str) -> Declined:
    return Declined(
        f"there is no {id}: `queue list` shows e… for events, t… for turns, and the"
        " IDs of parts"
    )


def retry(
    database: sqlite3.Connection,
    id: str,
    now: Moment,
    delivery: Callable[[str], Delivery],
) -> Decided:
    """
    Let an event that was given up, or left to a human, be answered after all,
    all those of a turn that were given up, or let a part in doubt be sent
    again; or what waits be tried at once.

    :param delivery: gives how a bot delivers, by its name; may raise
        :exc:`~micamsgr.errors.Declined`.

    :raises Declined: where that can't be done.
    """
    what, key = _named(id)
    if what == "part":
        return _retry_part(database, str(key), now, delivery)
    if what == "event":
        events = [int(key)]
    else:
        turn = _turn(database, id, int(key))
        if turn["state"] == "ready":
            delivery(turn["bot"])
            database.execute(
                "UPDATE turn SET rest = NULL, boot = NULL"
                " WHERE id = ? AND state = 'ready'",
                (key,),
            )
            return _decided(turn, f"turn {id} is tried again at once")
        if turn["state"] == "generating":
            raise Declined(f"turn {id} is generating: the LLM is being asked")
        if turn["state"] == "composed":
            raise Declined(
                f"turn {id} is composed: its answer is made. `micamessenger queue show"
                f" {id}` says why a part of it waits; `queue retry` takes the part's ID"
            )
        rows = database.execute(
            f"SELECT event.id FROM event WHERE conversation = ? AND {SPOKEN}"
            f" AND turn = ? AND {_DEAD} ORDER BY id",
            (turn["conversation"], key),
        )
        events = [event for (event,) in rows.fetchall()]
        if not events:
            raise Declined(f"turn {id} is {turn['state']}, and none of its events dead")
    decided = [_retry_event(database, event, now, delivery) for event in events]
    return evolve(decided[-1], said="\n".join(each.said for each in decided))


def _retry_event(
    database: sqlite3.Connection,
    number: int,
    now: Moment,
    delivery: Callable[[str], Delivery],
) -> Decided:
    id = f"e{number}"
    event = _event(database, id, number)
    state, reason = event["state"], event["reason"]
    if state != "dead" and (state, reason) != ("ignored", "human"):
        raise Declined(
            f"event {id} is {state}, not dead, and was not left to a human, either"
        )
    if event["kind"] not in _ANSWERABLE or event["conversation"] is None:
        raise Declined(f"event {id} ({event['kind']}) is none that is answered")
    if event["text"] is None:
        raise Declined(f"the words of event {id} are erased: nobody can answer them")
    delivery(event["bot"])
    _check_open(event, now)
    if event["quiet_until"] > now.wall:
        raise Declined(
            f"the bot is quiet in the conversation of event {id}, as a human answers:"
            " first `micamessenger conversation resume`"
        )
    changed = database.execute(
        "UPDATE event SET state = 'new', reason = NULL, turn = NULL, received = ?"
        " WHERE id = ? AND state = ?",
        (now.wall, number, state),
    ).rowcount
    assert changed == 1
    # It is history already, and becomes history when it is answered.
    database.execute(
        "DELETE FROM utterance WHERE id = (SELECT id FROM utterance"
        " WHERE conversation = ? AND role = 'person' AND at = ? AND text = ?"
        " ORDER BY id DESC LIMIT 1)",
        (event["conversation"], event["at"], event["text"]),
    )
    return _decided(event, f"event {id} was {state} ({reason}); it is answered")


def _check_open(row: Row, now: Moment) -> None:
    if now.sure and now.wall - row["heard"] > WINDOW:
        hours = (now.wall - row["heard"]) / 3_600_000
        raise Declined(
            "Meta's 24-hour window is closed: the person was last heard of"
            f" {hours:.0f} h ago; nothing may be sent until they write again"
        )


def _retry_part(
    database: sqlite3.Connection,
    id: str,
    now: Moment,
    delivery: Callable[[str], Delivery],
) -> Decided:
    part, whose = _part(database, id)
    policy = delivery(whose["bot"])
    if part.state is PartState.SENDING:
        raise Declined(f"part {id} is being sent now: wait")
    if part.state not in (PartState.COMPOSED, PartState.UNKNOWN):
        raise Declined(
            f"part {id} is {part.state.value} for good; to say something else:"
            " `micamessenger send`"
        )
    _check_open(whose, now)
    if part.state is PartState.COMPOSED:
        replace_part(database, part, evolve(part, rest=None))
        return _decided(whose, f"part {id} is tried again at once")
    if part.withdrawn:
        raise Declined(
            f"a human has answered since: part {id} is not sent again, whoever"
            " wishes it; `micamessenger queue drop` ends it"
        )
    passed = 0.0 if part.intended is None else now.since(part.intended)
    if passed < policy.quarantine:
        raise Declined(
            f"part {id} may still be under way; its doubt is looked into in"
            f" {policy.quarantine - passed:.0f} s, and may end by itself"
        )
    changed = replace_part(database, part, lifecycle.release(part))
    assert changed
    return _decided(
        whose,
        f"part {id} is sent again; if it had arrived after all, the person reads it"
        " twice",
    )


def drop(database: sqlite3.Connection, id: str) -> Decided:
    """
    Give up an event, a turn or a part, with the reason ``operator``; of what
    was given up before, only the reason changes.

    What was said becomes history all the same.

    :raises Declined: where that can't be done.
    """
    what, key = _named(id)
    if what == "part":
        part, whose = _part(database, str(key))
        return _decided(whose, _drop_part(database, part))
    if what == "event":
        return _drop_event(database, int(key))
    turn = _turn(database, id, int(key))
    if turn["state"] in ("closed", "failed", "expired"):
        raise Declined(f"turn {id} is {turn['state']} already")
    if turn["state"] == "composed":
        parts = database.execute(
            f"SELECT {PART} FROM part WHERE conversation = ? AND {OPEN_PART}"
            " AND turn = ? ORDER BY number",
            (turn["conversation"], key),
        ).fetchall()
        lines = [_drop_part(database, read_part(part)) for part in parts]
    else:
        rows = database.execute(
            f"SELECT id FROM event WHERE conversation = ? AND {OPEN_EVENT}"
            " AND turn = ?",
            (turn["conversation"], key),
        ).fetchall()
        lines = [_drop_event(database, event).said for (event,) in rows]
    return _decided(turn, "\n".join([*lines, f"turn {id} has ended"]))


def _drop_event(database: sqlite3.Connection, number: int) -> Decided:
    id = f"e{number}"
    event = _event(database, id, number)
    if event["state"] not in ("new", "in_turn", "dead"):
        raise Declined(f"event {id} is {event['state']} already")
    if event["reason"] in (OPERATOR, "erased"):
        raise Declined(f"event {id} is dead already ({event['reason']})")
    database.execute(
        "UPDATE event SET state = 'dead', reason = ? WHERE id = ? AND state = ?",
        (OPERATOR, number, event["state"]),
    )
    if event["state"] == "dead":
        return _decided(event, f"event {id} was dead ({event['reason']}); dropped")
    if event["text"] is not None:
        utter(database, event["conversation"], "person", event["at"], event["text"])
    (others,) = database.execute(
        f"SELECT count(*) FROM event WHERE conversation = ? AND {OPEN_EVENT}"
        " AND turn = ?",
        (event["conversation"], event["turn"]),
    ).fetchone()
    more = ""
    if not others and event["turn"] is not None:
        # What is asked for it meanwhile comes to nothing.
        database.execute(
            "UPDATE turn SET state = 'expired', reason = ? WHERE id = ?"
            " AND state IN ('ready', 'generating')",
            (OPERATOR, event["turn"]),
        )
        more = f", and turn t{event['turn']} with it"
    return _decided(event, f"event {id} was {event['state']}; dropped{more}")


def _drop_part(database: sqlite3.Connection, part: Part) -> str:
    """
    :param part: as it was before anything of its turn was dropped.

    :return: what was done.
    """
    id, after = part.id, part
    if part.state is PartState.SENDING:
        raise Declined(f"part {id} is being sent now: wait")
    if part.state is PartState.COMPOSED:
        after = lifecycle.expire(part, OPERATOR)
        said = f"part {id} was not sent yet; dropped"
    elif part.state is PartState.UNKNOWN:
        after = evolve(part, state=PartState.DEAD, reason=OPERATOR, rest=None)
        said = f"part {id} was in doubt; dropped: it may have arrived"
    elif part.state is PartState.SENT or part.reason in _SETTLED:
        why = "" if part.reason is None else f" ({part.reason})"
        raise Declined(f"part {id} is {part.state.value} already{why}")
    else:
        said = f"part {id} was {part.state.value} ({part.reason}); dropped"
    if after is not part and replace_part(database, part, after):
        close_turn(database, after)
    else:
        # It has ended already; whatever followed from that has happened.
        database.execute("UPDATE part SET reason = ? WHERE id = ?", (OPERATOR, id))
    return said


def _event(database: sqlite3.Connection, id: str, number: int) -> Row:
    found = _rows(
        database,
        "SELECT event.*, conversation.heard, conversation.quiet_until FROM event"
        " LEFT JOIN conversation ON conversation.id = event.conversation"
        " WHERE event.id = ?",
        number,
    )
    if not found:
        raise _unknown(id)
    return found[0]


def _turn(database: sqlite3.Connection, id: str, number: int) -> Row:
    found = _rows(
        database,
        f"SELECT turn.*, {_WHOSE} FROM turn"
        " JOIN conversation ON conversation.id = turn.conversation WHERE turn.id = ?",
        number,
    )
    if not found:
        raise _unknown(id)
    return found[0]


def _part(database: sqlite3.Connection, id: str) -> tuple[Part, Row]:
    row: Sequence[Any] | None = database.execute(
        f"SELECT {PART} FROM part WHERE id = ?", (id,)
    ).fetchone()
    if row is None:
        raise _unknown(id)
    whose = _rows(
        database,
        f"SELECT {_WHOSE}, heard, conversation.id AS conversation FROM part"
        " JOIN conversation ON conversation.id = part.conversation WHERE part.id = ?",
        id,
    )
    return read_part(tuple(row)), whose[0]


def _decided(row: Row, said: str) -> Decided:
    return Decided(str(row["bot"]), int(row["conversation"] or 0), said)
