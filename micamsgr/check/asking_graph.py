"""
Asks the Graph API about one bot.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, gatherResults

from micamsgr.config.values import Facebook
from micamsgr.httpcall import Call
from micamsgr.messenger.calling import GraphCalls, debug_token
from micamsgr.messenger.graph import appsecret_proof
from micamsgr.messenger.told import Told

from .findings import Finding
from .remote import judge_clock, judge_graph
from .subscribed import (
    judge_app_subscription,
    judge_page_subscription,
    judge_routing,
)
from .token import (
    app_of,
    judge_app,
    judge_page,
    judge_proof,
    judge_scopes,
    judge_token,
    page_of,
)

# Cheap calls by which the API's latency and its errors are measured.
_CALLS = 5

# After so many without an answer there is no sense in more.
_MOST_SILENT = 2


@frozen(kw_only=True)
class Answers:
    """
    What the Graph API told about one bot.

    :ivar calls: what came of calls that only measure; at least one.
    :ivar unproved: what came of one without ``appsecret_proof``.
    :ivar debug: what ``/debug_token`` told; ``None``: no app was known to ask
        as.  So with *subscription*.
    """

    calls: tuple[Told, ...]
    unproved: Told
    app: Told
    debug: Told | None
    subscription: Told | None
    apps: Told
    features: Told


@define(eq=False)
class GraphAsker:
    """
    Ask, as a bot and as its app.

    :ivar _wall: this machine's wall clock, in seconds since the epoch.
    :ivar _ticks: the monotonic clock, in seconds.
    :ivar _deadline: seconds for one call.
    :ivar _most: seconds for the calls that only measure, together.
    """

    _call: Call
    _facebook: Facebook
    _wall: Callable[[], float]
    _ticks: Callable[[], float]
    _deadline: float = 6.0
    _most: float = 12.0

    _calls: GraphCalls = field(init=False)
    _token: str = field(init=False, repr=False)
    _proof: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        root = f"{self._facebook.graph_url}/{self._facebook.api_version}"
        self._calls = GraphCalls(
            self._call, root, self._wall, self._ticks, self._deadline
        )
        self._token = self._facebook.page_access_token.value
        self._proof = appsecret_proof(self._facebook.secret.value, self._token)

    async def ask(self) -> Answers:
        """
        Ask all that there is to ask.  Takes three calls' time at most, or that
        of the calls that measure.
        """
        begun = self._ticks()
        me = await self._as_page("me", fields="id,name")
        page = page_of(me) or self._facebook.page_id or "me"
        more, unproved, app, apps, features = await _together(
            self._measure(me, begun),
            self._calls.get("me", self._token, fields="id"),
            self._ask_app(),
            self._as_page(f"{quote(page, safe='')}/subscribed_apps"),
            self._as_page("me", fields="messaging_feature_status"),
        )
        of_app, debug, subscription = app
        return Answers(
            calls=more,
            unproved=unproved,
            app=of_app,
            debug=debug,
            subscription=subscription,
            apps=apps,
            features=features,
        )

    async def _measure(self, first: Told, begun: float) -> tuple[Told, ...]:
        calls = [first]
        while len(calls) < _CALLS:
            silent = sum(each.answer is None for each in calls)
            if silent >= _MOST_SILENT or self._ticks() - begun > self._most:
                break
            calls.append(await self._as_page("me", fields="id"))
        return tuple(calls)

    async def _ask_app(self) -> tuple[Told, Told | None, Told | None]:
        # A proof with another app's secret would hide whose the token is.
        told = await self._calls.get("app", self._token, fields="id,name")
        if not told.good:
            told = await self._as_page("app", fields="id,name")
        app = self._facebook.app_id or app_of(told)
        if app is None:
            return told, None, None
        secret = self._facebook.secret.value
        debug, subscription = await _together(
            debug_token(self._calls, app, secret, self._token),
            self._calls.get(f"{app}/subscriptions", f"{app}|{secret}"),
        )
        return told, debug, subscription

    async def _as_page(self, path: str, **query: str) -> Told:
        return await self._calls.get(
            path, self._token, appsecret_proof=self._proof, **query
        )


def judge_answers(
    bot: str,
    facebook: Facebook,
    public_url: str | None,
    bots: tuple[str, ...],
    now: float,
    told: Answers,
) -> list[Finding]:
    """
    Say what the Graph API's answers mean.

    :param bots: those that have the same app.
    :param now: seconds since the epoch.
    """
    # A wrong proof says nothing of the token.
    proved = told.calls[0]
    me = told.unproved if told.unproved.good and not proved.good else proved
    page = facebook.page_id or page_of(me)
    # A token of another app shows that one's ID.
    app = facebook.app_id or app_of(told.app)
    return [
        judge_graph(bot, told.calls),
        judge_clock(bot, told.calls),
        judge_token(bot, me, told.debug, now),
        judge_app(bot, facebook.app_id, me, told.app, told.debug),
        judge_page(bot, facebook.page_id, me, told.debug),
        judge_scopes(bot, page, told.debug),
        judge_proof(bot, proved, told.unproved),
        judge_app_subscription(bot, told.subscription, public_url, bots),
        judge_page_subscription(bot, told.apps, app),
        judge_routing(bot, told.features, told.apps, app),
    ]


async def _together(*asked: Coroutine[Any, Any, object]) -> Any:
    begun = [Deferred.fromCoroutine(each) for each in asked]
    return await gatherResults(begun, consumeErrors=True)
