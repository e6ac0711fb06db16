"""
Tells twistd about ``micamessenger``; imports nothing of ours, so that listing
the plugins stays cheap and cannot fail on our account.
"""

from twisted.application.service import ServiceMaker

micamessenger = ServiceMaker(
    "Mica Messenger",
    "micamsgr.tap",
    "Answer the people who write to a Facebook Page, with an LLM.",
    "micamessenger",
)
