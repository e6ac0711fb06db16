"""
What holds for whatever the LLM is told.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.assistant.prompt import messages
from micamsgr.conversation.assistant import Role, Utterance
from micamsgr.test.properties import given, st

# Each text has a letter that tells whose it is.
_UTTERANCES = st.lists(
    st.sampled_from(Role).flatmap(
        lambda role: st.integers(1, 30).map(
            lambda length: Utterance(role, role.name[0] * length)
        )
    ),
    max_size=20,
)


class MessagesProperties(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.assistant.prompt.messages`.
    """

    @given(_UTTERANCES, st.integers(0, 25), st.integers(0, 300))
    def test_roles(
        self, utterances: list[Utterance], count: int, characters: int
    ) -> None:
        """
        After the system prompt the roles alternate, beginning with the user's.
        """
        told = messages(
            "Be.", utterances, history_messages=count, history_characters=characters
        )
        roles = [message["role"] for message in told]
        alternating = ["user", "assistant"] * len(roles)
        self.assertEqual(roles, ["system", *alternating][: len(roles)])

    @given(_UTTERANCES, st.integers(0, 25), st.integers(0, 300))
    def test_whose(
        self, utterances: list[Utterance], count: int, characters: int
    ) -> None:
        """
        What a person wrote is in the user role and nowhere else, and nobody
        else's words are there.
        """
        for message in messages(
            "", utterances, history_messages=count, history_characters=characters
        ):
            lines = message["content"].replace("[the Page wrote first]", "P")
            lines = lines.replace("[a human colleague wrote] H", "H")
            theirs = {"P", "\n"} if message["role"] == "user" else {"B", "H", "\n"}
            self.assertLessEqual(set(lines), theirs)

    @given(_UTTERANCES, st.integers(0, 25), st.integers(0, 300))
    def test_newest(
        self, utterances: list[Utterance], count: int, characters: int
    ) -> None:
        """
        What is told is the end of the conversation, the present turn with it,
        and the past keeps to its limits.
        """
        told = messages(
            "", utterances, history_messages=count, history_characters=characters
        )
        lines = "\n".join(message["content"] for message in told)
        lines = lines.replace("[a human colleague wrote] ", "")
        texts = lines.removeprefix("[the Page wrote first]\n").split("\n")
        if not told:
            texts = []
        given_texts = [utterance.text for utterance in utterances]
        self.assertEqual(texts, given_texts[len(given_texts) - len(texts) :])
        present = 0
        while present < len(utterances) and (
            utterances[-1 - present].role is Role.PERSON
        ):
            present += 1
        past = texts[: len(texts) - present]
        self.assertLessEqual(present, len(texts))
        self.assertLessEqual(len(past), count)
        self.assertLessEqual(sum(map(len, past)), characters)
