"""
What any messenger promises of its look-ups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from micamsgr.conversation.events import Conversation, Psid
from micamsgr.conversation.outcomes import LookedUp, Seen, Sent
from micamsgr.errors import Refused, Unavailable
from micamsgr.test.test_messenger_contract import GraphCase, MemoryCase, MessengerCase
from micamsgr.testing import ALICE, BOB, BOT, NOW, PAGE, SHOWN

if TYPE_CHECKING:
    Contract = MessengerCase
else:
    # Its tests are run by the classes that mix it in, and not by itself.
    Contract = object


class LookUpContract(Contract):
    """
    Tests for :meth:`micamsgr.conversation.interfaces.IMessenger.look_up`.
    """

    def look_up(self, psid: Psid = ALICE) -> Deferred[LookedUp]:
        """
        Look up what a person was sent.
        """
        looking = self.messenger.look_up(Conversation(BOT, PAGE, psid))
        found = Deferred.fromCoroutine(looking)
        self.go_on()
        return found

    def seen(self, psid: Psid = ALICE) -> tuple[Seen, ...]:
        """
        Tell what a look-up shows that a person was sent.
        """
        return self.successResultOf(self.look_up(psid)).seen

    def test_look_up(self) -> None:
        """
        A look-up shows what the person was sent, with IDs, words and whole
        seconds.
        """
        outcome = self.outcome("one")
        assert isinstance(outcome, Sent)
        [seen] = self.seen()
        self.assertEqual(seen, Seen(outcome.mid, NOW, "one"))

    def test_look_up_all(self) -> None:
        """
        It shows everything of a short conversation.
        """
        for text in ("one", "two", "three"):
            self.outcome(text)
        looked = self.successResultOf(self.look_up())
        self.assertEqual({s.text for s in looked.seen}, {"one", "two", "three"})
        self.assertIsNone(looked.back_to)

    def test_look_up_part(self) -> None:
        """
        Of a longer one it shows the newest messages, and tells how far back
        they reach.
        """
        for number in range(SHOWN + 1):
            self.outcome(f"{number}")
            self.pass_second()
        looked = self.successResultOf(self.look_up())
        texts = {f"{number}" for number in range(1, SHOWN + 1)}
        self.assertEqual({s.text for s in looked.seen}, texts)
        self.assertEqual(looked.back_to, NOW + 1000)

    def test_look_up_doubt(self) -> None:
        """
        It shows what arrived though the sender does not know, and not what
        did not arrive.
        """
        for applied in (False, True):
            self.spoil_send(applied)
            self.outcome()
            self.assertEqual(len(self.seen()), applied)

    def test_look_up_whose(self) -> None:
        """
        It shows nothing of other people's.
        """
        self.outcome(psid=BOB)
        self.assertEqual(self.seen(ALICE), ())

    def test_look_up_unavailable(self) -> None:
        """
        A look-up that fails for now can be made again.
        """
        self.fail_look_up(lasting=False)
        self.failureResultOf(self.look_up(), Unavailable)
        self.assertEqual(self.seen(), ())

    def test_look_up_refused(self) -> None:
        """
        One that is not allowed is refused.
        """
        self.fail_look_up(lasting=True)
        self.failureResultOf(self.look_up(), Refused)


class MemoryLookUpTests(LookUpContract, MemoryCase):
    """
    Tests for the messenger that tests use.
    """


class GraphLookUpTests(LookUpContract, GraphCase):
    """
    Tests for the messenger that speaks to the Graph API.
    """
