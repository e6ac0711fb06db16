"""
The configuration: YAML text to frozen, validated values.

Reads the file and those that it names, and opens nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from micamsgr.config.document import ConfigError, Fault, Source, compose
from micamsgr.config.keys import KEYS, ROOT, WITHOUT_EFFECT
from micamsgr.config.readers import store
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
    "load_store",
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


def usual_file(environ: Mapping[str, str], directory: Path = Path()) -> str:
    """
    Find the configuration file that is meant where none is named: the one of
    ``MICA_CONFIG``; or else ``mica.yaml`` in the working directory, where setup
    writes it, or ``etc/mica.yaml`` there.
    """
    if named := environ.get("MICA_CONFIG"):
        return named
    known = ("mica.yaml", "etc/mica.yaml")
    return next((it for it in known if (directory / it).exists()), known[0])


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """
    Read a configuration file.

    :raises ConfigError: as for :func:`parse_config`, and where the file can't
        be read.
    """
    return parse_config(
        _text(path), directory=path.parent, environ=environ, name=str(path)
    )


def load_store(path: Path, environ: Mapping[str, str]) -> str:
    """
    Read from a configuration file where things are kept, whatever else may be
    wrong in it.

    :return: absolute path.

    :raises ConfigError: where it doesn't say.
    """
    top = compose(_text(path), Source(str(path), path.parent, environ))
    return store(top.find("store") or top.child("store", None, None))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        if isinstance(error, FileNotFoundError):
            problem += "; name yours with --config; `micamessenger setup` writes one"
    except UnicodeDecodeError:
        problem = "is not text in UTF-8; save it as such"
    raise ConfigError([Fault(None, "", problem, str(path))])
