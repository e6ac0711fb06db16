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

from micamsgr.assistant.health import Health
from micamsgr.assistant.moderation import flagged, speaks_of_content
from micamsgr.assistant.wording import presentable
from micamsgr.conversation.assistant import Reply

_LONGEST_RETRY_AFTER = 86_400.0


class Then(Enum):
    """
    What may follow a fault.

    Ask the same endpoint AGAIN later; once more with a SHORTER history; once
    somebody has acted to MEND it; the NEXT one, as this one won't ever answer
    this; or GIVE UP, as none will.
    """

    AGAIN = "again"
    SHORTER = "shorter"
    MEND = "mend"
    NEXT = "next"
    GIVE_UP = "give up"


class Trouble(Enum):
    """
    Why there is no reply.

    SHUT: it was not asked, as it fails.  UNREACHED: it could not be, so that
    surely nothing was sent.  SILENT: no whole answer came.  BUSY and BROKEN: it
    says so.  GARBLED: a success that is not JSON, such as a proxy's page.
    CHOICELESS: or not a completion.  FAILED: or an error.  BLANK: it says
    nothing.  TOOLS: it calls tools, and we gave it none.  FILTERED: it may not
    be answered; BLOCKED: nor by this server, as it says in prose.  TOO_LONG: more
    was said than the model can take in.  UNPAID, NO_KEY and NO_MODEL: our
    account, key, or URL or model isn't taken.
    DENIED: our key isn't, or this request.  INVALID: this request isn't.
    """

    SHUT = "shut"
    UNREACHED = "unreached"
    SILENT = "silent"
    BUSY = "busy"
    BROKEN = "broken"
    GARBLED = "garbled"
    CHOICELESS = "choiceless"
    FAILED = "failed"
    BLANK = "blank"
    TOOLS = "tools"
    FILTERED = "filtered"
    BLOCKED = "blocked"
    TOO_LONG = "too long"
    DENIED = "denied"
    UNPAID = "unpaid"
    NO_KEY = "no key"
    NO_MODEL = "no model"
    INVALID = "invalid"


# What follows, and what it tells of the endpoint.  What is surely about one
# person's words tells nothing bad of it, or it would be the others that wait;
# so for what may be, the breaker wants several witnesses.
TABLE: dict[Trouble, tuple[Then, Health]] = {
    Trouble.SHUT: (Then.AGAIN, Health.ILL),
    Trouble.UNREACHED: (Then.AGAIN, Health.AWAY),
    Trouble.SILENT: (Then.AGAIN, Health.ILL),
    Trouble.BUSY: (Then.AGAIN, Health.ILL),
    Trouble.BROKEN: (Then.AGAIN, Health.ILL),
    Trouble.GARBLED: (Then.AGAIN, Health.ILL),
    Trouble.CHOICELESS: (Then.AGAIN, Health.ILL),
    Trouble.FAILED: (Then.AGAIN, Health.ILL),
    Trouble.BLANK: (Then.AGAIN, Health.WELL),
    Trouble.TOOLS: (Then.AGAIN, Health.WELL),
    Trouble.FILTERED: (Then.GIVE_UP, Health.WELL),
    Trouble.BLOCKED: (Then.NEXT, Health.DENIED),
    Trouble.TOO_LONG: (Then.SHORTER, Health.WELL),
    Trouble.DENIED: (Then.MEND, Health.DENIED),
    Trouble.UNPAID: (Then.MEND, Health.DENIED),  # maybe only where much was said
    Trouble.NO_KEY: (Then.MEND, Health.LOCKED),
    Trouble.NO_MODEL: (Then.MEND, Health.LOCKED),
    Trouble.INVALID: (Then.NEXT, Health.WELL),
}

_FILTERS = (Trouble.FILTERED, Trouble.BLOCKED)
_TO_DO = {
    Trouble.UNPAID: ", check what llm_config's account may still spend",
    Trouble.NO_KEY: ", check llm_config's key",
    Trouble.DENIED: ", check llm_config's key",
    Trouble.NO_MODEL: ", check llm_config.server and llm_config.model",
}

# By what an error calls itself, whatever its status.  OpenAI's words, and those
# of servers that speak like it; where two are given, the first one counts.
_NAMED = {
    "authentication_error": Trouble.NO_KEY,
    "billing_hard_limit_reached": Trouble.UNPAID,
    "billing_not_active": Trouble.UNPAID,
    "content_filter": Trouble.FILTERED,
    "content_policy_violation": Trouble.FILTERED,
    "context_length_exceeded": Trouble.TOO_LONG,
    "exceed_context_size_error": Trouble.TOO_LONG,
    "insufficient_quota": Trouble.UNPAID,
    "invalid_api_key": Trouble.NO_KEY,
    "model_not_found": Trouble.NO_MODEL,
    "not_found_error": Trouble.NO_MODEL,
    "permission_denied": Trouble.DENIED,
    "permission_error": Trouble.DENIED,
    "refusal": Trouble.FILTERED,
    "string_above_max_length": Trouble.TOO_LONG,
}

# Request Timeout, Conflict, Too Early, Too Many Requests: openai-python
# repeats the same, and any 5xx.  Nobody who writes brings about a 401: it is
# about the key alone (RFC 9110, section 15.5.2).  A 403 may be about anything.
_BY_STATUS = {
    401: Trouble.NO_KEY,
    402: Trouble.UNPAID,
    403: Trouble.DENIED,
    404: Trouble.NO_MODEL,
    405: Trouble.NO_MODEL,
    408: Trouble.BUSY,
    409: Trouble.BUSY,
    413: Trouble.TOO_LONG,
    425: Trouble.BUSY,
    429: Trouble.BUSY,
}

# What is answered so was surely not thought about; by any other answer the LLM
# may have begun, or ended, as behind a proxy that had no patience.
_NOT_TAKEN = frozenset({401, 402, 403, 404, 405, 413, 425, 429, 503, 529})

# Errors of these statuses may say only in prose that the history is too long,
# as vLLM's, Anthropic's and Google's do.  What they quote of a person's words
# may look the same; then it costs one call.
_MAY_BE_TOO_LONG = frozenset({400, 402, 422})
_TOO_LONG = re.compile(
    r"context (length|size|window)|(prompt|input|request)s? (is|are) too (long|large)"
    r"|maximum number of tokens|too many (input )?tokens|must have less than \d+ tokens"
    r"|too large for model|max_new_tokens\W+must be"
    r"|prompt tokens limit exceeded|can only afford|fewer max_tokens",
    re.IGNORECASE,
)

# What the log may name of an answer: OpenAI's words, and vLLM's types.  Any
# other could be a key, or what people wrote.
_KNOWN = frozenset(_NAMED) | {
    "BadRequestError",
    "InternalServerError",
    "NotFoundError",
    "api_error",
    "function_call",
    "invalid_prompt",
    "invalid_request_error",
    "invalid_value",
    "length",
    "missing_required_parameter",
    "overloaded_error",
    "rate_limit_error",
    "rate_limit_exceeded",
    "requests",
    "server_error",
    "stop",
    "timeout",
    "tokens",
    "tool_calls",
    "unknown_parameter",
    "unsupported_parameter",
    "unsupported_value",
}

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_STATUS = re.compile("[45][0-9]{2}")


@frozen(kw_only=True)
class Fault:
    """
    An endpoint did not answer.

    :ivar detail: for the log; holds no secret and no text that people wrote.
    :ivar retry_after: the least time to wait, in seconds, where the server
        named one.
    :ivar tokens: what may have been spent all the same.
    :ivar shut: in how many seconds to come back, where the endpoint is not
        asked until then.
    """

    trouble: Trouble
    detail: str
    retry_after: float | None = None
    tokens: int = 0
    shut: float | None = None

    @property
    def then(self) -> Then:
        """What may follow."""
        return TABLE[self.trouble][0]

    @property
    def health(self) -> Health:
        """What it tells of the endpoint."""
        return TABLE[self.trouble][1]


def estimated(size: int) -> int:
    """
    Estimate the tokens of so many bytes, as they are in prose.
    """
    return size // 4 + 1


def most_tokens(text: str) -> int:
    """
    Say how many tokens *text* may have at most.

    Half a token for each character, where English prose takes a quarter; and
    one for each byte of UTF-8 beyond a character's first, where a Chinese one
    takes one or two tokens for its three bytes, an emoji two or three for four.
    """
    return len(text) // 2 + (len(text.encode("utf-8", "replace")) - len(text)) + 1


def read_answer(
    status: int, headers: Headers, body: bytes, *, asked: int = 0
) -> Reply | Fault:
    """
    Read what an endpoint sent back.

    What becomes of an LLM's words says
    :func:`~micamsgr.assistant.wording.presentable`; what follows from anything
    else, *TABLE*.

    :param asked: the size of the request, in bytes, from which tokens are
        estimated where the LLM did not count them and may have spent some.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    success = 200 <= status < 300
    spent = estimated(asked)
    if not isinstance(document, dict):
        if success:
            detail = f"HTTP {status}, not a JSON object"
            return Fault(trouble=Trouble.GARBLED, detail=detail, tokens=spent)
        document = {}
    counted = _counted(document.get("usage"))
    spent = counted or spent
    if not success or document.get("error"):
        return _read_error(status, headers, document, counted, asked)
    try:
        choice = document["choices"][0]
        if choice.get("error"):
            return _read_error(status, headers, choice, counted, asked)
        message = choice["message"]
        finish = choice.get("finish_reason")
        content = _joined(message.get("content"))
        refusal = _joined(message.get("refusal"))
        tools = message.get("tool_calls") or message.get("function_call")
    except (LookupError, TypeError, AttributeError):
        detail = f"HTTP {status} without choices"
        return Fault(trouble=Trouble.CHOICELESS, detail=detail, tokens=spent)
    cut = finish in ("length", "content_filter")
    text = presentable(content, cut) or presentable(refusal, cut)
    if not text:
        trouble = Trouble.TOOLS if tools else Trouble.BLANK
        if finish == "content_filter":
            trouble = Trouble.FILTERED
        detail = " ".join([f"HTTP {status} without text", *_shown(finish)])
        return Fault(trouble=trouble, detail=detail, tokens=spent)
    size = asked + len((content or refusal).encode("utf-8", "replace"))
    return Reply(text=text, tokens=counted or estimated(size))


def _read_error(
    status: int, headers: Headers, document: dict[str, Any], counted: int, asked: int
) -> Fault:
    error = document.get("error")
    if not isinstance(error, dict):
        error = document
    trouble = _trouble(status, error)
    code, kind = error.get("code"), error.get("type")
    detail = " ".join([f"HTTP {status}", *_shown(code, kind)])
    then = TABLE[trouble][0]
    again = then is Then.AGAIN
    # What was filtered may be what the LLM had written.
    not_taken = (status in _NOT_TAKEN or then is Then.MEND) and trouble not in _FILTERS
    return Fault(
        trouble=trouble,
        detail=detail + _hint(status, trouble),
        retry_after=_retry_after(headers) if again else None,
        tokens=counted or (0 if not_taken else estimated(asked)),
    )


def _hint(status: int, trouble: Trouble) -> str:
    if status == 403 and trouble in _FILTERS:
        return ", for what was written"
    return _TO_DO.get(trouble, "")


def _trouble(status: int, error: dict[str, Any]) -> Trouble:
    trouble = _told(status, error)
    if trouble is Trouble.DENIED and speaks_of_content(error):
        return Trouble.BLOCKED
    return trouble


def _told(status: int, error: dict[str, Any]) -> Trouble:
    metadata = error.get("metadata")
    kind = metadata.get("error_type") if isinstance(metadata, dict) else None
    names = _names(error.get("code"), error.get("type"), kind)
    success = 200 <= status < 300
    if success:
        # Some servers that pass on another's answer put its status in here.
        inner = [int(name) for name in names if _STATUS.fullmatch(name)]
        status = inner[0] if inner else status
    if status == 403 and flagged(error):
        return Trouble.FILTERED
    named = [_NAMED[name] for name in names if name in _NAMED]
    # A server that is busy or broken may call that what it likes, but for
    # what comes as a 429 and no wait mends.
    known = set(named) & {Trouble.FILTERED, Trouble.UNPAID}
    if known:
        return known.pop()
    if status >= 500:
        return Trouble.BROKEN
    if status in _BY_STATUS and _BY_STATUS[status] is Trouble.BUSY:
        return Trouble.BUSY
    if success and 200 <= status < 300:
        if named and names[0] in _NAMED:
            return named[0]
        lasting = names[:1] == ["invalid_request_error"]
        return Trouble.INVALID if lasting else Trouble.FAILED
    if named:
        return named[0]
    if status in _MAY_BE_TOO_LONG and _TOO_LONG.search(str(error.get("message"))):
        return Trouble.TOO_LONG
    if status < 400:
        return Trouble.NO_MODEL
    return _BY_STATUS.get(status, Trouble.INVALID)


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
