"""
Tests for :mod:`micamsgr.messenger.graph_errors`, and for what
:mod:`micamsgr.messenger.graph` concludes from an answer.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.conversation.events import Mid
from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent, Sent
from micamsgr.httpcall import Answer
from micamsgr.messenger.graph_answers import read_error, read_outcome
from micamsgr.messenger.graph_errors import TABLE, Meaning, meaning

# As docs/messenger-platform.md, section 5.1, has it: codes, subcodes (none
# means: no subcode, and any that is not listed), and the class of the line.
DOCUMENTED: tuple[tuple[int, tuple[int, ...], str], ...] = (
    (-1, (2018012,), "X"),
    (1, (), "X"),
    (1, (1357046,), "X"),
    # "A after one retry": what is in doubt is looked up before that.
    (1, (99,), "X"),
    (2, (), "X"),
    (2, (2018344,), "A"),
    (3, (), "A"),
    (4, (), "R"),
    (4, (2018022,), "R"),
    (4, (2018354,), "W"),
    (9, (2018352,), "W"),
    (10, (), "A"),
    (10, (2018278, 2534022, 2018065, 1893015, 1404170), "W"),
    (10, (2018108,), "U"),
    (10, (1893063, 2534077), "A"),
    (17, (2446079,), "R"),
    (32, (), "R"),
    (80001, (), "R"),
    (80002, (), "R"),
    (80006, (), "R"),
    (341, (), "R"),
    (613, (), "R"),
    (613, (1996, 2534040), "R"),
    (613, (2018338,), "A"),
    (613, (1893016,), "W"),
    (100, (), "P"),
    (100, (2018001, 2534014, 2534029), "U"),
    (100, (2018008, 2018047, 2018294, 2018074, 2018109, 2018014), "P"),
    (100, (2018032, 2018034, 2018164, 2018320, 2018328), "P"),
    (100, (2534013, 2534015, 2534025, 33), "P"),
    (100, (2534037,), "W"),
    (102, (), "A"),
    (190, (), "A"),
    (190, (458, 459, 464, 460, 463, 467, 492), "A"),
    (200, (), "A"),
    (200, (2018028, 2018027, 2534041), "A"),
    (200, (1545041,), "U"),
    (200, (2018021,), "W"),
    (230, (), "A"),
    (299, (), "A"),
    (368, (), "A"),
    (551, (), "U"),
    (551, (1545041,), "U"),
    (1200, (), "X"),
    (2022, (), "A"),
    (10303, (), "P"),
    (10900, (), "W"),
    (10903, (), "U"),
    (10904, (), "A"),
    (2018144, (), "W"),
    (2018171, (), "A"),
    (2018234, (), "A"),
    (2018300, (), "S"),
    (2018321, (), "T"),
    (36103, (), "A"),
    (9000001, (), "W"),
)

CLASSES = {
    "X": Meaning.DOUBT,
    "T": Meaning.LATER,
    "R": Meaning.LIMIT,
    "A": Meaning.PAGE,
    "W": Meaning.WINDOW,
    "U": Meaning.PERSON,
    "P": Meaning.MESSAGE,
    "S": Meaning.THREAD,
}


def answer(
    status: int = 400,
    document: object = None,
    headers: dict[str, str] | None = None,
    **error: object,
) -> Answer:
    """
    Make an answer of the Graph API.
    """
    body = {"error": error} if error else document
    values = {name: [value] for name, value in (headers or {}).items()}
    return Answer(status, Headers(values), json.dumps(body).encode("ascii"))


class TableTests(SynchronousTestCase):
    """
    Tests for the table of errors.
    """

    def test_documented(self) -> None:
        """
        Every documented error means what its line says.
        """
        for code, subcodes, letter in DOCUMENTED:
            for subcode in subcodes or (None, 99999):
                self.assertIs(
                    meaning(400, code, subcode), CLASSES[letter], (code, subcode)
                )

    def test_nothing_else(self) -> None:
        """
        Nothing is in the table that is not documented.
        """
        documented = {
            (code, subcode)
            for code, subcodes, _ in DOCUMENTED
            for subcode in (None, *subcodes)
        }
        self.assertEqual(set(TABLE) - documented, set())

    def test_as_subcode(self) -> None:
        """
        What Meta prints as a code counts as a subcode too.
        """
        for code in (10, 100):
            self.assertIs(meaning(400, code, 2018300), Meaning.THREAD)
            self.assertIs(meaning(400, code, 2018321), Meaning.LATER)

    def test_server_error(self) -> None:
        """
        With a status of 500 or more the message may have been applied,
        whatever the error says.
        """
        for status in (500, 502, 503, 504, 599):
            for code in (None, 100, 190, 613):
                self.assertIs(meaning(status, code, None), Meaning.DOUBT)

    def test_unknown_code(self) -> None:
        """
        A code that nobody knows refuses the message, unless the status says
        that there is too much, or leaves it open.
        """
        for status, expected in (
            (400, Meaning.MESSAGE),
            (403, Meaning.MESSAGE),
            (429, Meaning.LIMIT),
            (408, Meaning.DOUBT),
            (200, Meaning.DOUBT),
        ):
            self.assertIs(meaning(status, 4711, None), expected, status)

    def test_no_code(self) -> None:
        """
        What is not the Graph API's own error leaves the message in doubt,
        unless it says that there is too much.
        """
        for status in (200, 400, 401, 403, 404, 408):
            self.assertIs(meaning(status, None, None), Meaning.DOUBT, status)
        self.assertIs(meaning(429, None, None), Meaning.LIMIT)


class OutcomeTests(SynchronousTestCase):
    """
    Tests for what came of a message, by the answer to it.
    """

    def not_sent(self, given: Answer) -> NotSent:
        """
        An answer says that the message was surely not sent, for now.
        """
        outcome = read_outcome(given)
        assert isinstance(outcome, NotSent), outcome
        return outcome

    def test_sent(self) -> None:
        """
        With a message_id the message is sent.
        """
        document = {"recipient_id": "1", "message_id": "m_1"}
        for status in (200, 201):
            self.assertEqual(read_outcome(answer(status, document)), Sent(Mid("m_1")))

    def test_success_unreadable(self) -> None:
        """
        A success without a message_id leaves the message in doubt.
        """
        documents: tuple[Any, ...] = (
            None,
            [],
            {},
            {"recipient_id": "1"},
            {"message_id": ""},
            {"message_id": 7},
            {"message_id": "m" * 500},
            {"message_id": "m_1", "error": {}},
        )
        for document in documents:
            self.assertIsInstance(read_outcome(answer(200, document)), InDoubt)
        self.assertEqual(
            read_outcome(answer(200, {})), InDoubt("status 200 without a message_id")
        )
        for body in (b"", b"<html>ok</html>", b'{"message_id": "m_1"', b"[" * 99999):
            self.assertIsInstance(
                read_outcome(Answer(200, Headers(), body)), InDoubt, body[:9]
            )

    def test_error_in_success(self) -> None:
        """
        An error object counts under a status of success, too.
        """
        self.assertEqual(
            read_outcome(answer(200, code=100, error_subcode=2018001)),
            NeverSent("person", "status 200, code 100, subcode 2018001, fbtrace_id -"),
        )

    def test_doubt(self) -> None:
        """
        Errors that may follow a message that was applied leave it in doubt,
        even where Meta calls them transient.
        """
        for given in (
            answer(code=1),
            answer(code=2, is_transient=True),
            answer(code=-1),
            answer(code=1200),
            answer(503, code=100),
            Answer(502, Headers(), b"<html>Bad Gateway</html>"),
            Answer(400, Headers(), b"<html>what?</html>"),
        ):
            self.assertIsInstance(read_outcome(given), InDoubt, given)

    def test_refused(self) -> None:
        """
        What can't succeed is refused for good, by its reason.
        """
        for code, subcode, reason in (
            (10, 2018278, "window"),
            (551, None, "person"),
            (100, None, "message"),
        ):
            outcome = read_outcome(answer(code=code, error_subcode=subcode))
            assert isinstance(outcome, NeverSent), outcome
            self.assertEqual(outcome.reason, reason)

    def test_page_trouble(self) -> None:
        """
        Trouble with the token stops the Page for a minute, and is an alarm.
        """
        outcome = self.not_sent(answer(code=190, error_subcode=460))
        self.assertEqual(
            (outcome.rest, outcome.pause, outcome.alarm), (60.0, True, True)
        )

    def test_limit(self) -> None:
        """
        A limit stops the Page for half a minute where no time is named, and
        nobody has to act.
        """
        for given in (answer(code=613), answer(429, code=4711), answer(429)):
            outcome = self.not_sent(given)
            self.assertEqual(
                (outcome.rest, outcome.pause, outcome.alarm), (30.0, True, False)
            )

    def test_later(self) -> None:
        """
        While another automaton has the thread, only this message waits.
        """
        outcome = self.not_sent(answer(code=2018321))
        self.assertEqual((outcome.rest, outcome.pause), (60.0, False))

    def test_redirect(self) -> None:
        """
        A redirect is not followed: the URL in the configuration is wrong, and
        the Page waits for the operator.
        """
        for status in (301, 302, 303, 307, 308):
            outcome = self.not_sent(
                answer(status, headers={"Location": "https://evil.example"})
            )
            self.assertTrue(outcome.alarm)
            self.assertIn("facebook.graph_url", outcome.detail)
            self.assertNotIn("evil", outcome.detail)


class ErrorTests(SynchronousTestCase):
    """
    Tests for the rest of what an error tells.
    """

    def rest(self, **headers: str) -> float | None:
        """
        Say how long to wait, by these headers.
        """
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return read_error(answer(400, headers=names, code=613)).rest

    def usage(self, *minutes: object) -> str:
        """
        Make the header that says how much of a limit is used up.
        """
        items = [
            {"type": "messenger", "estimated_time_to_regain_access": each}
            for each in minutes
        ]
        return json.dumps({"108463527190842": items, "7": None})

    def test_spelling(self) -> None:
        """
        Numbers count as written, too, and nothing else does.
        """
        error = read_error(answer(code="190", error_subcode="460"))
        self.assertEqual((error.code, error.meaning), (190, Meaning.PAGE))
        for code in ("--1", "²", "1e3", "", True, 1.0, None, [1], 10**40):
            self.assertIsNone(read_error(answer(code=code)).code, code)

    def test_usage(self) -> None:
        """
        The Graph API says in minutes when it wants to be called again; the
        longest of them counts.
        """
        usage = self.usage(0, 2, 1.5)
        self.assertEqual(self.rest(X_Business_Use_Case_Usage=usage), 120.0)
        self.assertEqual(
            self.rest(X_Business_Use_Case_Usage=usage, Retry_After="300"), 300.0
        )

    def test_retry_after(self) -> None:
        """
        A number of seconds to wait counts; anything else does not.
        """
        self.assertEqual(self.rest(Retry_After="7"), 7.0)
        for value in ("soon", "-7", "", "7.5", "²", "Wed, 21 Oct 2026 07:28:00 GMT"):
            self.assertIsNone(self.rest(Retry_After=value), value)

    def test_absurd_waits(self) -> None:
        """
        No wait is longer than an hour, and nonsense is none.
        """
        hour = 3600.0
        self.assertEqual(self.rest(Retry_After="9" * 99), hour)
        for minutes in (1e300, 10**400, float("inf")):
            usage = self.usage(minutes)
            self.assertEqual(self.rest(X_Business_Use_Case_Usage=usage), hour)
        for usage in (
            self.usage(0, -5, "7", None, float("nan")),
            "{",
            "[]",
            '{"7": 7}',
            "[" * 99999,
            "\xff",
        ):
            self.assertIsNone(self.rest(X_Business_Use_Case_Usage=usage))

    def test_not_utf8(self) -> None:
        """
        Headers that are not UTF-8 are no obstacle.
        """
        headers = Headers(
            {b"Retry-After": [b"\xff", b"9"], b"X-Business-Use-Case-Usage": [b"\xff"]}
        )
        error = read_error(Answer(429, headers, b""))
        self.assertEqual(error.rest, 9.0)

    def test_private(self) -> None:
        """
        What is logged of an error holds nothing of its text, which may quote
        people, nor a trace ID that doesn't look like one.
        """
        for trace, shown in (
            ("A-b_9" * 6, "A-b_9" * 6),
            ("x" * 32, "x" * 32),
            ("x" * 33, "-"),
            ("Alice wrote", "-"),
            ("A-b_9\n", "-"),
            ("\u00e9", "-"),
            ("", "-"),
            (7, "-"),
            (None, "-"),
        ):
            error = answer(
                code=100,
                message="Alice wrote",
                type="Alice",
                error_user_msg="Alice",
                fbtrace_id=trace,
            )
            self.assertEqual(
                read_error(error).detail,
                f"status 400, code 100, fbtrace_id {shown}",
            )
