"""
Tests for the sandbox's page in a real browser, before a real daemon.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import TestCase

from tests import oracle
from tests.browser import ENTER, TAB
from tests.daemon import eventually
from tests.page import (
    ALICE,
    BOB,
    DESKTOP,
    DOTS,
    FITS,
    FOCUSED,
    PHONE,
    PICTURES,
    WITHIN,
    PageCase,
)

SAID = """
return [...document.querySelectorAll('.bubble.bot > p')]
    .some((it) => it.textContent.includes(arguments[0]))
"""


class ChatTests(PageCase):
    """
    Tests for chatting.
    """

    async def test_message(self) -> None:
        """
        What a person types is shown, seen and answered; the dots show that
        the answer is being written, and go when it is there.
        """
        await self.flip("llm_slow")
        await self.say(ALICE, "Hello there")
        await self.browser.until(DOTS, ALICE)
        seen = "return document.querySelector('.receipt').textContent === 'Seen'"
        await self.browser.until(seen)
        await self.flip("llm_slow", "false")
        # An apology may come first, and the dots again after it.
        await self.browser.until(SAID, "This is Mica Messenger")
        self.assertFalse(await self.browser.run(DOTS, ALICE))
        first, *others = await self.bubbles(ALICE)
        self.assertEqual(first, ("person", "Hello there"))
        self.assertEqual({by for by, _ in others}, {"bot"})
        await self.quiet()

    async def test_get_started(self) -> None:
        """
        A person begins with the button, and goes on with a chip.
        """
        await self.browser.click(f"{ALICE} .start")
        await self.answered(ALICE)
        chip = await self.browser.until(
            "return document.querySelector('.chat .chip')?.textContent"
        )
        before = len(await self.bubbles(ALICE))
        await self.browser.click(f"{ALICE} .chip")
        await self.answered(ALICE, before)
        self.assertIn(("person", chip), await self.bubbles(ALICE))
        kinds = oracle.rows(self.daemon.database, "SELECT kind FROM event ORDER BY id")
        said = [row["kind"] for row in kinds if row["kind"] != "echo"]
        self.assertEqual(said, ["postback", "quick_reply"])
        await self.quiet()

    async def test_two_people(self) -> None:
        """
        Two people chat at once, side by side, and each sees what is theirs; a
        third one may join.
        """
        await self.say(ALICE, "I am the first")
        await self.say(BOB, "I am the second")
        await self.answered(ALICE)
        await self.answered(BOB)
        self.assertIn(("person", "I am the first"), await self.bubbles(ALICE))
        self.assertNotIn(("person", "I am the first"), await self.bubbles(BOB))
        for chat in (ALICE, BOB):
            self.assertTrue(await self.browser.run(WITHIN, f"{chat} textarea"))
        await self.browser.click("#add")
        third = ".chat:nth-child(3)"
        await self.browser.until(
            "return document.activeElement.closest(arguments[0]) !== null", third
        )
        await self.browser.press("H", "i", ENTER)
        await self.answered(third)
        await self.quiet()

    async def test_long(self) -> None:
        """
        A long answer comes in several bubbles, in order.
        """
        await self.say(ALICE, "Show me a long answer")
        await self.answered(ALICE, 2, 30.0)
        rows = await self.settled()
        said = [text for by, text in await self.bubbles(ALICE) if by == "bot"]
        self.assertEqual(said, [row["text"] for row in rows])
        self.assertGreaterEqual(len(said), 2)
        await self.quiet()

    async def settled(self) -> list[oracle.Row]:
        """
        Wait until all parts are sent.

        :return: the parts in the store, in order.
        """
        database = self.daemon.database
        await eventually(lambda: not oracle.unfinished(database))
        rows = oracle.rows(
            database, "SELECT text FROM part WHERE state = 'sent' ORDER BY turn, number"
        )
        await self.answered(ALICE, len(rows))
        return rows

    async def test_markup(self) -> None:
        """
        What looks like HTML is shown as it was written.
        """
        text = "<img src=x onerror=alert(1)> & <b>bold</b>"
        await self.say(ALICE, text)
        await self.answered(ALICE)
        self.assertEqual((await self.bubbles(ALICE))[0], ("person", text))
        images = "return document.querySelectorAll('.bubbles img, .bubbles b').length"
        self.assertEqual(await self.browser.run(images), 0)
        await self.quiet()

    async def test_human(self) -> None:
        """
        Once a human has answered from the Page's inbox, the bot is quiet for
        as long as is configured.
        """
        await self.browser.type("#inbox-text", "I take over here" + ENTER)
        await self.told("A human answers")
        told = "return document.querySelector('#told').innerText"
        self.assertIn("for 30 seconds", await self.browser.run(told))
        await self.say(ALICE, "Thank you, human")
        await self.told("Kept on disk; a human is to answer")
        spoken = [by for by, _ in await self.bubbles(ALICE)]
        self.assertEqual(spoken, ["human", "person"])
        await self.quiet()

    async def test_reload(self) -> None:
        """
        Loaded anew, the page shows what was said and told.
        """
        await self.say(ALICE, "Remember me")
        await self.answered(ALICE)
        await self.told("Sent")
        before = await self.bubbles(ALICE)
        await self.show(*DESKTOP)
        self.assertEqual(await self.bubbles(ALICE), before)
        await self.told("Writes to the Page")
        await self.quiet()


class TroubleTests(PageCase):
    """
    Tests for the switches: what is told of trouble, and what the person sees.
    """

    async def once(self) -> None:
        """
        See that the person was answered once.
        """
        said = [text for by, text in await self.bubbles(ALICE) if by == "bot"]
        self.assertEqual(len(said), len(set(said)))
        await self.quiet()

    async def test_answer_lost(self) -> None:
        """
        A message that arrived, though the Graph API answered 500, is found by
        a look-up, and not said twice.
        """
        await self.flip("answer_lost")
        await self.say(ALICE, "Is anybody there?")
        await self.told("In doubt")
        await self.told("It is there: nothing is sent twice")
        await self.once()

    async def test_send_fails(self) -> None:
        """
        A message that did not arrive is proved absent, and sent again.
        """
        await self.flip("graph_fails")
        await self.say(ALICE, "Is anybody there?")
        await self.told("In doubt")
        self.assertEqual(len(await self.bubbles(ALICE)), 1)
        await self.told("It never arrived: that is proved")
        await self.answered(ALICE)
        await self.once()

    async def test_echo_late(self) -> None:
        """
        The echo of a message that was in doubt settles it.
        """
        await self.flip("echo_late")
        await self.say(ALICE, "Is anybody there?")
        await self.told("Its echo settles the doubt")
        await self.once()

    async def test_doubles(self) -> None:
        """
        What Meta delivers twice is answered once.
        """
        await self.flip("doubles")
        await self.say(ALICE, "Is anybody there?")
        await self.told("Known already")
        await self.answered(ALICE)
        await self.once()

    async def test_llm_fails(self) -> None:
        """
        While the LLM fails it is asked again; mended in time, it answers.
        """
        await self.flip("llm_fails")
        await self.say(ALICE, "Is anybody there?")
        await self.told("The LLM fails: again")
        await self.flip("llm_fails", "false")
        await self.answered(ALICE)
        await self.once()


class PhoneTests(PageCase):
    """
    Tests for the page on a phone, and without a mouse.
    """

    async def test_narrow(self) -> None:
        """
        At 360 pixels nothing is cut off or scrolls sideways; the composer is
        in sight, and the keyboard sends.
        """
        await self.show(*PHONE)
        await self.say(ALICE, "W" * 120)
        await self.answered(ALICE)
        self.assertTrue(await self.browser.run(FITS))
        self.assertTrue(await self.browser.run(WITHIN, f"{ALICE} textarea"))
        await self.browser.click(".tabs button:nth-child(2)")
        await self.say(BOB, "Hello there")
        await self.answered(BOB)
        self.assertTrue(await self.browser.run(FITS))
        await self.browser.click(".tabs .to-panel")
        await self.told("Writes to the Page")
        self.assertTrue(await self.browser.run(FITS))
        self.assertTrue(await self.browser.run(WITHIN, "#inbox-text"))
        await self.quiet()

    async def test_keyboard(self) -> None:
        """
        With the keyboard alone one changes to the dark, begins a chat, and
        flips a switch; each stop has a name.
        """
        for wanted in ("Add a person", "Dark mode"):
            await self.browser.press(TAB)
            self.assertEqual(await self.browser.run(FOCUSED), wanted)
        await self.browser.press(ENTER)
        theme = "return document.documentElement.dataset.theme"
        self.assertEqual(await self.browser.run(theme), "dark")
        await self.browser.press(TAB, TAB)
        await self.browser.press(ENTER)
        await self.answered(ALICE)
        unnamed = await self.browser.run("""
            return [...document.querySelectorAll('button, input, textarea, select')]
                .filter((it) => it.checkVisibility())
                .filter((it) => !it.ariaLabel && !it.innerText && !it.labels?.length)
                .map((it) => it.outerHTML)
        """)
        self.assertEqual(unnamed, [])
        await self.quiet()

    async def test_dark(self) -> None:
        """
        Where the system is dark, so is the page.
        """
        await self.show(*DESKTOP, "dark")
        ground = "return getComputedStyle(document.body).backgroundColor"
        self.assertEqual(await self.browser.run(ground), "rgb(11, 12, 16)")
        await self.quiet()


class PictureTests(PageCase):
    """
    Pictures of the page for the documents; made with ``MICA_SCREENSHOTS``.
    """

    if PICTURES is None:
        skip = "set MICA_SCREENSHOTS to a folder to have pictures made"

    async def test_pictures(self) -> None:
        """
        The page is shown with two chats and a doubt that ended.
        """
        await self.browser.click(f"{BOB} .start")
        await self.answered(BOB)
        await self.say(ALICE, "Hi! How is what I write kept?")
        await self.answered(ALICE)
        await self.told("Sent")
        await self.flip("answer_lost")
        await self.say(ALICE, "And when the network breaks?")
        await self.told("It is there: nothing is sent twice")
        await self.picture("light")
        for name, size, theme in (
            ("dark", DESKTOP, "dark"),
            ("phone", PHONE, "light"),
            ("phone-dark", PHONE, "dark"),
        ):
            await self.show(*size, theme)
            await self.picture(name)
        await self.browser.click(".tabs .to-panel")
        await self.told("It is there")
        await self.picture("phone-panel-dark")


class StartTests(TestCase):
    """
    Tests for starting the sandbox.
    """

    timeout = 60

    async def test_nobody(self) -> None:
        """
        A sandbox that no bot uses is refused in one line that says what to do.
        """
        case = PageCase()
        case.directory = self.directory = Path(self.mktemp())
        self.directory.mkdir()
        daemon = case.make_daemon(graph_url="https://graph.facebook.com")
        self.addCleanup(daemon.stop)
        daemon.start()
        self.assertEqual(await daemon.exited, 1)
        self.assertEqual(len(daemon.errors.splitlines()), 1, daemon.errors)
        self.assertIn("under facebook.graph_url", daemon.errors)
