"""
One message's way through the log, from the delivery to the echo.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from tests.daemon import DaemonCase, eventually

ALICE, BOB = "6284913775102846", "6284913775102847"

WAY = [
    "message.taken",
    "turn.begun",
    "turn.answered",
    "turn.composed",
    "part.attempted",
    "echo.taken",
]


class TraceTests(DaemonCase):
    """
    Tests for the log as programs read it.
    """

    async def test_way(self) -> None:
        """
        All lines about a message have one trace, from the delivery to the echo
        of its answer; those about another have another one.
        """
        daemon = await self.serve(log={"level": "debug", "format": "json"})
        for psid in (ALICE, BOB):
            self.write(psid, "Where are you?")
        for psid in (ALICE, BOB):
            await self.said(psid)
        await self.settled()
        await eventually(lambda: daemon.output.count('"echo.taken"') == 2)
        lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in daemon.output.splitlines():
            document = json.loads(line)
            if document.get("trace"):
                lines[document["trace"]].append(document)
        self.assertEqual(len(lines), 2, sorted(lines))
        for told in lines.values():
            self.assertEqual(sorted(it["event"] for it in told), sorted(WAY))
            people = {it["person"] for it in told if "person" in it}
            self.assertEqual(len(people), 1)
