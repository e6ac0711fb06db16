"""
What the Graph API shows of a Page's threads, read after an outage.

Nothing here waits or opens anything.

Source: docs/messenger-platform.md, section 8.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from attrs import frozen

from micamsgr.conversation.events import Mid, PageId, Psid
from micamsgr.conversation.missed import Message
from micamsgr.errors import Unavailable
from micamsgr.httpcall import Answer

from .graph_answers import document, fit, items, mapping, milliseconds, trouble
from .notifications import event_key

# Threads to a page of the list.
_LISTED = 50

# The details of how many messages of a thread Meta shows.
SHOWN = 20

_THREAD_FIELDS = "id,updated_time,participants"
_MESSAGE_FIELDS = f"messages.limit({SHOWN}){{id,created_time,from,to,message}}"

# A cursor that is longer is none; nor is an ID, of a message or a person.
_LONGEST_CURSOR = 4096
_LONGEST_ID = 499

# So much of a text is kept, in characters.  People may write far more than the
# 2,000 that the Send API takes: some 50,000 were seen in a webhook.
_LONGEST_TEXT = 64 * 1024


@frozen
class Listed:
    """
    A thread, in the list.

    :ivar updated: milliseconds, by Meta's clock; ``None`` where it can't be
        read.
    """

    psid: Psid
    updated: int | None


@frozen
class Listing:
    """
    A page of the list.

    :ivar unclear: how many threads show no one person.
    :ivar after: where the next page begins; ``None``: there is none.
    """

    threads: tuple[Listed, ...]
    unclear: int
    after: str | None


@frozen
class Thread:
    """
    :ivar messages: the newest ones, oldest first.
    :ivar unclear: how many could not be read at all.
    :ivar whole: the thread has no older ones.
    """

    messages: tuple[Message, ...]
    unclear: int
    whole: bool


def threads_path(page: PageId, after: str | None) -> str:
    """
    Ask for the list of threads.

    :param after: see :class:`Listing`.
    """
    query = {"platform": "messenger", "fields": _THREAD_FIELDS, "limit": _LISTED}
    if after is not None:
        query["after"] = after
    return f"{quote(page, safe='')}/conversations?{urlencode(query)}"


def thread_path(page: PageId, psid: Psid) -> str:
    """
    Ask for the newest messages of a person's thread.
    """
    query = {"platform": "messenger", "user_id": psid, "fields": _MESSAGE_FIELDS}
    return f"{quote(page, safe='')}/conversations?{urlencode(query)}"


def read_threads(answer: Answer, page: PageId) -> Listing:
    """
    Read a page of the list of threads.

    :raises Unavailable: it can't be had now.
    :raises Refused: it can't be had, as where a permission is missing.
    """
    told = mapping(document(answer))
    data = told.get("data")
    if answer.status != 200 or not isinstance(data, list):
        raise trouble(answer)
    listed = [_listed(item, page) for item in items(data)]
    threads = tuple(thread for thread in listed if thread is not None)
    return Listing(threads, len(listed) - len(threads), _after(told.get("paging")))


def read_thread(answer: Answer, page: PageId, psid: Psid) -> Thread:
    """
    Read the newest messages of a person's thread, put into their order.

    :raises Unavailable: they can't be had now.
    :raises Refused: they can't be had.
    """
    data = mapping(document(answer)).get("data")
    if answer.status != 200 or not isinstance(data, list):
        raise trouble(answer)
    messages: list[Message] = []
    unclear, whole = 0, True
    for thread in items(data):
        shown = mapping(thread.get("messages"))
        listed = shown.get("data")
        if not isinstance(listed, list):
            raise Unavailable("a thread is shown without messages")
        read = [_message(item, page, psid) for item in items(listed)]
        messages += (message for message in read if message is not None)
        unclear += read.count(None)
        whole = (
            whole and len(read) < SHOWN and "next" not in mapping(shown.get("paging"))
        )
    # Meta shows the newest first; of one second the order is kept.
    messages.reverse()
    if all(message.at is not None for message in messages):
        messages.sort(key=lambda message: message.at or 0)
    return Thread(tuple(messages), unclear, whole)


def _listed(item: dict[str, Any], page: PageId) -> Listed | None:
    people = {
        _id(one["id"])
        for one in items(mapping(item.get("participants")).get("data"))
        if one.get("id")
    }
    [other, *more] = (people - {page}) or {None}
    if other is None or more:
        return None
    return Listed(Psid(other), milliseconds(item.get("updated_time")))


def _id(value: object) -> str | None:
    """
    Read an ID, which may be a number; ``None`` where it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = fit(str(value))
    return text if 0 < len(text) <= _LONGEST_ID else None


def _after(paging: object) -> str | None:
    told = mapping(paging)
    following = told.get("next")
    if not isinstance(following, str) or not following:
        return None
    after = mapping(told.get("cursors")).get("after")
    if not isinstance(after, str):
        # Never the address itself, which may be anybody's, and would get our
        # token.
        try:
            [after] = parse_qs(urlsplit(following).query)["after"]
        except (KeyError, ValueError):
            return None
    return after if 0 < len(after) <= _LONGEST_CURSOR else None


def _message(item: dict[str, Any], page: PageId, psid: Psid) -> Message | None:
    mid, text = _id(item.get("id")), item.get("message")
    sender = _id(mapping(item.get("from")).get("id"))
    if mid is None or sender is None or sender not in (page, psid):
        return None
    by_page = sender == page
    return Message(
        key=event_key("echo" if by_page else "message", mid),
        mid=Mid(mid),
        at=milliseconds(item.get("created_time")),
        text=fit(text[:_LONGEST_TEXT]) if isinstance(text, str) else "",
        by_page=by_page,
    )
