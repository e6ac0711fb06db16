"""
Tests for :mod:`micamsgr.messenger.webhook`: what Meta delivers, how it is
answered, and when.
"""

from __future__ import annotations

import gc
from urllib.parse import quote_from_bytes

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.seldom import Seldom
from micamsgr.messenger.webhook_resource import Nothing
from micamsgr.testing import ALICE, BOB, PAGE

from .test_site import Peer
from .test_webhook import (
    ALLY_PAGE,
    PATH,
    SECRET,
    TOKEN,
    WebhookCase,
    entry,
    human,
    message,
    notification,
    post,
    sign,
)


class DeliveryTests(WebhookCase):
    """
    Tests for what Meta delivers.
    """

    def test_kept_first(self) -> None:
        """
        A delivery is answered 200 once it is kept, and its bot woken; not a
        moment before.
        """
        self.peer.send(post(notification(entry(message()))))
        self.assertEqual(self.peer.received(), b"")
        self.assertEqual(self.woken, [])
        self.step()
        self.assertIn(b" 200 OK\r\n", self.peer.received())
        self.assertEqual(self.kept(), [("mica", "new", None)])
        self.assertEqual(self.woken, ["mica"])

    def test_all_events(self) -> None:
        """
        All events of all entries are kept, also those of threads that are
        another app's.
        """
        both = {
            "id": PAGE,
            "messaging": [message("m_4")],
            "standby": [message("m_5")],
        }
        first = entry(message("m_1"), message("m_2", BOB), message("m_3"))
        self.deliver(post(notification(first, both)))
        self.assertEqual(
            [(state, reason) for _, state, reason in self.kept()],
            [("new", None)] * 4 + [("ignored", "standby")],
        )
        self.assertEqual(self.woken, ["mica", "mica"])

    def test_known(self) -> None:
        """
        What is delivered again is answered 200 again, and wakes nobody.
        """
        body = notification(entry(message()))
        self.deliver(post(body))
        self.deliver(post(body))
        self.assertEqual(len(self.kept()), 1)
        self.assertEqual(self.woken, ["mica"])

    def test_odd(self) -> None:
        """
        Whatever is odd in a signed notification, it is answered 200, and its
        neighbors are kept: any other answer would come back for an hour and
        then cost the subscription.
        """
        odd: tuple[object, ...] = (
            7,
            {},
            {"sender": None, "message": None},
            {"sender": {"id": ALICE}, "message": {"text": ["x"]}},
            {"sender": {"id": ALICE}, "brand_new": {}, "timestamp": "yesterday"},
            {"sender": {"id": ALICE}, "message": {"mid": "\ud800", "text": "\0"}},
        )
        for number, item in enumerate(odd):
            neighbor = message(f"m_{number}")
            self.deliver(post(notification(entry(item, neighbor))))
        self.assertEqual(self.woken, ["mica"] * len(odd))

    def test_not_ours_to_read(self) -> None:
        """
        A notification with nothing for us is answered 200, even while nothing
        can be kept.
        """
        for body in (
            notification(),
            notification(entry(message()), about="instagram"),
            b'{"entry": []}',
        ):
            self.peer.send(post(body))
            self.assertEqual(self.peer.statuses(), [200])

    def test_not_to_answer(self) -> None:
        """
        What tells of nothing that wants an answer is answered 200, and wakes
        nobody.
        """
        for body in (
            notification({"id": PAGE, "changes": [{"field": "feed"}]}),
            notification({}, 7, None),
        ):
            self.deliver(post(body))
        self.assertEqual(self.woken, [])

    def test_no_notification(self) -> None:
        """
        What is signed and no notification at all is answered 400.
        """
        for body in (
            b"",
            b"{",
            b"\xff\xfe",
            b"[]",
            b"{}",
            b'{"object": "page", "entry": {}}',
            b'{"entry": [' + b"9" * 5000 + b"]}",
            b"[" * 100_000,
        ):
            self.assert_refused(post(body), 400)

    def test_not_authentic(self) -> None:
        """
        Without the right signature for exactly these bytes, a POST is answered
        403 whatever it holds, and told nothing; the next one is looked at
        anew.
        """
        body = notification(entry(message()))
        right = sign(body)
        signatures = [
            b"",
            b" ",
            b"sha256=",
            right[:-1],
            right + b"0",
            right.upper(),
            right.replace(b"sha256", b"sha1"),
            right[7:],
            sign(body, SECRET[::-1]),
            sign(body, b""),
            sign(body + b" "),
            b"sha256=" + b"\xff" * 64,
            "sha256=é".encode(),
        ]
        for place in range(7, len(right)):
            digit = b"0" if right[place : place + 1] != b"0" else b"1"
            signatures.append(right[:place] + digit + right[place + 1 :])
        for signature in signatures:
            answer = self.assert_refused(post(body, signature), 403)
            self.assertNotIn(right[7:], answer, signature)
        self.assert_refused(post(b"{", b"sha256=x"), 403)
        self.deliver(post(body))

    def test_store_fails(self) -> None:
        """
        What can't be kept is answered 503, so that it comes again; its bot is
        told how that goes.
        """
        self.store.database.failing = True
        self.peer.send(post(notification(entry(message()))))
        self.step()
        self.assertEqual(self.peer.statuses(), [503])
        self.store.database.failing = False
        self.deliver(post(notification(entry(message()))))
        self.assertEqual(len(self.kept()), 1)
        self.assertEqual(self.taken, [False, True])
        self.deliver(post(notification(entry(human()))))
        self.assertEqual(self.taken, [False, True])

    def test_store_is_slow(self) -> None:
        """
        What takes longer than three seconds is answered 503; if it is kept
        after all, its coming again changes nothing.
        """
        body = notification(entry(message()))
        self.peer.send(post(body))
        self.clock.advance(2.9)
        self.assertEqual(self.peer.statuses(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.peer.statuses(), [503])
        self.step()
        self.assertEqual(self.peer.received(), b"")
        self.assertEqual(self.woken, ["mica"])
        self.deliver(post(body))
        self.assertEqual(len(self.kept()), 1)

    def test_human_while_store_is_slow(self) -> None:
        """
        A human who answers while the store is slow is heard, though 503.
        """
        self.peer.send(post(notification(entry(human()))))
        self.clock.advance(3.0)
        self.step()
        self.assertEqual(len(self.hushed), 1)

    def test_slow_and_failing(self) -> None:
        """
        A commit that fails after it was given up is no news.
        """
        self.peer.send(post(notification(entry(message()))))
        self.clock.advance(3.0)
        self.store.database.failing = True
        self.step()
        self.assertEqual(self.peer.statuses(), [503])
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_gone(self) -> None:
        """
        What a client brought is kept, though it hangs up before it is
        answered; and nothing waits any more.
        """
        self.peer.send(post(notification(entry(message()))))
        self.peer.go()
        self.step()
        self.assertEqual(self.woken, ["mica"])
        self.assertEqual(self.peer.received(), b"")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pipelined(self) -> None:
        """
        Deliveries that come without waiting for answers are kept and answered
        one after another.
        """
        posts = [post(notification(entry(message(f"m_{n}")))) for n in range(3)]
        self.peer.send(b"".join(posts))
        for _ in posts:
            self.step()
            self.assertEqual(self.peer.statuses(), [200])
        self.assertEqual(self.woken, ["mica"] * 3)

    def test_defect(self) -> None:
        """
        A defect of ours is answered 503, logged, and told to nobody else.
        """
        self.store.database.connection.execute("DROP TABLE event")
        self.peer.send(post(notification(entry(message()))))
        self.step()
        answer = self.peer.received()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "))
        self.assertNotIn(b"event", answer)
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class StrangersTests(WebhookCase):
    """
    Tests for what the log tells of those who are not Meta.
    """

    body = notification(entry(message()))
    wrong = sign(body, SECRET[::-1])

    def refused(self, *requests: bytes) -> list[str]:
        """
        Send what is refused, and take what is logged of it.
        """
        for request in requests:
            self.assert_refused(request, 403)
        said, self.said[:] = list(self.said), []
        return said

    def test_once(self) -> None:
        """
        However often a stranger writes, the log tells it at once, and then
        once a minute, with the count.
        """
        unsigned = post(self.body, b"")
        line = "bot mica: a delivery is refused: no SHA-256 signature"
        told = self.refused(*[unsigned] * 50)
        self.assertEqual(told, [f"{line} (1 since it was last told)"])
        self.clock.advance(59.9)
        self.peer = Peer(self.site)
        self.assertEqual(self.refused(unsigned), [])
        self.clock.advance(0.1)
        # By now the site has closed the connection.
        self.peer = Peer(self.site)
        told = self.refused(unsigned, unsigned)
        self.assertEqual(told, [f"{line} (51 since it was last told)"])

    def test_apart(self) -> None:
        """
        Deliveries without a signature don't hide those whose signature does
        not match, nor one bot's another's; of the second kind the operator is
        told what to check.
        """
        ally = PATH.replace(b"mica", b"ally")
        self.refused(post(self.body, b""))
        self.assertEqual(
            self.refused(
                post(self.body, self.wrong),
                post(self.body, self.wrong, ally),
                post(self.body, b""),
            ),
            [
                f"bot {bot}: a delivery is refused: signature does not match; check"
                " facebook.secret (1 since it was last told)"
                for bot in ("mica", "ally")
            ],
        )

    def test_not_kept(self) -> None:
        """
        However many deliveries a full disk refuses, the log tells it at once,
        and then once a minute with the count; each bot's and each reason's.
        """
        self.store.database.failing = True
        ally = PATH.replace(b"mica", b"ally")
        line = "bot mica: a delivery is answered 503: the test says so"

        def told(*requests: bytes) -> list[str]:
            for request in requests:
                self.peer = Peer(self.site)
                self.peer.send(request)
                self.step()
                self.assertIn(self.peer.statuses(), ([503], [400]))
            said, self.said[:] = list(self.said), []
            return said

        once = " (1 since it was last told)"
        authentic = post(self.body)
        self.assertEqual(told(*[authentic] * 50), [line + once])
        self.assertEqual(
            told(post(self.body, path=ally), post(b"{"), post(b"[]"), authentic),
            [
                line.replace("mica", "ally") + once,
                "bot mica: a delivery is answered 400: not JSON, or not within the"
                f" limits{once}",
                f"bot mica: a delivery is answered 400: no list of entries{once}",
            ],
        )
        self.clock.advance(60.0)
        self.assertEqual(told(authentic), [f"{line} (51 since it was last told)"])

    def test_verification(self) -> None:
        """
        Failed verifications are told once a minute, too, and what to check.
        """
        query = b"?hub.mode=subscribe&hub.challenge=1&hub.verify_token=guess"
        ask = b"GET " + PATH + query + b" HTTP/1.1\r\n\r\n"
        self.assertEqual(
            self.refused(*[ask] * 50),
            [
                "bot mica: verification failed; check facebook.verify_token"
                " (1 since it was last told)"
            ],
        )

    def test_verified(self) -> None:
        """
        That the webhook was verified is told once a minute.
        """
        token = b"&hub.verify_token=" + quote_from_bytes(TOKEN).encode()
        query = b"?hub.mode=subscribe&hub.challenge=1" + token
        for _ in range(50):
            self.peer.send(b"GET " + PATH + query + b" HTTP/1.1\r\n\r\n")
            self.assertEqual(self.peer.statuses(), [200])
        self.assertEqual(self.said, ["bot mica: webhook verified"])

    def test_long_path(self) -> None:
        """
        A path of thousands of parts is looked at no further than to the first
        that isn't there.
        """
        below = Nothing().getChild(b"x", self.peer)  # type: ignore[arg-type]
        self.assertTrue(below.isLeaf)
        self.peer.send(b"GET " + b"/x" * 7000 + b" HTTP/1.1\r\n\r\n")
        self.assertEqual(self.peer.statuses(), [404])


class LostPageTests(WebhookCase):
    """
    Tests for what the log tells of Pages that are nobody's.
    """

    def lost(self, *pages: str) -> list[str]:
        """
        Deliver a message to each Page, and take the errors that are logged.
        """
        self.said.clear()
        for page in pages:
            mid = f"m_{self.clock.seconds()}_{page}"
            self.deliver(post(notification(entry(message(mid), page=page))))
        return [line for line in self.said if line.startswith("Page ")]

    def pass_by(self, seconds: float) -> None:
        """
        Let time pass, after which Meta connects anew.
        """
        self.clock.advance(seconds)
        self.peer = Peer(self.site)

    def test_told(self) -> None:
        """
        The first message to a Page that is nobody's is an error that says
        what to check; those that follow within the hour are not.
        """
        error = (
            f"Page 7 writes to bot mica, whose token is of Page {PAGE}: check"
            " facebook.page_access_token or facebook.page_id"
        )
        self.assertEqual(self.lost("7", "7"), [error])
        self.pass_by(3599.0)
        self.assertEqual(self.lost("7"), [])
        self.pass_by(1.0)
        self.assertEqual(self.lost("7"), [error])

    def test_each(self) -> None:
        """
        Each such Page is told of, and no Page that is somebody's.
        """
        told = self.lost("7", PAGE, ALLY_PAGE, "8")
        self.assertEqual([line[:7] for line in told], ["Page 7 ", "Page 8 "])


class SeldomTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.messenger.seldom.Seldom`.
    """

    def test_bounded(self) -> None:
        """
        Only so many subjects are remembered; that of which a line was due
        longest ago is forgotten first.
        """
        clock = Clock()
        seldom = Seldom(clock, 60.0, 2)
        seldom.count("a")
        clock.advance(30.0)
        seldom.count("b")
        clock.advance(30.0)
        self.assertEqual([seldom.count(it) for it in ("a", "c")], [1, 1])
        self.assertEqual([seldom.count(it) for it in ("a", "c", "b")], [0, 0, 1])
