"""
Tests for reading what an endpoint sent back.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.assistant.answers import Fault, Then, Trouble, read_answer
from micamsgr.conversation.assistant import Reply


def completion(
    content: object = "hello", finish: str = "stop", **message: object
) -> dict[str, Any]:
    """
    Make the document of a successful answer.
    """
    return {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }


def failing(**error: object) -> dict[str, Any]:
    """
    Make the document of an error.
    """
    return {"error": {"message": "Alice said hi, sk-secret", **error}}


def read(document: object, status: int = 200, **headers: str) -> Reply | Fault:
    raw = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return read_answer(status, Headers(raw), json.dumps(document).encode())


class ReplyTests(SynchronousTestCase):
    """
    Tests for the replies that
    :func:`micamsgr.assistant.answers.read_answer` finds.
    """

    def said(
        self, content: object, finish: str = "stop", **message: object
    ) -> str | None:
        """
        Read a successful answer's text; ``None`` where it has none.
        """
        outcome = read(completion(content, finish, **message))
        return outcome.text if isinstance(outcome, Reply) else None

    def test_text(self) -> None:
        """
        The LLM's text is the reply, without the white space around it.
        """
        self.assertEqual(
            read(completion(" hello\tthere\n\nAlice\n")),
            Reply(text="hello\tthere\n\nAlice", tokens=12),
        )

    def test_parts(self) -> None:
        """
        Text that comes in pieces is put together, and other pieces are left
        out.
        """
        content = [
            {"type": "text", "text": "hel"},
            {"type": "image_url", "text": "no"},
            {"type": "text", "text": None},
            7,
            {"type": "text", "text": "lo"},
        ]
        self.assertEqual(self.said(content), "hello")

    def test_refusal(self) -> None:
        """
        Where the LLM refuses in words, these are the reply.
        """
        self.assertEqual(
            self.said(None, refusal="I can't do that."), "I can't do that."
        )
        self.assertEqual(self.said("Yes.", refusal=None), "Yes.")

    def test_reasoning(self) -> None:
        """
        What a local model thinks before it speaks is not told to the person.
        """
        for content in (
            "<think>hm\n\nwell</think>\n\nhello",
            "\n<think>a</think> <think>b</think>hello",
            "the person greets me\n</think>\n\nhello",
        ):
            self.assertEqual(self.said(content), "hello")

    def test_endless_reasoning(self) -> None:
        """
        A model that thought until its tokens were used up has not replied.
        """
        self.assertIsNone(self.said("<think>hm, let me see.", finish="length"))

    def test_about_reasoning(self) -> None:
        """
        A reply that speaks of the tags is told whole.
        """
        for content in (
            "The tag </think> ends it.",
            "Put <think> before\n</think>\nit.",
        ):
            self.assertEqual(self.said(content), content)

    def test_unwanted_characters(self) -> None:
        """
        No control character, change of writing direction or half of a
        character reaches the person; what joins characters does.
        """
        self.assertEqual(
            self.said("a\0\x1b\r\n\x7f\x85\u202e\u2066\u2069\ud800b\u200d\U0001f600"),
            "a\nb\u200d\U0001f600",
        )
        self.assertEqual(
            self.said("\u200fa\u200e\u061cb\u200cc\u200d\u200e"), "ab\u200cc\u200d"
        )

    def test_invisible(self) -> None:
        """
        A reply that shows nothing is none; one that shows anything is told as
        it is.
        """
        invisible = (
            "\u200b \u2060\ufeff",
            "\u200e\u200f\u061c",
            "\U000e0001\U000e0041\U000e007f",
            "\u200c\u200d\ufe0f",
            "\xad\u034f\u3164\u2800\xa0",
        )
        for content in invisible:
            self.assertIsNone(self.said(content), ascii(content))
            self.assertEqual(self.said(content, refusal="No."), "No.")
        self.assertIsNone(self.said("\u200b" * 20_001 + "a"))
        for content in (
            "\u200ba",
            "\U0001f3f4\U000e0067\U000e007f",
            ".",
            "\u2764\ufe0f",
        ):
            self.assertEqual(self.said(content), content)

    def test_cut_short(self) -> None:
        """
        A reply for which the tokens did not suffice ends with its last whole
        sentence and an ellipsis.
        """
        self.assertEqual(
            self.said("It is open. Come at 9.30 or at 10. Then w", finish="length"),
            "It is open. Come at 9.30 or at 10. …",
        )
        self.assertEqual(
            self.said("Yes, it is open. Come at ni", finish="length"),
            "Yes, it is open. …",
        )
        self.assertEqual(
            self.said("来てください。明", finish="length"), "来てください。 …"
        )
        self.assertEqual(
            self.said("Bring these:\n1. a pen\n2. pap", finish="length"),
            "Bring these:\n1. a pen …",
        )
        self.assertEqual(self.said("One. Two.", finish="length"), "One. Two. …")

    def test_cut_too_short(self) -> None:
        """
        Where going back to a whole sentence would lose more than half of the
        reply, it is told as far as it goes.
        """
        self.assertEqual(
            self.said("Yes. The museum is open from", finish="length"),
            "Yes. The museum is open from …",
        )

    def test_filtered_midway(self) -> None:
        """
        A reply that a content filter interrupted is told like one that was
        cut short.
        """
        self.assertEqual(
            self.said("First of all. Now t", finish="content_filter"), "First of all. …"
        )

    def test_longest(self) -> None:
        """
        A reply is told up to 20,000 characters, the ellipsis included; one
        that is beyond the first 65,536 counts twice.
        """
        self.assertEqual(self.said("x" * 20_000), "x" * 20_000)
        self.assertEqual(self.said("\U0001f600" * 10_000), "\U0001f600" * 10_000)
        self.assertEqual(self.said("\U0001f600" * 10_001), "\U0001f600" * 9_999 + " …")
        self.assertEqual(
            self.said("x" + "\U0001f600" * 10_000), "x" + "\U0001f600" * 9_998 + " …"
        )
        self.assertEqual(self.said("x" * 20_001), "x" * 19_998 + " …")
        self.assertEqual(self.said("So it is. " * 2001), "So it is. " * 1999 + "…")

    def test_counted_in_two(self) -> None:
        """
        A server that gives no sum of tokens has it made from its two counts.
        """
        document = completion()
        del document["usage"]["total_tokens"]
        self.assertEqual(read(document), Reply(text="hello", tokens=12))

    def test_estimated(self) -> None:
        """
        Where the LLM counted no tokens, or nonsense, a quarter of the bytes
        both ways is taken for them.
        """
        usages: list[object] = [None, {}, []]
        usages += [{"total_tokens": count} for count in (-1, True, 10**30, "12", 0.5)]
        for usage in usages:
            body = json.dumps({**completion("ж" * 200), "usage": usage}).encode()
            outcome = read_answer(200, Headers(), body, asked=1000)
            self.assertEqual(outcome, Reply(text="ж" * 200, tokens=351))
        document = {**completion(None, refusal="no" * 200), "usage": None}
        self.assertEqual(read(document), Reply(text="no" * 200, tokens=101))


class FaultTests(SynchronousTestCase):
    """
    Tests for the faults that
    :func:`micamsgr.assistant.answers.read_answer` finds.
    """

    def then(self, document: object, status: int = 200) -> Then | None:
        """
        Read what may follow an answer; ``None`` where it is a reply.
        """
        outcome = read(document, status)
        return outcome.then if isinstance(outcome, Fault) else None

    def test_passing(self) -> None:
        """
        An endpoint that is busy or broken may be asked again.
        """
        for status in (408, 409, 425, 429, 500, 502, 503, 504, 529):
            self.assertIs(self.then(failing(code="x"), status), Then.AGAIN, status)

    def test_lasting(self) -> None:
        """
        An endpoint that does not take this request is not asked again, but
        the next one is.
        """
        for status in (400, 406, 418, 422):
            self.assertIs(self.then(failing(code="x"), status), Then.NEXT, status)

    def test_to_mend(self) -> None:
        """
        An endpoint that takes no request at all may be asked again once
        somebody has acted.
        """
        for status in (301, 401, 402, 403, 404, 405):
            self.assertIs(self.then(failing(code="x"), status), Then.MEND, status)

    def test_unpaid(self) -> None:
        """
        Exceeding a quota that is paid for is not taken for being too fast.
        """
        for error in ({"code": "insufficient_quota"}, {"type": "insufficient_quota"}):
            self.assertIs(self.then(failing(**error), 429), Then.MEND)
            self.assertIs(self.then(failing(**error), 200), Then.MEND)

    def test_filtered(self) -> None:
        """
        What a content filter lets nobody answer is asked nowhere else.
        """
        self.assertIs(self.then(failing(code="content_filter"), 400), Then.GIVE_UP)
        self.assertIs(self.then(completion("", "content_filter")), Then.GIVE_UP)

    def test_error_in_success(self) -> None:
        """
        An error that is sent as a success counts as the error that it names,
        and as a passing one where it names none known.
        """
        for error, then in (
            ({"code": 502}, Then.AGAIN),
            ({"code": "429"}, Then.AGAIN),
            ({"code": 401}, Then.MEND),
            ({"code": "4.1"}, Then.AGAIN),
            ({"code": "rate_limit_exceeded"}, Then.AGAIN),
            ({"code": "context_length_exceeded"}, Then.SHORTER),
            ({"code": None, "type": "invalid_request_error"}, Then.NEXT),
            (
                {"code": "rate_limit_exceeded", "type": "invalid_request_error"},
                Then.AGAIN,
            ),
            ({}, Then.AGAIN),
        ):
            self.assertIs(self.then(failing(**error)), then, error)
        self.assertIs(self.then({"error": "model not loaded"}), Then.AGAIN)

    def test_no_text(self) -> None:
        """
        A success without anything to tell the person may be asked for again.
        """
        calls = [{"id": "1", "type": "function"}]
        documents: list[object] = [
            completion(None),
            completion(""),
            completion(" \n"),
            completion(42),
            completion({}),
            completion("\u202e\0"),
            completion(None, "tool_calls", tool_calls=calls),
            completion(None, refusal=" "),
            {},
            {"choices": []},
            {"choices": None},
            {"choices": {"a": 1}},
            {"choices": ["text"]},
            {"choices": [{"message": "text"}]},
            {"choices": [{"text": "old"}]},
            [],
            None,
            "hello",
        ]
        for document in documents:
            self.assertIs(self.then(document), Then.AGAIN, document)

    def test_no_json(self) -> None:
        """
        A success that is not JSON, such as a proxy's page, may be asked for
        again; an error need not be JSON.
        """
        for body in (b"<html>", b"", b"\xff", b"[" * 100_000, b"1" * 5000):
            self.assertEqual(
                read_answer(200, Headers(), body),
                Fault(
                    trouble=Trouble.GARBLED,
                    detail="HTTP 200, not a JSON object",
                    tokens=1,
                ),
            )
            self.assertEqual(
                read_answer(502, Headers(), body),
                Fault(trouble=Trouble.BROKEN, detail="HTTP 502", tokens=1),
            )

    def test_detail(self) -> None:
        """
        The log is told status, code and type where they are known words, and
        of any other that it is unknown: it may be a key, or prose.
        """
        for code, kind, detail in (
            (
                "invalid_prompt",
                "invalid_request_error",
                "HTTP 418 invalid_prompt invalid_request_error",
            ),
            (None, "invalid_request_error", "HTTP 418 invalid_request_error"),
            ("", None, "HTTP 418"),
            (404, "sk-secret", "HTTP 418 404 unknown"),
            ("Alice said hi", "y" * 65, "HTTP 418 unknown"),
            ("Alice", "stop", "HTTP 418 unknown stop"),
            (4111111111, ["Alice"], "HTTP 418 unknown"),
            (True, {"Alice": 1}, "HTTP 418 unknown"),
        ):
            outcome = read(failing(code=code, type=kind), 418)
            fault = Fault(trouble=Trouble.INVALID, detail=detail, tokens=1)
            self.assertEqual(outcome, fault)

    def test_what_was_written(self) -> None:
        """
        Where it is what somebody wrote that was not let through, nobody goes
        looking for a fault of the key.
        """
        outcome = read(failing(type="content_policy_violation"), 403)
        assert isinstance(outcome, Fault)
        detail = "HTTP 403 content_policy_violation, for what was written"
        self.assertEqual(outcome.detail, detail)

    def test_finish(self) -> None:
        """
        Why there is no text is told likewise.
        """
        for finish, detail in (
            ("length", "HTTP 200 without text length"),
            ("sk-secret", "HTTP 200 without text unknown"),
        ):
            outcome = read(completion("", finish))
            self.assertEqual(
                outcome, Fault(trouble=Trouble.BLANK, detail=detail, tokens=12)
            )

    def test_to_do(self) -> None:
        """
        Where somebody must act, the operator is told what to check.
        """
        for document, status, detail in (
            (
                failing(code="invalid_api_key"),
                401,
                "HTTP 401 invalid_api_key, check llm_config's key",
            ),
            (failing(), 403, "HTTP 403, check llm_config's key"),
            (
                failing(type="permission_denied"),
                403,
                "HTTP 403 permission_denied, check llm_config's key",
            ),
            (failing(code=401), 200, "HTTP 200 401, check llm_config's key"),
            (
                failing(),
                402,
                "HTTP 402, check what llm_config's account may still spend",
            ),
            (
                failing(code="insufficient_quota"),
                429,
                "HTTP 429 insufficient_quota, check what llm_config's account may"
                " still spend",
            ),
            (
                {"object": "error", "type": "NotFoundError", "code": 404},
                404,
                "HTTP 404 404 NotFoundError, check llm_config.server and"
                " llm_config.model",
            ),
            (
                failing(code="permission_error"),
                400,
                "HTTP 400 permission_error, check llm_config's key",
            ),
            ({}, 302, "HTTP 302, check llm_config.server and llm_config.model"),
        ):
            outcome = read(document, status)
            assert isinstance(outcome, Fault)
            self.assertEqual((outcome.then, outcome.detail), (Then.MEND, detail))
