"""
An assistant without an LLM, which shows to whoever tries the program what it
does.  It knows a few words of English, and needs no network.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from itertools import takewhile

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from micamsgr.conversation.assistant import IAssistant, Reply, Role, Utterance
from micamsgr.errors import Refused, Unavailable

# In seconds; the second is what the person waits for the second try.
_SLOWNESS = 8.0
_RETRY_AFTER = 2.0

# What a reply costs: nothing, but no reply may count as less.
_TOKENS = 1


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b")


_FLAKY = _words("flaky")
_FAIL = _words("fail|errors?")
_SLOW = _words("slow")
# "What happens if it should fail?" asks to be told, not to be shown.
_QUESTION = _words("what|when|how|why")
_STARTED = _words("get started")

_MENU = """\
Write “long”, “slow”, “markdown”, “flaky” or “fail” to see how each of these \
looks in Messenger.

Or ask me
• how messages are kept
• what happens when the LLM fails, or the network
• what a human colleague can do
• about privacy, languages or the price
• how to go live"""

_INTRODUCTION = "Hello! 👋 This is Mica Messenger."

_ABOUT = f"""\
I'm a demo: there is no LLM behind me, only a few prepared answers. Everything \
around me is real, though: your message was written to disk before it was \
acknowledged, and this answer before it was sent.

{_MENU}"""

_HELLO = f"Hello again! 👋\n\n{_MENU}"

_LOST = f"Sorry, that's beyond a demo: I only know a few words. 🙂\n\n{_MENU}"

_SLOWLY = """\
I thought about that for 8 seconds. You saw that I was typing (and, where the \
operator wants it, a word that it takes a moment), and meanwhile I could have \
answered many other people: each conversation waits only for itself.

If you had written more in the meantime, I'd have answered that next."""

_RECOVERED = """\
Here I am! My first try just failed, as an LLM does now and then. So your \
message waited on disk for two seconds and I was asked again. All you noticed \
is that it took a little longer."""

_MARKDOWN = """\
## What an LLM writes

LLMs like **Markdown**, which Messenger shows *as it is written*. So it is made \
into plain text first:

1. Headings, **bold** and *italics* lose their marks.
2. Lists get real bullets:
   - like this one
   - and this one
3. Links show [where they lead](https://example.com).

| Markdown | Here |
|---|---|
| tables | lines such as this one |
| `code` | each character as it was |

```python
def greet(name):
    return f"Hello {name} ** 2 * 3 * 4"
```

What only looks like Markdown stays: snake_case, 2*3*4, C:\\path."""

_LONG = """\
This is a long answer, to show you how it is divided: a message in Messenger \
holds 2,000 characters, so you get several, in order, each ending where a \
paragraph does. Here is what happened to the message that you just sent.

First, Messenger delivered it to this program's webhook. The program limited \
how much it was willing to read, and checked the signature over every byte, \
because anybody on the internet can write to that address. Only then did it look \
at what was in it. Whatever it does not understand, it sets aside, so that one \
odd item never holds up the others.

Then it wrote your message to its database, and waited until it was safely on \
the disk. Not before that did it tell Messenger that all was well. Had the power \
failed a moment earlier, Messenger would have delivered the message again; a \
moment later, and it would have been found on the disk after the restart. And \
because each message is kept under a key of its own, one that is delivered twice \
is still answered once.

Next, the dispatcher was told that there was news. It makes sure that only one \
answer at a time is being prepared for you, so that your messages are answered \
in their order, and that no conversation waits for another. Everything you wrote \
since the last answer is answered together, which is why you may send your \
question in three messages, as people do.

Now it was the assistant's turn. Normally that is an LLM, which is given the \
operator's instructions and what was said in this conversation so far, as much \
of it as fits. While it thinks, you see that somebody is typing. If it fails, it \
is asked again after a while, a little later each time; the operator may also \
have named other LLMs that step in. Should all of it go on for too long, you are \
told so, once, instead of waiting for ever. And if the program is restarted in \
the middle of it, it simply asks again; nobody has seen the first answer yet.

LLMs like to write Markdown, with asterisks around what is bold and bars between \
the columns of a table, and Messenger would show you all of that as it stands. \
So the answer was made into plain text: lists have bullets, links have their \
address beside them, and what only looks like Markdown, such as 2*3*4, was left \
alone.

When the answer was there, it was cut into messages, at the end of a paragraph \
if there is one, else of a line, of a sentence, or of a word; a link or an emoji \
is never torn apart. All of these messages were written to disk, together with \
the note that the first of them was about to be sent. From here on the words are \
fixed: whatever happens, nobody asks the LLM the same thing again and gets \
another answer.

Sending is the hardest part. Usually Messenger says at once that a message was \
sent. But suppose that the connection breaks before it says so. Was the message \
sent, or not? To send it again might say it twice; not to send it might lose it. \
So the program does what you would do: it looks. Messenger reports what the Page \
has said, and the program recognizes its own messages by a mark that it put on \
them. If that does not help, it waits until the attempt can no longer be under \
way and then reads the conversation, twice. Only if the message is really not \
there is it sent again. On a real Page that takes the better part of a minute, \
and happens rarely; but it is why you need not read anything twice.

All of these decisions are small functions without side effects. A test tries \
them in every order of crashes, delays and losses that could occur, and looks \
for a message that was lost, said twice, or stuck for ever. It finds none.

And if many people write at once? Then each conversation has a queue of its own, \
and they take turns at the LLM and at Messenger, both of which only take so much \
at a time. Somebody who asks a hundred things does not keep the others waiting, \
and nothing is thrown away because there is much to do.

Last of all: if a human colleague answers you from the Page's inbox, the program \
notices, withdraws what it has not sent yet, and keeps quiet for a while. People \
come first.

That's the whole journey. In the sandbox you can try to spoil it: its switches \
make the network fail in every way that hurts. 🙂"""

# Each question's words, and its answer; the first that fits is given.
_TOPICS = (
    (_words("markdown"), _MARKDOWN),
    (_words("(?<!how )long"), _LONG),
    (
        _words(
            "networks?|connections?|internet|offline|graph|(?:in )?doubt|arrives?"
            "|arrived|send(?:s|ing)? (?:fails?|breaks?)|(?:fails?|failed) to send"
        ),
        "If a message of mine surely did not leave, it is tried again, a little"
        " later each time. If the connection breaks before Messenger says whether"
        " it arrived, I don't guess: Messenger reports what the Page has said, and"
        " if that does not help, I read the conversation, twice. Only what is"
        " really not there is sent again, so you need not read anything twice.\n\n"
        "In the sandbox, its switches “Send fails” and “Answer lost” show it.",
    ),
    (
        _words("fails|failed|failing|failure|fail|errors?|outage|breaks"),
        "If the LLM fails for the moment, it is asked again, a little later each"
        " time, as long as the operator has patience: minutes on a real Page, and"
        " seconds in the sandbox. Other LLMs can be named to step in. If there is no"
        " hope, you are told so in a friendly sentence, and nothing is left"
        " hanging.\n\nWrite “flaky” to see the first, and “fail” to see the second.",
    ),
    (
        _words("human|handover|hand over|colleague|agent|staff|takes? over|inbox"),
        "A human can answer at any time, simply by writing from the Page's inbox."
        " I notice, withdraw what I have not sent yet, and keep quiet in that"
        " conversation for a while: half an hour by default, and less in the"
        " sandbox. Later I know what the human said.",
    ),
    (
        _words("privacy|private|gdpr|data|personal|secure|security|safe"),
        "What you write is kept in one file on the operator's own machine. The LLM"
        " is given the words of the conversation, and neither your name nor your"
        " ID. The log has no texts, unless the operator asks for them. And nothing"
        " is looked at that Meta did not sign.\n\nThis demo gives nothing to any LLM.",
    ),
    (
        _words("prices?|pricing|costs?|pay|paid|free|money|expensive|license"),
        "The program is free: open source, under the Apache License 2.0. What you"
        " pay for is the LLM of your choice, and a small machine to run it on.",
    ),
    (
        _words("languages?|english|spanish|german|french|chinese|arabic|translate"),
        "With an LLM I answer in the language in which you write to me, as far as"
        " the LLM knows it; messages are cut properly in any script, emoji"
        " included. Without one, as now, I only know some English.",
    ),
    (
        _words("live|install|set ?up|deploy|production|configure|configuration"),
        "To go live you need a Facebook Page, an app at developers.facebook.com,"
        " and an LLM.\n\n"
        "1. Make the program reachable by HTTPS.\n"
        "2. Type: micamessenger setup. It asks for the app's secrets and your"
        " LLM's key, and tells Meta the rest.\n"
        "3. Start the program, and write to your Page.\n\nThe README tells it"
        " step by step.",
    ),
    (
        _words(
            "keep|keeps|kept|stored?|saved?|lose|loses|lost|database|disk|crash"
            "|crashes|kill|killed|restart|power|twice|duplicates?|remember|reliable"
        ),
        "Each message is on disk before Messenger is told that it arrived, and each"
        " answer before it is sent. So the program may be killed at any instant:"
        " no message is lost, none is answered twice, and it goes on where it was."
        "\n\nWrite “long” for the whole story.",
    ),
    (
        _words("help|menu|try|(?:who|what) are you|you do|about|demo"),
        _ABOUT,
    ),
    (
        _words("thanks?|thank you|thx|great|nice|cool|wow|perfect"),
        "You're welcome! 😊 Is there anything else you'd like to try?",
    ),
    (
        _words("hello|hi|hey|good (?:morning|afternoon|evening)|how are you"),
        _HELLO,
    ),
    (_words("bye|goodbye|see you|ciao"), "Goodbye! It was a pleasure. 👋"),
)


@implementer(IAssistant)
@define(eq=False)
class Demo:
    """
    Show what the program does, on request.

    Also slowness, an LLM that fails once, and one that fails for good.

    :ivar _failed: what could not be answered at the first try.
    """

    _clock: IReactorTime

    _failed: set[Sequence[Utterance]] = field(factory=set, init=False)

    async def reply(self, utterances: Sequence[Utterance], asker: Hashable) -> Reply:
        """
        See :class:`~micamsgr.conversation.assistant.IAssistant`.  Canceled, it
        stops to be slow.
        """
        said = _said(utterances)
        if _FLAKY.search(said):
            return self._at_second_try(tuple(utterances))
        if _FAIL.search(said) and not _QUESTION.search(said):
            raise Refused("the demo was asked to fail")
        if _SLOW.search(said):
            await deferLater(self._clock, _SLOWNESS)
            return _reply(_SLOWLY)
        return _reply(_answer(said, all(u.role is not Role.BOT for u in utterances)))

    def estimate(self, utterances: Sequence[Utterance]) -> int:
        """
        See :class:`~micamsgr.conversation.assistant.IAssistant`.
        """
        return _TOKENS

    def _at_second_try(self, utterances: Sequence[Utterance]) -> Reply:
        if utterances not in self._failed:
            self._failed.add(utterances)
            raise Unavailable("the demo was asked to fail once", _RETRY_AFTER)
        self._failed.remove(utterances)
        return _reply(_RECOVERED)


def _said(utterances: Sequence[Utterance]) -> str:
    """
    Join what the person said since anybody else spoke.
    """
    last = takewhile(lambda one: one.role is Role.PERSON, reversed(utterances))
    return "\n".join(utterance.text for utterance in last).lower()


def _answer(said: str, first: bool) -> str:
    """
    :param first: it is the first answer in the conversation.
    """
    answer = next((text for words, text in _TOPICS if words.search(said)), None)
    if _STARTED.search(said) or (first and answer in (None, _HELLO)):
        return f"{_INTRODUCTION}\n\n{_ABOUT}"
    if answer is None:
        return _LOST
    return f"{_INTRODUCTION}\n\n{answer}" if first else answer


def _reply(text: str) -> Reply:
    return Reply(text=text, tokens=_TOKENS)
