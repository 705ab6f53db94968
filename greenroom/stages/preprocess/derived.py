"""Words that no list has, but everybody makes: compounds, prefixes, regular forms of verbs, words for small.

Knows the patterns of three languages; asks a lexicon for the stems. A derived word is no slip.
"""

from greenroom.stages.preprocess.lexicon import Lexicon, lexicon

_PREFIXES = {
    "en": (
        "re un non pre anti multi sub super micro mini auto inter over under hyper ultra mega pseudo "
        "semi cyber neo post counter out mis dis de co bio geo eco nano techno photo electro neuro "
        "psycho socio thermo self"
    ),
    "pt": (
        "re des in pré pre anti multi sub super micro mini auto inter sobre hiper ultra mega pseudo "
        "semi ciber neo pós contra extra infra tele foto eletro neuro psico sócio termo bio geo eco "
        "nano co mal bem"
    ),
    "es": (
        "re des in pre anti multi sub super súper micro mini auto inter sobre hiper ultra mega pseudo "
        "semi ciber neo pos post contra extra infra tele foto electro neuro psico socio termo bio geo "
        "eco nano co mal bien"
    ),
}
_SUFFIXES = {
    "en": "less like wise ness ish free based proof ready friendly worthy hood ship",
    "pt": "zinho zinha zinhos zinhas zão zona mente dor dora dores",
    "es": "cito cita citos citas mente dor dora dores",
}
_SMALL = {"pt": ("inho", "inha", "inhos", "inhas"), "es": ("ito", "ita", "itos", "itas")}
_VERBS = {
    "pt": {
        "ar": """o as a amos ais am ei aste ou astes aram ava avas ávamos avam ara áramos arei arás ará
            aremos arão aria arias aríamos ariam e es emos em asse asses ássemos assem ar ares armos
            arem ando ado ada ados adas ámos""",
        "er": """o es e emos em i este eu estes eram ia ias íamos iam era êramos erei erás erá eremos erão
            eria erias eríamos eriam a as amos am esse esses êssemos essem er eres ermos erem endo ido
            ida idos idas""",
        "ir": """o es e imos em i iste iu istes iram ia ias íamos iam ira íramos irei irás irá iremos irão
            iria irias iríamos iriam a as amos am isse isses íssemos issem ir ires irmos irem indo ido
            ida idos idas""",
    },
    "es": {
        "ar": """o as a amos áis an é aste ó asteis aron aba abas ábamos abais aban aré arás ará aremos aréis
            arán aría arías aríamos aríais arían e es emos éis en ara aras áramos aran ase ases ásemos
            asen ando ado ada ados adas ad á ás""",
        "er": """o es e emos éis en í iste ió imos isteis ieron ía ías íamos íais ían eré erás erá eremos
            eréis erán ería erías eríamos erían a as amos áis an iera ieras iéramos ieran iese iesen
            iendo ido ida idos idas ed é és""",
        "ir": """o es e imos ís en í iste ió isteis ieron ía ías íamos íais ían iré irás irá iremos iréis
            irán iría irías iríamos irían a as amos áis an iera ieras iéramos ieran iese iesen iendo ido
            ida idos idas id""",
    },
}
_CLITICS = (
    "melo", "mela", "melos", "melas", "telo", "tela", "selo", "sela", "selos", "selas", "noslo", "nosla",
    "me", "te", "se", "nos", "los", "las", "les", "lo", "la", "le", "os",
)  # fmt: skip
_FLAT = str.maketrans("áéíóú", "aeiou")
_PART = 3
"""Letters that each half of a compound has at least."""
_PART_ZIPF = 3.6
_STEM_ZIPF = 2.6

_prefixes = {code: tuple(sorted(text.split(), key=len, reverse=True)) for code, text in _PREFIXES.items()}
_suffixes = {code: tuple(text.split()) for code, text in _SUFFIXES.items()}
_endings = {
    code: tuple((infinitive, frozenset(text.split())) for infinitive, text in verbs.items())
    for code, verbs in _VERBS.items()
}


def is_derived(word: str, code: str) -> bool:
    """Whether a word is made from known ones by a rule of the language. Cost: about 20 µs."""
    words = lexicon(code)
    return (
        _has_affix(word, code, words)
        or (code == "en" and _is_english_form(word, words))
        or (code in _endings and _is_verb(word, code, words))
        or (code == "es" and _has_clitic(word, words))
        or _is_compound(word, words)
    )


def _has_affix(word: str, code: str, words: Lexicon) -> bool:
    for prefix in _prefixes[code]:
        if word.startswith(prefix) and len(word) - len(prefix) >= 4:
            rest = word[len(prefix) :]
            if words.zipf(rest) >= _STEM_ZIPF + (0.8 if len(prefix) < 4 else 0.0) and words.is_proper(rest):
                return True
    for suffix in _suffixes[code]:
        if (
            word.endswith(suffix)
            and words.zipf(word[: -len(suffix)]) >= _STEM_ZIPF
            and len(word) - len(suffix) >= 4
        ):
            return True
    for suffix in _SMALL.get(code, ()):
        if word.endswith(suffix):
            stem = word[: -len(suffix)]
            last = suffix[-2:] if suffix.endswith("s") else suffix[-1]
            if len(stem) >= 3 and (
                words.zipf(stem + last) >= _STEM_ZIPF or words.zipf(stem) >= _STEM_ZIPF + 1
            ):
                return True
    return False


def _is_english_form(word: str, words: Lexicon) -> bool:
    """«cabinet's», «lovin»."""
    stem, mark, ending = word.partition("'")
    if mark:
        return ending in {"s", "d", "ll", "ve", "re", ""} and stem in words
    return word.endswith("in") and words.is_proper(word + "g")


def _is_verb(word: str, code: str, words: Lexicon) -> bool:
    for length in range(1, min(8, len(word) - 2)):
        ending = word[-length:]
        for infinitive, endings in _endings[code]:
            if ending in endings and words.is_proper(word[:-length] + infinitive):
                return True
    return False


def _has_clitic(word: str, words: Lexicon) -> bool:
    for clitic in _CLITICS:
        if word.endswith(clitic) and len(word) - len(clitic) >= 3:
            stem = word[: -len(clitic)]
            flat = stem.translate(_FLAT)
            is_form = flat.endswith(("ar", "er", "ir", "ando", "endo", "a", "e", "i"))
            if (
                is_form
                and ((len(clitic) < 4 and stem == flat and flat.endswith("r")) or stem != flat)
                and flat in words
            ):
                return True
    return False


def _is_compound(word: str, words: Lexicon) -> bool:
    return any(
        words.zipf(word[:at]) >= _PART_ZIPF
        and words.zipf(word[at:]) >= _PART_ZIPF
        and words.is_proper(word[:at])
        and words.is_proper(word[at:])
        for at in range(_PART, len(word) - _PART + 1)
    )
