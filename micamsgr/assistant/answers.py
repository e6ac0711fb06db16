"""
What an endpoint of the chat completions API sent back, and what follows from
it.  Nothing here waits.
"""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from attrs import frozen
from twisted.web.http_headers import Headers

from micamsgr.conversation.assistant import Reply
from micamsgr.unseen import INVISIBLE, UNWANTED

_LONGEST = 20_000
_LONGEST_RETRY_AFTER = 86_400.0

# Request Timeout, Conflict, Too Early, Too Many Requests: openai-python
# repeats the same, and any 5xx.
_PASSING = frozenset({408, 409, 425, 429})
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
# These come as a 429, too, but no wait mends them.
_UNPAID = frozenset(
    {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"}
)
# What else a server may call an error that it sends with status 200.
_LASTING = _UNPAID | frozenset(
    {
        "authentication_error",
        "context_length_exceeded",
        "invalid_api_key",
        "invalid_request_error",
        "model_not_found",
        "not_found_error",
        "permission_error",
    }
)

# What the log may name of an answer: OpenAI's words, and vLLM's types.  Any
# other could be a key, or what people wrote.
_KNOWN = (
    _FILTERED
    | _LASTING
    | {
        "api_error",
        "function_call",
        "invalid_prompt",
        "invalid_value",
        "length",
        "missing_required_parameter",
        "overloaded_error",
        "rate_limit_error",
        "rate_limit_exceeded",
        "requests",
        "server_error",
        "stop",
        "string_above_max_length",
        "timeout",
        "tokens",
        "tool_calls",
        "unknown_parameter",
        "unsupported_parameter",
        "unsupported_value",
    }
    | {"BadRequestError", "InternalServerError", "NotFoundError"}
)

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_STATUS = re.compile("[45][0-9]{2}")
# Never closed where it took all the tokens there were.
_REASONING = re.compile(r"\A(?:\s*<think>.*?(?:</think>|\Z))+", re.DOTALL)
# A dot behind a line's first number does not end a sentence but begins an item.
_SENTENCE_END = re.compile(
    r"""(?:(?<!^\d)(?<!^\d\d)[.]|[!?…])["'”’»)\]]*(?=\s|\Z)|[。！？]["'”’」』）]*|\n""",
    re.MULTILINE,
)


class Then(Enum):
    """
    What may follow a fault: ask the same endpoint AGAIN later; ask the NEXT
    one, as this one won't ever answer this; or GIVE UP, as none will.
    """

    AGAIN = "again"
    NEXT = "next"
    GIVE_UP = "give up"


@frozen(kw_only=True)
class Fault:
    """
    An endpoint did not answer.

    :ivar detail: for the log; holds no secret and no text that people wrote.
    :ivar retry_after: the least time to wait, in seconds, where the server
        named one.
    """

    then: Then
    detail: str
    retry_after: float | None = None


def read_answer(
    status: int, headers: Headers, body: bytes, *, asked: int = 0
) -> Reply | Fault:
    """
    Read what an endpoint sent back.

    The text of a reply is stripped, is free of reasoning, of control
    characters but newline and tab, and of what sets the direction of writing,
    shows something, and has at most 20,000 characters.  If it was cut short, there or
    by the LLM, it ends with an ellipsis, after the last whole sentence where
    that keeps half of it.

    :param asked: the size of the request, in bytes, from which tokens are
        estimated where the LLM did not count them.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        if 200 <= status < 300:
            return Fault(then=Then.AGAIN, detail=f"HTTP {status}, not a JSON object")
        document = {}
    if not 200 <= status < 300 or document.get("error"):
        return _read_error(status, headers, document)
    try:
        choice = document["choices"][0]
        message = choice["message"]
        finish = choice.get("finish_reason")
        content = _joined(message.get("content"))
        refusal = _joined(message.get("refusal"))
    except (LookupError, TypeError, AttributeError):
        return Fault(then=Then.AGAIN, detail=f"HTTP {status} without choices")
    cut = finish in ("length", "content_filter")
    text = _presentable(content, cut) or _presentable(refusal, cut)
    if not text:
        then = Then.GIVE_UP if finish == "content_filter" else Then.AGAIN
        detail = " ".join([f"HTTP {status} without text", *_shown(finish)])
        return Fault(then=then, detail=detail)
    size = asked + len((content or refusal).encode("utf-8", "replace"))
    return Reply(text=text, tokens=_counted(document.get("usage")) or size // 4 + 1)


def _read_error(status: int, headers: Headers, document: dict[str, Any]) -> Fault:
    error = document.get("error")
    if not isinstance(error, dict):
        error = document
    code, kind = error.get("code"), error.get("type")
    names = _names(code, kind)
    detail = " ".join([f"HTTP {status}", *_shown(code, kind)])
    if 200 <= status < 300:
        # Some servers that pass on another's answer put its status in here.
        inner = [int(name) for name in names if _STATUS.fullmatch(name)]
        status = inner[0] if inner else status
    if status in (401, 403):
        detail += ", check llm_config's key"
    if not _FILTERED.isdisjoint(names):
        return Fault(then=Then.GIVE_UP, detail=detail)
    if status in _PASSING or status >= 500:
        passing = _UNPAID.isdisjoint(names)
    elif 200 <= status < 300:
        passing = _LASTING.isdisjoint(names[:1])
    else:
        passing = False
    if not passing:
        return Fault(then=Then.NEXT, detail=detail)
    return Fault(then=Then.AGAIN, detail=detail, retry_after=_retry_after(headers))


def _names(*values: object) -> list[str]:
    """
    Keep of *values* what can't be prose: short identifiers and numbers.
    """
    return [
        str(value)
        for value in values
        if isinstance(value, (str, int)) and _NAME.fullmatch(str(value))
    ]


def _shown(*values: object) -> list[str]:
    """
    Keep of *values* what the log may name; any other is ``unknown``.
    """
    shown = [
        name if name in _KNOWN or _STATUS.fullmatch(name) else "unknown"
        for value in values
        if value not in (None, "")
        for name in (_names(value) or ["unknown"])
    ]
    return list(dict.fromkeys(shown))


def _joined(content: object) -> str:
    """
    Find the text in content that is text, or a list of parts.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [
        part.get("text")
        for part in content
        if isinstance(part, dict) and part.get("type") == "text"
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _presentable(content: str, cut: bool) -> str:
    """
    Make *content* fit for a person to read.

    :param cut: the LLM was stopped before its end.
    """
    text = _without_reasoning(UNWANTED.sub("", content)).strip()
    if len(text) > _LONGEST:
        text, cut = text[: _LONGEST - len(" …")], True
    if INVISIBLE.fullmatch(text):
        return ""
    if not cut:
        return text
    whole = len(text)
    for match in _SENTENCE_END.finditer(text, len(text) // 2):
        whole = match.end()
    return text[:whole].rstrip() + " …"


def _without_reasoning(text: str) -> str:
    # Some chat templates open the block, so that only its end is in the text.
    reasoning, closed, rest = text.partition("</think>")
    if closed and "<think>" not in reasoning and rest.lstrip(" \t").startswith("\n"):
        return rest
    return _REASONING.sub("", text)


def _counted(usage: object) -> int:
    """
    Find how many tokens the LLM counted; 0 where it did not.
    """
    if not isinstance(usage, dict):
        return 0
    total, prompt, completion = (
        count if type(count) is int and 0 <= count < 10**9 else 0
        for count in map(
            usage.get, ("total_tokens", "prompt_tokens", "completion_tokens")
        )
    )
    return total or prompt + completion


def _retry_after(headers: Headers) -> float | None:
    """
    Find how many seconds the server asked to wait, a day at most.

    A date is taken relative to the server's own clock.

    Source: RFC 9110, section 10.2.3; ``retry-after-ms`` is OpenAI's.
    """
    milliseconds = _last(headers, b"retry-after-ms")
    value = _last(headers, b"retry-after")
    for read in (
        lambda: float(milliseconds) / 1000.0,
        lambda: float(value),
        lambda: _time(value) - _time(_last(headers, b"date")),
    ):
        try:
            seconds = read()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        if 0.0 <= seconds <= _LONGEST_RETRY_AFTER:
            return seconds
    return None


def _last(headers: Headers, name: bytes) -> str:
    return headers.getRawHeaders(name, [b""])[-1].decode("latin-1")


def _time(date: str) -> float:
    return parsedate_to_datetime(date).timestamp()
