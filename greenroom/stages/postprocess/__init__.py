"""Postprocess: an answer looked over, piece by piece, before anyone sees it."""
