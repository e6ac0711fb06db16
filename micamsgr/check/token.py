"""
What the Graph API says of the token, its app and its Page.

Nothing here waits.

Source: docs/messenger-platform.md, sections 5.1 and 10.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from micamsgr.messenger.graph_answers import mapping
from micamsgr.messenger.graph_errors import Meaning, proof_refused
from micamsgr.messenger.token_facts import (
    EXPIRED,
    NEEDED,
    NOT_ITS_OWN,
    SOON,
    TokenFacts,
    read_facts,
)
from micamsgr.messenger.told import Told, text

from .findings import Finding, fine
from .troubles import trouble

_TOKEN_CODES = (102, 190)
_USEFUL = ("pages_read_engagement",)


def judge_token(bot: str, me: Told, debug: Told | None, now: float) -> Finding:
    """
    Say whether the token is valid, and for how long.

    :param me: what ``/me`` told whoever has the token.
    :param debug: what ``/debug_token`` told the app; ``None``: not asked.
    :param now: seconds since the epoch.
    """
    shown = read_facts(debug)
    facts = shown or TokenFacts()
    expires = facts.expires
    if facts.expired(now) or me.subcode == EXPIRED:
        when = f" at {_date(expires)}" if 0 < expires <= now else ""
        return trouble("token.expired", bot, f"it has expired{when}")
    if me.code in _TOKEN_CODES:
        return trouble("token.invalid", bot, f"it is refused: {me.why}")
    if facts.valid is False and not me.good:
        return trouble("token.invalid", bot, f"it is not valid: code {facts.code}")
    if facts.kind not in (None, "PAGE"):
        return trouble("token.kind", bot, f"it is of type {facts.kind}, not PAGE")
    if not me.good and facts.valid is not True:
        return trouble("token.unknown", bot, f"nobody says: {me.why}")
    if 0 < expires <= now + SOON:
        return trouble("token.expiring", bot, f"it expires at {_date(expires)}")
    access = facts.access
    if 0 < access <= now + SOON:
        tense = "expired" if access <= now else "expires"
        line = f"it is valid; its access to data {tense} at {_date(access)}"
        return trouble("token.data_access", bot, line)
    if shown is None:
        return fine("token", bot, "it works; until when is not known")
    until = f"until {_date(expires)}" if expires else "without an end"
    line = f"it is valid, {until}"
    if access:
        line += f"; access to data until {_date(access)}"
    return fine("token", bot, line)


def judge_app(
    bot: str, configured: str | None, me: Told, app: Told, debug: Told | None
) -> Finding:
    """
    Say whether token and secret are the app's.

    :param configured: ``facebook.app_id``.
    :param app: what ``/app`` told whoever has the token.
    :param debug: as for :func:`judge_token`, asked with the secret.
    """
    facts = read_facts(debug) or TokenFacts()
    theirs = app_of(app) or facts.app
    if configured is not None and theirs and theirs != configured:
        line = f"the token is of app {theirs}, not of {configured}"
        return trouble("app.other", bot, line)
    if debug is None or not (theirs or configured):
        # Where nobody answers, to give its ID would help nothing.
        unnamed = configured is None and app.spoken
        name = "app.unnamed" if unnamed else "app.unknown"
        return trouble(name, bot, f"no app is known: {app.why}")
    another = me.good or facts.code == NOT_ITS_OWN
    if facts.valid is False and another:
        line = f"the token is not of app {theirs or configured}"
        return trouble("app.other", bot, line)
    if not debug.good:
        # No answer, or one of a server in trouble, tells nothing of the secret.
        if debug.spoken and debug.code in (1, 100, 101, 190):
            line = (
                f"app {theirs or configured} with this secret is refused: {debug.why}"
            )
            return trouble("app.secret", bot, line)
        return trouble("app.unknown", bot, f"it can't be looked at: {debug.why}")
    name = text(_shown(debug).get("application") or app.document.get("name") or "")
    named = f" ({name})" if name else ""
    return fine(
        "app", bot, f"token and secret are of app {theirs or configured}{named}"
    )


def app_of(app: Told) -> str | None:
    """
    Read whose token asked ``/app``.
    """
    return app.id


def judge_page(
    bot: str, configured: str | None, me: Told, debug: Told | None
) -> Finding:
    """
    Say whether the token is the right Page's.

    :param configured: ``facebook.page_id``.
    """
    found = page_of(me) or text(_shown(debug).get("profile_id") or "")
    if not found:
        return trouble("page.unknown", bot, f"nobody says: {me.why}")
    if configured is not None and found != configured:
        line = f"the token is of Page {found}, not of {configured}"
        return trouble("page.other", bot, line)
    name = text(me.document.get("name") or "")
    return fine("page", bot, f"Page {found}" + (f" ({name})" if name else ""))


def page_of(me: Told) -> str | None:
    """
    Read whose token asked ``/me``.
    """
    return me.id


def judge_scopes(bot: str, page: str | None, debug: Told | None) -> Finding:
    """
    Say whether the token allows what the bot does.

    :param page: the bot's, where it is known.
    """
    facts = read_facts(debug) or TokenFacts()
    if facts.scopes is None or facts.valid is False:
        why = "the app was not asked" if debug is None else debug.why
        if debug is not None and debug.good:
            why = "the token is not valid"
        return trouble("scopes.unknown", bot, f"nobody says: {why}")
    if facts.missing:
        return trouble("scopes.missing", bot, f"missing: {', '.join(facts.missing)}")
    elsewhere = facts.elsewhere(page)
    if elsewhere:
        line = f"{elsewhere[0]} is granted, but not for Page {page}"
        return trouble("scopes.elsewhere", bot, line)
    less = [one for one in _USEFUL if one not in facts.scopes]
    if less:
        return trouble("scopes.partial", bot, f"missing: {', '.join(less)}")
    return fine("scopes", bot, ", ".join((*NEEDED, *_USEFUL)))


def judge_proof(bot: str, proved: Told, unproved: Told) -> Finding:
    """
    Say whether our proof of the app secret is taken, and whether it must be
    given.

    :param proved: what came of a call with it, *unproved* of one without.
    """
    error = mapping(proved.document.get("error"))
    if proof_refused(proved.code, error.get("message")):
        return trouble("appsecret_proof.refused", bot, f"refused: {proved.why}")
    if unproved.good and proved.meaning in (Meaning.PAGE, Meaning.MESSAGE):
        line = f"refused, while the call without it is not: {proved.why}"
        return trouble("appsecret_proof.refused", bot, line)
    if not proved.good:
        return trouble("appsecret_proof.unknown", bot, f"nobody says: {proved.why}")
    if unproved.good:
        line = (
            "accepted; the app takes calls without it too (Require App Secret is off)"
        )
    elif unproved.spoken:
        line = "accepted, and required by the app"
    else:
        line = "accepted"
    return fine("appsecret_proof", bot, line)


def _shown(debug: Told | None) -> dict[str, Any]:
    """What an answer of ``/debug_token`` shows of the token."""
    if debug is None or not debug.good:
        return {}
    return mapping(debug.document.get("data"))


def _date(seconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M} UTC"
