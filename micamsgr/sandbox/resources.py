"""
The sandbox over HTTP: the page, what the people on it do, and the Graph API.

It is for browsers on this machine alone.  What a page of somebody else's may
make a browser ask is refused: a name that isn't loopback's (DNS rebinding),
and whatever another origin sends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

from attrs import define, field, frozen
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request

from micamsgr.errors import RejectedRequest
from micamsgr.sandbox.addresses import is_loopback
from micamsgr.sandbox.switches import Trouble

#: The most characters that a person may write at once.
MOST_TEXT = 4000

_FILES = {
    b"": ("index.html", "text/html; charset=utf-8"),
    b"style.css": ("style.css", "text/css; charset=utf-8"),
    b"icon.svg": ("icon.svg", "image/svg+xml"),
} | {
    f"{name}.js".encode(): (f"{name}.js", "text/javascript; charset=utf-8")
    for name in ("script", "chat", "elements", "reading", "server", "story")
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; form-action 'none'; frame-ancestors 'none';"
    " base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_VERSION = re.compile(rb"v\d+\.\d+")


# What one does on the page.


@frozen
class Join:
    """Another person begins to chat with a bot."""

    bot: str


@frozen
class Say:
    """
    A person writes.

    :ivar payload: of the quick reply that they tapped, if it was one.
    """

    psid: str
    text: str
    payload: str | None = None


@frozen(kw_only=True)
class Tap:
    """A person taps a button."""

    psid: str
    title: str
    payload: str


@frozen
class Answer:
    """Somebody of the Page's staff writes, in the Page's inbox."""

    psid: str
    text: str


@frozen
class Flip:
    """A switch is put on or off."""

    trouble: Trouble
    on: bool


Action = Join | Say | Tap | Answer | Flip


def read_action(name: str, body: bytes) -> Action:
    """
    Read what one does on the page.

    :raises RejectedRequest: with status 404 where there is no such thing to
        do, and 400 where it can't be read.
    """
    read = _ACTIONS.get(name)
    if read is None:
        raise RejectedRequest(404, "no such action")
    try:
        document = json.loads(body)
        if not isinstance(document, dict):
            raise TypeError("not an object")
        return read(document)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RejectedRequest(400, type(error).__name__) from error


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MOST_TEXT:
        raise TypeError("expected text")
    if not value.strip():
        raise ValueError("blank")
    # JSON can name a lone surrogate, which nothing can encode.
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _say(document: Mapping[str, Any]) -> Say:
    payload = document.get("payload")
    return Say(
        _text(document["psid"]),
        _text(document["text"]),
        None if payload is None else _text(payload),
    )


def _tap(document: Mapping[str, Any]) -> Tap:
    return Tap(
        psid=_text(document["psid"]),
        title=_text(document["title"]),
        payload=_text(document["payload"]),
    )


_ACTIONS: Mapping[str, Callable[[Mapping[str, Any]], Action]] = {
    "join": lambda document: Join(_text(document["bot"])),
    "say": _say,
    "tap": _tap,
    "answer": lambda document: Answer(_text(document["psid"]), _text(document["text"])),
    "flip": lambda document: Flip(Trouble(document["trouble"]), document["on"] is True),
}


def check_origin(host: str, origin: str | None) -> None:
    """
    Refuse what a page of somebody else's may have sent.

    :param host: the header ``Host``.
    :param origin: the header ``Origin``, if there is one.

    :raises RejectedRequest: with status 403.
    """
    name = re.fullmatch(r"\[(.+)\](?::\d+)?|([^:]*)(?::\d+)?", host)
    if name is None or not is_loopback(name[1] or name[2]):
        raise RejectedRequest(403, "not a name of this machine's loopback")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        raise RejectedRequest(403, "from another origin")


class _Refusal(Resource):
    """
    Whatever is asked of it, it answers a status.
    """

    isLeaf = True

    def __init__(self, status: int) -> None:
        super().__init__()
        self._status = status

    def render(self, request: Request) -> bytes:
        return _answer(request, self._status)


class _File(Resource):
    """
    A file of the page.
    """

    isLeaf = True

    def __init__(self, name: str, kind: str) -> None:
        super().__init__()
        self._kind = kind
        self._content = (Path(__file__).parent / "page" / name).read_bytes()

    def render_GET(self, request: Request) -> bytes:
        request.setHeader("Content-Type", self._kind)
        return self._content


@define(eq=False, slots=False)
class _Act(Resource):
    """
    Take what one does on the page.

    :ivar _do: does it; may raise :exc:`~micamsgr.errors.RejectedRequest`.
    """

    isLeaf = True

    _name: str
    _do: Callable[[Action], None]

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def render_POST(self, request: Request) -> bytes:
        try:
            # Another origin's page can't send this kind without being asked.
            kind = request.getHeader("content-type") or ""
            if kind.partition(";")[0].strip() != "application/json":
                raise RejectedRequest(415, "not JSON")
            self._do(read_action(self._name, cast(IO[bytes], request.content).read()))
        except RejectedRequest as error:
            self._log.info(
                "refused: {reason}", event="sandbox.refused", reason=error.reason
            )
            return _answer(request, error.status)
        request.setResponseCode(204)
        return b""


@define(eq=False, slots=False)
class SandboxRoot(Resource):
    """
    The sandbox's tree of resources.

    :ivar _graph: answers below ``/v25.0`` or any other version.
    :ivar _events: answers at ``/events``.
    :ivar _do: does what one does on the page.
    """

    _graph: Resource
    _events: Resource
    _do: Callable[[Action], None]

    _files: dict[bytes, Resource] = field(init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        super().__init__()
        self._files = {path: _File(*file) for path, file in _FILES.items()}

    def getChild(self, path: bytes, request: Request) -> Resource:
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        host, origin = request.getHeader("host"), request.getHeader("origin")
        try:
            check_origin(host or "", origin)
        except RejectedRequest as error:
            self._log.warn(
                "the sandbox refuses: {reason}",
                event="sandbox.stranger",
                reason=error.reason,
            )
            return _Refusal(error.status)
        if _VERSION.fullmatch(path):
            # It is a leaf that reads the path from the request itself.
            return self._graph
        rest: list[bytes] = request.postpath or []
        if path == b"do" and len(rest) == 1:
            return _Act(rest[0].decode("ascii", "replace"), self._do)
        if path == b"events" and not rest:
            return self._events
        if path in self._files and not rest:
            return self._files[path]
        return _Refusal(404)


def _answer(request: Request, status: int) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    return f"{status}\n".encode("ascii")
