"""
Tests that the sample file and the page on the keys agree with the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest

import yaml
from attrs import evolve, fields_dict
from twisted.trial.unittest import SynchronousTestCase

import micamsgr
from micamsgr.config import KEYS, TLS, WITHOUT_EFFECT, ConfigError, LanguageModel
from micamsgr.test.test_config import FILLED, GUIDE, fill, parse

REPOSITORY = Path(__file__).parents[2]


def written(node: yaml.Node | None, path: str = "") -> Iterator[str]:
    """Name each key of a document that is no section."""
    assert node is not None
    for key, value in node.value:
        if isinstance(value, yaml.MappingNode) and path + key.value not in KEYS:
            yield from written(value, f"{path}{key.value}.")
        else:
            yield f"{path}{key.value}"


# Keys of llm_config that are sent to the LLM only where they are given.
SENT_ON = {
    key
    for key in KEYS
    if key.startswith("llm_config.")
    and key.partition(".")[2] not in {*fields_dict(LanguageModel), "server"}
}
_LEFT_OUT = object()


def given(key: str, value: object = _LEFT_OUT) -> str | None:
    """
    Say what it makes of a configuration to give a key.

    :return: nothing, where it is as by default; ``another`` configuration; or
        the faults.
    """
    document = {
        "bot_name": "m",
        "llm_config": {},
        "facebook": {"verify_token": "v", "page_access_token": "t", "secret": "s"},
    }
    if key.startswith("tls."):
        document["tls"] = {"certificate": "/c.pem", "private_key": "/k.pem"}
    environ = {"OPENAI_API_KEY": "e"}
    without = parse(yaml.safe_dump(document), environ)
    *sections, name = key.split(".")
    inner: Any = document
    for section in sections:
        inner = inner.setdefault(section, {})
    inner.pop(name, None)
    if value is not _LEFT_OUT:
        inner[name] = value
    try:
        config = parse(yaml.safe_dump(document), environ)
    except ConfigError as error:
        return str(error)
    return None if evolve(config, without_effect=()) == without else "another"


class SampleTests(SynchronousTestCase):
    """
    Tests for the sample file and the page on the keys.
    """

    def read(self, name: str) -> str:
        """Read a file of the repository, which an installed package lacks."""
        path = REPOSITORY / name
        if not path.exists():
            raise SkipTest(f"needs {name}")
        return path.read_text(encoding="utf-8")

    def uncommented(self) -> str:
        """Take the ``#`` from each key of the sample; remarks have a space."""
        sample = self.read("etc/mica.yaml")
        return re.sub(r"^#(?! \S)", "", sample, flags=re.MULTILINE)

    def test_sample(self) -> None:
        """
        What is not commented out in the sample is the guide's block.
        """
        lines = self.read("etc/mica.yaml").splitlines(keepends=True)
        live = "".join(it for it in lines if not it.startswith("#"))
        self.assertEqual(re.sub(r"\n+$", "\n", live), GUIDE)

    def test_sample_defaults(self) -> None:
        """
        Uncommented, each key of the sample says what holds without it.
        """
        config = parse(fill(self.uncommented()))
        self.assertEqual(
            config.tls,
            TLS(
                certificate="/etc/letsencrypt/live/example.org/fullchain.pem",
                private_key="/etc/letsencrypt/live/example.org/privkey.pem",
            ),
        )
        self.assertEqual(evolve(config, tls=None, without_effect=()), parse(FILLED))

    def test_sample_keys(self) -> None:
        """
        The sample has every key, and no other.
        """
        top = yaml.compose(self.uncommented(), Loader=yaml.SafeLoader)
        self.assertEqual(sorted(written(top)), sorted(KEYS))

    def test_page_keys(self) -> None:
        """
        The page on the configuration has every key, and no other.
        """
        keys = [key for key, _, _ in self.rows()]
        self.assertEqual(sorted(keys), sorted(KEYS))

    def rows(self) -> list[tuple[str, str, str]]:
        """
        List the keys of the page, with the default and the meaning of each;
        of keys that are sent on, with their range and their meaning.
        """
        page = self.read("docs/configuration.md")
        row = r"^\| `([a-z_.]+)` \| (.*?) ?\| (.*) \|$"
        return re.findall(row, page, re.MULTILINE)

    def test_page_defaults(self) -> None:
        """
        Each default on the page is what holds where the key is not given;
        where the page names none, the key is needed or may be empty.
        """
        for key, default, _ in self.rows():
            if key in SENT_ON:
                self.assertIs(given(key, None), None, key)
            elif default:
                self.assertRegex(default, "^`[^`]+`$", key)
                value = yaml.safe_load(default.strip("`"))
                self.assertIs(given(key, value), None, key)
            elif (said := given(key)) is None:
                self.assertIs(given(key, None), None, key)
            else:
                self.assertIn(f"{key}: missing", said)

    def test_page_ranges(self) -> None:
        """
        What is sent on to the LLM may be what the page says, and no more.
        """
        for key, allowed, _ in self.rows():
            if key not in SENT_ON:
                continue
            within = [float(it) for it in re.findall(r"-?\d+", allowed)]
            beyond = within[0] - 1 if within else 0.0
            if allowed.startswith("above"):
                within = [within[0] + 0.1]
            for value in within:
                self.assertEqual(given(key, value), "another", key)
            if " to " in allowed:
                self.assertIn("expected", given(key, within[1] + 0.1) or "", key)
            if within:
                self.assertIn("expected", given(key, beyond) or "", key)

    def test_page_examples(self) -> None:
        """
        Each key whose default is none has an example on the page, which is
        taken, and makes a difference.
        """
        for key, default, meaning in self.rows():
            examples = re.findall("e[.]g[.] `([^`]+)`", meaning)
            if key in SENT_ON or (default in ("", "`{}`", "`[]`") and key != "bots"):
                self.assertEqual(len(examples), 1, key)
            for example in examples:
                value = yaml.safe_load(example)
                self.assertEqual(given(key, value), "another", key)

    def test_page_blocks(self) -> None:
        """
        What the page shows of a file can be used as it stands.
        """
        page = self.read("docs/configuration.md")
        first, bots = re.findall("^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
        self.assertEqual(parse(first).bots[0].name, "mica")
        secret = self.mktemp()
        Path(secret).write_text("token")
        environ = {"SHOP_LLM_KEY": "k", "SHOP_VERIFY_TOKEN": "v"}
        bots = re.sub(r"/run/credentials/[\w-]+", str(Path(secret).absolute()), bots)
        self.assertEqual(parse(first + bots, environ).bots[1].name, "shop")


class UseTests(SynchronousTestCase):
    """
    Tests that what the operator decides is heeded.
    """

    # As the values call them.
    renamed = {  # noqa: RUF012
        "bot_name": "name",
        "llm_config.server": "url",
        "handover.quiet_minutes": "quiet",
    }
    # By section, as the code calls what holds its values.
    holders = {  # noqa: RUF012
        "": ("config", "bot"),
        "llm_config": ("llm", "model"),
        "assistant": ("assistant", "manners"),
        "retention": ("kept",),
    }

    def read_by(self, *modules: str) -> set[str]:
        """
        Name the attributes that these modules read, each behind the last name
        of what it is read of, without the low line of a private one.
        """
        return {
            f"{getattr(of, 'attr', getattr(of, 'id', '')).lstrip('_')}.{node.attr}"
            for module in modules
            for path in Path(micamsgr.__file__).parent.glob(module)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
            for of in [node.value]
        }

    def names(self, key: str) -> set[str]:
        """
        Name the attribute that holds what a key says, in the ways in which
        the code may.
        """
        section, _, rest = key.rpartition(".")
        section, *inner = section.split(".")
        name = self.renamed.get(key, "_".join([*inner, rest]))
        holders = self.holders.get(section, (section,))
        return {
            f"{holder}.{'parameters' if key in SENT_ON else name}" for holder in holders
        }

    def test_read(self) -> None:
        """
        Every key is read by the code outside the configuration, or is listed
        as one without effect.  What is made of it is shown elsewhere.
        """
        together = ("tap.py", "composition/*.py")
        top = self.read_by(*together)
        # The daemon itself has no use for it.
        top |= self.read_by("check/inquiry.py") & {"config.public_url"}
        policies = ("delivery.", "handover.", "assistant.", "limits.")
        center = self.read_by(*together, "conversation/*.py")
        unread = {
            key
            for key in KEYS
            if self.names(key).isdisjoint(center if key.startswith(policies) else top)
        }
        listed = tuple(f"{path}." for path in WITHOUT_EFFECT)
        self.assertEqual(
            {it for it in unread if not f"{it}.".startswith(listed)}, set()
        )
