"""
A Page's threads, as the Graph API shows them.

Source: docs/messenger-platform.md, section 8.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from micamsgr.sandbox.journal import Applied, GraphError, Wrote
from micamsgr.sandbox.meta import Page

# So many messages of a thread can be read.
_DETAILED = 20

# So many threads are listed at once, where nobody says how many, and at most.
_LISTED, _MOST_LISTED = 25, 100

_FIELD = re.compile(
    r"(\w+)(?:\.limit\((\d+)\))?(?:\{((?:[^{}]|\{[^{}]*\})*)\})?(?:,|$)"
)

Document = dict[str, Any]


def listed(
    page: Page,
    arguments: Document,
    until: float,
    named: Callable[[str], str] = str,
) -> tuple[Document, tuple[str, ...]]:
    """
    List threads, the one that was updated last first.

    :param arguments: of the request.
    :param until: what is younger is not shown; seconds since the epoch.
    :param named: makes of a mid the ID by which a thread shows the message.

    :return: the answer, and the mids of the messages that it shows.

    :raises GraphError: where the arguments are not as the reference has them.
    """
    fields = arguments.get("fields") or "id,updated_time"
    shown: list[tuple[float, Document]] = []
    mids: dict[str, list[str]] = {}
    shape = _shape(fields)
    for person, thread in page.threads.items():
        if arguments.get("user_id") not in (None, person):
            continue
        # Not all that was ever said: a look-up must not take longer each day.
        readable = (said for said in reversed(thread) if said.at <= until)
        old = list(islice(readable, _DETAILED))
        if not old:
            continue
        limit, inner = shape.get("messages", (0, ""))
        newest = old[:limit]
        inner = inner or "id,created_time"
        messages = [
            select(inner, {**_message(page, person, it), "id": named(it.mid)})
            for it in newest
        ]
        id = f"t_{page.id}{person}"
        mids[id] = [said.mid for said in newest]
        known = {
            "id": id,
            "updated_time": _time(old[0].at),
            "participants": {"data": [_named(person, "A person"), _page(page)]},
            "messages": {"data": messages},
        }
        shown.append((old[0].at, select(fields, known)))
    threads = [it for _, it in sorted(shown, key=lambda it: it[0], reverse=True)]
    begin, end = _window(arguments)
    answer: Document = {"data": threads[begin:end]}
    if end < len(threads):
        after = base64.urlsafe_b64encode(str(end).encode()).decode()
        following = f"https://graph.facebook.com/{page.id}/conversations?after={after}"
        answer["paging"] = {"cursors": {"after": after}, "next": following}
    return answer, tuple(mid for it in answer["data"] for mid in mids[it["id"]])


def _window(arguments: Document) -> tuple[int, int]:
    try:
        size = int(arguments.get("limit", _LISTED))
        after = str(arguments.get("after", "")).encode()
        begin = int(base64.urlsafe_b64decode(after) or b"0")
    except (ValueError, binascii.Error):
        raise GraphError("(#100) Invalid cursor or limit") from None
    if size < 1 or begin < 0:
        raise GraphError("(#100) Invalid cursor or limit")
    return begin, begin + min(size, _MOST_LISTED)


def _shape(fields: str) -> dict[str, tuple[int, str]]:
    """
    Read a list of fields, such as ``id,messages.limit(20){id,message}``.

    :return: by field, how many and which fields of its items are wanted.
    """
    shape = {}
    at = 0
    while at < len(fields):
        found = _FIELD.match(fields, at)
        if found is None:
            raise GraphError(f"Syntax error in the fields at: {fields[at:]}", 2500)
        shape[found[1]] = (int(found[2] or _DETAILED), found[3] or "")
        at = found.end()
    return shape


def select(fields: str, known: Document) -> Document:
    """
    Show of an object what is asked for, and its ID.

    :raises GraphError: where it has no such field.
    """
    shape = _shape(fields)
    for name in shape:
        if name not in known:
            why = f"(#100) Tried accessing nonexisting field ({name})"
            raise GraphError(why)
    return {"id": known["id"], **{k: known[k] for k in shape if known[k] is not None}}


def _message(page: Page, psid: str, said: Wrote | Applied) -> Document:
    ours, theirs = _page(page), _named(psid, "A person")
    sender, receiver = (ours, theirs) if isinstance(said, Applied) else (theirs, ours)
    return {
        "created_time": _time(said.at),
        "from": sender,
        "to": {"data": [receiver]},
        "message": said.text,
        "attachments": None,
    }


def _page(page: Page) -> Document:
    return _named(page.id, page.name)


def _named(id: str, name: str) -> Document:
    return {"name": name, "email": f"{id}@facebook.com", "id": id}


def _time(at: float) -> str:
    return datetime.fromtimestamp(int(at), timezone.utc).strftime("%Y-%m-%dT%H:%M:%S%z")
