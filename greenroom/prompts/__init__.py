"""Prompts as versions: what they are made of, filling, files, differences, and the rules they are held to."""
