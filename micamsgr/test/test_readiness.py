"""
Tests for :mod:`micamsgr.web.readiness`.
"""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from attrs import evolve

from micamsgr.check.troubles import trouble
from micamsgr.web.readiness import (
    LONGEST_WAIT,
    BotFacts,
    Check,
    Facts,
    Status,
    Subscribed,
    readiness,
)

DAY = 86400.0

BOT = BotFacts(bot="mica", token=True, subscribed=Subscribed.YES)
WELL = Facts(
    serving=True,
    stuck=None,
    store=None,
    expires=60 * DAY,
    oldest=0.0,
    bots=[BOT],
    free=10 << 30,
    ahead=0.5,
)


def status(name: str, facts: Facts) -> Status:
    """
    Find how a check turned out.
    """
    (check,) = (it for it in readiness(facts) if it.name == name)
    return check.status


def of_bot(**known: Any) -> Facts:
    """
    Give what is known, all well but for the bot.
    """
    return evolve(WELL, bots=[evolve(BOT, **known)])


class ReadinessTests(TestCase):
    """
    Tests for what makes a daemon unready.
    """

    def test_well(self) -> None:
        """
        Where all is well each check says so, and there is nothing to do.
        """
        checks = readiness(WELL)
        self.assertEqual({check.status for check in checks}, {Status.OK})
        self.assertEqual({check.todo for check in checks}, {""})
        self.assertEqual(
            [(check.name, check.bot) for check in checks],
            [
                ("serving", None),
                ("store", None),
                ("certificate", None),
                ("clock", None),
                ("backlog", None),
                ("token", "mica"),
                ("subscribed", "mica"),
                ("sending", "mica"),
                ("llm", "mica"),
            ],
        )

    def test_each(self) -> None:
        """
        Each thing that is not well fails just its own check, which says what to
        do.
        """
        for name, facts in (
            ("serving", evolve(WELL, serving=False)),
            ("store", evolve(WELL, stuck="it has not answered for 5 s")),
            ("store", evolve(WELL, store="the disk is full")),
            ("certificate", evolve(WELL, expires=0.0)),
            ("certificate", evolve(WELL, expires=-5.0)),
            ("backlog", evolve(WELL, oldest=LONGEST_WAIT)),
            ("token", of_bot(token=False)),
            ("token", of_bot(unproved=True)),
            ("token", of_bot(other_page=True)),
            ("token", of_bot(other_app=True)),
            ("token", of_bot(expired=True)),
            ("token", of_bot(expired=True, token=False)),
            ("token", of_bot(invalid=True)),
            ("token", of_bot(invalid=True, token=None, missing=("pages_messaging",))),
            ("token", of_bot(refused=True, expires=DAY)),
            ("token", of_bot(refused=True)),
            ("token", of_bot(refused=True, token=None)),
            ("subscribed", of_bot(subscribed=Subscribed.NO)),
            ("llm", of_bot(llm_shut=True)),
        ):
            failed = [check for check in readiness(facts) if not check.ok]
            self.assertEqual([check.name for check in failed], [name])
            self.assertTrue(all(check.means and check.todo for check in failed))

    def test_unknown(self) -> None:
        """
        What nobody has found out, or can find out, is said, and is no reason to
        be taken for unready.
        """
        for name, facts in (
            ("backlog", evolve(WELL, oldest=None)),
            ("clock", evolve(WELL, ahead=None)),
            ("token", of_bot(token=None)),
            ("subscribed", of_bot(subscribed=Subscribed.NOT_ASKED)),
            ("subscribed", of_bot(subscribed=Subscribed.NOT_SAID)),
        ):
            self.assertIs(status(name, facts), Status.UNKNOWN)
            self.assertTrue(all(check.ok for check in readiness(facts)))

    def test_token(self) -> None:
        """
        What will come of a token is warned of, all of it at once, with the days
        that are left and with what to do.
        """
        lacks = ("pages_messaging",)
        for known, words in (
            ({"expires": 2.5 * DAY}, ["expires in 2.5 days", "new token"]),
            ({"missing": lacks}, ["lacks pages_messaging", "Advanced Access"]),
            ({"access": 2.5 * DAY}, ["access to data expires in 2.5 days", "log in"]),
            ({"access": -DAY}, ["access to data has expired", "log in"]),
            (
                {"expires": 2.5 * DAY, "missing": lacks, "access": -DAY},
                ["expires in 2.5", "lacks pages_mess", "has expired", "log in"],
            ),
            ({"expires": DAY, "token": None}, ["expires in 1.0 days"]),
        ):
            facts = of_bot(**known)
            (check,) = (it for it in readiness(facts) if it.status is not Status.OK)
            self.assertEqual((check.name, check.bot), ("token", "mica"))
            self.assertIs(check.status, Status.WARNING)
            self.assertTrue(check.ok)
            for word in words:
                self.assertIn(word, f"{check.means} {check.todo}")

    def test_words(self) -> None:
        """
        What to do about a token is told in the words of ``micamessenger
        check``.
        """
        for name, known in (
            ("token.expired", {"expired": True}),
            ("token.expiring", {"expires": DAY}),
            ("token.data_access", {"access": DAY}),
            ("token.invalid", {"invalid": True}),
            ("app.other", {"other_app": True, "unproved": True}),
        ):
            (check,) = (
                it for it in readiness(of_bot(**known)) if it.status is not Status.OK
            )
            self.assertEqual(check.todo, trouble(name, "mica", "").todo)

    def test_sending(self) -> None:
        """
        That nothing is sent is warned of, with why and what to do, and is no
        reason to be taken for unready: what people write is kept.
        """
        for known, word in (
            ({"away": True}, "reached"),
            ({"refused": True}, "refuses"),
            ({}, "limit"),
        ):
            facts = of_bot(stopped=12.0, **known)
            (check,) = (it for it in readiness(facts) if it.name == "sending")
            self.assertIs(check.status, Status.WARNING)
            self.assertIn(word, check.means)
            self.assertTrue(check.ok and check.todo)

    def test_certificate(self) -> None:
        """
        One that expires within a week is warned of, and good until it has
        expired; without TLS there is nothing to say.
        """
        self.assertIs(status("certificate", evolve(WELL, expires=7 * DAY)), Status.OK)
        near = evolve(WELL, expires=7 * DAY - 1)
        self.assertIs(status("certificate", near), Status.WARNING)
        self.assertTrue(all(check.ok for check in readiness(near)))
        names = [check.name for check in readiness(evolve(WELL, expires=None))]
        self.assertNotIn("certificate", names)

    def test_soon(self) -> None:
        """
        A disk that fills, and a clock that is off, are warned of, for it works
        all the same; where nobody knows how much is free, nothing is said.
        """
        for name, facts, word in (
            ("store", evolve(WELL, free=100 << 20), "100 MiB"),
            ("clock", evolve(WELL, ahead=90.0), "90 s ahead"),
            ("clock", evolve(WELL, ahead=-90.0), "90 s behind"),
        ):
            (check,) = (it for it in readiness(facts) if it.status is not Status.OK)
            self.assertEqual((check.name, check.status), (name, Status.WARNING))
            self.assertIn(word, check.means)
            self.assertTrue(check.todo)
        self.assertIs(status("store", evolve(WELL, free=None)), Status.OK)
        self.assertIs(status("clock", evolve(WELL, ahead=-59.0)), Status.OK)

    def test_backlog(self) -> None:
        """
        Who waits for less than two minutes is no trouble.
        """
        young = evolve(WELL, oldest=LONGEST_WAIT - 1.0)
        self.assertIs(status("backlog", young), Status.OK)
        self.assertEqual(LONGEST_WAIT, 120.0)

    def test_bots(self) -> None:
        """
        It is said of which bot something is not well.
        """
        other = BotFacts(bot="ink", token=False)
        failed = [it for it in readiness(evolve(WELL, bots=[BOT, other])) if not it.ok]
        self.assertEqual([(it.name, it.bot) for it in failed], [("token", "ink")])

    def test_ok(self) -> None:
        """
        Only what has failed is not ok.
        """
        found = {it: Check("name", None, it, "means").ok for it in Status}
        self.assertEqual([it for it in Status if not found[it]], [Status.FAILED])
