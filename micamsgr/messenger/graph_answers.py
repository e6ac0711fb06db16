"""
What the Graph API answers: errors, outcomes of sends, threads, and Pages.

Source: docs/messenger-platform.md, sections 4, 5 and 8.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

from attrs import frozen

from micamsgr.conversation.events import Mid, PageId, Psid
from micamsgr.conversation.outcomes import (
    InDoubt,
    LookedUp,
    NeverSent,
    NotSent,
    Outcome,
    Seen,
    Sent,
)
from micamsgr.errors import Refused, RemoteError, Unavailable
from micamsgr.httpcall import Answer

from .graph_errors import Meaning, hint, meaning, proof_refused
from .usage import read_rest

# Seconds to wait where the Graph API names no time.
_AFTER_A_LIMIT = 30.0
_AFTER_PAGE_TROUBLE = 60.0
_LATER = 60.0

_CODE = re.compile("-?[0-9]{1,19}")
_TRACE = re.compile("[A-Za-z0-9_-]{1,32}")
_TOKEN_CODES = frozenset({102, 190})
# For what the whole Page is refused, but not for good.
_PASSING_CODES = _TOKEN_CODES | {368}

# Meta shows the details of so many messages of a thread.
# Source: docs/messenger-platform.md, section 8.
_SHOWN = 20


@frozen
class GraphError:
    """
    An answer other than success.

    :ivar code: ``None`` where there is no error object.
    :ivar rest: seconds to wait, where the Graph API named them.
    """

    meaning: Meaning
    code: int | None
    detail: str
    rest: float | None


def read_error(answer: Answer) -> GraphError:
    """
    Read why a call failed.  Never raises.

    The detail holds no text from the answer but numbers and what looks like a
    trace ID, and says what the operator is to do, where that is needed.
    """
    error = mapping(mapping(document(answer)).get("error"))
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    if 300 <= answer.status < 400:
        return GraphError(
            Meaning.PAGE,
            code,
            f"status {answer.status}, a redirect: check facebook.graph_url",
            None,
        )
    means, todo = meaning(answer.status, code, subcode), hint(code, subcode)
    if means is Meaning.MESSAGE and proof_refused(code, error.get("message")):
        means, todo = Meaning.PAGE, "check facebook.secret"
    trace = error.get("fbtrace_id")
    known = isinstance(trace, str) and _TRACE.fullmatch(trace)
    numbers = {"status": answer.status, "code": code, "subcode": subcode}
    detail = "".join(f"{it} {n}, " for it, n in numbers.items() if n is not None)
    detail += f"fbtrace_id {trace if known else '-'}"
    if means is Meaning.PAGE:
        detail += f": {todo}"
    return GraphError(means, code, detail, read_rest(answer.headers))


def read_token(status: int, told: dict[str, Any]) -> bool | None:
    """
    Conclude from any answer whether the token is good; ``None`` where it says
    nothing about it.  Never raises.

    :param told: the answer's object; empty where it is none.
    """
    if 200 <= status < 300 and told and "error" not in told:
        return True
    bad = _integer(mapping(told.get("error")).get("code")) in _TOKEN_CODES
    return False if bad else None


def reads_unproved(told: dict[str, Any]) -> bool:
    """
    Say whether an answer refuses our proof of the app's secret.  Never raises.

    :param told: as for :func:`read_token`.
    """
    error = mapping(told.get("error"))
    return proof_refused(_integer(error.get("code")), error.get("message"))


def read_outcome(answer: Answer) -> Outcome:
    """
    Conclude from an answer of the Send API what came of the message.
    """
    if 200 <= answer.status < 300:
        told = mapping(document(answer))
        mid = told.get("message_id")
        if isinstance(mid, str) and 0 < len(mid) < 500 and "error" not in told:
            return Sent(Mid(fit(mid)))
        if "error" not in told:
            return InDoubt(f"status {answer.status} without a message_id")
    error = read_error(answer)
    rest = error.rest
    if error.meaning is Meaning.DOUBT:
        return InDoubt(error.detail)
    if error.meaning is Meaning.LATER:
        return NotSent(detail=error.detail, rest=rest or _LATER)
    if error.meaning is Meaning.LIMIT:
        return NotSent(detail=error.detail, rest=rest or _AFTER_A_LIMIT, pause=True)
    if error.meaning is Meaning.PAGE:
        return NotSent(
            detail=error.detail,
            rest=rest or _AFTER_PAGE_TROUBLE,
            pause=True,
            alarm=True,
        )
    human = error.meaning is Meaning.THREAD
    return NeverSent(error.meaning.value, error.detail, human)


def read_messages(answer: Answer, page: PageId, psid: Psid) -> LookedUp:
    """
    Read the Page's own messages to a person from a look-up's answer.

    :raises Unavailable: the look-up failed, for now.
    :raises Refused: it failed for good.
    """
    threads = mapping(document(answer)).get("data")
    if answer.status != 200 or not isinstance(threads, list):
        raise trouble(answer)
    messages: list[_Message] = []
    reaches: list[int] = []
    for thread in threads:
        shown = mapping(mapping(thread).get("messages"))
        listed = shown.get("data")
        if not isinstance(listed, list):
            # What it doesn't show may be there all the same.
            raise Unavailable("a look-up that shows a thread without messages")
        read = [_message(item) for item in items(listed)]
        if read and (len(read) >= _SHOWN or "next" in mapping(shown.get("paging"))):
            reaches.append(min(message.at for message in read))
        messages += read
    return LookedUp(
        tuple(
            Seen(message.mid, message.at, message.text)
            for message in messages
            if message.sender == page
            and (not message.receivers or psid in message.receivers)
        ),
        max(reaches, default=None),
    )


@frozen
class _Message:
    mid: Mid
    at: int
    text: str
    sender: str
    receivers: frozenset[str]


def _message(item: dict[str, Any]) -> _Message:
    """
    :raises Unavailable: where it can't be read: it may be just the one that
        is looked for.
    """
    mid, text = item.get("id"), item.get("message") or ""
    at = milliseconds(item.get("created_time"))
    sender = mapping(item.get("from")).get("id")
    receivers = items(mapping(item.get("to")).get("data"))
    if not (isinstance(mid, str) and isinstance(text, str) and sender) or at is None:
        raise Unavailable("a look-up that shows a message that can't be read")
    return _Message(
        Mid(fit(mid)),
        at,
        fit(text),
        str(sender),
        frozenset(str(one["id"]) for one in receivers if "id" in one),
    )


def read_page(answer: Answer) -> PageId:
    """
    Read whose token it was that asked.

    :raises Unavailable: it isn't known now.
    :raises Refused: the Graph API won't say.
    """
    page = mapping(document(answer)).get("id")
    if answer.status == 200 and isinstance(page, (str, int)):
        digits = str(page)
        if digits.isascii() and digits.isdigit():
            return PageId(digits)
    raise trouble(answer)


def trouble(answer: Answer) -> RemoteError:
    """
    Make the error that an answer other than success is, where something was
    asked for: :exc:`Unavailable` for now, :exc:`Refused` for good, as only the
    Graph API itself can say; what has none of its error objects is of something
    between it and us.
    """
    error = read_error(answer)
    if error.meaning in (Meaning.DOUBT, Meaning.LATER, Meaning.LIMIT):
        return Unavailable(error.detail, error.rest)
    if error.code is None or error.code in _PASSING_CODES:
        # A better token may come, and a restriction ends.
        return Unavailable(error.detail, _AFTER_PAGE_TROUBLE)
    return Refused(error.detail)


def document(answer: Answer) -> object:
    """
    Read an answer's JSON; ``None`` where it is none.
    """
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def mapping(value: object) -> dict[str, Any]:
    """
    Take a JSON value for an object; an empty one where it is none.
    """
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[dict[str, Any]]:
    """
    Take a JSON value for a list of objects; an empty one where it is none.
    """
    return [mapping(item) for item in value] if isinstance(value, list) else []


def _integer(value: object) -> int | None:
    if not isinstance(value, (int, str)):
        return None
    digits = str(value)
    return int(digits) if _CODE.fullmatch(digits) else None


def fit(text: str) -> str:
    """
    Make text fit to store and to log: no lone surrogates, no NUL.
    """
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


#: In seconds since the epoch; nothing of ours lasts longer.
YEAR_3000 = 32_503_680_000


def milliseconds(value: object) -> int | None:
    """
    Read ``2026-11-22T15:50:17+0000``, UTC where it names no offset, or seconds
    since the epoch; of this millennium.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value * 1000 if 0 <= value < YEAR_3000 else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_iso(value))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)


def _iso(text: str) -> str:
    """
    Spell a time as Python 3.10 reads it.
    """
    if text.endswith("Z"):
        return text[:-1] + "+00:00"
    if len(text) > 5 and text[-5] in "+-" and text[-4:].isdigit():
        return f"{text[:-2]}:{text[-2:]}"
    return text
