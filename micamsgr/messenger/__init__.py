"""Everything that knows Meta: webhooks in, the Graph API out."""
