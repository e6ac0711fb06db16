"""
What Meta asks of an app for people's sake: to erase what is kept of a person,
and to know that it was removed.

Source: docs/messenger-platform.md, section 11.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from micamsgr.conversation.deletion import (
    Deletion,
    Deletions,
    Progress,
    code_in,
    code_of,
)
from micamsgr.conversation.events import BotName, Psid
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.pacing import TokenBucket
from micamsgr.errors import RejectedRequest, StoreUnavailable

from .patience import COMMIT_DEADLINE, Patience
from .seldom import Seldom
from .signed_request import SignedRequest, check_signed_request, form_field
from .webhook import Channel

T = TypeVar("T")

#: Where the page is on which people see what came of their request.
STATUS_PATH = "/v1/facebook/deletion-status"

#: Why no request is taken before the operator has said where we are.
NO_URL = "public_url is not set"

# Most requests to be erased, and most looks at what came of them, per second.
# Those that are not authentic are not counted: they would keep Meta out.
_ASKED, _LOOKED_UP = 50.0, 50.0

# Seconds between two lines about the same.
_INTERVAL = 60.0


@frozen
class Accepted:
    """
    A request that is kept.

    :ivar url: where the person sees what comes of it.
    :ivar code: by which they know it.
    """

    url: str
    code: str


@define(eq=False)
class Compliance:
    """
    Do what Meta's callbacks ask for.

    An app has one URL for each, and its signature proves the app: what is asked
    for by one bot's URL concerns all the bots of its app.

    :ivar strangers: when to log what anybody may send.
    :ivar _clock: for deadlines and rates.
    :ivar _now: reads the clocks.
    :ivar _channels: asks for the bots that there are.
    :ivar _public_url: asks for what people call, without a slash at its end.
    """

    _clock: IReactorTime
    _now: Callable[[], Moment]
    _deletions: Deletions
    _channels: Callable[[], Mapping[BotName, Channel]]
    _public_url: Callable[[], str | None]

    strangers: Seldom = field(init=False)
    _patience: Patience = field(init=False)
    _asked: TokenBucket = field(factory=lambda: TokenBucket(_ASKED), init=False)
    _looked_up: TokenBucket = field(factory=lambda: TokenBucket(_LOOKED_UP), init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self.strangers = Seldom(self._clock, _INTERVAL)
        self._patience = Patience(self._clock, COMMIT_DEADLINE)

    async def delete(self, channel: Channel, body: bytes) -> Accepted:
        """
        Keep a person's request to be erased; the same one is kept once.

        :raises RejectedRequest: with status 400 where it is none, 403 where it
            is not authentic, 413 where it is too large, 429 where too many
            come, 503 where it could not be kept, in time or at all.
        """
        signed = _signed(channel, body)
        if signed.user is None:
            raise RejectedRequest(400, "a request to erase nobody")
        public_url = self._public_url()
        if public_url is None:
            # Not from the request: whoever forges its Host could send people
            # to a page of their own.
            raise RejectedRequest(503, NO_URL)
        if not self._asked.take(self._clock.seconds()):
            raise RejectedRequest(429, "too many requests to be erased")
        code = code_of(channel.secret, signed.user, signed.issued)
        bots = [it.bot for it in self._app_of(channel)]
        asking = self._deletions.ask(code, signed.user, bots, self._now())
        deletion = await self._in_time(asking)
        self._log.info(
            "bot {bot}: {person} asks through Facebook to be erased: {progress}",
            event="erasure.requested",
            bot=channel.bot,
            person=(
                channel.alias(Psid(signed.user))
                if deletion.progress is Progress.UNDER_WAY
                else "somebody"
            ),
            progress=deletion.progress.value,
        )
        return Accepted(f"{public_url}{STATUS_PATH}/{code}", code)

    async def look_up(self, text: str) -> Deletion | None:
        """
        Say what has come of a request.

        :param text: its code, or anything else.

        :raises RejectedRequest: with status 429 where too many ask, 503 where
            nobody can say.
        """
        code = code_in(text)
        if code is None:
            return None
        if not self._looked_up.take(self._clock.seconds()):
            raise RejectedRequest(429, "too many look what came of a request")
        return await self._in_time(self._deletions.look_up(code))

    async def deauthorize(self, channel: Channel, body: bytes) -> None:
        """
        Learn that a person, or the staff of a Page, has removed the app; tell
        the operator what that may mean.

        :raises RejectedRequest: with status 400 where it is nothing such, 403
            where it is not authentic, 413 where it is too large.
        """
        signed = _signed(channel, body)
        pages = {
            it.bot: page
            for it in self._app_of(channel)
            if (page := it.page()) is not None
        }
        cut_off = sorted(bot for bot, page in pages.items() if page == signed.page)
        if signed.page is not None and cut_off:
            self._tell_removed(cut_off, signed.page)
        elif signed.page is not None:
            if self.strangers.count((channel.bot, "page", signed.page)):
                self._log.warn(
                    "bot {bot}: the app was removed from Page {page}, which is no"
                    " bot's here, as far as is known",
                    event="app.removed_elsewhere",
                    bot=channel.bot,
                    page=signed.page,
                )
        elif self.strangers.count((channel.bot, "person", signed.user)):
            self._log.warn(
                "bot {bot}: {person} removed the app; if the Page's token was made"
                " with their account it works no more: make another, and put it into"
                " facebook.page_access_token; else there is nothing to do",
                event="app.removed_by_person",
                bot=channel.bot,
                person=(
                    "somebody"
                    if signed.user is None
                    else channel.alias(Psid(signed.user))
                ),
            )

    def _tell_removed(self, bots: Sequence[str], page: str) -> None:
        for bot in bots:
            if self.strangers.count((bot, "removed", page)):
                self._log.error(
                    "bot {bot}: the app was removed from Page {page}; its token has"
                    " probably ceased to work, and nothing more is delivered: connect"
                    " the app to the Page again, and put the new token into"
                    " facebook.page_access_token",
                    event="app.removed",
                    bot=bot,
                    page=page,
                    removed=True,
                )

    def _app_of(self, channel: Channel) -> list[Channel]:
        """
        List the bots of the same app.
        """
        channels = {**self._channels(), channel.bot: channel}
        return [
            it
            for it in channels.values()
            if hmac.compare_digest(it.secret, channel.secret)
        ]

    async def _in_time(self, working: Awaitable[T]) -> T:
        async def wait() -> T:
            return await working

        try:
            return await self._patience.wait(Deferred.fromCoroutine(wait()))
        except StoreUnavailable as error:
            raise RejectedRequest(503, error.detail) from error


def _signed(channel: Channel, body: bytes) -> SignedRequest:
    return check_signed_request(channel.secret, form_field(body, b"signed_request"))
