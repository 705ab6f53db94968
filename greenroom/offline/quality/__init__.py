"""Scores of live traffic: by which rules, and what they come to with their intervals."""
