"""
``micamessenger check``, against the stand-ins with each of their faults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from micamsgr.check.findings import exit_status
from micamsgr.sandbox.ailments import Ailment, afflict
from micamsgr.sandbox.journal import nothing
from micamsgr.sandbox.meta import App
from tests.check_case import UNTOLD, CheckCase
from tests.daemon import VERIFY_TOKEN, callback
from tests.stand_ins import LLM_KEY

#: What each of Meta's ailments is found out by.
FOUND: Mapping[Ailment, set[str]] = {
    Ailment.EXPIRED: {"token.expired"},
    Ailment.EXPIRING: {"token.expiring"},
    Ailment.ENDED: {"token.invalid"},
    Ailment.UNKNOWN_TOKEN: {"token.invalid"},
    Ailment.USER_TOKEN: {"token.kind"},
    Ailment.DATA_ACCESS: {"token.data_access"},
    Ailment.OTHER_APP: {"app.other", "appsecret_proof.refused"},
    Ailment.OTHER_SECRET: {"app.secret", "appsecret_proof.refused"},
    Ailment.OTHER_PAGE: {"page.other"},
    Ailment.NO_MESSAGING: {"scopes.missing"},
    Ailment.NO_METADATA: {"scopes.missing"},
    Ailment.NO_READING: {"scopes.partial"},
    Ailment.OTHER_TARGETS: {"scopes.elsewhere"},
    Ailment.NO_CALLBACK: {"app_subscription.none"},
    Ailment.CALLBACK_ELSEWHERE: {"app_subscription.elsewhere"},
    Ailment.INACTIVE: {"app_subscription.inactive"},
    Ailment.APP_LACKS_MESSAGES: {"app_subscription.fields"},
    Ailment.APP_LACKS_ECHOES: {"app_subscription.degraded"},
    Ailment.NOT_SUBSCRIBED: {"page_subscription.none"},
    Ailment.PAGE_LACKS_POSTBACKS: {"page_subscription.fields"},
    Ailment.PAGE_LACKS_ECHOES: {"page_subscription.degraded"},
    Ailment.OTHERS: {"routing.others"},
    Ailment.SHARED: {"routing.unheard"},
    Ailment.CLOCK_OFF: {"clock.off"},
    Ailment.CLOCK_WRONG: {"clock.wrong"},
    Ailment.SLOW: {"graph.slow"},
    Ailment.FAILING: {"graph.failing"},
    Ailment.FLAKY: {"graph.flaky"},
    Ailment.DROPPING: {"graph.unreachable"},
    Ailment.GATEWAY: {"graph.failing"},
}

# What is as it should be in spite of an ailment, and differs for its sake.
ALSO = {
    Ailment.OTHER_APP: {"page_subscription.none", "routing.others"},
    Ailment.OTHER_PAGE: {"scopes.elsewhere"},
}


class MetaTests(CheckCase):
    """
    Tests for what is wrong at Meta.
    """

    timeout = 180
    # The daemon would mend some of it, and complain of the rest.
    judged = False

    async def test_ailments(self) -> None:
        """
        Each ailment of a token, an app, a Page or the Graph API is found out
        by its own line, and nothing else is told to be wrong.
        """
        await self.serve(subscriptions={"repair": False})
        file = self.write_configuration()
        self.assertEqual(await self.troubles(file), set())
        self.assertEqual(set(FOUND), set(Ailment))
        for ailment, names in FOUND.items():
            self.stand_ins.meta.pages.clear()
            self.page = self.stand_ins.open_page(callback(self.port))
            afflict(ailment, self.page, self.stand_ins.meta, self.stand_ins.graph)
            found = await self.troubles(file)
            self.stand_ins.graph.faults, self.stand_ins.meta.skew = nothing, 0.0
            self.assertLessEqual(names, found, ailment)
            rest = found - names - UNTOLD - ALSO.get(ailment, set())
            self.assertEqual(rest, set(), ailment)

    async def test_without_app_id(self) -> None:
        """
        Without facebook.app_id and page_id, token, secret and subscriptions
        are looked at all the same: the token tells whose it is.
        """
        await self.serve()
        file = self.write_configuration(facebook={"app_id": None, "page_id": None})
        self.assertEqual(await self.troubles(file), set())
        self.page.grant.scopes = ()
        self.assertEqual(await self.troubles(file), {"scopes.missing"})

    async def test_proof_required(self) -> None:
        """
        Whether the app requires the proof is told, and is no fault.
        """
        await self.serve()
        file = self.write_configuration()
        for required, words in ((False, "without it too"), (True, "required by")):
            self.stand_ins.graph.proof_required = required
            found = await self.ask(file)
            (line,) = [f.line for f in found if f.question == "appsecret_proof"]
            self.assertIn(words, line)
            self.assertEqual(exit_status(found), 0, found)
        # The token tells its app only to who proves to know the secret.
        file = self.write_configuration(facebook={"app_id": None})
        self.assertEqual(await self.troubles(file), set())

    async def test_other_app(self) -> None:
        """
        The token of another app is told from a wrong secret, though the proof
        is wrong for both, and the configured app is nobody's.
        """
        await self.serve()
        file = self.write_configuration()
        self.page.app = App("999000999000999", "another secret")
        names = await self.troubles(file)
        self.assertIn("app.other", names)
        self.assertNotIn("app.secret", names)

    async def test_unreachable(self) -> None:
        """
        Where the Graph API is not reached, that is told, with Meta's status
        page; what it alone knows is not known.
        """
        await self.serve()
        file = self.write_configuration()
        await self.stand_ins.site(self.stand_ins.graph).shut()
        found = await self.ask(file)
        (line,) = [each for each in found if each.question == "graph"]
        self.assertEqual(line.name, "graph.unreachable")
        self.assertIn("metastatus.com", line.todo)
        names = {each.name for each in found if each.name}
        self.assertEqual(names - {line.name}, UNTOLD)


class CommandTests(CheckCase):
    """
    Tests for the command as a process.
    """

    timeout = 120
    judged = False

    def assertNoSecret(self, said: str) -> None:
        """
        Look for what must not be printed.
        """
        secrets = (self.page.token, self.page.app.secret, VERIFY_TOKEN)
        for secret in (*secrets, LLM_KEY.removeprefix("Bearer ")):
            self.assertNotIn(secret, said)

    async def test_well(self) -> None:
        """
        Where all is well it prints a line for each question, and its status is
        0; with --json the same for programs.
        """
        await self.serve()
        file = self.write_configuration()
        status, said = await self.run_command(file)
        self.assertEqual(status, 0, said)
        for line in said.splitlines():
            self.assertRegex(line, r"^ok       [a-z_]+( \(.+\))?: .+")
        status, told = await self.run_command(file, "--json")
        document = json.loads(told)
        self.assertEqual((status, document["status"]), (0, 0))
        self.assertEqual(len(document["findings"]), len(said.splitlines()))
        self.assertNoSecret(said + told)

    async def test_warning(self) -> None:
        """
        With no more than warnings its status is 1, and each says what it means
        and what to do.
        """
        await self.serve()
        self.page.others.append(App("888000888000888", "its secret", "Another"))
        status, said = await self.run_command(self.write_configuration())
        self.assertEqual(status, 1, said)
        (line,) = [it for it in said.splitlines() if it.startswith("warning")]
        told = "routing (mica): besides ours: 888000888000888 (Another)."
        self.assertIn(told, line)
        self.assertIn("They may answer as well", line)
        self.assertIn("To do: take away those that should not answer", line)

    async def test_failed(self) -> None:
        """
        Where something failed its status is 2, and no secret is printed,
        whatever went wrong.
        """
        self.page.grant.expires_at = 1
        status, said = await self.run_command(self.write_configuration())
        self.assertEqual(status, 2)
        self.assertRegex(said, r"failed   token \(mica\): it has expired")
        self.page.grant.expires_at = 0
        self.page.name = f"The Page of {self.page.token}"
        more = await self.run_command(self.write_configuration())
        self.assertIn("(The Page of (a secret))", more[1])
        said += more[1]
        self.assertNoSecret(said)

    async def test_configuration(self) -> None:
        """
        Every fault of the file is told, and its mode, and no more is asked.
        """
        file = self.directory.resolve() / "bad.yaml"
        file.write_text("bot_name: mica\nfacebook: {secret: '{your-app-secret}'}\n")
        file.chmod(0o644)
        status, said = await self.run_command(file)
        self.assertEqual(status, 2)
        self.assertIn("bad.yaml:2: facebook.secret", said)
        self.assertIn("warning  secrets", said)
        self.assertNotIn("graph", said)
        status, told = await self.run_command(file, "--json")
        self.assertEqual(json.loads(told)["status"], 2)
        status, said = await self.run_command(self.directory / "none.yaml")
        self.assertEqual(status, 2)
        self.assertIn("cannot be read", said)
