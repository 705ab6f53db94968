"""How like two texts are: the metrics of `text_similarity`, each from 0 (nothing in common) to 1 (the same).

Words are runs of letters and digits in any script, in lower case, so accents of Portuguese and Spanish stay.
Knows texts alone.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

from greenroom.errors import ExtraMissing, MalformedRequest

Metric = Callable[[str, str], float]
"""(text, reference) → 0 to 1."""
LONGEST = 5_000
"""Words of a text that `rouge_l` takes: its work grows with their product."""
_WORD = re.compile(r"\w+")
_MOST_GRAM = 4
_EXTRA = "pip install 'greenroom[eval]'"


class TooLong(ValueError):
    """A text is longer than a metric takes."""


def metric(name: str, param: str) -> Metric:
    """A metric by OpenAI's name for it, `cosine` aside. Raises: MalformedRequest, ExtraMissing."""
    if name.startswith("rouge_") and name[6:] in {"1", "2", "3", "4", "5"}:
        size = int(name[6:])
        return lambda text, reference: rouge_n(text, reference, size)
    known: dict[str, Metric] = {"rouge_l": rouge_l, "gleu": gleu, "fuzzy_match": fuzzy, "bleu": bleu}
    if name == "meteor":
        raise MalformedRequest(
            f"'{param}': meteor needs a dictionary of synonyms for each language, which Greenroom does not "
            f"have. Use gleu or rouge_l, or a score_model grader.",
            param,
        )
    if name not in known:
        raise MalformedRequest(
            f"'{param}' must be one of cosine, fuzzy_match, bleu, gleu, rouge_1 to rouge_5, rouge_l.", param
        )
    library = {"fuzzy_match": "rapidfuzz", "bleu": "sacrebleu"}.get(name)
    if library is not None and find_spec(library) is None:
        raise ExtraMissing(f"'{name}' needs {library}, which is not installed here: {_EXTRA}", param)
    return known[name]


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


def _grams(tokens: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1))


def rouge_n(text: str, reference: str, size: int) -> float:
    """F1 of the n-grams that both have. Source: Lin, "ROUGE", 2004, section 2, as F instead of recall."""
    found, wanted = _grams(words(text), size), _grams(words(reference), size)
    return _f1((found & wanted).total(), found.total(), wanted.total())


def rouge_l(text: str, reference: str) -> float:
    """F1 of the longest common subsequence of words. Source: Lin, "ROUGE", 2004, section 3.

    Raises: TooLong.
    """
    found, wanted = words(text), words(reference)
    if max(len(found), len(wanted)) > LONGEST:
        raise TooLong(f"A text is longer than {LONGEST:,} words, which is the most for rouge_l.")
    return _f1(_common(found, wanted), len(found), len(wanted))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of bits at a time.

    Source: Hyyrö, "Bit-Parallel LCS-length Computation Revisited", 2004.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << at
    whole = (1 << len(one)) - 1
    row = whole
    for word in other:
        match = row & places.get(word, 0)
        row = ((row + match) | (row - match)) & whole
    return len(one) - row.bit_count()


def gleu(text: str, reference: str) -> float:
    """The lesser of precision and recall over n-grams of 1 to 4 words.

    Source: Wu et al., "Google's Neural Machine Translation System", 2016, section 6.
    """
    found, wanted = words(text), words(reference)
    common = said = asked = 0
    for size in range(1, _MOST_GRAM + 1):
        of_text, of_reference = _grams(found, size), _grams(wanted, size)
        common += (of_text & of_reference).total()
        said += of_text.total()
        asked += of_reference.total()
    if not said or not asked:
        return float(said == asked)
    return common / max(said, asked)


def fuzzy(text: str, reference: str) -> float:
    """1 less the share of characters to be put in or taken out, as RapidFuzz's `ratio` / 100."""
    return float(import_module("rapidfuzz.fuzz").ratio(text, reference)) / 100


def bleu(text: str, reference: str) -> float:
    """SacreBLEU's sentence score / 100, words cut as "13a" does, smoothed exponentially (its own default)."""
    return float(import_module("sacrebleu").sentence_bleu(text, [reference]).score) / 100


def _f1(common: int, found: int, wanted: int) -> float:
    if not found or not wanted:
        return float(found == wanted)
    return 2 * common / (found + wanted)
