"""
Tests for :mod:`micamsgr.messenger.token_facts`.
"""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from twisted.web.http_headers import Headers

from micamsgr.httpcall import Answer
from micamsgr.messenger.token_facts import NEEDED, Outlook, outlook, read_facts
from micamsgr.messenger.told import Told

from .test_check_meta import APP, DAY, GONE, HTML, NOW, PAGE, debug, error, told


def expected(app: str | None = APP, page: str | None = PAGE, **shown: Any) -> Outlook:
    """
    Decide on a token that is shown like this, and else without fault.
    """
    return outlook(read_facts(debug(**shown)), app, page, NOW)


class OutlookTests(TestCase):
    """
    Tests for :func:`outlook`.
    """

    def test_well(self) -> None:
        """
        Of a token that is valid and does not expire soon nothing is expected;
        nor where nobody told anything of it.
        """
        later = int(NOW) + 7 * DAY + 1
        for seen in (
            expected(),
            expected(expires_at=later, data_access_expires_at=str(later)),
            expected(app=None, page=None),
            expected(app_id=None, is_valid=None, scopes=None),
            expected(app_id=int(APP)),
            outlook(None, APP, PAGE, NOW),
        ):
            self.assertEqual(seen, Outlook())
            self.assertFalse(seen.bad)

    def test_expires(self) -> None:
        """
        What expires within a week does so in as many seconds as are left.
        """
        soon = int(NOW) + 3 * DAY
        self.assertEqual(expected(expires_at=soon), Outlook(expires=3.0 * DAY))
        self.assertEqual(expected(expires_at=str(soon)), Outlook(expires=3.0 * DAY))
        week = int(NOW) + 7 * DAY
        self.assertEqual(expected(expires_at=week), Outlook(expires=7.0 * DAY))

    def test_access(self) -> None:
        """
        So it is with its access to data; that this has ended makes no token
        bad.
        """
        for days in (-10, 0, 7):
            at = int(NOW) + days * DAY
            seen = expected(data_access_expires_at=at)
            self.assertEqual(seen, Outlook(access=float(days * DAY)))
            self.assertFalse(seen.bad)

    def test_missing(self) -> None:
        """
        A permission that the bot needs is missing where it was not given, and
        where it was for other Pages only.
        """
        for scope in NEEDED:
            rest = [it for it in NEEDED if it != scope]
            self.assertEqual(expected(scopes=rest), Outlook(missing=(scope,)))
            other = [{"scope": scope, "target_ids": ["1"]}]
            seen = expected(granular_scopes=other)
            self.assertEqual(seen, Outlook(missing=(scope,)))
            self.assertEqual(expected(page=None, granular_scopes=other), Outlook())
            both = [{"scope": scope, "target_ids": ["1", int(PAGE)]}, {"scope": scope}]
            self.assertEqual(expected(granular_scopes=both), Outlook())
        self.assertEqual(expected(scopes=[]), Outlook(missing=NEEDED))
        self.assertEqual(expected(scopes=list(NEEDED)), Outlook())

    def test_bad(self) -> None:
        """
        One that is another app's, one whose time is over and one that is not
        valid for another reason are told apart, and nothing else is said of it.
        """
        gone: dict[str, Any] = {"scopes": [], "data_access_expires_at": int(NOW)}
        mismatch: dict[str, Any] = {
            "is_valid": False,
            "app_id": None,
            "error": {"code": 100},
        }
        ended: dict[str, Any] = {
            "is_valid": False,
            "error": {"code": 190, "subcode": 463},
        }
        also: dict[str, Any] = {
            "is_valid": False,
            "error": {"code": 190, "error_subcode": "463"},
        }
        invalid: dict[str, Any] = {
            "is_valid": False,
            "error": {"code": 190, "subcode": 460},
        }
        for seen, whole in (
            (expected(**mismatch, **gone), Outlook(other_app=True)),
            (expected(app_id="999", **gone), Outlook(other_app=True)),
            (expected(expires_at=int(NOW), **gone), Outlook(expired=True)),
            (expected(**ended, **gone), Outlook(expired=True)),
            (expected(**also, **gone), Outlook(expired=True)),
            (expected(**invalid, **gone), Outlook(invalid=True)),
            (expected(is_valid=False, error=None), Outlook(invalid=True)),
        ):
            self.assertEqual(seen, whole)
            self.assertTrue(seen.bad)


class ReadTests(TestCase):
    """
    Tests for :func:`read_facts`.
    """

    def test_nothing(self) -> None:
        """
        An answer that fails, or shows nothing, tells nothing of the token.
        """
        for silent in (
            None,
            GONE,
            HTML,
            error(190),
            error(4),
            told({"error": {"code": 2}}, 500),
            told({}),
            told({"data": {}}),
            told({"data": []}),
            told({"data": None}),
            told([]),
            Told(answer=Answer(200, Headers(), b"[" * 100_000)),
        ):
            self.assertIsNone(read_facts(silent))

    def test_odd(self) -> None:
        """
        Whatever stands where something else should is as if it were not there.
        """
        odd: tuple[Any, ...] = ({}, [], "x", -1, 1.5, True, 10**30, [None], "9" * 30)
        for value in odd:
            for name in ("expires_at", "data_access_expires_at", "error"):
                self.assertEqual(expected(**{name: value}), Outlook(), (name, value))
            for name in ("app_id", "is_valid", "granular_scopes", "type"):
                # A number is somebody's ID.
                if name != "app_id" or value not in (-1, 10**30):
                    seen = expected(**{name: value})
                    self.assertEqual(seen, Outlook(), (name, value))
        for value in (10**30, -1, "1e9", 1.8e9, 32_503_680_000):
            facts = read_facts(debug(expires_at=value, data_access_expires_at=value))
            assert facts is not None
            self.assertEqual((facts.expires, facts.access), (0, 0), value)
        for value in ([{"scope": [], "target_ids": [{}]}], [{"target_ids": None}]):
            self.assertEqual(expected(granular_scopes=value), Outlook())
