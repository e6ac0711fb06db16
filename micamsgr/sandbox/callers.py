"""
Who calls the Graph API, by the token, and how one token is had for another.

Source: docs/messenger-platform.md, section 10.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from attrs import define, evolve

from micamsgr.sandbox.accounts import App, Grant, Page, User
from micamsgr.sandbox.journal import GraphError
from micamsgr.sandbox.meta import Meta
from micamsgr.sandbox.send_rules import check
from micamsgr.sandbox.threads import select
from micamsgr.sandbox.token_debugging import inspected

Document = dict[str, Any]

# For how long tokens are good, in seconds, and what is long.
_TWO_MONTHS = 60 * 86400
_LONG = 86400

# So many Pages are listed at once, where nobody says how many, and at most.
_LISTED, _MOST_LISTED = 25, 100


@define(eq=False)
class Callers:
    """
    Tell callers apart by their tokens, and give them others.
    """

    _meta: Meta

    def page(self, token: str) -> tuple[Page, Grant] | None:
        """Find the Page that a token is of."""
        for page in self._meta.pages.values():
            if token == page.token:
                return page, page.grant
            if token in page.further:
                return page, page.further[token]
        return None

    def user(self, token: str) -> tuple[User, Grant] | None:
        """Find the person that a token is of."""
        for user in self._meta.users.values():
            if token in user.tokens:
                return user, user.tokens[token]
        return None

    def apps(self) -> Iterator[App]:
        """List all apps; one may come more than once."""
        for page in self._meta.pages.values():
            yield page.app
            yield from page.others
        for user in self._meta.users.values():
            yield user.app

    def app(self, token: str | None) -> App:
        """
        Find the app that a token is of.

        :raises GraphError: it is none.
        """
        for app in self.apps():
            if token == f"{app.id}|{app.secret}":
                return app
        raise GraphError("An app access token is required.", 190)

    def check_grant(self, grant: Grant) -> None:
        """
        :raises GraphError: where a token is no longer good.
        """
        subcode = grant.refusal(self._meta.now())
        if subcode is not None:
            why = "Error validating access token"
            raise GraphError(why, 190, subcode=subcode, status=401)

    def inspect(self, app: App, token: str) -> Document:
        """Show an app what a token is."""
        found = self.page(token) or self.user(token)
        return inspected(app, found, self._meta.now())

    # A person's

    def of_person(self, path: tuple[str, ...], token: str, given: Document) -> Document:
        """
        Answer a GET of somebody who has a role on Pages.

        :param given: the request's arguments.
        """
        found = self.user(token)
        if found is None:
            raise GraphError("Invalid OAuth access token.", 190, status=401)
        user, grant = found
        self.check_grant(grant)
        check_proof(user.app, token, given.get("appsecret_proof"))
        if path in {("me", "accounts"), (user.id, "accounts")}:
            return self._accounts(user, grant, given)
        fields = given.get("fields") or "id,name"
        if path in {("me",), (user.id,)}:
            return select(fields, {"id": user.id, "name": user.name})
        page = next((page for page in user.pages if path == (page.id,)), None)
        if page is None:
            why = f"Unsupported get request. Object with ID '{path[0]}' does not exist"
            raise GraphError(why, 100, subcode=33)
        return select(fields, self._account(page, user, grant))

    def _accounts(self, user: User, grant: Grant, given: Document) -> Document:
        limit = str(given.get("limit") or _LISTED)
        begin = str(given.get("after") or "0")
        check(limit.isdigit() and begin.isdigit(), "limit or after is not a number")
        first, most = int(begin), min(int(limit), _MOST_LISTED)
        listed = user.pages if "pages_show_list" in grant.scopes else []
        shown = listed[first : first + most]
        fields = given.get("fields") or "access_token,category,name,id,tasks"
        data = [select(fields, self._account(page, user, grant)) for page in shown]
        if not data:
            return {"data": data}
        end = str(first + len(shown))
        paging: Document = {"cursors": {"before": begin, "after": end}}
        if first + len(shown) < len(listed):
            paging["next"] = f"https://graph.facebook.com/next?after={end}"
        return {"data": data, "paging": paging}

    def _account(self, page: Page, user: User, grant: Grant) -> Document:
        return {
            "id": page.id,
            "name": page.name,
            "category": page.category,
            "tasks": list(user.tasks),
            "access_token": self._token_for(page, grant),
        }

    def _token_for(self, page: Page, grant: Grant) -> str:
        """
        Give a Page's token: one without an end to a person whose own is long,
        and otherwise one that ends with theirs.
        """
        if grant.expires_at == 0 or grant.expires_at - grant.issued_at > _LONG:
            page.grant.scopes, page.grant.targets = grant.scopes, grant.targets
            return page.token
        for token, given in page.further.items():
            if given.expires_at == grant.expires_at:
                return token
        token = self._meta.new_id("EAA")
        page.further[token] = evolve(grant, kind="PAGE")
        return token

    def exchange(self, given: Document) -> Document:
        """
        Give a person a token that is good for two months for one that is not.
        """
        kind = given.get("grant_type")
        check(kind == "fb_exchange_token", "Unsupported grant_type")
        app = next((it for it in self.apps() if it.id == given.get("client_id")), None)
        if app is None:
            why = "Error validating application. Cannot get application info"
            raise GraphError(why, 101)
        if given.get("client_secret") != app.secret:
            raise GraphError("Error validating client secret.", 1)
        found = self.user(str(given.get("fb_exchange_token") or ""))
        if found is None or found[0].app is not app:
            raise GraphError("Invalid OAuth access token.", 190)
        user, grant = found
        self.check_grant(grant)
        now, token = int(self._meta.now()), self._meta.new_id("EAA")
        user.tokens[token] = evolve(grant, issued_at=now, expires_at=now + _TWO_MONTHS)
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": _TWO_MONTHS,
        }


def check_proof(app: App, token: str, proof: object) -> None:
    """
    :raises GraphError: where a proof of knowing the app's secret is wrong.
    """
    right = hmac.new(app.secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    check(proof in (None, right), "Invalid appsecret_proof provided")
