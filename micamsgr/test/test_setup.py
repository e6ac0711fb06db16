"""
Tests for :mod:`micamsgr.setup.steps`, taken one after another.
"""

from __future__ import annotations

from itertools import count
from random import Random

from micamsgr.config import load_config
from micamsgr.control.client import NotOurs, NotRunning
from micamsgr.sandbox.journal import INTERNAL, Call, Fault, GraphError, in_turn
from micamsgr.setup.dashboard import FIELDS
from micamsgr.setup.failing import GivenUp
from micamsgr.testing import ScriptedTerminal

from .setup_case import APP, GIVEN, OWNERS_TOKEN, TYPED, WEBHOOK, SetupCase


class LiveTests(SetupCase):
    """
    Tests for where all goes well.
    """

    def test_typed(self) -> None:
        """
        Whoever answers the questions has a Page that Meta delivers from, with
        a token that has no end, and a configuration that says all of it.
        """
        shown = self.done(*TYPED)
        self.assertEqual(self.app.callback, WEBHOOK)
        self.assertEqual(self.app.fields, set(FIELDS))
        self.assertEqual(self.page.fields, set(FIELDS))
        config = load_config(self.path, {})
        facebook = config.bots[0].facebook
        self.assertEqual(facebook.page_access_token.value, self.page.token)
        self.assertEqual((facebook.page_id, facebook.app_id), (self.page.id, APP))
        self.assertGreaterEqual(len(facebook.verify_token.value), 32)
        hidden = [prompt for prompt, is_hidden in self.terminal.asked if is_hidden]
        self.assertEqual(len(hidden), 3)
        self.assertNotIn(facebook.verify_token.value, shown)
        self.assertEqual(shown.count("["), shown.count("]"))

    def test_given(self) -> None:
        """
        A script that gives everything is asked nothing.
        """
        terminal = ScriptedTerminal.nobodys()
        page = self.successResultOf(self.begin_setup(terminal, answers=GIVEN))
        self.assertEqual(page.id, self.page.id)
        self.assertEqual(self.app.callback, WEBHOOK)

    def test_again(self) -> None:
        """
        A second time, nothing is asked and nothing is changed, neither in the
        file nor at Meta.
        """
        self.done(*TYPED)
        before, inode = self.path.read_bytes(), self.path.stat().st_ino
        self.requested.clear()
        shown = self.done()
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual(self.path.stat().st_ino, inode)
        posts = {it for it in self.requested if it.startswith("POST /v25.0")}
        self.assertEqual(posts, set())
        self.assertEqual(shown.count("already"), 3)

    def test_union(self) -> None:
        """
        What app and Page are subscribed to already they stay subscribed to.
        """
        self.app.callback, self.app.fields = WEBHOOK, {"feed", "messages"}
        self.page.fields = {"feed"}
        self.done(*TYPED)
        self.assertEqual(self.app.fields, {"feed", *FIELDS})
        self.assertEqual(self.page.fields, {"feed", *FIELDS})

    def test_inactive(self) -> None:
        """
        A webhook that Meta has put out of action is set again.
        """
        self.app.callback, self.app.fields = WEBHOOK, set(FIELDS)
        self.app.active = False
        self.done(*TYPED)
        self.assertTrue(self.app.active)

    def test_apart(self) -> None:
        """
        Secrets go where they are asked to be, and not into the file.
        """
        self.done(*TYPED, apart=self.directory / "secrets")
        text = self.path.read_text()
        for secret in (self.page.token, TYPED[4], TYPED[-1]):
            self.assertNotIn(secret, text)
        self.assertEqual(self.app.callback, WEBHOOK)

    def test_reload(self) -> None:
        """
        A daemon that runs, and has not read what was written, is told to, also
        where that was written before; one that has is left alone.
        """
        self.done(*TYPED)
        self.assertNotIn("reload", self.requested)
        for more in ({"answers": {"llm_model": "another"}, "agreed": True}, {}):
            self.unread, self.later = ["bots changed: mica"], ["log.format"]
            shown = self.done(**more)
            self.assertIn("has now read the configuration (bots changed: mica)", shown)
            self.assertIn("log.format will hold only when it is started", shown)
            self.assertEqual(self.requested.count("reload"), 1)
            self.requested.clear()

    def test_unread(self) -> None:
        """
        Where a daemon does not read what was written, the Page is not live: a
        script ends, and a person mends it and goes on.
        """
        self.done(*TYPED)
        self.unread = ["bots changed: mica"]
        self.refusal = "tls.private_key: mode 0644"
        shown = self.refused()
        self.assertIn("does not read the configuration: the configuration", shown)
        self.assertIn("in force stays: tls.private_key: mode 0644", shown)
        self.assertIn("let it read it: Reload it.", shown)
        self.given_up("s", "q")
        running = self.begin_setup(ScriptedTerminal.typing(["s"]))
        self.failureResultOf(running, GivenUp)

    def test_unknown(self) -> None:
        """
        Where nobody can tell whether a daemon that was there before has read
        what was changed, it is not taken for read; where nothing was changed,
        or the daemon came only then, it is.
        """
        self.done(*TYPED)
        models = (f"model-{n}" for n in count())
        for reached, other_file, why in (
            (NotOurs("only root may"), None, "only root may"),
            (NotRunning("nobody"), None, "no daemon takes commands here"),
            (None, self.directory / "other.yaml", "reads "),
        ):
            self.reached, self.other_file = reached, other_file
            shown = self.refused(agreed=True, answers={"llm_model": next(models)})
            self.assertIn("whether the daemon has read it since is not known", shown)
            self.assertIn(why, shown)
            self.assertIn("To do: let it read it: Reload it.", shown)
            self.assertNotIn("Failed", self.done())
            self.done("s", agreed=True, answers={"llm_model": next(models)})
        self.assertNotIn("reload", self.requested)
        self.running = False
        running = self.begin_setup(
            ScriptedTerminal.nobodys(),
            agreed=True,
            answers={"llm_model": next(models)},
        )
        self.clock.pump([2.0] * 2)
        self.running = True
        self.clock.pump([2.0])
        self.successResultOf(running)

    def test_file_named(self) -> None:
        """
        A secret's file that the configuration names, and that isn't there yet,
        is written.
        """
        token = self.directory / "token"
        line = f"  page_access_token: ${{file:{token}}}\n"
        self.path.write_text(f"facebook:\n{line}")
        self.done(*TYPED, agreed=True)
        self.assertEqual(token.read_text(), f"{self.page.token}\n")
        self.assertIn(line, self.path.read_text())

    def test_daemon_later(self) -> None:
        """
        The daemon is waited for; how it is started is told, once.
        """
        self.running = False
        running = self.begin_setup(ScriptedTerminal.typing(TYPED))
        self.clock.pump([2.0] * 5)
        self.assertNoResult(running)
        self.assertEqual(self.app.callback, "")
        self.running = True
        self.clock.pump([2.0])
        self.successResultOf(running)
        shown = self.terminal.shown
        self.assertEqual(shown.count("Start it."), 1)
        self.assertEqual(shown.count("nobody answers yet"), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FailingTests(SetupCase):
    """
    Tests for steps that fail.
    """

    def test_url(self) -> None:
        """
        What Meta would never call is refused at once.
        """
        shown = self.done(
            "not a url", "http://bot.example.org", "", TYPED[0], *TYPED[1:]
        )
        self.assertIn("That won't do: expected a URL", shown)
        self.assertIn("Failed: http://bot.example.org is without TLS", shown)

    def test_certificate(self) -> None:
        """
        A certificate that isn't there is asked for again, and then served.
        """
        paths = [self.directory / name for name in ("cert.pem", "key.pem")]
        for path in paths:
            path.write_text("x")
        names = [*map(str, paths)]
        typed = ("/nowhere", names[1], "", *names)
        shown = self.done(*TYPED[:2], *typed, *TYPED[3:])
        self.assertIn("Failed: there is no file /nowhere", shown)
        tls = load_config(self.path, {}).tls
        assert tls is not None
        self.assertEqual((tls.certificate, tls.private_key), tuple(names))
        self.assertEqual(tls.listen, ("tcp:443:backlog=1024",))

    def test_app(self) -> None:
        """
        A secret that is another app's is refused in Meta's words, and asked for
        again; the ID too, for which Enter will do.
        """
        shown = self.done(*TYPED[:4], "other", "", "", *TYPED[4:])
        said = "Failed: Meta says: An app access token is required. (code 190)."
        self.assertIn(said, shown)
        self.assertIn("App settings, Basic", shown)

    def test_unreachable(self) -> None:
        """
        Where the Graph API doesn't answer as such, nothing that was typed is in
        doubt, and it is tried again by Enter.
        """
        html = Fault(status=502, body=b"<html>")
        self.graph.faults = in_turn("page", html)
        shown = self.done(*TYPED[:5], "", *TYPED[5:])
        self.assertIn("https://metastatus.com", shown)

    def test_llm(self) -> None:
        """
        An LLM that refuses is told, and its key asked for again; one may go on
        without it.
        """
        shown = self.done(*TYPED[:-1], "wrong", "", "", "", TYPED[-1])
        self.assertIn("Failed: gpt-4o-mini at https://llm.test", shown)
        self.path.unlink()
        self.llm_status = 503
        self.done(*TYPED, "s")
        self.assertEqual(self.app.callback, WEBHOOK)

    def test_no_key(self) -> None:
        """
        Where the server wants a key, an empty one is refused, and no file is
        blamed that isn't there.
        """
        shown = self.given_up(*TYPED[:6], "", "", "", "")
        self.assertIn("To do: give server, model and key of the LLM", shown)
        self.assertNotIn("mica.yaml:", shown)

    def test_demo(self) -> None:
        """
        The demo needs nothing.
        """
        self.done(*TYPED[:6], "demo")
        self.assertEqual(load_config(self.path, {}).bots[0].llm.provider, "demo")

    def test_file_there(self) -> None:
        """
        A file that is there is changed only if that is agreed to, by name of
        what changes.
        """
        before = "# mine\nassistant:\n  instructions: Be kind.\n"
        self.path.write_text(before)
        shown = self.given_up(*TYPED, "n")
        self.assertIn("It is there already. Change bot_name, public_url,", shown)
        self.assertEqual(self.path.read_text(), before)
        self.assertIn("give --yes", self.refused(answers=GIVEN))
        self.assertEqual(self.path.read_text(), before)
        self.done(*TYPED, "y")
        self.assertTrue(self.path.read_text().startswith(before))

    def test_faulty_file(self) -> None:
        """
        A file that the daemon would refuse stays as it is, and each fault is
        told with its line.
        """
        before = "nonsense: 1\n"
        self.path.write_text(before)
        shown = self.given_up(*TYPED)
        self.assertIn(f"{self.path}:1: nonsense: unknown key", shown)
        self.assertEqual(self.path.read_text(), before)

    def test_mended_meanwhile(self) -> None:
        """
        What somebody else writes into the file meanwhile is not lost.
        """
        self.path.write_text("log: {level: info}\n")
        theirs = "log: {level: debug}\n"
        self.meanwhile = lambda: self.path.write_text(theirs)
        self.done(*TYPED, "y")
        self.assertEqual(load_config(self.path, {}).log.level, "debug")

    def test_daemon(self) -> None:
        """
        A daemon that doesn't come is waited for no longer than was said; then
        again, or not: Meta may reach what this machine does not.
        """
        self.running = False
        for typed in ("", "s"):
            running = self.begin_setup(
                ScriptedTerminal.typing([*TYPED, typed]), wait=5.0
            )
            self.clock.pump([1.0] * 6)
            self.assertIn("Failed: the daemon did not answer", self.terminal.shown)
            if typed == "":
                self.assertNoResult(running)
                self.running = True
                self.clock.pump([2.0])
            self.running = True
            self.assertEqual(self.successResultOf(running).id, self.page.id)
            self.running = False
            self.app.callback = ""
            self.path.unlink()

    def test_script_waits(self) -> None:
        """
        A script whose daemon doesn't come fails, and goes on when it is run
        again.
        """
        self.running = False
        terminal = ScriptedTerminal.nobodys()
        running = self.begin_setup(terminal, wait=5.0, answers=GIVEN)
        running.addErrback(lambda failure: None)
        self.clock.pump([1.0] * 6)
        self.assertTrue(running.called)
        self.assertIn("To do: start it", terminal.shown)
        self.running = True
        self.done()

    def test_callback_elsewhere(self) -> None:
        """
        A webhook that leads elsewhere is not taken away unasked.
        """
        self.app.callback = "https://elsewhere.example/hook?secret=1"
        shown = self.given_up(*TYPED, "n")
        self.assertIn("leads to https://elsewhere.example/hook now", shown)
        self.assertNotIn("secret=1", shown)
        self.assertIn("give --yes", self.refused())
        self.assertIn("elsewhere", self.app.callback)
        self.done("y")
        self.assertEqual(self.app.callback, WEBHOOK)

    def test_meta(self) -> None:
        """
        Where Meta refuses the webhook or the subscription, its words are shown
        and the steps by hand, and both can be repeated.
        """
        refused = GraphError("(#2200) Callback verification failed", 2200)
        callback = Fault(applied=False, error=refused)
        self.graph.faults = in_turn("subscriptions", None, callback, INTERNAL)
        shown = self.given_up(*TYPED)
        self.assertIn("Meta says: (#2200) Callback verification failed", shown)
        self.assertIn(f"callback URL {WEBHOOK}", shown)
        shown = self.given_up()
        self.assertIn("An unknown error has occurred.", shown)
        missing = GraphError("(#200) Requires pages_manage_metadata", 200, status=403)
        subscribing = Fault(applied=False, error=missing)
        self.graph.faults = in_turn("subscribed_apps", subscribing, None, subscribing)
        shown = self.done("", "")
        self.assertEqual(shown.count("(#200) Requires pages_manage_metadata"), 2)
        self.assertEqual(shown.count("MODERATE"), 2)
        self.assertIn("Webhooks, add the Page's subscriptions messages,", shown)

    def test_quit(self) -> None:
        """
        Whoever gives up leaves what was done.
        """
        self.running = False
        running = self.begin_setup(ScriptedTerminal.typing([*TYPED, "q"]), wait=0.0)
        running.addErrback(lambda _: None)
        self.assertTrue(running.called)
        self.assertTrue(self.path.is_file())
        self.assertEqual(self.app.callback, "")

    def test_echoed_secret(self) -> None:
        """
        A secret that Meta repeats in an error is not shown.
        """
        said = GraphError(f"Malformed token {OWNERS_TOKEN} of {TYPED[4]}", 190)
        self.graph.faults = in_turn("debug_token", Fault(applied=False, error=said))
        shown = self.given_up(*TYPED[:6])
        self.assertIn("Malformed token (a secret) of (a secret)", shown)
        # Nor the most of it, where what Meta says is too long to be shown.
        said = GraphError(f"{'x ' * 145}={TYPED[4]}", 190)
        self.graph.faults = in_turn("debug_token", Fault(applied=False, error=said))
        self.assertNotIn(TYPED[4][:9], self.given_up(*TYPED[:6]))

        def repeat(call: Call, random: Random) -> Fault | None:
            longer = [*self.owner.tokens][-1]
            error = GraphError(f"Malformed token {longer}", 190)
            return Fault(error=error) if call.kind == "accounts" else None

        self.graph.faults = repeat
        shown = self.given_up(*TYPED[:6])
        self.assertIn("Malformed token (a secret)", shown)
