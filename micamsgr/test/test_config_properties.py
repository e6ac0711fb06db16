"""
Properties of :mod:`micamsgr.config`.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.config import KEYS, Config, ConfigError, parse_config
from micamsgr.test.properties import given, st
from micamsgr.test.test_config import FILLED, GUIDE

ENVIRON = {"NAME": "value", "EMPTY": ""}

fragments = st.sampled_from(
    [
        *"\n\t -:{}[]#&*!|>'\"%@`$~,.0",
        *("\n  ", "\n- ", ": ", "${NAME}", "${EMPTY}", "${file:x}", "$${", "<<: "),
        *("*a", "&a ", "null", "1e9", "-1", "30d", "3MiB", "tcp:80", "unix:"),
        *("haproxy:tcp:1", "sqlite:", "http://", "[::1]", "\\ud800"),
        *sorted({part for key in KEYS for part in key.split(".")}),
    ]
)
documents = st.one_of(
    st.text(), st.lists(st.one_of(fragments, st.characters())).map("".join)
)
scalars = st.one_of(
    st.text(), st.text("0123456789.:-/smhdkMiB"), st.lists(fragments).map("".join)
)


def parse(text: str) -> Config | ConfigError:
    """Read a document, of which anything may be wrong."""
    try:
        return parse_config(text, directory=Path("/nowhere"), environ=ENVIRON)
    except ConfigError as error:
        return error


class ParsePropertyTests(SynchronousTestCase):
    """
    Properties of parsing.
    """

    def assertTold(self, result: Config | ConfigError) -> None:
        """Fail unless each fault is one line that can be printed."""
        if isinstance(result, ConfigError):
            assert result.faults
            for fault in result.faults:
                assert str(fault).isprintable(), fault

    @given(documents)
    def test_any_text(self, text: str) -> None:
        """
        Any text is a configuration, or faults of a line each.
        """
        self.assertTold(parse(text))

    @given(documents)
    def test_any_ending(self, text: str) -> None:
        """
        So is any text after a good beginning.
        """
        self.assertTold(parse(FILLED + text))

    @given(st.sampled_from(KEYS), scalars)
    def test_any_value(self, key: str, value: str) -> None:
        """
        Any value of any key is taken, or refused in a line of its own.
        """
        *sections, last = key.split(".")
        lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(sections)]
        quoted = "'" + value.replace("'", "''") + "'"
        lines.append(f"{'  ' * len(sections)}{last}: {quoted}")
        self.assertTold(parse("\n".join(lines)))

    @given(st.lists(st.sampled_from(GUIDE.splitlines(keepends=True))))
    def test_any_lines(self, lines: list[str]) -> None:
        """
        The guide's lines in any order are a configuration or faults.
        """
        self.assertTold(parse("".join(lines)))

    @given(st.text("abcdefXYZ0123456789", min_size=8), st.sampled_from(KEYS))
    def test_secrecy(self, value: str, key: str) -> None:
        """
        No fault shows a value, whatever key it stands at.
        """
        value = f"s3cret{value}"
        *sections, last = key.split(".")
        text = "".join(f"{name}: {{" for name in sections)
        text += f"{last}: {value}" + "}" * len(sections)
        assert value not in str(parse(text))
