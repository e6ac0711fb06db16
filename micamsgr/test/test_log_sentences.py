"""
Tests that an operator can look up what the log says.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).parents[1]
MANUAL = PACKAGE.parent / "docs" / "operating.md"

LOUD = {"warn", "error", "critical", "failure"}
QUIET = {"info", "debug"}

# How a format is named that stands in a pair with its level, where it is found.
_PAIRED = "format"


def sentences() -> Iterator[tuple[str, str, str]]:
    """
    Find what the daemon may log: the file, the method or level, and the format.
    What says its level as it runs counts as ``emit``.
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
            level, said = _said(node)
            for format in _texts(said, constants):
                yield str(name), level, format


def _said(node: ast.AST) -> tuple[str, ast.expr | None]:
    """
    Read the level and the format of a call of a log's, or of a pair of the two.
    """
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        of_log = ast.unparse(node.func.value).endswith("log")
        if of_log and node.func.attr in LOUD | QUIET:
            return node.func.attr, node.args[0]
        if of_log and node.func.attr == "emit":
            return _level(node.args[0]), node.args[1]
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:
        level = _level(node.elts[0])
        return level, node.elts[1] if level != "emit" else None
    return "", None


def _level(node: ast.expr) -> str:
    name = re.fullmatch(r"LogLevel\.(\w+)", ast.unparse(node))
    return name[1] if name else "emit"


def _texts(node: ast.expr | None, constants: Mapping[str, ast.expr]) -> Iterator[str]:
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
    elif node is not None and ast.unparse(node) != _PAIRED:
        raise AssertionError(f"what may be said by {ast.unparse(node)}?")


def begins(format: str) -> str:
    """
    Write ``…`` for what varies in a format.
    """
    return re.sub(r"\{[^}]*\}", "…", format)


class SentenceTests(SynchronousTestCase):
    """
    Tests for the tables in ``docs/operating.md``.
    """

    def setUp(self) -> None:
        if not MANUAL.exists():
            raise SkipTest("needs docs/operating.md")
        text = MANUAL.read_text(encoding="utf-8").partition("\n## What the log says\n")[
            2
        ]
        rows = re.findall(r"^\| `(.+?)` \| (.+) \| (.+) \|$", text, re.MULTILINE)
        self.rows = [row[0].rstrip("…").rstrip(": ") for row in rows]

    def test_known(self) -> None:
        """
        Each warning and error has a row that begins as it does.
        """
        missing = [
            (where, format)
            for where, level, format in sentences()
            if level not in QUIET
            and not any(begins(format).startswith(row) for row in self.rows)
        ]
        self.assertEqual(missing, [])

    def test_said(self) -> None:
        """
        Each row is of a sentence that is still said, and has words by which it
        can be found.
        """
        said = [
            begins(format) for _, level, format in sentences() if level not in QUIET
        ]
        gone = [row for row in self.rows if not any(it.startswith(row) for it in said)]
        self.assertEqual(gone, [])
        self.assertEqual([row for row in self.rows if len(row.strip("… ")) < 8], [])
        self.assertGreater(len(self.rows), 50)

    def test_words(self) -> None:
        """
        Nothing is written as a programmer writes it.
        """
        self.assertEqual([it for it in sentences() if re.search("![ra]", it[2])], [])
