"""
Tests for where the daemon is told to listen, over the whole file.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.test.test_config import FILLED, fault, faults, parse

# The line after those of FILLED.
FIRST = FILLED.count("\n") + 1
TLS = "tls: {certificate: c.pem, private_key: k.pem"


class PlaceTests(SynchronousTestCase):
    """
    Tests for what the operator is told where nobody can listen.
    """

    def places(self, text: str) -> list[str]:
        """List the places that a file's endpoints have."""
        config = parse(FILLED + text)
        secure = () if config.tls is None else config.tls.listen
        endpoints = (
            *config.listen,
            *secure,
            *config.admin.listen,
            *config.sandbox.listen,
        )
        return [config.places[endpoint] for endpoint in endpoints]

    def test_given(self) -> None:
        """
        Each endpoint of a file has its own line, also within a list, and also
        where TLS is put on it.
        """
        text = (
            "listen:\n- tcp:1\n- tcp:2:backlog=5\n"
            f"{TLS}, listen: tcp:3}}\n"
            "admin:\n  listen: tcp:4\n"
            "sandbox:\n  listen: tcp:5:interface=127.0.0.1\n"
        )
        self.assertEqual(
            self.places(text),
            [
                f"mica.yaml:{FIRST + 1}: listen",
                f"mica.yaml:{FIRST + 2}: listen",
                f"mica.yaml:{FIRST + 3}: tls.listen",
                f"mica.yaml:{FIRST + 5}: admin.listen",
                f"mica.yaml:{FIRST + 7}: sandbox.listen",
            ],
        )

    def test_defaults(self) -> None:
        """
        An endpoint that holds by default has the line of its section, if
        there is one.
        """
        self.assertEqual(self.places(""), ["mica.yaml: listen"])
        self.assertEqual(
            self.places("listen:\n" + TLS + "}\n"),
            [f"mica.yaml:{FIRST + 1}: tls.listen"],
        )

    def test_any_port(self) -> None:
        """
        Port 0 is another one each time.
        """
        self.assertEqual(
            self.places("listen: [tcp:0, tcp:0]\n"), [f"mica.yaml:{FIRST}: listen"] * 2
        )


class TakenTests(SynchronousTestCase):
    """
    Tests for endpoints of one file that cannot both be had.
    """

    def test_same(self) -> None:
        """
        The same place twice is a fault that names both lines.
        """
        for first, second in (
            ("tcp:8080", "tcp:8080"),
            ("tcp:8080", "tcp:8080:backlog=5"),
            ("tcp:8080:interface=127.0.0.1", "tcp:8080:interface=localhost"),
            ("tcp:8080", "tcp:8080:interface=127.0.0.1"),
            ("tcp:8080:127.0.0.1", "tcp:8080:interface=0.0.0.0"),
            (r"tcp6:8080:interface=\:\:1", r"tcp:8080:interface=0\:\:1"),
            ("tcp6:8080", r"tcp6:8080:interface=\:\:1"),
            ("unix:/run/mica", "unix:/run/mica:mode=660"),
            ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
        ):
            text = f"{FILLED}listen: {first}\nadmin: {{listen: '{second}'}}\n"
            self.assertEqual(
                fault(text),
                f"mica.yaml:{FIRST + 1}: admin.listen: taken already by listen in line"
                f" {FIRST}; name another endpoint, or take one of them away",
                (first, second),
            )

    def test_different(self) -> None:
        """
        What can be had together is no fault.
        """
        for first, second in (
            ("tcp:8080", "tcp:8081"),
            ("tcp:8080:interface=127.0.0.1", "tcp:8080:interface=127.0.0.2"),
            ("tcp:8080:interface=127.0.0.1", r"tcp:8080:interface=\:\:1"),
            ("unix:/run/mica", "unix:/run/mica2"),
            ("systemd:domain=INET:index=0", "systemd:domain=INET:index=1"),
        ):
            parse(f"{FILLED}listen: ['{first}', '{second}']\n")

    def test_default(self) -> None:
        """
        What TLS listens on by default is taken too.
        """
        text = f"{FILLED}listen: tcp:443\n{TLS}}}\n"
        self.assertEqual(
            fault(text),
            f"mica.yaml:{FIRST + 1}: tls.listen: taken already by listen in line"
            f" {FIRST}; name another endpoint, or take one of them away",
        )
        text = f"{FILLED}admin: {{listen: tcp:8080}}\n"
        self.assertIn("taken already by the default of listen", fault(text))

    def test_within_a_list(self) -> None:
        """
        A list that names a place twice says which of its items does.
        """
        found = fault(f"{FILLED}listen:\n- tcp:1\n- tcp:2\n- tcp:1\n")
        self.assertIn(f"{FIRST + 3}: listen[2]: taken already by listen[0]", found)

    def test_beside_others(self) -> None:
        """
        It is told together with the file's other faults, and each of them
        once.
        """
        text = f"{FILLED}listen: [tcp:1, tcp:1, tcp:x]\nlog: {{level: loud}}\n"
        self.assertEqual(
            [it.key for it in faults(text)], ["listen[2]", "listen[1]", "log.level"]
        )
