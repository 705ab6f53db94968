"""Tables written as text, since a list of words reads better than a list of strings."""


def words(text: str, separator: str | None = None) -> frozenset[str]:
    """The set of what stands between blanks, or between separators."""
    return frozenset(text.split(separator))
