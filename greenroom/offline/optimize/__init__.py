"""Better prompts, found by search and believed only after a held-back test; models compared the same way."""
