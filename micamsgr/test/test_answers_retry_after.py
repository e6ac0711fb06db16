"""
Tests for reading how long an endpoint asked to wait.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.assistant.answers import Fault, Trouble, read_answer
from micamsgr.test.test_answers import failing, read


class RetryAfterTests(SynchronousTestCase):
    """
    Tests for how long an endpoint asked to wait.
    """

    def wait(self, **headers: str) -> float | None:
        """
        Read the wait from an answer with *headers*.
        """
        outcome = read(failing(), 429, **headers)
        assert isinstance(outcome, Fault)
        return outcome.retry_after

    def test_seconds(self) -> None:
        """
        Seconds are taken as they are, also broken ones.
        """
        self.assertEqual(self.wait(retry_after="7"), 7.0)
        self.assertEqual(self.wait(retry_after="0.5"), 0.5)

    def test_milliseconds(self) -> None:
        """
        Milliseconds are more exact than seconds, and preferred.
        """
        self.assertEqual(self.wait(retry_after="2", retry_after_ms="1500"), 1.5)

    def test_date(self) -> None:
        """
        A date means the time that is left until it by the server's own clock.
        """
        self.assertEqual(
            self.wait(
                date="Wed, 21 Oct 2026 07:28:00 GMT",
                retry_after="Wed, 21 Oct 2026 07:28:30 GMT",
            ),
            30.0,
        )

    def test_nonsense(self) -> None:
        """
        What is no time to wait is ignored.
        """
        for value in ("", "soon", "-1", "nan", "inf", "1e9", "Wed, 21 Oct 2026",
                      "Wed, 99 Oct 99999999999 07:28:00 GMT",
                      "Wed, 21 Oct 2026 07:28:00 GMT", "\xff"):  # fmt: skip
            self.assertIsNone(self.wait(retry_after=value), value)
        self.assertEqual(self.wait(retry_after_ms="x", retry_after="3"), 3.0)

    def test_past(self) -> None:
        """
        A date that has passed is ignored.
        """
        self.assertIsNone(
            self.wait(
                date="Wed, 21 Oct 2026 07:28:30 GMT",
                retry_after="Wed, 21 Oct 2026 07:28:00 GMT",
            )
        )

    def test_undecodable(self) -> None:
        """
        A header that is no text at all is ignored.
        """
        headers = Headers({b"Retry-After": [b"\xff"]})
        self.assertEqual(
            read_answer(503, headers, b""),
            Fault(trouble=Trouble.BROKEN, detail="HTTP 503"),
        )
