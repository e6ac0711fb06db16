"""
Twisted's logger, for what is told of each message.
"""

from __future__ import annotations

from time import time

from twisted.logger import LogLevel

from twisted import logger


class Logger(logger.Logger):
    """
    A logger that is its class's, and not each instance's.

    Twisted makes one each time that it is looked at, to note whose it is, which
    nobody here asks; and with each event sorts the levels, to see whether its own
    is one of them: nearly half of what it takes to tell something.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.namespace = f"{owner.__module__}.{owner.__name__}"

    def __get__(self, instance: object, owner: type | None = None) -> Logger:
        return self

    def emit(
        self, level: LogLevel, format: str | None = None, **kwargs: object
    ) -> None:
        """
        See :meth:`twisted.logger.Logger.emit`.
        """
        kwargs.update(
            log_logger=self,
            log_level=level,
            log_namespace=self.namespace,
            log_source=None,
            log_format=format,
            log_time=time(),
        )
        self.observer(kwargs)
