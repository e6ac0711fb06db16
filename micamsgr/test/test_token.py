"""
Tests for what is known of a token.
"""

from __future__ import annotations

from unittest import TestCase

from micamsgr.messenger.graph import TokenState
from micamsgr.messenger.graph_answers import read_token


class TokenTests(TestCase):
    """
    Tests for what an answer tells of the token.
    """

    def test_each(self) -> None:
        """
        Success says that it is good, two codes that it is not, and anything
        else nothing.
        """
        for status, told, good in (
            (200, {"id": "1"}, True),
            (400, {"error": {"code": 190, "error_subcode": 463}}, False),
            (401, {"error": {"code": "190"}}, False),
            (200, {"error": {"code": 102}}, False),
            (400, {"error": {"code": 100}}, None),
            (403, {"error": {"code": 10}}, None),
            (500, {"error": {"code": 2}}, None),
            (500, {"id": "1"}, None),
            (200, {}, None),
            (400, {"error": []}, None),
        ):
            self.assertIs(read_token(status, told), good, told)

    def test_proof(self) -> None:
        """
        That the proof of the secret is refused is known until something is
        taken, or the token itself is refused.
        """
        refused = {"error": {"code": 100, "message": "Invalid appsecret_proof prov"}}
        state = TokenState(good=True)
        for status, told, unproved in (
            (500, {}, False),
            (400, {"error": {"code": 100, "message": "Invalid parameter"}}, False),
            (400, refused, True),
            (500, {"error": {"code": 2}}, True),
            (200, {"id": "1"}, False),
            (400, refused, True),
            (400, {"error": {"code": 190}}, False),
        ):
            state.learn(status, told)
            self.assertIs(state.unproved, unproved, told)
        self.assertIs(state.good, False)
