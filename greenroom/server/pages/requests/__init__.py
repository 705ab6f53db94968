"""The pages of requests: one of them stage by stage, lists of them, sessions, and what may be done there."""
