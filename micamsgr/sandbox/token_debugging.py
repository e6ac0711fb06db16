"""
What the stand-in for the Graph API tells an app of itself, and of tokens.

Source: docs/messenger-platform.md, section 10.
"""

from __future__ import annotations

from typing import Any

from micamsgr.sandbox.accounts import FIELDS, App, Grant, Page, User

Document = dict[str, Any]


def inspected(
    app: App, found: tuple[Page | User, Grant] | None, now: float
) -> Document:
    """
    Show what a token is, to an app.

    :param found: whose token it is, and what it allows; ``None``: nobody's.
    """
    if found is None:
        return _invalid("Invalid OAuth access token.")
    whose, grant = found
    if whose.app is not app:
        return _invalid("The App_id in the input_token did not match", 100)
    shown: Document = {
        "app_id": app.id,
        "application": app.name,
        "type": grant.kind,
        "is_valid": True,
        "issued_at": grant.issued_at,
        "expires_at": grant.expires_at,
        "data_access_expires_at": grant.data_access_expires_at,
        "scopes": list(grant.scopes),
        "granular_scopes": [
            {"scope": scope}
            if grant.targets is None
            else {"scope": scope, "target_ids": list(grant.targets)}
            for scope in grant.scopes
        ],
        "user_id": whose.id if isinstance(whose, User) else "122093456789012345",
    }
    if grant.kind == "PAGE":
        shown["profile_id"] = whose.id
    subcode = grant.refusal(now)
    if subcode is not None:
        error = {"code": 190, "message": "Error validating access token"}
        shown |= {"is_valid": False, "error": {**error, "subcode": subcode}}
    return {"data": shown}


def _invalid(message: str, code: int = 190) -> Document:
    error = {"code": code, "message": message}
    return {"data": {"is_valid": False, "scopes": [], "error": error}}


def subscribed(app: App, version: str) -> Document:
    """
    Show to what an app is subscribed, and where it is notified.
    """
    if not app.callback:
        return {"data": []}
    names = sorted(FIELDS if app.fields is None else app.fields)
    shown = {
        "object": "page",
        "callback_url": app.callback,
        "active": app.active,
        "fields": [{"name": name, "version": version} for name in names],
    }
    return {"data": [shown]}


def routing(page: Page) -> Document:
    """
    Show how conversations are routed.

    Source: docs/messenger-platform.md, section 9.
    """
    return {"hop_v2": True, "msgr_multi_app": page.shared, "ig_multi_app": False}
