"""
The keys of the configuration: what each is read as, and into which value.

Defaults are those of the values' classes, and ``docs/configuration.md`` says
what the keys mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from attrs import evolve

from micamsgr.config.document import Entries, Fault, Node, entries, gather
from micamsgr.config.listening import DEFAULT, places
from micamsgr.config.readers import (
    boolean,
    chat_url,
    choice,
    count,
    duration,
    each,
    endpoint,
    file_path,
    headers,
    loopback,
    message,
    network,
    number,
    optional,
    prose,
    secret,
    size,
    store,
    url,
    word,
)
from micamsgr.config.section import Section
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
    Subscriptions,
)
from micamsgr.conversation.policy import (
    Delivery,
    Handover,
    Limits,
    Manners,
    Unresolved,
)

# Keys that are read, and whose feature is not built yet.
WITHOUT_EFFECT = ("admin",)

_SLACK = 15  # seconds by which the quarantine should exceed the deadline
# What is delivered again must be known as long as it could be answered, and for
# a while after that.
_LEAST_LEDGER = 7 * 86400.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LEAST_BODY = 1 << 20  # bytes; docs/messenger-platform.md, section 2.3
_PENALTY = optional(number(-2, 2))

_id = word("the number that Meta gave it, digits only", "[0-9]{1,20}")

_DASHBOARD = "your app at developers.facebook.com"
_OPENAI_KEY = "OPENAI_API_KEY"

# Sent to the LLM only where they are given.
_PARAMETERS = {
    "temperature": optional(number(0, 2)),
    "top_p": optional(number(0, 1)),
    "top_k": optional(count(-1)),
    "min_p": optional(number(0, 1)),
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
    "repetition_penalty": optional(number(above=0)),
    "max_tokens": optional(count(1)),
    "max_completion_tokens": optional(count(1)),
    "seed": optional(count(-(10**15))),
    "stop": each(prose("where the LLM is to stop")),
    "reasoning_effort": optional(word("a word such as low", r"[a-z_]+")),
    "verbosity": optional(word("a word such as low", r"[a-z_]+")),
}


def _parameters(found: Entries) -> dict[str, object]:
    given = [key for key in _PARAMETERS if key in found and not found[key].null]
    values = gather(partial(_PARAMETERS[key], found[key]) for key in given)
    return dict(zip(given, values, strict=True))


def _with_key(found: Entries, model: LanguageModel) -> LanguageModel:
    authorized = any(name.lower() == "authorization" for name in model.headers)
    if model.provider != "openai" or model.api_key is not None or authorized:
        return model
    node = found["api_key"]
    if node.source.environ.get(_OPENAI_KEY):
        return evolve(model, api_key=_api_key(node.standing(f"${{{_OPENAI_KEY}}}")))
    if urlsplit(model.url).hostname == "api.openai.com":
        raise node.refusal(
            "missing; put the key of your OpenAI account here, under headers as"
            f" Authorization, or in the environment variable {_OPENAI_KEY}"
        )
    return model


_api_key = secret("the key of your LLM provider")
_llm_keys = {
    "provider": choice("openai", "demo", remark=" (mica, anthropic: not built yet)"),
    "server": chat_url,
    "model": word("the name of a model", r"\S(.*\S)?"),
    "headers": headers,
    "api_key": optional(_api_key),
    "timeout": duration(above=0),
    "concurrency": count(1),
}
_llm_section = partial(
    Section,
    LanguageModel,
    renamed={"server": "url"},
    inlined={"parameters": _parameters},
    shared=_PARAMETERS,
    finish=_with_key,
)
_steps_in = word("openai, as nothing else can step in for an LLM", "openai")
_fallback = _llm_section({**_llm_keys, "provider": _steps_in})
_llm_config = _llm_section(
    {**_llm_keys, "fallbacks": each(_fallback)},
    finish=lambda found, model: _backed(found, _with_key(found, model)),
)


def _backed(found: Entries, model: LanguageModel) -> LanguageModel:
    if model.fallbacks and model.provider == "demo":
        raise found["fallbacks"].refusal(
            "the demo never asks an LLM; take this away, or the provider"
        )
    return model


def _llm(found: Entries) -> LanguageModel:
    """Read ``llm_config``, which MICA also spells ``llm`` and ``llm.chat``."""
    mica = found["llm"]
    if mica.absent:
        return _llm_config(found["llm_config"])
    if "llm_config" in found:
        raise mica.refusal("means the same as llm_config; keep one of them")
    if mica.find("chat") is None:
        return _llm_config(mica)
    chat = entries(mica, {"chat"})
    return gather([partial(_llm_config, chat["chat"])], chat.faults)[0]


_facebook = Section(
    Facebook,
    {
        "verify_token": secret(
            "the verification token that you chose",
            f"the same as in {_DASHBOARD}, Messenger, Webhooks",
            pattern=".+",
        ),
        "page_access_token": secret(
            "the Page's access token", f"found in {_DASHBOARD}, Messenger"
        ),
        "secret": secret(
            "the app secret", f"found in {_DASHBOARD}, App settings, Basic"
        ),
        "page_id": optional(_id),
        "app_id": optional(_id),
        "graph_url": url("https://graph.facebook.com"),
        "api_version": word("a version such as v25.0", r"v[0-9]{1,3}\.[0-9]{1,3}"),
        "mark_seen": boolean,
    },
)

_manners = Section(
    Manners,
    {
        "history.messages": count(0),
        "history.characters": count(0),
        "apology.after": duration(above=0),
        "apology.text": message,
        "patience": duration(above=0),
        "fallback": message,
    },
)
_assistant = Section(
    Assistant,
    {"instructions": prose("what the LLM is to know about its task")},
    inlined={"manners": lambda found: _manners.build(evolve(found, faults=[]))},
    shared=_manners.keys,
)


def _by(node: Node) -> str | tuple[str, ...]:
    wanted = "inbox, any, or a list of app IDs"
    names = each(word(wanted, "inbox|any|[0-9]{1,20}"))(node)
    if names in (("inbox",), ("any",)):
        return names[0]
    if not names or not {"inbox", "any"}.isdisjoint(names):
        raise node.refusal(f"expected {wanted}")
    return names


def _minutes(node: Node) -> float:
    return 60 * number(0, wanted="a number of minutes")(node)


_handover = Section(
    Handover,
    {
        "quiet_minutes": _minutes,
        "by": _by,
        "wake": optional(prose("a word")),
        "pass_to": optional(_id),
    },
    renamed={"quiet_minutes": "quiet"},
)


def _unresolved(node: Node) -> Unresolved:
    return Unresolved(choice("resend", "hold", "drop")(node))


def _in_doubt(found: Entries, delivery: Delivery) -> Delivery:
    if delivery.quarantine <= delivery.deadline:
        raise found["quarantine"].refusal(
            f"must exceed the deadline of {delivery.deadline:g} s; put"
            f" {delivery.deadline + _SLACK:g} here"
        )
    return delivery


_delivery = Section(
    Delivery,
    {
        "rate": number(0),
        "deadline": duration(above=0),
        "quarantine": duration(above=0),
        "lookup_lag": duration(0),
        "lookup_rate": number(above=0),
        "unresolved": _unresolved,
    },
    finish=_in_doubt,
)
_limits = Section(
    Limits,
    {
        "person.turns_per_minute": count(0),
        "person.turns_per_day": count(0),
        "person.tokens_per_day": count(0),
        "bot.tokens_per_day": count(0),
        "text": message,
    },
)

_bot_name = word(
    "a name of 1 to 64 letters (A to Z), digits, dots, hyphens or underscores",
    r"[A-Za-z0-9._-]{1,64}",
)
_bot = Section(
    Bot,
    {
        "bot_name": _bot_name,
        "facebook": _facebook,
        "assistant": _assistant,
        "handover": _handover,
        "delivery": _delivery,
        "limits": _limits,
        "subscriptions": Section(Subscriptions, {"repair": boolean}),
        "allow": each(_id),
    },
    renamed={"bot_name": "name"},
    inlined={"llm": _llm},
    shared={"llm_config": _llm_config, "llm": _llm_config},
)
_BOT_KEYS = {**_bot.keys, **_bot.shared}


def _bot_nodes(found: Entries) -> tuple[Node, ...]:
    """
    List the nodes of all bots; the one at the top comes first, if there is one.
    """
    listed = found["bots"].items()
    if listed and _BOT_KEYS.keys().isdisjoint(found.given):
        return listed
    return (found.node, *listed)


def _bots(found: Entries) -> tuple[Bot, ...]:
    def read(node: Node) -> Bot:
        if node is found.node:
            return _bot.build(evolve(found, faults=[]))
        return _bot(node)

    nodes = _bot_nodes(found)
    repeated = [
        *_repeated(nodes, "bot_name", "another bot has this name"),
        *_repeated(nodes, "facebook.page_id", "another bot answers on this Page"),
        *_repeated(
            nodes, "facebook.page_access_token", "another bot has the same token"
        ),
    ]
    return gather((partial(read, node) for node in nodes), repeated)


def _repeated(nodes: tuple[Node, ...], path: str, problem: str) -> Iterator[Fault]:
    seen: dict[str, Node] = {}
    for node in nodes:
        found = node.find(*path.split("."))
        text = found and found.peek()
        if found is None or not text:
            continue
        if text in seen:
            place = f"in line {seen[text].line}; each needs its own"
            yield from found.bare.refusal(f"{problem}, {place}").faults
        seen.setdefault(text, found)


def _tls(found: Entries) -> TLS | None:
    return optional(_tls_section)(found["tls"])


_tls_section = Section(
    TLS,
    {"listen": each(endpoint), "certificate": file_path, "private_key": file_path},
    finish=lambda found, tls: _listening(found, tls),
)


def _listening(found: Entries, tls: TLS) -> TLS:
    if not tls.listen:
        raise found["listen"].refusal("empty; put an endpoint such as tcp:443 here")
    return tls


def _bodies(found: Entries, clients: Clients) -> Clients:
    if clients.unverified < clients.body:
        raise found["unverified"].refusal("must hold at least one body; raise it")
    return clients


def _kept(found: Entries, retention: Retention) -> Retention:
    least = max(_LEAST_LEDGER, retention.texts, retention.raw)
    if retention.ledger < least:
        raise found["ledger"].refusal(
            "must be at least 7d, and no shorter than texts and raw; put"
            f" {math.ceil(least / 86400)}d here"
        )
    return retention


def _complete(found: Entries, config: Config) -> Config:
    listen = config.listen
    if not listen and config.tls is None:
        if "listen" in found:
            raise found["listen"].refusal(f"empty; put {DEFAULT} here, or give tls")
        listen = (DEFAULT,)
    return evolve(
        config,
        listen=listen,
        warnings=tuple(_warnings(found, config)),
        without_effect=tuple(_without_effect(found)),
    )


def _warnings(found: Entries, config: Config) -> Iterator[str]:
    for node, bot in zip(_bot_nodes(found), config.bots, strict=True):
        wanted = bot.delivery.deadline + _SLACK
        # A stand-in's answers don't come from afar.
        near = urlsplit(bot.facebook.graph_url).hostname in _LOOPBACK
        if bot.delivery.quarantine < wanted and not near:
            delivery = node.find("delivery")
            assert delivery is not None, "the defaults give no warning"
            place = entries(delivery, _delivery.keys)["quarantine"]
            problem = f"short for this deadline; put {wanted:g} or more here"
            yield str(*place.refusal(problem).faults)


def _without_effect(found: Entries) -> Iterator[str]:
    for path in WITHOUT_EFFECT:
        for node in (found.node, *found["bots"].items()):
            given = node.find(*path.split("."))
            if given is not None and not given.null:
                yield given.path


ROOT = Section(
    Config,
    {
        "public_url": optional(url("https://bot.example.org")),
        "listen": each(endpoint),
        "admin": Section(Admin, {"listen": each(endpoint)}),
        "store": store,
        "clients": Section(
            Clients,
            {
                "connections": count(1),
                "per_address": count(1),
                "trusted_proxies": each(network),
                "body": size(_LEAST_BODY),
                "unverified": size(1),
            },
            finish=_bodies,
        ),
        "log": Section(
            Log,
            {
                "level": choice("debug", "info", "warn", "error", "critical"),
                "format": choice("text", "json"),
                "texts": boolean,
            },
        ),
        "sandbox": Section(Sandbox, {"listen": each(loopback)}),
        "retention": Section(
            Retention,
            dict.fromkeys(
                ("texts", "raw", "ledger"),
                duration(above=0),
            ),
            finish=_kept,
        ),
    },
    inlined={"bots": _bots, "tls": _tls, "places": places},
    shared={**_BOT_KEYS, "tls": _tls_section, "bots": each(_bot)},
    finish=_complete,
)

KEYS = tuple(path for path in ROOT.paths() if not path.startswith("llm."))
