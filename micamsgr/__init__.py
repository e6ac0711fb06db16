"""
Mica Messenger: an LLM answers the people who write to a Facebook Page.
"""

__version__ = "0.1.0"
