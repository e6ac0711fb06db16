"""
Tests for :mod:`micamsgr.check.files`.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.check.files import (
    Mode,
    Seen,
    certificate_files,
    covers,
    judge_certificates,
    judge_configuration,
    judge_secrets,
    look_at_certificate,
    look_at_modes,
)
from micamsgr.config import parse_config
from micamsgr.web.tls import CertificateFiles, Unusable

from .test_check_judgements import name_of
from .test_config import FILLED
from .test_tls import certificate

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
SEEN = Seen(
    expires=NOW + timedelta(days=60),
    names=("bot.example", "*.example.org"),
    self_signed=False,
    doubt="",
)


class FileTests(SynchronousTestCase):
    """
    Tests for the configuration's file and the secrets in it.
    """

    def modes(self, text: str, mode: int, **environ: str) -> list[Mode]:
        """
        Look at a file with this text and mode.
        """
        file = Path(self.mktemp())
        file.write_text(text)
        file.chmod(mode)
        return look_at_modes(file, environ)

    def test_modes(self) -> None:
        """
        What others may read or change is told; a group may read.
        """
        for mode, name in (
            (0o600, "ok"),
            (0o640, "ok"),
            (0o644, "secrets.readable"),
            (0o660, "secrets.readable"),
            (0o604, "secrets.readable"),
            (0o666, "secrets.changeable"),
            (0o602, "secrets.changeable"),
        ):
            (found,) = judge_secrets(self.modes(FILLED, mode))
            self.assertEqual(name_of(found), name, oct(mode))

    def test_elsewhere(self) -> None:
        """
        A file may be read by all that holds no secret, but only says where
        they are; those are then looked at, also where a variable is in the
        path.
        """
        secret = Path(self.mktemp()).absolute()
        secret.write_text("s")
        text = (
            "facebook:\n  secret: ${file:${DIRECTORY}/" + secret.name + "}\n"
            "  verify_token: ${VERIFY}\n  page_access_token: ${TOKEN}\n"
            "llm_config: {headers: {Authorization: 'Bearer ${KEY}'}}\n"
        )
        for mode, name in ((0o600, "ok"), (0o644, "secrets.readable")):
            secret.chmod(mode)
            modes = self.modes(text, 0o644, DIRECTORY=str(secret.parent))
            self.assertEqual([each.holds for each in modes], [False, True])
            self.assertEqual(modes[1].path, str(secret))
            self.assertEqual(name_of(judge_secrets(modes)[0]), name)
        inline = text.replace("${TOKEN}", "${TOKEN:-EAAB1}")
        self.assertTrue(self.modes(inline, 0o644)[0].holds)
        inline = text.replace("${KEY}", "sk-1")
        self.assertTrue(self.modes(inline, 0o644)[0].holds)

    def test_odd_files(self) -> None:
        """
        A file that can't be read as a configuration is taken to hold secrets,
        and an alias that holds itself ends.
        """
        for text in ("a: [", "a: &a [*a]\nsecret: x\n"):
            (mode,) = self.modes(text, 0o644)
            self.assertTrue(mode.holds)

    def test_sandbox(self) -> None:
        """
        What Meta alone is to know is no secret where the sandbox is Meta; a key
        of an LLM is one there, too.
        """
        file = Path(self.mktemp())
        keyless = FILLED.replace("Authorization", "X-Nothing")
        self.assertNotEqual(keyless, FILLED)
        for text, mode, name in (
            (keyless, 0o644, "ok"),
            (keyless, 0o664, "ok"),
            (FILLED, 0o600, "ok"),
            (FILLED, 0o644, "secrets.readable"),
            (FILLED, 0o666, "secrets.changeable"),
        ):
            file.write_text(text)
            file.chmod(mode)
            (found,) = judge_secrets(look_at_modes(file, {}, sandboxed=True))
            self.assertEqual(name_of(found), name, (oct(mode), text))

    def test_gone(self) -> None:
        """
        A file that is not there has no mode to find fault with.
        """
        modes = look_at_modes(Path("/nowhere/mica.yaml"), {})
        self.assertEqual([name_of(it) for it in judge_secrets(modes)], ["ok"])

    def test_configuration(self) -> None:
        """
        What is unwise in a configuration is told line by line.
        """
        config = parse_config(FILLED, directory=Path("/"), environ={})
        self.assertEqual(name_of(*judge_configuration("f", config)), "ok")
        odd = evolve(config, warnings=("one", "two"), without_effect=("admin.listen",))
        found = judge_configuration("f", odd)
        self.assertEqual({it.name for it in found}, {"configuration.doubtful"})
        self.assertEqual(len(found), 3)


class CertificateTests(SynchronousTestCase):
    """
    Tests for the certificate.
    """

    def judged(
        self, seen: Seen | Unusable, url: str | None = "https://bot.example"
    ) -> str:
        """
        Name what is wrong with a certificate.
        """
        (found,) = judge_certificates([("file", seen)], url, NOW)
        return name_of(found)

    def test_table(self) -> None:
        """
        Each thing that Meta would refuse a certificate for is told, and what
        comes soon.
        """
        day = timedelta(days=1)
        for changes, name in (
            ({}, "ok"),
            ({"self_signed": True}, "certificate.self_signed"),
            ({"names": ("other.example",)}, "certificate.name"),
            ({"names": ()}, "certificate.name"),
            ({"expires": NOW + 14 * day}, "ok"),
            ({"expires": NOW + 13 * day}, "certificate.expiring"),
            ({"doubt": "odd"}, "certificate.doubtful"),
        ):
            self.assertEqual(self.judged(evolve(SEEN, **changes)), name, changes)
        self.assertEqual(self.judged(Unusable("why")), "certificate.unusable")
        self.assertEqual(self.judged(evolve(SEEN, names=()), None), "ok")
        self.assertEqual(name_of(*judge_certificates([], None, NOW)), "ok")

    def several(self, *seen: Seen | Unusable, url: str = "bot.example") -> list[str]:
        """
        Name what is wrong with each of several.
        """
        found = [(str(number), each) for number, each in enumerate(seen)]
        judged = judge_certificates(found, f"https://{url}", NOW)
        self.assertEqual([it.about for it in judged], [file for file, _ in found])
        return [name_of(it) for it in judged]

    def test_several(self) -> None:
        """
        Of several certificates the one counts for Meta that it is shown, which
        is not always the first; of the others it counts what all are told of.
        """
        other = evolve(SEEN, names=("other.example",))
        soon = evolve(other, expires=NOW + timedelta(days=3))
        signing = evolve(SEEN, self_signed=True)
        name, signed = "certificate.name", "certificate.self_signed"
        for seen, wanted in (
            ([SEEN, other], ["ok", "ok"]),
            ([other, SEEN], ["ok", "ok"]),
            ([SEEN, soon], ["ok", "certificate.expiring"]),
            ([evolve(other, self_signed=True), SEEN], ["ok", "ok"]),
            ([other, signing], ["ok", signed]),
            ([other, evolve(SEEN, doubt="odd")], ["ok", "certificate.doubtful"]),
            ([other, Unusable("why")], ["ok", "certificate.unusable"]),
            ([Unusable("why"), SEEN], ["certificate.unusable", "ok"]),
            ([other, evolve(other, names=("x.example",))], [name, "ok"]),
            ([SEEN, SEEN], ["ok", "certificate.unused"]),
            ([SEEN, evolve(SEEN, names=())], ["ok", "certificate.unused"]),
        ):
            self.assertEqual(self.several(*seen), wanted, wanted)

    def test_which(self) -> None:
        """
        Which one Meta is shown is found out as the daemon does it: a whole
        name before a star, and for an address the first.
        """
        starred = evolve(SEEN, names=("*.example.org",), self_signed=True)
        whole = evolve(SEEN, names=("bot.example.org",), self_signed=False)
        first = evolve(SEEN, names=("a.example", "192.0.2.1"))
        self.assertEqual(
            self.several(first, starred, whole, url="BOT.example.org."), ["ok"] * 3
        )
        self.assertEqual(
            self.several(first, starred, whole, url="x.example.org"),
            ["ok", "certificate.self_signed", "ok"],
        )
        self.assertEqual(self.several(first, whole, url="192.0.2.1"), ["ok", "ok"])
        self.assertEqual(
            self.several(whole, first, url="192.0.2.1"), ["certificate.name", "ok"]
        )
        # By its subject alone, which no client goes by any more.
        subject = evolve(SEEN, names=(), shown=("bot.example",))
        self.assertEqual(self.several(first, subject), ["ok", "certificate.name"])

    def test_unknown(self) -> None:
        """
        Where it is not known what Meta asks for, each has to be good.
        """
        other = evolve(SEEN, names=("other.example",), self_signed=True)
        found = judge_certificates([("a", SEEN), ("b", other)], None, NOW)
        self.assertEqual(
            [name_of(it) for it in found], ["ok", "certificate.self_signed"]
        )

    def test_pairs(self) -> None:
        """
        All pairs of the configuration are looked at, and each is named by its
        place.
        """
        pair = "{certificate: /b, private_key: /k}"
        tls = f"tls: {{certificate: /a, private_key: /k, further: [{pair}, {pair}]}}"
        config = parse_config(f"{FILLED}{tls}\n", directory=Path("/"), environ={})
        assert config.tls is not None
        files = certificate_files(config.tls)
        self.assertEqual([str(it.certificate) for it in files], ["/a", "/b", "/b"])
        (_, second, _) = (look_at_certificate(it, NOW) for it in files)
        assert isinstance(second, Unusable)
        self.assertIn("tls.further[0].certificate: /b", second.args[0])

    def test_covers(self) -> None:
        """
        A star stands for one label; an address has to be named itself.
        """
        names = ("bot.example", "*.example.org", "192.0.2.1", "2001:db8::1")
        for host, fits in (
            ("bot.example", True),
            ("BOT.example.", True),
            ("a.bot.example", False),
            ("bot.example.org", True),
            ("a.b.example.org", False),
            ("example.org", False),
            ("192.0.2.1", True),
            ("192.0.2.2", False),
            ("2001:db8:0::1", True),
        ):
            self.assertEqual(covers(names, host), fits, host)

    def test_files(self) -> None:
        """
        A certificate is read as the daemon reads it; one that can't be used
        says why.
        """
        pem, key = certificate(Path(self.mktemp()))
        files = CertificateFiles(Path(pem), Path(key))
        now = datetime.now(timezone.utc)
        seen = look_at_certificate(files, now)
        assert isinstance(seen, Seen)
        self.assertTrue(seen.self_signed)
        late = look_at_certificate(files, now + timedelta(days=3))
        assert isinstance(late, Unusable)
        self.assertIn("expired", str(late))

    def test_unusable(self) -> None:
        """
        Each thing for which the daemon would not take the files is told: dates,
        a key of another certificate or one that others may read, a chain in the
        wrong order; a chain that does not hold together is doubtful.
        """
        place = Path(self.mktemp())
        pem, key = certificate(place)
        other, other_key = certificate(place, "other.example")
        chain, turned = place / "chain", place / "turned"
        chain.write_bytes(Path(pem).read_bytes() + Path(other).read_bytes())
        turned.write_bytes(Path(other).read_bytes() + Path(pem).read_bytes())
        readable = place / "readable"
        readable.write_bytes(Path(key).read_bytes())
        readable.chmod(0o644)
        now = datetime.now(timezone.utc)
        day = timedelta(days=1)
        for file, private, at, word in (
            (pem, key, now + 3 * day, "expired"),
            (pem, key, now - 3 * day, "valid only from"),
            (pem, other_key, now, "is not the key of"),
            (pem, str(readable), now, "mode 0644"),
            (str(turned), key, now, "it must come first"),
            (pem, "/nowhere", now, "No such file"),
            (str(chain), key, now, "did not issue"),
        ):
            seen = look_at_certificate(CertificateFiles(Path(file), Path(private)), at)
            if isinstance(seen, Seen):
                # What is worse, or sooner, would be told instead.
                seen = evolve(seen, self_signed=False, expires=now + 60 * day)
            (found,) = judge_certificates([(file, seen)], None, now)
            doubtful = file == str(chain)
            name = "certificate.doubtful" if doubtful else "certificate.unusable"
            self.assertEqual(name_of(found), name, word)
            self.assertIn(word, found.line)
