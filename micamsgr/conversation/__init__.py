"""
The center: what an event, a turn and a part are, what follows from their
states, and the dispatcher that makes it happen.

Nothing here knows Meta's wire format, SQL, or a reactor other than the clock
that it is handed; ``micamsgr/test/test_layers.py`` holds that.
"""
