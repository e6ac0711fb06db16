"""
Properties of the pure functions of :mod:`micamsgr.messenger.graph`: whatever
comes back, they have a meaning for it.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.conversation.events import PageId, Psid
from micamsgr.errors import Refused, Unavailable
from micamsgr.httpcall import Answer
from micamsgr.messenger.graph_answers import (
    read_error,
    read_messages,
    read_outcome,
    read_page,
)
from micamsgr.test.properties import given, st

PAGE = PageId("108463527190842")
ALICE = Psid("6284913775102846")

KEYS = st.sampled_from(
    [
        "error",
        "code",
        "error_subcode",
        "fbtrace_id",
        "message",
        "message_id",
        "data",
        "messages",
        "from",
        "id",
        "created_time",
        "estimated_time_to_regain_access",
    ]
)
TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "+0000"),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.from_regex(r"\d{1,4}-\d\d-\d\dT\d\d:\d\d:\d\d([+-]\d{2,4}|Z)?", fullmatch=True),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**300, 10**310),
    st.floats(),
    st.text(max_size=20),
    st.from_regex(r"-{0,2}\d{1,3}", fullmatch=True),
    st.just(str(PAGE)),
    TIMES,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda values: st.one_of(
        st.lists(values, max_size=3), st.dictionaries(KEYS, values, max_size=5)
    ),
    max_leaves=15,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "id": LEAVES,
        "created_time": LEAVES,
        "from": st.one_of(LEAVES, st.just({"id": PAGE})),
        "message": LEAVES,
    },
)
LOOK_UPS = st.lists(MESSAGES, max_size=3).map(
    lambda messages: {"data": [{"messages": {"data": messages}}]}
)
CODES = st.one_of(
    LEAVES, st.sampled_from(["190", "-1", "--5", "-", "\u00b2", "\u0663"])
)
ERRORS = st.fixed_dictionaries(
    {
        "error": st.fixed_dictionaries(
            {}, optional={"code": CODES, "error_subcode": CODES, "fbtrace_id": LEAVES}
        )
    }
)
PAGES = st.fixed_dictionaries({"id": CODES})
BODIES = st.one_of(
    st.binary(max_size=50),
    st.one_of(VALUES, ERRORS, LOOK_UPS, PAGES).map(
        lambda value: json.dumps(value).encode("ascii")
    ),
)
USAGE = st.one_of(
    VALUES,
    st.dictionaries(st.just("estimated_time_to_regain_access"), LEAVES).map(
        lambda item: {"7": [item]}
    ),
).map(lambda value: json.dumps(value).encode("ascii"))
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        b"Retry-After": st.lists(st.one_of(st.binary(max_size=20), st.just(b"9" * 99))),
        b"X-Business-Use-Case-Usage": st.lists(st.one_of(st.binary(), USAGE)),
    },
).map(Headers)


def answers() -> st.SearchStrategy[Answer]:
    """
    Make answers of all kinds.
    """
    status = st.one_of(st.sampled_from([200, 400, 500]), st.integers(200, 599))
    return st.builds(Answer, status, HEADERS, BODIES)


class AnswerPropertyTests(SynchronousTestCase):
    """
    Tests for answers of any shape.
    """

    @given(answers())
    def test_error(self, answer: Answer) -> None:
        """
        Every answer can be read as an error; the wait that it names is not
        negative and at most a day, and what is logged of it is one line.
        """
        error = read_error(answer)
        self.assertTrue(error.rest is None or 0.0 <= error.rest <= 86400.0)
        self.assertTrue(error.detail.isprintable())

    @given(answers())
    def test_outcome(self, answer: Answer) -> None:
        """
        Every answer of the Send API says what came of the message.
        """
        read_outcome(answer)

    @given(answers())
    def test_messages(self, answer: Answer) -> None:
        """
        Every answer to a look-up is a list of messages that a database can
        keep, or an error that says who must act.
        """
        try:
            messages = read_messages(answer, PAGE, ALICE)
        except (Unavailable, Refused):
            return
        for message in messages.seen:
            f"{message.mid}{message.text}".encode()

    @given(answers())
    def test_page(self, answer: Answer) -> None:
        """
        Every answer to whose token it is names a Page by its digits, or is an
        error that says who must act.
        """
        try:
            page = read_page(answer)
        except (Unavailable, Refused):
            return
        self.assertRegex(page, "^[0-9]+$")
