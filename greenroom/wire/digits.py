"""Whole numbers that clients send as text."""


def number_in(text: str, least: int, most: int) -> int | None:
    """What digits say, however many zeros stand before them; None where it is not from least to most."""
    if not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)):  # a number of thousands of digits is never made
        return None
    number = int(digits)
    return number if least <= number <= most else None
