"""
Meta's webhook notifications: whether they are authentic, and what they tell.

Everything here is computed from its arguments: nothing waits, tells the time
or opens anything.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import asdict, frozen

from micamsgr.conversation.events import (
    Control,
    Echo,
    Event,
    Mid,
    Other,
    PageId,
    Psid,
    Said,
    Unreadable,
)
from micamsgr.errors import RejectedRequest
from micamsgr.messenger.attachments import said
from micamsgr.messenger.bounded_json import canonical, canonical_strings, read_json

MAX_ITEMS = 5000
"""
How many items one notification may list, entries included; Meta gathers at
most 1000 (section 2.1). To keep so many takes less than a second.
"""

MAX_RAW = 64 * 1024
"""How many bytes of an item are kept that could not be read."""

_SIGNATURE = re.compile(rb"sha256=[0-9a-f]{64}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_FIELD = re.compile("[A-Za-z0-9_-]{1,64}")

# Milliseconds from here on, seconds below: section 2.1.
_FIRST_IN_MILLISECONDS = 1e12
_YEAR_3000 = 32_503_680_000_000

_CHANNELS = ("messaging", "standby", "changes")

# Which key of an item makes it of which kind, besides message and postback,
# and what tells it from others of the kind (section 2.4); nothing: all of it.
_KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "read": ("read", ("watermark", "mid")),
    "delivery": ("delivery", ("watermark", "mids")),
    "reaction": ("reaction", ("mid", "action", "emoji", "timestamp")),
    "message_edit": ("edit", ("mid", "num_edit")),
    **{
        key: (key, ())
        for key in (
            "referral",
            "optin",
            "account_linking",
            "pass_thread_control",
            "take_thread_control",
            "request_thread_control",
            "app_roles",
            "policy-enforcement",
            "game_play",
            "messaging_customer_information",
            "messaging_feedback",
            "response_feedback",
            "order",
            "payment",
            "pre_checkout",
            "checkout_update",
        )
    },
}

# By kind, the member that names who is to own the thread: section 3.10.
_OWNERS = {
    "pass_thread_control": "new_owner_app_id",
    "take_thread_control": "new_owner_app_id",
    "request_thread_control": "requested_owner_app_id",
}


def check_signature(secret: bytes, body: bytes, header: str | bytes | None) -> None:
    """
    Raise unless Meta, knowing *secret*, signed exactly these bytes.

    :param secret: the app secret, as ASCII bytes.
    :param body: the request body as received; to decode the JSON and encode
        it again would change it.
    :param header: the value of ``X-Hub-Signature-256``: ``sha256=`` and 64
        lower-case hexadecimal digits.

    :raises RejectedRequest: with status 403; its reason tells what anybody
        may send (no signature, or nothing like one) from a signature that
        does not match, which a wrong *secret* gives for every request.

    Source: docs/messenger-platform.md, section 2.3.
    """
    if isinstance(header, str):
        header = header.encode("utf-8", "replace")
    if header is None or not _SIGNATURE.fullmatch(header):
        raise RejectedRequest(403, "no SHA-256 signature")
    # hmac.digest() would hand over the interpreter, and wait to have it back.
    digest = hmac.new(secret, body, "sha256").hexdigest().encode("ascii")
    if not hmac.compare_digest(b"sha256=" + digest, header):
        raise RejectedRequest(403, "signature does not match")


def parse_notification(body: bytes, received_at: int) -> tuple[Event, ...]:
    """
    Read the events of one authentic notification, in the order it lists them.

    Meta counts any answer but 200 as a failure, and an hour of failures as a
    reason to stop sending; so whatever is odd in JSON comes back as
    :class:`~micamsgr.conversation.events.Unreadable` or as of kind
    ``unknown``, and never holds up its neighbors.  An event listed twice
    comes back twice, with one key.  No text in an event holds NUL or a lone
    surrogate, which databases refuse; they become U+FFFD.

    :param received_at: when the body came, in milliseconds since the epoch;
        stands in for times that are missing or absurd.
    :return: none where the notification is not about a Page.

    :raises RejectedRequest: with status 400, where the body is not JSON within
        the limits of :mod:`~micamsgr.messenger.bounded_json`, or is no object
        with a list as its ``entry``, or lists more than *MAX_ITEMS* items.

    Source: docs/messenger-platform.md, sections 2.1 and 3.
    """
    document = read_json(body)
    entries = document.get("entry") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise RejectedRequest(400, "no list of entries")
    if document.get("object") != "page":
        return ()
    if len(entries) + sum(map(_length, entries)) > MAX_ITEMS:
        raise RejectedRequest(400, "too many items")
    return tuple(event for entry in entries for event in _events(entry, received_at))


def event_key(kind: str, *identity: object) -> bytes:
    """
    Make the 16 bytes by which an event is known when it is delivered again.

    A message's is ``event_key("message", mid)``, and an echo's
    ``event_key("echo", mid)``, however we come to know of it.

    :param identity: JSON values that tell the event from others of its kind.
    """
    told = [kind, *identity]
    strings = [it for it in told if isinstance(it, str)]
    alike = len(strings) == len(told)
    text = canonical_strings(strings) if alike else canonical(told)
    return hashlib.sha256(text).digest()[:16]


@frozen
class _Item:
    """
    One item of an entry's list.

    :ivar channel: which list: ``messaging`` (ours to answer) or ``standby``.
    """

    page: PageId
    channel: str
    at: int
    content: dict[str, Any]

    def id_of(self, party: str, name: str = "id") -> str | None:
        """
        Find who ``sender`` or ``recipient`` is, where Meta says.
        """
        identity = self.content.get(party)
        return _id(identity.get(name)) if isinstance(identity, dict) else None

    def key(self, kind: str, *identity: object) -> bytes:
        """
        Make a key that differs from that of the same event on standby.
        """
        prefix = "" if self.channel == "messaging" else f"{self.channel}."
        return event_key(prefix + kind, *identity)


def _length(entry: Any) -> int:
    """
    Count the items of an entry, of whatever shape that is.
    """
    if not isinstance(entry, dict):
        return 0
    lists = (entry.get(channel) for channel in _CHANNELS)
    return sum(len(items) for items in lists if isinstance(items, list))


class _ShapeError(Exception):
    """
    An item is not of the shape that its keys promise; says which.
    """


def _events(entry: Any, received_at: int) -> Iterator[Event]:
    page = PageId((_id(entry.get("id")) if isinstance(entry, dict) else None) or "")
    if not page:
        yield _unreadable(page, received_at, entry, "entry without a Page")
        return
    if not any(channel in entry for channel in _CHANNELS):
        yield _unreadable(page, received_at, entry, "entry without events")
    for channel in _CHANNELS:
        items = entry.get(channel)
        if items is None:
            continue
        if not isinstance(items, list):
            yield _unreadable(page, received_at, items, f"{channel} is not a list")
            continue
        for item in items:
            at = _time(item, entry, received_at)
            try:
                yield _event(page, channel, at, item)
            except _ShapeError as error:
                yield _unreadable(page, at, item, str(error))


def _event(page: PageId, channel: str, at: int, content: Any) -> Event:
    if not isinstance(content, dict):
        raise _ShapeError("item is not an object")
    if channel == "changes":
        return _change(page, at, content)
    item = _Item(page, channel, at, content)
    for name, parse in (("message", _message), ("postback", _postback)):
        value = content.get(name)
        if isinstance(value, dict):
            return parse(item, value)
        if value is not None:
            raise _ShapeError(f"{name} is not an object")
    for name, (kind, identity) in _KINDS.items():
        if name in content:
            return _other(item, kind, content[name], identity)
    return _other(item, "unknown")


def _message(item: _Item, message: dict[str, Any]) -> Event:
    if message.get("is_deleted"):
        return _other(item, "unsend")
    if message.get("is_echo"):
        return _echo(item, message)
    psid = _speaker(item)
    if psid is None:
        return _other(item, "message")
    mid = _id(message.get("mid"))
    text = _storable(said(message))
    identity = [mid] if mid else [item.page, psid, item.content.get("timestamp"), text]
    return Said(
        key=item.key("message", *identity),
        page=item.page,
        psid=psid,
        at=item.at,
        kind="message" if message.get("quick_reply") is None else "quick_reply",
        mid=Mid(mid) if mid else None,
        text=text,
        standby=item.channel == "standby",
    )


def _postback(item: _Item, postback: dict[str, Any]) -> Event:
    psid = _speaker(item)
    if psid is None:
        return _other(item, "postback")
    mid = _id(postback.get("mid"))
    title, payload = postback.get("title"), postback.get("payload")
    when = item.content.get("timestamp")
    identity = [mid] if mid else [item.page, psid, when, payload, title]
    labels = [x for x in (title, payload) if isinstance(x, str) and x.strip()]
    return Said(
        key=item.key("postback", *identity),
        page=item.page,
        psid=psid,
        at=item.at,
        kind="postback",
        mid=Mid(mid) if mid else None,
        text=_storable(labels[0]) if labels else "[a button]",
        standby=item.channel == "standby",
    )


def _speaker(item: _Item) -> Psid | None:
    """
    Find whom to answer: nobody where the Page itself speaks, or a guest of
    the chat plugin, who has no ID.
    """
    sender = item.id_of("sender")
    if sender is None and item.id_of("sender", "user_ref") is None:
        raise _ShapeError("nobody sent it")
    return Psid(sender) if sender and sender != item.page else None


def _echo(item: _Item, message: dict[str, Any]) -> Echo:
    mid = _id(message.get("mid"))
    if mid is None:
        raise _ShapeError("echo without a mid")
    # Older echoes have the two the other way round: section 3.2.
    psid = _person(item, "recipient", "sender")
    if psid is None:
        raise _ShapeError("echo to nobody")
    metadata = message.get("metadata")
    text = message.get("text")
    return Echo(
        key=item.key("echo", mid),
        page=item.page,
        psid=psid,
        at=item.at,
        mid=Mid(mid),
        text=_storable(text) if isinstance(text, str) else "",
        metadata=_storable(metadata) if isinstance(metadata, str) else None,
        app_id=_id(message.get("app_id")),
    )


def _other(
    item: _Item, kind: str, value: object = None, identity: tuple[str, ...] = ()
) -> Other:
    """
    :param identity: what tells the event from others of its kind and sender:
        names in *value* or, failing that, in the item; none: all of the item.
    """
    content = item.content
    told: list[object] = [content]
    if identity and isinstance(value, dict):
        told = [item.id_of("sender")]
        told += [value.get(name, content.get(name)) for name in identity]
    other = Other(
        key=item.key(kind, item.page, *told),
        page=item.page,
        at=item.at,
        kind=kind,
        psid=_person(item, "sender", "recipient") if "sender" in content else None,
    )
    owner = _OWNERS.get(kind)
    if owner is None or item.channel != "messaging":
        return other
    named = _id(value.get(owner)) if isinstance(value, dict) else None
    return Control(**asdict(other), owner=named)


def _change(page: PageId, at: int, change: dict[str, Any]) -> Other:
    field = change.get("field")
    known = isinstance(field, str) and _FIELD.fullmatch(field)
    return Other(
        key=event_key("changes", page, change),
        page=page,
        at=at,
        kind=f"changes.{field}" if known else "changes.unknown",
    )


def _person(item: _Item, *parties: str) -> Psid | None:
    """
    Find the first of the parties that is not the Page.
    """
    for party in parties:
        identity = item.id_of(party)
        if identity is not None and identity != item.page:
            return Psid(identity)
    return None


def _unreadable(page: PageId, at: int, item: object, why: str) -> Unreadable:
    told = item
    if isinstance(item, dict):
        # An entry's time is that of the delivery; another one has another.
        told = {name: value for name, value in item.items() if name != "time"}
    return Unreadable(
        key=event_key("unreadable", page, told),
        page=page,
        at=at,
        raw=canonical(item)[:MAX_RAW],
        why=why,
    )


def _time(item: Any, entry: dict[str, Any], received_at: int) -> int:
    timestamp = item.get("timestamp") if isinstance(item, dict) else None
    said_at = entry.get("time") if timestamp is None else timestamp
    return _milliseconds(said_at) or received_at


def _milliseconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if number < _FIRST_IN_MILLISECONDS:
        number *= 1000.0
    return round(number) if 0.0 < number < _YEAR_3000 else None


def _id(value: object) -> str | None:
    """
    Read an ID, which older notifications give as a number.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _storable(value) if isinstance(value, str) and value else None


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
