"""
``micamessenger check``, against the stand-ins with every fault of their
interfaces, and with secrets planted wherever one could be repeated from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar
from unittest import SkipTest
from urllib.parse import quote, quote_plus

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

import micamsgr
from micamsgr.check.command import in_json, in_lines, run
from micamsgr.check.discretion import without_secrets
from micamsgr.check.findings import Finding, exit_status
from micamsgr.config import load_config
from micamsgr.messenger.graph import appsecret_proof
from micamsgr.sandbox import journal
from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.ailments import Ailment, afflict
from micamsgr.sandbox.journal import Ending, GraphError, Plan, nothing, rejection
from micamsgr.sandbox.meta import App
from tests.check_case import UNTOLD, CheckCase
from tests.daemon import VERIFY_TOKEN, callback, reactor
from tests.ports import free_port
from tests.stand_ins import LLM_KEY
from tests.test_check import FOUND

F = TypeVar("F")

PAGE = Path(micamsgr.__file__).parent.parent / "docs" / "checking.md"

#: What goes wrong with every call of the Graph API, and by what it is found out.
GRAPH: Mapping[str, tuple[journal.Fault, set[str]]] = {
    "the Graph API answers what can't be read": (journal.GARBAGE, {"graph.failing"}),
    "a gateway answers 502": (journal.HTML, {"graph.failing"}),
    "the Graph API closes connections after a call": (
        journal.DROPPED_AFTER,
        {"graph.unreachable"},
    ),
    "the Graph API never answers": (journal.HANGING, {"graph.unreachable"}),
    "the Graph API's answers break off": (
        journal.Fault(ending=Ending.STALL),
        {"graph.unreachable"},
    ),
    "too many calls were made": (rejection(4), {"token.unknown"}),
    "the Graph API is overloaded": (rejection(2, status=503), {"graph.failing"}),
    "the Graph API refuses for a permission": (rejection(10), {"token.unknown"}),
}

_REFUSED, _SILENT = {"llm.refused"}, {"llm.unreachable"}

#: The same of the LLM, but for faults that tell of one question only.
LLM: Mapping[str, tuple[llm.Fault, set[str]]] = {
    "the LLM limits calls": (llm.RATE_LIMITED, _REFUSED),
    "the LLM's account is empty": (llm.NO_QUOTA, _REFUSED),
    "the LLM answers 500": (llm.INTERNAL, _REFUSED),
    "a gateway answers for the LLM": (llm.BAD_GATEWAY, _REFUSED),
    "the LLM refuses the key": (llm.BAD_KEY, _REFUSED),
    "the LLM knows no such model": (llm.NO_MODEL, _REFUSED),
    "the LLM says nothing": (llm.EMPTY, _REFUSED),
    "the LLM's answer is cut short": (llm.TRUNCATED, _REFUSED),
    "the LLM's answer comes byte by byte": (llm.DRIPPING, _SILENT),
    "the LLM's answer breaks off": (llm.STALLING, _SILENT),
    "the LLM never answers": (llm.HANGING, _SILENT),
    "the LLM closes connections": (llm.DROPPED, _SILENT),
}


def table() -> str:
    """
    Write the table of what was tried.
    """
    tried = {each.value: names for each, names in FOUND.items()}
    tried |= {words: names for words, (_, names) in (*GRAPH.items(), *LLM.items())}
    rows = [
        f"| {words} | {', '.join(f'`{name}`' for name in sorted(names))} |"
        for words, names in tried.items()
    ]
    return "\n".join(["| fault | found out by |", "|---|---|", *rows]) + "\n"


def _always(fault: F) -> Plan[F]:
    return lambda call, random: fault


class Repeating(Resource):
    """
    A server that repeats all that it is told, and is content with anything.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Repeat the request."""
        headers = repr([*request.requestHeaders.getAllRawHeaders()])
        request.setHeader("Location", request.uri)
        body = b"" if request.content is None else request.content.read()
        return b" ".join((request.uri, headers.encode(), body))


class FaultCase(CheckCase):
    """
    A daemon, and secrets in a form that shows wherever they are written.
    """

    timeout = 300
    # The daemon would mend some of it, and complain of the rest.
    judged = False

    def setUp(self) -> None:
        super().setUp()
        self.plant()

    def plant(self) -> None:
        """
        Give the Page a token and a secret that are written in several ways.
        """
        self.stand_ins.meta.pages.clear()
        self.page = self.stand_ins.open_page(callback(self.port))
        self.page.token = "EAAB+planted/token=1"
        self.page.app.secret = "planted+secret/of=the-app"

    async def look(self, file: Path) -> set[str]:
        """
        Ask everything, see that no secret is in what is said of it, and name
        what is wrong.
        """
        found = await self.ask(file)
        names = {each.name for each in found if each.name}
        for each in found:
            self.assertEqual(bool(each.name), bool(each.todo and each.means), each)
        self.assertNoSecret(found)
        self.assertNoSecret(without_secrets(found, load_config(file, {})))
        return names

    def assertNoSecret(self, found: list[Finding]) -> None:
        """
        Look for what must not be printed, in whatever way it is written.
        """
        said = in_lines(found) + in_json(found, exit_status(found))
        token, secret = "EAAB+planted/token=1", "planted+secret/of=the-app"
        proof = appsecret_proof(secret, token)
        key = LLM_KEY.removeprefix("Bearer ")
        for one in (token, secret, proof, key, VERIFY_TOKEN):
            for written in (one, quote(one, safe=""), quote_plus(one)):
                self.assertNotIn(written, said)


class FaultTests(FaultCase):
    """
    Tests for the stand-ins' faults.
    """

    async def test_ailments(self) -> None:
        """
        Whatever is wrong with a token, an app or a Page, no secret is told.
        """
        await self.serve(subscriptions={"repair": False})
        file = self.write_configuration()
        for ailment in Ailment:
            self.plant()
            afflict(ailment, self.page, self.stand_ins.meta, self.stand_ins.graph)
            names = await self.look(file)
            self.stand_ins.graph.faults, self.stand_ins.meta.skew = nothing, 0.0
            self.assertLessEqual(FOUND[ailment], names, ailment)

    async def test_graph(self) -> None:
        """
        Whatever is wrong with the Graph API is found out by its line, and told
        without a secret, also where the Graph API repeats them.
        """
        await self.serve(subscriptions={"repair": False})
        file = self.write_configuration()
        for words, (fault, names) in GRAPH.items():
            said = f"Invalid {self.page.token} of {self.page.app.secret}"
            error = None if fault.error is None else evolve(fault.error, message=said)
            self.stand_ins.graph.faults = _always(evolve(fault, error=error))
            found = await self.look(file)
            self.assertLessEqual(names, found, words)
            self.assertLessEqual(found, names | UNTOLD, words)
        error = GraphError(f"(#100) {self.page.token}", 100)
        fault = journal.Fault(error=error, applied=False)
        self.stand_ins.graph.faults = _always(fault)
        self.assertTrue(await self.look(file))

    async def test_language_model(self) -> None:
        """
        So it is with whatever is wrong with the LLM.
        """
        await self.serve()
        file = self.write_configuration(llm_config={"timeout": 1})
        for words, (fault, names) in LLM.items():
            body = fault.body and fault.body.replace(b"No answer", LLM_KEY.encode())
            self.stand_ins.model.faults = _always(evolve(fault, body=body))
            self.assertEqual(await self.look(file), names, words)
        fallbacks = [{"server": f"http://127.0.0.1:{free_port()}", "api_key": "k"}]
        self.stand_ins.model.faults = nothing
        file = self.write_configuration(llm_config={"fallbacks": fallbacks})
        self.assertEqual(await self.look(file), {"llm.fallback"})

    async def test_webhook(self) -> None:
        """
        A server that takes what nobody signed is found out, and what it
        repeats is not told.
        """
        await self.serve()
        repeating = reactor.listenTCP(0, Site(Repeating()), interface="127.0.0.1")
        self.addCleanup(repeating.stopListening)
        url = f"http://127.0.0.1:{repeating.getHost().port}"
        self.page.app.callback = f"{url}/v1/facebook/webhook/mica"
        file = self.write_configuration(public_url=url)
        self.assertEqual(
            await self.look(file),
            {"webhook_verification.wrong", "webhook_unsigned.accepted"},
        )
        # As it is its own Graph API, and its own LLM.
        changes: dict[str, Any] = {
            "facebook": {"graph_url": url},
            "llm_config": {"server": url},
        }
        names = await self.look(self.write_configuration(public_url=url, **changes))
        self.assertIn("graph.failing", names)
        self.assertIn("llm.refused", names)

    async def test_names(self) -> None:
        """
        Secrets that somebody has put into a name are taken out.
        """
        await self.serve()
        file = self.write_configuration()
        secret = f"{self.page.token} {quote(self.page.app.secret, safe='')}"
        # As much of it as is shown of a name ends within the token.
        self.page.name = f"{'x' * 65}{secret}"
        self.page.others.append(App("888000888000888", "x", secret))
        self.page.app.callback = f"https://elsewhere.example/{secret}"
        found = await self.ask(file)
        self.assertIn("planted", in_lines(found))
        self.assertNoSecret(without_secrets(found, load_config(file, {})))

    def test_configuration(self) -> None:
        """
        A file that can't be used is told of without what is secret in it.
        """
        file = self.directory.resolve() / "bad.yaml"
        file.touch(0o600)
        token, secret, key = self.page.token, self.page.app.secret, LLM_KEY
        for text in (
            f"facebook: {{page_access_token: [{token}], secret: {{a: {secret}}}}}",
            f"facebook:\n  page_access_token: '{token}'\n secret: {secret}\n",
            f"facebook: {{page_access_tokn: '{token}', secrets: '{secret}'}}",
            f"llm_config: {{headers: {{Authorization: ['{key}']}}}}",
            f"llm_config: {{api_key: {{{key}: 1}}}}\nfacebook: '{token}'",
            f"facebook: {{verify_token: {VERIFY_TOKEN}, secret: !x '{secret}'}}",
            f"facebook: {{secret: '{secret}', secret: '{token}'}}",
        ):
            file.write_text(text)
            for as_json in (False, True):
                out = StringIO()
                self.assertEqual(run(file, {}, out, as_json=as_json), 2, text)
                for one in (token, secret, VERIFY_TOKEN, key.removeprefix("Bearer ")):
                    self.assertNotIn(one, out.getvalue(), text)


class PageTests(SynchronousTestCase):
    """
    Tests for what the page says was tried.
    """

    def test_tried(self) -> None:
        """
        The page has every fault that was tried, and by what it was found out.
        """
        if not PAGE.is_file():
            raise SkipTest("needs a checkout")
        text = PAGE.read_text("utf-8")
        self.assertIn(f"\n\n{table()}\n", text)
        faults = re.findall(r"^\| [^`|]+ \| `[a-z_.]+`", text, re.MULTILINE)
        self.assertGreaterEqual(len(faults), len(FOUND) + len(GRAPH) + len(LLM))
