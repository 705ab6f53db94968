"""Greenroom: the room where a prompt gets ready before it goes on stage."""

__version__ = "0.1.0"
