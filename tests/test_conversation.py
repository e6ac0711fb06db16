"""
People write, and the daemon answers: real sockets, real processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from micamsgr.sandbox.journal import Acted, Applied, Asked, Posted, always
from micamsgr.sandbox.language_model import Fault
from micamsgr.sandbox.meta import Habits
from tests.daemon import VERIFY_TOKEN, DaemonCase, callback, eventually
from tests.stand_ins import LLM_KEY

ALICE, BOB = "6284913775102846", "6284913775102847"

SLOW = Fault(delay=1.5)


class AnswerTests(DaemonCase):
    """
    Tests for what a person gets who writes to the Page.
    """

    async def test_message(self) -> None:
        """
        A message is answered, by a message that names its part and attempt.
        """
        await self.serve()
        self.write(ALICE, "Open on Sunday?")
        self.assertEqual(await self.said(ALICE), ["You said: Open on Sunday?"])
        (said,) = self.stand_ins.journal.of(Applied)
        self.assertRegex(said.metadata or "", "^mica:1:[0-9A-Z]{26}:1$")
        await self.settled()

    async def test_two_messages(self) -> None:
        """
        Each message that comes after an answer is answered in its turn, and
        the language model is told what was said before.
        """
        await self.serve()
        self.write(ALICE, "My name is A.")
        await self.said(ALICE)
        self.write(ALICE, "What is my name?")
        await self.said(ALICE, 2)
        told = self.stand_ins.journal.of(Asked)[-1].messages
        self.assertEqual(
            told[1:],
            (
                ("user", "My name is A."),
                ("assistant", "You said: My name is A."),
                ("user", "What is my name?"),
            ),
        )
        await self.settled()

    async def test_presence(self) -> None:
        """
        While the language model thinks, the person sees that the message was
        read and that an answer is being written.
        """
        await self.serve()
        self.stand_ins.model.faults = always("completion", SLOW)
        self.write(ALICE, "Think hard, please")
        await self.said(ALICE)
        seen = [
            fact.action if isinstance(fact, Acted) else "answer"
            for fact in self.stand_ins.journal.facts
            if isinstance(fact, (Acted, Applied))
        ]
        self.assertEqual(seen, ["mark_seen", "typing_on", "answer"])

    async def test_postback(self) -> None:
        """
        A button that was tapped is answered.
        """
        await self.serve()
        self.stand_ins.meta.postback(self.page.id, ALICE, "GET_STARTED", "Get started")
        (answer,) = await self.said(ALICE)
        self.assertIn("Get started", answer)
        await self.settled()

    async def test_quick_reply(self) -> None:
        """
        A suggested reply that was tapped is answered.
        """
        await self.serve()
        reply = {"payload": "COLOR_GREEN"}
        self.write(ALICE, "The green one", quick_reply=reply)
        (answer,) = await self.said(ALICE)
        self.assertIn("The green one", answer)
        self.assertEqual(
            self.kept("SELECT kind FROM event WHERE text IS NOT NULL"),
            [{"kind": "quick_reply"}],
        )

    async def test_long_answer(self) -> None:
        """
        An answer of 4,500 characters comes in parts, in order, that together
        say all of it.
        """
        await self.serve()
        random = Random(1)
        words = ("".join(random.choices("abcdefgh", k=9)) for _ in range(450))
        answer = " ".join(words)
        self.stand_ins.model.reply = lambda messages: answer
        self.write(ALICE, "Tell me everything")
        parts = await self.said(ALICE, 3)
        await self.settled()
        self.assertEqual(" ".join(parts), answer)
        self.assertLessEqual(max(map(len, parts)), 2000)
        self.assertEqual(
            self.kept("SELECT number, text FROM part ORDER BY number"),
            [{"number": n, "text": text} for n, text in enumerate(parts, 1)],
        )

    async def test_endless_answer(self) -> None:
        """
        An answer that does not end comes in ten parts, the last of which says
        that there would be more.
        """
        await self.serve()
        answer = "\n\n".join(["It goes on and on. " * 60] * 100)
        self.stand_ins.model.reply = lambda messages: answer
        self.write(ALICE, "Tell me everything, and more")
        parts = await self.said(ALICE, 10)
        await self.settled()
        self.assertEqual(self.kept("SELECT count(*) AS n FROM part"), [{"n": 10}])
        self.assertLessEqual(max(map(len, parts)), 2000)
        self.assertTrue(parts[-1].endswith("It goes on and on. …"))

    async def test_markdown(self) -> None:
        """
        Markdown of the language model's reaches the person as plain text.
        """
        await self.serve()
        self.stand_ins.model.reply = lambda messages: (
            "## Hours\n\n- **Monday**: (3+2)*2 tables, see [here](https://a.example/b_c)"
            "\n- *Sunday*: closed"
        )
        self.write(ALICE, "When are you open?")
        self.assertEqual(
            await self.said(ALICE),
            [
                "Hours\n• Monday: (3+2)*2 tables, see here: https://a.example/b_c"
                "\n• Sunday: closed"
            ],
        )
        await self.settled()


class BatchTests(DaemonCase):
    """
    Tests for many messages at once.
    """

    async def test_ten_people(self) -> None:
        """
        Ten people who write at once are all thought about at once, though
        their messages come in one delivery.
        """
        await self.serve()
        self.stand_ins.model.faults = always("completion", SLOW)
        people = [f"77000000000000{n}" for n in range(10)]
        with self.stand_ins.meta.batch():
            for person in people:
                self.write(person, f"It is me, {person}")
        for person in people:
            self.assertEqual(await self.said(person), [f"You said: It is me, {person}"])
        kinds = [
            type(fact)
            for fact in self.stand_ins.journal.facts
            if isinstance(fact, (Asked, Applied))
        ]
        self.assertEqual(kinds, [Asked] * 10 + [Applied] * 10)
        await self.settled()

    async def test_ten_messages(self) -> None:
        """
        Ten messages of one person, delivered at once and in disorder, are one
        turn, which answers them in the order in which they were written.
        """
        await self.serve()
        now = int(self.stand_ins.meta.now() * 1000)
        self.page.people[ALICE] = self.stand_ins.meta.now()
        items = [
            {
                "sender": {"id": ALICE},
                "recipient": {"id": self.page.id},
                "timestamp": now - 1000 + n,
                "message": {"mid": f"m_{n}", "text": f"line {n}"},
            }
            for n in range(10)
        ]
        Random(2).shuffle(items)
        with self.stand_ins.meta.batch():
            for item in items:
                self.stand_ins.meta.event(self.page.id, item)
        self.stand_ins.model.reply = _last
        self.assertEqual(
            await self.said(ALICE), ["\n".join(f"line {n}" for n in range(10))]
        )
        await self.settled()
        self.assertEqual(len(self.stand_ins.journal.of(Asked)), 1)

    async def test_while_thinking(self) -> None:
        """
        What a person adds while their message is thought about is answered by
        a turn of its own, after the first answer.
        """
        await self.serve()
        self.stand_ins.model.faults = always("completion", SLOW)
        self.write(ALICE, "First thought")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        self.write(ALICE, "Second thought")
        self.assertEqual(
            await self.said(ALICE, 2),
            ["You said: First thought", "You said: Second thought"],
        )
        await self.settled()


def _last(messages: Sequence[Mapping[str, str]]) -> str:
    return messages[-1]["content"]


class BotsTests(DaemonCase):
    """
    Tests for several bots in one daemon.
    """

    def second(self, **page: Any) -> dict[str, Any]:
        """
        Open a second Page, and configure a bot for it.
        """
        self.other = self.stand_ins.open_page(
            callback(self.port, "tom"), "555463527190843", **page
        )
        return {
            "bot_name": "tom",
            "llm_config": {
                "headers": {"Authorization": LLM_KEY},
                "server": self.stand_ins.llm_url,
                "model": "toms-model",
            },
            "facebook": {
                "verify_token": VERIFY_TOKEN,
                "page_access_token": self.other.token,
                "secret": self.other.app.secret,
                "graph_url": self.stand_ins.graph_url,
            },
        }

    async def test_two(self) -> None:
        """
        Two bots with apps of their own answer on their own Pages, and neither
        takes what the other's app has signed.
        """
        await self.serve(bots=[self.second()])
        meta = self.stand_ins.meta
        self.write(ALICE, "To the first Page")
        meta.message(self.other.id, BOB, "To the second Page")
        await self.said(ALICE)
        await self.said(BOB)
        pages = {said.psid: said.page for said in self.stand_ins.journal.of(Applied)}
        self.assertEqual(pages, {ALICE: self.page.id, BOB: self.other.id})
        models = {a.messages[-1][1]: a.model for a in self.stand_ins.journal.of(Asked)}
        self.assertEqual(models["To the second Page"], "toms-model")
        nothing = {"object": "page", "entry": []}
        status = await self.stand_ins.client.notify(
            callback(self.port, "tom"), self.page.app.secret, nothing
        )
        self.assertEqual(status, 403)
        await self.settled()

    async def test_one_app(self) -> None:
        """
        Two Pages of one app, whose webhook is one bot's, are each answered by
        their own bot.
        """
        await self.serve(bots=[self.second(app=self.page.app)])
        await eventually(lambda: len(self.kept("SELECT page FROM page")) == 2)
        self.stand_ins.meta.message(self.other.id, BOB, "Hello there, Tom")
        await self.said(BOB)
        self.write(ALICE, "Hello there, Mica")
        await self.said(ALICE)
        pages = {said.psid: said.page for said in self.stand_ins.journal.of(Applied)}
        self.assertEqual(pages, {ALICE: self.page.id, BOB: self.other.id})
        self.assertEqual(
            self.kept("SELECT bot, psid FROM conversation ORDER BY bot"),
            [{"bot": "mica", "psid": ALICE}, {"bot": "tom", "psid": BOB}],
        )

    async def early(self, **changes: Any) -> int | None:
        """
        Start two bots of one app while the Graph API is down, write to the
        second one's Page, and check that it answers once the Graph API is up.

        :return: what the first delivery was answered.
        """
        self.stand_ins.meta.habits = Habits(retries=(0.2,))
        graph = self.stand_ins.site(self.stand_ins.graph)
        await graph.shut()
        await self.serve(bots=[self.second(app=self.page.app)], **changes)
        self.stand_ins.meta.message(self.other.id, BOB, "Hello there, Tom")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Posted)))
        status = self.stand_ins.journal.of(Posted)[0].status
        graph.open()
        await self.said(BOB)
        await self.settled()
        (said,) = self.stand_ins.journal.of(Applied)
        self.assertEqual(said.page, self.other.id)
        return status

    async def test_one_app_unknown(self) -> None:
        """
        While nobody knows yet which bot a Page is of, what people write stays
        with Meta; then the right one answers.
        """
        self.assertEqual(await self.early(), 503)

    async def test_one_app_half_known(self) -> None:
        """
        Where it can be of one bot only, it is taken at once.
        """
        known = {"page_id": self.page.id}
        self.assertEqual(await self.early(facebook=known), 200)


class PageTests(DaemonCase):
    """
    Tests for how the daemon learns which Page it speaks for.
    """

    async def test_asked(self) -> None:
        """
        The Page that is not configured is asked of the Graph API.
        """
        daemon = await self.serve()
        await eventually(lambda: f"speaks for Page {self.page.id}" in daemon.output)
        self.write(ALICE, "Which Page is this?")
        await self.said(ALICE)

    async def test_remembered(self) -> None:
        """
        A Page once learned is known at the next start, also where the Graph
        API is down: what another Page's people write is not answered.
        """
        first = await self.serve()
        await eventually(lambda: self.kept("SELECT page FROM page"))
        first.terminate()
        await first.exited
        graph = self.stand_ins.site(self.stand_ins.graph)
        await graph.shut()
        await self.serve()
        other = self.stand_ins.open_page("", "999463527190842", self.page.app)
        self.stand_ins.meta.message(other.id, BOB, "To a Page of somebody else")
        self.write(ALICE, "Are you up again?")
        await eventually(lambda: len(self.kept("SELECT id FROM event")) == 2)
        graph.open()
        await self.said(ALICE)
        await self.settled()
        self.assertEqual(self.stand_ins.said(BOB), [])
        self.assertEqual(
            self.kept("SELECT state, reason FROM event WHERE page = ?", other.id),
            [{"state": "ignored", "reason": "other page"}],
        )

    async def test_graph_down_at_start(self) -> None:
        """
        While the Graph API has not been reached yet, what people write is
        taken, and answered once it is up.
        """
        graph = self.stand_ins.site(self.stand_ins.graph)
        await graph.shut()
        daemon = await self.serve()
        self.write(ALICE, "Anybody at home?")
        await self.stand_ins.until(
            lambda: [p.status for p in self.stand_ins.journal.of(Posted)] == [200]
        )
        await eventually(lambda: "does not say which Page" in daemon.output)
        await eventually(lambda: "surely not sent" in daemon.output)
        graph.open()
        self.assertEqual(await self.said(ALICE), ["You said: Anybody at home?"])
        await eventually(lambda: f"speaks for Page {self.page.id}" in daemon.output)
        await self.settled()
