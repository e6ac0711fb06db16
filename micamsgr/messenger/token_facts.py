"""
What a token is, as the Graph API shows it to its app, and what is to be
expected of it.

Nothing here waits.

Source: docs/messenger-platform.md, section 10.
"""

from __future__ import annotations

from attrs import field, frozen

from .graph_answers import YEAR_3000, items, mapping
from .told import Told, number, text

#: What ends within so many seconds ends soon.
SOON = 7 * 86400.0

#: What the bot lives on.
NEEDED = ("pages_messaging", "pages_manage_metadata")

#: The code where an app asks about a token that is another's.
NOT_ITS_OWN = 100

#: The subcode where a token's time is over.
EXPIRED = 463


@frozen(kw_only=True)
class TokenFacts:
    """
    What ``/debug_token`` shows.

    :ivar valid: ``None`` where it does not say.
    :ivar app: the ID of the app that it is of, where it says.
    :ivar kind: such as ``PAGE``, where it says.
    :ivar code: of the error for which it is not valid; so with *subcode*.
    :ivar expires: when it does, in seconds since the epoch; 0: never, or it
        does not say.
    :ivar access: when its access to data does, likewise.
    :ivar scopes: what it allows; ``None`` where it does not say.
    :ivar targets: scopes that are granted for certain Pages, each with those.
    """

    valid: bool | None = None
    app: str | None = None
    kind: str | None = None
    code: int | None = None
    subcode: int | None = None
    expires: int = 0
    access: int = 0
    scopes: frozenset[str] | None = None
    targets: tuple[tuple[str, frozenset[str]], ...] = field(default=(), repr=False)

    def expired(self, now: float) -> bool:
        """
        Say whether it is not valid any more, since its time is over.

        :param now: seconds since the epoch.
        """
        return 0 < self.expires <= now or self.subcode == EXPIRED

    @property
    def missing(self) -> tuple[str, ...]:
        """What of :data:`NEEDED` it does not allow, as far as it says."""
        if self.scopes is None or self.valid is False:
            return ()
        return tuple(scope for scope in NEEDED if scope not in self.scopes)

    def elsewhere(self, page: str | None) -> tuple[str, ...]:
        """
        List what of :data:`NEEDED` is granted, but not for a Page.

        :param page: ``None``: it is not known.
        """
        if page is None or self.scopes is None or self.valid is False:
            return ()
        granted = dict(self.targets)
        return tuple(
            scope
            for scope in NEEDED
            if scope in self.scopes and page not in granted.get(scope, {page})
        )


def read_facts(debug: Told | None) -> TokenFacts | None:
    """
    Read what ``/debug_token`` told.  Never raises.

    :param debug: ``None``: it was not asked.
    :return: ``None`` where it told nothing.
    """
    if debug is None or not debug.good:
        return None
    shown = mapping(debug.document.get("data"))
    if not shown:
        return None
    error = mapping(shown.get("error"))
    app, kind, scopes = (shown.get(it) for it in ("app_id", "type", "scopes"))
    valid, whose = shown.get("is_valid"), number(app)
    subcodes = (number(error.get(it)) for it in ("subcode", "error_subcode"))
    return TokenFacts(
        valid=valid if isinstance(valid, bool) else None,
        app=None if whose is None else str(whose),
        kind=None if kind is None else text(kind),
        code=number(error.get("code")),
        subcode=next((it for it in subcodes if it is not None), None),
        expires=_time(shown.get("expires_at")),
        access=_time(shown.get("data_access_expires_at")),
        scopes=frozenset(map(str, scopes)) if isinstance(scopes, list) else None,
        targets=tuple(
            (str(it.get("scope")), frozenset(map(str, it["target_ids"])))
            for it in items(shown.get("granular_scopes"))
            if isinstance(it.get("target_ids"), list)
        ),
    )


def _time(value: object) -> int:
    seconds = number(value) or 0
    return seconds if 0 < seconds < YEAR_3000 else 0


@frozen(kw_only=True)
class Outlook:
    """
    What is to be expected of a token.

    :ivar other_app: whether it is another app's than the one that asked.
    :ivar expired: whether its time is over.
    :ivar invalid: whether it is not valid, for whatever other reason.
    :ivar expires: in how many seconds it does; ``None`` where that is not soon.
    :ivar access: in how many seconds its access to data does, or has done, then
        0 or less; ``None`` where that is not soon.
    :ivar missing: the permissions that the bot needs and does not have.
    """

    other_app: bool = False
    expired: bool = False
    invalid: bool = False
    expires: float | None = None
    access: float | None = None
    missing: tuple[str, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether nothing can be sent with it."""
        return self.other_app or self.expired or self.invalid


def outlook(
    facts: TokenFacts | None, app: str | None, page: str | None, now: float
) -> Outlook:
    """
    Decide what is to be expected of a token.

    :param facts: ``None``: nothing is known; then nothing is expected.
    :param app: the one that asked.
    :param page: the bot's, where it is known.
    :param now: seconds since the epoch.
    """
    if facts is None:
        return Outlook()
    strange = facts.app is not None and app is not None and facts.app != app
    if strange or (facts.valid is False and facts.code == NOT_ITS_OWN):
        return Outlook(other_app=True)
    if facts.expired(now):
        return Outlook(expired=True)
    if facts.valid is False:
        return Outlook(invalid=True)
    return Outlook(
        expires=_soon(facts.expires, now),
        access=_soon(facts.access, now),
        missing=(*facts.missing, *facts.elsewhere(page)),
    )


def _soon(at: int, now: float) -> float | None:
    return at - now if 0 < at <= now + SOON else None
