"""The whole daemon in one process, on simulated time, network and disk."""
