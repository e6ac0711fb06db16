"""
Tests for the twistd plugin.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin, getPlugins
from twisted.python.usage import Options
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted.plugins import micamessenger_plugin


def plugin() -> Any:
    """
    Find the plugin as twistd does.
    """
    (found,) = (
        plugin
        for plugin in getPlugins(IServiceMaker)
        if plugin.tapname == "micamessenger"
    )
    return found


class PluginTests(SynchronousTestCase):
    """
    Tests for what twistd finds; they fail where the package is installed
    without its plugin.
    """

    def test_found(self) -> None:
        """
        twistd finds ``micamessenger``, once.
        """
        found = plugin()
        verifyObject(IServiceMaker, found)
        verifyObject(IPlugin, found)

    def test_module(self) -> None:
        """
        What it names can be imported, and makes the service.
        """
        found = plugin()
        self.assertEqual(found.module, "micamsgr.tap")
        module = import_module("micamsgr.tap")
        self.assertTrue(issubclass(module.Options, Options))
        self.assertIs(found.options, module.Options)
        self.assertIs(found.makeService, module.makeService)

    def test_cheap(self) -> None:
        """
        Listing the plugins imports nothing of ours.
        """
        source = Path(micamessenger_plugin.__file__).read_text("utf-8")
        imported = [
            node.module
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ImportFrom)
        ]
        self.assertEqual(imported, ["twisted.application.service"])
        self.assertNotIn("\nimport ", source)
