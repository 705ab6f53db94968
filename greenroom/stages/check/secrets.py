"""Keys, tokens, private keys and passwords: the detector, and the `secrets` step that acts on it.

Vendors' shapes first, then values whose name gives them away. Placeholders, hashes, UUIDs and look-ups of
variables are no secrets. Says nothing about whether a key is alive.
"""

from typing import Literal

from greenroom.contracts import Decide, as_usual
from greenroom.exchange import Exchange, Reply, Stage
from greenroom.stages.check.detector import RuleDetector
from greenroom.stages.check.linear import bytes_searcher
from greenroom.stages.check.mask import Screen, ScreenConfig, contents
from greenroom.stages.check.refusal import SENTENCES, Refusals
from greenroom.stages.check.rules import SECRET
from greenroom.stages.check.vault import Vault
from greenroom.stages.check.view import ODD, canonical

_TAIL = 128
"""No finding is decided by anything that stands further than this behind its start."""

_odd = bytes_searcher(ODD)


class SecretDetector(RuleDetector):
    """Finds credentials; a long one as a row of findings with one rule, end to end or line by line."""

    passes_words = True

    def __init__(self) -> None:
        super().__init__(SECRET, "secret")

    def safe_end(self, text: str) -> int:
        """Where a finding may still begin that later text decides, at most 256 characters before the end.

        Secrets hold no blanks, so that is the last word; only the head line of a private key does.
        """
        if not text.isascii() and _odd(text[-2 * _TAIL :].encode(errors="replace")) is not None:
            return self._safe_end_in_view(text)
        return _safe_end(text)

    def _safe_end_in_view(self, text: str) -> int:
        start = max(0, len(text) - 2 * _TAIL)
        view = canonical(text[start:].encode(errors="replace").decode())
        if not view.text:
            return len(text)
        at = _safe_end(view.text)
        return len(text) if at == len(view.text) else start + view.position(at)


def _safe_end(text: str) -> int:
    length = len(text)
    least = length - _TAIL if length > _TAIL else 0
    start = (
        max(text.rfind(" ", least), text.rfind("\n", least), text.rfind("\t", least), text.rfind("\r", least))
        + 1
    )
    start = max(start, least)
    head = text.find("-----B", least, start)
    return start if head < 0 else head


class SecretsConfig(ScreenConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.secrets]: what happens to credentials."""

    on_error: Literal["allow", "refuse"] = "refuse"  # what might be a key does not leave


class Secrets:
    """Credentials in the request, in passages and in added messages: masked, redacted, refused, reported."""

    name = "secrets"
    stage: Stage = "check"

    def __init__(
        self,
        config: SecretsConfig,
        vault: Vault | None = None,
        decide: Decide = as_usual,
        refusals: Refusals = SENTENCES,
    ) -> None:
        self.detector = SecretDetector()
        self._screen = Screen(self.name, "secret", self.detector, config, vault, decide, refusals)

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Look at every text of the request, then at passages and added messages, which never refuse it."""
        reply = self._screen(exchange)
        if exchange.passages or exchange.request.added:
            self._clear_passages(exchange)
        return reply

    def _clear_passages(self, exchange: Exchange) -> None:
        record = exchange.steps[-1]
        screen = self._screen
        known: set[str] = set()
        for index, passage in enumerate(exchange.passages):
            before = passage.text
            passage.text, findings = screen.redact(exchange, record, before, "passage", index)
            for one, decision in findings:
                known.add(before[one.start : one.end])
                screen.note(record, one, decision, one.start, one.end, "passage", index)
        for index, message in exchange.request.added:
            for value, replace in contents(message):
                cleared, findings = screen.redact(
                    exchange, record, value, str(message.get("role", "")), index
                )
                if cleared != value:
                    replace(cleared)
                for one, decision in findings:
                    if value[one.start : one.end] not in known:
                        screen.note(record, one, decision, one.start, one.end, "passage", index)
