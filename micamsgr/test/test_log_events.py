"""
Tests that whoever reads the log can look up what it says.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import SkipTest

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).parents[1]
MANUAL = PACKAGE.parent / "docs" / "events.md"

_METHODS = ("debug", "info", "warn", "error", "critical", "failure", "emit")

# Passes on what stands in a table of names, levels and formats.
_PASSED_ON = "format"


@frozen
class Said:
    """
    What the daemon may log.

    :ivar where: the file and the line.
    :ivar event: by what name; empty where it has none that can be read here.
    :ivar level: empty where it is known only as the daemon runs.
    """

    where: str
    event: str
    level: str
    format: str

    @property
    def text(self) -> str:
        """The format, with ``…`` for what varies."""
        return re.sub(r"\{[^}]*\}", "…", self.format)


def everything_said() -> Iterator[Said]:
    """
    Find what the daemon may log.
    """
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE)
        if "test" in name.parts:
            continue
        module = ast.parse(file.read_text(encoding="utf-8"))
        constants = {
            ast.unparse(it.targets[0]): it.value
            for it in module.body
            if isinstance(it, ast.Assign)
        }
        for node in ast.walk(module):
            found = _call(node) or _row(node)
            if found is None:
                continue
            event, level, format = found
            for text in _texts(format, constants):
                yield Said(f"{name}:{node.lineno}", event, level, text)  # type: ignore[attr-defined]


def _call(node: ast.AST) -> tuple[str, str, ast.expr] | None:
    """
    Read a call of a log.
    """
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    method = node.func.attr
    if method not in _METHODS or not ast.unparse(node.func.value).endswith("log"):
        return None
    names = [it.value for it in node.keywords if it.arg == "event"]
    event = ast.literal_eval(names[0]) if _is_text(names) else ""
    if method == "emit":
        return event, _level(node.args[0]), node.args[1]
    return event, "critical" if method == "failure" else method, node.args[0]


def _row(node: ast.AST) -> tuple[str, str, ast.expr] | None:
    """
    Read the name, the level and the format of a call that stand in a table.
    """
    if not isinstance(node, ast.Tuple) or len(node.elts) != 3:
        return None
    event, level, format = node.elts
    if not _is_text([event]) or not _level(level):
        return None
    return ast.literal_eval(event), _level(level), format


def _is_text(nodes: list[ast.expr]) -> bool:
    return bool(nodes) and isinstance(nodes[0], ast.Constant)


def _level(node: ast.expr) -> str:
    name = re.fullmatch(r"LogLevel\.(\w+)", ast.unparse(node))
    return name[1] if name else ""


def _texts(node: ast.expr, constants: Mapping[str, ast.expr]) -> Iterator[str]:
    """
    Spell the texts that an expression may give.

    :param constants: of its module, by name.
    """
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, constants)
        yield from _texts(node.orelse, constants)
    elif isinstance(node, ast.Name) and node.id in constants:
        yield from _texts(constants[node.id], constants)
    elif ast.unparse(node) != _PASSED_ON:
        raise AssertionError(f"what may be said by {ast.unparse(node)}?")


@frozen
class Row:
    """
    A row of the page.

    :ivar levels: those at which it may be said.
    :ivar begin: how the text begins.
    """

    event: str
    levels: frozenset[str]
    begin: str

    def is_of(self, said: Said) -> bool:
        """
        Say whether *said* can be looked up here.
        """
        level = not said.level or said.level in self.levels
        return level and said.event == self.event and said.text.startswith(self.begin)


class EventTests(SynchronousTestCase):
    """
    Tests for the tables in ``docs/events.md``.
    """

    def setUp(self) -> None:
        if not MANUAL.exists():
            raise SkipTest("needs docs/events.md")
        rows = re.findall(
            r"^\| `(\S+)` \| ([a-z, ]+) \| `(.+?)` \| .+ \| .+ \|$",
            MANUAL.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        self.rows = [
            Row(event, frozenset(levels.split(", ")), begin.rstrip("…").rstrip(": "))
            for event, levels, begin in rows
        ]
        self.said = list(everything_said())

    def test_known(self) -> None:
        """
        Whatever is said has a row: its name, its level, and how it begins.
        """
        missing = [
            it for it in self.said if not any(row.is_of(it) for row in self.rows)
        ]
        self.assertEqual(missing, [])
        self.assertGreater(len(self.said), 100)

    def test_said(self) -> None:
        """
        Each row is of something that is still said, at each of its levels.
        """
        for row in self.rows:
            levels = {it.level for it in self.said if row.is_of(it)}
            self.assertTrue(levels, row)
            self.assertTrue("" in levels or levels == row.levels, row)

    def test_names(self) -> None:
        """
        Names are of one kind: what it is about, and what happened.
        """
        for row in self.rows:
            self.assertRegex(row.event, r"^[a-z_]+\.[a-z_]+$|^defect$")

    def test_words(self) -> None:
        """
        Nothing is written as a programmer writes it.
        """
        self.assertEqual([it for it in self.said if re.search("![ra]", it.format)], [])
