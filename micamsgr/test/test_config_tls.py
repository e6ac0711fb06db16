"""
Tests for :mod:`micamsgr.config.tls`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.config import TLS
from micamsgr.config.values import CertificatePair

from .test_config import FILLED, fault
from .test_config_keys import with_keys

_PAIR = "certificate: c.pem, private_key: k.pem"


class TLSTests(SynchronousTestCase):
    """
    Tests for the keys below ``tls``.
    """

    def tls(self, more: str) -> TLS:
        """
        Read a section with a certificate and *more*.
        """
        tls = with_keys(f"tls: {{{_PAIR}, {more}}}").tls
        assert tls is not None
        return tls

    def refused(self, more: str) -> str:
        """
        Say what is wrong with such a section.
        """
        return fault(f"{FILLED}tls: {{{_PAIR}, {more}}}")

    def test_further(self) -> None:
        """
        Any number of further certificates may be named, or one.
        """
        one = CertificatePair(certificate="/etc/mica/x", private_key="/y")
        pair = "{certificate: x, private_key: /y}"
        self.assertEqual(self.tls(f"further: {pair}").further, (one,))
        self.assertEqual(self.tls(f"further: [{pair}, {pair}]").further, (one, one))
        self.assertEqual(self.tls("further: []").further, ())

    def test_further_faults(self) -> None:
        """
        Half of a pair is a fault that says which half of which pair; so are
        more than a hundred.
        """
        pair = "{certificate: x, private_key: y}"
        self.assertIn(
            "tls.further[1].private_key: missing",
            self.refused(f"further: [{pair}, {{certificate: x}}]"),
        )
        self.assertIn(
            "tls.further[0].listen: unknown key",
            self.refused("further: [{certificate: x, private_key: y, listen: z}]"),
        )
        self.assertEqual(
            len(self.tls(f"further: [{', '.join([pair] * 100)}]").further), 100
        )
        self.assertIn(
            "tls.further: expected at most 100",
            self.refused(f"further: [{', '.join([pair] * 101)}]"),
        )

    def test_modern(self) -> None:
        """
        TLS 1.2 can be switched off.
        """
        self.assertIs(self.tls("modern: true").modern, True)
        self.assertIs(self.tls("modern: false").modern, False)

    def test_hsts(self) -> None:
        """
        Browsers are told for two years, or for as many whole seconds as are
        given.
        """
        self.assertEqual(self.tls("modern: true").hsts, 63_072_000)
        self.assertEqual(self.tls("hsts: 0").hsts, 0)
        self.assertEqual(self.tls("hsts: 5m").hsts, 300)
        self.assertIn("tls.hsts: expected whole seconds", self.refused("hsts: 0.5"))
        self.assertIn("tls.hsts: expected ", self.refused("hsts: -1"))
