"""Routing by content: what a prompt tells of how well each target would answer it."""
