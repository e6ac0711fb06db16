"""
A stand-in for the Graph API, as far as a Page that answers people needs it.

It is stricter than Meta is known to be: what the reference doesn't allow is
refused.  What it does is in the journal.

Source: docs/messenger-platform.md, sections 4, 5, 8 and 10.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from random import Random
from typing import IO, Any, cast
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.http import datetimeToString
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from micamsgr.sandbox.accounts import Grant
from micamsgr.sandbox.callers import Callers, check_proof
from micamsgr.sandbox.journal import (
    Acted,
    Call,
    EchoFault,
    Fact,
    Fault,
    GraphError,
    LookedUp,
    Plan,
    Refused,
    Spoiled,
    Subscribed,
    end,
    nothing,
)
from micamsgr.sandbox.meta import FIELDS, App, Meta, Page
from micamsgr.sandbox.send_rules import check, check_send
from micamsgr.sandbox.threads import listed, select
from micamsgr.sandbox.token_debugging import routing, subscribed

# What a person's action opens, in seconds; section 6.
_WINDOW = 24 * 3600.0

_SUBSCRIBABLE = re.compile(r"(messag|standby|feed|response_feedback|send_cart)[a-z_]*")

# How often threads can be read; section 8.
_LOOKUPS_PER_SECOND = 2

# What is asked of an app, and not of a Page.
_APPS = (["app"], ["debug_token"])

Document = dict[str, Any]


@frozen(kw_only=True)
class _Asked:
    """
    A request.

    :ivar version: such as ``v25.0``.
    :ivar path: what follows the version, such as ``("me", "messages")``.
    :ivar arguments: from the query and a JSON body, which are one to the API;
        the token is among them.
    """

    method: str
    version: str
    path: tuple[str, ...]
    arguments: Document
    malformed: GraphError | None
    call: Call

    def get(self, name: str) -> str | None:
        """Give an argument that is text."""
        found = self.arguments.get(name)
        return found if isinstance(found, str) else None


@define(eq=False, slots=False)
class GraphAPI(Resource):
    """
    Serve the Graph API, at the root of a site.

    :ivar _clock: for every wait.
    :ivar faults: what goes wrong with calls; may be replaced at any time.
    :ivar echoes: what goes wrong with the echoes of messages; may be
        replaced at any time.
    :ivar lookup_lag: how old a message is before a look-up shows it, in
        seconds.
    :ivar thread_id: makes of a mid the ID by which threads show the message;
        nowhere does Meta say that they are the same.
    :ivar strict_rates: whether look-ups beyond Meta's rate are refused.
    :ivar proof_required: whether a call without ``appsecret_proof`` is
        refused.
    """

    isLeaf = True

    _clock: IReactorTime
    _random: Random
    _meta: Meta
    faults: Plan[Fault] = field(default=nothing, kw_only=True)
    echoes: Plan[EchoFault] = field(default=nothing, kw_only=True)
    lookup_lag: float = field(default=0.0, kw_only=True)
    thread_id: Callable[[str], str] = field(default=str, kw_only=True)
    strict_rates: bool = field(default=False, kw_only=True)
    proof_required: bool = field(default=False, kw_only=True)

    # By Page, when its latest look-ups were.
    _lookups: dict[str, list[float]] = field(factory=dict, init=False)
    _callers: Callers = field(init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        super().__init__()
        self._callers = Callers(self._meta)

    def render(self, request: Request) -> int:
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        serving = Deferred.fromCoroutine(self._serve(request, gone))
        serving.addErrback(
            lambda failure: self._log.failure("a defect", failure, event="defect")
        )
        return NOT_DONE_YET

    async def _serve(self, request: Request, gone: list[object]) -> None:
        asked = _read(request)
        planned = self.faults(asked.call, self._random)
        fault = planned or Fault()
        if planned is not None:
            self._note(Spoiled, call=asked.call, fault=repr(fault))
        if fault.landing > 0.0:
            await deferLater(self._clock, fault.landing)
        status, document = fault.status, {}
        try:
            if fault.applied:
                document = await self._perform(asked)
        except GraphError as error:
            self._note(Refused, call=asked.call, error=error)
            status, document = error.status, self._error(error)
        if fault.error is not None:
            status, document = fault.error.status, self._error(fault.error)
        if fault.delay > 0.0:
            await deferLater(self._clock, fault.delay)
        if not gone:
            body = json.dumps(document).encode("ascii")
            kind = "application/json; charset=UTF-8"
            if fault.body is not None:
                status, body, kind = fault.status, fault.body, "text/html"
            request.setResponseCode(status)
            request.setHeader("Date", datetimeToString(self._meta.now()))
            request.setHeader("Content-Type", kind)
            for name, value in fault.headers:
                request.setHeader(name, value)
            end(request, fault.ending, body)

    def _note(self, kind: Callable[..., Fact], **what: object) -> None:
        self._meta.journal.add(kind(at=self._meta.now(), **what))

    def _error(self, error: GraphError) -> Document:
        document: Document = {"message": error.message, "type": "OAuthException"}
        document["code"] = error.code
        if error.subcode is not None:
            document["error_subcode"] = error.subcode
        return {"error": {**document, "fbtrace_id": self._meta.new_id("A")}}

    async def _perform(self, asked: _Asked) -> Document:
        if asked.malformed is not None:
            raise asked.malformed
        edge = "/".join(asked.path[1:])
        token = asked.get("access_token") or ""
        if (asked.method, asked.path) == ("GET", ("oauth", "access_token")):
            return self._callers.exchange(asked.arguments)
        if asked.method == "GET" and (
            edge == "accounts" or (edge == "" and self._callers.user(token))
        ):
            proof = asked.get("appsecret_proof")
            check(bool(proof) or not self.proof_required, "appsecret_proof is required")
            return self._callers.of_person(asked.path, token, asked.arguments)
        if (asked.method, asked.path) == ("GET", ("debug_token",)):
            return self._debug_token(asked)
        if (asked.method, edge) == ("POST", "subscriptions"):
            return await self._set_callback(asked)
        if (asked.method, edge) == ("POST", "messages"):
            return self._send(self._page(asked), asked)
        if (asked.method, edge) == ("GET", "conversations"):
            return self._threads(self._page(asked), asked)
        if edge == "subscriptions":
            return self._app_subscriptions(asked)
        if edge == "subscribed_apps":
            return self._subscription(*self._page_and_grant(asked), asked)
        if (asked.method, edge) == ("GET", ""):
            if asked.path[0] in {"app", *(app.id for app in self._callers.apps())}:
                return self._of_app(asked)
            page = self._page(asked)
            known = {
                "id": page.id,
                "name": page.name,
                "category": "Software",
                "messaging_feature_status": routing(page),
            }
            return select(asked.get("fields") or "id,name", known)
        raise GraphError(f"Unknown path components: /{edge}", 2500)

    def _page(self, asked: _Asked) -> Page:
        """
        Find the Page that is asked for, if the caller may act as it.
        """
        return self._page_and_grant(asked)[0]

    def _page_and_grant(self, asked: _Asked) -> tuple[Page, Grant]:
        token = asked.get("access_token")
        if not token:
            raise GraphError("An access token is required.", 190)
        found = self._callers.page(token)
        if found is None:
            raise GraphError("Invalid OAuth access token.", 190, status=401)
        page, grant = found
        self._callers.check_grant(grant)
        proof = asked.get("appsecret_proof")
        check(bool(proof) or not self.proof_required, "appsecret_proof is required")
        check_proof(page.app, token, proof)
        whose = f"Object with ID '{asked.path[0]}' does not exist, or permission is"
        mine = ("me", "app", page.id, page.app.id)
        check(asked.path[0] in mine, f"{whose} missing", 33)
        return page, grant

    def _app(self, asked: _Asked) -> App:
        return self._callers.app(asked.get("access_token"))

    # Messages

    def _send(self, page: Page, asked: _Asked) -> Document:
        check_send(asked.arguments)
        psid = asked.arguments["recipient"]["id"]
        check(psid in page.people, "No matching user found", 2018001)
        if "sender_action" in asked.arguments:
            action = asked.arguments["sender_action"]
            self._note(Acted, page=page.id, psid=psid, action=action)
            return {"recipient_id": psid}
        if self._meta.now() - page.people[psid] > _WINDOW:
            why = "(#10) This message is sent outside of allowed window."
            raise GraphError(why, 10, subcode=2018278)
        message = asked.arguments["message"]
        said = self._meta.say(
            page.id,
            psid,
            message.get("text", ""),
            metadata=message.get("metadata"),
            app_id=page.app.id,
        )
        echo = self.echoes(asked.call, self._random) or EchoFault()
        if not echo.lost:
            self._meta.echo(
                said, app_id=echo.app_id, metadata=echo.metadata, delay=echo.delay
            )
        return {"recipient_id": psid, "message_id": said.mid}

    # Look-ups

    def _threads(self, page: Page, asked: _Asked) -> Document:
        check(asked.get("platform") in (None, "messenger"), "Unknown platform")
        now = self._meta.now()
        recent = [at for at in self._lookups.get(page.id, []) if now - at < 1.0]
        if self.strict_rates and len(recent) >= _LOOKUPS_PER_SECOND:
            raise GraphError("(#613) Calls have exceeded the rate limit.", 613)
        self._lookups[page.id] = [*recent, now]
        until = now - self.lookup_lag
        shown, mids = listed(page, asked.arguments, until, self.thread_id)
        self._note(LookedUp, page=page.id, psid=asked.get("user_id"), mids=mids)
        return shown

    # Subscriptions

    def _subscription(self, page: Page, grant: Grant, asked: _Asked) -> Document:
        if asked.method == "GET":
            fields = sorted(page.fields)
            apps = [*([page.app] if fields else []), *page.others]
            return {
                "data": [
                    {
                        "id": app.id,
                        "name": app.name,
                        "subscribed_fields": fields if app is page.app else [*FIELDS],
                    }
                    for app in apps
                ]
            }
        given = (asked.get("subscribed_fields") or "").split(",")
        fields = [] if asked.method == "DELETE" else given
        _check_fields(fields, "subscribed_fields")
        if "pages_manage_metadata" not in grant.scopes:
            why = (
                "(#200) Requires pages_manage_metadata permission to manage the object"
            )
            raise GraphError(why, 200, status=403)
        if fields and "pages_messaging" not in grant.scopes:
            why = "(#200) To subscribe to the messages field, one of these permissions"
            raise GraphError(f"{why} is needed: pages_messaging", 200, status=403)
        page.fields = set(fields)
        self._note(Subscribed, page=page.id, fields=tuple(fields))
        return {"success": True}

    async def _set_callback(self, asked: _Asked) -> Document:
        app = self._app(asked)
        callback, token = asked.get("callback_url"), asked.get("verify_token")
        check(asked.path[0] == app.id, "Not the app of the token", 33)
        check(asked.get("object") == "page", "Unknown object")
        if not callback or not token or not asked.get("fields"):
            raise GraphError("(#100) callback_url, verify_token, fields are required")
        fields = (asked.get("fields") or "").split(",")
        _check_fields(fields, "fields")
        if not await self._meta.verify(callback, token):
            raise GraphError("(#2200) Callback verification failed", 2200)
        app.callback, app.active = callback, True
        app.fields = set(fields)
        return {"success": True}

    def _of_app(self, asked: _Asked) -> Document:
        """Tell which app the caller's token is of."""
        token = asked.get("access_token") or ""
        app = self._app(asked) if "|" in token else self._page(asked).app
        check(asked.path[0] in ("app", app.id), "Not the app of the token", 33)
        known = {"id": app.id, "name": app.name, "category": "Business"}
        return select(asked.get("fields") or "id,name,category", known)

    def _app_subscriptions(self, asked: _Asked) -> Document:
        app = self._app(asked)
        check(asked.path[0] == app.id, "Not the app of the token", 33)
        if asked.method == "DELETE":
            app.callback = ""
            return {"success": True}
        return subscribed(app, asked.version)

    def _debug_token(self, asked: _Asked) -> Document:
        app, token = self._app(asked), asked.get("input_token")
        check(bool(token), "The parameter input_token is required")
        return self._callers.inspect(app, token or "")


def _check_fields(fields: Iterable[str], where: str) -> None:
    for name in fields:
        known = _SUBSCRIBABLE.fullmatch(name) is not None
        check(known, f"Unknown value in {where}: {name!r}")


def _read(request: Request) -> _Asked:
    """Read a request as far as it can be."""
    parts = urlsplit(request.uri.decode("ascii", "replace"))
    version, *path = parts.path.strip("/").split("/")
    arguments: Document = dict(parse_qsl(parts.query, keep_blank_values=True))
    malformed = None
    if re.fullmatch(r"v\d+\.\d", version) is None or not path:
        malformed = GraphError("Unknown path components: " + parts.path, 2500)
    kind = (request.getHeader("content-type") or "").partition(";")[0]
    body = cast(IO[bytes], request.content).read()
    if kind == "application/json":
        try:
            arguments.update(json.loads(body))
        except (ValueError, TypeError, RecursionError):
            malformed = GraphError("(#100) The body is not a JSON object")
    scheme, _, token = (request.getHeader("authorization") or "").partition(" ")
    if scheme == "Bearer":
        arguments["access_token"] = token
    recipient, message = arguments.get("recipient"), arguments.get("message")
    recipient = recipient if isinstance(recipient, dict) else {}
    message = message if isinstance(message, dict) else {}
    kind = path[-1] if len(path) > 1 or path in _APPS else "page"
    if kind == "messages" and "sender_action" in arguments:
        kind = "action"
    return _Asked(
        method=request.method.decode("ascii"),
        version=version,
        path=tuple(path),
        arguments=arguments,
        malformed=malformed,
        call=Call(
            kind="message" if kind == "messages" else kind,
            page=path[0] if path else "",
            psid=_text(recipient.get("id") or arguments.get("user_id")),
            text=_text(message.get("text")),
            metadata=_text(message.get("metadata")),
        ),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
