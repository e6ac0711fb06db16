"""
What a developer and the owner of a Page have at Meta: apps, Pages, and the
tokens by which an app acts as a Page.

Source: docs/messenger-platform.md, sections 9 and 10.
"""

from __future__ import annotations

from attrs import define, field

from micamsgr.sandbox.journal import Applied, Wrote

#: What a Page of the stand-in is subscribed to at first.
FIELDS = ("messages", "messaging_postbacks", "message_echoes")

#: What a token of the stand-in allows at first.
SCOPES = ("pages_messaging", "pages_manage_metadata", "pages_read_engagement")

#: What whoever has full access to a Page may do there.
TASKS = ("ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE")


@define(eq=False)
class App:
    """
    An app of a developer.

    :ivar secret: signs its notifications.
    :ivar callback: where they are delivered; empty: nowhere yet.
    :ivar fields: what it is notified of, as far as a Page is subscribed to it;
        ``None``: whatever that is.
    :ivar active: whether it is notified at all.
    """

    id: str
    secret: str = field(repr=False)
    name: str = "Mica"
    callback: str = ""
    verify_token: str = field(default="", repr=False)
    fields: set[str] | None = field(default=None, kw_only=True)
    active: bool = field(default=True, kw_only=True)


@define(eq=False, kw_only=True)
class Grant:
    """
    What a token allows, and until when.  Times are seconds since the epoch; 0:
    never.

    :ivar kind: of whom it is: ``PAGE`` or ``USER``.
    :ivar targets: the Pages for which the scopes were granted; ``None``: that
        is not told.
    :ivar ended: the subcode that tells why it is refused, such as 460; ``None``:
        it is not.
    """

    kind: str = "PAGE"
    scopes: tuple[str, ...] = SCOPES
    targets: tuple[str, ...] | None = None
    issued_at: int = 0
    expires_at: int = 0
    data_access_expires_at: int = 0
    ended: int | None = None

    def refusal(self, now: float) -> int | None:
        """Give the subcode for which it is refused, if it is."""
        if 0 < self.expires_at <= now:
            return 463
        return self.ended


@define(eq=False)
class Page:
    """
    A Page, and its threads.

    :ivar token: the Page access token that *app* holds, or gets from a person
        whose own token is long-lived.
    :ivar fields: what *app* is notified of; none: it is not subscribed.
    :ivar people: who may be written to, by PSID, each with the time of the
        last action that opens the 24-hour window, in seconds since the epoch.
    :ivar threads: by PSID, oldest message first.
    :ivar grant: what the token allows.
    :ivar further: other tokens of it, which end with their person's.
    :ivar others: further apps that are subscribed.
    :ivar shared: whether several apps share the conversations.
    :ivar failing_since: when the first of an unbroken row of deliveries
        failed.
    """

    id: str
    token: str = field(repr=False)
    app: App
    name: str = "Mica's Page"
    fields: set[str] = field(factory=lambda: set(FIELDS))
    people: dict[str, float] = field(factory=dict)
    threads: dict[str, list[Wrote | Applied]] = field(factory=dict)
    grant: Grant = field(factory=Grant, kw_only=True)
    others: list[App] = field(factory=list, kw_only=True)
    shared: bool = field(default=False, kw_only=True)
    category: str = field(default="Software", kw_only=True)
    further: dict[str, Grant] = field(factory=dict, init=False, repr=False)
    failing_since: float | None = field(default=None, init=False)

    def told_of(self, about: str) -> bool:
        """
        Say whether the app is notified of a field: both the app and the Page
        must be subscribed to it.
        """
        app = self.app
        if not app.active or (app.fields is not None and about not in app.fields):
            return False
        return about in self.fields


@define(eq=False)
class User:
    """
    A person with a role on Pages.

    :ivar app: the app that they gave the tokens.
    :ivar tokens: their tokens, and what each allows.
    :ivar pages: those on which they have a role.
    :ivar tasks: what they may do there.
    """

    id: str
    app: App
    tokens: dict[str, Grant] = field(factory=dict, repr=False)
    pages: list[Page] = field(factory=list)
    name: str = field(default="The Owner", kw_only=True)
    tasks: tuple[str, ...] = field(default=TASKS, kw_only=True)
