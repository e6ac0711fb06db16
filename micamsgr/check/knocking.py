"""
Knocks where Meta would.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from attrs import frozen
from twisted.web.http_headers import Headers

from micamsgr.config.values import Bot
from micamsgr.errors import OutcomeUnknown, Unavailable
from micamsgr.httpcall import Call

from .findings import Finding
from .subscribed import webhook_url
from .webhook import (
    EMPTY,
    Reply,
    judge_reach,
    judge_signed,
    judge_unsigned,
    judge_verification,
    signature,
    unasked,
    verification,
)

# Seconds; Meta's own.
_PATIENCE = 5.0


@frozen
class Knocker:
    """
    Make requests to a webhook.

    :ivar _ticks: the monotonic clock, in seconds.
    :ivar _deadline: seconds for one request.
    """

    _call: Call
    _ticks: Callable[[], float]
    _deadline: float = _PATIENCE

    async def verify(self, url: str, verify_token: str, challenge: str) -> Reply:
        """Ask as Meta asks whether a callback is the app's."""
        asked = verification(url, verify_token, challenge)
        return await self._request("GET", asked, Headers(), None)

    async def deliver(self, url: str, secret: str | None) -> Reply:
        """
        Deliver nothing.

        :param secret: signs it; ``None``: nobody does.
        """
        headers = Headers({"Content-Type": ["application/json"]})
        if secret is not None:
            headers.addRawHeader("X-Hub-Signature-256", signature(secret, EMPTY))
        return await self._request("POST", url, headers, EMPTY)

    async def _request(
        self, method: str, url: str, headers: Headers, body: bytes | None
    ) -> Reply:
        began = self._ticks()
        try:
            answer = await self._call(
                method, url, headers=headers, body=body, deadline=self._deadline
            )
        except Unavailable as error:
            return Reply(answer=None, failure=error.detail, connected=False)
        except OutcomeUnknown as error:
            return Reply(answer=None, failure=error.detail)
        return Reply(answer=answer, seconds=self._ticks() - began)


async def ask_webhook(
    knocker: Knocker,
    bot: Bot,
    public_url: str,
    stand_in: bool,
    *,
    modern: bool = False,
) -> list[Finding]:
    """
    Call a bot's webhook as Meta would.

    :param stand_in: as for :func:`~micamsgr.check.webhook.judge_reach`; so is
        *modern*.
    """
    url, secret = webhook_url(public_url, bot.name), bot.facebook.secret.value
    signed = await knocker.deliver(url, secret)
    found = [judge_reach(bot.name, url, signed, stand_in, modern=modern)]
    if signed.answer is None and not signed.connected:
        return found + unasked(bot.name)
    unsigned = await knocker.deliver(url, None)
    challenge = os.urandom(8).hex()
    token = bot.facebook.verify_token.value
    verified = await knocker.verify(url, token, challenge)
    return [
        *found,
        judge_verification(bot.name, verified, challenge),
        judge_signed(bot.name, signed),
        judge_unsigned(bot.name, unsigned),
    ]
