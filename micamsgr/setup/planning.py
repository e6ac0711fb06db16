"""
What a configuration has already, and what is to be written for it to have what
it should.

Nothing here writes.  Of files only those are read that the configuration names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from micamsgr.config.document import REFERENCE, ConfigError, Node, Source, compose
from micamsgr.config.readers import headers, is_placeholder, secret

from . import questions
from .editing import Wish, literal, put, take_out
from .questions import DEMO, Question, Unfit

_HEAD = """\
# Mica Messenger, as `micamessenger setup` wrote it. It can be run again, and
# changes nothing of yours. Every further key, with its default:
# etc/mica.yaml and docs/configuration.md. What is wrong: `micamessenger check`.
# After a change: `systemctl reload micamessenger`, or send the daemon SIGHUP.
"""

# By answer, where it stands in a configuration; of an LLM below its section.
_PLACES: Mapping[str, tuple[str, ...]] = {
    "bot": ("bot_name",),
    "public_url": ("public_url",),
    "verify_token": ("facebook", "verify_token"),
    "token": ("facebook", "page_access_token"),
    "app_secret": ("facebook", "secret"),
    "page": ("facebook", "page_id"),
    "app_id": ("facebook", "app_id"),
    "graph_url": ("facebook", "graph_url"),
    "api_version": ("facebook", "api_version"),
    "listen": ("listen",),
    "tls_listen": ("tls", "listen"),
    "certificate": ("tls", "certificate"),
    "private_key": ("tls", "private_key"),
}
_LLM_PLACES: Mapping[str, tuple[str, ...]] = {
    "llm_provider": ("provider",),
    "llm_server": ("server",),
    "llm_model": ("model",),
}
_COMMENTS = {
    "bot": "The end of the webhook's URL: /v1/facebook/webhook/mica",
    "public_url": "Where Meta reaches this server.",
    "llm_server": "Any server that speaks OpenAI's chat completions.",
    "llm_provider": "demo: built in, needs no LLM; openai: any compatible server.",
    "llm_key": "Sent to the LLM as it stands.",
    "verify_token": "Made up by setup. Meta must know the same one: your app,\n"
    "Messenger, Webhooks.",
    "token": "The Page's access token: what is sent is sent with it.",
    "app_secret": "The app secret: your app, App settings, Basic. It shows that\n"
    "what comes is from Meta.",
    "page": "The Page that the token is of, and the app.",
    "listen": "Plain HTTP, for a web server or a tunnel before the daemon.",
    "tls_listen": "HTTPS, to which Meta connects.",
    "certificate": "A renewed certificate is taken into use by itself.",
}

#: Answers that are secret, and the names of their files.
SECRETS = {
    "verify_token": "verify_token",
    "token": "page_access_token",
    "app_secret": "app_secret",
    "llm_key": "llm_key",
}

_READERS: Mapping[str, Question] = {
    "bot": questions.BOT,
    "public_url": questions.PUBLIC_URL,
    "app_id": questions.APP_ID,
    "page": questions.PAGE,
    "token": questions.TOKEN_,
    "app_secret": questions.APP_SECRET_,
    "llm_server": questions.LLM_SERVER,
    "llm_model": questions.LLM_MODEL,
}

# A value that stands in a file of its own, and nowhere else.
_WHOLE_FILE = re.compile(r"\$\{file:([^{}]+)\}")


@frozen
class File:
    """
    A configuration file as it is, or is to be.

    :ivar text: empty where there is none.
    :ivar environ: what ``${NAME}`` refers to.
    """

    path: Path
    text: str
    environ: Mapping[str, str]

    def outline(self) -> Node:
        """
        Read it as far as it can be.

        :raises ConfigError: it is not YAML.
        """
        source = Source(str(self.path), self.path.parent, self.environ)
        return compose(self.text, source)


def taken_over(file: File) -> dict[str, str]:
    """
    Tell which answers a file has already.

    What is a placeholder, or can't be used, counts as none.  ``llm_key`` is
    empty where the file has a key that stays as it is; ``certificate``, where it
    says itself how it listens.

    :raises ConfigError: it is not YAML.
    """
    top, found = file.outline(), {}
    for name, path in _all_places(top).items():
        node = top.find(*path)
        text = "" if node is None else node.peek()
        if not text:
            continue
        try:
            found[name] = _READERS[name].read(text) if name in _READERS else text
        except Unfit:
            continue
    verify_token = top.find("facebook", "verify_token")
    found.pop("verify_token", None)
    with suppress(ConfigError):
        if verify_token is not None:
            found["verify_token"] = secret("", pattern=".+")(verify_token).value
    if found.get("llm_provider") == DEMO:
        found["llm_server"] = DEMO
    elif _has_key(top):
        found["llm_key"] = ""
        listed = top.find(*_llm(top), "headers")
        names = [] if listed is None else [*listed.members()[0]]
        if len(names) == 1:
            found["llm_header"] = names[0]
    if found.get("llm_server") != DEMO and "llm_key" in found:
        for question in (questions.LLM_SERVER, questions.LLM_MODEL):
            assert question.default is not None
            found.setdefault(question.name, question.default)
    if any(_given(top.find(key)) for key in ("tls", "listen")):
        found.setdefault("certificate", "")
    return found


def _given(node: Node | None) -> bool:
    return node is not None and not node.null


def _has_key(top: Node) -> bool:
    section = _llm(top)
    listed = top.find(*section, "headers")
    with suppress(ConfigError):
        if listed is not None and headers(listed):
            return True
    key = top.find(*section, "api_key")
    with suppress(ConfigError):
        return key is not None and bool(secret("")(key).value)
    return False


def _llm(top: Node) -> tuple[str, ...]:
    """Tell where the LLM is described; MICA has spellings of its own."""
    for path in (("llm", "chat"), ("llm",)):
        if _given(top.find(*path)):
            return path
    return ("llm_config",)


def _all_places(top: Node) -> dict[str, tuple[str, ...]]:
    section = _llm(top)
    of_llm = {name: (*section, *path) for name, path in _LLM_PLACES.items()}
    bot, url, *rest = _PLACES.items()
    return dict([bot, url]) | of_llm | dict(rest)


@frozen(kw_only=True)
class Plan:
    """
    What is to be written.

    :ivar text: of the configuration.
    :ivar files: what is to be in files of their own, secrets all.
    :ivar keys: that change, dotted.
    """

    text: str
    files: Mapping[Path, str]
    keys: tuple[str, ...]


def plan(
    file: File, answers: Mapping[str, str], apart: Path | None, *, inline: bool = False
) -> Plan:
    """
    Decide what is to be written.

    What the file says already stays as it stands.

    :param answers: by name; those of an LLM's key as ``llm_header`` and
        ``llm_key``, where it is to change.
    :param apart: the directory for secrets in files of their own; ``None``:
        they stand in the file itself, unless they are apart already.
    :param inline: put all that changes into the file itself, to see whether it
        could be used; it is not to be written then.

    :raises Unwritable: the file is laid out so that it can't be changed.
    :raises ConfigError: it is not YAML.
    """
    top = file.outline()
    wishes: list[Wish] = []
    files: dict[Path, str] = {}
    keys: list[str] = []
    for name, path, value in _wanted(top, answers):
        node = top.find(*path)
        written = _written(node)
        stays = apart is None or name not in SECRETS or REFERENCE.search(written)
        if node is not None and node.peek() == value and stays:
            continue
        held = _WHOLE_FILE.fullmatch(written)
        keys.append(".".join(path))
        if held and name in SECRETS and node is not None and not inline:
            files[node.referred(held[1])] = value
            continue
        text = literal(value)
        if name in SECRETS and apart is not None:
            where = apart / SECRETS[name]
            files[where] = value
            text = f"${{file:{where}}}"
        comment = _COMMENTS.get(name, "")
        wishes.append(Wish(path=path, value=text, comment=comment))
    before = file.text or _HEAD
    for place in _leftovers(top, {wish.path for wish in wishes}):
        keys.append(".".join(place))
        before = take_out(before, place)
    return Plan(
        text=put(before, wishes) if keys else file.text,
        files=files,
        keys=tuple(keys),
    )


def _leftovers(top: Node, wished: Collection[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """
    Find headers that hold only the guide's placeholder, and get nothing better.
    """
    section = (*_llm(top), "headers")
    listed = top.find(*section)
    members = {} if listed is None else listed.members()[0]
    places = [(*section, name) for name, it in members.items() if is_placeholder(it)]
    return [place for place in places if place not in wished]


def _written(node: Node | None) -> str:
    """Give what a value is written as, references and all."""
    if node is None:
        return ""
    return next((text for _, text in node.scalars()), "")


def _wanted(
    top: Node, answers: Mapping[str, str]
) -> list[tuple[str, tuple[str, ...], str]]:
    given, section = dict(answers), _llm(top)
    demo = given.get("llm_server") == DEMO
    given.pop("llm_provider", None)
    found = top.find(*section, "provider")
    if demo:
        given["llm_provider"] = DEMO
        for name in ("llm_server", "llm_model", "llm_key"):
            given.pop(name, None)
    elif found is not None and not found.null:
        given["llm_provider"] = "openai"
    wanted: list[tuple[str, tuple[str, ...], str]] = []
    for name, path in _all_places(top).items():
        # An empty one says that there is none.
        if given.get(name):
            wanted.append((name, path, given[name]))
        if name == "llm_model" and given.get("llm_key"):
            header, value = questions.header_of(
                given.get("llm_header", "Authorization"), given["llm_key"]
            )
            wanted.append(("llm_key", (*section, "headers", header), value))
    return wanted
