"""
What Meta delivers, where to, and who else is told.

Nothing here waits.

Source: docs/messenger-platform.md, sections 2.6, 9 and 10.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from micamsgr.errors import RemoteError
from micamsgr.messenger.graph_answers import items
from micamsgr.messenger.subscriptions import (
    Subscription,
    ours,
    read_subscriptions,
    unclear,
)
from micamsgr.messenger.told import Told, text

from .findings import Finding, fine
from .troubles import trouble

#: Below the public URL, and before a bot's name.
WEBHOOK = "/v1/facebook/webhook/"

# So many people don't all have a role on an app.
_MANY_PEOPLE = 25

_VITAL = ("messages", "messaging_postbacks")
_USEFUL = ("message_echoes",)

# What degrades without the fields that are told, but not asked for.
_OPTIONAL = {
    "messaging_handovers": "it is not noticed that an app passes or takes a thread",
    "standby": "what is said while another app has the thread is not read",
}
_PORTS = {"https": 443, "http": 80}


def webhook_url(public_url: str, bot: str) -> str:
    """
    Give the URL that Meta is to call for a bot.
    """
    return f"{public_url}{WEBHOOK}{bot}"


def judge_app_subscription(
    bot: str, told: Told | None, public_url: str | None, bots: Collection[str]
) -> Finding:
    """
    Say whether Meta delivers what it should to where it should.

    :param told: what ``/{app-id}/subscriptions`` told; ``None``: not asked.
    :param bots: those that share the app, this one among them: an app has one
        webhook for all of them.
    """
    question = "app_subscription"
    if told is None:
        return trouble(f"{question}.unknown", bot, "no app is known to ask for")
    listed = told.document.get("data")
    if not told.good or not isinstance(listed, list):
        return trouble(f"{question}.unknown", bot, f"nobody says: {told.why}")
    found = [one for one in items(listed) if one.get("object") == "page"]
    if not found:
        return trouble(f"{question}.none", bot, "nothing of Pages is subscribed to")
    there = found[0]
    callback = str(there.get("callback_url") or "")
    if not _leads_here(callback, public_url, bots):
        line = f"Meta delivers to {shown_url(callback)}"
        if public_url is not None:
            line += f", and not to {shown_url(webhook_url(public_url, bot))}"
        return trouble(f"{question}.elsewhere", bot, line)
    if there.get("active") is False:
        return trouble(f"{question}.inactive", bot, "it is there, and not active")
    told_fields = there.get("fields")
    if not isinstance(told_fields, list):
        return trouble(f"{question}.unknown", bot, "Meta names no fields of it")
    names = [
        str(one.get("name")) if isinstance(one, dict) else str(one)
        for one in told_fields
    ]
    where = f"Meta delivers to {shown_url(callback)}"
    return _judge_fields(question, bot, names, f"{where}: ")


def judge_page_subscription(bot: str, told: Told | None, app: str | None) -> Finding:
    """
    Say whether Meta tells our app what happens on the Page.

    :param told: what ``/{page-id}/subscribed_apps`` told; ``None``: not asked.
    :param app: our app's ID, where it is known.
    """
    question = "page_subscription"
    subscriptions = apps_of(told)
    if told is None or subscriptions is None:
        why = "the Page is not known" if told is None else told.why
        return trouble(f"{question}.unknown", bot, f"nobody says: {why}")
    why_unclear = unclear(subscriptions, app)
    if why_unclear is not None:
        kind = "unnamed" if app is None and len(subscriptions) > 1 else "unknown"
        return trouble(f"{question}.{kind}", bot, why_unclear)
    mine = ours(subscriptions, app)
    if mine is None or not mine.fields:
        return trouble(f"{question}.none", bot, "our app is not subscribed to it")
    return _judge_fields(question, bot, mine.fields, "")


def _judge_fields(
    question: str, bot: str, names: Sequence[str], before: str
) -> Finding:
    vital = [name for name in _VITAL if name not in names]
    if vital:
        line = f"{before}without {' and '.join(vital)}"
        return trouble(f"{question}.fields", bot, line)
    useful = [name for name in _USEFUL if name not in names]
    if useful:
        line = f"{before}without {' and '.join(useful)}"
        return trouble(f"{question}.degraded", bot, line)
    line = before + ", ".join((*_VITAL, *_USEFUL))
    less = [f"{n}, {why}" for n, why in _OPTIONAL.items() if n not in names]
    if less:
        line += f" (without {'; without '.join(less)})"
    return fine(question, bot, line)


def judge_routing(
    bot: str, features: Told, told: Told | None, app: str | None
) -> Finding:
    """
    Say whether others answer on the Page.

    :param features: what ``/me?fields=messaging_feature_status`` told.
    :param told: as for :func:`judge_page_subscription`.
    """
    subscriptions = apps_of(told)
    if subscriptions is None:
        why = "the Page is not known" if told is None else told.why
        return trouble("routing.unknown", bot, f"nobody says: {why}")
    mine = None if unclear(subscriptions, app) else ours(subscriptions, app)
    if mine is not None:
        others = [each for each in subscriptions if each is not mine]
    else:
        others = [each for each in subscriptions if app is None or each.app != app]
        others = others if app is not None or len(others) > 1 else []
    if others:
        assert told is not None
        names = {
            str(it.get("id")): it.get("name") for it in items(told.document["data"])
        }
        listed = [f"{text(it.app)} ({text(names.get(it.app))})" for it in others[:5]]
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        count = "besides ours: " if mine is not None else "several, ours among them: "
        return trouble("routing.others", bot, count + ", ".join(listed) + more)
    status = features.document.get("messaging_feature_status")
    fields = () if mine is None else mine.fields or ()
    if _shared(status) and "messaging_handovers" not in fields:
        line = "Meta routes conversations among several apps"
        return trouble("routing.unheard", bot, line)
    line = "no other app is subscribed to the Page"
    if not features.good or status is None:
        line += "; how Meta routes conversations is not told"
    return fine("routing", bot, line)


def _shared(status: object) -> bool:
    """Whether conversations are shared among apps, however that is written."""
    found = [status] if isinstance(status, dict) else items(status)
    values = [it.get("msgr_multi_app") for it in found]
    return any(
        it is True or str(it).lower() in ("true", "1", "enabled") for it in values
    )


def judge_mode(bot: str, people: int | None, stand_in: bool) -> Finding:
    """
    Say whether the app is live.  The Graph API does not tell; who has written
    to the bot does.

    :param people: how many the store knows of this bot; ``None``: not known.
    :param stand_in: whether ``facebook.graph_url`` is on this machine.
    """
    if stand_in:
        return fine("mode", bot, "a stand-in for Meta on this machine has no modes")
    if people is not None and people >= _MANY_PEOPLE:
        line = f"{people} people have written: the app is live"
        return fine("mode", bot, line)
    known = "not known how many" if people is None else f"{people}"
    return trouble("mode.unknown", bot, f"not told; people who have written: {known}")


def apps_of(told: Told | None) -> tuple[Subscription, ...] | None:
    """
    Read which apps are subscribed to a Page; ``None`` where nobody says.
    """
    if told is None or told.answer is None:
        return None
    try:
        return read_subscriptions(told.answer)
    except RemoteError:
        return None


def shown_url(url: str) -> str:
    """
    Show a URL without what may be secret in it.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a URL that is none"
    if not parts.hostname:
        return "no URL"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return text(f"{parts.scheme}://{host}{port}{parts.path}")


def _leads_here(callback: str, public_url: str | None, bots: Collection[str]) -> bool:
    if public_url is None:
        try:
            path = urlsplit(callback).path.rstrip("/")
        except ValueError:
            return False
        return any(path.endswith(f"{WEBHOOK}{bot}") for bot in bots)
    wanted = {_plain(webhook_url(public_url, bot)) for bot in bots}
    return _plain(callback) in wanted


def same_url(one: str, other: str) -> bool:
    """
    Say whether two URLs lead to the same place.
    """
    return _plain(one) == _plain(other) != ()


def _plain(url: str) -> tuple[object, ...]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        return ()
    host = (parts.hostname or "").lower().rstrip(".")
    return parts.scheme.lower(), host, port, parts.path.rstrip("/")
