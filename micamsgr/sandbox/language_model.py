"""
A stand-in for a language model behind OpenAI's chat completions API.

It is stricter than the servers that it stands for: what the reference
doesn't allow is refused.  Streaming is not served.

Source: the chat completions reference at platform.openai.com.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import IO, Any, cast

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from micamsgr.sandbox.journal import (
    Asked,
    Call,
    Declined,
    Ending,
    Journal,
    Plan,
    Spoiled,
    end,
    nothing,
)

_PATH = b"/v1/chat/completions"
_ROLES = {"system", "developer", "user", "assistant"}
_MEMBERS = {"role", "content", "name"}

# What a request may hold; for numbers, their range.
_NUMBERS = {
    "frequency_penalty": (-2.0, 2.0),
    "max_completion_tokens": (1, 1 << 20),
    "max_tokens": (1, 1 << 20),
    "n": (1, 128),
    "presence_penalty": (-2.0, 2.0),
    "temperature": (0.0, 2.0),
    "top_logprobs": (0, 20),
    "top_p": (0.0, 1.0),
}
_KNOWN = frozenset(
    {"audio", "function_call", "functions", "logit_bias", "logprobs", "metadata"}
    | {"modalities", "parallel_tool_calls", "prediction", "prompt_cache_key"}
    | {"prompt_cache_retention", "reasoning_effort", "response_format"}
    | {"safety_identifier", "seed", "service_tier", "stop", "store", "stream"}
    | {"stream_options", "tool_choice", "tools", "user", "verbosity"}
    | {"web_search_options", "model", "messages", *_NUMBERS}
)

Document = dict[str, Any]
Reply = Callable[[Sequence[Mapping[str, str]]], str]


@frozen
class _RequestError(Exception):
    status: int
    message: str
    code: str | None = None
    param: str | None = None


@frozen(kw_only=True)
class Fault:
    """
    What goes wrong with one call.  Times are in seconds.

    :ivar status: of HTTP.
    :ivar body: what is answered instead, raw.
    :ivar kind: the content type of the answer.
    :ivar headers: what is added to the answer's.
    :ivar choice: what is put into the answer's choice, in place of what is
        there, such as ``finish_reason``.
    :ivar message: the same for the choice's message.
    :ivar kept: how much of the answer is its body, from 0.0 to 1.0.
    :ivar delay: until the answer.
    :ivar drip: between any two bytes of the answer.
    """

    ending: Ending = Ending.WHOLE
    status: int = 200
    body: bytes | None = None
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    choice: tuple[tuple[str, object], ...] = ()
    message: tuple[tuple[str, object], ...] = ()
    kept: float = 1.0
    delay: float = 0.0
    drip: float = 0.0


def failing(
    status: int, code: str | None, kind: str = "server_error", **more: Any
) -> Fault:
    """
    Make a fault that is an error of the API.

    :param code: of the error, such as ``rate_limit_exceeded``.
    :param kind: its type.
    :param more: as for :class:`Fault`.
    """
    return Fault(status=status, body=_error("No answer", kind, code), **more)


def _error(
    message: str, kind: str, code: str | None, param: str | None = None
) -> bytes:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}).encode("ascii")


_CLIENT = "invalid_request_error"
_HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"

RATE_LIMITED = failing(
    429, "rate_limit_exceeded", "requests", headers=(("Retry-After", "7"),)
)
NO_QUOTA = failing(429, "insufficient_quota", "insufficient_quota")
INTERNAL = failing(500, None)
BAD_GATEWAY = Fault(status=502, body=_HTML, kind="text/html")
BAD_KEY = failing(401, "invalid_api_key", _CLIENT)
NO_MODEL = failing(404, "model_not_found", _CLIENT)
TOO_LONG = failing(400, "context_length_exceeded", _CLIENT)
ERROR_IN_200 = failing(200, None)
EMPTY = Fault(message=(("content", ""),))
REFUSING = Fault(message=(("content", None), ("refusal", "I can't help with that.")))
CUT = Fault(choice=(("finish_reason", "length"),))
FILTERED = Fault(choice=(("finish_reason", "content_filter"),))
TRUNCATED = Fault(kept=0.5)
DRIPPING = Fault(drip=1.0)
STALLING = Fault(ending=Ending.STALL)
HANGING = Fault(ending=Ending.HANG)
DROPPED = Fault(ending=Ending.DROP)


def echo(messages: Sequence[Mapping[str, str]]) -> str:
    """
    Answer with what the user said last.
    """
    said = [message["content"] for message in messages if message["role"] == "user"]
    return f"You said: {said[-1] if said else ''}"


@define(eq=False, slots=False)
class LanguageModel(Resource):
    """
    Serve chat completions, at the root of a site.

    :ivar _clock: for every wait.
    :ivar _authorization: the ``Authorization`` header that a caller must
        send; ``None``: none is needed.
    :ivar _models: those that there are; empty: any.
    :ivar reply: makes an answer to the messages, oldest first; may be
        replaced at any time.
    :ivar faults: what goes wrong; may be replaced at any time.  Its calls are
        of the kind ``completion``, with what the user said last.
    """

    isLeaf = True

    _clock: IReactorTime
    _random: Random
    _journal: Journal
    _authorization: str | None = field(default=None, kw_only=True)
    _models: Collection[str] = field(default=(), kw_only=True)
    reply: Reply = field(default=echo, kw_only=True)
    faults: Plan[Fault] = field(default=nothing, kw_only=True)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def render(self, request: Request) -> int:
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        serving = Deferred.fromCoroutine(self._serve(request, gone))
        serving.addErrback(
            lambda failure: self._log.failure("a defect", failure, event="defect")
        )
        return NOT_DONE_YET

    async def _serve(self, request: Request, gone: list[object]) -> None:
        now = self._clock.seconds()
        try:
            asked = self._read(request)
        except _RequestError as no:
            self._journal.add(Declined(at=now, status=no.status, why=no.message))
            body = _error(no.message, _CLIENT, no.code, no.param)
            fault = Fault(status=no.status, body=body)
        else:
            messages = asked["messages"]
            rest = {k: v for k, v in asked.items() if k not in ("model", "messages")}
            self._journal.add(
                Asked(
                    at=now,
                    model=asked["model"],
                    messages=tuple((m["role"], m["content"]) for m in messages),
                    parameters=tuple(sorted(rest.items())),
                )
            )
            call = Call(kind="completion", text=messages[-1]["content"])
            planned = self.faults(call, self._random)
            if planned is not None:
                self._journal.add(Spoiled(at=now, call=call, fault=repr(planned)))
            fault = planned or Fault()
            if fault.body is None:
                fault = evolve(fault, body=self._completion(asked, fault))
        await self._answer(request, gone, fault)

    async def _answer(self, request: Request, gone: list[object], fault: Fault) -> None:
        body = fault.body or b""
        body = body[: int(len(body) * fault.kept)]
        if fault.delay > 0.0:
            await deferLater(self._clock, fault.delay)
        request.setResponseCode(fault.status)
        request.setHeader("Content-Type", fault.kind)
        request.setHeader("X-Request-Id", f"req_{self._random.getrandbits(128):032x}")
        for name, value in fault.headers:
            request.setHeader(name, value)
        while fault.drip > 0.0 and len(body) > 1 and not gone:
            request.write(body[:1])
            body = body[1:]
            await deferLater(self._clock, fault.drip)
        if not gone:
            end(request, fault.ending, body)

    def _read(self, request: Request) -> Document:
        """
        Read a request.

        :raises _RequestError: where the reference doesn't allow it.
        """
        path, method = request.path, request.method.decode("ascii")
        if path != _PATH:
            raise _RequestError(404, "Unknown request URL", "unknown_url")
        if method != "POST":
            raise _RequestError(405, f"Not allowed to {method} on /v1/chat/completions")
        authorization = request.getHeader("authorization")
        if self._authorization not in (None, authorization):
            raise _RequestError(401, "Incorrect API key provided", "invalid_api_key")
        kind = request.getHeader("content-type") or ""
        if kind.partition(";")[0] != "application/json":
            raise _RequestError(400, "The content type must be application/json")
        try:
            asked = json.loads(cast(IO[bytes], request.content).read())
        except (ValueError, RecursionError):
            raise _RequestError(400, "We could not parse the JSON body of your request")
        if not isinstance(asked, dict):
            raise _RequestError(400, "The body must be a JSON object")
        check(asked)
        if self._models and asked["model"] not in self._models:
            raise _RequestError(
                404, "The model does not exist", "model_not_found", "model"
            )
        return asked

    def _completion(self, asked: Document, fault: Fault) -> bytes:
        text = self.reply(asked["messages"])
        prompt = sum(_tokens(message["content"]) for message in asked["messages"])
        choice = {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": text,
                "refusal": None,
                "annotations": [],
                **dict(fault.message),
            },
            "logprobs": None,
            "finish_reason": "stop",
            **dict(fault.choice),
        }
        completion = {
            "id": f"chatcmpl-{self._random.getrandbits(96):024x}",
            "object": "chat.completion",
            "created": int(self._clock.seconds()),
            "model": asked["model"],
            "choices": [choice],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": _tokens(text),
                "total_tokens": prompt + _tokens(text),
            },
            "service_tier": "default",
            "system_fingerprint": None,
        }
        return json.dumps(completion).encode("ascii")


def check(asked: Document) -> None:
    """
    Refuse what the reference doesn't allow.

    :raises _RequestError: naming the first fault found.
    """
    for name in asked:
        if name not in _KNOWN:
            why = f"Unknown parameter: '{name}'."
            raise _RequestError(400, why, "unknown_parameter", name)
    if not isinstance(asked.get("model"), str) or not asked["model"]:
        raise _RequestError(400, "you must provide a model parameter")
    for name, (least, most) in _NUMBERS.items():
        value = asked.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _RequestError(400, f"'{name}' is no number", "invalid_type", name)
        if not least <= value <= most:
            raise _RequestError(400, f"'{name}' is out of range", "invalid_value", name)
    if asked.get("stream"):
        raise _RequestError(
            400, "Streaming is not served", "unsupported_value", "stream"
        )
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        why = "Missing required parameter: 'messages'."
        raise _RequestError(400, why, "missing_required_parameter", "messages")
    for number, message in enumerate(messages):
        _check_message(message, f"messages[{number}]")


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        why = f"Invalid value for '{where}.role'"
        raise _RequestError(400, why, "invalid_value", f"{where}.role")
    content = message.get("content")
    if not isinstance(content, str) or not content:
        why = f"'{where}.content' must be text that is not empty"
        raise _RequestError(400, why, "invalid_type", f"{where}.content")
    for name in message:
        if name not in _MEMBERS:
            why = f"Unknown parameter: '{where}.{name}'."
            raise _RequestError(400, why, "unknown_parameter", f"{where}.{name}")


def _tokens(text: str) -> int:
    """
    Estimate how many tokens a text is.
    """
    return -(-len(text) // 4)
