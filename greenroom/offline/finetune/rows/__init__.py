"""Rows to train on: read and checked line by line, cleaned, and gathered from traffic."""
