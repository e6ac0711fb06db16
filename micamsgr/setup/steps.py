"""
The steps from nothing to a Page on which people are answered.

Each says what it does, and can be repeated: what is so already it leaves.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.task import deferLater

from micamsgr.check.knocking import Knocker
from micamsgr.check.llm import ask as ask_llm
from micamsgr.check.subscribed import same_url, shown_url, webhook_url
from micamsgr.config import Config, parse_config
from micamsgr.config.document import ConfigError
from micamsgr.httpcall import Call
from micamsgr.messenger.calling import GraphCalls

from . import questions
from .arriving import PAUSE, knock, why_not
from .dashboard import Dashboard, OwnPage, is_set, is_short, targets, union
from .editing import Unwritable
from .failing import Failed
from .planning import File, Plan, plan
from .questions import DEMO
from .reading import Tell, have_it_read
from .talking import Talk
from .writing import mode, read, write, write_secret

_GRAPH_URL, _VERSION = "https://graph.facebook.com", "v25.0"

# Seconds for one call: Meta calls us back before it answers some.
_CALL = 20.0
_LLM = 40.0

#: Of the service that `make install` makes.
SERVICES_FILE = "/etc/mica.yaml"

# systemd's own, and those of `make install`.
_UNITS = ("/etc/systemd/system", "/usr/local/lib/systemd/system")
_SOCKET = "systemd:domain=INET:name=https"
_LISTEN = "tcp:8080:interface=127.0.0.1"
_STEPS = 7


@define(eq=False, kw_only=True)
class Setup:
    """
    Take the steps.

    :ivar reactor: for every wait.
    :ivar call: makes one HTTP call.
    :ivar daemon: has the daemon that runs do a command.
    :ivar wall: the wall clock, in seconds since the epoch.
    :ivar file: the configuration, as it is at first.
    :ivar apart: the directory for secrets in files of their own, if they are
        to be.
    :ivar agreed: whether it was said before that what is there may be changed.
    :ivar wait: seconds for which the daemon is waited for.
    :ivar start: how the daemon is started, lines for an operator.
    :ivar reload: how it is told to read its configuration, a command.
    """

    reactor: Any
    call: Call
    daemon: Tell
    wall: Callable[[], float]
    talk: Talk
    file: File
    apart: Path | None
    agreed: bool
    wait: float
    start: str
    reload: str

    _step: int = field(default=0, init=False)
    # Whether a configuration was changed that a daemon may have read already.
    _changed: bool = field(default=False, init=False)
    # Whether no daemon answered that goes by it: then one began to since.
    _missed: bool = field(default=False, init=False)

    async def run(self) -> OwnPage:
        """
        Take all steps.

        :raises GivenUp: one was not done, and is not to be repeated.
        """
        talk = self.talk
        self._say("Where Meta reaches this server")
        await talk.until_done(self._where, None)
        self._say("The app: whether its ID and its secret belong together")
        await talk.until_done(self._app, None)
        self._say("The Page, and a token for it that lasts")
        page = await talk.until_done(self._page, None)
        assert page is not None
        self._say("The LLM: whether it answers")
        await talk.until_done(self._llm, None)
        self._say(f"The configuration, {self.file.path}")
        await talk.until_done(self._write, None)
        self._say("The daemon: whether it answers where Meta will call it")
        await talk.until_done(self._arrive, None)
        self._say("Meta: what it is to deliver, and to where")
        await talk.until_done(lambda: self._deliver(page), None)
        return page

    def _say(self, what: str) -> None:
        self._step += 1
        self.talk.say(f"\n[{self._step}/{_STEPS}] {what}")

    @property
    def _answers(self) -> dict[str, str]:
        return self.talk.answers

    def _dashboard(self) -> Dashboard:
        calls = GraphCalls(
            self.call,
            f"{self._answers.get('graph_url', _GRAPH_URL)}"
            f"/{self._answers.get('api_version', _VERSION)}",
            self.wall,
            self.reactor.seconds,
            _CALL,
        )
        return Dashboard(
            calls, self._answers["app_id"], self._answers["app_secret"], self.wall
        )

    # 1

    async def _where(self) -> None:
        talk = self.talk
        public = await talk.answer(questions.PUBLIC_URL)
        if questions.needs_https(public, self._answers.get("graph_url", _GRAPH_URL)):
            raise Failed(
                why=f"{shown_url(public)} is without TLS, and Meta calls no such URL",
                todo="give one that begins with https://",
                doubtful=("public_url",),
            )
        bot = await talk.answer(questions.BOT)
        secure = public.lower().startswith("https:")
        if secure and await talk.answer(questions.CERTIFICATE):
            await talk.answer(questions.PRIVATE_KEY)
            self._look_for_certificate()
        elif secure:
            # It is not to be asked again.
            self._answers.setdefault("listen", _LISTEN)
        talk.say(f"  Meta will call {shown_url(webhook_url(public, bot))}")

    def _look_for_certificate(self) -> None:
        for name in ("certificate", "private_key"):
            path = Path(self._answers[name])
            if not path.is_file():
                raise Failed(
                    why=f"there is no file {path}, or it can't be seen",
                    todo="give the file's path; docs/operating.md says how to get a"
                    " certificate",
                    doubtful=("certificate", "private_key"),
                )
        self._answers.setdefault("tls_listen", _tls_listen(self.file.path))

    # 2

    async def _app(self) -> None:
        await self.talk.answer(questions.APP_ID)
        await self.talk.answer(questions.APP_SECRET_)
        name = await self._dashboard().app_name()
        self.talk.say(f"  They do: {name or 'an app without a name'}")

    # 3

    async def _page(self) -> OwnPage:
        talk, dashboard = self.talk, self._dashboard()
        token = await talk.answer(questions.TOKEN_)
        facts = await dashboard.inspect(token)
        if facts.get("type") == "PAGE":
            talk.say("  It is a Page's own token")
            page = await dashboard.page_of(token)
        else:
            page = await self._page_of_person(dashboard, token, facts)
        wanted = self._answers.get("page")
        if wanted is not None and wanted != page.id:
            raise Failed(
                why=f"the token is of Page {page.id}, not of {wanted}",
                todo="give a token of that Page, or the other Page with --page",
                doubtful=("token",),
            )
        for line in await dashboard.check(page):
            talk.say(f"  Note: {line}")
        # Only now is it the answer: what was typed can be tried again.
        self._answers["page"], self._answers["token"] = page.id, page.token
        talk.say(f"  The token for {page.name} ({page.id}) is good")
        return page

    async def _page_of_person(
        self, dashboard: Dashboard, token: str, facts: dict[str, Any]
    ) -> OwnPage:
        talk = self.talk
        talk.say("  It is a person's token, by which the Page's is had")
        if is_short(facts, self.wall()):
            token = await dashboard.lengthen(token)
            talk.keep_secret(token)
            talk.say("  It was short-lived, and is exchanged for a long-lived one")
        pages = await dashboard.pages(token, targets(facts))
        for page in pages:
            talk.keep_secret(page.token)
        return await self._chosen(pages)

    async def _chosen(self, pages: list[OwnPage]) -> OwnPage:
        by_id = {page.id: page for page in pages}
        wanted = self._answers.get("page")
        if wanted is None and len(by_id) == 1:
            return pages[0]
        lines = [f"  {n}. {page.name} ({page.id})" for n, page in enumerate(pages, 1)]
        if wanted is None:
            self.talk.say("\n".join(lines))
            typed = await self.talk.answer(questions.PAGE)
            place = int(typed) - 1
            # A list is shorter than any Page's ID.
            wanted = pages[place].id if 0 <= place < len(pages) else typed
            del self._answers["page"]
        if wanted not in by_id:
            self._answers.pop("page", None)
            raise Failed(
                why=f"Page {wanted} is not among those of this token:\n"
                + "\n".join(lines),
                todo="choose one of them, or give a token of somebody who manages"
                " the Page",
            )
        return by_id[wanted]

    # 4

    async def _llm(self) -> None:
        talk = self.talk
        of_llm = ("llm_server", "llm_model", "llm_key")
        server = await talk.answer(questions.LLM_SERVER)
        if server == DEMO:
            talk.say("  The demo answers, which needs no LLM")
        else:
            await talk.answer(questions.LLM_MODEL)
            if "llm_key" not in self._answers:
                await talk.answer(questions.LLM_HEADER)
            await talk.answer(questions.LLM_KEY_)
        self._answers.setdefault("verify_token", secrets.token_urlsafe(32))
        talk.keep_secret(self._answers["verify_token"])
        # With the secrets in it, so that nothing has to be written yet.
        planned = self._plan(None, inline=True)
        model = self._read(planned, of_llm).bots[0].llm
        for value in model.headers.values():
            for part in value.value.split():
                talk.keep_secret(part)
        if model.provider == DEMO:
            return
        asked = await ask_llm(self.call, model, self.reactor.seconds, _LLM)
        if asked.failure:
            raise Failed(
                why=f"{model.model} at {shown_url(model.url)}: {asked.failure}",
                todo="see whether server, model and key are right, and the account"
                " has credit",
                doubtful=of_llm,
                skippable="people are not answered until it works",
            )
        talk.say(f"  {model.model} answered in {asked.seconds:.1f} s")

    # 5

    def _plan(self, apart: Path | None, *, inline: bool = False) -> Plan:
        try:
            return plan(self.file, self._answers, apart, inline=inline)
        except Unwritable as why:
            raise Failed(
                why=f"{self.file.path} is laid out so that it can't be changed: {why}",
                todo="move it away, and run setup again",
            ) from None
        except ConfigError as error:
            raise self._faulty(error) from None

    def _read(self, planned: Plan, of_llm: tuple[str, ...] = ()) -> Config:
        """
        Read what is planned, as the daemon would.

        :param of_llm: the answers that are to blame for what is wrong with the
            LLM alone.
        """
        path = self.file.path
        try:
            return parse_config(
                planned.text,
                directory=path.parent,
                environ=self.file.environ,
                name=str(path),
            )
        except ConfigError as error:
            if of_llm and all(it.key.startswith("llm") for it in error.faults):
                raise Failed(
                    why="; ".join(it.problem for it in error.faults),
                    todo="give server, model and key of the LLM",
                    doubtful=of_llm,
                ) from None
            raise self._faulty(error) from None

    def _faulty(self, error: ConfigError) -> Failed:
        return Failed(
            why="; ".join(map(str, error.faults)),
            todo=f"mend that in {self.file.path}, and run setup again",
        )

    async def _write(self) -> None:
        talk, path = self.talk, self.file.path
        try:
            # Somebody may have changed it meanwhile.
            before = read(path)
            self.file = evolve(self.file, text=before.decode())
            planned = self._plan(self.apart)
            if not planned.keys:
                talk.say("  It says all of it already, and stays as it is")
                return
            await self._may_change(planned)
            for file, text in planned.files.items():
                write_secret(file, text, path)
                talk.say(f"  Written, mode {mode(file)}: {file}")
            self._read(planned)
            self._changed = bool(before)
            if planned.text != self.file.text:
                write(path, planned.text.encode(), before)
                talk.say(f"  Written, mode {mode(path)}")
        except OSError as error:
            raise Failed(
                why=f"{error.filename or path} can't be written: {error.strerror}",
                todo="see who may write there, and run setup as such",
            ) from None

    async def _may_change(self, planned: Plan) -> None:
        if not self.file.text:
            return
        keys = ", ".join(planned.keys)
        await self.talk.agreed(
            f"  It is there already. Change {keys} in it, and leave the rest?",
            Failed(
                why=f"{self.file.path} is there already, and {keys} would change in it",
                todo="give --yes if that may be",
            ),
            self.agreed,
        )

    # 6

    async def _arrive(self) -> None:
        url = webhook_url(self._answers["public_url"], self._answers["bot"])
        knocker = Knocker(self.call, self.reactor.seconds)
        begun, told = self.reactor.seconds(), ""
        # By what it has read it may be another bot's, or know other secrets.
        unknown = await self._have_it_read()
        while True:
            knocked = await knock(
                knocker,
                url,
                self._answers["app_secret"],
                self._answers["verify_token"],
                secrets.token_hex(8),
            )
            why = why_not(url, knocked)
            if not why:
                self.talk.say(f"  It does, at {shown_url(url)}")
                if unknown:
                    self._may_be_unread(await self._have_it_read())
                return
            self._missed = True
            if not told:
                self.talk.say(self.start)
                self.talk.say(f"  Waiting for it, for {self.wait:g} s at most")
            if why != told:
                self.talk.say(f"  {shown_url(url)}: {why}")
                told = why
            if self.reactor.seconds() - begun + PAUSE > self.wait:
                break
            await deferLater(self.reactor, PAUSE)
        raise Failed(
            why=f"the daemon did not answer at {shown_url(url)}: {why}",
            todo="start it, and see whether the name leads to this server and the"
            " port is open to the world",
            skippable="Meta may reach what this machine does not",
        )

    async def _have_it_read(self) -> str:
        return await have_it_read(
            self.daemon, self.file.path, self.talk.say, self.reload
        )

    def _may_be_unread(self, unknown: str) -> None:
        if unknown and self._changed and not self._missed:
            raise Failed(
                why="the configuration was changed, and whether the daemon has read it"
                f" since is not known: {unknown}",
                todo=f"let it read it: {self.reload}",
                skippable="it has read it",
            )

    # 7

    async def _deliver(self, page: OwnPage) -> None:
        talk, dashboard = self.talk, self._dashboard()
        url = webhook_url(self._answers["public_url"], self._answers["bot"])
        there = await dashboard.webhook(url)
        if is_set(there, url):
            talk.say(f"  The app's webhook leads to {shown_url(url)} already")
        else:
            if there.callback and not same_url(there.callback, url):
                await talk.agreed(
                    f"  The app's webhook leads to {shown_url(there.callback)} now."
                    " Whatever is there gets nothing any more. Change it?",
                    Failed(
                        why=f"the app's webhook leads to {shown_url(there.callback)}",
                        todo="give --yes if it may be changed",
                    ),
                    self.agreed,
                )
            await dashboard.set_webhook(
                url, self._answers["verify_token"], union(there)
            )
            talk.say(f"  The app's webhook leads to {shown_url(url)}, which Meta asked")
        missing = await dashboard.subscribe(page)
        if missing:
            talk.say(f"  The app is told of {', '.join(missing)} of {page.name}")
        else:
            talk.say(f"  The app is told what happens on {page.name} already")


def _tls_listen(path: Path) -> str:
    """Tell where HTTPS is spoken: systemd has the port for the service."""
    if str(path) == SERVICES_FILE:
        for units in _UNITS:
            if Path(units, "micamessenger.socket").is_file():
                return _SOCKET
    return "tcp:443"
