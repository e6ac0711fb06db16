"""
The steps that every turn takes, for many at once: it is begun, its answer is
kept, and so is what came of sending that.

They are a dozen statements, and to make one takes longer than what it does to a
row; so what is committed together is done by one of each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from attrs import frozen

from micamsgr.conversation.assistant import Role, Utterance
from micamsgr.conversation.interfaces import Begun
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.parts import Part
from micamsgr.conversation.planner import Situation, Turn
from micamsgr.conversation.policy import Limits

from .rows import (
    GIVEN,
    close_turns,
    given_values,
    insert_parts,
    read_situations,
    replace_parts,
)
from .schema import OPEN_EVENT, OPEN_TURN, of
from .spending import Reservation, reserve_all, settle_all

T = TypeVar("T")


@frozen(kw_only=True)
class Beginning:
    """
    That a conversation's next turn is to be thought about.

    :ivar history: the most utterances of the past to read.
    :ivar estimate: the most tokens that it may cost to answer some utterances.
    """

    conversation: int
    history: int
    limits: Limits
    estimate: Callable[[Sequence[Utterance]], int]
    now: Moment


@frozen(kw_only=True)
class Composition:
    """
    What a turn is answered.

    :ivar tokens: what it did cost.
    """

    turn: Turn
    text: str
    parts: Sequence[Part]
    tokens: int
    now: Moment


def begin_all(
    database: sqlite3.Connection, given: Sequence[Beginning]
) -> list[Begun | None]:
    """
    Let turns be thought about: the open ones, or else new ones over all that
    waits.

    :return: ``None`` where there is nothing to be thought about.
    """
    return [
        begun
        for some in _once(given, lambda it: it.conversation)
        for begun in _begin(database, some)
    ]


def _begin(
    database: sqlite3.Connection, given: Sequence[Beginning]
) -> Iterator[Begun | None]:
    conversations = [it.conversation for it in given]
    open_turns(database, conversations)
    taken_up = database.execute(
        "UPDATE turn SET state = 'generating', rest = NULL"
        f" WHERE conversation IN {GIVEN} AND {OPEN_TURN} AND state <> 'composed'"
        " RETURNING conversation",
        (given_values(conversations),),
    ).fetchall()
    situations = read_situations(database, [it for (it,) in taken_up])
    those = [it for it in given if it.conversation in situations]
    said = _utterances(database, situations, those)
    limits = reserve_all(
        database,
        [
            Reservation(
                situations[it.conversation],
                it.limits,
                it.now.wall,
                it.estimate(said[it.conversation]),
            )
            for it in those
        ],
    )
    reached = {it.conversation: at for it, at in zip(those, limits, strict=True)}
    for it in given:
        situation = situations.get(it.conversation)
        if situation is None:
            yield None
        else:
            assert situation.turn is not None
            spoken, limit = said[it.conversation], reached[it.conversation]
            yield Begun(situation, situation.turn, spoken, limit)


def open_turns(database: sqlite3.Connection, conversations: Sequence[int]) -> None:
    """
    Begin turns over the events that wait, where none is open.
    """
    begun = database.execute(
        "INSERT INTO turn (conversation, state, began, first)"
        " SELECT conversation, 'ready', min(received), min(id) FROM event"
        f" WHERE conversation IN {GIVEN} AND {OPEN_EVENT} AND state = 'new'"
        " AND NOT EXISTS (SELECT 1 FROM turn"
        f" WHERE turn.conversation = event.conversation AND {of('turn', OPEN_TURN)})"
        " GROUP BY conversation RETURNING id",
        (given_values(conversations),),
    ).fetchall()
    if begun:
        database.execute(
            "UPDATE event SET state = 'in_turn', turn = begun.id FROM turn AS begun"
            f" WHERE begun.id IN {GIVEN} AND event.conversation = begun.conversation"
            f" AND {of('event', OPEN_EVENT)} AND event.state = 'new'",
            (given_values([id for (id,) in begun]),),
        )


def _utterances(
    database: sqlite3.Connection,
    situations: dict[int, Situation],
    given: Sequence[Beginning],
) -> dict[int, tuple[Utterance, ...]]:
    """
    Read what was said before each turn, and what it is to answer.
    """
    said: dict[int, list[Utterance]] = {it.conversation: [] for it in given}
    for history in {it.history for it in given}:
        alike = [it.conversation for it in given if it.history == history]
        past = database.execute(
            "SELECT given.value, role, text FROM json_each(?) AS given"
            " JOIN utterance ON utterance.id IN (SELECT its.id FROM utterance AS its"
            " WHERE its.conversation = given.value ORDER BY its.id DESC LIMIT ?)"
            " ORDER BY utterance.id",
            (given_values(alike), history),
        )
        for conversation, role, text in past.fetchall():
            said[conversation].append(Utterance(Role(role), text))
    turns = [it.turn.id for it in situations.values() if it.turn is not None]
    present = database.execute(
        f"SELECT conversation, text FROM event WHERE conversation IN {GIVEN}"
        f" AND {OPEN_EVENT} AND turn IN {GIVEN} ORDER BY at, id",
        (given_values(list(said)), given_values(turns)),
    )
    for conversation, text in present.fetchall():
        said[conversation].append(Utterance(Role.PERSON, text))
    return {conversation: tuple(words) for conversation, words in said.items()}


def compose_all(
    database: sqlite3.Connection, given: Sequence[Composition]
) -> list[Situation]:
    """
    Keep the answers of turns, where they are still being sought; what they did
    cost is counted in any case.
    """
    return [
        situation
        for some in _once(given, lambda it: it.turn.id)
        for situation in _compose(database, some)
    ]


def _compose(
    database: sqlite3.Connection, given: Sequence[Composition]
) -> list[Situation]:
    settled = settle_all(database, {it.turn.id: it.tokens for it in given})
    sought = [it for it in given if settled[it.turn.id].state == "generating"]
    database.executemany(
        "UPDATE turn SET state = 'composed', reason = NULL, tokens = ? WHERE id = ?",
        [(it.tokens, it.turn.id) for it in sought],
    )
    whose = {it.turn.id: settled[it.turn.id].conversation for it in given}
    finish_events(
        database, {whose[it.turn.id]: it.turn.id for it in sought}, "done", None
    )
    database.executemany(
        "INSERT INTO utterance (conversation, role, at, text) VALUES (?, 'bot', ?, ?)",
        [(whose[it.turn.id], it.now.wall, it.text) for it in sought],
    )
    insert_parts(
        database, [(whose[it.turn.id], part) for it in sought for part in it.parts]
    )
    situations = read_situations(database, list(whose.values()))
    return [situations[whose[it.turn.id]] for it in given]


def finish_events(
    database: sqlite3.Connection,
    turns: Mapping[int, int | None],
    state: str,
    reason: str | None,
) -> None:
    """
    End the events of turns; what was said becomes history, answered or not.

    :param turns: by conversation; ``None``: the events that wait for one.
    """
    theirs = (
        f"conversation IN {GIVEN} AND {OPEN_EVENT} AND coalesce(turn, 0) IN {GIVEN}"
    )
    whose = (
        given_values(list(turns)),
        given_values([turn or 0 for turn in turns.values()]),
    )
    database.execute(
        "INSERT INTO utterance (conversation, role, at, text)"
        f" SELECT conversation, 'person', at, text FROM event WHERE {theirs}"
        " ORDER BY at, id",
        whose,
    )
    database.execute(
        f"UPDATE event SET state = ?, reason = ? WHERE {theirs}",
        (state, reason, *whose),
    )


def change_all(
    database: sqlite3.Connection, given: Sequence[tuple[Part, Part]]
) -> list[Situation]:
    """
    Put a part in the place of another, where state and attempt are still those
    of that one, and draw the conclusions for its turn.
    """
    return [
        situation
        # What becomes of a part may concern those behind it.
        for some in _once(given, lambda it: it[0].turn)
        for situation in _change(database, some)
    ]


def _change(
    database: sqlite3.Connection, given: Sequence[tuple[Part, Part]]
) -> list[Situation]:
    found = database.execute(
        f"SELECT id, state, attempt, conversation FROM part WHERE id IN {GIVEN}",
        (given_values([before.id for before, _ in given]),),
    ).fetchall()
    there = {id: (state, attempt) for id, state, attempt, _ in found}
    whose = {id: conversation for id, _, _, conversation in found}
    changed = [
        after
        for before, after in given
        if there[before.id] == (before.state.value, before.attempt)
    ]
    replace_parts(database, changed)
    close_turns(database, changed)
    situations = read_situations(database, list(whose.values()))
    return [situations[whose[before.id]] for before, _ in given]


def _once(given: Sequence[T], key: Callable[[T], Hashable]) -> Iterator[list[T]]:
    """
    Divide what is given, in its order, so that nothing is twice in one piece.
    """
    piece: dict[Hashable, T] = {}
    for it in given:
        if key(it) in piece:
            yield list(piece.values())
            piece = {}
        piece[key(it)] = it
    yield list(piece.values())
