"""
An assistant behind ``POST /v1/chat/completions``, as OpenAI defined it and
many servers speak it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from micamsgr.assistant.answers import (
    Fault,
    Then,
    Trouble,
    most_tokens,
    read_answer,
)
from micamsgr.assistant.breaker import Breaker
from micamsgr.assistant.health import Health
from micamsgr.assistant.prompt import shorter
from micamsgr.conversation.assistant import IAssistant, Reply, Utterance
from micamsgr.errors import OutcomeUnknown, Refused, Unavailable
from micamsgr.httpcall import Answer, Call
from micamsgr.logger import Logger

# The most tokens of an answer, where the configuration names none.
_LONGEST_ANSWER = 4096

# So many requests are kept from estimate to call; there is seldom a moment between.
_MOST_WRITTEN = 64


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

    The wait is the shortest that one of them named, or that it is left alone
    for; none where any that is not left alone, and named none, may be asked
    again.
    """
    detail = "; ".join(fault.detail for fault in faults)
    tokens = sum(fault.tokens for fault in faults)
    later = [fault for fault in faults if fault.then in (Then.AGAIN, Then.MEND)]
    if not later or any(fault.then is Then.GIVE_UP for fault in faults):
        return Refused(detail, tokens)
    there = [fault for fault in later if fault.shut is None]
    waits = [_wait(fault) for fault in later]
    if there and all(fault.retry_after is None for fault in there):
        waits = []
    known = [wait for wait in waits if wait is not None]
    tried = any(fault.trouble is not Trouble.SHUT for fault in faults)
    return Unavailable(detail, min(known, default=None), tokens, tried=tried)


def _wait(fault: Fault) -> float | None:
    waits = [wait for wait in (fault.retry_after, fault.shut) if wait is not None]
    return max(waits, default=None)


@frozen
class _Prepared:
    """
    An endpoint, and what is the same in each request to it.

    :ivar host: as the log may name it.
    """

    endpoint: Endpoint
    host: str
    headers: Headers = field(repr=False)
    breaker: Breaker

    def request(self, messages: Sequence[Mapping[str, str]]) -> bytes:
        """
        Make the body of a request.
        """
        document = {
            "model": self.endpoint.model,
            "messages": messages,
            **self.endpoint.parameters,
        }
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


@frozen
class _Written:
    """
    What was written to estimate a call, for when it is made: with a history, to
    write it takes as long as to send it.

    :ivar bodies: of the requests, one for each endpoint.
    """

    utterances: Sequence[Utterance]
    messages: Sequence[Mapping[str, str]]
    bodies: Sequence[bytes]


def host_of(url: str) -> str:
    """
    Name an endpoint, as the log may.
    """
    return urlsplit(url).hostname or ""


def _prepare(
    endpoint: Endpoint, ticks: Callable[[], float], random: Callable[[], float]
) -> _Prepared:
    host = host_of(endpoint.url)
    headers = Headers()
    for name, value in endpoint.headers.items():
        headers.addRawHeader(name, value)
    if not headers.hasHeader("content-type"):
        headers.addRawHeader("Content-Type", "application/json")
    if endpoint.api_key is not None and not headers.hasHeader("authorization"):
        headers.addRawHeader("Authorization", f"Bearer {endpoint.api_key}")
    breaker = Breaker(host, endpoint.model, ticks, random)
    return _Prepared(endpoint, host, headers, breaker)


@implementer(IAssistant)
@define(eq=False)
class ChatCompletions:
    """
    Ask the first of several endpoints, and where it fails the next, at once.

    For one reply each of them is asked once at most; once more if the history
    was too long for it.  Whoever wants the reply asks again, later.  An
    endpoint that fails is left alone for a while; see
    :class:`~micamsgr.assistant.breaker.Breaker`.

    :ivar _endpoints: in the order in which they are asked; at least one.
    :ivar _prompt: composes the messages; see
        :func:`micamsgr.assistant.prompt.messages`.
    :ivar _ticks: the monotonic clock, in seconds.
    :ivar _random: makes a number from 0.0 to 1.0.
    """

    _call: Call
    _endpoints: Sequence[Endpoint]
    _prompt: Callable[[Sequence[Utterance]], Sequence[Mapping[str, str]]]
    _ticks: Callable[[], float]
    _random: Callable[[], float]

    _prepared: Sequence[_Prepared] = field(init=False)

    # By the identity of the utterances, which are held meanwhile: the same ones are
    # what a reply is wanted to soon.  Estimates are made in the store's thread.
    _written: OrderedDict[int, _Written] = field(factory=OrderedDict, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._prepared = tuple(
            _prepare(endpoint, self._ticks, self._random)
            for endpoint in self._endpoints
        )

    @property
    def shut(self) -> bool:
        """
        Whether each of the endpoints is left alone now, so that nobody is
        asked.
        """
        return all(prepared.breaker.shut for prepared in self._prepared)

    @property
    def endpoints(self) -> list[tuple[str, str, float | None]]:
        """
        Of each endpoint the host, the model, and for how many seconds it is
        left alone; ``None``: it is asked.
        """
        return [
            (it.host, it.endpoint.model, it.breaker.left_alone) for it in self._prepared
        ]

    def try_again(self) -> None:
        """
        Let each endpoint that is left alone be asked, by one call.
        """
        for prepared in self._prepared:
            prepared.breaker.try_again()

    def estimate(self, utterances: Sequence[Utterance]) -> int:
        """
        See :class:`~micamsgr.conversation.assistant.IAssistant`.

        Each endpoint may be asked, and may have charged before it failed.
        Where none is configured, an answer is taken to have at most 4096
        tokens.
        """
        messages = self._prompt(utterances)
        bodies = [prepared.request(messages) for prepared in self._prepared]
        self._written[id(utterances)] = _Written(utterances, messages, bodies)
        if len(self._written) > _MOST_WRITTEN:
            self._written.popitem(last=False)
        return sum(
            most_tokens(body.decode("utf-8"))
            + _longest_answer(prepared.endpoint.parameters)
            for prepared, body in zip(self._prepared, bodies, strict=True)
        )

    async def reply(self, utterances: Sequence[Utterance], asker: Hashable) -> Reply:
        """
        See :class:`~micamsgr.conversation.assistant.IAssistant`.  Canceled, it
        ends the call in flight and makes no other.
        """
        written = self._written.pop(id(utterances), None)
        if written is not None:
            messages, bodies = written.messages, written.bodies
        else:
            messages = self._prompt(utterances)
            bodies = [prepared.request(messages) for prepared in self._prepared]
        faults: list[Fault] = []
        for prepared, body in zip(self._prepared, bodies, strict=True):
            outcome = await self._ask(prepared, messages, body, asker)
            if isinstance(outcome, Reply):
                if not faults:
                    return outcome
                spent = sum(fault.tokens for fault in faults)
                return evolve(outcome, tokens=outcome.tokens + spent)
            faults.append(outcome)
            # Of a single one, whoever asked tells it; and that one is left
            # alone was told when that began.
            several = len(self._prepared) > 1 and outcome.trouble is not Trouble.SHUT
            self._log.emit(
                LogLevel.warn if several else LogLevel.debug,
                "no answer from {host}: {detail}; {then}",
                event="llm.failed",
                host=prepared.host,
                detail=outcome.detail,
                then=outcome.then.value,
            )
            if outcome.then is Then.GIVE_UP:
                break
        raise after_faults(faults)

    async def _ask(
        self,
        prepared: _Prepared,
        messages: Sequence[Mapping[str, str]],
        body: bytes,
        asker: Hashable,
    ) -> Reply | Fault:
        """
        Ask an endpoint, unless it is left alone.
        """
        breaker = prepared.breaker
        entered = breaker.enter(asker)
        if entered is None:
            detail = "not asked, as it failed before"
            return Fault(trouble=Trouble.SHUT, detail=detail, shut=breaker.wait(asker))
        outcome: Reply | Fault | None = None
        try:
            outcome = await self._exchange(prepared, body)
            if isinstance(outcome, Fault) and outcome.then is Then.SHORTER:
                less = shorter(messages)
                if less != messages:
                    before = outcome.tokens
                    outcome = await self._exchange(prepared, prepared.request(less))
                    outcome = evolve(outcome, tokens=outcome.tokens + before)
        finally:
            if isinstance(outcome, Fault):
                health, named = outcome.health, outcome.retry_after
                breaker.leave(entered, health, named, outcome.detail)
            else:
                breaker.leave(entered, None if outcome is None else Health.WELL)
        if isinstance(outcome, Fault):
            return evolve(outcome, shut=breaker.wait(asker))
        return outcome

    async def _exchange(self, prepared: _Prepared, body: bytes) -> Reply | Fault:
        began = self._ticks()
        outcome = await self._called(prepared, body)
        said = "reply" if isinstance(outcome, Reply) else outcome.trouble.value
        self._log.debug(
            "{host} was asked for {model}: {outcome}, in {seconds:.3f} s",
            event="llm.called",
            host=prepared.host,
            model=prepared.endpoint.model,
            outcome=said,
            seconds=self._ticks() - began,
            tokens=outcome.tokens,
        )
        return outcome

    async def _called(self, prepared: _Prepared, body: bytes) -> Reply | Fault:
        endpoint = prepared.endpoint
        call = self._call(
            "POST",
            endpoint.url,
            headers=prepared.headers,
            body=body,
            deadline=endpoint.timeout,
        )
        try:
            answer = await _until_canceled(call)
        except Unavailable as error:
            return Fault(trouble=Trouble.UNREACHED, detail=error.detail)
        except OutcomeUnknown as error:
            # It may have answered at length, and to nobody.
            spent = most_tokens(body.decode("utf-8", "replace")) + _longest_answer(
                endpoint.parameters
            )
            return Fault(trouble=Trouble.SILENT, detail=error.detail, tokens=spent)
        return read_answer(answer.status, answer.headers, answer.body, asked=len(body))


def _longest_answer(parameters: Mapping[str, object]) -> int:
    """
    Say how many tokens an answer may have.
    """
    asked = (parameters.get(name) for name in ("max_completion_tokens", "max_tokens"))
    known = [count for count in asked if isinstance(count, int) and count > 0]
    return max(known, default=_LONGEST_ANSWER)


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
