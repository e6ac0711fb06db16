"""
Tests for :mod:`micamsgr.setup.planning` and :mod:`micamsgr.setup.questions`.
"""

from __future__ import annotations

import string
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.config import Config, load_config
from micamsgr.setup.planning import File, plan, taken_over
from micamsgr.setup.questions import (
    APP_SECRET_,
    DEMO,
    LLM_KEY_,
    PUBLIC_URL,
    Unfit,
    header_of,
    needs_https,
)
from micamsgr.setup.writing import write_secret

from .properties import given, st

SAMPLE = Path(__file__).parents[2] / "etc" / "mica.yaml"

ANSWERS = {
    "bot": "mica",
    "public_url": "https://bot.example.org",
    "llm_server": "https://llm.example.org/v1",
    "llm_model": "gpt-4o-mini",
    "llm_key": "the-key",
    "verify_token": "made-up",
    "token": "EAAB",
    "app_secret": "the-secret",
    "page": "108463527190842",
    "app_id": "731904582216637",
}
MINE = """\
# mine
bot_name: mica
llm_config: {model: mine, server: "https://x", headers: {api-key: my-key}}   # of it
facebook:
  verify_token: mine
  page_access_token: EAAB
  secret: the-secret
assistant:
  instructions: Be kind.
"""


class PlanCase(SynchronousTestCase):
    """
    A directory with a configuration, or without one.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "mica.yaml"

    def file(self, text: str = "", **environ: str) -> File:
        """
        Make a configuration.
        """
        return File(self.path, text, environ)

    apart: Path | None = None

    def written(self, file: File, **answers: str) -> tuple[str, Config]:
        """
        Write what is planned, with the secrets in *apart* if that is given.

        :return: it, and what the daemon reads.
        """
        planned = plan(file, {**ANSWERS, **answers}, self.apart)
        for path, text in planned.files.items():
            write_secret(path, text, self.path)
        self.path.write_text(planned.text, "utf-8")
        return planned.text, load_config(self.path, file.environ)

    def assertAnswers(self, config: Config, **changes: str) -> None:
        """
        Look whether a configuration says what was answered.
        """
        wanted, bot = {**ANSWERS, **changes}, config.bots[0]
        self.assertEqual(bot.name, wanted["bot"])
        self.assertEqual(config.public_url, wanted["public_url"])
        facebook = bot.facebook
        self.assertEqual(facebook.verify_token.value, wanted["verify_token"])
        self.assertEqual(facebook.page_access_token.value, wanted["token"])
        self.assertEqual(facebook.secret.value, wanted["app_secret"])
        self.assertEqual(facebook.page_id, wanted["page"])
        self.assertEqual(facebook.app_id, wanted["app_id"])


class WriteTests(PlanCase):
    """
    Tests for what is written.
    """

    def test_nothing(self) -> None:
        """
        From nothing, the daemon reads what was answered; the file explains
        itself.
        """
        text, config = self.written(self.file())
        self.assertAnswers(config)
        llm = config.bots[0].llm
        self.assertEqual(llm.url, "https://llm.example.org/v1/chat/completions")
        self.assertEqual(llm.headers["Authorization"].value, "Bearer the-key")
        self.assertGreater(text.count("#"), 10)
        self.assertNotIn("\n\n\n", text)

    def test_sample(self) -> None:
        """
        The sample that an installation puts there is filled in; its comments
        stay.
        """
        sample = SAMPLE.read_text("utf-8")
        self.assertLessEqual(set(taken_over(self.file(sample))), {"bot"})
        text, config = self.written(self.file(sample))
        self.assertAnswers(config)
        comments = [line for line in sample.splitlines() if line.startswith("#")]
        self.assertGreater(len(comments), 50)
        for line in comments:
            self.assertIn(line, text.splitlines())

    def test_sample_otherwise(self) -> None:
        """
        The sample's placeholder of a key does not stay where the LLM wants its key
        in another header, or none, or is the built-in one.
        """
        sample = SAMPLE.read_text("utf-8")
        for answers, sent in (
            ({"llm_header": "api-key", "llm_key": "abc"}, {"api-key": "abc"}),
            ({"llm_key": ""}, {}),
            ({"llm_server": "demo", "llm_key": ""}, {}),
        ):
            text, config = self.written(self.file(sample), **answers)
            held = config.bots[0].llm.headers
            self.assertEqual({name: it.value for name, it in held.items()}, sent)
            self.assertNotIn("xxx", text)
            again = plan(self.file(text), {**ANSWERS, **answers}, None)
            self.assertEqual(again.text, text)

    def test_kept(self) -> None:
        """
        What is there and says the same stays as it stands, also what setup
        knows nothing of.
        """
        answers = taken_over(self.file(MINE))
        self.assertEqual(answers["llm_key"], "")
        text, config = self.written(self.file(MINE), **answers)
        self.assertAnswers(config, **answers)
        for line in MINE.splitlines():
            if "llm_config" not in line:
                self.assertIn(line, text.splitlines())
        bot = config.bots[0]
        self.assertEqual(bot.llm.headers["api-key"].value, "my-key")
        self.assertEqual(bot.llm.model, "mine")
        self.assertEqual(bot.assistant.instructions, "Be kind.")

    def test_again(self) -> None:
        """
        Of a file that it has written it changes nothing, and needs no answer.
        """
        for more in ({}, {"llm_server": DEMO}, {"certificate": "", "listen": "tcp:1"}):
            text, _ = self.written(self.file(), **more)
            file = self.file(text)
            answers = taken_over(file)
            self.assertLessEqual(set(ANSWERS), {*answers, "llm_model", "llm_key"})
            planned = plan(file, answers, None)
            self.assertEqual((planned.text, planned.keys), (text, ()))

    def test_odd(self) -> None:
        """
        Secrets of odd characters reach the daemon as they are.
        """
        odd = string.punctuation + "${HOME}$${file:/etc/passwd}"
        for text in (odd, odd[::-1], "# a", ": b", "'", '"', "{x}", "null", "0x10"):
            answers = {"verify_token": text, "llm_key": f"Bearer {text}"}
            answers["token"] = answers["app_secret"] = text.replace(" ", "")
            _, config = self.written(self.file(), **answers)
            self.assertAnswers(config, **answers)
            header = config.bots[0].llm.headers["Authorization"]
            self.assertEqual(header.value, f"Bearer {text}")
            self.assertEqual(
                taken_over(self.file(self.path.read_text()))["token"], answers["token"]
            )
        _, config = self.written(self.file(), verify_token="ä ü: # 'ñ' \N{SNOWMAN}")
        token = config.bots[0].facebook.verify_token.value
        self.assertEqual(token, "ä ü: # 'ñ' \N{SNOWMAN}")

    def test_apart(self) -> None:
        """
        Secrets that are to be apart are in files of their own, for their owner
        alone, and nowhere else; and stay there when one of them changes.
        """
        apart = self.apart = self.directory / "secrets"
        text, config = self.written(self.file(), token="to$ken")
        self.assertAnswers(config, token="to$ken")
        names = {"verify_token", "page_access_token", "app_secret", "llm_key"}
        self.assertEqual({file.name for file in apart.iterdir()}, names)
        for file in apart.iterdir():
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            self.assertNotIn(file.read_text().strip(), text)
        self.assertEqual(apart.stat().st_mode & 0o777, 0o700)
        self.apart = None
        again, config = self.written(self.file(text), token="another")
        self.assertEqual(again, text)
        self.assertAnswers(config, token="another")

    def test_moved_apart(self) -> None:
        """
        Secrets that stand in the file are moved out of it if asked.
        """
        text, _ = self.written(self.file())
        self.apart = self.directory / "secrets"
        moved, config = self.written(self.file(text))
        self.assertAnswers(config)
        self.assertNotIn("the-secret", moved)

    def test_missing_file(self) -> None:
        """
        A file that the configuration names, and that isn't there, is written.
        """
        path = self.directory / "token"
        text = f"facebook:\n  page_access_token: ${{file:{path}}}\n"
        trial = plan(self.file(text), ANSWERS, None, inline=True)
        self.assertNotIn("${file:", trial.text)
        self.assertEqual(trial.files, {})
        after, config = self.written(self.file(text))
        self.assertAnswers(config)
        self.assertIn(f"${{file:{path}}}", after)

    def test_environment(self) -> None:
        """
        A value from the environment is taken over, and stays there.
        """
        text = "facebook:\n  page_access_token: ${TOKEN}\n"
        file = self.file(text, TOKEN="EAAB")
        self.assertEqual(taken_over(file)["token"], "EAAB")
        after, _ = self.written(file)
        self.assertIn("page_access_token: ${TOKEN}\n", after)

    def test_llm(self) -> None:
        """
        The LLM is changed where it stands, however that is spelled, and
        exchanged for the demo and back.
        """
        for section in ("llm:\n  model: x\n", "llm:\n  chat:\n    model: x\n"):
            _, config = self.written(self.file(section))
            self.assertEqual(config.bots[0].llm.model, "gpt-4o-mini")
        text, config = self.written(self.file(), llm_server=DEMO)
        self.assertEqual(config.bots[0].llm.provider, DEMO)
        self.assertNotIn("server:", text)
        text, config = self.written(self.file(text))
        self.assertEqual(config.bots[0].llm.provider, "openai")
        file = self.file(MINE)
        answers = {**taken_over(file), "llm_key": "better"}
        _, config = self.written(file, **answers)
        self.assertEqual(config.bots[0].llm.headers["api-key"].value, "better")
        self.assertNotIn("Authorization", config.bots[0].llm.headers)

    def test_tls(self) -> None:
        """
        With a certificate the daemon does TLS; a file that says how it listens
        is not asked.
        """
        for name in ("cert.pem", "key.pem"):
            (self.directory / name).write_text("x")
        paths = {
            "certificate": str(self.directory / "cert.pem"),
            "private_key": str(self.directory / "key.pem"),
        }
        text, config = self.written(self.file(), **paths, tls_listen="tcp:443")
        assert config.tls is not None
        self.assertEqual(config.tls.certificate, paths["certificate"])
        self.assertEqual(config.listen, ())
        self.assertEqual(
            taken_over(self.file(text))["certificate"], paths["certificate"]
        )
        self.assertEqual(taken_over(self.file("listen: tcp:1\n"))["certificate"], "")
        self.assertNotIn("certificate", taken_over(self.file("bot_name: x\n")))

    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
    def test_any(self, secret: str) -> None:
        """
        Whatever can be an app secret is read by the daemon as it was typed.
        """
        try:
            typed = APP_SECRET_.read(secret)
        except Unfit:
            return
        _, config = self.written(self.file(), app_secret=typed)
        self.assertEqual(config.bots[0].facebook.secret.value, secret)


class QuestionTests(SynchronousTestCase):
    """
    Tests for how answers are read.
    """

    def test_public_url(self) -> None:
        """
        A domain will do, or the whole callback URL; what is none won't.
        """
        for text in (
            "bot.example.org",
            " https://bot.example.org/ ",
            "https://bot.example.org/v1/facebook/webhook/mica",
        ):
            self.assertEqual(PUBLIC_URL.read(text), "https://bot.example.org")
        for text in ("", "ftp://x", "https://u:p@x", "https://x/?a=b", "a b"):
            with self.assertRaises(Unfit):
                PUBLIC_URL.read(text)

    def test_https(self) -> None:
        """
        Meta calls nothing without TLS; a stand-in on this machine does.
        """
        meta, near = "https://graph.facebook.com", "http://127.0.0.1:1"
        self.assertTrue(needs_https("http://x.example", meta))
        self.assertFalse(needs_https("HTTPS://x.example", meta))
        self.assertFalse(needs_https("http://127.0.0.1:2", near))

    def test_header(self) -> None:
        """
        A key, what follows the header's name, and a whole header are told
        apart.
        """
        for text in ("abc", "Bearer abc", "Authorization: Bearer abc"):
            found = header_of("Authorization", text)
            self.assertEqual(found, ("Authorization", "Bearer abc"))
        self.assertEqual(header_of("Authorization", "api-key: abc"), ("api-key", "abc"))
        self.assertEqual(header_of("api-key", "abc"), ("api-key", "abc"))

    def test_secrets(self) -> None:
        """
        White space that came along is taken off; what can't be sent is refused
        without showing it.
        """
        self.assertEqual(APP_SECRET_.read(" abc\n"), "abc")
        self.assertEqual(LLM_KEY_.read("  "), "")
        for question, text in (
            (APP_SECRET_, "gehe im"),
            (APP_SECRET_, "gehe\N{ZERO WIDTH SPACE}im"),
            (APP_SECRET_, "{your-app-secret}"),
            (LLM_KEY_, "gehéim"),
            (LLM_KEY_, "xxx"),
        ):
            with self.assertRaises(Unfit) as caught:
                question.read(text)
            self.assertNotIn(text, str(caught.exception))


class FileTests(PlanCase):
    """
    Tests for what counts as an answer.
    """

    def test_faults(self) -> None:
        """
        What can't be used counts as not there.
        """
        text = (
            "bot_name: a b\npublic_url: x y\nfacebook:\n  secret: 'a b'\n"
            "  app_id: {your-app}\n  page_access_token: ${UNSET}\n"
            "  verify_token: {your-verification-token}\nllm_config:\n"
            "  headers: {Authorization: Bearer xxx}\n"
        )
        self.assertEqual(taken_over(self.file(text)), {})
        self.assertEqual(taken_over(self.file("")), {})
        self.assertEqual(taken_over(evolve(self.file(), text="[1]")), {})
