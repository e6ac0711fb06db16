"""
Tests for :mod:`micamsgr.logs`.
"""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.outcomes import Absent, NotSent
from micamsgr.logs import LogWriter

# What people could write to forge a line, to hide one, or to break a terminal
# or a program that reads the log.
FORGERIES = (
    "hi\n2026-11-22T15:50:17+0000 error micamsgr.x: forged",
    "hi\r\nforged",
    "hi\rforged",
    "hi\x1b[2K\x1b[1Aforged",
    "hi\x85forged\u2028forged\u2029forged",
    "hi\x0bforged\x0cforged\x1cforged",
    "hi\x00\x07\x08\x7f\x9bforged",
    "hi\u202eforged\u200b",
    "hi\ud800forged",
)


class LogCase(SynchronousTestCase):
    """
    A log that a test can read.
    """

    def write(
        self,
        level: str = "info",
        text: str = "{words}",
        *,
        lowest: str = "info",
        format: str = "text",
        namespace: str = "micamsgr.messenger.webhook",
        **fields: Any,
    ) -> str:
        """
        Log something, and give what was written of it.
        """
        out = StringIO()
        publisher = LogPublisher(LogWriter(out, level=lowest, format=format))
        logger = Logger(namespace=namespace, observer=publisher)
        getattr(logger, level)(text, **fields)
        return out.getvalue()


class TextTests(LogCase):
    """
    Tests for the log as text.
    """

    def test_line(self) -> None:
        """
        A line has the time, the level, where it is from, and what happened.
        """
        self.assertRegex(
            self.write("warn", "bot {bot}: {count}", bot="mica", count=3),
            r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} warn"
            r" micamsgr\.messenger\.webhook: bot mica: 3\n$",
        )

    def test_forgery(self) -> None:
        """
        Whatever people write stays on its line, and moves no cursor.
        """
        for words in FORGERIES:
            line = self.write(words=words)
            self.assertEqual(line.splitlines(), [line[:-1]], ascii(words))
            self.assertTrue(line[:-1].isprintable(), ascii(line))
            self.assertIn("forged", line)
            line.encode("utf-8")

    def test_readable(self) -> None:
        """
        Words in any script are written as they are.
        """
        words = "zażółć gęślą jaźń — 你好 🙂"
        self.assertIn(words, self.write(words=words))

    def test_braces(self) -> None:
        """
        What people write is not taken for a format.
        """
        self.assertIn("{words} {0} {", self.write(words="{words} {0} {"))

    def test_failure(self) -> None:
        """
        A defect is written with its traceback, each line of it indented, so
        that nothing in it passes for a line of the log.
        """
        for words in FORGERIES:
            written = self.write(
                "failure", "a defect", failure=Failure(ValueError(words))
            )
            first, *rest = written.split("\n")
            self.assertIn(" critical micamsgr", first)
            self.assertEqual(rest.pop(), "")
            for line in rest:
                self.assertTrue(line.startswith("\t"), ascii(line))
                self.assertTrue(line[1:].isprintable(), ascii(line))
            self.assertIn("ValueError", written)


class JSONTests(LogCase):
    """
    Tests for the log as JSON.
    """

    def read(self, written: str) -> Any:
        """
        Read the one line that was written, as strictly as JSON is defined.
        """

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        self.assertEqual(written.count("\n"), 1)
        self.assertTrue(written.isascii())
        return json.loads(written, parse_constant=refuse)

    def test_line(self) -> None:
        """
        A line has the same as the text, its constant part by itself, and each
        field by its name.
        """
        line = self.read(
            self.write("warn", "bot {bot}: {count}", format="json", bot="mica", count=3)
        )
        self.assertRegex(line.pop("time"), "^20[0-9-]+T")
        self.assertEqual(
            line,
            {
                "level": "warn",
                "from": "micamsgr.messenger.webhook",
                "event": "bot {bot}: {count}",
                "text": "bot mica: 3",
                "bot": "mica",
                "count": 3,
            },
        )

    def test_forgery(self) -> None:
        """
        Whatever people write comes back as they wrote it.
        """
        for words in FORGERIES:
            line = self.read(self.write(format="json", words=words))
            self.assertEqual(line["words"], words)

    def test_any_value(self) -> None:
        """
        A field that JSON can't hold is written as text.
        """
        for value in (b"\xff", object, float("nan"), float("inf"), 1 + 2j):
            line = self.read(self.write(format="json", words=value))
            self.assertEqual(line["words"], str(value))

    def test_outcome(self) -> None:
        """
        What became of something is written in words, in JSON as in the text,
        and not as a programmer writes it.
        """
        told = "surely not sent: status 613; not again for 30 s"
        value = NotSent(detail="status 613", rest=30.0, pause=True)
        line = self.read(self.write(format="json", words=value))
        self.assertEqual((line["words"], line["text"]), (told, told))

    def test_several(self) -> None:
        """
        Of a field that is a table or a list, a program can read each value.
        """
        value = {"raw.event": 0, 1: (2, Absent())}
        line = self.read(self.write(format="json", words=value))
        self.assertEqual(
            line["words"], {"raw.event": 0, "1": [2, "this look-up does not show it"]}
        )

    def test_own_fields(self) -> None:
        """
        A field never takes the place of the time, or of where it is from.
        """
        forged = dict.fromkeys(("time", "from", "event"), "x")
        line = self.read(self.write(format="json", words="", **forged))
        self.assertEqual(line["event"], "{words}")
        self.assertNotIn("x", (line["time"], line["from"]))

    def test_failure(self) -> None:
        """
        A defect's traceback is a field of its line.
        """
        failure = Failure(ValueError("hi\nforged"))
        line = self.read(
            self.write("failure", "a defect", format="json", failure=failure)
        )
        self.assertEqual(line["level"], "critical")
        self.assertIn("ValueError", line["traceback"])


class LevelTests(LogCase):
    """
    Tests for what is written at all.
    """

    levels = ("debug", "info", "warn", "error")

    def test_ours(self) -> None:
        """
        Of ours, what is of the level asked for is written, and what is worse.
        """
        for index, lowest in enumerate(self.levels):
            written = [
                level
                for level in self.levels
                if self.write(level, lowest=lowest, words="x")
            ]
            self.assertEqual(written, list(self.levels[index:]), lowest)

    def test_critical(self) -> None:
        """
        A defect is written whatever the level.
        """
        failure = Failure(ValueError())
        self.assertTrue(self.write("failure", "x", lowest="critical", failure=failure))
        self.assertFalse(self.write("error", lowest="critical", words="x"))

    def test_twisted(self) -> None:
        """
        Twisted's own chatter is not written, whatever the level; its warnings
        are.
        """
        for namespace in ("twisted.web.http.HTTPChannel", "stdout", "micamsgrx"):
            for lowest in ("debug", "info"):
                written = [
                    level
                    for level in self.levels
                    if self.write(level, lowest=lowest, namespace=namespace, words="x")
                ]
                self.assertEqual(written, ["warn", "error"], namespace)
        self.assertFalse(
            self.write("warn", lowest="error", namespace="twisted", words="x")
        )
