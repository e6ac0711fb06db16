"""
An assistant behind ``POST /v1/chat/completions``, as OpenAI defined it and
many servers speak it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from micamsgr.assistant.answers import Fault, Then, read_answer
from micamsgr.conversation.assistant import IAssistant, Reply, Utterance
from micamsgr.errors import OutcomeUnknown, Refused, Unavailable
from micamsgr.httpcall import Answer


@frozen(kw_only=True)
class Endpoint:
    """
    One server and model to ask.

    :ivar url: the whole URL to POST to.
    :ivar headers: sent as they stand.
    :ivar api_key: sent as a bearer token where *headers* has no
        Authorization.
    :ivar parameters: further members of the request, such as ``temperature``.
    :ivar timeout: seconds from the start of a call to the last byte of its
        answer.
    """

    url: str
    model: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    api_key: str | None = field(default=None, repr=False)
    parameters: Mapping[str, object] = field(factory=dict)
    timeout: float = 60.0


def after_faults(faults: Sequence[Fault]) -> Unavailable | Refused:
    """
    Decide what it means that every endpoint asked has failed.
    """
    detail = "; ".join(fault.detail for fault in faults)
    again = [fault for fault in faults if fault.then is Then.AGAIN]
    if not again or any(fault.then is Then.GIVE_UP for fault in faults):
        return Refused(detail)
    waits = [fault.retry_after for fault in again if fault.retry_after is not None]
    return Unavailable(detail, min(waits, default=None))


class Call(Protocol):
    """
    Make one HTTP call, as :meth:`micamsgr.httpcall.HTTPCaller.call` does.
    """

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Coroutine[Any, Any, Answer]: ...


@frozen
class _Prepared:
    """
    An endpoint, and what is the same in each request to it.

    :ivar host: as the log may name it.
    """

    endpoint: Endpoint
    host: str
    headers: Headers = field(repr=False)


def _prepare(endpoint: Endpoint) -> _Prepared:
    headers = Headers()
    for name, value in endpoint.headers.items():
        headers.addRawHeader(name, value)
    if not headers.hasHeader("content-type"):
        headers.addRawHeader("Content-Type", "application/json")
    if endpoint.api_key is not None and not headers.hasHeader("authorization"):
        headers.addRawHeader("Authorization", f"Bearer {endpoint.api_key}")
    return _Prepared(endpoint, urlsplit(endpoint.url).hostname or "", headers)


@implementer(IAssistant)
@define(eq=False)
class ChatCompletions:
    """
    Ask the first of several endpoints, and where it fails the next, at once.

    :ivar _endpoints: in the order in which they are asked; at least one.
    :ivar _prompt: composes the messages; see
        :func:`micamsgr.assistant.prompt.messages`.
    """

    _call: Call
    _endpoints: Sequence[Endpoint]
    _prompt: Callable[[Sequence[Utterance]], Sequence[Mapping[str, str]]]

    _prepared: Sequence[_Prepared] = field(init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._prepared = tuple(map(_prepare, self._endpoints))

    async def reply(self, utterances: Sequence[Utterance]) -> Reply:
        """
        See :class:`~micamsgr.conversation.assistant.IAssistant`.  Canceled, it
        ends the call in flight and makes no other.
        """
        messages = self._prompt(utterances)
        faults: list[Fault] = []
        for prepared in self._prepared:
            outcome = await self._ask(prepared, messages)
            if isinstance(outcome, Reply):
                return outcome
            faults.append(outcome)
            # Of a single one, whoever asked tells it.
            level = LogLevel.warn if len(self._prepared) > 1 else LogLevel.debug
            self._log.emit(
                level,
                "no answer from {host}: {detail}; {then}",
                host=prepared.host,
                detail=outcome.detail,
                then=outcome.then.value,
            )
            if outcome.then is Then.GIVE_UP:
                break
        raise after_faults(faults)

    async def _ask(
        self, prepared: _Prepared, messages: Sequence[Mapping[str, str]]
    ) -> Reply | Fault:
        endpoint = prepared.endpoint
        request = {
            "model": endpoint.model,
            "messages": messages,
            **endpoint.parameters,
        }
        body = json.dumps(request, ensure_ascii=False).encode("utf-8", "replace")
        call = self._call(
            "POST",
            endpoint.url,
            headers=prepared.headers,
            body=body,
            deadline=endpoint.timeout,
        )
        try:
            answer = await _until_canceled(call)
        except (Unavailable, OutcomeUnknown) as error:
            return Fault(then=Then.AGAIN, detail=error.detail)
        return read_answer(answer.status, answer.headers, answer.body, asked=len(body))


def _until_canceled(call: Coroutine[Any, Any, Answer]) -> Deferred[Answer]:
    """
    Let a call that is canceled end as canceled.

    The caller tells it like any other failure, and that would have us ask the
    next endpoint.
    """

    def cancel(result: Deferred[Answer]) -> None:
        result.errback(CancelledError())
        called.cancel()

    def settle(outcome: Answer | Failure) -> None:
        if result.called:
            return
        if isinstance(outcome, Failure):
            result.errback(outcome)
        else:
            result.callback(outcome)

    result: Deferred[Answer] = Deferred(cancel)
    called = Deferred.fromCoroutine(call)
    called.addBoth(settle)
    return result
