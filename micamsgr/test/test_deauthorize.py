"""
Tests for what follows from notices that the app was removed, from bytes to bytes.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel

from .test_compliance import ALLY_PAGE, DEAUTHORIZE, ComplianceCase
from .test_signed_request import SECRET, USER, signed


class DeauthorizeTests(ComplianceCase):
    """
    Tests for notices that the app was removed.
    """

    def notify(self, **changes: Any) -> tuple[int, str]:
        return self.call(signed(**changes), DEAUTHORIZE)

    def test_person(self) -> None:
        """
        That a person removed it is acknowledged, and the operator is told what
        it may mean; who it was is not.
        """
        self.assertEqual(self.notify(), (200, "OK\n"))
        self.assertEqual(self.notify(), (200, "OK\n"))
        (said,) = self.said()
        self.assertIn("removed the app", said)
        self.assertNotIn(USER, said)
        self.assertEqual(self.rows("SELECT * FROM deletion"), [])

    def test_page(self) -> None:
        """
        That it was removed from a bot's Page is an error that names bot and
        Page, whichever of the app's URLs it came by.
        """
        for user in ("0", ..., 0):
            self.events.clear()
            self.clock.advance(60.0)
            self.assertEqual(
                self.notify(user_id=user, profile_id=ALLY_PAGE), (200, "OK\n")
            )
            (said,) = self.said(LogLevel.error)
            self.assertIn(f"bot ally: the app was removed from Page {ALLY_PAGE}", said)

    def test_other_page(self) -> None:
        """
        Of a Page that is nobody's it is only told; the same goes for nobody at
        all.
        """
        self.assertEqual(self.notify(user_id="0", profile_id="7")[0], 200)
        self.assertEqual(self.notify(user_id="0")[0], 200)
        self.assertEqual(self.said(LogLevel.error), [])
        self.assertEqual(len(self.said(LogLevel.warn)), 2)

    def test_refused(self) -> None:
        """
        What is not Meta's is refused.
        """
        self.assertEqual(self.call(signed(SECRET[::-1]), DEAUTHORIZE)[0], 403)
        self.assertEqual(self.call(b"", DEAUTHORIZE)[0], 400)

    def test_without_store(self) -> None:
        """
        It needs neither the store nor ``public_url``.
        """
        self.database.failing, self.public_url = True, None
        self.assertEqual(self.notify(), (200, "OK\n"))
