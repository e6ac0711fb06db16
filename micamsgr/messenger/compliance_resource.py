"""
Meta's callbacks for people's sake as HTTP, and the page on which people see
what came of their request.

Source: docs/messenger-platform.md, section 11.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from micamsgr.errors import RejectedRequest

from .compliance import NO_URL, STATUS_PATH, Compliance
from .status_page import HEADERS, Kept, status_page
from .webhook import Channel
from .webhook_resource import Nothing

_PLAIN = "text/plain; charset=utf-8"

_BODIES = {
    400: b"bad request\n",
    403: b"forbidden\n",
    404: b"not found\n",
    405: b"method not allowed\n",
    413: b"too large\n",
    429: b"too many requests, try again\n",
    503: b"not available, try again\n",
}

# What an authentic caller is told besides, by the reason of the refusal.
_EXPLANATIONS = {NO_URL: b"not kept: the operator of this bot must set public_url\n"}

# What a refusal tells the operator to do, by its reason.
_HINTS = {
    "signature does not match": "; check facebook.secret",
    NO_URL: ", so nobody can be told where to see what comes of it: set it",
}

_RETRY = {429: "1", 503: "10"}


@frozen
class _Answer:
    body: bytes
    status: int = 200
    kind: str = _PLAIN
    headers: tuple[tuple[str, str], ...] = ()


def _refusal(status: int, reason: str = "") -> _Answer:
    retry = (("Retry-After", _RETRY[status]),) if status in _RETRY else ()
    return _Answer(_EXPLANATIONS.get(reason, _BODIES[status]), status, headers=retry)


def _send(request: Request, answer: _Answer) -> bytes:
    request.setResponseCode(answer.status)
    for name, value in (
        ("Content-Type", answer.kind),
        ("Content-Length", str(len(answer.body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        *answer.headers,
    ):
        request.setHeader(name, value)
    return answer.body


class _Waiting(Resource):
    """
    A leaf whose answer takes a while.
    """

    isLeaf = True

    _log = Logger()

    def wait(self, request: Request, working: Awaitable[_Answer], who: str) -> int:
        """
        Answer as *working* turns out.

        :param who: asks, for the log.
        """
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        async def answer() -> _Answer:
            return await working

        def refused(failure: Failure) -> _Answer:
            error = failure.value
            if isinstance(error, RejectedRequest):
                self.tell(who, error)
                return _refusal(error.status, error.reason)
            self._log.failure(
                "a defect, answering {who}", failure, event="defect", who=who
            )
            return _refusal(503)

        def finish(answer: _Answer) -> None:
            if not gone:
                request.write(_send(request, answer))
                request.finish()

        Deferred.fromCoroutine(answer()).addErrback(refused).addCallback(finish)
        return NOT_DONE_YET

    def tell(self, who: str, error: RejectedRequest) -> None:
        """
        Say in the log that somebody is refused.
        """
        raise NotImplementedError


@define(eq=False, slots=False)
class CallbackResource(_Waiting):
    """
    One of a bot's callbacks, as HTTP.

    :ivar _act: does what is asked for, and makes the answer's body.
    """

    _channel: Channel
    _compliance: Compliance
    _name: str
    _act: Callable[[Channel, bytes], Awaitable[_Answer]]

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def accepts(self, rest: Sequence[bytes]) -> Mapping[bytes, bool]:
        """
        Tell which methods there are, and whether each takes a body.
        """
        return {} if rest else {b"POST": True}

    def render(self, request: Request) -> bytes | int:
        if request.postpath:
            return _send(request, _refusal(404))
        if request.method != b"POST":
            request.setHeader("Allow", "POST")
            return _send(request, _refusal(405))
        assert request.content is not None
        body = request.content.read()
        return self.wait(request, self._act(self._channel, body), self._name)

    def tell(self, who: str, error: RejectedRequest) -> None:
        bot = self._channel.bot
        count = self._compliance.strangers.count((bot, who, error.reason))
        if count:
            self._log.emit(
                LogLevel.error if error.reason == NO_URL else LogLevel.warn,
                "bot {bot}: {who} is answered {status}: {reason}{hint} ({count} since"
                " it was last told)",
                event="callback.refused",
                bot=bot,
                who=who,
                status=error.status,
                reason=error.reason,
                hint=_HINTS.get(error.reason, ""),
                count=count,
            )


@define(eq=False, slots=False)
class StatusResource(_Waiting):
    """
    The page on which people see what came of their request, by its code.

    :ivar _kept: asks for how long things are kept anyway.
    """

    _compliance: Compliance
    _kept: Callable[[], Kept]

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def accepts(self, rest: Sequence[bytes]) -> Mapping[bytes, bool]:
        """
        Tell which methods there are, and whether each takes a body.
        """
        return {b"GET": False, b"HEAD": False}

    def render(self, request: Request) -> bytes | int:
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return _send(request, _refusal(405))
        path = request.postpath or []
        if len(path) != 1:
            return _send(request, _refusal(404))
        code = path[0].decode("utf-8", "replace")
        return self.wait(request, self._page(code), "a look at a request")

    async def _page(self, code: str) -> _Answer:
        deletion = await self._compliance.look_up(code)
        if deletion is None:
            return _refusal(404)
        page = status_page(code.upper(), deletion, self._kept())
        return _Answer(page, kind="text/html; charset=utf-8", headers=HEADERS)

    def tell(self, who: str, error: RejectedRequest) -> None:
        count = self._compliance.strangers.count((who, error.reason))
        if count:
            self._log.warn(
                "{who} is answered {status}: {reason} ({count} since it was last told)",
                event="callback.refused",
                who=who,
                status=error.status,
                reason=error.reason,
                count=count,
            )


def callbacks(
    compliance: Compliance, channels: Iterable[Channel], kept: Callable[[], Kept]
) -> dict[str, Resource]:
    """
    Make the resources ``deletion/{bot}``, ``deauthorize/{bot}`` and
    ``deletion-status/{code}``, by what they begin with.
    """

    async def delete(channel: Channel, body: bytes) -> _Answer:
        accepted = await compliance.delete(channel, body)
        document = {"url": accepted.url, "confirmation_code": accepted.code}
        return _Answer(json.dumps(document).encode(), kind="application/json")

    async def deauthorize(channel: Channel, body: bytes) -> _Answer:
        await compliance.deauthorize(channel, body)
        return _Answer(b"OK\n")

    deletion, deauthorized = Nothing(), Nothing()
    for channel in channels:
        for parent, name, act in (
            (deletion, "a request to erase somebody", delete),
            (deauthorized, "a notice that the app was removed", deauthorize),
        ):
            leaf = CallbackResource(channel, compliance, name, act)
            parent.putChild(channel.bot.encode(), leaf)
    return {
        "deletion": deletion,
        "deauthorize": deauthorized,
        STATUS_PATH.rpartition("/")[2]: StatusResource(compliance, kept),
    }
