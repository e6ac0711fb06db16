"""What micamsgr promises, shown in memory and in seconds: ``trial micamsgr``."""
