"""
Tests for :mod:`micamsgr.messenger.usage`.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.conversation.pacing import Pressure
from micamsgr.messenger.usage import pressure, read_pressures
from micamsgr.test.properties import given, st
from micamsgr.testing import PAGE

NAMES = ("call_count", "total_cputime", "total_time")


def business(*items: object) -> str:
    """
    Make the header of the limits of business use cases.
    """
    return json.dumps({PAGE: items})


class PressureTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.usage.pressure`.
    """

    def test_far(self) -> None:
        """
        Below 75 percent nothing is slowed down.
        """
        for percent in (0.0, 28.0, 75.0):
            found = pressure("app", percent, None)
            self.assertEqual((found.share, found.rest), (1.0, 0.0))

    def test_near(self) -> None:
        """
        From there on the rate falls: at 85 percent to a tenth.
        """
        self.assertAlmostEqual(pressure("app", 85.0, None).share, 0.1)
        shares = [pressure("app", float(n), None).share for n in range(75, 95)]
        self.assertEqual(shares, sorted(set(shares), reverse=True))
        rests = {pressure("app", float(n), None).rest for n in range(75, 95)}
        self.assertEqual(rests, {0.0})

    def test_reached(self) -> None:
        """
        From 95 percent on nothing is sent, for a minute or as long as is
        named; after that hardly anything.
        """
        for percent in (95.0, 100.0, 250.0):
            found = pressure("app", percent, None)
            self.assertEqual((found.share, found.rest), (0.01, 60.0))
            self.assertEqual(pressure("app", percent, 300.0).rest, 300.0)

    def test_named(self) -> None:
        """
        Where a time is named until we may call again, nothing is sent until
        then, whatever the percentage.
        """
        self.assertEqual(pressure("messenger", 10.0, 120.0).rest, 120.0)


class ReadTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.usage.read_pressures`.
    """

    def read(self, status: int = 200, **headers: str) -> tuple[Pressure, ...]:
        """
        Read an answer's headers.
        """
        names = {name.replace("_", "-"): [value] for name, value in headers.items()}
        return read_pressures(status, Headers(names))

    def test_none(self) -> None:
        """
        An answer that tells of no limit, as while there is little to do,
        tells nothing.
        """
        self.assertEqual(self.read(), ())
        self.assertEqual(self.read(Retry_After="9"), ())

    def test_whole(self) -> None:
        """
        The app's limit, and the Page's, count by whatever is used up most.
        """
        for name in NAMES:
            usage = json.dumps({**dict.fromkeys(NAMES, 3), name: 85})
            [app] = self.read(X_App_Usage=usage)
            [page] = self.read(X_Page_Usage=usage)
            self.assertEqual((app.source, page.source), ("app", "page"))
            self.assertAlmostEqual(app.share, 0.1)
            self.assertAlmostEqual(page.share, 0.1)

    def test_business(self) -> None:
        """
        Messenger's limit counts, by the worst of its lines, and its minutes
        until we may call again.
        """
        lines = [{"type": "messenger", name: 85} for name in NAMES]
        for line in lines:
            [found] = self.read(X_Business_Use_Case_Usage=business({}, line))
            self.assertEqual(found.source, "messenger")
            self.assertAlmostEqual(found.share, 0.1)
        limited = {
            "type": "messenger",
            "call_count": 100,
            "estimated_time_to_regain_access": 19,
        }
        [found] = self.read(X_Business_Use_Case_Usage=business(limited))
        self.assertEqual(found.rest, 19 * 60.0)

    def test_others(self) -> None:
        """
        Limits that don't concern messages, such as of advertisements, stop
        nothing.
        """
        other = {
            "type": "ads_management",
            "call_count": 100,
            "estimated_time_to_regain_access": 19,
        }
        self.assertEqual(self.read(X_Business_Use_Case_Usage=business(other)), ())

    def test_all(self) -> None:
        """
        An answer may tell of several limits.
        """
        found = self.read(
            503,
            X_App_Usage='{"call_count": 10}',
            X_Page_Usage='{"call_count": 20}',
            X_Business_Use_Case_Usage=business({"type": "messenger"}),
            Retry_After="7",
        )
        sources = [each.source for each in found]
        self.assertEqual(sources, ["app", "page", "messenger", "server"])
        self.assertEqual(found[-1].rest, 7.0)
        self.assertEqual(found[-1].share, 1.0)

    def test_unavailable(self) -> None:
        """
        A server that names a time when it fails is left alone for that time,
        up to a quarter of an hour.
        """
        self.assertEqual([each.rest for each in self.read(503, Retry_After="9")], [9.0])
        [long] = self.read(503, Retry_After="86400")
        self.assertEqual(long.rest, 900.0)
        self.assertEqual(self.read(503, Retry_After="soon"), ())

    def test_nonsense(self) -> None:
        """
        What is no percentage counts as none, what is no object as nothing, and
        no wait is longer than a day.
        """
        values: list[object] = [None, True, -5, "99", [], {}, float("nan")]
        for value in values:
            [found] = self.read(X_App_Usage=json.dumps(dict.fromkeys(NAMES, value)))
            self.assertEqual((found.share, found.rest), (1.0, 0.0))
        for header in ("", "{", "[]", "7", "[" * 99999, "\xff", '"x"', "null"):
            self.assertEqual(self.read(X_App_Usage=header), ())
            self.assertEqual(self.read(X_Business_Use_Case_Usage=header), ())
        for header in ('{"7": 7}', '{"7": [7]}', '{"7": null}', '{"7": {}}'):
            self.assertEqual(self.read(X_Business_Use_Case_Usage=header), ())
        for minutes in ("1e300", "Infinity", "1" + "0" * 400):
            header = (
                '{"7": [{"type": "messenger",'
                f' "estimated_time_to_regain_access": {minutes}}}]}}'
            )
            [found] = self.read(X_Business_Use_Case_Usage=header)
            self.assertEqual(found.rest, 3600.0)

    @given(st.integers(100, 599), st.binary(max_size=60), st.binary(max_size=60))
    def test_never_raises(self, status: int, usage: bytes, wait: bytes) -> None:
        """
        Whatever the headers hold, they are read, and the rate stays above
        nothing.
        """
        values = {
            b"X-App-Usage": [usage],
            b"X-Business-Use-Case-Usage": [usage],
            b"Retry-After": [wait],
        }
        for found in read_pressures(status, Headers(values)):
            self.assertTrue(0.0 < found.share <= 1.0)
            self.assertTrue(0.0 <= found.rest <= 3600.0)
