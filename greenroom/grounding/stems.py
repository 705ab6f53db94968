"""Words as the index sees them: lower case, without accents, stemmed, stop words left out.

English, Portuguese and Spanish (Snowball). Words typed without their accents get the same stem as those
typed with them. Knows no synonyms; text without spaces between words (Chinese, say) is cut into pairs.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal

import Stemmer  # type: ignore[import-not-found]  # a C extension without stubs

Language = Literal["en", "pt", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "pt", "es")

_SAMPLE = 4_000
"""Characters that are looked at to tell a document's language."""
_LONGEST = 64
"""Characters kept of one word: what is longer is noise (base64, say)."""

_STOP_TEXT: dict[Language, str] = {
    "en": """a about after again all also am an and any are as at be because been before being both but
        by can could did do does doing don down during each else ever few for from further get had has
        have having he her here hers herself him himself his how i if in into is it its itself just let
        ll may me might more most much must my myself no nor not now of off on once only or other our
        ours out over own please re s same shall she should so some such t than that the their theirs
        them then there these they this those through to too under until up upon us ve very was we were
        what when where which while who whom whose why will with would yet you your yours yourself d m""",
    "pt": """a à agora ainda além algum alguma alguns algumas ao aos após aquela aquelas aquele aqueles
        aquilo as às assim até cada com como contra da daquela daquele das de dela delas dele deles
        depois desde dessa dessas desse desses desta destas deste destes disso disto do dos e é ela elas
        ele eles em enquanto entre era eram essa essas esse esses esta está estas estão estar estava
        estavam este estes estou eu foi foram fosse há isso isto já lhe lhes lo la los las mais mas me
        mesma mesmas mesmo mesmos meu meus minha minhas muito muita muitos muitas na não nas nela nele
        nem nenhum nessa nesse nesta neste no nos nós nossa nossas nosso nossos num numa o onde os ou
        outra outras outro outros para pela pelas pelo pelos per perante pode podem por porque porém
        pois posso pra qual quais qualquer quando quanto quantos quanta quantas que quê quem são se seja
        sejam sem sendo ser será serão seu seus si sido sobre sob somos sou sua suas também tão te tem
        têm tenho ter teu tinha toda todas todo todos tu tua um uma umas uns vai vão você vocês vos""",
    "es": """a al algo alguna algunas alguno algunos ante antes aquel aquella aquellas aquellos aquello
        así aun aunque cada como cómo con contra cual cuál cuales cuáles cualquier cuando cuándo cuanto
        cuánto cuantos cuántos cuánta cuántas de del desde donde dónde dos durante e el él ella ellas
        ellos en entre era eran eres es esa esas ese esos eso esta está están estaba estaban estas este
        estos esto estoy fue fueron fuera ha han hasta hay he la las le les lo los más me mi mis
        mientras mío misma mismas mismo mismos mí mucha muchas mucho muchos muy nada ni ningún ninguna
        ninguno no nos nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros para pero
        poco por porque pues puede pueden puedo que qué quien quién quienes quiénes se sea sean según
        ser será si sí sido sin sino sobre sois somos son soy su sus suya suyo también tan tanto te
        tener tenía tengo ti tiene tienen toda todas todo todos tu tú tus un una unas uno unos usted
        ustedes vosotros y ya yo""",
}

_TELLING: dict[Language, str] = {
    "en": """the of and to is are was were for on with that this it as by be or an from what how which
        who when where why does do did can could should would i you my your not has have will if there
        in at we they""",
    "pt": """não o uma um os as do da dos das em no na nos nas ao aos pelo pela com são é você vocês isso
        ele ela meu minha seu sua mais mas também quando onde qual quais quem foi ser está tem há até e
        ou já à às que de para por como se nao sao voce eu quero posso qualquer muito num numa quanto
        quanta quantos quantas""",
    "es": """el la los las del al un una y en con no es son por qué cómo cuál cuáles quién dónde cuándo
        fue está hay usted su sus mi pero más también muy ya lo le les que de para se como cual cuando
        donde quien quiero puedo yo esto eso según hasta desde cuales cuanto cuanta cuantos cuantas""",
}

_ENDINGS: dict[Language, tuple[tuple[str, str], ...]] = {
    "en": (),
    "pt": (
        ("coes", "ções"), ("cao", "ção"), ("oes", "ões"), ("aes", "ães"), ("ao", "ão"), ("avel", "ável"),
        ("ivel", "ível"), ("aveis", "ável"), ("iveis", "ível"), ("encia", "ência"), ("encias", "ências"),
        ("ancia", "ância"), ("ancias", "âncias"),
    ),
    "es": (("cion", "ción"), ("sion", "sión"), ("logia", "logía"), ("logias", "logías")),
}  # fmt: skip
"""Endings whose accents the stemmers need; put back after all accents were taken off."""

_word = re.compile(r"\w+(?:[-.@]\w+)*")
_parts = re.compile(r"[^\W_]+")
_wide = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_marks = re.compile(r"[\u0300-\u036f]+")
_plain_words = re.compile(r"[^\W\d_]+")


def fold(text: str) -> str:
    """Lower case without accents. Compatible forms (ligatures, full width) become plain ones."""
    if text.isascii():
        return text.lower()
    return _marks.sub("", unicodedata.normalize("NFKD", text.casefold()))


def _word_set(text: str) -> frozenset[str]:
    return frozenset(fold(text).split())


STOP_WORDS: dict[Language, frozenset[str]] = {name: _word_set(text) for name, text in _STOP_TEXT.items()}
_WORDS_TELLING: dict[str, tuple[Language, ...]] = {}
for _name, _text in _TELLING.items():
    for _one in dict.fromkeys(_text.split()):
        _WORDS_TELLING[_one] = (*_WORDS_TELLING.get(_one, ()), _name)


def language_of(text: str, default: Language = "en") -> Language:
    """The language most function words of the text's beginning belong to; `default` when none is known."""
    counts = dict.fromkeys(LANGUAGES, 0.0)
    sample = text[:_SAMPLE].lower()
    for owners in filter(None, map(_WORDS_TELLING.get, _plain_words.findall(sample))):
        share = 1.0 / len(owners)
        for owner in owners:
            counts[owner] += share
    if not sample.isascii():
        counts["pt"] += sum(map(sample.count, ("ã", "õ", "ç", "ê", "â", "à")))
        counts["es"] += sum(map(sample.count, ("ñ", "¿", "¡")))
    best = max(LANGUAGES, key=counts.__getitem__)
    return best if counts[best] > 0 else default


def _make_stem(language: Language) -> Callable[[str], str]:
    stem = Stemmer.Stemmer({"en": "english", "pt": "portuguese", "es": "spanish"}[language], 0).stemWord
    endings = _ENDINGS[language]

    @lru_cache(maxsize=16_384)
    def stem_of(word: str) -> str:
        for plain, accented in endings:
            if word.endswith(plain):
                word = word[: -len(plain)] + accented
                break
        found: str = stem(word)
        return fold(found)

    return stem_of


_stems: dict[Language, Callable[[str], str]] = {name: _make_stem(name) for name in LANGUAGES}


def words_of(text: str) -> list[str]:
    """The words of a text as `stems_of` takes them: lower case, without accents, joined ones whole."""
    return _word.findall(fold(text))


def stems_of(words: Iterable[str], language: Language) -> list[str]:
    """The stems of words of one language in order, its stop words left out."""
    stop, stem = STOP_WORDS[language], _stems[language]
    found: list[str] = []
    add = found.append
    for word in words:
        if word.isascii() and word.isalnum():
            if word not in stop:
                add(stem(word[:_LONGEST]))
        else:
            _add_unusual(word[: 4 * _LONGEST], found, stop, stem)
    return found


def tokens(text: str, language: str = "auto") -> list[str]:
    """The stems of a text in order, stop words left out.

    Identifiers (`x-request-id`, `CPF_1`, `v1.2`) stand whole as well as split. "auto", and any language we do
    not know, is told by `language_of`. Every token is letters, digits and `-_.@` only.
    """
    return stems_of(words_of(text), language if language in STOP_WORDS else language_of(text))


def _add_unusual(word: str, found: list[str], stop: frozenset[str], stem: Callable[[str], str]) -> None:
    parts = _parts.findall(word)
    if len(parts) > 1 or "_" in word:
        found.append(word[:_LONGEST])
    for part in parts:
        if _wide.search(part):
            found += [part[at : at + 2] for at in range(max(1, len(part) - 1))]
        elif part not in stop:
            found.append(stem(part[:_LONGEST]))
