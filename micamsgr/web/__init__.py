"""The HTTP side of the daemon: a site with limits, and TLS."""
