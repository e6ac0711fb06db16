"""
The legal states of events, turns and parts, as data.

A test enumerates them, and the store refuses every change that is not here.
"""

from __future__ import annotations

from enum import Enum


class EventState(Enum):
    """What has become of an inbound event."""

    NEW = "new"
    IN_TURN = "in_turn"
    DONE = "done"
    IGNORED = "ignored"
    DEAD = "dead"


class TurnState(Enum):
    """What has become of a turn, the answer to some events."""

    READY = "ready"
    GENERATING = "generating"
    COMPOSED = "composed"
    CLOSED = "closed"
    FAILED = "failed"
    EXPIRED = "expired"


class PartState(Enum):
    """What has become of a part, one message to a person."""

    COMPOSED = "composed"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    REFUSED = "refused"
    EXPIRED = "expired"
    DEAD = "dead"


_E, _T, _P = EventState, TurnState, PartState

# How each may begin, and what may follow what.
FIRST: dict[type[Enum], frozenset[Enum]] = {
    EventState: frozenset({_E.NEW, _E.IGNORED, _E.DEAD}),
    TurnState: frozenset({_T.READY}),
    PartState: frozenset({_P.COMPOSED}),
}
NEXT: dict[Enum, frozenset[Enum]] = {
    _E.NEW: frozenset({_E.IN_TURN, _E.IGNORED, _E.DEAD}),
    _E.IN_TURN: frozenset({_E.DONE, _E.NEW, _E.IGNORED, _E.DEAD}),
    _T.READY: frozenset({_T.GENERATING, _T.FAILED, _T.EXPIRED}),
    _T.GENERATING: frozenset({_T.COMPOSED, _T.READY, _T.FAILED, _T.EXPIRED}),
    _T.COMPOSED: frozenset({_T.CLOSED}),
    _P.COMPOSED: frozenset({_P.SENDING, _P.EXPIRED}),
    _P.SENDING: frozenset({_P.SENT, _P.COMPOSED, _P.UNKNOWN, _P.REFUSED}),
    _P.UNKNOWN: frozenset({_P.SENT, _P.COMPOSED, _P.DEAD}),
}

# What may follow besides, but only because an operator wants it.
BY_OPERATOR: dict[Enum, frozenset[Enum]] = {
    _E.DEAD: frozenset({_E.NEW}),
    _E.IGNORED: frozenset({_E.NEW}),
}

# While one of these is true, there is still something to do.
OPEN_EVENTS = (_E.NEW, _E.IN_TURN)
OPEN_TURNS = (_T.READY, _T.GENERATING, _T.COMPOSED)
OPEN_PARTS = (_P.COMPOSED, _P.SENDING, _P.UNKNOWN)
