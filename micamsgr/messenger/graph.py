"""
The Graph API: one Page's messages out, and what it says about itself.

Pure functions read what comes back; the class waits for it.

Source: docs/messenger-platform.md, sections 4, 5 and 8.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from attrs import define, field, frozen
from twisted.logger import Logger
from twisted.web.http_headers import Headers
from zope.interface import implementer

from micamsgr.conversation.events import Conversation, Mid, PageId, Psid
from micamsgr.conversation.interfaces import IMessenger, Presence
from micamsgr.conversation.outcomes import (
    InDoubt,
    LookedUp,
    NeverSent,
    NotSent,
    Outcome,
    Seen,
    Sent,
)
from micamsgr.conversation.pacing import Pressure
from micamsgr.errors import OutcomeUnknown, Refused, RemoteError, Unavailable
from micamsgr.httpcall import Answer

from .graph_errors import Meaning, hint, meaning, proof_refused
from .usage import read_pressures, read_rest

# Seconds to wait where the Graph API names no time.
_AFTER_A_LIMIT = 30.0
_AFTER_PAGE_TROUBLE = 60.0
_LATER = 60.0

_CODE = re.compile("-?[0-9]{1,19}")
_TRACE = re.compile("[A-Za-z0-9_-]{1,32}")
_TOKEN_CODES = frozenset({102, 190})

_ACTIONS = {Presence.SEEN: "mark_seen", Presence.TYPING: "typing_on"}

# Meta shows the details of so many messages of a thread.
# Source: docs/messenger-platform.md, section 8.
_SHOWN = 20

_LOOK_UP_FIELDS = "messages.limit(20){id,created_time,from,to,message,attachments}"


class Call(Protocol):
    """What is needed of :class:`~micamsgr.httpcall.HTTPCaller`."""

    async def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Answer: ...


@frozen
class GraphError:
    """
    An answer other than success.

    :ivar code: ``None`` where there is no error object.
    :ivar rest: seconds to wait, where the Graph API named them.
    """

    meaning: Meaning
    code: int | None
    detail: str
    rest: float | None


def appsecret_proof(secret: str, token: str) -> str:
    """
    Prove that whoever has the token has the app's secret too.

    Source: docs/messenger-platform.md, section 4.7.
    """
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def read_error(answer: Answer) -> GraphError:
    """
    Read why a call failed.  Never raises.

    The detail holds no text from the answer but numbers and what looks like a
    trace ID, and says what the operator is to do, where that is needed.
    """
    error = _mapping(_mapping(_document(answer)).get("error"))
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    if 300 <= answer.status < 400:
        return GraphError(
            Meaning.PAGE,
            code,
            f"status {answer.status}, a redirect: check facebook.graph_url",
            None,
        )
    means, todo = meaning(answer.status, code, subcode), hint(code, subcode)
    if means is Meaning.MESSAGE and proof_refused(code, error.get("message")):
        means, todo = Meaning.PAGE, "check facebook.secret"
    trace = error.get("fbtrace_id")
    known = isinstance(trace, str) and _TRACE.fullmatch(trace)
    detail = (
        f"status {answer.status}, code {code}, subcode {subcode},"
        f" fbtrace_id {trace if known else '-'}"
    )
    if means is Meaning.PAGE:
        detail += f": {todo}"
    return GraphError(means, code, detail, read_rest(answer.headers))


def read_outcome(answer: Answer) -> Outcome:
    """
    Conclude from an answer of the Send API what came of the message.
    """
    if 200 <= answer.status < 300:
        document = _mapping(_document(answer))
        mid = document.get("message_id")
        if isinstance(mid, str) and 0 < len(mid) < 500 and "error" not in document:
            return Sent(Mid(_fit(mid)))
        if "error" not in document:
            return InDoubt(f"status {answer.status} without a message_id")
    error = read_error(answer)
    rest = error.rest
    if error.meaning is Meaning.DOUBT:
        return InDoubt(error.detail)
    if error.meaning is Meaning.LATER:
        return NotSent(detail=error.detail, rest=rest or _LATER)
    if error.meaning is Meaning.LIMIT:
        return NotSent(detail=error.detail, rest=rest or _AFTER_A_LIMIT, pause=True)
    if error.meaning is Meaning.PAGE:
        return NotSent(
            detail=error.detail,
            rest=rest or _AFTER_PAGE_TROUBLE,
            pause=True,
            alarm=True,
        )
    return NeverSent(error.meaning.value, error.detail)


def read_messages(answer: Answer, page: PageId, psid: Psid) -> LookedUp:
    """
    Read the Page's own messages to a person from a look-up's answer.

    :raises Unavailable: the look-up failed, for now.
    :raises Refused: it failed for good.
    """
    document = _document(answer)
    threads = _mapping(document).get("data")
    if answer.status != 200 or not isinstance(threads, list):
        raise _trouble(answer)
    messages: list[_Message] = []
    reaches: list[int] = []
    for thread in threads:
        shown = _mapping(_mapping(thread).get("messages"))
        items = shown.get("data")
        if not isinstance(items, list):
            # What it doesn't show may be there all the same.
            raise Unavailable("a look-up that shows a thread without messages")
        read = [_message(item) for item in _items(items)]
        if read and (len(read) >= _SHOWN or "next" in _mapping(shown.get("paging"))):
            reaches.append(min(message.at for message in read))
        messages += read
    return LookedUp(
        tuple(
            Seen(message.mid, message.at, message.text)
            for message in messages
            if message.sender == page
            and (not message.receivers or psid in message.receivers)
        ),
        max(reaches, default=None),
    )


@frozen
class _Message:
    mid: Mid
    at: int
    text: str
    sender: str
    receivers: frozenset[str]


def _message(item: dict[str, Any]) -> _Message:
    """
    :raises Unavailable: where it can't be read: it may be just the one that
        is looked for.
    """
    mid, text = item.get("id"), item.get("message") or ""
    at = _milliseconds(item.get("created_time"))
    sender = _mapping(item.get("from")).get("id")
    receivers = _items(_mapping(item.get("to")).get("data"))
    if not (isinstance(mid, str) and isinstance(text, str) and sender) or at is None:
        raise Unavailable("a look-up that shows a message that can't be read")
    return _Message(
        Mid(_fit(mid)),
        at,
        _fit(text),
        str(sender),
        frozenset(str(one["id"]) for one in receivers if "id" in one),
    )


def read_page(answer: Answer) -> PageId:
    """
    Read whose token it was that asked.

    :raises Unavailable: it isn't known now.
    :raises Refused: the Graph API won't say.
    """
    page = _mapping(_document(answer)).get("id")
    if answer.status == 200 and isinstance(page, (str, int)):
        digits = str(page)
        if digits.isascii() and digits.isdigit():
            return PageId(digits)
    raise _trouble(answer)


def _trouble(answer: Answer) -> RemoteError:
    error = read_error(answer)
    if error.meaning in (Meaning.DOUBT, Meaning.LATER, Meaning.LIMIT):
        if answer.status in (401, 403, 404):
            return Refused(error.detail)
        return Unavailable(error.detail, error.rest)
    if error.code in _TOKEN_CODES:
        # A better one may come.
        return Unavailable(error.detail, _AFTER_PAGE_TROUBLE)
    return Refused(error.detail)


def _document(answer: Answer) -> object:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[dict[str, Any]]:
    return [_mapping(item) for item in value] if isinstance(value, list) else []


def _integer(value: object) -> int | None:
    if not isinstance(value, (int, str)):
        return None
    digits = str(value)
    return int(digits) if _CODE.fullmatch(digits) else None


def _fit(text: str) -> str:
    """
    Make text fit to store and to log: no lone surrogates, no NUL.
    """
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _milliseconds(value: object) -> int | None:
    """
    Read ``2026-11-22T15:50:17+0000``, UTC where it names no offset, or seconds
    since the epoch.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value * 1000
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_iso(value))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)


def _iso(text: str) -> str:
    """
    Spell a time as Python 3.10 reads it.
    """
    if text.endswith("Z"):
        return text[:-1] + "+00:00"
    if len(text) > 5 and text[-5] in "+-" and text[-4:].isdigit():
        return f"{text[:-2]}:{text[-2:]}"
    return text


@implementer(IMessenger)
@define(eq=False)
class GraphMessenger:
    """
    Send as one Page.

    The token is in a header, so that no URL that anybody logs holds it.

    :ivar _call: see :meth:`micamsgr.httpcall.HTTPCaller.call`.
    :ivar _root: the Graph API's URL with its version, without a final slash.
    :ivar _deadline: seconds for one call, from its start to the last byte.
    :ivar _correct: told the ``Date`` of each answer.
    :ivar _mark_seen: whether people may see that we read.
    :ivar pressed: see :class:`~micamsgr.conversation.interfaces.IMessenger`.
    """

    _call: Call
    _root: str
    _token: str = field(repr=False)
    _secret: str = field(repr=False)
    _deadline: float
    _correct: Callable[[str | None], None]
    _mark_seen: bool = True

    pressed: Callable[[Pressure], None] = field(default=lambda _: None, init=False)

    _headers: Headers = field(init=False, repr=False)
    _json_headers: Headers = field(init=False, repr=False)
    _proof: str = field(init=False, repr=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        common = {
            "Authorization": [f"Bearer {self._token}"],
            "User-Agent": ["micamessenger"],
        }
        self._headers = Headers(common)
        self._json_headers = Headers({**common, "Content-Type": ["application/json"]})
        self._proof = "appsecret_proof=" + appsecret_proof(self._secret, self._token)

    async def send(
        self, conversation: Conversation, text: str, metadata: str
    ) -> Outcome:
        message = {
            "recipient": {"id": conversation.psid},
            "messaging_type": "RESPONSE",
            "message": {"text": text, "metadata": metadata},
        }
        try:
            return read_outcome(await self._post(conversation.page, message))
        except Unavailable as error:
            return NotSent(detail=error.detail, rest=error.retry_after)
        except OutcomeUnknown as error:
            return InDoubt(error.detail)

    async def look_up(self, conversation: Conversation) -> LookedUp:
        query = urlencode(
            {
                "platform": "messenger",
                "user_id": conversation.psid,
                "fields": _LOOK_UP_FIELDS,
            }
        )
        path = f"{_path(conversation.page)}/conversations?{query}"
        answer = await self._get(path)
        return read_messages(answer, conversation.page, conversation.psid)

    async def show(self, conversation: Conversation, presence: Presence) -> None:
        if presence is Presence.SEEN and not self._mark_seen:
            return
        action = {
            "recipient": {"id": conversation.psid},
            "sender_action": _ACTIONS[presence],
        }
        try:
            answer = await self._post(conversation.page, action)
        except RemoteError as error:
            self._log.debug("{action} failed: {error!r}", action=presence, error=error)
            return
        if answer.status != 200:
            self._log.debug(
                "{action} failed: {error!r}", action=presence, error=read_error(answer)
            )

    async def page(self) -> PageId:
        """
        Ask which Page the token is of.

        :raises Unavailable: for now.
        :raises Refused: for good.
        """
        return read_page(await self._get("me?fields=id,name"))

    async def _get(self, path: str) -> Answer:
        """
        :raises Unavailable: where there is no answer; reading has no effect.
        """
        url = f"{self._root}/{path}&{self._proof}"
        try:
            return await self._exchange("GET", url, None)
        except OutcomeUnknown as error:
            raise Unavailable(error.detail) from error

    async def _post(self, page: PageId, document: dict[str, Any]) -> Answer:
        url = f"{self._root}/{_path(page)}/messages?{self._proof}"
        return await self._exchange("POST", url, json.dumps(document).encode())

    async def _exchange(self, method: str, url: str, body: bytes | None) -> Answer:
        headers = self._headers if body is None else self._json_headers
        answer = await self._call(
            method, url, headers=headers, body=body, deadline=self._deadline
        )
        if _mapping(_document(answer)):
            # Not from whatever stands between us and Meta.
            dates = answer.headers.getRawHeaders(b"date")
            self._correct(dates[-1].decode("ascii", "replace") if dates else None)
        for pressure in read_pressures(answer.status, answer.headers):
            self.pressed(pressure)
        return answer


def _path(page: PageId | Psid) -> str:
    return quote(page, safe="")
