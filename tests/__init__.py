"""What the daemon promises, shown with real processes: ``trial tests``."""
