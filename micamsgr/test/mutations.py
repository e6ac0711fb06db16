"""
Bodies as Meta never sends them: what others captured, mutated at random.

Each comes from a seed, and is judged by an oracle of its own, which shares no
code with what it judges.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, frozen

_PAYLOADS = Path(__file__).parent / "payloads"

PAGE = "108463527190842"

# Limits of the product, as its documentation tells them.
_DEPTH, _DIGITS, _VALUES, _ITEMS = 64, 40, 100_000, 5000

_ODD: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    10**20,
    1795012345678,
    2.5e307,
    "",
    " ",
    "0",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u202edlrow",
    "\r\nX: y\x1b[31m",
    "'; DROP TABLE event; --",
    "x" * 20_000,
    PAGE,
    [],
    {},
    [[]],
    [{}],
    {"id": {}},
    {"id": PAGE},
    {"": ""},
)

# What JSON may not hold, or what other readers stumble over; put in as text.
_RAW = (
    "NaN",
    "-Infinity",
    "Infinity",
    "1e999",
    "-1e999",
    "1E+400",
    "9" * 30,
    "9" * 50,
    "-" + "7" * 5000,
    "0.1" + "0" * 400 + "1",
    "01",
    "nil",
    '"\\ud83d"',
    '"\\uD83D\\uDE00"',
    '"\\u0000"',
    '"\\x41"',
    '{"id":"1","id":"2"}',
    "[" * 200 + "]" * 200,
    "[" * 20_000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    "[" + ",".join(["{}"] * 3000) + "]",
    "[" + ",".join(["{}"] * 6000) + "]",
)
_MARK = "\u2603raw"

_KEYS = (
    "sender",
    "recipient",
    "id",
    "message",
    "mid",
    "text",
    "is_echo",
    "metadata",
    "app_id",
    "postback",
    "payload",
    "title",
    "read",
    "delivery",
    "mids",
    "watermark",
    "reaction",
    "message_edit",
    "messaging",
    "standby",
    "changes",
    "timestamp",
    "time",
    "entry",
    "object",
    "attachments",
    "quick_reply",
    "telepathy",
)


def samples() -> list[Any]:
    """
    Read all payloads there are, each as a notification.
    """
    found = []
    for path in sorted(_PAYLOADS.rglob("*.json")):
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict) or "entry" not in document:
            entry = {"id": PAGE, "time": 1795012345678, "messaging": [document]}
            document = {"object": "page", "entry": [entry]}
        found.append(document)
    return found


def wanted(body: bytes) -> int:
    """
    Say what a signed body is to be answered: 200, unless it is not JSON within
    limits or no object with a list of entries.
    """
    try:
        document = json.loads(
            body.decode("utf-8"), parse_constant=_refuse, parse_int=_integer
        )
    except (ValueError, RecursionError):
        return 400
    if not isinstance(document, dict) or not isinstance(document.get("entry"), list):
        return 400
    depth, values = _extent(document)
    if depth > _DEPTH or values > _VALUES:
        return 400
    if document.get("object") != "page":
        return 200
    return 200 if _items(document["entry"]) <= _ITEMS else 400


def _refuse(name: str) -> None:
    raise ValueError(name)


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _DIGITS:
        raise ValueError("long")
    return int(digits)


def _extent(document: Any) -> tuple[int, int]:
    """
    Measure how deep a document is, and of how many values.
    """
    waiting, deepest, values = [(document, 1)], 0, 0
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict | list):
            deepest = max(deepest, depth)
            values += max(1, len(value))
            inner = value.values() if isinstance(value, dict) else value
            waiting += [(it, depth + 1) for it in inner]
    return deepest, values


def _items(entries: list[Any]) -> int:
    count = len(entries)
    for entry in entries:
        if isinstance(entry, dict):
            for name in ("messaging", "standby", "changes"):
                if isinstance(entry.get(name), list):
                    count += len(entry[name])
    return count


@frozen
class Posted:
    """
    A body and its signature.

    :ivar signature: the header's value; ``None``: there is none.
    :ivar status: what it is to be answered.
    """

    body: bytes
    signature: bytes | None
    status: int


@define(eq=False)
class Mutations:
    """
    Make bodies.

    :ivar random: from which all of them follow.
    :ivar secret: of the app, with which most are signed.
    """

    random: Random
    secret: bytes
    samples: Sequence[Any]

    def next(self) -> Posted:
        """
        Make the next one, of at most a mebibyte.
        """
        while len(body := self.body()) > 1 << 20:
            pass
        if self.random.random() < 0.75:
            return Posted(body, self._sign(self.secret, body), wanted(body))
        return Posted(body, self._forged(body), 403)

    def body(self) -> bytes:
        """
        Make a body: of each ten, one is as it was captured.
        """
        document = self._copy()
        raw: list[str] = []
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3, 4, 6, 9))):
            document = self._mutated(document, raw)
        text = json.dumps(
            document,
            ensure_ascii=self.random.random() < 0.7,
            indent=self.random.choice((None, None, 1)),
            sort_keys=False,
        )
        for number, piece in enumerate(raw):
            text = text.replace(json.dumps(f"{_MARK}{number}"), piece)
            text = text.replace(f'"{_MARK}{number}"', piece)
        body = text.encode("utf-8", "surrogatepass")
        if self.random.random() < 0.25:
            body = self._damaged(body)
        return body

    def _copy(self) -> Any:
        return json.loads(json.dumps(self.random.choice(self.samples)))

    def _mutated(self, document: Any, raw: list[str]) -> Any:
        """
        Change something somewhere in a document.
        """
        places: list[tuple[Any, Any]] = []
        waiting = [document]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict | list):
                keys = list(value) if isinstance(value, dict) else range(len(value))
                places += [(value, key) for key in keys]
                waiting += [value[key] for key in keys]
        if not places:
            return self.random.choice((document, [document], self._copy()))
        place, key = self.random.choice(places)
        change = self.random.choice(self._changes)
        change(self, place, key, raw)
        return document

    def _replace(self, place: Any, key: Any, raw: list[str]) -> None:
        place[key] = deepcopy(self.random.choice(_ODD))

    def _put_raw(self, place: Any, key: Any, raw: list[str]) -> None:
        place[key] = f"{_MARK}{len(raw)}"
        raw.append(self.random.choice(_RAW))

    def _delete(self, place: Any, key: Any, raw: list[str]) -> None:
        del place[key]

    def _repeat(self, place: Any, key: Any, raw: list[str]) -> None:
        if isinstance(place, list):
            place += [place[key]] * self.random.choice((1, 2, 20))
        else:
            place[self.random.choice(_KEYS)] = place[key]

    def _rename(self, place: Any, key: Any, raw: list[str]) -> None:
        if isinstance(place, dict):
            place[self.random.choice(_KEYS)] = place.pop(key)
        else:
            self.random.shuffle(place)

    def _add(self, place: Any, key: Any, raw: list[str]) -> None:
        value = deepcopy(self.random.choice(_ODD))
        if isinstance(place, dict):
            place[self.random.choice(_KEYS)] = value
        else:
            place.append(value)

    def _wrap(self, place: Any, key: Any, raw: list[str]) -> None:
        place[key] = self.random.choice(
            ([place[key]], {self.random.choice(_KEYS): place[key]})
        )

    def _graft(self, place: Any, key: Any, raw: list[str]) -> None:
        other = self._copy()
        while isinstance(other, dict | list) and other and self.random.random() < 0.8:
            inner = list(other.values()) if isinstance(other, dict) else other
            other = self.random.choice(inner)
        place[key] = other

    _changes: Sequence[Callable[[Any, Any, Any, list[str]], None]] = (
        _replace,
        _replace,
        _put_raw,
        _delete,
        _repeat,
        _rename,
        _add,
        _wrap,
        _graft,
    )

    def _damaged(self, body: bytes) -> bytes:
        """
        Change bytes, whatever they mean.
        """
        at = self.random.randrange(len(body) + 1)
        to = min(len(body), at + self.random.randrange(20))
        noise = self.random.randbytes(self.random.randrange(1, 8))
        return self.random.choice(
            (
                body[:at],
                body[at:],
                body[:at] + noise + body[at:],
                body[:at] + noise + body[to:],
                body[:at] + body[to:],
                body[:to] + body[at:],
                body + body,
                body + b"\0",
                b"\xef\xbb\xbf" + body,
                b" \r\n\t" + body + b"\n",
                body.decode("utf-8", "replace").encode("utf-16"),
                noise * 1000,
                b"",
            )
        )

    def _sign(self, secret: bytes, body: bytes) -> bytes:
        digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
        return f"sha256={digest}".encode("ascii")

    def _forged(self, body: bytes) -> bytes | None:
        good = self._sign(self.secret, body)
        other = b"0" if good[-1:] != b"0" else b"1"
        return self.random.choice(
            (
                None,
                b"",
                b"sha256=",
                good[:-1],
                good[:-1] + other,
                good + b"0",
                good.upper(),
                good.replace(b"sha256", b"sha1"),
                good[len(b"sha256=") :],
                b"sha1="
                + hmac.new(self.secret, body, hashlib.sha1).hexdigest().encode(),
                self._sign(self.secret[::-1] + b"x", body),
                self._sign(self.secret, body + b" "),
                good[:-2] + b"\xff\xfe",
                b"sha256=" + "\u00e9".encode() * 32,
                b"sha256=" + b"f" * 5000,
            )
        )
