"""
Tests for :mod:`micamsgr.assistant.moderation`.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.assistant.moderation import flagged, speaks_of_content
from micamsgr.test.properties import given, st

BLOCKED = (
    "Request blocked: prompt injection patterns detected",
    "Request blocked: sensitive info detected",
    "Request blocked by input guardrail 'shop'",
    "The output guardrail was triggered.",
    "A guardrail has intervened.",
    "Inappropriate content",
    "Your chosen model requires moderation and your input was flagged",
    "Prompt blocked due to security configurations",
    "Response blocked due to security configurations",
    "{'error': 'Content blocked: email pattern detected', 'pattern': 'email'}",
    "The prompt triggered our content management policy.",
    "Your message was flagged as potentially violating our usage policy.",
    "Rejected by the safety system: harmful content",
    "jailbreak attempt",
    "CONTENT_POLICY_VIOLATION",
    "PII detected in input",
)

# What somebody has to mend, or what says nothing.
OTHER = (
    "",
    "Forbidden",
    "Request not allowed",
    "Your request was blocked.",
    "You have been blocked",
    "permission_denied",
    "Only management keys can perform this operation",
    "Key limit exceeded (total limit). Manage it at https://a.example/keys",
    "Guardrail budget exceeded: request blocked",
    "Request blocked by guardrail: the model is not allowed",
    "Request blocked by guardrail: this workspace has spent its share",
    "Your account was suspended, as content violated our usage policy",
    "Country, region, or territory not supported",
    "You must agree to the content policy first",
    "Request is prohibited by organization's policy",
    "The Content-Type was rejected",
    "Not authorized to set a safety system message",
    "Project does not have access to the model",
    "Alice said hi, sk-secret",
)


class SpeaksOfContentTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.assistant.moderation.speaks_of_content`.
    """

    def test_blocked(self) -> None:
        """
        What gateways say of words that they do not let through is understood.
        """
        for prose in BLOCKED:
            self.assertTrue(speaks_of_content({"message": prose}), prose)

    def test_other(self) -> None:
        """
        Nobody's message is given up for a key, an account or a country that
        isn't let in, or where it is not said why.
        """
        for prose in OTHER:
            self.assertFalse(speaks_of_content({"message": prose}), prose)

    def test_both(self) -> None:
        """
        Nor where one member of the error speaks of content, and another one of
        the account.
        """
        error = {"message": BLOCKED[0], "metadata": {"reason": "account suspended"}}
        self.assertFalse(speaks_of_content(error))

    def test_anywhere(self) -> None:
        """
        It is understood wherever gateways put it.
        """
        said = BLOCKED[0]
        errors: tuple[dict[str, Any], ...] = (
            {"error": said},
            {"detail": {"error": said}},
            {"error": [{"code": 2016, "message": said}]},
            {"errors": [{"code": 1}, {"message": said}]},
            {"code": 403, "message": "Forbidden", "metadata": {"raw": said}},
            {"type": "prompt_injection", "message": ""},
        )
        for error in errors:
            self.assertTrue(speaks_of_content(error), error)

    def test_quoted(self) -> None:
        """
        What is quoted of the request tells nothing.
        """
        error = {"message": "Forbidden", "prompt": BLOCKED[0], "body": [BLOCKED[0]]}
        self.assertFalse(speaks_of_content(error))

    def test_deep(self) -> None:
        """
        However deep or long an error is, it is read at once.
        """
        deep: Any = BLOCKED[0]
        deeper: Any = [BLOCKED[0]]
        for _ in range(500):
            deep, deeper = {"error": deep}, [deeper]
        self.assertFalse(speaks_of_content(deep))
        self.assertFalse(speaks_of_content({"errors": deeper}))
        many = [{"message": "?"}] * 9 + [{"message": BLOCKED[0]}]
        self.assertFalse(speaks_of_content({"errors": many}))
        self.assertFalse(speaks_of_content({"message": "content was " * 10**5}))

    @given(
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["error", "message", "metadata", "x"]), inner
                ),
            ),
        )
    )
    def test_anything(self, value: object) -> None:
        """
        Whatever an endpoint sends can be read.
        """
        error = json.loads(json.dumps({"error": value, "metadata": value}))
        self.assertIn(speaks_of_content(error), (True, False))
        self.assertIn(flagged(error), (True, False))


class FlaggedTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.assistant.moderation.flagged`.
    """

    def test_flagged(self) -> None:
        """
        Reasons, or the words that were flagged, tell of moderation; nothing
        else does.
        """
        for metadata in ({"reasons": ["hate"]}, {"flagged_input": "..."}):
            self.assertTrue(flagged({"metadata": metadata}))
        others: tuple[object, ...] = ({"reasons": []}, {"raw": "x"}, None, "reasons")
        for other in others:
            self.assertFalse(flagged({"metadata": other}))
