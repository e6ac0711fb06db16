"""
Tests for :mod:`micamsgr.messenger.notifications`.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import (
    Echo,
    Event,
    Mid,
    Other,
    PageId,
    Psid,
    Said,
    Unreadable,
)
from micamsgr.messenger.notifications import (
    event_key,
    parse_notification,
)

PAGE = "108463527190842"
ALICE = "6284913775102846"
SENT = 1795012345678
SAID = 1795012345123
NOW = 1795012399999


def notification(*items: object, **entry: object) -> bytes:
    """
    Make a notification of items for one Page.
    """
    whole = {"id": PAGE, "time": SENT, "messaging": items} | entry
    return json.dumps({"object": "page", "entry": [whole]}).encode("ascii")


def item(**content: object) -> dict[str, Any]:
    """
    Make an item that Alice caused.
    """
    parties = {"sender": {"id": ALICE}, "recipient": {"id": PAGE}}
    return parties | {"timestamp": SAID} | content


def text(text: str = "hi", **message: object) -> dict[str, Any]:
    """
    Make an item in which Alice wrote a text.
    """
    return item(message={"mid": "m_1", "text": text} | message)


def echo(**message: object) -> dict[str, Any]:
    """
    Make an item that tells of what the Page said to Alice.
    """
    parties = {"sender": {"id": PAGE}, "recipient": {"id": ALICE}}
    return item(**parties, message={"mid": "m_2", "is_echo": True} | message)


def parse(*items: object, **entry: object) -> tuple[Event, ...]:
    """
    Read items as if they had just been delivered.
    """
    return parse_notification(notification(*items, **entry), NOW)


class ParseNotificationTests(SynchronousTestCase):
    """
    Tests for the events that :func:`parse_notification` finds.
    """

    def said(self, **content: object) -> Said:
        """
        Read one item in which a person said something.
        """
        (event,) = parse(item(**content))
        assert isinstance(event, Said)
        return event

    def echoed(self, content: dict[str, Any]) -> Echo:
        """
        Read one item in which the Page said something.
        """
        (event,) = parse(content)
        assert isinstance(event, Echo)
        return event

    def test_message(self) -> None:
        """
        A message tells who said what to which Page, and when.
        """
        said = Said(
            key=event_key("message", "m_1"),
            page=PageId(PAGE),
            psid=Psid(ALICE),
            at=SAID,
            kind="message",
            mid=Mid("m_1"),
            text="hi",
        )
        self.assertEqual(parse(text("hi")), (said,))

    def test_echo(self) -> None:
        """
        An echo tells what the Page said to whom, and which app said it.
        """
        told = Echo(
            key=event_key("echo", "m_2"),
            page=PageId(PAGE),
            psid=Psid(ALICE),
            at=SAID,
            mid=Mid("m_2"),
            text="hello",
            metadata="mica:1:7:1",
            app_id="731904582216637",
        )
        content = echo(text="hello", metadata="mica:1:7:1", app_id=731904582216637)
        self.assertEqual(parse(content), (told,))

    def test_echo_of_a_picture(self) -> None:
        """
        An echo may have no text, no app and no metadata.
        """
        event = self.echoed(echo(attachments=[{"type": "image"}], metadata={}))
        self.assertEqual((event.text, event.metadata, event.app_id), ("", None, None))

    def test_echo_either_way_round(self) -> None:
        """
        The person in an echo is whoever is not the Page.
        """
        page, alice, other = {"id": PAGE}, {"id": ALICE}, {"id": "7"}
        for sender, recipient in ((page, alice), (alice, page), (other, alice)):
            event = self.echoed(echo() | {"sender": sender, "recipient": recipient})
            self.assertEqual(event.psid, ALICE)

    def test_echo_without_mid(self) -> None:
        """
        An echo that can't be told from others, or names no person, is kept
        as unreadable.
        """
        for content in (echo(mid=None), echo(mid=""), echo() | {"recipient": {}}):
            self.assertIsInstance(parse(content)[0], Unreadable)

    def test_message_without_mid(self) -> None:
        """
        A message without an ID is still answered.
        """
        self.assertIsNone(self.said(message={"text": "hi"}).mid)

    def test_postback(self) -> None:
        """
        Who taps a button says its title, or its payload if it has no title.
        """
        whole = {"title": "Menu", "payload": "MENU"}
        self.assertEqual(self.said(postback=whole).text, "Menu")
        self.assertEqual(self.said(postback=whole | {"title": " "}).text, "MENU")
        self.assertEqual(self.said(postback={"title": None}).text, "[a button]")

    def test_nobody_to_answer(self) -> None:
        """
        A guest without an ID, and the Page itself, are not answered.
        """
        for content in (text(), item(postback={"title": "Menu"})):
            for sender in ({"user_ref": "guest"}, {"id": PAGE}):
                (event,) = parse(content | {"sender": sender})
                self.assertIsInstance(event, Other)

    def test_no_sender(self) -> None:
        """
        What nobody sent is kept as unreadable.
        """
        for sender in (None, {}, {"id": ""}, {"id": True}, "x"):
            self.assertIsInstance(parse(text() | {"sender": sender})[0], Unreadable)

    def test_unsent(self) -> None:
        """
        A message that was taken back, on either side, is not said.
        """
        for content in (text(is_deleted=True), echo(is_deleted=True)):
            (event,) = parse(content)
            assert isinstance(event, Other)
            self.assertEqual((event.kind, event.psid), ("unsend", ALICE))

    def test_concerns(self) -> None:
        """
        Other events concern the person that they name, if any.
        """
        page = {"id": PAGE}
        swapped = {"sender": page, "recipient": {"id": ALICE}}
        items = [item(read={}), item(read={}) | swapped]
        items += [{"app_roles": {}, "recipient": {"id": page}} for page in (PAGE, "7")]
        events = [event for event in parse(*items) if isinstance(event, Other)]
        self.assertEqual([event.psid for event in events], [ALICE, ALICE, None, None])

    def test_numbers_as_ids(self) -> None:
        """
        IDs that come as numbers are the same as those that come as text.
        """
        parties = {"sender": {"id": int(ALICE)}, "recipient": {"id": int(PAGE)}}
        self.assertEqual(parse(text() | parties, id=int(PAGE)), parse(text()))

    def test_all_lists(self) -> None:
        """
        Every list of every entry is read, in order.
        """
        lists = {"messaging": [text("a")], "standby": [text("b")]}
        first = {"id": PAGE, "changes": [{"field": "feed"}]} | lists
        second = {"id": "7", "messaging": [text("c")]}
        body = json.dumps({"object": "page", "entry": [first, second]}).encode("ascii")
        events = parse_notification(body, NOW)
        self.assertEqual([event.page for event in events], [PAGE] * 3 + ["7"])
        said = [event for event in events if isinstance(event, Said)]
        self.assertEqual([event.text for event in said], ["a", "b", "c"])
        self.assertEqual([event.standby for event in said], [False, True, False])

    def test_change_of_any_name(self) -> None:
        """
        A change is counted by its field's name only if that can be a name.
        """
        changes = [{"field": "feed"}, {"field": "a\nb"}, {"field": ["feed"]}, {}]
        events = parse(changes=changes, messaging=None)
        kinds = [event.kind for event in events if isinstance(event, Other)]
        self.assertEqual(kinds, ["changes.feed"] + ["changes.unknown"] * 3)

    def test_storable(self) -> None:
        """
        Characters that no database takes are replaced wherever they stand.
        """
        bad, good = "a\0b\ud800c\udfff", "a\ufffdb\ufffdc\ufffd"
        parties = {"sender": {"id": bad}, "recipient": {"id": bad}}
        (said,) = parse(text(bad, mid=bad) | parties, id=bad + "7")
        assert isinstance(said, Said)
        found = (said.text, said.mid, said.psid, said.page)
        self.assertEqual(found, (good, good, good, good + "7"))
        event = self.echoed(echo(text=bad, metadata=bad, app_id=bad))
        self.assertEqual((event.text, event.metadata, event.app_id), (good,) * 3)
        self.assertEqual(self.said(postback={"title": bad}).text, good)

    def test_whole_characters_stay(self) -> None:
        """
        Characters that need two code units on the wire stay whole.
        """
        self.assertEqual(self.said(message={"text": "\U0001f600"}).text, "\U0001f600")


class TimeTests(SynchronousTestCase):
    """
    Tests for when an event happened.
    """

    def at(self, timestamp: object, time: object = SENT) -> int:
        """
        Read when something was said.
        """
        (event,) = parse(text() | {"timestamp": timestamp}, time=time)
        return event.at

    def test_spellings(self) -> None:
        """
        A time may be a number or text, in milliseconds or in seconds.
        """
        for timestamp in (SAID, str(SAID), float(SAID), SAID / 1000.0):
            self.assertEqual(self.at(timestamp), SAID)
        for seconds in (SAID // 1000, str(SAID // 1000)):
            self.assertEqual(self.at(seconds), SAID // 1000 * 1000)

    def test_missing(self) -> None:
        """
        Where an event has no time, that of its delivery stands, and at last
        that of its arrival.
        """
        self.assertEqual(self.at(None), SENT)
        self.assertEqual(self.at(None, SENT // 1000), SENT // 1000 * 1000)
        self.assertEqual(self.at(None, None), NOW)
        self.assertEqual(self.at(None, "soon"), NOW)

    def test_absurd(self) -> None:
        """
        A time that can't be is replaced by that of the arrival.
        """
        absurd = [
            -1,
            -SAID,
            10**14,
            10**39,
            True,
            "NaN",
            "-Infinity",
            "",
            "soon",
            [],
            {},
        ]
        for timestamp in absurd:
            self.assertEqual(self.at(timestamp), NOW, timestamp)


class KeyTests(SynchronousTestCase):
    """
    Tests for what makes two events one.
    """

    def assertDistinct(self, *items: object) -> None:
        """
        Check that items are told apart, and each is known again, however
        late it comes and whatever stands around it.
        """
        keys = [event.key for event in parse(*items)]
        self.assertEqual(len(set(keys)), len(items))
        self.assertEqual({len(key) for key in keys}, {16})
        again = parse_notification(notification(*reversed(items), time=7), NOW + 1)
        self.assertEqual([event.key for event in again], keys[::-1])

    def test_messages(self) -> None:
        """
        Messages are told apart by their IDs, and from echoes and postbacks.
        """
        postback = item(postback={"mid": "m_1", "title": "a"})
        self.assertDistinct(text(), text(mid="m_3"), echo(mid="m_1"), postback)
        first, same = parse(text("a"), text("b") | {"timestamp": 7})
        self.assertEqual(first.key, same.key)

    def test_messages_without_ids(self) -> None:
        """
        Messages without IDs are told apart by who said what, and when.
        """
        one = text("a", mid=None)
        later, other = one | {"timestamp": 7}, one | {"sender": {"id": "7"}}
        self.assertDistinct(one, text("b", mid=None), later, other)

    def test_postbacks_without_ids(self) -> None:
        """
        Postbacks without IDs are told apart by who tapped what, and when.
        """
        one = item(postback={"title": "a", "payload": "A"})
        payload = item(postback={"title": "a", "payload": "B"})
        title = item(postback={"title": "b", "payload": "A"})
        later, other = one | {"timestamp": 7}, one | {"sender": {"id": "7"}}
        self.assertDistinct(one, payload, title, later, other)

    def test_others(self) -> None:
        """
        Reactions, receipts, edits and what else there is are told apart.
        """
        love = {"mid": "m_1", "action": "react", "emoji": "x"}
        for one, other in (
            ({"reaction": love}, {"reaction": love | {"emoji": "y"}}),
            ({"reaction": love}, {"reaction": love | {"action": "unreact"}}),
            ({"reaction": love}, {"reaction": love, "timestamp": 7}),
            ({"read": {"watermark": 1}}, {"read": {"watermark": 2}}),
            ({"read": {"watermark": 1}}, {"delivery": {"watermark": 1}}),
            ({"delivery": {"mids": ["a"]}}, {"delivery": {"mids": ["b"]}}),
            ({"delivery": {"mids": 1}}, {"delivery": {"mids": 1}, "sender": {"id": 7}}),
            ({"message_edit": {"num_edit": 1}}, {"message_edit": {"num_edit": 2}}),
            ({"optin": {"ref": "a"}}, {"optin": {"ref": "b"}}),
            ({"read": 7}, {"read": 8}),
            ({"future": 1}, {"future": 2}),
        ):
            self.assertDistinct(item(**one), item(**other))

    def test_receipts_again(self) -> None:
        """
        A receipt is the same whenever it is sent.
        """
        first, same = parse(
            item(read={"watermark": 1}), item(read={"watermark": 1}) | {"timestamp": 7}
        )
        self.assertEqual(first.key, same.key)

    def test_standby(self) -> None:
        """
        What came on standby doesn't stand in for what came to be answered.
        """
        for content in (text(), echo(), item(postback={}), item(read={})):
            ours, standby = parse(content, standby=[content])
            self.assertNotEqual(ours.key, standby.key)

    def test_pages(self) -> None:
        """
        The same receipt or change on two Pages is two events.
        """
        changes = [{"field": "feed"}]
        ours = parse(item(read={}), changes=changes)
        theirs = parse(item(read={}), changes=changes, id="7")
        self.assertEqual(len({event.key for event in ours + theirs}), 4)

    def test_twice_in_one(self) -> None:
        """
        An event that is listed twice comes twice, with one key.
        """
        first, second = parse(text(), text())
        self.assertEqual(first, second)
