"""The operator's documents: bytes to text, text to passages, passages to a searchable index."""
