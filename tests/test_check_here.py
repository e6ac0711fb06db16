"""
``micamessenger check``, against what is wrong on this machine and at the LLM.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from twisted.web.resource import Resource
from twisted.web.server import Site

from micamsgr.check.findings import Verdict, exit_status
from micamsgr.sandbox.language_model import Fault as ModelFault
from tests.check_case import UNTOLD, CheckCase
from tests.daemon import Daemon, eventually, reactor
from tests.ports import free_port
from tests.test_tls import Authority

# What only the check's own environment has.
_OF_OURS = "handover:\n  quiet_minutes: ${QUIET}\n"

_ROOT = Path(__file__).resolve().parent.parent


class HereTests(CheckCase):
    """
    Tests for what is wrong here, and at the LLM.
    """

    timeout = 180
    judged = False

    async def test_running(self) -> None:
        """
        While the daemon runs, its ports and its store are its own; the webhook
        answers rightly, and so does the LLM.
        """
        await self.serve()
        found = await self.ask(self.write_configuration())
        self.assertEqual(exit_status(found), 0, found)
        lines = {each.question: each.line for each in found}
        self.assertEqual(lines["ports"], "the daemon listens there")
        self.assertIn("the daemon has it", lines["store"])
        self.assertIn("answered in", lines["llm"])

    async def test_unread(self) -> None:
        """
        A daemon that has not read what the file says now is found out, whether
        it may use it or not, and by whichever path; once it has read it, all is
        well.
        """
        changes = {"public_url": f"http://127.0.0.1:{self.port}"}
        facebook = {"app_id": self.page.app.id, "page_id": self.page.id}
        file = self.directory.resolve() / "real.yaml"
        file.touch(0o600)
        file.with_name("mica.yaml").symlink_to(file.name)
        daemon = await self.serve(**changes, facebook=facebook)
        link = file.with_name("link.yaml")
        link.symlink_to(file.name)

        async def told() -> list[tuple[str, str]]:
            found = await self.ask(link)
            self.assertEqual(
                {it.question for it in found if it.name} - {"configuration"}, set()
            )
            return [
                (it.name, it.line) for it in found if it.question == "configuration"
            ]

        before = file.read_text()
        read = ("", "the daemon that runs has read it")
        self.assertIn(read, await told())
        wanted = yaml.safe_load(before)
        wanted["handover"] = {"quiet_minutes": 7}
        wanted["log"] = {"format": "json"}
        file.write_text(yaml.safe_dump(wanted))
        unread = ("configuration.not_in_force", "bots changed: mica")
        later = ("configuration.later", "changed since the start: log.format")
        for _ in range(2):
            found = await told()
            self.assertIn(unread, found)
            self.assertIn(later, found)
            self.assertNotIn(read, found)
        file.write_text(f"{before}{_OF_OURS}")
        with patch.dict("os.environ", QUIET="7"):
            status, said = await self.run_command(file)
        self.assertEqual(status, 2, said)
        self.assertRegex(said, r"failed   configuration \(.*QUIET")
        self.assertNotIn("put in force: ", daemon.output)
        del wanted["log"]
        file.write_text(yaml.safe_dump(wanted))
        self.assertIn(unread, await told())
        daemon.signal("HUP")
        await eventually(lambda: "a configuration is put in force" in daemon.output)
        self.assertIn(read, await told())

    async def test_sandbox(self) -> None:
        """
        Of a sandbox that runs all is well, though its app's secret is one of
        each run, and all may read what its file has.
        """
        sandbox = free_port()
        wanted = yaml.safe_load((_ROOT / "etc" / "sandbox.yaml").read_text("utf-8"))
        wanted["listen"] = f"tcp:{self.port}:interface=127.0.0.1"
        wanted["sandbox"]["listen"] = f"tcp:{sandbox}:interface=127.0.0.1"
        wanted["facebook"]["graph_url"] = f"http://127.0.0.1:{sandbox}"
        wanted["store"] = "sqlite:mica.db"
        wanted["llm_config"] = {"provider": "demo"}
        daemon = Daemon(self.directory, self.port, wanted)
        self.addCleanup(daemon.stop)
        daemon.start()
        await daemon.ready()
        file = self.directory / "sandbox.yaml"
        file.touch()
        file.chmod(0o644)  # as a fresh clone has it
        file.write_text(yaml.safe_dump(wanted), encoding="utf-8")
        found = await self.ask(file.resolve())
        self.assertEqual(exit_status(found), 0, found)
        ports = [it.line for it in found if it.question == "ports"]
        self.assertEqual(set(ports), {"the daemon listens there"})
        self.assertNotIn("signature", daemon.output)

    async def test_not_running(self) -> None:
        """
        Without the daemon, ports and store are free, nothing is made, and the
        webhook is what fails.
        """
        file = self.write_configuration()
        before = sorted(self.directory.iterdir())
        names = await self.troubles(file)
        unasked = {
            f"webhook_{it}.unasked" for it in ("verification", "signed", "unsigned")
        }
        self.assertEqual(names, {"webhook.unreachable"} | unasked)
        self.assertEqual(sorted(self.directory.iterdir()), before)

    async def test_ports(self) -> None:
        """
        A port that another program has is found out, whatever it answers.
        """
        await self.serve()
        taken = self.stand_ins.site(self.stand_ins.model).port
        theirs = self.directory.resolve() / "taken.sock"
        other = reactor.listenUNIX(str(theirs), Site(Resource()))
        self.addCleanup(other.stopListening)
        listen = [
            f"tcp:{self.port}:interface=127.0.0.1",
            f"tcp:{taken}:interface=127.0.0.1",
            f"tcp:{free_port()}:interface=127.0.0.1",
            "systemd:domain=INET:index=0",
            f"unix:{self.directory.resolve() / 'free.sock'}",
            f"unix:{theirs}",
            "unix:/nowhere/there/is.sock",
            "tcp:8099:interface=203.0.113.7",
        ]
        found = await self.ask(self.write_configuration(listen=listen))
        self.assertEqual(
            [each.name for each in found if each.question == "ports"],
            [
                "",
                "ports.taken",
                "",
                "",
                "",
                "ports.taken",
                "ports.impossible",
                "ports.impossible",
                # That of the pages for the operator.
                "",
            ],
        )

    async def test_socket(self) -> None:
        """
        A daemon at a UNIX socket is found there, and a socket that was left
        behind is in nobody's way.
        """
        place = f"unix:{self.directory.resolve() / 'mica.sock'}"
        listen = [f"tcp:{self.port}:interface=127.0.0.1", place]
        daemon = await self.serve(listen=listen)
        file = self.write_configuration(listen=listen)
        lines = [it.line for it in await self.ask(file) if it.question == "ports"]
        self.assertEqual(lines, ["the daemon listens there"] * 3)
        daemon.kill()
        await daemon.exited
        lines = [it.line for it in await self.ask(file) if it.question == "ports"]
        self.assertEqual(lines, ["it is free"] * 3)

    async def test_webhook(self) -> None:
        """
        A daemon that has other secrets than the file, and a server that is
        none of ours, are found out.
        """
        await self.serve()
        for changes, names in (
            ({"verify_token": "another-token"}, {"webhook_verification.refused"}),
            (
                {"secret": "another-secret"},
                {
                    "webhook_signed.refused",
                    "ports.taken",
                    "app.secret",
                    "appsecret_proof.refused",
                },
            ),
        ):
            file = self.write_configuration(facebook=changes)
            self.assertEqual(await self.troubles(file) - UNTOLD, names)
        url = self.stand_ins.graph_url
        names = await self.troubles(self.write_configuration(public_url=url))
        self.assertEqual(
            names,
            {
                "app_subscription.elsewhere",
                "webhook_verification.wrong",
                "webhook_signed.wrong",
                "webhook_unsigned.wrong",
            },
        )

    async def test_plain(self) -> None:
        """
        What Meta itself is to call must be https.
        """
        file = self.write_configuration(facebook={"graph_url": "http://graph.invalid"})
        self.assertIn("webhook.plain", await self.troubles(file))

    async def test_no_public_url(self) -> None:
        """
        Without public_url nobody can tell whether Meta reaches the webhook;
        where it delivers is judged by its path.
        """
        await self.serve()
        file = self.write_configuration(public_url=None)
        names = await self.troubles(file)
        self.assertIn("webhook.unknown", names)
        self.assertNotIn("app_subscription.elsewhere", names)
        self.page.app.callback = "https://bot.example/v1/facebook/webhook/other"
        self.assertIn("app_subscription.elsewhere", await self.troubles(file))

    async def test_llm(self) -> None:
        """
        An LLM that refuses, and one that is not there, are told apart, and a
        fallback is asked too.
        """
        await self.serve()
        dead = f"http://127.0.0.1:{free_port()}"
        backed = {"fallbacks": [{"server": dead, "api_key": "k"}]}
        for changes, name in (
            ({"headers": {"Authorization": "Bearer wrong"}}, "llm.refused"),
            ({"server": dead}, "llm.unreachable"),
            (backed, "llm.fallback"),
        ):
            file = self.write_configuration(llm_config=changes)
            self.assertEqual(await self.troubles(file), {name})
        self.stand_ins.model.faults = lambda call, random: ModelFault(status=500)
        self.assertEqual(
            await self.troubles(self.write_configuration()), {"llm.refused"}
        )
        self.stand_ins.model.faults = lambda call, random: ModelFault(delay=60.0)
        file = self.write_configuration(llm_config={"timeout": 1})
        self.assertEqual(await self.troubles(file), {"llm.unreachable"})

    async def test_store(self) -> None:
        """
        A store that is another's file is told to be; it is not changed.
        """
        other = self.directory / "other.db"
        other.write_bytes(b"something else")
        other.chmod(0o600)
        file = self.write_configuration(store=f"sqlite:{other.resolve()}")
        self.assertIn("store.unusable", await self.troubles(file))
        self.assertEqual(other.read_bytes(), b"something else")
        file = self.write_configuration(store="sqlite:/nowhere/mica.db")
        self.assertIn("store.unwritable", await self.troubles(file))

    async def test_killed(self) -> None:
        """
        A store that a killed daemon left behind is well, and goes on.
        """
        daemon = await self.serve()
        self.write("6284913775102846", "Hi")
        await self.said("6284913775102846")
        daemon.kill()
        await daemon.exited
        found = await self.ask(self.write_configuration())
        (store,) = [each for each in found if each.question == "store"]
        self.assertIs(store.verdict, Verdict.OK, store)
        await self.serve()


class TLSTests(CheckCase):
    """
    Tests for a daemon that speaks TLS.
    """

    timeout = 120
    judged = False

    async def test_tls(self) -> None:
        """
        The certificate is looked at in its file, and from outside: whom the
        system trusts, for which name; and the daemon is known behind it.
        """
        authority = Authority()
        chain, key = authority.issue()
        place = self.directory.resolve()
        for name, content in (
            ("chain", chain),
            ("key", key),
            ("ca", authority.pem),
        ):
            (place / name).write_bytes(content)
            (place / name).chmod(0o600)
        port = free_port()
        tls = {
            "listen": f"tcp:{port}:interface=127.0.0.1",
            "certificate": str(place / "chain"),
            "private_key": str(place / "key"),
        }
        plain = f"tcp:{self.port}:interface=127.0.0.1"
        await self.serve(listen=plain, tls=tls)
        root = f"https://localhost:{port}"
        self.page.app.callback = f"{root}/v1/facebook/webhook/mica"
        changes: dict[str, Any] = {"listen": plain, "tls": tls}
        file = self.write_configuration(**changes, public_url=root)
        trusting = {"SSL_CERT_FILE": str(place / "ca")}
        status, said = await self.run_command(file, **trusting)
        self.assertEqual(status, 0, said)
        self.assertEqual(said.count("the daemon listens there"), 3)
        self.assertIn("answers, by TLS that this machine trusts", said)
        status, said = await self.run_command(file)
        self.assertEqual(status, 2)
        self.assertIn("failed   webhook (mica): ", said)
        self.assertIn("have a certificate issued for that name by a public", said)
        root = f"https://127.0.0.1:{port}"
        file = self.write_configuration(**changes, public_url=root)
        status, said = await self.run_command(file, **trusting)
        self.assertIn("it is for localhost, and not for 127.0.0.1", said)
        self.assertRegex(
            said, r"failed   webhook \(mica\): .*the certificate is for other names"
        )
        (place / "key").chmod(0o644)
        status, said = await self.run_command(file, **trusting)
        self.assertRegex(said, "failed   certificate .*mode 0644")

    async def test_further(self) -> None:
        """
        With several certificates Meta is shown the one for the name in
        public_url, also by TLS 1.3 alone; each other one is looked at, too.
        """
        authority = Authority()
        place = self.directory.resolve()
        (place / "ca").write_bytes(authority.pem)
        for host in ("other.example", "localhost"):
            chain, key = authority.issue(host)
            (place / f"{host}.crt").write_bytes(chain)
            (place / f"{host}.key").touch(0o600)
            (place / f"{host}.key").write_bytes(key)
        first, second = (
            {
                "certificate": str(place / f"{host}.crt"),
                "private_key": str(place / f"{host}.key"),
            }
            for host in ("other.example", "localhost")
        )
        port = free_port()
        listen = f"tcp:{port}:interface=127.0.0.1"
        tls = {"listen": listen, "modern": True, **first, "further": [second]}
        plain = f"tcp:{self.port}:interface=127.0.0.1"
        await self.serve(listen=plain, tls=tls)
        root = f"https://localhost:{port}"
        self.page.app.callback = f"{root}/v1/facebook/webhook/mica"
        trusting = {"SSL_CERT_FILE": str(place / "ca")}
        changes: dict[str, Any] = {"listen": plain, "tls": tls, "public_url": root}
        status, said = await self.run_command(
            self.write_configuration(**changes), **trusting
        )
        self.assertEqual(status, 0, said)
        self.assertIn("Meta is shown it for localhost", said)
        self.assertIn("it is for other.example", said)
        self.assertIn("with tls.modern it is 1.3", said)
        self.assertEqual(said.count("the daemon listens there"), 3)
        (place / "other.example.key").write_bytes(b"no key")
        status, said = await self.run_command(
            self.write_configuration(**changes), **trusting
        )
        self.assertEqual(status, 2, said)
        self.assertRegex(said, r"failed   certificate \(.*/other.example.crt\)")
        self.assertRegex(said, r"ok       certificate \(.*/localhost.crt\)")
