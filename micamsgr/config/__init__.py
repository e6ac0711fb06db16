"""
The configuration: YAML text to frozen, validated values.

Reads the file and those that it names, and opens nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from micamsgr.config.document import ConfigError, Fault, Source, compose
from micamsgr.config.keys import KEYS, ROOT, WITHOUT_EFFECT
from micamsgr.config.values import (
    TLS,
    Admin,
    Assistant,
    Bot,
    Clients,
    Config,
    Facebook,
    LanguageModel,
    Log,
    Retention,
    Sandbox,
    Secret,
    Subscriptions,
)

__all__ = [
    "KEYS",
    "TLS",
    "WITHOUT_EFFECT",
    "Admin",
    "Assistant",
    "Bot",
    "Clients",
    "Config",
    "ConfigError",
    "Facebook",
    "Fault",
    "LanguageModel",
    "Log",
    "Retention",
    "Sandbox",
    "Secret",
    "Subscriptions",
    "load_config",
    "parse_config",
]


def parse_config(
    text: str, *, directory: Path, environ: Mapping[str, str], name: str = "mica.yaml"
) -> Config:
    """
    Read a configuration file's text.

    :param directory: of the file; relative paths begin there.
    :param environ: what ``${NAME}`` refers to.
    :param name: the file's, for faults.

    :raises ConfigError: naming *every* fault found, so that the operator
        mends the file once.  Holds no secret.
    """
    return ROOT(compose(text, Source(name, directory, environ)))


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """
    Read a configuration file.

    :raises ConfigError: as for :func:`parse_config`, and where the file can't
        be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "is not text in UTF-8; save it as such"
    else:
        return parse_config(
            text, directory=path.parent, environ=environ, name=str(path)
        )
    raise ConfigError([Fault(None, "", problem, str(path))])
