"""Deployments: what is put before an app's traffic, and what is compared meanwhile."""
