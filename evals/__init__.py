"""Accuracy of every step on the development sets: `make eval`.

The sets are not part of the project; docs/evaluation.md says what they are.
"""
