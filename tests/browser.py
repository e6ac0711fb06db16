"""
A real browser, driven by WebDriver over plain HTTP.

Source: www.w3.org/TR/webdriver2/, and Chromium's own ``goog/cdp`` and
``se/log``.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import SkipTest

from attrs import define, field
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from tests.ports import free_port
from tests.stand_ins import Loopback

#: What WebDriver calls the key.
ENTER = "\ue007"
TAB = "\ue004"

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--lang=en-US",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_POLL = 0.05


def programs() -> tuple[str, str]:
    """
    Find the browser and its driver.

    :raises SkipTest: where one of them is missing.
    """
    driver = shutil.which("chromedriver")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if driver is None or browser is None:
        raise SkipTest("needs chromium and chromedriver (Debian: chromium-driver)")
    return browser, driver


class _Driver(ProcessProtocol):
    """
    The driver's process.
    """

    transport: Any

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)


@define(eq=False)
class Browser:
    """
    One browser with one window.

    :ivar _directory: for its profile; new.
    """

    _reactor: Any
    _directory: Path

    _http: HTTPClient = field(init=False)
    _process: _Driver = field(factory=_Driver, init=False)
    _root: str = field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        loopback = Loopback(self._reactor)
        agent = Agent.usingEndpointFactory(self._reactor, loopback, pool)
        self._http = HTTPClient(agent)

    async def start(self) -> None:
        """
        Start the driver, and the browser by it.

        :raises SkipTest: where there is none.
        """
        browser, driver = programs()
        port = free_port()
        self._root = f"http://127.0.0.1:{port}"
        self._reactor.spawnProcess(
            self._process, driver, [driver, f"--port={port}"], env=None
        )
        profile = f"--user-data-dir={self._directory.resolve()}"
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": browser, "args": [*_FLAGS, profile]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        await self._listening()
        asked = {"capabilities": {"alwaysMatch": wanted}}
        session = await self._ask("POST", "/session", asked)
        self._root += f"/session/{session['sessionId']}"

    async def stop(self) -> None:
        """
        End the browser and the driver.
        """
        if self._process.transport is None:
            return
        if "/session/" in self._root:
            await self._ask("DELETE", "")
        try:
            self._process.transport.signalProcess("TERM")
        except ProcessExitedAlready:
            return
        await self._process.ended

    async def open(self, url: str) -> None:
        """
        Go to a page, and wait until it is loaded.
        """
        await self._ask("POST", "/url", {"url": url})

    async def show(self, width: int, height: int, theme: str = "light") -> None:
        """
        Give the window a size, and the system a color scheme and a wish for
        stillness, so that pictures of it are all alike.
        """
        mobile = width < 600
        metrics = {"width": width, "height": height, "mobile": mobile}
        await self._cdp(
            "Emulation.setDeviceMetricsOverride", {**metrics, "deviceScaleFactor": 1}
        )
        await self._cdp("Emulation.setTouchEmulationEnabled", {"enabled": mobile})
        await self._cdp("Emulation.setScrollbarsHidden", {"hidden": mobile})
        features = [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        await self._cdp("Emulation.setEmulatedMedia", {"features": features})

    async def run(self, script: str, *arguments: object) -> Any:
        """
        Run a function's body in the page.

        :return: what it returns, by way of JSON.
        """
        asked = {"script": script, "args": list(arguments)}
        return await self._ask("POST", "/execute/sync", asked)

    async def until(
        self, script: str, *arguments: object, seconds: float = 15.0
    ) -> Any:
        """
        Wait until a function's body returns what is true.

        :raises AssertionError: where it does not in time.
        """
        deadline = self._reactor.seconds() + seconds
        while not (found := await self.run(script, *arguments)):
            if self._reactor.seconds() > deadline:
                seen = await self.run("return document.body.innerText")
                raise AssertionError(f"not so in {seconds} s: {script}\n{seen}")
            await deferLater(self._reactor, _POLL)
        return found

    async def click(self, selector: str) -> None:
        """
        Click on an element, as a mouse does: it must be visible.
        """
        element = await self._find(selector)
        await self._ask("POST", f"/element/{element}/click", {})

    async def type(self, selector: str, text: str) -> None:
        """
        Type into an element.
        """
        element = await self._find(selector)
        await self._ask("POST", f"/element/{element}/value", {"text": text})

    async def press(self, *keys: str) -> None:
        """
        Press keys one after another, wherever the focus is.
        """
        actions = [
            {"type": kind, "value": key}
            for key in keys
            for kind in ("keyDown", "keyUp")
        ]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        await self._ask("POST", "/actions", {"actions": [keyboard]})

    async def console(self) -> list[str]:
        """
        Read what was written to the console since the last time.
        """
        entries = await self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    async def screenshot(self) -> bytes:
        """
        Make a picture of the window, in PNG.
        """
        return base64.b64decode(await self._ask("GET", "/screenshot"))

    async def _find(self, selector: str) -> str:
        asked = {"using": "css selector", "value": selector}
        found = await self._ask("POST", "/element", asked)
        return str(found[_ELEMENT])

    async def _cdp(self, command: str, parameters: Mapping[str, object]) -> None:
        asked = {"cmd": command, "params": parameters}
        await self._ask("POST", "/goog/cdp/execute", asked)

    async def _listening(self) -> None:
        deadline = self._reactor.seconds() + 20.0
        while True:
            try:
                await self._ask("GET", "/status")
            except ConnectError:
                if self._reactor.seconds() > deadline:
                    raise
                await deferLater(self._reactor, _POLL)
            else:
                return

    async def _ask(self, method: str, path: str, document: object = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        asking = self._http.request(
            method,
            self._root + path,
            data=body,
            headers=Headers({"Content-Type": ["application/json"]}),
        )
        response = await asking
        answer = json.loads(await response.content())["value"]
        if response.code != 200:
            raise AssertionError(f"{answer['error']}: {answer['message']}")
        return answer
