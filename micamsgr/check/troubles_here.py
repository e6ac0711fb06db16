"""
What can be wrong on this machine; see :mod:`.troubles`.
"""

from __future__ import annotations

from .findings import failed, warning

HERE = (
    failed(
        "configuration.fault",
        "the file can't be read, has a fault, or has a placeholder left in it",
        "the daemon does not start with it, and a reload changes nothing",
        "mend the line that is named; docs/configuration.md has all keys",
    ),
    warning(
        "configuration.doubtful",
        "a value is allowed, but unwise, or a key has no effect",
        "it does not do what one may expect of it",
        "change the value that is named, or take the key away",
    ),
    failed(
        "configuration.not_in_force",
        "the daemon that runs has not read what the file says now",
        "it goes by what the file said before: by a token that may have ended",
        "`micamessenger reload`, or `systemctl reload micamessenger`",
    ),
    failed(
        "configuration.refused",
        "the daemon that runs can't use the file, though this check can",
        "it goes by what the file said before",
        "do what the line says; the daemon has its own user and environment",
    ),
    warning(
        "configuration.later",
        "a key was changed that only a start of the daemon reads",
        "the daemon that runs goes by what it was",
        "restart the daemon",
    ),
    warning(
        "configuration.untold",
        "a daemon runs, and does not say whether it has read the file",
        "it may go by what the file said before",
        "restart it if it is of another version; else look at its log",
    ),
    failed(
        "secrets.changeable",
        "everybody on this machine may change a file that holds secrets",
        "anybody can make the bot theirs",
        "`chmod 600` the file, and look whether it was changed",
    ),
    warning(
        "secrets.readable",
        "everybody may read a file that holds secrets, or the group may change it",
        "others on this machine can act as your Page",
        "`chmod 600` the file, or 640 for a group",
    ),
    failed(
        "certificate.unusable",
        "the certificate or its key can't be used, has expired, or others read the key",
        "the daemon does not start; one that runs keeps all certificates that it has",
        "do what the line says, and reload the daemon",
    ),
    failed(
        "certificate.name",
        "the certificate that Meta is shown is not for the name in public_url",
        "Meta refuses to connect, and nobody is answered",
        "have one issued for that name, or correct public_url",
    ),
    failed(
        "certificate.self_signed",
        "the certificate that Meta is shown is self-signed",
        "Meta refuses to connect, and nobody is answered",
        "have one issued by a public authority, such as Let's Encrypt",
    ),
    warning(
        "certificate.expiring",
        "the certificate expires within 14 days",
        "once it has, Meta can't connect, and nobody is answered",
        "renew it, and see why that was not done by itself",
    ),
    warning(
        "certificate.doubtful",
        "the certificates of the chain did not issue one another",
        "Meta may refuse to connect",
        "put the server's certificate first, and those that issued it behind it",
    ),
    warning(
        "certificate.unused",
        "a further certificate has no name that those before it don't have",
        "nobody is ever shown it",
        "take the pair out of tls.further, or see whether the file is the right one",
    ),
    failed(
        "ports.taken",
        "another program listens there, or the daemon with another app secret",
        "the daemon can't start, or is not the configured one",
        "stop it (`ss -lptux` names it), reload the daemon, or name another endpoint",
    ),
    failed(
        "ports.impossible",
        "nobody can listen there",
        "the daemon can't start",
        "do what the line says, or name another endpoint",
    ),
    warning(
        "ports.forbidden",
        "whoever asks may not listen there",
        "the daemon may, if it runs as another user or as a service",
        "check again as the daemon's user, or name a port from 1024 on",
    ),
    failed(
        "store.unusable",
        "the file is damaged, another program's, or a newer version's",
        "the daemon does not start; what is in the file is left as it is",
        "do what the line says; docs/disk.md says more",
    ),
    failed(
        "store.unwritable",
        "nothing can be written there",
        "Meta is answered 503, and no message is taken",
        "let the daemon's user write into the directory, and see to the disk",
    ),
    failed(
        "store.full",
        "less than 64 MiB are free on the disk",
        "soon Meta is answered 503, and no message is taken",
        "make room on the disk, or shorten retention",
    ),
    warning(
        "store.filling",
        "less than 1 GiB is free on the disk",
        "when it is full, no message is taken",
        "make room on the disk, or shorten retention",
    ),
    failed(
        "store.too_slow",
        "to put 4 KiB on the disk takes 3 s or more",
        "Meta is answered 503, and unsubscribes the Page after an hour of it",
        "find out what keeps the disk busy, or move the store to another one",
    ),
    warning(
        "store.slow",
        "to put 4 KiB on the disk takes more than 0.25 s",
        "Meta waits for 5 s at most; a burst of messages may be too much",
        "find out what keeps the disk busy, or move the store to another one",
    ),
    warning(
        "store.readable",
        "others may read the store",
        "others on this machine can read what people wrote",
        "`chmod 600` the file",
    ),
)
