"""Personal data in English, Brazilian Portuguese and Spanish: the detector, and the `pii` step.

By check digits where there are some, by the words around where there are none. Names and addresses only
where the text introduces them; people named in passing are found with `names = "all"`.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from greenroom.contracts import Decide, as_usual
from greenroom.errors import ConfigError
from greenroom.exchange import Exchange, Reply, Stage
from greenroom.stages.check import people, places
from greenroom.stages.check.candidate import Candidate
from greenroom.stages.check.detector import RuleDetector
from greenroom.stages.check.linear import Span, bytes_searcher
from greenroom.stages.check.mask import Screen, ScreenConfig
from greenroom.stages.check.passing import NameFinder, People
from greenroom.stages.check.refusal import SENTENCES, Refusals
from greenroom.stages.check.rules import PERSONAL, Finder
from greenroom.stages.check.vault import Vault
from greenroom.stages.check.view import ODD, canonical

ENTITIES = (
    "person", "email", "phone", "address", "date_of_birth", "credit_card", "ip", "iban",
    "cpf", "cnpj", "rg", "cnh", "pis", "titulo_eleitor", "cns", "cep", "placa", "pix_key",
    "us_ssn", "nif", "nie",
)  # fmt: skip
"""What can be looked for, as the configuration names it."""

_TAIL = 128
"""No finding is decided by anything that stands further than this behind its start."""


def _open_end() -> str:
    """A pattern for the longest end of a text in which a finding may have begun that is not yet decided.

    Findings of several words are made of words that hold a digit, a capital, a plus or a bracket, joined by
    small words of names and dates; only the words behind a kind of street may be any.
    """
    space, other = r"[ \t\r\n]", r"[^ \t\r\n]"
    small = "|".join((people.LINKS, *people.AFTER_WORDS.split(), people.MONTHS, "of", "nº", "número"))
    starter = rf"(?:{other}*[0-9{people.CAPITALS}+(]{other}*|(?:^|{space})(?i:{people.MONTHS_FIRST})[.,]?)"
    likely = rf"(?:^|{space})(?i:{places.LIKELY})\.?"
    follow = rf"(?:{starter}|(?i:{small})[.,]?|[-.,/()#º°:]{{1,3}})"
    chain = rf"(?:(?:{starter}|{likely})(?:{space}{{1,3}}{follow})*{space}{{1,3}})?{other}*"
    street = rf"(?:^|[^0-9A-Za-z_])(?i:{places.SURE})\.?(?:{space}{{1,2}}{other}+){{0,9}}{space}{{0,2}}"
    return rf"(?:{street}|{chain})\z"


_OF_WORDS = frozenset(("PERSON", "ADDRESS", "DATE_OF_BIRTH", "PLACA"))
"""Kinds whose findings may begin with an ordinary word."""

_open = bytes_searcher(_open_end())
_odd = bytes_searcher(ODD)


class PiiDetector(RuleDetector):
    """Finds personal data of the kinds in `entities`, or all. Raises ValueError for an unknown kind."""

    def __init__(self, entities: Sequence[str] | None = None) -> None:
        unknown = set(entities or ()) - set(ENTITIES)
        if unknown:
            raise ValueError(f"There is no kind of personal data called {min(unknown)!r}.")
        wanted = frozenset(name.upper() for name in (ENTITIES if entities is None else entities))
        rules = [
            rule._replace(find=_only(rule.find, rule.labels, wanted))
            for rule in PERSONAL
            if rule.labels & wanted
        ]
        super().__init__(rules, "personal_data")
        self.passes_words = not wanted & _OF_WORDS

    def safe_end(self, text: str) -> int:
        """Where a finding may still begin that later text decides, at most 256 characters before the end."""
        length = len(text)
        if text.isascii():
            start = length - _TAIL if length > _TAIL else 0
            found = _open(text[start:].encode())
            return length if found is None else start + found.start()
        start = length - _TAIL if length > _TAIL else 0
        tail = text[start:].encode(errors="replace")
        if _odd(tail) is None:
            found = _open(tail)
            return length if found is None else start + len(tail[: found.start()].decode())
        return self._safe_end_in_view(text)

    def _safe_end_in_view(self, text: str) -> int:
        start = max(0, len(text) - 2 * _TAIL)
        view = canonical(text[start:].encode(errors="replace").decode())
        skipped = max(0, len(view.text) - _TAIL)
        tail = view.text[skipped:].encode()
        found = _open(tail)
        at = len(view.text) if found is None else skipped + len(tail[: found.start()].decode())
        return len(text) if at == len(view.text) else start + view.position(at)


def _only(finder: Finder, labels: frozenset[str], wanted: frozenset[str]) -> Finder:
    """The finder itself where all it finds is wanted, otherwise one that leaves the rest out."""
    if labels <= wanted:
        return finder

    def find(text: str, spans: Iterable[Span]) -> Iterable[Candidate]:
        return (one for one in finder(text, spans) if one.label in wanted)

    return find


class PiiConfig(ScreenConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.pii]: which personal data is looked for, and what happens to it."""

    entities: tuple[str, ...] = ENTITIES
    names: Literal["introduced", "all"] = "introduced"
    """all: whoever the tagger of step `entities` takes for a person, too. The model then can't tell Marie
    Curie from a customer, and questions about people get worse answers."""
    on_error: Literal["allow", "refuse"] = "refuse"  # data that might be personal does not leave


class Pii:
    """Personal data in the request: masked, redacted, refused or reported, by configuration."""

    name = "pii"
    stage: Stage = "check"

    def __init__(
        self,
        config: PiiConfig,
        vault: Vault | None = None,
        decide: Decide = as_usual,
        refusals: Refusals = SENTENCES,
        tagger: NameFinder | None = None,
    ) -> None:
        try:
            self.detector = PiiDetector(config.entities)
        except ValueError as error:
            raise ConfigError(f"[steps.pii] entities: {error} Known are {', '.join(ENTITIES)}.") from error
        self._screen = Screen(self.name, "personal_data", self.detector, config, vault, decide, refusals)
        self._people = People(tagger) if config.names == "all" and tagger is not None else None

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Look at every text of the request. Passages are the operator's, and are left as they are."""
        if self._people is None:
            return self._screen(exchange)
        return self._screen(exchange, await self._people(exchange))
