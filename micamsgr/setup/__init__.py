"""
``micamessenger setup``: from nothing to a Page on which people are answered.

What is asked, read and written is decided in functions; what waits are the
steps.  Nothing that is secret is shown.
"""
