"""
What is different between two configurations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from micamsgr.config.values import Bot, Config


@frozen
class BotChanges:
    """
    What becomes of which bots, by name.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def bot_changes(before: Config, after: Config) -> BotChanges:
    """
    Compare the bots of two configurations.
    """
    old, new = _by_name(before), _by_name(after)
    texts = before.log.texts != after.log.texts
    return BotChanges(
        added=tuple(name for name in new if name not in old),
        changed=tuple(
            name for name in new if name in old and (texts or new[name] != old[name])
        ),
        removed=tuple(name for name in old if name not in new),
    )


def _by_name(config: Config) -> Mapping[str, Bot]:
    return {bot.name: bot for bot in config.bots}


def at_next_start(before: Config, after: Config) -> Iterator[str]:
    """
    Name the keys that have changed, and that only a start reads.
    """
    for key in ("store", "clients", "sandbox"):
        if getattr(before, key) != getattr(after, key):
            yield key
    if before.log.format != after.log.format:
        yield "log.format"


def where(before: Config, after: Config) -> Iterator[str]:
    """
    Name the keys of where the daemon listens that have changed; the order in
    which one lists endpoints is none.
    """
    if set(before.listen) != set(after.listen):
        yield "listen"
    if before.tls is None or after.tls is None:
        if before.tls != after.tls:
            yield "tls"
    elif set(before.tls.listen) != set(after.tls.listen):
        yield "tls.listen"
    if set(before.admin.listen) != set(after.admin.listen):
        yield "admin.listen"


def at_once(before: Config, after: Config) -> Iterator[str]:
    """
    Name the keys of the daemon, and not of a bot, that have changed and are in
    force at once; but not where it listens.
    """
    if before.tls is not None and after.tls is not None:
        for key in ("certificate", "private_key", "further", "modern", "hsts"):
            if getattr(before.tls, key) != getattr(after.tls, key):
                yield f"tls.{key}"
    for key in ("level", "texts"):
        if getattr(before.log, key) != getattr(after.log, key):
            yield f"log.{key}"
    for key in ("retention", "public_url"):
        if getattr(before, key) != getattr(after, key):
            yield key
