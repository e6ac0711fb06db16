"""
What the Graph API is asked, and told, in place of the app's dashboard.

Source: docs/messenger-platform.md, sections 1 and 10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from attrs import define, field, frozen

from micamsgr.check.findings import Finding, Verdict
from micamsgr.check.subscribed import apps_of, same_url
from micamsgr.check.token import app_of, judge_scopes, judge_token, page_of
from micamsgr.messenger.calling import GraphCalls, debug_token
from micamsgr.messenger.graph import appsecret_proof
from micamsgr.messenger.graph_answers import items, mapping
from micamsgr.messenger.subscriptions import NEEDED, ours
from micamsgr.messenger.told import Told, number

from .failing import Failed, shown, words

#: What an app and a Page are subscribed to, beside what they are already.
FIELDS = (*NEEDED, "messaging_handovers", "standby")

# A token that ends sooner is not a long-lived one; in seconds.
_LONG = 86400.0

# So many lists of Pages are read at most, of so many each.
_LISTS, _LISTED = 20, "100"

_GENERATE = (
    "in your app at developers.facebook.com, Messenger, link your Page and click"
    " “Generate Token”; give that token here"
)
_BASIC = "look at your app at developers.facebook.com, App settings, Basic"


@frozen
class OwnPage:
    """
    A Page, and the token by which one acts as it.
    """

    id: str
    name: str
    token: str = field(repr=False)


@frozen(kw_only=True)
class Webhook:
    """
    Where Meta delivers what happens to an app's Pages.

    :ivar callback: empty: nowhere.
    """

    callback: str = ""
    fields: tuple[str, ...] = ()
    active: bool = False


@define(eq=False)
class Dashboard:
    """
    An app, as its developer sees it.

    Each method makes few calls, each with a deadline, and raises
    :exc:`~micamsgr.setup.failing.Failed` where it comes to nothing.

    :ivar _now: the wall clock, in seconds since the epoch.
    """

    _calls: GraphCalls
    _app: str
    _secret: str = field(repr=False)
    _now: Callable[[], float]

    @property
    def _app_token(self) -> str:
        return f"{self._app}|{self._secret}"

    async def app_name(self) -> str:
        """
        Find out whether app and secret belong together.

        :return: the app's name.
        """
        told = await self._calls.get(self._app, self._app_token, fields="id,name")
        if app_of(told) != self._app:
            raise _refused(
                told,
                "look whether App ID and app secret are of the same app, and whole",
                _BASIC,
                "app_id",
                "app_secret",
            )
        return shown(str(told.document.get("name") or ""))

    async def inspect(self, token: str) -> dict[str, Any]:
        """
        Have a token shown.

        :return: what ``/debug_token`` says of it.
        """
        told = await self._debug(token)
        facts = mapping(told.document.get("data"))
        if not told.good or not facts:
            raise _refused(told, "see what Meta says", _GENERATE, "token")
        if facts.get("is_valid") is not True:
            error = mapping(facts.get("error"))
            raise Failed(
                why="the token is not valid; Meta says:"
                f" {shown(str(error.get('message') or 'nothing more'))}",
                todo="give one of this very app that has not expired",
                by_hand=_GENERATE,
                doubtful=("token",),
            )
        if str(facts.get("app_id")) != self._app:
            raise Failed(
                why=f"the token is of app {shown(str(facts.get('app_id')))},"
                f" not of {self._app}",
                todo="give a token of this app",
                by_hand=_GENERATE,
                doubtful=("token",),
            )
        return facts

    async def _debug(self, token: str) -> Told:
        return await debug_token(self._calls, self._app, self._secret, token)

    async def lengthen(self, token: str) -> str:
        """
        Get a token that is good for about two months for a person's.
        """
        told = await self._calls.get(
            "oauth/access_token",
            None,
            grant_type="fb_exchange_token",
            client_id=self._app,
            client_secret=self._secret,
            fb_exchange_token=token,
        )
        longer = told.document.get("access_token")
        if not told.good or not isinstance(longer, str) or not longer:
            raise _refused(
                told,
                "get another token, or a Page's own",
                _GENERATE,
                "token",
            )
        return longer

    async def page_of(self, token: str) -> OwnPage:
        """
        Find out which Page a Page's token is of.
        """
        told = await self._as(token, "me", fields="id,name")
        page = page_of(told)
        if page is None:
            raise _refused(told, "see what Meta says", _GENERATE, "token")
        return OwnPage(page, shown(str(told.document.get("name") or "")), token)

    async def pages(self, token: str, targets: Sequence[str]) -> list[OwnPage]:
        """
        List the Pages on which a person has a role, with the Pages' tokens.

        :param targets: Pages for which the person gave permissions; asked for
            one by one where none are listed, as of a business's Pages.
        """
        found: list[OwnPage] = []
        after: dict[str, str] = {}
        for _ in range(_LISTS):
            told = await self._as(
                token,
                "me/accounts",
                fields="id,name,access_token",
                limit=_LISTED,
                **after,
            )
            if not told.good or not isinstance(told.document.get("data"), list):
                raise _refused(told, "see what Meta says", _GENERATE, "token")
            found += _pages(told.document["data"])
            paging = mapping(told.document.get("paging"))
            cursor = mapping(paging.get("cursors")).get("after")
            if "next" not in paging or not isinstance(cursor, str):
                break
            after = {"after": cursor}
        for target in () if found else targets:
            told = await self._as(token, target, fields="id,name,access_token")
            found += _pages([told.document]) if told.good else []
        if not found:
            raise Failed(
                why="Meta lists no Page for this token",
                todo="give a token of somebody who manages the Page, with the"
                " permission pages_show_list, and choose the Page when you make it",
                by_hand=_GENERATE,
                doubtful=("token",),
            )
        return found

    async def check(self, page: OwnPage) -> list[str]:
        """
        Find out whether a Page's token is good for a bot.

        :return: what is to be told about it.
        """
        me = await self._as(page.token, "me", fields="id,name")
        debug = await self._debug(page.token)
        found = (
            judge_token("", me, debug, self._now()),
            judge_scopes("", page.id, debug),
        )
        for each in found:
            if each.verdict is Verdict.FAILED or each.name in _NOT_GOOD_ENOUGH:
                raise Failed(
                    why=f"the Page's token: {each.line}",
                    todo=each.todo,
                    by_hand=_GENERATE,
                    doubtful=("token",),
                )
        return [_line(each) for each in found if each.verdict is not Verdict.OK]

    async def webhook(self, url: str) -> Webhook:
        """
        Look where Meta delivers now.

        :param url: where it is to deliver.
        """
        told = await self._calls.get(f"{self._app}/subscriptions", self._app_token)
        listed = told.document.get("data")
        if not told.good or not isinstance(listed, list):
            raise _refused(told, "see what Meta says", _configure(url))
        for one in items(listed):
            if one.get("object") == "page":
                return Webhook(
                    callback=str(one.get("callback_url") or ""),
                    fields=_names(one.get("fields")),
                    active=one.get("active") is not False,
                )
        return Webhook()

    async def set_webhook(
        self, url: str, verify_token: str, fields: Sequence[str]
    ) -> None:
        """
        Let Meta deliver somewhere, which it asks first.
        """
        told = await self._calls.post(
            f"{self._app}/subscriptions",
            self._app_token,
            {
                "object": "page",
                "callback_url": url,
                "fields": ",".join(fields),
                "verify_token": verify_token,
                "include_values": True,
            },
        )
        if not _succeeded(told):
            raise _refused(
                told,
                "see whether the public URL is reached from outside, with a"
                " certificate that everybody trusts",
                _configure(url),
            )

    async def subscribe(self, page: OwnPage) -> tuple[str, ...]:
        """
        Let the app be told what happens on a Page.

        :return: what it was not told of before.
        """
        path = f"{quote(page.id, safe='')}/subscribed_apps"
        by_hand = (
            "in your app at developers.facebook.com, Messenger, Webhooks, add the"
            f" Page's subscriptions {', '.join(NEEDED)}"
        )
        permissions = (
            "see that the token has pages_manage_metadata and pages_messaging, and"
            " its owner the task MODERATE on the Page"
        )
        told = await self._as(page.token, path)
        listed = apps_of(told)
        if listed is None:
            raise _refused(told, permissions, by_hand)
        mine = ours(listed, self._app)
        there = () if mine is None else mine.fields or ()
        missing = tuple(name for name in FIELDS if name not in there)
        if not missing:
            return ()
        told = await self._calls.post(
            path,
            page.token,
            {},
            subscribed_fields=",".join((*there, *missing)),
            appsecret_proof=appsecret_proof(self._secret, page.token),
        )
        if not _succeeded(told):
            raise _refused(told, permissions, by_hand)
        return missing

    async def _as(self, token: str, path: str, **query: str) -> Told:
        query["appsecret_proof"] = appsecret_proof(self._secret, token)
        return await self._calls.get(path, token, **query)


# Troubles of a token that are warnings of a bot that runs.
_NOT_GOOD_ENOUGH = {"token.expiring", "token.unknown", "scopes.unknown"}


def _configure(url: str) -> str:
    return (
        "in your app at developers.facebook.com, Messenger, configure the Webhook:"
        f" callback URL {url}, the verification token that the configuration has as"
        f" facebook.verify_token, and the events {', '.join(NEEDED)}"
    )


def is_short(facts: dict[str, Any], now: float) -> bool:
    """
    Say whether a person's token is to be exchanged for a longer one.

    :param facts: as :meth:`Dashboard.inspect` tells them.
    """
    expires = number(facts.get("expires_at"))
    return expires is None or 0 < expires < now + _LONG


def targets(facts: dict[str, Any]) -> list[str]:
    """
    List the Pages for which permissions were given, where that is told.
    """
    found: dict[str, None] = {}
    for one in items(facts.get("granular_scopes")):
        listed = one.get("target_ids")
        if str(one.get("scope")).startswith("pages_") and isinstance(listed, list):
            found.update((str(it), None) for it in listed if str(it).isdigit())
    return list(found)


def union(there: Webhook) -> tuple[str, ...]:
    """
    Tell to what an app is to be subscribed: what is there, and what is needed.
    """
    return tuple(dict.fromkeys((*there.fields, *FIELDS)))


def is_set(there: Webhook, url: str) -> bool:
    """
    Say whether Meta delivers all that is needed to a URL.
    """
    return (
        there.active
        and same_url(there.callback, url)
        and set(FIELDS) <= set(there.fields)
    )


def _pages(listed: list[Any]) -> list[OwnPage]:
    found: list[OwnPage] = []
    for one in items(listed):
        page, token = number(one.get("id")), one.get("access_token")
        if page is not None and isinstance(token, str) and token:
            found.append(OwnPage(str(page), shown(str(one.get("name") or "")), token))
    return found


def _names(listed: object) -> tuple[str, ...]:
    if not isinstance(listed, list):
        return ()
    names = [mapping(one).get("name", one) for one in listed]
    return tuple(name for name in names if isinstance(name, str) and name)


def _succeeded(told: Told) -> bool:
    return told.good and str(told.document.get("success")).lower() == "true"


def _line(found: Finding) -> str:
    return f"{found.line}; {found.means}. To do: {found.todo}."


def _refused(told: Told, todo: str, by_hand: str, *doubtful: str) -> Failed:
    """
    Make the failure that a call is.

    :param doubtful: the answers that may be to blame, if the Graph API said
        anything.
    """
    if not told.spoken:
        todo = "see that this machine reaches the Graph API; is Meta well?"
        todo += " https://metastatus.com"
        return Failed(why=words(told), todo=todo, by_hand=by_hand)
    return Failed(why=words(told), todo=todo, by_hand=by_hand, doubtful=doubtful)
