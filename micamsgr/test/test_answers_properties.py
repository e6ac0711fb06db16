"""
What holds for whatever an endpoint sends back.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.assistant.answers import read_answer
from micamsgr.conversation.assistant import Reply
from micamsgr.test.properties import given, st

_TEXTS = st.text() | st.sampled_from(
    ["<think>a</think>b", "a</think>\nb", "content_filter", "length", "text", "429"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "code", "message", "content"]), inner
        )
    ),
    max_leaves=6,
)
_COMPLETIONS = st.fixed_dictionaries({"content": _VALUES, "refusal": _VALUES}).flatmap(
    lambda message: st.fixed_dictionaries(
        {
            "choices": st.just([{"message": message, "finish_reason": "length"}])
            | _VALUES,
            "error": st.none() | _VALUES,
            "usage": _VALUES,
        }
    )
)


class ReadAnswerProperties(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.assistant.answers.read_answer`.
    """

    @given(_COMPLETIONS | _VALUES, st.sampled_from([200, 204, 302, 400, 429, 500]))
    def test_total(self, document: object, status: int) -> None:
        """
        Any JSON is read as a reply that can be sent, or as a fault.
        """
        outcome = read_answer(status, Headers(), json.dumps(document).encode())
        if isinstance(outcome, Reply):
            self.assertEqual(outcome.text, outcome.text.strip())
            self.assertTrue(outcome.text.encode("utf-8"))
            self.assertGreaterEqual(outcome.tokens, 1)
        else:
            self.assertTrue(outcome.detail.isascii() and outcome.detail.isprintable())

    @given(st.binary(), st.integers(100, 999), st.binary())
    def test_bytes(self, body: bytes, status: int, wait: bytes) -> None:
        """
        Any bytes are read as something.
        """
        headers = Headers({b"Retry-After": [wait], b"Date": [wait]})
        outcome = read_answer(status, headers, body)
        wanted = getattr(outcome, "retry_after", None)
        self.assertTrue(wanted is None or 0.0 <= wanted <= 86_400.0)
