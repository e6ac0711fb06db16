"""How fast the daemon is, beside the least that could do the same."""
