"""How an answer reads: length of sentences, reading ease, hedging and filler, counted and never changed.

Reading ease by the formula made for each language: Flesch 1948 for English, Fernández Huerta 1959 for
Spanish, Flesch with the constant of Martins, Ghiraldelo, Nunes and Oliveira 1996 for Portuguese. Syllables
are groups of vowels, which is off by a tenth or so and does for a note.
"""

from collections.abc import Callable
from functools import cache

_HEDGES = {
    "en": "perhaps|maybe|it seems|it appears|possibly|arguably|i think|i believe|might be|"
    "could be|sort of|kind of|to some extent|more or less|generally speaking|"
    "it is possible that|in my opinion",
    "pt": "talvez|parece que|ao que parece|possivelmente|acho que|creio que|acredito que|"
    "pode ser que|de certa forma|mais ou menos|em geral|até certo ponto|é possível que|"
    "na minha opinião|meio que|quem sabe",
    "es": "quizás|quizá|tal vez|parece que|al parecer|posiblemente|creo que|pienso que|"
    "puede ser que|de cierta forma|más o menos|en general|hasta cierto punto|es posible que|"
    "en mi opinión|a lo mejor",
}
_FILLERS = {
    "en": "it is important to note that|it's important to note that|it is worth noting that|"
    "it's worth noting that|as mentioned earlier|in order to|needless to say|"
    "at the end of the day|as an ai|i hope this helps|in conclusion|basically|actually|"
    "essentially|due to the fact that|at this point in time|delve into",
    "pt": "é importante ressaltar que|é importante destacar que|vale ressaltar que|"
    "vale a pena lembrar que|cabe ressaltar que|vale lembrar que|"
    "como mencionado anteriormente|no que diz respeito a|a fim de que|em conclusão|"
    "basicamente|na verdade|devido ao fato de que|neste momento em que|espero que isso ajude|"
    "como uma ia|como um modelo de linguagem|nesse sentido",
    "es": "es importante destacar que|es importante señalar que|cabe destacar que|cabe señalar que|"
    "vale la pena mencionar que|como se mencionó anteriormente|en lo que respecta a|"
    "en conclusión|básicamente|en realidad|debido al hecho de que|en este momento en que|"
    "espero que esto ayude|como una ia|como modelo de lenguaje|en ese sentido",
}
_EASE: dict[str, Callable[[float, float], float]] = {
    "en": lambda words, syllables: 206.835 - 1.015 * words - 84.6 * syllables,
    "pt": lambda words, syllables: 248.835 - 1.015 * words - 84.6 * syllables,
    "es": lambda words, syllables: 206.84 - 1.02 * words - 60.0 * syllables,
}
"""From words a sentence and syllables a word."""
_LONG = 40
"""Words from which a sentence is noted as long."""

_VOWELS = bytes(
    118 if bytes([one]).decode("latin-1").lower() in "aeiouyàáâãäèéêëìíîïòóôõöùúûü" else 32
    for one in range(256)
)
_ENDS = bytes(46 if one in b".!?\n" else one for one in range(256))


@cache
def _phrases(language: str) -> tuple[Callable[[str], list[int]], int]:
    """A search for all phrases, and how many of them are hedges."""
    from ahocorasick_rs import AhoCorasick, MatchKind  # noqa: PLC0415  # only where style is looked at

    hedges, fillers = _HEDGES[language].split("|"), _FILLERS[language].split("|")
    automaton = AhoCorasick([f" {one}" for one in (*hedges, *fillers)], matchkind=MatchKind.LeftmostLongest)

    def find(text: str) -> list[int]:
        return [
            found
            for found, _, end in automaton.find_matches_as_indexes(text)
            if not text[end : end + 1].isalpha()
        ]

    return find, len(hedges)


def style(text: str, language: str) -> dict[str, object]:
    """Notes on a text of at least 20 words in English, Portuguese or Spanish; nothing for another.

    Cost: about 40 µs for 2,000 characters.
    """
    ease = _EASE.get(language)
    words = len(text.split())
    if ease is None or words < 20:
        return {}
    encoded = text.encode("latin-1", "replace")
    sizes = [len(one.split()) for one in encoded.translate(_ENDS).split(b".")]
    sizes = [size for size in sizes if size]
    syllables = len(encoded.translate(_VOWELS).split())
    find, hedges = _phrases(language)
    found = find(f" {text.lower()}")
    notes: dict[str, object] = {
        "sentences": len(sizes),
        "words_per_sentence": round(words / max(1, len(sizes)), 1),
        "reading_ease": round(min(100.0, max(0.0, ease(words / max(1, len(sizes)), syllables / words)))),
    }
    long = sum(size > _LONG for size in sizes)
    hedging = sum(place < hedges for place in found)
    counts = {"long_sentences": long, "hedges": hedging, "fillers": len(found) - hedging}
    return notes | {name: count for name, count in counts.items() if count}
