"""
Stand-ins for Messenger, the Graph API and an LLM: written from their
references, and sharing no wire code with the daemon.
"""
