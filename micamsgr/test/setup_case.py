"""
A scripted operator, the stand-ins of Meta and of a daemon, and the steps, all
in memory.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred, succeed
from twisted.web.http_headers import Headers

from micamsgr.control.client import NotRunning
from micamsgr.errors import Declined, Unavailable
from micamsgr.httpcall import Answer, HTTPCaller
from micamsgr.sandbox.accounts import SCOPES, Grant, User
from micamsgr.setup.dashboard import OwnPage
from micamsgr.setup.failing import GivenUp
from micamsgr.setup.planning import File, taken_over
from micamsgr.setup.steps import Setup
from micamsgr.setup.talking import Talk
from micamsgr.testing import ScriptedTerminal

from .test_sandbox_graph_api import NOW, GraphAPITestCase

APP = "731904582216637"
OWNERS_TOKEN = "EAAshort"
PUBLIC = "https://bot.example.org"
WEBHOOK = f"{PUBLIC}/v1/facebook/webhook/mica"
GRAPH = "https://graph.test"
LLM = "https://llm.test/v1/chat/completions"

#: What is typed, in the order of the questions, where all goes well.
TYPED = (
    PUBLIC,
    "mica",
    "",  # no certificate
    APP,
    "app-secret",
    OWNERS_TOKEN,
    "https://llm.test",
    "",
    "",
    "llm-secret-key",
)

#: The answers, as a script gives them.
GIVEN = {
    "public_url": TYPED[0],
    "bot": "mica",
    "certificate": "",
    "app_id": APP,
    "app_secret": TYPED[4],
    "token": OWNERS_TOKEN,
    "llm_server": TYPED[6],
    "llm_model": "gpt-4o-mini",
    "llm_key": TYPED[-1],
}


class SetupCase(GraphAPITestCase):
    """
    An owner of a Page, with an app that was just made.

    :ivar daemon: whether it runs; ``None``: it reads the configuration as soon
        as that is there.
    """

    def setUp(self) -> None:
        super().setUp()
        # A secret has no spaces in it.
        self.app = self.page.app
        self.app.secret = TYPED[4]
        self.app.callback, self.app.fields = "", set()
        self.page.token = "EAApage-token"
        self.page.fields.clear()
        self.owner = User("10158300000000001", self.app)
        self.owner.tokens[OWNERS_TOKEN] = Grant(
            kind="USER",
            scopes=(*SCOPES, "pages_show_list"),
            issued_at=int(NOW),
            expires_at=int(NOW) + 3600,
        )
        self.owner.pages = [self.page]
        self.meta.users[self.owner.id] = self.owner
        self.graph.proof_required = True
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "mica.yaml"
        self.running = True
        self.llm_status = 200
        self.requested: list[str] = []
        # What the daemon has not read; why it does not; and whether it can be
        # told to.
        self.unread: list[str] = []
        self.later: list[str] = []
        self.refusal = ""
        self.reached: Declined | None = None
        self.other_file: Path | None = None
        # What somebody else does while the LLM is asked.
        self.meanwhile: Callable[[], object] = lambda: None

    def get(self, url: str) -> Deferred[tuple[int, bytes]]:
        """
        Verify the callback as Meta does.
        """
        answer = self.webhook("GET", url, Headers(), None)
        return succeed((answer.status, answer.body))

    def webhook(
        self, method: str, url: str, headers: Headers, body: bytes | None
    ) -> Answer:
        """
        Answer as the daemon does, with the configuration that there is.
        """
        if not self.path.is_file():
            return Answer(404, Headers(), b"")
        found = taken_over(File(self.path, self.path.read_text(), {}))
        query = parse_qs(urlsplit(url).query)
        if method == "GET":
            right = query["hub.verify_token"] == [found["verify_token"]]
            challenge = query["hub.challenge"][0].encode()
            return Answer(200 if right else 403, Headers(), challenge)
        key = found["app_secret"].encode()
        signed = "sha256=" + hmac.new(key, body or b"", hashlib.sha256).hexdigest()
        right = headers.getRawHeaders("x-hub-signature-256") == [signed]
        return Answer(200 if right else 403, Headers(), b"")

    async def reach(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Answer:
        """
        Make a call, to whoever stands there.
        """
        self.assertLess(deadline, 60)
        self.requested.append(f"{method} {urlsplit(url).path}")
        if url.startswith(GRAPH):
            request: Any = self.client.request  # type: ignore[attr-defined]
            caller = HTTPCaller(self.clock, request)
            return await caller.call(
                method, url, headers=headers, body=body, deadline=deadline
            )
        if url.startswith(LLM):
            self.meanwhile()
            right = headers.getRawHeaders("authorization") == [f"Bearer {TYPED[-1]}"]
            choice = {"message": {"role": "assistant", "content": "yes"}}
            document = {"choices": [{**choice, "finish_reason": "stop"}]}
            status = self.llm_status if right else 401
            return Answer(status, Headers(), json.dumps(document).encode())
        if url.startswith(WEBHOOK) and self.running:
            return self.webhook(method, url, headers, body)
        raise Unavailable("ConnectionRefusedError")

    async def tell_daemon(self, command: str) -> Mapping[str, Any]:
        """
        Do a command as the daemon does.
        """
        self.requested.append(command)
        if not self.running:
            raise NotRunning("the daemon isn't running")
        if self.reached is not None:
            raise self.reached
        if command == "reload":
            if self.refusal:
                raise Declined(f"the configuration in force stays:\n{self.refusal}")
            changes, self.unread = self.unread, []
            return {"changes": changes}
        self.assertEqual(command, "configuration")
        return {
            "file": str((self.other_file or self.path).resolve()),
            "in_force": not self.unread,
            "changes": self.unread,
            "at_next_start": self.later,
            "refused": "",
        }

    def begin_setup(
        self,
        terminal: ScriptedTerminal,
        *,
        apart: Path | None = None,
        agreed: bool = False,
        wait: float = 600.0,
        answers: Mapping[str, str] | None = None,
    ) -> Deferred[OwnPage]:
        """
        Begin all steps.

        :param answers: that are known already.
        """
        self.terminal = terminal
        text = self.path.read_text() if self.path.is_file() else ""
        file = File(self.path, text, {})
        fixed = {"graph_url": GRAPH}
        self.talk = Talk(terminal, {**taken_over(file), **fixed, **(answers or {})})
        setup = Setup(
            reactor=self.clock,
            call=self.reach,
            daemon=self.tell_daemon,
            wall=self.clock.seconds,
            talk=self.talk,
            file=file,
            apart=apart,
            agreed=agreed,
            wait=wait,
            start="Start it.",
            reload="Reload it.",
        )
        return Deferred.fromCoroutine(setup.run())

    def done(self, *lines: str, **more: Any) -> str:
        """
        Take all steps, with what is typed, until the Page is live.

        :return: what was shown.
        """
        terminal = ScriptedTerminal.typing(lines)
        page = self.successResultOf(self.begin_setup(terminal, **more))
        self.assertEqual(page.id, self.page.id)
        self.assertEqual([*terminal.lines], [], terminal.shown)
        self.assertUnseen()
        return terminal.shown

    def given_up(self, *lines: str, **more: Any) -> str:
        """
        Take steps until nobody types any more.

        :return: what was shown.
        """
        terminal = ScriptedTerminal.typing(lines)
        self.failureResultOf(self.begin_setup(terminal, **more), GivenUp)
        self.assertEqual([*terminal.lines], [], terminal.shown)
        self.assertUnseen()
        return terminal.shown

    def refused(self, **more: Any) -> str:
        """
        Take steps with nobody at the terminal, until one fails.

        :return: what was shown.
        """
        terminal = ScriptedTerminal.nobodys()
        self.failureResultOf(self.begin_setup(terminal, **more), GivenUp)
        self.assertUnseen()
        return terminal.shown

    def assertUnseen(self) -> None:
        """
        Look for what nobody may see.
        """
        tokens = {*self.owner.tokens, self.page.token, *self.page.further}
        for secret in (*tokens, TYPED[4], TYPED[-1]):
            self.assertNotIn(secret, self.terminal.shown)
