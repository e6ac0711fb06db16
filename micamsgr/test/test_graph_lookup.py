"""
Tests for :mod:`micamsgr.messenger.graph`: looking up what the Page said.
"""

from __future__ import annotations

import os
import time
from urllib.parse import parse_qs, urlsplit

from twisted.internet.error import ConnectionLost
from twisted.web.http_headers import Headers

from micamsgr.conversation.events import Mid
from micamsgr.conversation.outcomes import LookedUp, Seen
from micamsgr.errors import Refused, Unavailable
from micamsgr.httpcall import Answer
from micamsgr.messenger.graph import appsecret_proof
from micamsgr.messenger.graph_answers import milliseconds, read_messages
from micamsgr.testing import ALICE, BOB, PAGE

from .test_graph import SECRET, TOKEN, WITH_ALICE, GraphCase, answer


def live_in(zone: str | None) -> None:
    """
    Set this process's time zone.
    """
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    time.tzset()


class LookUpTests(GraphCase):
    """
    Tests for looking up what the Page said.
    """

    at = 1795362617000
    sent = "2026-11-22T15:50:17+0000"

    def message(self, **fields: object) -> dict[str, object]:
        """
        Make a message of the Page's, as a look-up shows it.
        """
        return {
            "id": "m_1",
            "created_time": self.sent,
            "from": {"id": PAGE, "name": "The Page"},
            "to": {"data": [{"id": ALICE}]},
            "message": "hello",
        } | fields

    def look_up(self, *messages: object) -> LookedUp:
        """
        Read a look-up that shows these messages to and from one person.
        """
        thread = {"messages": {"data": messages}, "id": "t_1"}
        return read_messages(answer(200, {"data": [thread]}), PAGE, ALICE)

    def read(self, *messages: object) -> list[Seen]:
        """
        Read the Page's own messages in a look-up.
        """
        return list(self.look_up(*messages).seen)

    def test_pages(self) -> None:
        """
        A look-up that has more to show says how far back it reaches; where it
        shows several threads, the one that reaches least counts.
        """
        early = {"data": [self.message()]}
        more = {
            "data": [self.message(created_time="2026-11-22T15:55:17+0000")],
            "paging": {"next": "https://graph.facebook.com/"},
        }
        for threads, back_to in (
            ([early], None),
            ([more], self.at + 300_000),
            ([more, {**early, "paging": {"next": "x"}}], self.at + 300_000),
        ):
            document = {"data": [{"messages": thread} for thread in threads]}
            looked = read_messages(answer(200, document), PAGE, ALICE)
            self.assertEqual(looked.back_to, back_to)

    def test_receiver_without_id(self) -> None:
        """
        A receiver of whom only the name is shown may be the one.
        """
        nameless = {"data": [{"name": "Somebody"}]}
        self.assertEqual(len(self.read(self.message(to=nameless))), 1)

    def test_request(self) -> None:
        """
        What is asked for is the thread of one person with the Page.
        """
        looking = self.begin(self.messenger.look_up(WITH_ALICE))
        wire = self.accept()
        method, target, headers, body = self.request(wire)
        url = urlsplit(target)
        query = parse_qs(url.query)
        self.assertEqual((method, url.path), ("GET", f"/v25.0/{PAGE}/conversations"))
        self.assertEqual(query["platform"], ["messenger"])
        self.assertEqual(query["user_id"], [ALICE])
        self.assertIn("created_time", query["fields"][0])
        self.assertEqual(query["appsecret_proof"], [appsecret_proof(SECRET, TOKEN)])
        self.assertEqual(headers["authorization"], f"Bearer {TOKEN}")
        self.assertEqual(body, b"")
        self.respond(wire, {"data": []})
        self.assertEqual(self.successResultOf(looking), LookedUp(()))

    def test_own(self) -> None:
        """
        Only the Page's own messages are read, with their times.
        """
        theirs = self.message(**{"from": {"id": ALICE}}, id="m_2")
        self.assertEqual(
            self.read(self.message(), theirs, self.message(id="m_3", message="again")),
            [Seen(Mid("m_1"), self.at, "hello"), Seen(Mid("m_3"), self.at, "again")],
        )

    def test_spellings(self) -> None:
        """
        Times and IDs are read as Meta has spelled them over the years; a time
        without an offset is UTC, wherever we are.
        """
        self.addCleanup(live_in, os.environ.get("TZ"))
        live_in("EST5")
        for spelled in (
            "2026-11-22T15:50:17+0000",
            "2026-11-22T15:50:17+00:00",
            "2026-11-22T15:50:17Z",
            "2026-11-22T10:50:17-0500",
            "2026-11-22T15:50:17",
            self.at // 1000,
        ):
            (seen,) = self.read(self.message(created_time=spelled))
            self.assertEqual(seen.at, self.at, spelled)
        (seen,) = self.read(self.message(**{"from": {"id": int(PAGE)}}))
        self.assertEqual(seen.mid, "m_1")

    def test_without_text(self) -> None:
        """
        A message without text, such as a picture, has an empty one.
        """
        for empty in ("", None):
            (seen,) = self.read(self.message(message=empty))
            self.assertEqual(seen.text, "")

    def test_storable(self) -> None:
        """
        What no database takes is replaced.
        """
        (seen,) = self.read(self.message(message="a\0\ud800b"))
        self.assertEqual(seen.text, "a\ufffd\ufffdb")

    def test_absurd_time(self) -> None:
        """
        A time that no clock shows is none, however large the number.
        """
        for value in (10**17, -1, 10**400):
            self.assertIsNone(milliseconds(value))
        self.assertEqual(milliseconds(1795362617), 1795362617000)

    def test_unreadable(self) -> None:
        """
        A message that can't be read may be just the one that is looked for:
        the look-up fails, for now.
        """
        odd: tuple[object, ...] = (
            None,
            7,
            [],
            {},
            self.message(id=None),
            self.message(id=7),
            self.message(message=7),
            self.message(created_time="yesterday"),
            self.message(created_time=None),
            self.message(**{"from": PAGE}),
            self.message(**{"from": {}}),
        )
        for item in odd:
            with self.assertRaises(Unavailable, msg=repr(item)):
                self.read(self.message(), item)

    def test_to_others(self) -> None:
        """
        What the Page said to another person is no evidence; where it isn't
        shown to whom, it counts.
        """
        other = self.message(to={"data": [{"id": BOB}]}, id="m_2")
        unshown: tuple[object, ...] = (None, {}, {"data": []}, {"data": None})
        for unknown in unshown:
            nobody = self.message(to=unknown, id="m_3")
            seen = self.read(other, nobody)
            self.assertEqual([it.mid for it in seen], ["m_3"], unknown)

    def test_back_to(self) -> None:
        """
        Twenty messages reach back to the oldest of them, whoever wrote it;
        fewer are all that there are.
        """
        older = self.message(
            **{"from": {"id": ALICE}}, created_time=self.at // 1000 - 60
        )
        few = [older, *[self.message()] * 18]
        self.assertIsNone(self.look_up(*few).back_to)
        full = self.look_up(*few, self.message())
        self.assertEqual(full.back_to, self.at - 60_000)
        self.assertEqual(len(full.seen), 19)

    def test_nothing_shown(self) -> None:
        """
        An answer that does not show a thread's messages proves nothing of
        them: it fails, for now.
        """
        documents: tuple[object, ...] = (
            {"data": [{}]},
            {"data": [None]},
            {"data": [{"messages": {}}]},
            {"data": [{"messages": {"data": [self.message()]}}, {"id": "t_2"}]},
            {"data": {}},
            {},
            [],
            None,
        )
        for document in documents:
            with self.assertRaises(Unavailable):
                read_messages(answer(200, document), PAGE, ALICE)

    def test_failed(self) -> None:
        """
        A look-up that fails says whether it may succeed another time.
        """
        for status, error, kind in (
            (500, {"code": 1}, Unavailable),
            (400, {"code": 613}, Unavailable),
            (400, {"code": 190}, Unavailable),
            (429, {}, Unavailable),
            (400, {"code": 10}, Refused),
            (400, {"code": 100, "error_subcode": 33}, Refused),
            (400, {"code": 368}, Unavailable),
            (401, {}, Unavailable),
            (403, {}, Unavailable),
            (404, {}, Unavailable),
            (302, {}, Unavailable),
        ):
            with self.assertRaises(kind, msg=str((status, error))):
                read_messages(answer(status, {"error": error}), PAGE, ALICE)

    def test_error_with_messages(self) -> None:
        """
        Under a status of failure, messages are not believed.
        """
        with self.assertRaises(Unavailable):
            read_messages(answer(500, {"data": []}), PAGE, ALICE)

    def test_html(self) -> None:
        """
        A page of a gateway in between fails the look-up, for now.
        """
        with self.assertRaises(Unavailable):
            read_messages(Answer(200, Headers(), b"<html>"), PAGE, ALICE)

    def test_cut_off(self) -> None:
        """
        A look-up whose connection breaks may be tried again: it changes
        nothing.
        """
        looking = self.begin(self.messenger.look_up(WITH_ALICE))
        self.accept().lose(ConnectionLost())
        self.failureResultOf(looking, Unavailable)
