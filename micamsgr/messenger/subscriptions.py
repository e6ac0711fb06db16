"""
Whether Meta tells our app what happens on a Page.

After an hour of failed deliveries Meta unsubscribes the app, and says nothing
to it.

Source: docs/messenger-platform.md, sections 2.4 and 10.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field, frozen
from twisted.logger import Logger

from micamsgr.conversation.events import BotName, PageId
from micamsgr.errors import Refused
from micamsgr.httpcall import Answer

from .graph import GraphMessenger
from .graph_answers import document, items, mapping, trouble

#: What the bot lives on.
NEEDED = ("messages", "messaging_postbacks", "message_echoes")

_PERMISSIONS = (
    "the token needs the permissions pages_manage_metadata and pages_messaging, and"
    " its owner the task MODERATE on the Page"
)


class State(Enum):
    """
    INTACT: our app is told all that it needs.  MENDED: it was not, and is
    again.  BROKEN: it is not.  UNKNOWN: nobody says.
    """

    INTACT = "intact"
    MENDED = "mended"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@frozen
class Subscription:
    """
    An app that is subscribed to a Page.

    :ivar app: its ID.
    :ivar fields: what it is told of; ``None`` where that is not said.
    """

    app: str
    fields: tuple[str, ...] | None


def read_subscriptions(answer: Answer) -> tuple[Subscription, ...]:
    """
    Read which apps are subscribed to a Page.

    :raises Unavailable: it can't be had now.
    :raises Refused: it can't be had, as where a permission is missing.
    """
    data = mapping(document(answer)).get("data")
    if answer.status != 200 or not isinstance(data, list):
        raise trouble(answer)
    return tuple(
        Subscription(str(item.get("id") or ""), _fields(item)) for item in items(data)
    )


def _fields(item: dict[str, Any]) -> tuple[str, ...] | None:
    told = item.get("subscribed_fields")
    if not isinstance(told, list):
        return None
    names = [mapping(one).get("name", one) for one in told]
    return tuple(name for name in names if isinstance(name, str) and name)


def ours(subscriptions: Sequence[Subscription], app: str | None) -> Subscription | None:
    """
    Find our app's subscription, unless that is :func:`unclear`.

    :param app: our app's ID; ``None``: it is not known.  Then it is the only
        one.
    """
    mine = (each for each in subscriptions if app is None or each.app == app)
    return next(mine, None)


def unclear(subscriptions: Sequence[Subscription], app: str | None) -> str | None:
    """
    Say why nobody knows to what our app is subscribed, and what to do.

    :param app: our app's ID; ``None``: it is not known, and a Page's token does
        not tell it.
    :return: ``None`` where it is known.
    """
    there = ours(subscriptions, app)
    if app is None and len(subscriptions) > 1:
        return "several apps are subscribed; give facebook.app_id"
    if there is None and not all(each.app for each in subscriptions):
        return "an app without an ID is subscribed; look at the app's dashboard"
    if there is not None and there.fields is None:
        return (
            "Meta names no subscribed_fields of it; look at the app's dashboard, or"
            " at facebook.api_version"
        )
    return None


def wanted(subscription: Subscription | None) -> tuple[str, ...] | None:
    """
    Decide to what to subscribe: what is there and what is needed.

    :param subscription: what is there, as far as that is said.
    :return: ``None`` where nothing is missing.
    """
    fields = () if subscription is None else subscription.fields
    if fields is None or set(NEEDED) <= set(fields):
        return None
    return tuple(dict.fromkeys((*fields, *NEEDED)))


async def _nothing() -> None:
    pass


@define(eq=False)
class Subscriptions:
    """
    Look after one bot's subscription.

    :ivar _app: our app's ID, where it is known.
    :ivar _repair: subscribe again; otherwise it is only told.
    :ivar _found: told whether our app is told all that it needs, where that is
        known.
    """

    _bot: BotName
    _graph: GraphMessenger
    _app: str | None
    _repair: bool
    _found: Callable[[bool], None] = field(default=lambda is_so: None)

    #: What the last look found; ``None`` before there was one.
    state: State | None = field(default=None, init=False)

    # What was told last that is not told again until it has changed.
    _told: str | None = field(default=None, init=False)

    _log = Logger()

    async def check(
        self, page: PageId, lacks: Callable[[], Awaitable[None]] = _nothing
    ) -> State:
        """
        Look whether our app is told what it needs, and see to it.

        :param lacks: called where it is not, before that is changed.

        :raises Unavailable: the Graph API does not answer, for now.
        """
        state = self.state = await self._check(page, lacks)
        if state is not State.UNKNOWN:
            self._found(state is not State.BROKEN)
        return state

    async def _check(self, page: PageId, lacks: Callable[[], Awaitable[None]]) -> State:
        path = f"{quote(page, safe='')}/subscribed_apps"
        try:
            listed = read_subscriptions(await self._graph.get(f"{path}?"))
            why = unclear(listed, self._app)
            if why is not None:
                self._tell_unclear(page, why)
                return State.UNKNOWN
            there = ours(listed, self._app)
            missing = wanted(there)
            if missing is None:
                self._told = None
                return State.INTACT
            await lacks()
            if not self._repair:
                self._told = None
                self._tell(page, there)
                return State.BROKEN
            query = urlencode({"subscribed_fields": ",".join(missing)})
            answer = await self._graph.post(f"{path}?{query}")
            if str(mapping(document(answer)).get("success")).lower() != "true":
                raise trouble(answer)
        except Refused as error:
            if self._told != error.detail:
                self._told = error.detail
                self._log.error(
                    "whether Meta tells bot {bot} of what happens on Page {page} can't"
                    " be looked after: {detail}; {todo}",
                    event="subscription.denied",
                    bot=self._bot,
                    page=page,
                    detail=error.detail,
                    todo=_PERMISSIONS,
                )
            return State.UNKNOWN
        self._told = None
        self._log.warn(
            "bot {bot} was not told of all that it needs on Page {page}: only of"
            " {before}; it is subscribed again, to {fields}",
            event="subscription.repaired",
            bot=self._bot,
            page=page,
            before=_listed(there),
            fields=", ".join(missing),
        )
        return State.MENDED

    def _tell_unclear(self, page: PageId, why: str) -> None:
        if self._told == why:
            return
        self._told = why
        self._log.warn(
            "whether Meta tells bot {bot} of what happens on Page {page} is not known,"
            " and nothing is changed: {why}",
            event="subscription.unknown",
            bot=self._bot,
            page=page,
            why=why,
        )

    def _tell(self, page: PageId, there: Subscription | None) -> None:
        self._log.warn(
            "bot {bot} is not told of all that it needs on Page {page}: only of"
            " {before}; subscribe it to {needed}, or let it do so by"
            " subscriptions.repair: true",
            event="subscription.lacking",
            bot=self._bot,
            page=page,
            before=_listed(there),
            needed=", ".join(NEEDED),
        )


def _listed(there: Subscription | None) -> str:
    fields = () if there is None else there.fields or ()
    return ", ".join(fields) or "nothing"
