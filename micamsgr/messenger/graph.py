"""
The Graph API: one Page's messages out, and what it says about itself.

Source: docs/messenger-platform.md, sections 4, 5 and 8.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field
from twisted.logger import Logger
from twisted.web.http_headers import Headers
from zope.interface import implementer

from micamsgr.conversation.events import Conversation, PageId, Psid
from micamsgr.conversation.interfaces import IMessenger, Presence
from micamsgr.conversation.outcomes import (
    InDoubt,
    LookedUp,
    NotSent,
    Outcome,
)
from micamsgr.conversation.pacing import Pressure
from micamsgr.errors import OutcomeUnknown, RemoteError, Unavailable
from micamsgr.httpcall import Answer, Call

from .graph_answers import (
    document,
    mapping,
    read_error,
    read_messages,
    read_outcome,
    read_page,
    read_token,
    reads_unproved,
)
from .usage import read_pressures

_ACTIONS = {Presence.SEEN: "mark_seen", Presence.TYPING: "typing_on"}

_LOOK_UP_FIELDS = "messages.limit(20){id,created_time,from,to,message,attachments}"


def appsecret_proof(secret: str, token: str) -> str:
    """
    Prove that whoever has the token has the app's secret too.

    Source: docs/messenger-platform.md, section 4.7.
    """
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


@define(eq=False)
class TokenState:
    """
    What the Graph API said last about a token.

    :ivar good: ``None`` while it said nothing.
    :ivar unproved: whether it refused our proof of the app's secret with it, and
        took nothing since.
    """

    good: bool | None = None
    unproved: bool = False

    def learn(self, status: int, told: dict[str, Any]) -> None:
        """
        Conclude from any answer.

        :param told: its object; empty where it is none.
        """
        good = read_token(status, told)
        if good is not None:
            self.good = good
        self.unproved = good is None and (self.unproved or reads_unproved(told))


@implementer(IMessenger)
@define(eq=False)
class GraphMessenger:
    """
    Send as one Page.

    The token is in a header, so that no URL that anybody logs holds it.

    :ivar _call: makes one HTTP call.
    :ivar _root: the Graph API's URL with its version, without a final slash.
    :ivar _deadline: seconds for one call, from its start to the last byte.
    :ivar _correct: told the ``Date`` of each answer.
    :ivar _mark_seen: whether people may see that we read.
    :ivar _state: what is said about the token is noted there; others may
        share it.
    :ivar pressed: see :class:`~micamsgr.conversation.interfaces.IMessenger`.
    """

    _call: Call
    _root: str
    _token: str = field(repr=False)
    _secret: str = field(repr=False)
    _deadline: float
    _correct: Callable[[str | None], None]
    _mark_seen: bool = True
    _state: TokenState = field(factory=TokenState, kw_only=True)

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
            return NotSent(detail=error.detail, rest=error.retry_after, away=True)
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
        answer = await self.get(path)
        return read_messages(answer, conversation.page, conversation.psid)

    async def pass_on(self, conversation: Conversation, app: str) -> None:
        document = {
            "recipient": {"id": conversation.psid},
            "target_app_id": app,
            "metadata": "mica: no answer",
        }
        try:
            answer = await self._post(
                conversation.page, document, to="pass_thread_control"
            )
            if answer.status == 200:
                return
            why = read_error(answer).detail
        except RemoteError as error:
            why = error.detail
        self._log.error(
            "a thread could not be passed to app {app}: {why}",
            event="thread.not_passed",
            app=app,
            why=why,
        )

    async def show(self, conversation: Conversation, presence: Presence) -> None:
        if presence is Presence.SEEN and not self._mark_seen:
            return
        name = _ACTIONS[presence]
        action = {"recipient": {"id": conversation.psid}, "sender_action": name}
        try:
            answer = await self._post(conversation.page, action)
            if answer.status == 200:
                return
            why = read_error(answer).detail
        except RemoteError as error:
            why = error.detail
        self._log.debug(
            "{action} failed: {why}", event="presence.failed", action=name, why=why
        )

    async def page(self) -> PageId:
        """
        Ask which Page the token is of.

        :raises Unavailable: for now.
        :raises Refused: for good.
        """
        return read_page(await self.get("me?fields=id,name"))

    async def post(self, path: str) -> Answer:
        """
        Ask for a change that may be asked for again.

        :param path: below the version, with a query, which may be empty.

        :raises Unavailable: where there is no answer.
        """
        url = self._url(path)
        try:
            return await self._exchange("POST", url, b"{}")
        except OutcomeUnknown as error:
            raise Unavailable(error.detail) from error

    async def get(self, path: str) -> Answer:
        """
        Ask for something.

        :param path: below the version, with a query, which may be empty.

        :raises Unavailable: where there is no answer; reading has no effect.
        """
        url = self._url(path)
        try:
            return await self._exchange("GET", url, None)
        except OutcomeUnknown as error:
            raise Unavailable(error.detail) from error

    def _url(self, path: str) -> str:
        joint = "" if path.endswith("?") else "&"
        return f"{self._root}/{path}{joint}{self._proof}"

    async def _post(
        self, page: PageId, document: dict[str, Any], *, to: str = "messages"
    ) -> Answer:
        url = f"{self._root}/{_path(page)}/{to}?{self._proof}"
        return await self._exchange("POST", url, json.dumps(document).encode())

    async def _exchange(self, method: str, url: str, body: bytes | None) -> Answer:
        headers = self._headers if body is None else self._json_headers
        answer = await self._call(
            method, url, headers=headers, body=body, deadline=self._deadline
        )
        told = mapping(document(answer))
        if told:
            # Not from whatever stands between us and Meta.
            dates = answer.headers.getRawHeaders(b"date")
            self._correct(dates[-1].decode("ascii", "replace") if dates else None)
        self._state.learn(answer.status, told)
        for pressure in read_pressures(answer.status, answer.headers):
            self.pressed(pressure)
        return answer


def _path(page: PageId | Psid) -> str:
    return quote(page, safe="")
