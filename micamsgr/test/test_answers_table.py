"""
Tests for what follows from an answer that is not a reply, row by row.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.assistant.answers import TABLE, Fault, Then, Trouble, read_answer
from micamsgr.assistant.health import Health
from micamsgr.test.test_answers import completion, failing

# What was asked, in bytes; and the estimate of that in tokens.
ASKED, ESTIMATED = 4000, 1001

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}

VLLM = (
    "This model's maximum context length is 8192 tokens. However, you requested"
    " 9000 tokens."
)
INJECTION = "Request blocked: prompt injection patterns detected"
HTML = b"<!DOCTYPE html><html><body>Bad Gateway</body></html>"


class TableTests(SynchronousTestCase):
    """
    Tests for :data:`micamsgr.assistant.answers.TABLE`.
    """

    def row(
        self, trouble: Trouble, then: Then, health: Health, *answers: tuple[int, Any]
    ) -> None:
        """
        Check one row: what follows, and which answers, each of a status and a
        document or body, it is about.
        """
        self.assertEqual(TABLE[trouble], (then, health))
        for status, document in answers:
            fault = self.fault(status, document)
            self.assertIs(fault.trouble, trouble, (status, document))

    def fault(self, status: int, document: Any) -> Fault:
        """
        Read an answer that is none.
        """
        body = document if isinstance(document, bytes) else json.dumps(document)
        raw = body if isinstance(body, bytes) else body.encode()
        outcome = read_answer(status, Headers(), raw, asked=ASKED)
        assert isinstance(outcome, Fault), (status, document)
        return outcome

    def test_complete(self) -> None:
        """
        Whatever the trouble is, it is known what follows.
        """
        self.assertEqual(set(TABLE), set(Trouble))

    def test_busy(self) -> None:
        """
        An endpoint that is busy is asked again, later.
        """
        self.row(
            Trouble.BUSY,
            Then.AGAIN,
            Health.ILL,
            (429, failing(code="rate_limit_exceeded")),
            (429, HTML),
            (408, b""),
            (409, failing()),
            (425, failing()),
            (200, failing(code=429)),
        )

    def test_broken(self) -> None:
        """
        So is one that is broken, or whose proxy says so.
        """
        self.row(
            Trouble.BROKEN,
            Then.AGAIN,
            Health.ILL,
            (500, failing(type="server_error")),
            (502, HTML),
            (503, b""),
            (529, failing(type="overloaded_error")),
            (200, failing(code="503")),
            (500, failing(code="invalid_api_key")),
        )

    def test_garbled(self) -> None:
        """
        So is one that sends something that can't be read, and calls it a
        success.
        """
        self.row(
            Trouble.GARBLED,
            Then.AGAIN,
            Health.ILL,
            (200, HTML),
            (200, b""),
            (200, b'{"choices": [{"mess'),
            (200, b"data: {}\n\ndata: [DONE]\n\n"),
            (204, b""),
            (200, []),
        )

    def test_choiceless(self) -> None:
        """
        So is one that sends something else.
        """
        self.row(
            Trouble.CHOICELESS,
            Then.AGAIN,
            Health.ILL,
            (200, {}),
            (200, {"choices": []}),
            (200, {"choices": None}),
            (200, {"choices": [{"finish_reason": "stop"}]}),
            (200, {"message": {"content": "hello"}}),
        )

    def test_failed(self) -> None:
        """
        So is one that calls an error a success, unless the error is another
        row's.
        """
        broken = {"error": {"message": "upstream"}, "finish_reason": "error"}
        self.row(
            Trouble.FAILED,
            Then.AGAIN,
            Health.ILL,
            (200, failing()),
            (200, {"error": "model not loaded"}),
            (200, failing(code="rate_limit_exceeded")),
            (200, {"choices": [broken]}),
        )

    def test_blank(self) -> None:
        """
        An LLM that says nothing may say something next time.
        """
        self.row(
            Trouble.BLANK,
            Then.AGAIN,
            Health.WELL,
            (200, completion(None)),
            (200, completion("")),
            (200, completion(" \n\u200b")),
            (200, completion("", "length")),
            (200, completion("<think>hm", "length")),
            (200, completion(None, refusal="")),
        )

    def test_tools(self) -> None:
        """
        So may one that would use tools, of which it was given none.
        """
        calls = [{"id": "1", "type": "function", "function": {"name": "f"}}]
        self.row(
            Trouble.TOOLS,
            Then.AGAIN,
            Health.WELL,
            (200, completion(None, "tool_calls", tool_calls=calls)),
            (200, completion("", "function_call", function_call={"name": "f"})),
        )

    def test_filtered(self) -> None:
        """
        What may not be answered is asked nowhere else, and the endpoint is
        well.
        """
        flagged = failing(code=403, metadata={"reasons": ["x"], "flagged_input": "y"})
        self.row(
            Trouble.FILTERED,
            Then.GIVE_UP,
            Health.WELL,
            (200, completion("", "content_filter")),
            (400, failing(code="content_filter")),
            (400, failing(code="content_policy_violation")),
            (403, flagged),
            (200, flagged),
            (403, failing(type="content_policy_violation")),
            (403, failing(code=403, metadata={"error_type": "refusal"})),
        )

    def test_blocked(self) -> None:
        """
        What a server says in prose that it blocked may be answered by another
        one; and if that befalls several people, it is not for their words.
        """
        self.row(
            Trouble.BLOCKED,
            Then.NEXT,
            Health.DENIED,
            (403, failing(code=403, message=INJECTION, type="permission_denied")),
            (403, failing(message=INJECTION, type="permission_error")),
            (200, failing(code=403, message=INJECTION)),
            (403, {"error": INJECTION}),
        )

    def test_account_blocked(self) -> None:
        """
        An account that is blocked is not taken for one person's words.
        """
        for prose in (
            "Your resource has been temporarily blocked because we detected behavior"
            " that may violate our content policy.",
            "User has been blocked due to usage policy violations",
            "Your application was blocked for violations of the usage policies",
            "Completions blocked for this deployment",
            "Response blocked: CORS policy",
        ):
            fault = self.fault(403, failing(message=prose))
            self.assertIs(fault.trouble, Trouble.DENIED, prose)

    def test_too_long(self) -> None:
        """
        What is too long is asked with less history, whether the error says so
        in a word or in prose.
        """
        self.row(
            Trouble.TOO_LONG,
            Then.SHORTER,
            Health.WELL,
            (400, failing(code="context_length_exceeded")),
            (200, failing(code="context_length_exceeded")),
            (400, failing(code=400, type="exceed_context_size_error")),
            (413, HTML),
            *(
                (400, {"error": {"message": prose, "type": "BadRequestError"}})
                for prose in (
                    VLLM,
                    "prompt is too long: 210000 tokens > 200000 maximum",
                    "The input token count (9) exceeds the maximum number of tokens"
                    " allowed (8).",
                    "Prompt contains 9 tokens, too large for model with 8",
                )
            ),
            (400, {"object": "error", "message": VLLM, "code": 400}),
            (422, failing(message="inputs must have less than 4096 tokens")),
            (402, failing(message="Prompt tokens limit exceeded: 230799 > 91442")),
            (402, failing(message="requires more credits, or fewer max_tokens")),
        )

    def test_unpaid(self) -> None:
        """
        Where the account is empty somebody must act, though it looks like a
        limit that passes.
        """
        self.row(
            Trouble.UNPAID,
            Then.MEND,
            Health.DENIED,
            (402, failing()),
            (402, b""),
            (429, failing(code="insufficient_quota", type="insufficient_quota")),
            (429, failing(type="insufficient_quota", code=None)),
            (403, failing(code="billing_not_active")),
            (200, failing(code=402)),
        )

    def test_no_key(self) -> None:
        """
        Nor does an endpoint that doesn't take our key take it next time.
        """
        self.row(
            Trouble.NO_KEY,
            Then.MEND,
            Health.LOCKED,
            (401, failing(code="invalid_api_key")),
            (401, b"Unauthorized"),
            (403, failing(code="invalid_api_key")),
            (400, failing(code="invalid_api_key")),
            (200, failing(code=401)),
        )

    def test_denied(self) -> None:
        """
        One that denies a call may not take our key, or not this one request:
        that shows as soon as others ask.
        """
        self.row(
            Trouble.DENIED,
            Then.MEND,
            Health.DENIED,
            (403, failing()),
            (403, {"error": "Forbidden"}),
            (403, HTML),
            (403, b""),
            (403, {"detail": "Not authenticated"}),
            (403, failing(code=403, message="Key limit exceeded (total limit).")),
            (403, failing(type="permission_error")),
            (403, failing(message="not allowed in your country")),
            (400, failing(type="permission_error")),
            (200, failing(code=403)),
            (200, failing(code="permission_denied")),
        )

    def test_no_model(self) -> None:
        """
        Nor does one that doesn't know our URL or model.
        """
        self.row(
            Trouble.NO_MODEL,
            Then.MEND,
            Health.LOCKED,
            (404, failing(code="model_not_found")),
            (404, HTML),
            (405, b""),
            (302, b""),
            (400, failing(code="model_not_found")),
        )

    def test_invalid(self) -> None:
        """
        An endpoint that doesn't take this request is well; another one may.
        """
        self.row(
            Trouble.INVALID,
            Then.NEXT,
            Health.WELL,
            (400, failing(code="invalid_value")),
            (400, b"?"),
            (422, failing(message="unknown field")),
            (200, failing(type="invalid_request_error")),
        )

    def test_not_asked(self) -> None:
        """
        One that gives no answer, isn't reached, or is left alone, is asked
        again later.
        """
        self.row(Trouble.UNREACHED, Then.AGAIN, Health.AWAY)
        for trouble in (Trouble.SILENT, Trouble.SHUT):
            self.row(trouble, Then.AGAIN, Health.ILL)

    def test_spent(self) -> None:
        """
        For what an endpoint surely did not take up nothing was spent; for any
        other answer that is of no use, what it says or else what was asked.
        """
        for status in (302, 401, 402, 403, 404, 405, 413, 425, 429, 503, 529):
            for refusal in (failing(), HTML):
                self.assertEqual(self.fault(status, refusal).tokens, 0)
            counted = {**failing(), "usage": USAGE}
            self.assertEqual(self.fault(status, counted).tokens, 12)
        for name in (
            "invalid_api_key",
            "model_not_found",
            "insufficient_quota",
            "permission_error",
        ):
            self.assertEqual(self.fault(400, failing(code=name)).tokens, 0)
        blocked = failing(code=403, message="Output blocked by guardrail")
        self.assertGreater(self.fault(403, blocked).tokens, 0)
        for status in (400, 408, 422, 500, 502, 504):
            for failure in (failing(), HTML):
                self.assertEqual(self.fault(status, failure).tokens, ESTIMATED)
        useless: tuple[object, ...] = (HTML, {}, failing(), {"choices": [{}]})
        for document in useless:
            self.assertEqual(self.fault(200, document).tokens, ESTIMATED)
        for document in (
            completion(""),
            {"usage": USAGE},
            {**failing(), "usage": USAGE},
        ):
            self.assertEqual(self.fault(200, document).tokens, 12)
