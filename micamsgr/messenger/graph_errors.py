"""
What the Graph API's errors mean for a message, as one table.

Source: docs/messenger-platform.md, section 5.1.
"""

from __future__ import annotations

import re
from enum import Enum


class Meaning(Enum):
    """
    What an error says.

    DOUBT: it may have been applied all the same.  LATER: this message, at
    another time.  LIMIT: too much was asked for; the Page waits.  PAGE: token
    or permission trouble; the Page waits, and somebody must act.  WINDOW: too
    late, or not our turn.  PERSON: this person can't be reached.  MESSAGE: it
    is not acceptable as it is.  THREAD: another app has the thread.
    """

    DOUBT = "doubt"
    LATER = "later"
    LIMIT = "limit"
    PAGE = "page"
    WINDOW = "window"
    PERSON = "person"
    MESSAGE = "message"
    THREAD = "thread"


_M = Meaning

# By code and subcode; None stands for any other subcode.  Codes that Meta
# prints as codes arrive as subcodes too, so either field may match.
TABLE: dict[tuple[int, int | None], Meaning] = {
    (-1, None): _M.DOUBT,
    (1, None): _M.DOUBT,
    (2, None): _M.DOUBT,
    (2, 2018344): _M.PAGE,
    (3, None): _M.PAGE,
    (4, None): _M.LIMIT,
    (4, 2018354): _M.WINDOW,
    (9, 2018352): _M.WINDOW,
    (10, None): _M.PAGE,
    (10, 2018278): _M.WINDOW,
    (10, 2534022): _M.WINDOW,
    (10, 2018065): _M.WINDOW,
    (10, 2018108): _M.PERSON,
    (10, 1893015): _M.WINDOW,
    (10, 1404170): _M.WINDOW,
    (17, None): _M.LIMIT,
    (32, None): _M.LIMIT,
    (100, None): _M.MESSAGE,
    (100, 2018001): _M.PERSON,
    (100, 2534014): _M.PERSON,
    (100, 2534029): _M.PERSON,
    (100, 2534037): _M.WINDOW,
    (102, None): _M.PAGE,
    (190, None): _M.PAGE,
    (200, 1545041): _M.PERSON,
    (200, 2018021): _M.WINDOW,
    (230, None): _M.PAGE,
    (341, None): _M.LIMIT,
    (368, None): _M.PAGE,
    (551, None): _M.PERSON,
    (613, None): _M.LIMIT,
    (613, 1893016): _M.WINDOW,
    (613, 2018338): _M.PAGE,
    (1200, None): _M.DOUBT,
    (2022, None): _M.PAGE,
    (10900, None): _M.WINDOW,
    (10903, None): _M.PERSON,
    (10904, None): _M.PAGE,
    (36103, None): _M.PAGE,
    (80001, None): _M.LIMIT,
    (80002, None): _M.LIMIT,
    (80006, None): _M.LIMIT,
    (2018144, None): _M.WINDOW,
    (2018171, None): _M.PAGE,
    (2018234, None): _M.PAGE,
    (2018300, None): _M.THREAD,
    (2018321, None): _M.LATER,
    (9000001, None): _M.WINDOW,
}

_TOKEN = "check facebook.page_access_token"
_RESTRICTED = "Meta restricts the Page: see its Support Inbox"
_PERMISSIONS = "check the app's permissions, and that they have Advanced Access"

# What to do about Meaning.PAGE, by code or subcode, where it is not about
# permissions.
_HINTS = {
    102: _TOKEN,
    190: _TOKEN,
    368: _RESTRICTED,
    2022: _RESTRICTED,
    10904: "turn messages on in the Page's settings",
    1893063: _RESTRICTED,
    2018338: _RESTRICTED,
}

_BAD_PARAMETER = 100
# Anchored: behind a colon or a quote may stand what people wrote.
_PROOF = re.compile(r"(\(#100\) )?[A-Za-z ]{0,50}\b(appsecret_proof|signature)\b")

_REQUEST_TIMEOUT, _TOO_MANY = 408, 429


def meaning(status: int, code: int | None, subcode: int | None) -> Meaning:
    """
    Say what an answer other than success means for the message.

    :param status: the HTTP status.
    :param code: the error's code; ``None`` where there is no error object.
    """
    if status >= 500:
        return Meaning.DOUBT
    if code is None:
        if status == _TOO_MANY:
            return Meaning.LIMIT
        # Something answered, but not the Graph API as we know it.
        return Meaning.DOUBT
    for key in ((code, subcode), (subcode, None), (code, None)):
        if key in TABLE:
            return TABLE[key]
    if 200 <= code < 300:
        return Meaning.PAGE
    if status == _REQUEST_TIMEOUT or status < 300:
        return Meaning.DOUBT
    return Meaning.LIMIT if status == _TOO_MANY else Meaning.MESSAGE


def hint(code: int | None, subcode: int | None) -> str:
    """
    Say what the operator is to do about an error that means PAGE.
    """
    found = (_HINTS.get(key) for key in (subcode, code) if key is not None)
    return next(filter(None, found), _PERMISSIONS)


def proof_refused(code: int | None, message: object) -> bool:
    """
    Tell the one error that only its text tells from a message's: the secret
    isn't that of the token's app.
    """
    return (
        code == _BAD_PARAMETER
        and isinstance(message, str)
        and _PROOF.match(message) is not None
    )
