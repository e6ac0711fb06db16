"""
Tests for :mod:`micamsgr.setup.arriving`.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.check.knocking import Knocker
from micamsgr.errors import Unavailable
from micamsgr.httpcall import Answer
from micamsgr.setup.arriving import knock, why_not

URL = "https://bot.example.org/v1/facebook/webhook/mica"


class KnockTests(SynchronousTestCase):
    """
    Tests for what knocking finds.
    """

    def setUp(self) -> None:
        self.asked: list[str] = []

    def why(self, *answers: int | str | bytes) -> str:
        """
        Knock, and say why the daemon is not there.

        :param answers: a status, or why there is none, or a body; of a signed
            delivery, an unsigned one, and a verification.
        """
        left = [*answers]

        async def call(
            method: str,
            url: str,
            *,
            headers: Headers,
            body: bytes | None,
            deadline: float,
        ) -> Answer:
            self.asked.append(url)
            answer = left.pop(0)
            if isinstance(answer, str):
                raise Unavailable(answer)
            if isinstance(answer, bytes):
                return Answer(200, Headers(), answer)
            return Answer(answer, Headers(), b"")

        knocking = knock(Knocker(call, lambda: 0.0), URL, "secret", "token", "123")
        knocked = self.successResultOf(Deferred.fromCoroutine(knocking))
        self.assertEqual(left, [])
        return why_not(URL, knocked)

    def test_there(self) -> None:
        """
        The daemon takes what is signed, refuses what isn't, and gives the
        challenge back.
        """
        self.assertEqual(self.why(200, 403, b"123"), "")

    def test_not_there(self) -> None:
        """
        Whatever else answers is told, each by what to do about it.
        """
        for answers, said in (
            (("ConnectionRefusedError",), "nobody answers yet"),
            (("SSL.Error: certificate",), "the certificate is not trusted"),
            ((403,), "does not know this app secret"),
            ((404,), "knows no such webhook"),
            ((502,), "the daemon behind it does not"),
            ((500,), "is not the daemon"),
            ((200, 200), "to whoever calls it"),
            ((200, 403, 403), "does not know this verification token"),
            ((200, 403, b"{}"), "does not give the challenge back"),
        ):
            self.assertIn(said, self.why(*answers), answers)

    def test_secret(self) -> None:
        """
        Whoever doesn't know the app secret is not told the verification token.
        """
        for answers in ((200, 200), (403,), (500,)):
            self.why(*answers)
        self.assertNotIn("token", "".join(self.asked))
