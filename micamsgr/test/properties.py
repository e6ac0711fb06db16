"""
Hypothesis, for the tests of what is pure; or, where it is not installed, as
beside a plain installation, what lets these tests be skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

if TYPE_CHECKING:
    from hypothesis import example, given, settings
    from hypothesis import strategies as st
else:
    try:
        from hypothesis import HealthCheck, example, given, settings
        from hypothesis import strategies as st

        # How fast a shared machine is says nothing about the tests.
        settings.register_profile(
            "shared", deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        settings.load_profile("shared")
    except ImportError:

        class _Anything:
            """
            Stands for every strategy; nothing is ever drawn from it.
            """

            def __call__(self, *_: Any, **__: Any) -> _Anything:
                return self

            def __getattr__(self, _: str) -> _Anything:
                return self

            def __or__(self, _: object) -> _Anything:
                return self

        st = _Anything()

        def given(*_: Any, **__: Any) -> Callable[[Any], Any]:
            """
            Make a test that is skipped.
            """

            def decorate(test: Any) -> Any:
                def skipped(self: Any) -> None:
                    raise SkipTest("needs hypothesis")

                skipped.__doc__ = test.__doc__
                return skipped

            return decorate

        def settings(*_: Any, **__: Any) -> Callable[[Any], Any]:
            """
            Change nothing.
            """
            return lambda test: test

        example = settings


__all__ = ["example", "given", "settings", "st"]
