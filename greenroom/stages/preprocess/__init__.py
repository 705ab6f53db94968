"""Preprocess: a prompt cleaned and counted before anything else looks at it."""
