"""
The sandbox's page in a real browser, before a real daemon.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from twisted.internet import reactor as _reactor
from twisted.trial.unittest import TestCase

from tests.browser import ENTER, Browser, programs
from tests.daemon import Daemon, eventually
from tests.ports import free_port

reactor: Any = _reactor

SAMPLE = Path(__file__).parents[1] / "etc" / "sandbox.yaml"

# Where pictures of the page are kept, if that is wished.
PICTURES = os.environ.get("MICA_SCREENSHOTS")
if PICTURES:
    PICTURES = str(Path(PICTURES).resolve())

DESKTOP, PHONE = (1280, 800), (360, 740)

ALICE, BOB = ".chat:nth-child(1)", ".chat:nth-child(2)"

# What there is to be seen, as functions' bodies.
BUBBLES = """
return [...document.querySelectorAll(arguments[0] + ' .bubble')]
    .map((it) => [it.dataset.by, it.querySelector('p').textContent])
"""
ANSWERED = """
const bubbles = document.querySelectorAll(arguments[0] + ' .bubble.bot');
return bubbles.length >= arguments[1]
"""
DOTS = "return !document.querySelector(arguments[0] + ' .typing').hidden"
TOLD = """
return [...document.querySelectorAll('.line b')]
    .some((it) => it.textContent.startsWith(arguments[0]))
"""
FITS = """
const width = document.documentElement.clientWidth;
const wide = [...document.querySelectorAll('button, textarea, input, .bubble')]
    .filter((it) => it.checkVisibility() && !it.closest('.chips'))
    .filter((it) => it.getBoundingClientRect().right > width + 0.5);
const root = document.scrollingElement;
return wide.length === 0 && root.scrollWidth <= width && width === innerWidth
"""
WITHIN = """
const box = document.querySelector(arguments[0]).getBoundingClientRect();
return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight + 0.5
"""
FOCUSED = "return document.activeElement.getAttribute('aria-label')"


class PageCase(TestCase):
    """
    The sandbox as ``make run`` starts it, but for its ports, and a browser
    that shows its page.
    """

    timeout = 120

    async def setUp(self) -> None:  # type: ignore[override]
        programs()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.daemon = self.make_daemon()
        self.addCleanup(self.daemon.stop)
        self.daemon.start()
        await self.daemon.ready()
        await eventually(lambda: "in a browser" in self.daemon.output)
        self.browser = Browser(reactor, self.directory / "profile")
        self.addCleanup(self.look_back)
        self.addCleanup(self.browser.stop)
        await self.browser.start()
        await self.show(*DESKTOP)

    def make_daemon(self, **changes: Any) -> Daemon:
        """
        Make a daemon by the sample file.
        """
        wanted = yaml.safe_load(SAMPLE.read_text("utf-8"))
        port, sandbox = free_port(), free_port()
        self.url = f"http://127.0.0.1:{sandbox}/"
        wanted["listen"] = f"tcp:{port}:interface=127.0.0.1"
        wanted["sandbox"]["listen"] = f"tcp:{sandbox}:interface=127.0.0.1"
        wanted["facebook"]["graph_url"] = self.url
        wanted["store"] = "sqlite:mica.db"
        wanted["facebook"] |= changes
        return Daemon(self.directory, port, wanted)

    async def look_back(self) -> None:
        """
        See that nothing went wrong that nobody saw.
        """
        self.assertNotIn("Traceback", self.daemon.output)

    async def show(self, width: int, height: int, theme: str = "light") -> None:
        """
        Open the page in a window of a size.
        """
        await self.browser.show(width, height, theme)
        await self.browser.open(self.url)
        connected = "return document.querySelector('#connection').dataset.state"
        await self.browser.until(f"{connected} === 'good'")
        await self.browser.until("return document.querySelectorAll('.chat').length > 1")

    async def say(self, chat: str, text: str) -> None:
        """
        Write as a person, and send it with the keyboard.
        """
        await self.browser.type(f"{chat} textarea", text + ENTER)

    async def answered(self, chat: str, count: int = 1, seconds: float = 20.0) -> None:
        """
        Wait until a person has so many bubbles of the bot.
        """
        await self.browser.until(ANSWERED, chat, count, seconds=seconds)

    async def bubbles(self, chat: str) -> list[tuple[str, str]]:
        """
        Read the chat: who said what.
        """
        return [(by, text) for by, text in await self.browser.run(BUBBLES, chat)]

    async def flip(self, trouble: str, on: str = "true") -> None:
        """
        Put a switch on, or off.
        """
        switch = f"[data-trouble={trouble}]"
        await self.browser.click(switch)
        await self.browser.until(
            "return document.querySelector(arguments[0]).ariaChecked === arguments[1]",
            switch,
            on,
        )

    async def told(self, title: str, seconds: float = 20.0) -> None:
        """
        Wait until the panel tells something.
        """
        await self.browser.until(TOLD, title, seconds=seconds)

    async def quiet(self) -> None:
        """
        See that the browser had nothing to complain about.
        """
        self.assertEqual(await self.browser.console(), [])

    async def picture(self, name: str) -> None:
        """
        Keep a picture of the page, if that is wished.
        """
        if PICTURES is not None:
            picture = await self.browser.screenshot()
            (Path(PICTURES) / f"sandbox-{name}.png").write_bytes(picture)
