"""
The webhook as HTTP: Meta's verification, and its deliveries.

Source: docs/messenger-platform.md, sections 1 and 2.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from micamsgr.errors import RejectedRequest

from .webhook import Channel, Webhook

# What a refusal tells the operator to do, by its reason.
_HINTS = {"signature does not match": "; check facebook.secret"}


@define(eq=False, slots=False)
class WebhookResource(Resource):
    """
    One bot's webhook, as HTTP.

    """

    isLeaf = True

    _channel: Channel
    _webhook: Webhook

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def accepts(self, rest: Sequence[bytes]) -> Mapping[bytes, bool]:
        """
        Tell which methods there are, and whether each takes a body.
        """
        return {} if rest else {b"GET": False, b"POST": True}

    def render(self, request: Request) -> bytes | int:
        if request.postpath:
            return _answer(request, 404)
        if request.method == b"GET":
            return self._verify(request)
        if request.method == b"POST":
            return self._deliver(request)
        request.setHeader("Allow", "GET, POST")
        return _answer(request, 405)

    def _verify(self, request: Request) -> bytes:
        """
        Answer Meta's question whether this is the webhook it means.

        The challenge goes back byte for byte, but only to whoever knows the
        token, and never as a page that a browser would render.
        """
        arguments: list[bytes] = [
            request.args.get(name, [b""])[0]
            for name in (b"hub.mode", b"hub.verify_token", b"hub.challenge")
        ]
        mode, token, challenge = arguments
        if not all(arguments):
            return _answer(request, 400)
        known = hmac.compare_digest(token, self._channel.verify_token)
        if not known or mode != b"subscribe":
            count = self._of_strangers("verification")
            if count:
                self._log.warn(
                    "bot {bot}: verification failed; check facebook.verify_token"
                    " ({count} since it was last told)",
                    event="webhook.not_verified",
                    bot=self._channel.bot,
                    count=count,
                )
            return _answer(request, 403)
        if self._webhook.strangers.count((self._channel.bot, "verified")):
            self._log.info(
                "bot {bot}: webhook verified",
                event="webhook.verified",
                bot=self._channel.bot,
            )
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        request.setHeader("X-Content-Type-Options", "nosniff")
        return challenge

    def _deliver(self, request: Request) -> int:
        began = self._webhook.seconds()
        assert request.content is not None
        body = request.content.read()
        # As bytes: as text, it would have to be UTF-8.
        signature = request.getHeader(b"x-hub-signature-256")
        receiving: Deferred[Any]
        try:
            receiving = self._webhook.receive(self._channel, body, signature)
        except Exception:
            receiving = fail()
        receiving.addErrback(self._refused)
        receiving.addCallback(self._finish, request, began)
        return NOT_DONE_YET

    def _refused(self, failure: Failure) -> int:
        if failure.check(RejectedRequest):
            error = failure.value
            assert isinstance(error, RejectedRequest)
            if error.status == 403:
                count = self._of_strangers(error.reason)
                if count:
                    self._log.warn(
                        "bot {bot}: a delivery is refused: {reason}{hint} ({count}"
                        " since it was last told)",
                        event="delivery.refused",
                        bot=self._channel.bot,
                        reason=error.reason,
                        hint=_HINTS.get(error.reason, ""),
                        count=count,
                    )
                return error.status
            # While the disk is full, each that Meta delivers is one of these.
            count = self._webhook.refusals.count(
                (self._channel.bot, error.status, error.reason)
            )
            if count:
                self._log.warn(
                    "bot {bot}: a delivery is answered {status}: {reason} ({count}"
                    " since it was last told)",
                    event="delivery.failed",
                    bot=self._channel.bot,
                    status=error.status,
                    reason=error.reason,
                    count=count,
                )
            return error.status
        self._log.failure("a defect, taking a delivery", failure, event="defect")
        return 503

    def _of_strangers(self, what: str) -> int:
        return self._webhook.strangers.count((self._channel.bot, what))

    def _finish(self, status: int | None, request: Request, began: float) -> None:
        # The client may have hung up while the disk was busy, and then there is no
        # channel; what it brought is kept all the same.
        if request.channel is not None:
            request.write(_answer(request, status or 200))
            request.finish()
            self._webhook.answered(status or 200, self._webhook.seconds() - began)


def _answer(request: Request, status: int) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    body = _BODIES.get(status, b"")
    request.setHeader("Content-Length", str(len(body)))
    return body


_BODIES = {
    200: b"EVENT_RECEIVED",
    400: b"bad request\n",
    403: b"forbidden\n",
    404: b"not found\n",
    405: b"method not allowed\n",
    503: b"not kept, try again\n",
}


def webhooks(
    webhook: Webhook,
    channels: Iterable[Channel],
    beside: Mapping[str, Resource] | None = None,
) -> Resource:
    """
    Make the tree of resources: ``/v1/facebook/webhook/{bot}``, and what is
    beside ``webhook``; nothing else.
    """

    root, version, facebook, hook = Nothing(), Nothing(), Nothing(), Nothing()
    root.putChild(b"v1", version)
    version.putChild(b"facebook", facebook)
    facebook.putChild(b"webhook", hook)
    for channel in channels:
        hook.putChild(channel.bot.encode(), WebhookResource(channel, webhook))
    for name, resource in (beside or {}).items():
        facebook.putChild(name.encode(), resource)
    return root


class Nothing(Resource):
    """
    A path at which there is nothing, whatever is asked of it.
    """

    def accepts(self, rest: Sequence[bytes]) -> Mapping[bytes, bool]:
        """
        Tell that there is no method.
        """
        return {}

    def getChild(self, path: bytes, request: Request) -> Resource:
        below = Nothing()
        # Not to ask for each part of a path of thousands.
        below.isLeaf = True
        return below

    def render(self, request: Request) -> bytes:
        return _answer(request, 404)
