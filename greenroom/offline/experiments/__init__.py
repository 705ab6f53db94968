"""Experiments in live traffic: what was planned, what was seen, and what may be said of it at any moment."""
