"""
What a person sent, in words.

A picture, a place or a sticker has no text, and whoever answers reads only
text; so it is named, in plain English and in square brackets.  Nothing here
fetches anything.

Source: docs/messenger-platform.md, section 3.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

# What a message can have beside its text.
_BESIDE = frozenset({"attachments", "sticker_id", "is_unsupported"})

_Object = Mapping[str, Any]

_NOT_PASSED_ON = "something Messenger could not pass on"
_THUMBS_UP = "👍"
_THUMBS_UP_IDS = {"369239263222822", "369239343222814", "369239383222810"}
_REDIRECT = "https://l.facebook.com/l.php?"

_PLURALS = {
    "a picture": "pictures",
    "a voice message": "voice messages",
    "a video": "videos",
    "a file": "files",
    "a sticker": "stickers",
    "a reel": "reels",
    "a post": "posts",
}


def said(message: _Object) -> str:
    """
    Put a person's message into text: the words as they were written, and on a
    line of its own what came with them.

    :param message: the value of ``message`` as Meta sent it; whatever in it
        is of no known shape is named as something that could not be passed on.
    :return: never empty.
    """
    written = message.get("text")
    text = written if isinstance(written, str) and written.strip() else ""
    if text and _BESIDE.isdisjoint(message):
        return text
    sent = Counter(_sent(message, text))
    if not text and not sent:
        sent[_NOT_PASSED_ON] = 1
    lines = [text, " ".join(_bracketed(what, sent[what]) for what in sent)]
    return "\n".join(line for line in lines if line)


def _bracketed(what: str, count: int) -> str:
    if what == _THUMBS_UP:
        return what
    if count > 1 and what in _PLURALS:
        return f"[{count} {_PLURALS[what]}]"
    return f"[{what}]"


def _sent(message: _Object, text: str) -> Iterator[str]:
    attachments = message.get("attachments") or []
    if not isinstance(attachments, list):
        attachments = [attachments]
    stickers = set()
    for attachment in attachments:
        if not isinstance(attachment, dict):
            yield _NOT_PASSED_ON
        elif sticker := _sticker(message, attachment):
            stickers.add(sticker)
        elif not _is_in(text, attachment):
            yield _described(attachment)
    if not attachments and message.get("sticker_id"):
        stickers.add(str(message["sticker_id"]))
    for sticker in sorted(stickers):
        yield _THUMBS_UP if sticker in _THUMBS_UP_IDS else "a sticker"
    if message.get("is_unsupported"):
        yield _NOT_PASSED_ON


def _sticker(message: _Object, attachment: _Object) -> str | None:
    """
    Name the sticker that an attachment is, if it is one.

    A sticker arrived as an ``image`` until the middle of 2026, then as both,
    then as a ``sticker``; the ID tells that two are one.
    """
    kind = attachment.get("type")
    if kind not in ("image", "sticker"):
        return None
    identity = _payload(attachment).get("sticker_id") or message.get("sticker_id")
    if identity:
        return str(identity)
    return "unnamed" if kind == "sticker" else None


def _is_in(text: str, attachment: _Object) -> bool:
    """
    Whether an attachment only repeats a link that the text already has.
    """
    address = _address(attachment).partition("://")[2].rstrip("/")
    return attachment.get("type") == "fallback" and bool(address) and address in text


def _described(attachment: _Object) -> str:
    kind = attachment.get("type")
    describe = _DESCRIPTIONS.get(kind) if isinstance(kind, str) else None
    return describe(attachment) if describe else _NOT_PASSED_ON


def _plain(what: str) -> Callable[[_Object], str]:
    return lambda attachment: what


def _detailed(what: str, name: str) -> Callable[[_Object], str]:
    def describe(attachment: _Object) -> str:
        detail = _line(attachment, name)
        return f"{what}: {detail}" if detail else what

    return describe


def _location(attachment: _Object) -> str:
    where = _payload(attachment).get("coordinates")
    if isinstance(where, dict):
        latitude, longitude = where.get("lat"), where.get("long")
        if isinstance(latitude, int | float) and isinstance(longitude, int | float):
            return f"a location: {latitude}, {longitude}"
    return "a location"


def _link(attachment: _Object) -> str:
    parts = (_line(attachment, "title"), _address(attachment))
    described = " ".join(part for part in parts if part)
    return f"a shared link: {described}" if described else _NOT_PASSED_ON


def _template(attachment: _Object) -> str:
    product = _payload(attachment).get("product")
    if not isinstance(product, dict):
        return _link(attachment)
    elements = product.get("elements")
    listed = elements if isinstance(elements, list) else []
    titles = [_line(each, "title") for each in listed if isinstance(each, dict)]
    return ": ".join(filter(None, ["a product", ", ".join(filter(None, titles))]))


_DESCRIPTIONS: Mapping[str, Callable[[_Object], str]] = {
    "image": _plain("a picture"),
    "audio": _plain("a voice message"),
    "video": _plain("a video"),
    "file": _plain("a file"),
    "reel": _detailed("a reel", "title"),
    "ig_reel": _detailed("a reel", "title"),
    "post": _detailed("a post", "title"),
    "ig_post": _detailed("a post", "title"),
    "appointment_booking": _detailed("an appointment", "status"),
    "location": _location,
    "fallback": _link,
    "template": _template,
}


def _address(attachment: _Object) -> str:
    """
    Find where a link leads, past Facebook's own redirect.

    Source: docs/messenger-platform.md, section 12.
    """
    address = _line(attachment, "url")
    if not address.startswith(_REDIRECT):
        return address
    try:
        wrapped = parse_qs(address[len(_REDIRECT) :]).get("u", [address])
    except ValueError:
        return address
    return " ".join(wrapped[0].split())


def _line(attachment: _Object, name: str) -> str:
    """
    Read one text as a single line; it stands in the payload or, in older
    shapes, beside it.
    """
    for holder in (_payload(attachment), attachment):
        text = holder.get(name)
        if isinstance(text, str) and text.strip():
            return " ".join(text.split())
    return ""


def _payload(attachment: _Object) -> _Object:
    payload = attachment.get("payload")
    return payload if isinstance(payload, dict) else {}
