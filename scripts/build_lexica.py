"""Make the lexica of `greenroom/data/lexica` from wordfreq's lists and hunspell's dictionaries.

Run in an environment of its own: `pip install wordfreq marisa-trie`, and Debian's packages hunspell,
hunspell-en-us, hunspell-en-gb, hunspell-pt-br, hunspell-pt-pt, hunspell-es. Then
`python scripts/build_lexica.py`; the same input gives the same bytes. Takes about three minutes.

A word of wordfreq that a dictionary takes is a word, and may be proposed. A word that only a dictionary of
names takes, or no dictionary, is known but never proposed, unless it looks like a slip of a far more
frequent word: then it is left out. Nothing comes from the dictionaries but their yes or no.
"""

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from math import log10
from pathlib import Path

import marisa_trie
import wordfreq

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from greenroom.stages.preprocess.lexicon import (  # noqa: E402  # run as a script, beside the package
    NO_DICTIONARY,
    STEPS_A_ZIPF,
    key_of,
    pack,
    plain,
    reformed,
    shorter,
)  # fmt: skip
from greenroom.stages.preprocess.slips import SLIP_WEIGHT, cost  # noqa: E402  # as above

DICTIONARIES = {"en": ("en_US", "en_GB"), "pt": ("pt_BR", "pt_PT"), "es": ("es_ES",)}
TWIN = 0.95
"""How much more frequent (zipf) a word with accents must be for the one without them to count as a slip."""
COUNTS_A_DECADE = 40
OTHERS = ("fr", "it", "de", "nl", "ca")
LEAST_PROPOSED = 2.3
"""Zipf frequency (log10 of occurrences in 10⁹ words) below which a word is known but never proposed."""
NOT_RARE, RARE, RARE_NAME = 2.0, 1.25, 0.4
"""A rarer word (zipf) in no dictionary is a slip where a neighbour is this much more frequent."""
SLIP = -0.6
"""A less rare one is a slip where another's slips would make it this much more frequent (zipf)."""
BARE = 0.3
"""How much more frequent (zipf) a word with accents is where the one without, in no dictionary, is a slip."""
SLIP_NAME = 0.3
"""The same for words that dictionaries have with a capital."""
ELSEWHERE = 1.0
"""How much rarer (zipf) a word of another of the languages is here."""
NEIGHBOURS = 6
TABLE_WORDS = {"en": 40_000, "pt": 40_000, "es": 40_000}
JARGON_SHARE = 0.3
"""How much of what its frequencies say a technical word says: people mix English ones into every language."""
TABLE_OTHERS = 12_000
LONGEST = 28


def main() -> None:
    """Build every file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "greenroom" / "data" / "lexica")
    parser.add_argument("--own", type=Path, default=ROOT / "training" / "lexica")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    lists = {code: _list(code) for code in (*DICTIONARIES, *OTHERS)}
    anywhere: dict[str, float] = {}
    for frequencies in lists.values():
        for word, zipf in frequencies.items():
            anywhere[word] = max(zipf, anywhere.get(word, 0.0))
    for code in DICTIONARIES:
        _lexicon(code, lists[code], anywhere, asked.own, asked.out)
    _languages(lists, _own(asked.own, "technical"), asked.out)


def _list(code: str) -> dict[str, float]:
    return {
        word: wordfreq.zipf_frequency(word, code, "large")
        for word in wordfreq.iter_wordlist(code, "large")
        if len(word) <= LONGEST and word.replace("'", "").isalpha() and not word.startswith("'")
    }


def _own(folder: Path, name: str) -> set[str]:
    """The words of a list of ours; `#` begins a remark."""
    lines = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {word for line in lines for word in line.partition("#")[0].split()}


def _accepted(words: Iterable[str], dictionary: str) -> set[str]:
    words = list(words)
    command = ["hunspell", "-d", dictionary, "-i", "utf-8", "-l"]
    told = subprocess.run(command, input="\n".join(words), capture_output=True, text=True, check=True)  # noqa: S603  # fixed words
    return set(words) - set(told.stdout.split("\n"))


def _lexicon(
    code: str, frequencies: dict[str, float], anywhere: dict[str, float], own: Path, out: Path
) -> None:
    proper: set[str] = set()
    names: set[str] = set()
    for dictionary in DICTIONARIES[code]:
        proper |= _accepted(frequencies, dictionary)
        titled = {word.capitalize(): word for word in frequencies}
        names |= {titled[word] for word in _accepted(titled, dictionary)}
    slang = _own(own, f"in_use_{code}") | _own(own, "technical") | _own(own, "borrowed")
    zipf = {word: frequencies.get(word, 1.5) for word in proper | slang}
    bare = set()
    if code != "en":
        bare = _accents_left_out(code, proper, frequencies) - _own(own, f"two_words_{code}")
    proper -= bare
    zipf = {word: zipf for word, zipf in zipf.items() if word not in bare}
    near = _by_key(proper, frequencies)
    for word in set(frequencies) - set(zipf) - bare:
        used = max(frequencies[word], anywhere[word] - ELSEWHERE)
        others = _others(word, near)
        best = max((frequencies[one] for one in others), default=0.0)
        is_slip = best >= used + (RARE_NAME if word in names else RARE)
        if is_slip and frequencies[word] >= NOT_RARE:
            slips = max(frequencies[one] - SLIP_WEIGHT * cost(word, one) for one in others)
            is_slip = slips >= used + (SLIP_NAME if word in names else SLIP)
        if code != "en" and any(
            plain(one) == word and frequencies[one] >= frequencies[word] + BARE for one in others
        ):
            is_slip = True
        if not is_slip or (code == "pt" and any(modern in proper for modern in reformed(word))):
            zipf[word] = frequencies[word]
    proposed = {word for word in proper if frequencies[word] >= LEAST_PROPOSED and len(word) > 1}
    _write(code, zipf, proper, proposed, out)
    print(f"{code}: {len(zipf)} words, {len(proposed)} of them proposed", file=sys.stderr)


def _by_key(words: Iterable[str], frequencies: dict[str, float]) -> dict[str, list[str]]:
    """Keys, whole and with one letter less → the most frequent words that have them."""
    near: dict[str, list[str]] = defaultdict(list)
    for word in sorted(words, key=lambda one: (-frequencies[one], one)):
        if len(word) > 2:
            key = key_of(word)
            for variant in {key, *shorter(key)}:
                if len(near[variant]) < NEIGHBOURS:
                    near[variant].append(word)
    return near


def _others(word: str, near: dict[str, list[str]]) -> set[str]:
    """The most frequent words about one slip away."""
    key = key_of(word)
    variants = {key} if len(key) < 4 else {key, *shorter(key)}
    return {other for variant in variants for other in near.get(variant, ())}


def _accents_left_out(code: str, proper: set[str], frequencies: dict[str, float]) -> set[str]:
    """Words that dictionaries have, but that mostly stand for one with accents: «historia»."""
    accented: dict[str, str] = {}
    for word in proper:
        bare = plain(word)
        if bare != word and frequencies[word] > frequencies.get(accented.get(bare, ""), 0.0):
            accented[bare] = word
    return {
        bare
        for bare, word in accented.items()
        if bare in proper
        and frequencies[word] >= frequencies[bare] + TWIN
        and (code != "es" or bare[-1] not in "oaei" or word[-1] not in "óáéí")  # «realizo», «realizó»: both
    }


def _write(code: str, zipf: dict[str, float], proper: set[str], proposed: set[str], out: Path) -> None:
    trie = marisa_trie.Trie(sorted(zipf))
    classes = bytearray(len(zipf))
    keys: dict[str, list[int]] = defaultdict(list)
    for word, frequency in zipf.items():
        number = trie.key_id(word)
        classes[number] = min(127, round(frequency * STEPS_A_ZIPF)) | (0 if word in proper else NO_DICTIONARY)
        if word in proposed:
            key = key_of(word)
            for variant in {key, *(shorter(key) if len(key) > 3 else ())}:
                keys[variant].append(number)
    trie.save(str(out / f"{code}.marisa"))
    (out / f"{code}.edits").write_bytes(pack(bytes(classes), keys))


def _languages(lists: dict[str, dict[str, float]], technical: set[str], out: Path) -> None:
    """Words and endings with what each says for every language, as `stages/language.py` reads it."""
    kept = {
        code: dict(
            sorted(words.items(), key=lambda one: (-one[1], one[0]))[: TABLE_WORDS.get(code, TABLE_OTHERS)]
        )
        for code, words in lists.items()
    }
    codes = list(kept)
    floors = [min(words.values()) for words in kept.values()]
    rows: dict[str, list[float]] = {}
    for word in sorted({word for words in kept.values() for word in words}):
        zipfs = [max(kept[code].get(word, 0.0), floor) for code, floor in zip(codes, floors, strict=True)]
        weight = JARGON_SHARE if word in technical else 1.0
        rows[word] = [weight * (max(zipfs) - zipf) for zipf in zipfs]
    for ending, shares in _endings(lists).items():
        rows["-" + ending] = [max(shares) - value for value in shares]
    trie = marisa_trie.Trie(sorted(rows))
    table = bytearray(len(rows) * len(codes))
    for word, row in rows.items():
        at = trie.key_id(word) * len(codes)
        table[at : at + len(codes)] = bytes(min(255, round(value * COUNTS_A_DECADE)) for value in row)
    trie.save(str(out / "languages.marisa"))
    (out / "languages.bytes").write_bytes(bytes(table))
    print(f"languages {' '.join(codes)}: {len(rows)} words and endings", file=sys.stderr)


def _endings(lists: dict[str, dict[str, float]]) -> dict[str, list[float]]:
    """Endings of two to five letters → log10 of their share among each language's commoner words."""
    counts: list[dict[str, float]] = []
    for words in lists.values():
        count: dict[str, float] = defaultdict(float)
        for word, zipf in sorted(words.items(), key=lambda one: (-one[1], one[0]))[:60_000]:
            if len(word) > 3:
                for length in range(2, min(6, len(word) + 1)):
                    count[word[-length:]] += zipf
        total = sum(value for ending, value in count.items() if len(ending) == 2)
        counts.append({ending: value / total for ending, value in count.items()})
    found = {}
    for ending in sorted({ending for count in counts for ending in count}):
        shares = [count.get(ending, 0.0) for count in counts]
        if max(shares) > 3e-4:
            found[ending] = [log10(max(one, 2e-5)) for one in shares]
    return found


if __name__ == "__main__":
    main()
