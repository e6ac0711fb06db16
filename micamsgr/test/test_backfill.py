"""
Tests for :mod:`micamsgr.messenger.backfill`.
"""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.errors import Refused, Unavailable
from micamsgr.messenger.backfill import (
    Listed,
    Listing,
    Thread,
    read_thread,
    read_threads,
    thread_path,
    threads_path,
)
from micamsgr.messenger.notifications import event_key
from micamsgr.testing import ALICE, BOB, PAGE

from .repair_case import DENIED
from .test_graph import answer

AT = 1795362617000
SENT = "2026-11-22T15:50:17+0000"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "messages", "id", "from", "participants", "paging"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def message(**fields: object) -> dict[str, object]:
    """
    Make a person's message as a thread shows it.
    """
    return {
        "id": "m_1",
        "created_time": SENT,
        "from": {"id": ALICE, "name": "Alice"},
        "to": {"data": [{"id": PAGE}]},
        "message": "hello",
    } | fields


def read(*messages: object, **more: object) -> Thread:
    """
    Read a thread that shows these messages.
    """
    thread = {"id": "t_1", "messages": {"data": messages, **more}}
    return read_thread(answer(200, {"data": [thread]}), PAGE, ALICE)


class ThreadTests(SynchronousTestCase):
    """
    Tests for :func:`read_thread`.
    """

    def test_asked(self) -> None:
        """
        The newest 20 messages of one person's thread are asked for.
        """
        query = parse_qs(urlsplit(thread_path(PAGE, ALICE)).query)
        self.assertEqual(query["user_id"], [ALICE])
        self.assertIn("messages.limit(20){id,created_time,from,", query["fields"][0])

    def test_read(self) -> None:
        """
        Each message is known by the key that a webhook would give it, and the
        oldest comes first, also within a second.
        """
        ours = message(id="m_3", message="Hi", **{"from": {"id": PAGE}})
        second = message(id="m_2")
        early = message(id="m_0", created_time="2026-11-22T15:50:16+0000")
        thread = read(ours, second, message(), early)
        self.assertEqual(
            [(it.mid, it.key, it.text, it.by_page) for it in thread.messages],
            [
                ("m_0", event_key("message", "m_0"), "hello", False),
                ("m_1", event_key("message", "m_1"), "hello", False),
                ("m_2", event_key("message", "m_2"), "hello", False),
                ("m_3", event_key("echo", "m_3"), "Hi", True),
            ],
        )
        self.assertEqual([it.at for it in thread.messages], [AT - 1000, AT, AT, AT])
        self.assertEqual((thread.unclear, thread.whole), (0, True))

    def test_odd(self) -> None:
        """
        What has no text or no time is read as such; what has no ID, or is
        nobody's that we know, is counted.
        """
        thread = read(
            message(message=None),
            message(created_time="soon"),
            message(id=None),
            message(**{"from": None}),
            message(**{"from": {"id": BOB}}),
            7,
        )
        self.assertEqual(
            [(it.at, it.text) for it in thread.messages], [(None, "hello"), (AT, "")]
        )
        self.assertEqual(thread.unclear, 4)

    def test_whole(self) -> None:
        """
        A thread of which as much is shown as Meta shows may have more.
        """
        many = [message(id=f"m_{n}") for n in range(20)]
        self.assertTrue(read(*many[1:]).whole)
        self.assertFalse(read(*many).whole)
        self.assertFalse(read(message(), paging={"next": "https://x.test/"}).whole)

    def test_nobody(self) -> None:
        """
        Who has no thread wrote nothing.
        """
        thread = read_thread(answer(200, {"data": []}), PAGE, ALICE)
        self.assertEqual(thread, Thread((), 0, True))

    def test_unstorable(self) -> None:
        """
        What no database can store is replaced.
        """
        [read_back] = read(message(id="m_\0", message="\ud800")).messages
        self.assertEqual(read_back.mid, Mid("m_\N{REPLACEMENT CHARACTER}"))
        self.assertEqual(read_back.text, "\N{REPLACEMENT CHARACTER}")

    def test_bounds(self) -> None:
        """
        Of a text as much is kept as a message can have; what has an ID longer
        than any is counted.
        """
        long = "x" * 64 * 1024
        for longer in (message(message=f"{long}x"), message(message=f"{long}\ud800")):
            [read_back] = read(longer).messages
            self.assertEqual(read_back.text, long)
        [read_back] = read(message(id="m" * 499)).messages
        self.assertEqual(read_back.mid, "m" * 499)
        self.assertEqual(read(message(id="m" * 500)), Thread((), 1, True))

    def test_trouble(self) -> None:
        """
        A thread that isn't shown is not one without messages.
        """
        for status, document, error in (
            (200, {"data": [{"id": "t_1"}]}, Unavailable),
            (200, {}, Unavailable),
            (500, {"data": []}, Unavailable),
            (*DENIED, Refused),
        ):
            with self.assertRaises(error):
                read_thread(answer(status, document), PAGE, ALICE)

    @given(JSON, st.sampled_from([200, 400, 500]))
    def test_total(self, document: Any, status: int) -> None:
        """
        Whatever comes, it is read, or it is trouble at Meta's.
        """
        told = answer(status, {"data": document})
        for call in (
            lambda: read_thread(told, PAGE, ALICE),
            lambda: read_threads(told, PAGE),
        ):
            with contextlib.suppress(Unavailable, Refused):
                call()


class ListTests(SynchronousTestCase):
    """
    Tests for :func:`read_threads`.
    """

    def listed(self, paging: object = None, **fields: object) -> Listing:
        """
        Read a list with Alice's thread in it.
        """
        people = [{"id": ALICE, "name": "Alice"}, {"id": PAGE, "name": "The Page"}]
        thread = {
            "id": "t_1",
            "updated_time": SENT,
            "participants": {"data": people},
        }
        document = {"data": [thread | fields], "paging": paging}
        return read_threads(answer(200, document), PAGE)

    def test_read(self) -> None:
        """
        Whose thread it is, and when it was updated, is read, if it is shown.
        """
        self.assertEqual(self.listed(), Listing((Listed(ALICE, AT),), 0, None))
        unclear = self.listed(updated_time=None)
        self.assertEqual(unclear.threads, (Listed(ALICE, None),))

    def test_nobody(self) -> None:
        """
        A thread of no one person is counted, and one of somebody whose ID is
        longer than any, or is none.
        """
        for people in (
            [],
            [{"id": PAGE}],
            [{"id": PAGE}, {"id": "1"}, {"id": "2"}],
            7,
            [{"id": PAGE}, {"id": "1" * 500}],
            [{"id": PAGE}, {"id": {"1": "2"}}],
        ):
            listed = self.listed(participants={"data": people})
            self.assertEqual(listed, Listing((), 1, None))

    def test_next(self) -> None:
        """
        Where the list goes on is read from its cursor or, without one, from
        the address of the next page, which is itself never used.
        """
        following = "https://elsewhere.example/?access_token=t&after=two"
        for paging, after in (
            (None, None),
            ({"cursors": {"before": "zero", "after": "one"}}, None),
            ({"cursors": {"after": "one"}, "next": following}, "one"),
            ({"next": following}, "two"),
            ({"next": "https://["}, None),
            ({"next": "https://x.test/?after=a&after=b"}, None),
            ({"cursors": {"after": "x" * 5000}, "next": following}, None),
        ):
            self.assertEqual(self.listed(paging).after, after, paging)
        query = parse_qs(urlsplit(threads_path(PAGE, "a&b=c")).query)
        self.assertEqual(query["after"], ["a&b=c"])
        self.assertNotIn("after", threads_path(PAGE, None))

    def test_trouble(self) -> None:
        """
        A list that isn't shown is not an empty one.
        """
        for status, document, error in (
            (200, {}, Unavailable),
            (500, {"data": []}, Unavailable),
            (*DENIED, Refused),
        ):
            with self.assertRaises(error):
                read_threads(answer(status, document), PAGE)
