"""
Tests for which module may know which: dependencies point towards
:mod:`micamsgr.conversation`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

import micamsgr

PACKAGE = Path(micamsgr.__file__).parent
ROOT = PACKAGE.parent

LONGEST = 450

# What of ours each room may import beside itself.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "conversation": {"errors", "logger"},
    "store": {"conversation", "errors"},
    "messenger": {"conversation", "errors", "httpcall", "logger", "unseen"},
    "assistant": {"conversation", "errors", "httpcall", "logger", "unseen"},
    # It stands for others' services, and must not make our mistakes.
    "sandbox": {"conversation.assistant", "errors", "services"},
    "web": {"errors"},
    "config": {"conversation.events", "conversation.policy"},
    "httpcall": {"agent", "connecting", "errors", "timers"},
    "agent": set(),
    "connecting": {"errors"},
    "clock": {"conversation.moment"},
    "logger": set(),
    "logs": set(),
    "processor": set(),
    "services": {"accepting", "inherited"},
    "systemd": {"errors"},
    "accepting": set(),
    "inherited": set(),
    "unseen": set(),
    "timers": set(),
    "cli": {"__version__", "check", "config", "control", "setup", "store"},
    "check": {
        "__version__",
        "assistant.chat_completions",
        "config",
        "control.client",
        "conversation.assistant",
        "errors",
        "httpcall",
        "messenger",
        "sandbox.addresses",
        "services",
        "store.following",
        "store.look",
        "web.tls",
    },
    "setup": {
        "__version__",
        "check",
        "config",
        "control.client",
        "errors",
        "httpcall",
        "messenger",
    },
    # An operator's commands, and what of the daemon does them.
    "control": {"conversation", "errors", "store"},
    "metrics": set(),
    "watching": {"conversation.moment", "errors", "metrics", "store"},
}

# Of the center, what decides and never waits; the rest is the dispatcher.
PURE = {
    "assistant",
    "deletion",
    "echoes",
    "events",
    "interfaces",
    "limits",
    "missed",
    "moment",
    "pacing",
    "outcomes",
    "parts",
    "planner",
    "policy",
    "reception",
    "states",
    "ulid",
}
TWISTED_OF_THE_CENTER = {
    "twisted.application.service",
    "twisted.internet.defer",
    "twisted.internet.interfaces",
    "twisted.internet.task",
    "twisted.logger",
    "twisted.python.failure",
}
OUTSIDE = {
    "OpenSSL",
    "asyncio",
    "http",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "treq",
    "urllib",
    "yaml",
}

SQL = re.compile(
    r"\b(SELECT\s.*\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|CREATE\s+(TABLE|INDEX)|PRAGMA)\b",
    re.DOTALL,
)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """
    Read all modules of the package but the tests.

    :return: pairs of a dotted name, without ``micamsgr.``, and the syntax.
    """
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts and parts[0] != "test":
            yield ".".join(parts), ast.parse(path.read_text("utf-8"))


def imports(name: str, tree: ast.AST) -> set[str]:
    """
    List what a module imports, wherever in it: modules, and names in them.
    """
    found: set[str] = set()
    is_package = (PACKAGE / name.replace(".", "/")).is_dir()
    package = ["micamsgr", *name.split(".")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = node.level - is_package if node.level else 0
            base = package[: len(package) - up] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found.update(f"{source}.{alias.name}" for alias in node.names)
    return found


def room(module: str) -> str:
    """
    Name the room of a module of ours.
    """
    return module.removeprefix("micamsgr.").split(".")[0]


def within(imported: str, modules: set[str]) -> bool:
    """
    Say whether a module, or a name in it, is one of *modules* or in one.
    """
    return any(imported == m or imported.startswith(f"{m}.") for m in modules)


class LayerTests(SynchronousTestCase):
    """
    Tests for what modules import.
    """

    def test_relative(self) -> None:
        """
        An import is seen however it is written.
        """
        for text, name in (
            ("import micamsgr.errors", "micamsgr.errors"),
            ("from micamsgr import errors", "micamsgr.errors"),
            ("from .parts import Part", "micamsgr.conversation.parts.Part"),
            ("from . import parts", "micamsgr.conversation.parts"),
            ("from ..store import sqlite", "micamsgr.store.sqlite"),
            ("def f():\n    from time import time", "time.time"),
        ):
            found = imports("conversation.steps", ast.parse(text))
            self.assertEqual(found, {name})
        found = imports("conversation", ast.parse("from .parts import Part"))
        self.assertEqual(found, {"micamsgr.conversation.parts.Part"})

    def test_arrows(self) -> None:
        """
        Each room knows only the rooms that it needs, and the center none.
        """
        for name, tree in modules():
            here = room(name)
            if here not in ARROWS:
                continue
            for imported in imports(name, tree):
                known = {f"micamsgr.{far}" for far in ARROWS[here] | {here}}
                if within(imported, {"micamsgr"}):
                    self.assertTrue(within(imported, known), f"{name}: {imported}")

    def test_rooms(self) -> None:
        """
        Every room's arrows are known, but for those that put it all together.
        """
        rooms = {room(name) for name, _ in modules()}
        self.assertEqual(rooms - set(ARROWS), {"composition", "tap", "testing"})
        self.assertEqual(set(ARROWS) - rooms, set())

    def test_composition(self) -> None:
        """
        Nobody knows the module that puts it all together, and nothing of the
        product knows the tests' stand-ins.
        """
        for name, tree in modules():
            if room(name) in ("composition", "tap", "testing"):
                continue
            for imported in imports(name, tree):
                far = {
                    "micamsgr." + it for it in ("composition", "tap", "testing", "test")
                }
                self.assertFalse(within(imported, far), f"{name}: {imported}")

    def test_center(self) -> None:
        """
        The center uses of Twisted what it needs to wait, to log and to be a
        service, and nothing of the world outside.
        """
        for name, tree in modules():
            if room(name) == "conversation":
                for imported in imports(name, tree):
                    self.assertFalse(within(imported, OUTSIDE), f"{name}: {imported}")
                    if within(imported, {"twisted"}):
                        known = within(imported, TWISTED_OF_THE_CENTER)
                        self.assertTrue(known, f"{name}: {imported}")

    def test_pure(self) -> None:
        """
        What decides can't wait, tell the time or draw lots.
        """
        seen = set()
        for name, tree in modules():
            last = name.rpartition(".")[2]
            if room(name) == "conversation" and last in PURE:
                seen.add(last)
                for imported in imports(name, tree):
                    far = {"twisted", *OUTSIDE}
                    self.assertFalse(within(imported, far), f"{name}: {imported}")
                for node in ast.walk(tree):
                    waits = isinstance(node, (ast.Await, ast.AsyncWith, ast.AsyncFor))
                    self.assertFalse(waits, name)
        self.assertEqual(seen, PURE)

    def test_reactor(self) -> None:
        """
        Only the module that puts it all together imports the reactor.
        """
        reactor = {"twisted.internet.reactor"}
        importing = {
            name
            for name, tree in modules()
            if any(within(imported, reactor) for imported in imports(name, tree))
        }
        self.assertEqual(importing, {"tap"})

    def test_sql(self) -> None:
        """
        Only the store knows SQL.
        """
        for name, tree in modules():
            if room(name) in ("store", "testing"):
                continue
            self.assertFalse(
                any(within(i, {"sqlite3"}) for i in imports(name, tree)), name
            )
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    self.assertIsNone(SQL.search(node.value), name)

    def test_sql_is_seen(self) -> None:
        """
        What is taken for SQL is found in the store.
        """
        texts = [
            node.value
            for name, tree in modules()
            if name in ("store.schema", "store.sqlite", "store.database")
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        self.assertGreater(sum(SQL.search(text) is not None for text in texts), 15)


class CheckoutTests(SynchronousTestCase):
    """
    Tests for files that are only in a checkout.
    """

    def setUp(self) -> None:
        if not (ROOT / "setup.cfg").is_file():
            raise SkipTest("needs a checkout")

    def test_plugin(self) -> None:
        """
        What tells twistd about us imports nothing of ours.
        """
        for path in (ROOT / "twisted" / "plugins").glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    self.assertNotEqual(room(node.module or ""), "micamsgr")
                elif isinstance(node, ast.Import):
                    names = {alias.name.split(".")[0] for alias in node.names}
                    self.assertNotIn("micamsgr", names)

    def test_no_plugin_package(self) -> None:
        """
        Twisted's folder of plugins is no package of ours.
        """
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])

    def test_installed(self) -> None:
        """
        Whoever installs it gets every package that there is.
        """
        setup = RawConfigParser()
        setup.read(ROOT / "setup.cfg")
        listed = set(setup["options"]["packages"].split()) - {"twisted.plugins"}
        there = {
            ".".join(path.parent.relative_to(ROOT).parts)
            for path in PACKAGE.rglob("__init__.py")
        }
        self.assertEqual(listed, there)

    def test_length(self) -> None:
        """
        No module is longer than one can keep in mind.
        """
        lengths = {
            str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n")
            for top in (PACKAGE, ROOT / "tests", ROOT / "bench", ROOT / "twisted")
            for path in top.rglob("*.py")
        }
        too_long = {name: n for name, n in lengths.items() if n > LONGEST}
        self.assertEqual(too_long, {})
