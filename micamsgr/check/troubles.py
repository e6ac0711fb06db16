"""
All that a question can fail for, what it means and what to do about it.

``docs/checking.md`` has the same table; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping

from .findings import Finding, Trouble, failed
from .troubles_here import HERE
from .troubles_there import THERE

#: The questions, in the order in which they are answered.
QUESTIONS: Mapping[str, str] = {
    "configuration": "Can the configuration be used?",
    "secrets": "Who may read the secrets, and who may change them?",
    "certificate": "Will Meta take the certificate, and for how long?",
    "ports": "Can the daemon listen where it should, or does it?",
    "store": "Can what people write be kept?",
    "graph": "Does the Graph API answer, how fast, and how often not?",
    "clock": "Is this machine's clock right?",
    "token": "Is the Page's token valid, and for how long?",
    "app": "Is the token the app's, and the secret too?",
    "page": "Is the token that of the right Page?",
    "scopes": "Does the token allow what the bot does?",
    "appsecret_proof": "Does the Graph API accept our proof of the secret?",
    "app_subscription": "Does Meta know where to deliver, and what?",
    "page_subscription": "Does Meta tell the app what happens on the Page?",
    "routing": "Does anybody else answer on the Page?",
    "mode": "Is the app live?",
    "webhook": "Does the webhook's public URL answer, with TLS that Meta takes?",
    "webhook_verification": "Is Meta's verification answered?",
    "webhook_signed": "Is a signed delivery taken?",
    "webhook_unsigned": "Is an unsigned delivery refused?",
    "llm": "Does the LLM answer, and how fast?",
}


def _unanswered(question: str) -> tuple[str, Trouble]:
    return failed(
        f"{question}.unanswered",
        "no answer was found in time, or by a defect of this program",
        "nobody can tell whether it is right",
        "check again; if it stays so, see to this machine's network and disk",
    )


TROUBLES: Mapping[str, Trouble] = dict(
    (*HERE, *THERE, *(_unanswered(question) for question in QUESTIONS))
)


def trouble(name: str, about: str, line: str) -> Finding:
    """
    Make the finding that something is wrong.

    :param name: one of :data:`TROUBLES`, such as ``token.expired``.
    """
    known = TROUBLES[name]
    return Finding(
        question=name.partition(".")[0],
        about=about,
        verdict=known.verdict,
        line=line,
        name=name,
        means=known.means,
        todo=known.todo,
    )
