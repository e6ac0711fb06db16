"""
Tests for sending through :mod:`micamsgr.sandbox.graph_api`.
"""

from __future__ import annotations

import json
from typing import Any

from micamsgr.sandbox.journal import Acted, Applied, Refused
from micamsgr.test.test_sandbox_graph_api import (
    ALICE,
    MESSAGES,
    PAGE,
    ROOT,
    GraphAPITestCase,
    answer_to,
)


class SendTests(GraphAPITestCase):
    """
    Tests for sending messages and actions.
    """

    def test_applied(self) -> None:
        """
        A proper message is applied, journaled, and answered with its mid.
        """
        body = answer_to(metadata="mica:1:part:1")
        status, document = self.call("POST", MESSAGES, body)
        [said] = self.journal.of(Applied)
        self.assertEqual(status, 200)
        self.assertEqual(document, {"recipient_id": ALICE, "message_id": said.mid})
        self.assertEqual(
            (said.page, said.psid, said.text, said.metadata),
            (PAGE, ALICE, "Hello", "mica:1:part:1"),
        )

    def test_me(self) -> None:
        """
        A Page may send as ``me``.
        """
        self.assertEqual(self.call("POST", "/me/messages", answer_to())[0], 200)

    def test_echo(self) -> None:
        """
        The app is told of a message that it sent.
        """
        body = answer_to(metadata="mica:1:part:1")
        mid = self.call("POST", MESSAGES, body)[1]["message_id"]
        [event] = self.notified
        self.assertEqual(event["sender"], {"id": PAGE})
        self.assertEqual(event["recipient"], {"id": ALICE})
        self.assertEqual(
            event["message"],
            {
                "mid": mid,
                "is_echo": True,
                "text": "Hello",
                "app_id": 731904582216637,
                "metadata": "mica:1:part:1",
            },
        )

    def test_longest(self) -> None:
        """
        A text of exactly 2000 UTF-16 code units is sent.
        """
        body = answer_to(text="\N{GRINNING FACE}" * 1000)
        self.assertEqual(self.call("POST", MESSAGES, body)[0], 200)

    def test_refused(self) -> None:
        """
        What the reference doesn't allow is refused, and nothing is applied.
        """
        text = {"text": "Hello"}
        unfit: list[tuple[dict[str, Any], int | None]] = [
            (answer_to(text="x" * 2001), None),
            (answer_to(text="\N{GRINNING FACE}" * 1000 + "x"), None),
            (answer_to(text=""), 2018034),
            (answer_to(text=7), 2018034),
            (answer_to(metadata="x" * 1001), None),
            (answer_to(metadata={}), None),
            (answer_to(attachment={"type": "image"}), 2018032),
            (answer_to(tempo="fast"), None),
            (answer_to(quick_replies=[{}] * 14), None),
            ({**answer_to(), "message": {}}, 2018032),
            ({**answer_to(), "message": "Hello"}, None),
            ({**answer_to(), "tempo": "fast"}, None),
            ({**answer_to(), "messaging_type": "ANSWER"}, None),
            ({**answer_to(), "messaging_type": "MESSAGE_TAG"}, None),
            ({**answer_to(), "tag": "HUMAN_AGENT"}, None),
            ({**answer_to(), "recipient": {}}, None),
            ({**answer_to(), "recipient": {"id": 7}}, None),
            ({**answer_to(), "recipient": {"id": ALICE, "user_ref": "x"}}, None),
            ({"recipient": {"id": ALICE}, "message": text}, None),
            ({"messaging_type": "RESPONSE", "message": text}, None),
            ({**answer_to(), "sender_action": "typing_on"}, 2018014),
            (answer_to("999"), 2018001),
        ]
        for body, subcode in unfit:
            refused = self.error("POST", MESSAGES, body)
            self.assertEqual(refused, (400, 100, subcode), body)
        self.assertEqual(self.texts(), [])
        self.assertEqual(len(self.journal.of(Refused)), len(unfit))

    def test_too_long_named(self) -> None:
        """
        Too long a text is refused in Meta's words.
        """
        body = answer_to(text="x" * 2001)
        message = self.call("POST", MESSAGES, body)[1]["error"]["message"]
        expected = (
            "(#100) Length of param message[text] must be less than or equal to 2000"
        )
        self.assertEqual(message, expected)

    def test_not_json(self) -> None:
        """
        A body that is no JSON object is refused.
        """
        for data in (b"{", b"7", b"[" * 100_000):
            self.assertEqual(self.error("POST", MESSAGES, data=data)[1], 100)

    def test_not_declared(self) -> None:
        """
        A body that isn't declared to be JSON is not read.
        """
        calling = self.client.request(  # type: ignore[attr-defined]
            "POST",
            f"{ROOT}{MESSAGES}?access_token=page%20token",
            data=json.dumps(answer_to()).encode(),
        )
        self.assertEqual(self.read(calling)[0], 400)

    def test_window(self) -> None:
        """
        Later than 24 hours after the person's last action, a message is
        refused; when the person writes again, it is sent.
        """
        self.clock.advance(24 * 3600)
        self.assertEqual(self.call("POST", MESSAGES, answer_to())[0], 200)
        self.clock.advance(1)
        refused = self.error("POST", MESSAGES, answer_to())
        self.assertEqual(refused, (400, 10, 2018278))
        self.meta.message(PAGE, ALICE, "Hello?")
        self.assertEqual(self.call("POST", MESSAGES, answer_to())[0], 200)

    def test_action(self) -> None:
        """
        A sender action is shown, and answered without a mid.
        """
        body = {"recipient": {"id": ALICE}, "sender_action": "typing_on"}
        self.assertEqual(
            self.call("POST", MESSAGES, body), (200, {"recipient_id": ALICE})
        )
        [acted] = self.journal.of(Acted)
        self.assertEqual((acted.psid, acted.action), (ALICE, "typing_on"))

    def test_action_refused(self) -> None:
        """
        A sender action is refused if it is unknown, or not alone.
        """
        body = {"recipient": {"id": ALICE}, "sender_action": "dance"}
        self.assertEqual(self.error("POST", MESSAGES, body), (400, 100, None))
        body = {"recipient": {"id": ALICE}, "sender_action": []}
        self.assertEqual(self.error("POST", MESSAGES, body), (400, 100, None))
        body = {**answer_to(), "sender_action": "typing_on"}
        del body["message"]
        self.assertEqual(self.error("POST", MESSAGES, body), (400, 100, None))
        self.assertEqual(self.journal.of(Acted), [])
