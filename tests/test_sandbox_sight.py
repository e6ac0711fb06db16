"""
Tests for what is in sight on the sandbox's page: in windows of any size, while
a keyboard opens, and after the connection was lost.
"""

from __future__ import annotations

from tests.browser import ENTER
from tests.daemon import Daemon
from tests.page import ALICE, BOB, DESKTOP, DOTS, PHONE, WITHIN, PageCase

# The distance from a scrolled list's end, in pixels.
FROM_END = """
const list = document.querySelector(arguments[0]);
return list.scrollHeight - list.scrollTop - list.clientHeight
"""
AT_END = f"return (() => {{ {FROM_END} }})() < 5"
SCROLLS = """
const list = document.querySelector(arguments[0]);
return list.scrollHeight > list.clientHeight + 100
"""
LIT = """
return [...document.querySelectorAll('#stations [data-tone]')]
    .map((it) => it.dataset.station)
"""
ECHOES = """
return [...document.querySelectorAll('.line b')]
    .filter((it) => it.textContent === 'The echo of our own message')
    .length >= arguments[0]
"""
# Where an element's text ends that fills no whole line, from left to right.
LAST_LINE = """
const box = document.querySelector(arguments[0]);
const range = document.createRange();
range.selectNodeContents(box);
const [whole, line] = [box.getBoundingClientRect(), [...range.getClientRects()].at(-1)];
return (line.left + line.width / 2 - whole.left) / whole.width
"""
INSIDE = """
const box = document.querySelector(arguments[0])?.getBoundingClientRect();
return box?.width > 0 && box.left >= 0 && box.right <= innerWidth + 0.5
"""
STATE = "return document.querySelector('#connection').dataset.state === arguments[0]"

KEYBOARD = (360, 440)


class ScrollTests(PageCase):
    """
    Tests for chats that stay at their end.
    """

    async def full(self, chat: str = ALICE) -> None:
        """
        Have more said than there is room for.
        """
        await self.say(chat, "Show me a long answer")
        await self.answered(chat, 3, 30.0)
        await self.browser.until(SCROLLS, f"{chat} .bubbles")
        await self.browser.until(AT_END, f"{chat} .bubbles")

    async def test_keyboard_opens(self) -> None:
        """
        On a phone whose keyboard opens, whose side is turned up, or on which
        one writes more than a line, the last words stay in sight.
        """
        await self.show(*PHONE)
        await self.full()
        for size in (KEYBOARD, PHONE, (740, 360), PHONE):
            await self.browser.show(*size)
            await self.browser.until(AT_END, ".chat.current .bubbles")
        writing = f"{ALICE} textarea"
        await self.browser.run(
            "document.querySelector(arguments[0]).value = 'x '.repeat(300)", writing
        )
        tall = "return document.querySelector(arguments[0]).clientHeight > 100"
        await self.browser.until(tall, writing)
        await self.browser.until(AT_END, f"{ALICE} .bubbles")
        await self.quiet()

    async def test_reading(self) -> None:
        """
        Whoever reads further up is left there, also as the keyboard opens, is
        told that there is something new, and led to it.
        """
        await self.show(*PHONE)
        await self.full()
        await self.browser.run("document.querySelector('.bubbles').scrollTop = 40")
        down = f"{ALICE} .down"
        there = "return document.querySelector(arguments[0]).checkVisibility()"
        await self.browser.until(there, down)
        await self.browser.show(*KEYBOARD)
        person = "return document.querySelector('.chat').dataset.psid"
        said = {"psid": await self.browser.run(person), "text": "I am new here"}
        await self.browser.run(
            "fetch('/do/answer', {method: 'POST', body: JSON.stringify(arguments[0]),"
            " headers: {'Content-Type': 'application/json'}})",
            said,
        )
        news = "return document.querySelector(arguments[0]).classList.contains('news')"
        await self.browser.until(news, down)
        top = await self.browser.run(
            "return document.querySelector('.bubbles').scrollTop"
        )
        self.assertEqual(top, 40)
        await self.browser.click(down)
        await self.browser.until(AT_END, f"{ALICE} .bubbles")
        self.assertFalse(await self.browser.run(there, down))
        await self.quiet()

    async def test_loaded(self) -> None:
        """
        Loaded anew, or as somebody joins, each chat is at its end.
        """
        await self.full()
        await self.full(BOB)
        await self.browser.click("#add")
        for _ in range(2):
            await self.browser.until(
                "return document.querySelectorAll('.chat').length > 2"
            )
            for chat in (ALICE, BOB):
                await self.browser.until(AT_END, f"{chat} .bubbles")
            await self.show(*DESKTOP)
        await self.quiet()


class WindowTests(PageCase):
    """
    Tests for windows of any size.
    """

    async def test_low(self) -> None:
        """
        In a low window, such as a large one at 200 %, all of the panel can be
        reached.
        """
        await self.say(ALICE, "Hello there")
        await self.answered(ALICE)
        for size in ((960, 432), (800, 360), (1280, 560)):
            await self.show(*size)
            await self.told("Writes to the Page")
            room = "return document.querySelector('#lines').clientHeight"
            self.assertGreater(await self.browser.run(room), 100, size)
            for place in ("#inbox-text", "#clear", "[data-trouble=doubles]"):
                await self.browser.run(
                    "document.querySelector(arguments[0]).scrollIntoView()", place
                )
                self.assertTrue(await self.browser.run(WITHIN, place), (size, place))
            whole = (
                "return document.scrollingElement.scrollTop + document.body.scrollTop"
            )
            self.assertEqual(await self.browser.run(whole), 0)
            self.assertTrue(await self.browser.run(WITHIN, f"{ALICE} textarea"))
        await self.quiet()

    async def test_crowd(self) -> None:
        """
        However many people there are, on a phone one gets to the panel and to
        each of them, and sees there that trouble is switched on.
        """
        await self.flip("doubles")
        await self.show(*PHONE)
        tab = ".tabs .to-panel"
        for number in (3, 4, 5, 6):
            await self.browser.click("#add")
            there = "return document.querySelectorAll('.chat').length === arguments[0]"
            await self.browser.until(there, number)
            joined = f".tabs button:nth-child({number})[aria-current=true]"
            await self.browser.until(INSIDE, joined)
            self.assertTrue(await self.browser.run(INSIDE, tab))
        troubled = "return document.querySelector(arguments[0]).ariaLabel"
        self.assertIn("trouble", await self.browser.run(troubled, tab))
        for number in (6, 1):
            person = f".tabs button:nth-child({number})"
            await self.browser.click(person)
            self.assertTrue(await self.browser.run(INSIDE, person))
            self.assertTrue(await self.browser.run(INSIDE, tab))
        await self.browser.click(tab)
        self.assertTrue(await self.browser.run(WITHIN, "#clear"))
        await self.quiet()

    async def test_right_to_left(self) -> None:
        """
        Arabic runs from the right, in a bubble, in the panel and while one
        writes it; English does not.
        """
        said = "مرحبا، كيف يمكنني استخدام هذا البرنامج مع صفحتي على فيسبوك؟ شكرا"
        await self.show(*PHONE)
        await self.browser.type(f"{ALICE} textarea", said)
        shown = (
            "return getComputedStyle(document.querySelector(arguments[0])).direction"
        )
        self.assertEqual(await self.browser.run(shown, f"{ALICE} textarea"), "rtl")
        await self.browser.press(ENTER)
        await self.answered(ALICE)
        for place, right in (
            (f"{ALICE} .bubble.person > p", True),
            (f"{ALICE} .bubble.bot > p", False),
        ):
            at = await self.browser.run(LAST_LINE, place)
            self.assertEqual(at > 0.5, right, (place, at))
        await self.browser.click(".tabs .to-panel")
        await self.told("Writes to the Page")
        at = await self.browser.run(LAST_LINE, ".line.begins small")
        self.assertGreater(at, 0.5)
        await self.quiet()


class PanelTests(PageCase):
    """
    Tests for what the panel shows.
    """

    async def test_begins(self) -> None:
        """
        Each message begins anew: it is set apart, and only the stations that
        it reaches are lit; cleared, none is.
        """
        hint = "return document.querySelector('#nothing').checkVisibility()"
        self.assertTrue(await self.browser.run(hint))
        for number in (1, 2):
            await self.say(ALICE, "Hello there")
            await self.answered(ALICE, number)
            await self.browser.until(ECHOES, number)
            self.assertFalse(await self.browser.run(hint))
            begins = "return document.querySelectorAll('.line.begins').length"
            self.assertEqual(await self.browser.run(begins), number)
        await self.flip("llm_slow")
        await self.say(BOB, "Hello there")
        await self.browser.until(DOTS, BOB)
        self.assertNotIn("evidence", await self.browser.run(LIT))
        await self.browser.click("#clear")
        self.assertEqual(await self.browser.run(LIT), [])
        self.assertTrue(await self.browser.run(hint))
        await self.quiet()

    async def test_spoken(self) -> None:
        """
        What becomes of one's own message is not read aloud as a text of the
        chat, but can be found there.
        """
        await self.say(ALICE, "Hello there")
        await self.answered(ALICE)
        mark = f"{ALICE} .bubble.person .mark"
        seen = "return document.querySelector(arguments[0]).ariaLabel === 'Seen'"
        await self.browser.until(seen, mark)
        text = "return document.querySelector(arguments[0]).textContent"
        self.assertEqual(await self.browser.run(text, mark), "")
        lists = "return document.querySelectorAll('ol[role=log]').length"
        self.assertEqual(await self.browser.run(lists), 0)
        await self.quiet()


class RestartTests(PageCase):
    """
    Tests for a daemon that is gone for a while.
    """

    async def test_draft(self) -> None:
        """
        What one was writing outlives the daemon; that it could not be sent is
        told to the eye, and once the daemon is back it can.
        """
        await self.say(ALICE, "Hello there")
        await self.answered(ALICE)
        before = await self.bubbles(ALICE)
        await self.browser.type(f"{BOB} textarea", "I was about to s")
        await self.daemon.stop()
        await self.browser.until(STATE, "bad")
        await self.say(ALICE, "Is anybody there?")
        toast = """
            const toast = document.querySelector('#announcer');
            return toast.textContent && toast.clientHeight > 20
        """
        await self.browser.until(toast)
        gone = self.daemon
        self.daemon = Daemon(gone.directory, gone.port, gone.configuration)
        self.addCleanup(self.daemon.stop)
        self.daemon.start()
        await self.browser.until(STATE, "good")
        await self.browser.until("return document.querySelector('.line') !== null")
        value = "return document.querySelector(arguments[0]).value"
        self.assertEqual(
            [
                await self.browser.run(value, f"{chat} textarea")
                for chat in (ALICE, BOB)
            ],
            ["Is anybody there?", "I was about to s"],
        )
        self.assertEqual(await self.bubbles(ALICE), before)
        await self.browser.type(f"{ALICE} textarea", ENTER)
        await self.answered(ALICE, 2)
