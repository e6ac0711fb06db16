"""
Tests for what becomes of people's requests to be erased, from bytes to bytes.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import formatEvent

from micamsgr.store.deletions import Deletions
from micamsgr.store.forgetting import Forgetting
from micamsgr.store.requests import Requests
from micamsgr.testing import ALICE, BOB

from .test_compliance import STATUS, ComplianceCase
from .test_signed_request import SECRET
from .test_webhook import entry, message, notification, post


class ErasureTests(ComplianceCase):
    """
    Tests for what is erased, and what people read of it.
    """

    def assertGone(self, psid: str, text: str) -> None:
        content = "\n".join(self.database.connection.iterdump())
        self.assertNotIn(psid, content)
        self.assertNotIn(text, content)

    def test_same_id(self) -> None:
        """
        Where Facebook's ID of a person is also Messenger's, all bots of the
        app forget them.
        """
        self.write("Alice's words")
        self.write("Alice's other words", mid="m_2", bot="ally")
        self.write("Bob's words", BOB, "m_3")
        code = self.ask(user_id=ALICE)
        self.assertIn("are being erased", self.look(code)[1])
        self.assertIn(
            "bot mica: person 62 asks through Facebook to be erased: under way",
            [formatEvent(event) for event in self.events],
        )
        self.erase()
        self.assertGone(ALICE, "Alice's")
        self.assertIn("Your messages are erased", self.look(code)[1])
        self.assertEqual(
            self.rows("SELECT text FROM event WHERE text IS NOT NULL"),
            [("Bob's words",)],
        )
        self.assertEqual(self.ask(user_id=ALICE), code)
        self.write("Alice is back", mid="m_4")
        self.ask(user_id=ALICE)
        self.erase()
        self.assertIn("Alice is back", str(self.rows("SELECT text FROM event")))

    def test_by_code(self) -> None:
        """
        Otherwise a person shows who they are by writing the code, which nobody
        answers: then all that they said is gone, the code too, and the page
        says so.  The log tells of it, for who goes back to an old copy.
        """
        self.write("Alice's words")
        self.write("Bob's words", BOB, "m_2")
        code = self.ask()
        page = self.look(code)[1]
        self.assertIn("Nothing is erased yet, for this reason", page)
        self.assertEqual(page.count(code), 2)
        self.erase()
        self.assertEqual(self.look(code)[1], page)
        self.assertEqual(self.write(f" {code.lower()}\n", mid="m_3"), 200)
        self.assertIn(
            "bot mica: person 62 is to be erased, as they ask through Facebook",
            [formatEvent(event) for event in self.events],
        )
        states = "SELECT state, reason FROM event WHERE mid = 'm_3'"
        self.assertEqual(self.rows(states), [("ignored", "erasure")])
        self.erase()
        self.assertGone(ALICE, "Alice's words")
        self.assertIn("Your messages are erased", self.look(code)[1])
        self.assertIn("Bob's words", str(self.rows("SELECT text FROM event")))

    def test_code_again(self) -> None:
        """
        The code that is delivered again changes nothing; written once more
        later, it erases what was said since.
        """
        self.write("Alice's words")
        code = self.ask()
        at = self.now().wall
        self.write(code, mid="m_2")
        self.erase()
        self.write("more words", mid="m_3")
        item = message("m_2", ALICE, code)
        item["timestamp"] = at
        self.exchange(post(notification(entry(item))))
        self.erase()
        self.assertIn("more words", str(self.rows("SELECT text FROM event")))
        self.write(code, mid="m_4")
        self.erase()
        self.assertGone(ALICE, "more words")

    def test_no_code(self) -> None:
        """
        What looks like a code, but is nobody's or of another app, stands among
        other words, or is written to another Page, is none.
        """
        code = self.ask()
        rivals = self.ask("/v1/facebook/deletion/rival", secret=SECRET[::-1])
        for number, text in enumerate(
            ("ERASE" + "A" * 20, f"my code is {code}", code[:-1], rivals)
        ):
            self.write(text, mid=f"m_{number}")
        self.assertEqual(self.rows("SELECT state FROM event"), [("new",)] * 4)
        item = message("m_9", ALICE, code)
        self.exchange(post(notification(entry(item, page="7"))))
        self.erase()
        for it in (code, rivals):
            self.assertIn("Nothing is erased yet", self.look(it)[1])

    def test_several(self) -> None:
        """
        All who ask are erased, however many at once.
        """
        self.write("Alice's words")
        self.write("Bob's words", BOB, "m_2")
        self.ask(user_id=ALICE)
        self.ask(user_id=BOB)
        self.erase()
        self.assertGone(ALICE, "Alice's words")
        self.assertGone(BOB, "Bob's words")

    def test_code_not_kept(self) -> None:
        """
        If it can't be kept that somebody is to be erased, Meta delivers the
        code again, and then it is.
        """
        self.write("Alice's words")
        code = self.ask()
        transact = self.database.transact

        def claim_fails(work: Any) -> Any:
            self.database.failing = "claim" in work.__qualname__
            try:
                return transact(work)
            finally:
                self.database.failing = False

        self.deletions._write = claim_fails
        self.assertEqual(self.write(code, mid="m_2"), 503)
        self.deletions._write = transact
        self.assertEqual(self.write(code, mid="m_2"), 200)
        self.erase()
        self.assertGone(ALICE, "Alice's words")

    def test_later(self) -> None:
        """
        What a daemon had no time to erase the next one does.
        """
        self.write("Alice's words")
        code = self.ask(user_id=ALICE)
        self.deletions = Deletions(self.database.transact, self.database.transact)
        self.erase()
        self.assertGone(ALICE, "Alice's words")
        self.serve(("mica", SECRET))
        self.assertIn("Your messages are erased", self.look(code)[1])

    def test_store_fails(self) -> None:
        """
        If the store fails while somebody is erased, it is done as soon as it
        can be.
        """
        self.write("Alice's words")
        self.ask(user_id=ALICE)
        transact = self.database.transact
        failing = [True]

        def fails(work: Any) -> Any:
            self.database.failing = failing[0]
            try:
                return transact(work)
            finally:
                self.database.failing = False

        service = Forgetting(
            self.clock,
            self.now,
            fails,
            self.database.alone,
            Requests(self.mktemp()),
            self.deletions,
        )
        service._finished = True
        service.startService()
        self.addCleanup(service.stopService)
        self.clock.pump([0.1] * 50)
        self.assertIn("Alice's words", str(self.rows("SELECT text FROM event")))
        failing[0] = False
        self.clock.pump([0.1] * 50)
        self.assertGone(ALICE, "Alice's words")

    def test_page(self) -> None:
        """
        The page says for how long things are kept anyway, runs nothing, is
        kept by nobody, and says nothing to whoever has no code.
        """
        code = self.ask()
        path = (STATUS + code.lower()).encode()
        request = path + b" HTTP/1.1\r\n\r\n"
        status, headers, page = self.exchange(b"GET " + request)
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertEqual(headers["Referrer-Policy"], "no-referrer")
        self.assertTrue(
            headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        )
        self.assertNotIn("<script", page)
        self.assertIn(code, page)
        self.assertIn("30 days", page)
        self.assertIn("400 days", page)
        self.assertIn("2026-11-22", page)
        self.assertEqual(self.exchange(b"HEAD " + request)[::2], (200, ""))
        self.assertEqual(self.exchange(b"POST " + request)[0], 405)
        other = code[:-1] + ("A" if code[-1] != "A" else "B")
        missing = {self.look(it) for it in (other, "x", "", code + "/x", "%ff", "%00")}
        self.assertEqual(missing, {(404, "not found\n")})

    def test_page_fails(self) -> None:
        """
        Where the store fails, the page says to look again.
        """
        code = self.ask()
        self.database.failing = True
        self.assertEqual(self.look(code), (503, "not available, try again\n"))
