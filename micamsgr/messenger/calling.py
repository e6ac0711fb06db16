"""
Calls the Graph API, whose answer somebody will judge.

Source: docs/messenger-platform.md, section 10.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from attrs import define
from twisted.web.http_headers import Headers

from micamsgr.errors import OutcomeUnknown, Unavailable
from micamsgr.httpcall import Call

from .told import Told


@define(eq=False)
class GraphCalls:
    """
    Make calls, and tell what came of each.

    The token is in a header, so that no URL that anybody logs holds it.

    :ivar _root: the Graph API's URL with its version, without a final slash.
    :ivar _wall: this machine's wall clock, in seconds since the epoch.
    :ivar _ticks: the monotonic clock, in seconds.
    :ivar _deadline: seconds for one call.
    """

    _call: Call
    _root: str
    _wall: Callable[[], float]
    _ticks: Callable[[], float]
    _deadline: float

    async def get(self, path: str, token: str | None, **query: str) -> Told:
        """
        Ask for something.

        :param path: below the version.
        :param token: ``None``: nobody's.
        """
        return await self._ask("GET", path, token, None, query)

    async def post(
        self, path: str, token: str, document: Mapping[str, object], **query: str
    ) -> Told:
        """
        Ask for a change.

        :param document: sent as JSON.
        """
        body = json.dumps(dict(document)).encode("ascii")
        return await self._ask("POST", path, token, body, query)

    async def _ask(
        self,
        method: str,
        path: str,
        token: str | None,
        body: bytes | None,
        query: Mapping[str, str],
    ) -> Told:
        url = f"{self._root}/{path}?{urlencode(query)}"
        headers = Headers({"User-Agent": ["micamessenger"]})
        if token is not None:
            headers.addRawHeader("Authorization", f"Bearer {token}")
        if body is not None:
            headers.addRawHeader("Content-Type", "application/json")
        wall, began = self._wall(), self._ticks()
        answer, failure = None, ""
        try:
            answer = await self._call(
                method, url, headers=headers, body=body, deadline=self._deadline
            )
        except (Unavailable, OutcomeUnknown) as error:
            failure = error.detail
        seconds = self._ticks() - began
        return Told(
            answer=answer,
            failure=failure,
            at=wall + seconds / 2.0,
            seconds=seconds,
        )


async def debug_token(calls: GraphCalls, app: str, secret: str, token: str) -> Told:
    """
    Ask, as an app, what a token is.

    The token is in the URL, where alone it has a place.

    :param secret: the app's.
    """
    return await calls.get("debug_token", f"{app}|{secret}", input_token=token)
