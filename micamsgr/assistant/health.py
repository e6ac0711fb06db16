"""
What calls tell of an endpoint.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum

from attrs import evolve, frozen

# An endpoint is ill after so many failures in a row, ...
_IN_A_ROW = 5
# ... or if of so many calls at least, in so many seconds, half have failed; ...
_ENOUGH = 20
_RECENTLY = 30
# ... where so many tell of it: one person's words may make it fail each time.
WITNESSES = 3

# Who were denied what another was not tell nothing for so many seconds.
_DISTRUSTED, _MOST_DISTRUSTED = 3600.0, 100


class Health(Enum):
    """
    What came of a call tells of the endpoint: it is WELL; it is ILL, and may
    recover; it is AWAY, which is as bad, and nobody's words can be the cause,
    as none reached it; or it is LOCKED, and takes no call until somebody acts.
    DENIED is either: it did not like this one call, or it is locked.
    """

    WELL = "well"
    ILL = "ill"
    AWAY = "away"
    DENIED = "denied"
    LOCKED = "locked"


# Who tell of failures, at most three, each once; ``None``, where nobody's words
# can be the cause, any number of times.
Witnesses = tuple[Hashable | None, ...]


def _joined(witnesses: Witnesses, asker: Hashable | None) -> Witnesses:
    if asker is not None and asker in witnesses:
        return witnesses
    return (*witnesses, asker)[:WITNESSES]


@frozen
class _Second:
    """
    The calls that ended in one second.

    :ivar at: which second it was.
    :ivar calls: how many.
    :ivar failed: how many of them failed.
    """

    at: int
    calls: int = 0
    failed: int = 0
    witnesses: Witnesses = ()


@frozen
class Recent:
    """
    What came of the calls of the last half a minute.

    :ivar row: how many of the last calls have failed, one after the other.
    :ivar witnesses: who tell of these.
    :ivar denied: whose calls were denied since one succeeded; at most three.
    :ivar distrusted: whose calls were denied when another's succeeded, and
        until when their denials do not count; at most 100.
    :ivar seconds: those in which calls ended; at most 31, oldest first.
    """

    row: int = 0
    witnesses: Witnesses = ()
    denied: Witnesses = ()
    distrusted: tuple[tuple[Hashable | None, float], ...] = ()
    seconds: tuple[_Second, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether the endpoint is to be left alone."""
        if self.row >= _IN_A_ROW and len(self.witnesses) >= WITNESSES:
            return True
        witnesses: Witnesses = ()
        for second in self.seconds:
            for asker in second.witnesses:
                witnesses = _joined(witnesses, asker)
        calls = sum(second.calls for second in self.seconds)
        failed = sum(second.failed for second in self.seconds)
        enough = calls >= _ENOUGH and len(witnesses) >= WITNESSES
        return enough and failed * 2 >= calls


def noted(recent: Recent, health: Health, asker: Hashable, now: float) -> Recent:
    """
    Add what came of a call.

    :param health: any but LOCKED.
    :param asker: whose words were sent; each counts once as a witness of
        failures.  What is AWAY was never told the words, so each such failure
        counts as another's: a connection refused, a name not found, a
        handshake that took too long befall whoever asks.
    """
    kept = [each for each in recent.seconds if each.at >= int(now) - _RECENTLY]
    last = _Second(int(now))
    if kept and kept[-1].at == last.at:
        last = kept.pop()
    last = _Second(last.at, last.calls + 1, last.failed, last.witnesses)
    distrusted = [it for it in recent.distrusted if it[1] > now]
    if health is Health.DENIED and asker in dict(distrusted):
        return evolve(recent, distrusted=tuple(distrusted))
    if health is Health.WELL:
        distrusted += [(it, now + _DISTRUSTED) for it in recent.denied]
        others = [it for it in distrusted if it[0] != asker][-_MOST_DISTRUSTED:]
        return Recent(distrusted=tuple(others), seconds=(*kept, last))
    witness = None if health is Health.AWAY else asker
    last = evolve(
        last, failed=last.failed + 1, witnesses=_joined(last.witnesses, witness)
    )
    witnesses = _joined(recent.witnesses, witness)
    is_denied = health is Health.DENIED
    denied = _joined(recent.denied, asker) if is_denied else recent.denied
    return Recent(recent.row + 1, witnesses, denied, tuple(distrusted), (*kept, last))
