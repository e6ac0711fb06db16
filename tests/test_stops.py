"""
Where the runs that end the daemon end it.
"""

from __future__ import annotations

import ast
import inspect

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.states import NEXT, PartState
from micamsgr.store import sqlite
from tests.stops import COMMITS, LEFT_OUT, POINTS, plan


def writing() -> set[str]:
    """
    Name the methods of the store that commit something.
    """
    (store,) = (
        node
        for node in ast.parse(inspect.getsource(sqlite)).body
        if isinstance(node, ast.ClassDef)
    )
    return {
        method.name
        for method in store.body
        if isinstance(method, ast.AsyncFunctionDef)
        and any(
            isinstance(node, ast.Attribute) and node.attr in ("_write", "_admit")
            for node in ast.walk(method)
        )
    }


class CommitsTests(SynchronousTestCase):
    """
    Tests for the list of commits.
    """

    def test_all(self) -> None:
        """
        Whatever the store commits the daemon is ended around, or it is said why
        not.
        """
        # An echo is recorded, too; and a part's change is named by its states.
        known = {name for name in COMMITS if ">" not in name} - {"echo"}
        self.assertEqual(known | set(LEFT_OUT), writing() - {"change"})
        self.assertEqual(known & set(LEFT_OUT), set())

    def test_moves(self) -> None:
        """
        Whatever may become of a part the daemon is ended around.
        """
        moves = {
            f"{before.value}>{after.value}"
            for before, following in NEXT.items()
            for after in following
            if isinstance(before, PartState)
        }
        self.assertEqual(moves - set(COMMITS), set())

    def test_plan(self) -> None:
        """
        Each point is in a plan as often as is asked for, but for what happens
        once and for all.
        """
        planned = plan(POINTS, 3)
        fewer = {point for point in POINTS if planned.count(point) != 3}
        self.assertEqual(fewer, {"remember_page.kept"})
