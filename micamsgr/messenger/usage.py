"""
What the headers of an answer of the Graph API tell of its limits: how much of
them is used up, and for how long to wait.  Nothing here waits.

Source: docs/messenger-platform.md, section 5.2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.web.http_headers import Headers

from micamsgr.conversation.pacing import Pressure

# Below this many percent nothing is done; at the second nothing is sent.  On
# the way there the rate falls by the same factor with each percent, since how
# far the usual rate is above what the limit allows nobody says.
_NEAR, _REACHED = 75.0, 95.0
_LEAST_SHARE = 0.01

# Seconds to wait where a limit is reached and no time is named.
_UNNAMED = 60.0

# The longest wait that is believed, in seconds.
_LONGEST_WAIT = 3600.0
_LONGEST_UNAVAILABLE = 900.0

# Shares of a limit that are used up, each a percentage.
_PERCENTAGES = ("call_count", "total_cputime", "total_time")
_WHOLE = {"app": b"x-app-usage", "page": b"x-page-usage"}
_BUSINESS = b"x-business-use-case-usage"
# Of what kind a limit is that concerns messages.
_MESSENGER = "messenger"


def read_pressures(status: int, headers: Headers) -> tuple[Pressure, ...]:
    """
    Read how near each limit is that an answer tells of.  Never raises.

    A server that is unavailable, and names a time, counts as a limit, too:
    what was sent is in doubt, and whatever else is sent would be.

    :return: in this order, as far as they are there: the app's limit, the
        Page's, Messenger's and the server's.
    """
    found = [
        pressure(name, _percent(usage), None)
        for name, header in _WHOLE.items()
        for usage in _objects(headers, header)
    ]
    items = [
        item
        for item in _business_items(headers)
        if item.get("type", _MESSENGER) == _MESSENGER
    ]
    if items:
        percent = max(map(_percent, items))
        found.append(pressure(_MESSENGER, percent, _regained(items)))
    named = _retry_after(headers) if status >= 500 else 0.0
    if named > 0.0:
        detail = f"status {status} names a time to wait"
        rest = min(named, _LONGEST_UNAVAILABLE)
        found.append(Pressure(source="server", rest=rest, detail=detail))
    return tuple(found)


def pressure(source: str, percent: float, regained: float | None) -> Pressure:
    """
    Decide how much slower to send, or for how long not at all.

    :param percent: how much of the limit is used up.
    :param regained: the seconds until we may call again, where they are named.
    """
    detail = f"{percent:.0f} % of the {source} limit used"
    if percent >= _REACHED or regained is not None:
        rest = _UNNAMED if regained is None else regained
        return Pressure(source=source, share=_LEAST_SHARE, rest=rest, detail=detail)
    near = max(0.0, percent - _NEAR) / (_REACHED - _NEAR)
    return Pressure(source=source, share=_LEAST_SHARE**near, detail=detail)


def read_rest(headers: Headers) -> float | None:
    """
    Read for how many seconds the Graph API wants to be left alone.
    """
    regained = _regained(list(_business_items(headers))) or 0.0
    return max(_retry_after(headers), regained) or None


def _retry_after(headers: Headers) -> float:
    # As bytes: as text, they would have to be UTF-8.
    named = [
        float(header[:9])
        for header in headers.getRawHeaders(b"retry-after", ())
        if header.isdigit()
    ]
    return min(max(named, default=0.0), _LONGEST_WAIT)


def _business_items(headers: Headers) -> Iterator[dict[str, Any]]:
    for businesses in _objects(headers, _BUSINESS):
        for items in businesses.values():
            if isinstance(items, list):
                yield from (item for item in items if isinstance(item, dict))


def _objects(headers: Headers, name: bytes) -> Iterator[dict[str, Any]]:
    for header in headers.getRawHeaders(name, ()):
        try:
            value = json.loads(header)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _percent(usage: dict[str, Any]) -> float:
    return max(_number(usage.get(name)) for name in _PERCENTAGES)


def _regained(items: list[dict[str, Any]]) -> float | None:
    """
    Find the longest time until we may call again, in seconds.
    """
    minutes = max(
        (_number(item.get("estimated_time_to_regain_access")) for item in items),
        default=0.0,
    )
    return min(minutes * 60.0, _LONGEST_WAIT) if minutes > 0.0 else None


def _number(value: object) -> float:
    """
    Read a number that isn't negative; 0 where it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    # Of what is not a number, both are false.
    return float(min(value, 10**6)) if value > 0 else 0.0
