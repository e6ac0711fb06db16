"""
Why something is not sent, or not answered, and when it is tried again.
Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from micamsgr.conversation.moment import Moment, Tick

_DOUBT = "nobody knows whether it arrived: Meta is asked"


def explained(
    row: Mapping[str, Any], now: Moment, stopped: tuple[float, str] | None, known: bool
) -> dict[str, Any]:
    """
    Say of a turn or a part that is open what keeps it.

    :param row: with ``state``, and with ``rest`` and ``boot``, until when it
        rests, which are taken away.
    :param stopped: for how many seconds nothing is sent for its Page, and why.
    :param known: whether its bot is in the configuration.

    :return: the row, with ``next``, the seconds until it is tried again, and
        ``waits``, why it waits; each ``None`` where there is no such thing.
    """
    left = {name: row[name] for name in row if name not in ("rest", "boot")}
    at = None if row["rest"] is None else Tick(row["rest"], row["boot"])
    rest, state = now.until(at), row["state"]
    after, why = None, None
    if state in ("ready", "composed", "generating", "unknown") and not known:
        why = "its bot is not in the configuration"
    elif state == "unknown":
        why = _DOUBT
    elif state in ("ready", "composed") and stopped is not None:
        after, why = max(rest, stopped[0]), f"nothing is sent: {stopped[1]}"
    elif state in ("ready", "composed") and rest > 0.0:
        after, why = rest, "it failed, and rests"
    return {**left, "next": None if after is None else round(after, 1), "waits": why}
