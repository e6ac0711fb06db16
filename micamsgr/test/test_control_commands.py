"""
Tests for :mod:`micamsgr.control.commands` and how it is shown.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from micamsgr.control import tables
from micamsgr.control.client import NotRunning, ask
from micamsgr.control.commands import Commands, Voice
from micamsgr.control.listening import Place
from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import Mid
from micamsgr.conversation.outcomes import NeverSent, Sent
from micamsgr.conversation.policy import Delivery
from micamsgr.errors import Declined
from micamsgr.store.conversations import FOREVER
from micamsgr.test.test_store_queue import QueueCase
from micamsgr.test.test_store_record import moment
from micamsgr.testing import ALICE, BOT, NOW, said


@define
class Told:
    """
    What a bot was told.
    """

    woken: list[int] = field(factory=list)
    hushed: list[int] = field(factory=list)
    tried: list[int] = field(factory=list)
    stopped: tuple[float, str] | None = None

    def voice(self) -> Voice:
        return Voice(
            wake=self.woken.extend,
            hush=self.hushed.append,
            try_again=self.tried.append,
            delivery=Delivery(),
            quiet=1800.0,
            stopped=lambda: self.stopped,
        )


class CommandsCase(QueueCase):
    """
    The commands of a daemon with one bot.
    """

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.told = Told()
        self.bots = {str(BOT): self.told.voice()}
        self.commands = Commands(
            self.clock,
            moment,
            self.store.database.transact,
            self.store.database.transact,
            lambda: self.bots,
            str.split,
            3,
            self.status,
            self.reload,
            lambda: {"in_force": True},
            os.urandom,
        )

    async def status(self) -> Mapping[str, Any]:
        return {"version": "1.0"}

    def reload(self) -> Mapping[str, Any]:
        raise Declined("the configuration in force stays")

    def run_command(self, command: str, **arguments: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.commands(command, arguments))

    def done(self, command: str, **arguments: Any) -> Any:
        return self.successResultOf(self.run_command(command, **arguments))

    def refused(self, command: str, **arguments: Any) -> str:
        failed = self.failureResultOf(self.run_command(command, **arguments), Declined)
        return str(failed.value.detail)


class CommandsTests(CommandsCase):
    """
    Tests for what is done.
    """

    def test_woken(self) -> None:
        """
        Whatever is decided, the bot hears of it at once.
        """
        self.record(said())
        self.fail_turn()
        self.done("queue.retry", id="e1")
        self.assertEqual(self.told.woken, [1])
        self.done("queue.drop", id="e1")
        self.done("conversation.resume", psid=ALICE)
        self.assertEqual(self.told.woken, [1] * 3)
        self.assertEqual(self.told.hushed, [])
        self.done("conversation.pause", psid=ALICE)
        self.assertEqual(self.told.hushed, [1])

    def test_tried(self) -> None:
        """
        What is to be tried again is the one that tries while nothing is sent;
        what waits for a limit all the same is told to.
        """
        self.record(said())
        self.fail_turn()
        self.assertEqual(len(self.done("queue.retry", id="e1")["said"]), 1)
        self.assertEqual(self.told.tried, [1])
        self.done("queue.drop", id="e1")
        self.assertEqual(self.told.tried, [1])
        self.told.stopped = (60.0, "usage of 97 %")
        line = self.done("queue.retry", id="e1")["said"][-1]
        self.assertEqual(line, "before 60 s are over nothing is sent: usage of 97 %")

    def test_nobody_woken(self) -> None:
        """
        What is declined wakes nobody.
        """
        self.record(said())
        self.refused("queue.retry", id="e1")
        self.assertEqual(self.told.woken, [])

    def test_send(self) -> None:
        """
        What becomes of what is said is waited for, and told.
        """
        self.record(said())
        sending = self.run_command("send", psid=ALICE, text="Me.")
        self.assertEqual((self.told.woken, self.told.hushed), ([1], [1]))
        self.assertNoResult(sending)
        (part,) = self.store.parts()
        self.change(part, part_sent := self.intended(part))
        self.settle(part_sent, Sent(Mid("m_1")))
        self.clock.advance(0.2)
        result = self.successResultOf(sending)
        self.assertEqual([it["state"] for it in result["parts"]], ["sent"])
        self.assertEqual(result["quiet_until"], NOW + 1_800_000)

    def test_send_in_vain(self) -> None:
        """
        Words that were refused are no human's answer: the bot is as awake as
        before, unless somebody else has spoken meanwhile.
        """
        self.record(said())
        for meanwhile, quiet in ((None, 0), (FOREVER, FOREVER)):
            sending = self.run_command("send", psid=ALICE, text="Me.")
            part = self.store.parts()[-1]
            self.change(part, intended := self.intended(part))
            if meanwhile is not None:
                self.done("conversation.pause", psid=ALICE)
            self.settle(intended, NeverSent("person", "551"))
            self.clock.advance(0.2)
            result = self.successResultOf(sending)
            self.assertIsNone(result["quiet_until"])
            shown = self.done("conversation.show", psid=ALICE)
            self.assertEqual(shown["quiet_until"], quiet)
        self.assertEqual(
            [(it["text"], it["reason"]) for it in shown["undelivered"]],
            [("Me.", "person")] * 2,
        )
        text = "\n".join(tables.conversation_lines(shown))
        self.assertIn("not delivered:", text)
        # The LLM is not to believe that they were said.
        self.assertEqual(self.history(), [("person", "hi")])

    def test_send_cut_off(self) -> None:
        """
        Whoever sends may go away: words that are refused after that are no
        human's answer either.
        """
        self.record(said())
        sending = self.run_command("send", psid=ALICE, text="Me.")
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        (part,) = self.store.parts()
        self.change(part, intended := self.intended(part))
        self.settle(intended, NeverSent("person", "551"))
        self.clock.advance(0.2)
        shown = self.done("conversation.show", psid=ALICE)
        self.assertEqual(shown["quiet_until"], 0)
        self.assertEqual(self.history(), [("person", "hi")])

    def test_left_unanswered(self) -> None:
        """
        Where an operator's words were in vain, it is said which messages
        nobody answers, and the bot answers them when it is told to.
        """
        self.record(said("one"), said("two"))
        sending = self.run_command("send", psid=ALICE, text="Me.")
        self.record(said("three", at=NOW + 1))
        (part,) = self.store.parts()
        self.change(part, intended := self.intended(part))
        self.settle(intended, NeverSent("person", "551"))
        self.clock.advance(0.2)
        result = self.successResultOf(sending)
        self.assertEqual(result["unanswered"], 3)
        self.assertEqual(result["unanswered_ids"], ["e1", "e2", "e3"])
        line = tables.unanswered(result)
        self.assertIn("e1, e2, e3;", line)
        self.assertIn("`micamessenger queue retry e1`", line)
        for id in result["unanswered_ids"]:
            self.done("queue.retry", id=id)
        self.assertEqual(
            self.asked(), [("person", "one"), ("person", "two"), ("person", "three")]
        )

    def test_many_unanswered(self) -> None:
        """
        Of many messages ten are named, and how many more there are.
        """
        ids = [f"e{number}" for number in range(1, 14)]
        line = tables.unanswered({"unanswered": 13, "unanswered_ids": ids})
        self.assertIn("e9, e10 and 3 more;", line)
        line = tables.unanswered({"unanswered": 10, "unanswered_ids": ids[:10]})
        self.assertIn("e9, e10;", line)

    def intended(self, part: Any) -> Any:
        return lifecycle.intend(part, moment())

    def test_send_waits(self) -> None:
        """
        What can't be sent now is not waited for for long, and it is said why.
        """
        self.record(said())
        self.told.stopped = (60.0, "code 190")
        sending = self.run_command("send", psid=ALICE, text="Me.")
        self.clock.pump([0.2] * 60)
        result = self.successResultOf(sending)
        self.assertEqual(result["parts"][0]["state"], "composed")
        self.assertEqual(result["paused"], "code 190")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_bot(self) -> None:
        """
        A bot that was taken away does nothing; the next reload brings it back.
        """
        self.record(said())
        del self.bots[str(BOT)]
        self.assertIn("not in the config", self.refused("send", psid=ALICE, text="x"))
        self.assertEqual(self.store.events(), [("new", None)])
        self.done("queue.drop", id="e1")
        self.bots[str(BOT)] = self.told.voice()
        self.done("queue.retry", id="e1")

    def test_refused(self) -> None:
        """
        What is no command, and what is not as it should be, is refused.
        """
        self.record(said())
        for command, arguments in (
            ("nonsense", {}),
            ("reload", {}),
            ("queue.list", {"limit": 0}),
            ("queue.list", {"limit": 1001}),
            ("queue.list", {"limit": True}),
            ("queue.list", {"limit": "1"}),
            ("queue.show", {}),
            ("queue.show", {"id": 1}),
            ("queue.show", {"id": "x" * 65}),
            ("conversation.show", {"psid": "'; --"}),
            ("conversation.show", {"psid": ALICE, "bot": 1}),
            ("conversation.pause", {"psid": ALICE, "seconds": -1}),
            ("conversation.pause", {"psid": ALICE, "seconds": 10**9}),
            ("send", {"psid": ALICE}),
            ("send", {"psid": ALICE, "text": "  "}),
            ("send", {"psid": ALICE, "text": "\ud800"}),
            ("send", {"psid": ALICE, "text": "a\0b"}),
            ("send", {"psid": ALICE, "text": "a b c d"}),
            ("send", {"psid": ALICE, "text": "x" * 20_001}),
        ):
            self.assertNotEqual(self.refused(command, **arguments), "")
        self.assertEqual(self.store.parts(), [])
        self.assertEqual(self.store.events(), [("new", None)])


class TablesTests(QueueCase):
    """
    Tests for :mod:`micamsgr.control.tables`.
    """

    def test_harmless(self) -> None:
        """
        What people wrote moves no cursor and turns no text around.
        """
        shown = tables.printable("a\x1b[2Jb\r\n\u202ec\x9b\t👩\u200d🔧é")
        self.assertEqual(shown, "a\\x1b[2Jb\\r\\n\\u202ec\\x9b\\t👩\u200d🔧é")

    def test_aligned(self) -> None:
        """
        Columns stand below one another.
        """
        self.assertEqual(
            tables.table(("A", "LONG"), [("longer", None), ("x", 1)]),
            ["A       LONG", "longer  -", "x       1"],
        )

    def test_units(self) -> None:
        """
        Times and sizes are told so that one can read them.
        """
        spans = [tables.span(it) for it in (None, 0.2, 61, 3600, 90_000, 1e6)]
        self.assertEqual(
            spans, ["-", "0 s", "1 min 1 s", "1 h", "1 d 1 h", "11 d 13 h"]
        )
        sizes = [tables.size(it) for it in (None, 0, 1536, 3 << 30, 5 << 40)]
        self.assertEqual(sizes, ["-", "0 B", "1.5 KiB", "3.0 GiB", "5.0 TiB"])
        self.assertEqual(tables.when(0), "-")
        self.assertEqual(tables.when(1795012345678), "2026-11-18 14:32:25Z")

    def test_nothing(self) -> None:
        """
        Where nothing waits, that is said.
        """
        (line,) = tables.queue_lines(self.listed())
        self.assertIn("nothing waits", line)


class ClientTests(QueueCase):
    """
    Tests for :mod:`micamsgr.control.client`.
    """

    def setUp(self) -> None:
        super().setUp()
        self.runtime = Path(self.mktemp()).absolute()
        self.runtime.mkdir()
        self.path = self.runtime / "control.sock"

    def serve(self, *answer: bytes) -> None:
        """
        Answer the next one who asks.
        """
        place, listening = Place(self.path), socket.socket(socket.AF_UNIX)
        listening.bind(place.name)
        listening.listen()

        def once() -> None:
            with closing(listening), closing(listening.accept()[0]) as connection:
                connection.recv(1 << 16)
                for piece in answer:
                    connection.sendall(piece)

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        self.addCleanup(place.close)
        self.addCleanup(thread.join, 10.0)

    def ask(self) -> tuple[str, dict[str, Any]]:  # type: ignore[override]
        return ask("/nowhere/mica.db", str(self.runtime), "1.0", "status", {})

    def refused(self) -> str:
        return str(self.assertRaises(Declined, self.ask).detail)

    def test_answer(self) -> None:
        """
        An answer is read in however many pieces it comes.
        """
        self.serve(b'{"protocol": 1, "program"', b': "2.0", "result": {"a": 1}}\n')
        self.assertEqual(self.ask(), ("2.0", {"a": 1}))

    def test_none(self) -> None:
        """
        Where there is no socket, or nobody behind it, no daemon runs.
        """
        self.assertIn("isn't running", self.assertRaises(NotRunning, self.ask).detail)

    def test_strangers(self) -> None:
        """
        What answers otherwise, too soon or of another version is told so.
        """
        for line, why in (
            (b"HTTP/1.1 400 Bad Request\n", "no JSON"),
            (b'{"protocol": 1}\n', "no Mica Messenger"),
            (b'{"protocol": 7, "program": "9"}\n', "versions differ"),
            (b'{"protocol": 1, "error": "so"}\n', "so"),
            (b"", "ended before it answered"),
        ):
            self.serve(line)
            self.assertIn(why, self.refused())
            self.path.unlink()

    def test_no_socket(self) -> None:
        """
        What is no socket is not spoken to.
        """
        self.path.write_text("")
        self.assertIn("is no socket", self.refused())

    def test_not_ours(self) -> None:
        """
        A socket of another user's is not spoken to.
        """
        self.serve(b"")
        user = os.geteuid()
        self.patch(os, "geteuid", lambda: user + 1)
        if user == 0:
            # Root's is anybody's; let it be somebody else's.
            os.chown(self.path, 12345, -1)
        self.assertIn("is not ours", self.refused())
        self.patch(os, "geteuid", lambda: user)
        if user == 0:
            os.chown(self.path, 0, -1)
        self.refused()
