"""
Tests for reading threads through :mod:`micamsgr.sandbox.graph_api`.
"""

from __future__ import annotations

from typing import Any, cast

from micamsgr.sandbox.journal import LookedUp, always, rejection
from micamsgr.test.test_sandbox_graph_api import (
    ALICE,
    MESSAGES,
    PAGE,
    GraphAPITestCase,
    answer_to,
)

THREADS = (
    f"/{PAGE}/conversations?platform=messenger&user_id={ALICE}"
    "&fields=messages.limit(20){id,created_time,from,to,message}"
)


class LookUpTests(GraphAPITestCase):
    """
    Tests for reading threads.
    """

    def messages(self) -> list[dict[str, Any]]:
        """
        Look up the thread.
        """
        status, document = self.call("GET", THREADS)
        self.assertEqual(status, 200)
        [thread] = document["data"]
        return cast("list[dict[str, Any]]", thread["messages"]["data"])

    def test_thread(self) -> None:
        """
        A thread shows both sides, the newest first, in whole seconds.
        """
        theirs = self.meta.message(PAGE, ALICE, "Hi")
        self.clock.advance(1)
        ours = self.call("POST", MESSAGES, answer_to())[1]["message_id"]
        newest, oldest = self.messages()
        self.assertEqual((newest["id"], oldest["id"]), (ours, theirs))
        self.assertEqual(newest["message"], "Hello")
        self.assertEqual(newest["created_time"], "2026-11-22T15:50:18+0000")
        self.assertEqual(newest["from"]["id"], PAGE)
        self.assertEqual([to["id"] for to in newest["to"]["data"]], [ALICE])
        self.assertEqual(oldest["from"]["id"], ALICE)
        [looked] = self.journal.of(LookedUp)
        self.assertEqual(looked.mids, (ours, theirs))

    def test_newest(self) -> None:
        """
        A thread shows no more than its twenty newest messages, however many
        are asked for.
        """
        mids = [self.meta.message(PAGE, ALICE, str(n)) for n in range(25)]
        shown = self.call("GET", THREADS.replace("limit(20)", "limit(50)"))[1]
        messages = shown["data"][0]["messages"]["data"]
        self.assertEqual([it["id"] for it in messages], mids[:4:-1])
        shown = self.call("GET", THREADS.replace("limit(20)", "limit(2)"))[1]
        self.assertEqual(len(shown["data"][0]["messages"]["data"]), 2)

    def test_other_ids(self) -> None:
        """
        A thread may show other IDs than webhooks have; the journal tells them
        as webhooks do.
        """
        self.graph.thread_id = "t.{}".format
        mid = self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual([it["id"] for it in self.messages()], [f"t.{mid}"])
        [looked] = self.journal.of(LookedUp)
        self.assertEqual(looked.mids, (mid,))

    def test_nobody(self) -> None:
        """
        Somebody without messages has no thread.
        """
        self.assertEqual(self.call("GET", THREADS), (200, {"data": []}))

    def test_somebody(self) -> None:
        """
        A look-up for a person shows nobody else's thread.
        """
        self.meta.message(PAGE, "bob", "Hi")
        theirs = self.meta.message(PAGE, ALICE, "Hi")
        self.assertEqual([message["id"] for message in self.messages()], [theirs])

    def test_everybody(self) -> None:
        """
        Without a person, all threads of the Page are shown.
        """
        self.meta.message(PAGE, ALICE, "Hi")
        self.meta.message(PAGE, "bob", "Hi")
        path = "/me/conversations?platform=messenger&fields=id,participants"
        threads = self.call("GET", path)[1]["data"]
        people = [thread["participants"]["data"][0]["id"] for thread in threads]
        self.assertEqual(people, [ALICE, "bob"])

    def test_list(self) -> None:
        """
        Threads are listed by the time of their last message, the newest first,
        and page by page.
        """
        for psid in ("bob", ALICE, "carol", "bob"):
            self.meta.message(PAGE, psid, "Hi")
            self.clock.advance(1)
        path = "/me/conversations?platform=messenger&fields=updated_time,participants"
        people, after = [], ""
        while True:
            listed = self.call("GET", f"{path}&limit=2{after}")[1]
            people += [it["participants"]["data"][0]["id"] for it in listed["data"]]
            if "paging" not in listed:
                break
            self.assertIn("next", listed["paging"])
            after = "&after=" + listed["paging"]["cursors"]["after"]
        self.assertEqual(people, ["bob", "carol", ALICE])
        updated = listed["data"][0]["updated_time"]
        self.assertEqual(updated, "2026-11-22T15:50:18+0000")

    def test_list_refused(self) -> None:
        """
        Limits and cursors that there aren't are refused.
        """
        self.meta.message(PAGE, ALICE, "Hi")
        for more in ("limit=0", "limit=x", "after=x", "after=eHg=", "after=LTE="):
            path = f"/me/conversations?{more}"
            self.assertEqual(self.error("GET", path)[0], 400, more)

    def test_fields_refused(self) -> None:
        """
        Fields that there aren't, and lists that can't be read, are refused.
        """
        self.meta.message(PAGE, ALICE, "Hi")
        for fields in ("shoes", "messages{shoes}", "messages{id", "id,,id"):
            path = f"/me/conversations?user_id={ALICE}&fields={fields}"
            self.assertEqual(self.error("GET", path)[0], 400, fields)

    def test_platform_refused(self) -> None:
        """
        Another platform's threads aren't served.
        """
        path = "/me/conversations?platform=telegraph"
        self.assertEqual(self.error("GET", path), (400, 100, None))

    def test_lag(self) -> None:
        """
        A look-up can lag behind what was applied.
        """
        self.graph.lookup_lag = 8.0
        self.call("POST", MESSAGES, answer_to())
        self.clock.advance(7)
        self.assertEqual(self.call("GET", THREADS), (200, {"data": []}))
        self.clock.advance(1)
        self.assertEqual(len(self.messages()), 1)

    def test_rate(self) -> None:
        """
        Where rates are strict, a third look-up within a second is refused
        with code 613.
        """
        self.graph.strict_rates = True
        for _ in range(2):
            self.assertEqual(self.call("GET", THREADS)[0], 200)
        self.assertEqual(self.error("GET", THREADS), (400, 613, None))
        self.clock.advance(1)
        self.assertEqual(self.call("GET", THREADS)[0], 200)

    def test_denied(self) -> None:
        """
        Look-ups can be denied while messages are sent.
        """
        self.graph.faults = always("conversations", rejection(10, status=403))
        self.assertEqual(self.error("GET", THREADS), (403, 10, None))
        self.assertEqual(self.call("POST", MESSAGES, answer_to())[0], 200)
