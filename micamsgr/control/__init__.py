"""
An operator's commands to the daemon that runs, over a UNIX socket beside it.

No command waits for the daemon for long, and none makes it wait.
"""
