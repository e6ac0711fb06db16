"""
Tests that the sample file and the page on the keys agree with the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

import yaml
from attrs import evolve, fields_dict
from twisted.trial.unittest import SynchronousTestCase

import micamsgr
from micamsgr.config import KEYS, TLS, WITHOUT_EFFECT, LanguageModel
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
        page = self.read("docs/configuration.md")
        rows = re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE)
        self.assertEqual(sorted(rows), sorted(KEYS))


class UseTests(SynchronousTestCase):
    """
    Tests that what the operator decides is heeded.
    """

    # As the values call them.
    renamed = {  # noqa: RUF012
        "bot_name": "name",
        "server": "url",
        "quiet_minutes": "quiet",
        "history.messages": "history_messages",
        "history.characters": "history_characters",
    }

    def read_by(self, *modules: str) -> set[str]:
        """
        Name the attributes that these modules read of anything.
        """
        return {
            node.attr
            for module in modules
            for path in Path(micamsgr.__file__).parent.glob(module)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        }

    def name(self, key: str) -> str:
        """
        Name the attribute that holds what a key says.
        """
        for spelled, name in self.renamed.items():
            if f".{key}".endswith(f".{spelled}"):
                return name
        if key.startswith("limits."):
            return key.partition(".")[2].replace(".", "_")
        section, _, name = key.rpartition(".")
        sent_on = section == "llm_config" and name not in fields_dict(LanguageModel)
        return "parameters" if sent_on else name

    def test_read(self) -> None:
        """
        Every key is read by the code outside the configuration, or is listed
        as one without effect.
        """
        top = self.read_by("tap.py", "upkeep.py")
        policies = ("delivery.", "handover.", "assistant.", "limits.")
        center = self.read_by("tap.py", "upkeep.py", "conversation/*.py")
        unread = {
            key
            for key in KEYS
            if self.name(key) not in (center if key.startswith(policies) else top)
        }
        listed = tuple(f"{path}." for path in WITHOUT_EFFECT)
        self.assertEqual(
            {it for it in unread if not f"{it}.".startswith(listed)}, set()
        )
