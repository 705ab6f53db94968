"""About how many tokens a text is, from its characters: what a part of a prompt is said to cost.

The same figures as the estimate of the step `fit`: 4.6 characters a token in plain ASCII, 4.2 in accented
Latin, and a fifth of a token more for each byte beyond one a character. Within some 30 % for prose and code.
"""

_ASCII_PER_TOKEN = 4.6
_LATIN_PER_TOKEN = 4.2
_PER_EXTRA_BYTE = 0.2


def estimate(text: str) -> int:
    """Tokens of a text, at least 1 where it says anything."""
    if not text:
        return 0
    length = len(text)
    if text.isascii():
        return max(1, round(length / _ASCII_PER_TOKEN))
    extra = len(text.encode(errors="replace")) - length
    return max(1, round(length / _LATIN_PER_TOKEN + extra * _PER_EXTRA_BYTE))
