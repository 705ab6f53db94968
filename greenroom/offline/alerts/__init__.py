"""Alerts: rules over what was counted, and how people are told."""
