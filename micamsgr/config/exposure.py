"""
Where in a configuration its secrets are.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from .document import REFERENCE, ConfigError, Source, compose

_OF_META = {"verify_token", "page_access_token", "secret"}
_SECRETS = {*_OF_META, "api_key"}

# What may stand in a header before what it refers to.
_SCHEMES = {"", "bearer", "basic"}


@frozen
class Exposure:
    """
    :ivar inline: whether the file itself holds secrets.
    :ivar files: that it takes values from.
    """

    inline: bool
    files: tuple[Path, ...]


def exposure(
    text: str,
    *,
    directory: Path,
    environ: Mapping[str, str],
    sandboxed: bool = False,
) -> Exposure:
    """
    Find out where a configuration's secrets are.

    :param directory: of the file; relative paths begin there.
    :param sandboxed: whether no bot is Meta's, so that what only Meta is to
        know is no secret.

    :raises ConfigError: where it is not YAML.
    """
    top = compose(text, Source("", directory, environ))
    inline = False
    secrets = _SECRETS - _OF_META if sandboxed else _SECRETS
    files: dict[Path, None] = {}
    for key, written in top.scalars():
        for match in REFERENCE.finditer(written):
            if match["file"]:
                with suppress(ConfigError):
                    files[top.referred(match["file"])] = None
        if key in secrets or key.lower() == "authorization":
            rest = REFERENCE.sub(lambda match: match["default"] or "", written)
            inline = inline or rest.strip().lower() not in _SCHEMES
    return Exposure(inline, tuple(files))
