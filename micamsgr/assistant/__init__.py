"""Everything that knows LLMs."""
