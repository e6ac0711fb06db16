"""
``micamessenger setup``: from nothing to a Page on which people are answered.
"""

from __future__ import annotations

import stat
import time
from pathlib import Path

import yaml

from micamsgr.sandbox.accounts import SCOPES, Grant, User
from micamsgr.sandbox.journal import (
    HANGING,
    INTERNAL,
    Fault,
    GraphError,
    Spoiled,
    always,
    in_turn,
    nothing,
)
from tests.commands import ALICE
from tests.daemon import Daemon, DaemonCase
from tests.stand_ins import LLM_KEY
from tests.typist import Typist

_TOKEN = "EAAshort-lived-token-of-the-owner"
_KEY = LLM_KEY.removeprefix("Bearer ")


class SetupCase(DaemonCase):
    """
    An app without a webhook, a Page to which it isn't subscribed, and the
    Page's owner, with a token that is short-lived; and nothing else.
    """

    timeout = 180

    def setUp(self) -> None:
        super().setUp()
        self.page.app.callback, self.page.app.fields = "", set()
        self.page.fields.clear()
        now = int(time.time())
        grant = Grant(
            kind="USER",
            scopes=(*SCOPES, "pages_show_list"),
            issued_at=now,
            expires_at=now + 3600,
        )
        self.owner = User("10158300000000001", self.page.app)
        self.owner.tokens[_TOKEN] = grant
        self.owner.pages = [self.page]
        self.stand_ins.meta.users[self.owner.id] = self.owner
        self.file = self.directory.resolve() / "mica.yaml"
        self.public = f"http://127.0.0.1:{self.port}"
        self.typists: list[Typist] = []
        self.addCleanup(self._leave)

    async def _leave(self) -> None:
        for typist in self.typists:
            await typist.stop()
            self.assertNotIn("Traceback", typist.output)
            self.assertUnseen(typist.output)

    def assertUnseen(self, shown: str) -> None:
        """
        Look for what nobody may read over a shoulder.
        """
        tokens = {*self.owner.tokens, self.page.token, *self.page.further}
        for secret in tokens | {self.page.app.secret, _KEY}:
            self.assertNotIn(secret, shown)
        if self.file.is_file():
            document = yaml.safe_load(self.file.read_text())
            self.assertNotIn(document["facebook"]["verify_token"], shown)

    def typist(self, *words: str, terminal: bool = True, **environment: str) -> Typist:
        """
        Begin ``micamessenger setup``.
        """
        fixed = [
            *("--config", str(self.file)),
            *("--listen", f"tcp:{self.port}:interface=127.0.0.1"),
            *("--graph-url", self.stand_ins.graph_url),
        ]
        typist = Typist(
            ["setup", *fixed, *words], self.directory, environment, terminal
        )
        self.typists.append(typist)
        typist.start()
        return typist

    async def start_daemon(self) -> Daemon:
        """
        Start the daemon, as setup says.
        """
        daemon = Daemon(self.directory, self.port, {})
        self.daemons.append(daemon)
        daemon.start()
        await daemon.ready()
        return daemon


class TerminalTests(SetupCase):
    """
    Tests for a person who types.
    """

    async def test_live(self) -> None:
        """
        From nothing, in one go: whoever answers eight questions and starts the
        daemon has a Page on which people are answered.
        """
        typist = self.typist()
        await typist.answers("Public URL: ", self.public)
        await typist.answers("Name of the bot [mica]: ", "")
        await typist.answers("App ID: ", self.page.app.id)
        await typist.answers("App secret (not shown): ", self.page.app.secret)
        await typist.answers("Access token (not shown): ", _TOKEN)
        await typist.sees("exchanged for a long-lived one")
        await typist.answers("URL of the LLM's server ", self.stand_ins.llm_url)
        await typist.answers("Model [gpt-4o-mini]: ", "")
        await typist.answers("Header that carries the key [Authorization]: ", "")
        await typist.answers("Key of the LLM (not shown): ", _KEY)
        await typist.sees("Written, mode 0600")
        await typist.sees("Start it now")
        await self.start_daemon()
        await typist.sees("Set up.")
        await typist.sees("write to the Page now")
        self.write(ALICE, "Hello there")
        self.assertEqual(await typist.exited, 0, typist.output)
        self.assertEqual(len(await self.said(ALICE)), 1)
        self.assertNotIn("failed ", typist.output)
        self.assertIn(f"m.me/{self.page.id}", typist.output)

        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        written = yaml.safe_load(self.file.read_text())
        self.assertEqual(written["facebook"]["page_access_token"], self.page.token)
        self.assertEqual(self.page.grant.expires_at, 0)
        self.assertIn("messages", self.page.fields)
        await self.settled()

        again = self.typist()
        await again.sees("It says all of it already, and stays as it is")
        await again.sees("webhook leads to")
        await again.sees(" already")
        await again.sees("write to the Page now")
        again.type("\x03")
        self.assertEqual(await again.exited, 0, again.output)

    async def test_repeated(self) -> None:
        """
        Each step fails once, says why and what to do, by hand where Meta
        refused, is repeated, and goes on to a live Page.
        """
        graph = self.stand_ins.graph
        self.file = self.directory.resolve() / "there" / "mica.yaml"
        typist = self.typist("--wait", "1")
        await typist.answers("Public URL: ", "ftp://nowhere")
        await typist.sees("That won't do")
        await typist.answers("Public URL: ", self.public)
        await typist.answers("Name of the bot ", "")
        # The app.
        await typist.answers("App ID: ", self.page.app.id)
        await typist.answers("App secret ", "another-secret")
        await typist.sees("Failed: Meta says: ")
        await typist.sees("By hand: ")
        await typist.answers("Press Enter", "")
        await typist.answers("App ID ", "")
        await typist.answers("App secret ", self.page.app.secret)
        # The token, its exchange, the list of Pages.
        await typist.answers("Access token ", "EAAnobodys")
        await typist.sees("Failed: the token is not valid")
        graph.faults = in_turn("access_token", INTERNAL)
        await typist.answers("Press Enter", "")
        await typist.answers("Access token ", _TOKEN)
        await typist.sees("Failed: ")
        await typist.sees("“Generate Token”")
        graph.faults = in_turn("accounts", INTERNAL)
        await typist.answers("Press Enter", "")
        await typist.sees("Failed: ")
        graph.faults = nothing
        other = self.stand_ins.open_page("", "208463527190842", self.page.app)
        other.name = "Another Page"
        self.owner.pages.insert(0, other)
        await typist.answers("Press Enter", "")
        await typist.sees("1. Another Page (208463527190842)")
        await typist.answers("Which Page: ", "99")
        await typist.sees("Failed: Page 99 is not among those")
        await typist.answers("Press Enter", "")
        await typist.answers("Which Page: ", "2")
        # The LLM.
        await typist.answers("URL of the LLM's server ", self.stand_ins.llm_url)
        await typist.answers("Model ", "")
        await typist.answers("Header that carries the key ", "")
        await typist.answers("Key of the LLM ", "not-the-key")
        await typist.sees("Failed: gpt-4o-mini at ")
        obstacle = self.file.parent
        obstacle.write_text("in the way")
        await typist.answers("Press Enter", "")
        await typist.answers("URL of the LLM's server ", "")
        await typist.answers("Model ", "")
        await typist.answers("Key of the LLM ", _KEY)
        # The file.
        await typist.sees("can't be written")
        obstacle.unlink()
        await typist.answers("Press Enter", "")
        # The daemon.
        await typist.sees("Failed: the daemon did not answer")
        self.directory = self.file.parent
        await self.start_daemon()
        refused = GraphError("(#2200) Callback verification failed", 2200)
        graph.faults = in_turn(
            "subscriptions", None, Fault(applied=False, error=refused)
        )
        await typist.answers("Press Enter", "")
        # Meta.
        await typist.sees("Failed: Meta says: (#2200) Callback verification failed")
        await typist.sees(f"callback URL {self.public}/v1/facebook/webhook/mica")
        missing = GraphError("(#200) Requires pages_manage_metadata", 200, status=403)
        graph.faults = in_turn("subscribed_apps", Fault(applied=False, error=missing))
        await typist.answers("Press Enter", "")
        await typist.sees("Failed: Meta says: (#200)")
        await typist.sees("By hand: ")
        await typist.answers("Press Enter", "")
        await typist.sees("Set up.")
        graph.faults = nothing
        await typist.sees("write to the Page now")
        self.write(ALICE, "Hello there")
        self.assertEqual(await typist.exited, 0, typist.output)
        self.assertEqual(len(await self.said(ALICE)), 1)
        await self.settled()

    async def test_interrupted(self) -> None:
        """
        Ctrl-C, also while a secret is typed, ends it with a word and status 1,
        and leaves nothing behind; so does Ctrl-D.
        """
        # No daemon is started, and there is no store.
        self.judged = False
        for key, word in (("\x03", "Interrupted"), ("\x04", "Not done")):
            typist = self.typist()
            await typist.answers("Public URL: ", self.public)
            await typist.answers("Name of the bot ", "")
            await typist.answers("App ID: ", self.page.app.id)
            await typist.sees("App secret (not shown): ")
            typist.type(key)
            await typist.sees(f"{word}. What was done stays")
            self.assertEqual(await typist.exited, 1)
            self.assertEqual(list(self.directory.iterdir()), [])

    async def test_interrupted_call(self) -> None:
        """
        Ctrl-C while Meta is silent ends it as well.
        """
        # No daemon is started, and there is no store.
        self.judged = False
        self.stand_ins.graph.faults = always("page", HANGING)
        typist = self.typist("--app-id", self.page.app.id)
        await typist.answers("Public URL: ", self.public)
        await typist.answers("Name of the bot ", "")
        await typist.answers("App secret ", self.page.app.secret)
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Spoiled)))
        typist.type("\x03")
        await typist.sees("Interrupted.")
        self.assertEqual(await typist.exited, 1)


class ScriptTests(SetupCase):
    """
    Tests for a program that gives everything.
    """

    def secrets_given(self) -> dict[str, str]:
        """
        Give the secrets as a program does.
        """
        return {
            "MICA_APP_SECRET": self.page.app.secret,
            "MICA_TOKEN": _TOKEN,
            "MICA_LLM_KEY": _KEY,
        }

    def words(self) -> list[str]:
        """
        Give the rest.
        """
        return [
            *("--public-url", self.public, "--bot", "mica"),
            *("--app-id", self.page.app.id),
            *("--llm-server", self.stand_ins.llm_url),
        ]

    async def test_live(self) -> None:
        """
        Without a terminal it asks nothing, waits for the daemon, and the Page
        is live; secrets are in files of their own, and on no command line.
        """
        apart = self.directory.resolve() / "secrets"
        words = [*self.words(), "--secrets", str(apart)]
        typist = self.typist(*words, terminal=False, **self.secrets_given())
        await typist.sees("Start it now")
        # Others' processes may be about the same stand-ins.
        lines = map(_content, Path("/proc").glob("[0-9]*/cmdline"))
        shown = b"".join(it for it in lines if bytes(self.file) in it)
        self.assertIn(b"--public-url", shown)
        for secret in (self.page.app.secret, _TOKEN, _KEY, self.page.token):
            self.assertNotIn(secret.encode(), shown)
            self.assertNotIn(secret, self.file.read_text())
        await self.start_daemon()
        self.assertEqual(await typist.exited, 0, typist.output)
        self.assertEqual(stat.S_IMODE(apart.stat().st_mode), 0o700)
        for file in apart.iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.write(ALICE, "Hello there")
        self.assertEqual(len(await self.said(ALICE)), 1)
        await self.settled()

    async def test_another_token(self) -> None:
        """
        Where the daemon runs with a token that has ended, setup has it read the
        new one, and people are answered.
        """
        given = self.secrets_given()
        first = self.typist(*self.words(), terminal=False, **given)
        await first.sees("Start it now")
        await self.start_daemon()
        self.assertEqual(await first.exited, 0, first.output)
        self.page.token = given["MICA_TOKEN"] = "EAAnext0token0of0this0page"
        again = self.typist(*self.words(), "--yes", terminal=False, **given)
        self.assertEqual(await again.exited, 0, again.output)
        self.assertIn("has now read the configuration (bots changed", again.output)
        self.assertIn("the daemon that runs has read it", again.output)
        self.write(ALICE, "Hello there")
        self.assertEqual(len(await self.said(ALICE)), 1)
        await self.settled()

    async def test_failing(self) -> None:
        """
        What is missing or refused is a line that says how it is given, with
        status 1; a wrong command line has status 2. Nothing is written.
        """
        # No daemon is started, and there is no store.
        self.judged = False
        given = self.secrets_given()
        for leave, word in (
            ("MICA_APP_SECRET", "--app-secret-file"),
            ("", "Meta says"),
        ):
            environment = {**given, "MICA_APP_SECRET": "another"}
            environment.pop(leave, None)
            typist = self.typist(*self.words(), terminal=False, **environment)
            self.assertEqual(await typist.exited, 1)
            self.assertIn(word, typist.output)
        for wrong in (["--public-url", "x y"], ["--token", _KEY], ["--wait", "-1"]):
            typist = self.typist(*wrong, terminal=False)
            self.assertEqual(await typist.exited, 2)
            self.typists.remove(typist)
        self.assertEqual(list(self.directory.iterdir()), [])


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
