"""
``twistd -n micamessenger``: reads the configuration, and makes of it what
twistd starts.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.logger import ILogObserver
from twisted.python.components import Componentized
from twisted.python.usage import Options as UsageOptions

from .clock import Clocks, boot_id
from .composition import build
from .config import load_config, usual_file
from .config.document import ConfigError
from .config.values import Config
from .errors import StoreUnavailable
from .logs import LogWriter, is_journal, with_severity
from .processor import OneProcessor
from .services import CannotStart, InTurn, SecondSignal, raise_file_limit
from .systemd import ServiceManager
from .web.tls import Unusable


class Options(UsageOptions):
    """
    ``twistd -n micamessenger --config FILE``
    """

    longdesc = "Answer the people who write to a Facebook Page, with an LLM."
    optParameters = [  # noqa: RUF012
        [
            *("config", "c", None),
            "The configuration file (what MICA_CONFIG names; else mica.yaml here, or"
            " etc/mica.yaml).",
        ],
    ]

    config: Config

    def postOptions(self) -> None:
        parent: Any = self.parent
        if parent is not None:
            if not parent.get("nodaemon"):
                # Not a UsageError, which twistd prints below a page of help.
                _give_up(
                    "only `twistd -n micamessenger` is supported; let systemd, or"
                    " whatever starts it, keep it in the background"
                )
            # A stale one would keep the next start from succeeding.
            parent["pidfile"] = ""
        if self["config"] is None:
            self["config"] = usual_file(os.environ)
        try:
            self.config = load_config(Path(self["config"]), os.environ)
        except ConfigError as error:
            _give_up(str(error))


def _give_up(why: str) -> None:
    out = sys.__stderr__
    if out is not None and is_journal(out, os.environ):
        why = with_severity(why, "error")
    print(why, file=out)
    raise SystemExit(1)


class Daemon(InTurn):
    """
    The whole of it, below twistd's application.
    """

    def __init__(self, log: ILogObserver | None) -> None:
        super().__init__()
        self._observer = log

    def setServiceParent(self, parent: Any) -> None:
        # The one place where a plugin can say how twistd is to log.
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        try:
            super().startService()
        except (CannotStart, StoreUnavailable, Unusable) as error:
            _give_up(getattr(error, "detail", None) or str(error))


def collect_seldom() -> None:
    """
    Look for garbage in cycles less often, and not in what is there for good.

    Hardly anything here is in cycles; Python's defaults look for it with every 700
    objects that are made and kept for a moment, as for each request there are
    dozens.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def makeService(options: Options) -> IService:
    """
    Build the service tree for the reactor that twistd installed.

    Nothing is opened here; a service that can't start ends the process with
    status 1 and a line on standard error.
    """
    from twisted.internet import reactor

    config = options.config
    reactor.callWhenRunning(collect_seldom)
    # Twisted's reactors count delays on the wall clock: set back an hour, it
    # would stop every timer for that long.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    files = raise_file_limit()
    parent: Mapping[str, Any] = getattr(options, "parent", None) or {}
    elsewhere = any(parent.get(key) for key in ("logfile", "syslog", "logger"))
    log = LogWriter(
        sys.stdout,
        level=config.log.level,
        format=config.log.format,
        journal=is_journal(sys.stdout, os.environ),
    )
    path = Path(options["config"])
    root = Daemon(None if elsewhere else log)
    SecondSignal(reactor).setServiceParent(root)
    OneProcessor(reactor).setServiceParent(root)
    try:
        for service in build(
            reactor,
            config,
            Clocks(boot_id()),
            files,
            load=lambda: load_config(path, os.environ),
            log_level=log.set_level,
            manager=ServiceManager.of(os.environ, os.getpid()),
            runtime=os.environ.get("RUNTIME_DIRECTORY"),
            file=path,
        ):
            service.setServiceParent(root)
    except CannotStart as error:
        _give_up(str(error))
    return root
