"""
Tests for what the Graph API's errors tell the operator to do.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.graph_answers import read_error
from micamsgr.messenger.graph_errors import Meaning

from .test_graph_errors import answer


class HintTests(SynchronousTestCase):
    """
    Tests for what an error tells the operator to do.
    """

    def detail(self, **error: Any) -> str:
        """
        Read what is logged of an error that stops the Page.
        """
        found = read_error(answer(**error))
        self.assertIs(found.meaning, Meaning.PAGE, error)
        return found.detail

    def test_token(self) -> None:
        """
        Trouble with the token says which key to check.
        """
        for code in (102, 190):
            detail = self.detail(code=code, error_subcode=460)
            self.assertTrue(detail.endswith(": check facebook.page_access_token"))

    def test_secret(self) -> None:
        """
        A proof of the secret that isn't accepted stops the Page, as no
        message is to blame, and says which key to check.
        """
        for message in (
            "Invalid appsecret_proof provided in the API argument",
            "(#100) Invalid appsecret_proof",
            "API calls from the server require an appsecret_proof argument",
            "Invalid request signature",
        ):
            detail = self.detail(code=100, message=message)
            self.assertTrue(detail.endswith(": check facebook.secret"), message)

    def test_words(self) -> None:
        """
        A message is to blame though it speaks of signatures, if the error
        quotes it.
        """
        for message in ("Invalid text: your signature", 'Bad "signature"', 7, None):
            found = read_error(answer(code=100, message=message))
            self.assertIs(found.meaning, Meaning.MESSAGE, message)

    def test_permissions(self) -> None:
        """
        Other trouble that stops a Page is about permissions, unless Meta
        restricts the Page or its messages are off.
        """
        for code, subcode, hint in (
            (3, None, "Advanced Access"),
            (10, None, "Advanced Access"),
            (200, 2018028, "Advanced Access"),
            (230, None, "Advanced Access"),
            (299, None, "Advanced Access"),
            (10, 1893063, "restricts the Page"),
            (368, None, "restricts the Page"),
            (10904, None, "the Page's settings"),
        ):
            self.assertIn(hint, self.detail(code=code, error_subcode=subcode))

    def test_none(self) -> None:
        """
        Where nobody has to act there is nothing to do.
        """
        for code in (1, 100, 551, 613, 2018300, 2018321):
            self.assertTrue(read_error(answer(code=code)).detail.endswith(" -"), code)
