"""The vocabulary of a model as GGUF wants it: tokens, kinds, merges, ends, and how a chat is written.

Byte-level byte-pair encoding alone, the kind of `tokenizer.json` that Llama 3, Qwen, SmolLM and the models
made here have. llama.cpp knows how text is cut before that by a name: which name stands for which rule is in
`_RULES`, by the regular expressions of those models.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from msgspec import DecodeError, Struct, ValidationError, field
from msgspec.json import Decoder

from greenroom.errors import RequestError

LIMIT_BYTES = 64 << 20
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Kinds of tokens, as GGUF numbers them."""
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
_RULES: dict[tuple[str, bool], str] = {
    (_GPT2, False): "gpt-2",
    (_CONTRACTIONS + _WORDS + r"|\p{N}{1,3}" + _REST, True): "llama-bpe",
    (_CONTRACTIONS + _WORDS + r"|\p{N}{1,3}" + _REST, False): "smaug-bpe",
    (_CONTRACTIONS + _WORDS + r"|\p{N}" + _REST, False): "qwen2",
}
"""How text is cut, and whether a whole piece that is a token is taken without merging."""
_DIGITS = "smollm"
"""Every digit by itself, then as GPT-2 does."""
_GENERATION = re.compile(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}")
_Said = TypeVar("_Said")


class _Added(Struct):
    id: int
    content: str
    special: bool = False


class _BPE(Struct):
    vocab: dict[str, int]
    merges: list[str | tuple[str, str]]
    type: str = "BPE"
    byte_fallback: bool = False
    ignore_merges: bool = False


class _Cut(Struct):
    """A step of a pre-tokenizer."""

    type: str
    pretokenizers: list["_Cut"] = []
    pattern: dict[str, str] = {}
    behavior: str = ""
    invert: bool = False
    individual_digits: bool = False
    add_prefix_space: bool = False
    use_regex: bool = True


class _Kind(Struct):
    type: str


class _Piece(Struct):
    special: dict[str, Any] | None = field(name="SpecialToken", default=None)  # Any: JSON


class _After(Struct):
    """A post-processor."""

    type: str
    single: list[_Piece] = []
    processors: list["_After"] = []


class _Tokenizer(Struct):
    model: _BPE
    added_tokens: list[_Added] = []
    normalizer: _Kind | None = None
    pre_tokenizer: _Cut | None = None
    post_processor: _After | None = None


class _Named(Struct):
    name: str
    template: str


class _Token(Struct):
    content: str


class _Config(Struct):
    """`tokenizer_config.json`."""

    bos_token: str | _Token | None = None
    eos_token: str | _Token | None = None
    pad_token: str | _Token | None = None
    unk_token: str | _Token | None = None
    add_bos_token: bool | None = None
    chat_template: str | list[_Named] | None = None


class _Generation(Struct):
    """`generation_config.json`."""

    eos_token_id: int | list[int] | None = None


class Vocabulary(NamedTuple):
    """Ready to be written."""

    pre: str
    tokens: list[str]
    kinds: list[int]
    merges: list[str]
    bos: int | None
    eos: int | None
    eot: int | None
    pad: int | None
    unknown: int | None
    add_bos: bool
    template: str | None


def read_vocabulary(folder: Path, size: int, eos_ids: list[int]) -> Vocabulary:
    """What a folder's tokenizer says, filled up to `size` tokens. `eos_ids` are those of `config.json`.

    Raises: RequestError for a tokenizer that is missing or of another kind.
    """
    if not (folder / "tokenizer.json").is_file():
        raise RequestError(f"There is no 'tokenizer.json' in {folder}; the model can't be exported without.")
    tokenizer = _read(folder / "tokenizer.json", _tokenizers)
    path = folder / "tokenizer_config.json"
    config = _read(path, _configs) if path.is_file() else _Config()
    path = folder / "generation_config.json"
    more = _read(path, _generations).eos_token_id if path.is_file() else None
    tokens, kinds = _tokens(tokenizer, size)
    at = {text: id for id, text in enumerate(tokens)}
    template = _template(folder, config)
    bos, eos = (_id(one, at) for one in (config.bos_token, config.eos_token))
    ends = [*([] if eos is None else [eos]), *eos_ids, *([more] if isinstance(more, int) else more or [])]
    ends = [one for one in dict.fromkeys(ends) if 0 <= one < len(tokens)]
    return Vocabulary(
        pre=_pre(tokenizer),
        tokens=tokens,
        kinds=kinds,
        merges=[one if isinstance(one, str) else " ".join(one) for one in tokenizer.model.merges],
        bos=bos,
        eos=ends[0] if ends else None,
        eot=ends[1] if len(ends) > 1 else None,
        pad=_id(config.pad_token, at),
        unknown=_id(config.unk_token, at),
        add_bos=bos is not None and _adds_bos(tokenizer, config, tokens[bos], template),
        template=template,
    )


_tokenizers, _configs, _generations = Decoder(_Tokenizer), Decoder(_Config), Decoder(_Generation)


def _read(path: Path, decoder: Decoder[_Said]) -> _Said:
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise RequestError(f"'{path.name}' in {path.parent} is larger than 64 MB.")
        return decoder.decode(path.read_bytes())
    except (OSError, DecodeError, ValidationError, RecursionError) as error:
        raise RequestError(
            f"'{path.name}' in {path.parent} can't be used: {error}. Tokenizers of byte-level byte-pair "
            "encoding are exported."
        ) from None


def _tokens(tokenizer: _Tokenizer, size: int) -> tuple[list[str], list[int]]:
    """All tokens by id, and their kinds. Numbers between them, and up to `size`, are unused."""
    texts = {id: text for text, id in tokenizer.model.vocab.items()}
    kinds = dict.fromkeys(texts, NORMAL)
    for added in tokenizer.added_tokens:
        texts[added.id] = added.content
        kinds[added.id] = CONTROL if added.special else USER_DEFINED
    if min(texts, default=0) < 0 or max(texts, default=0) >= size:
        raise RequestError(
            f"'tokenizer.json' knows tokens up to number {max(texts, default=0)}, and the model has {size} "
            "rows for them; they do not belong together."
        )
    return (
        [texts.get(id, f"[PAD{id}]") for id in range(size)],
        [kinds.get(id, UNUSED) for id in range(size)],
    )


def _pre(tokenizer: _Tokenizer) -> str:
    """llama.cpp's name for how this tokenizer cuts text. Raises RequestError where it has none."""
    model = tokenizer.model
    steps = _flat(tokenizer.pre_tokenizer)
    if model.type != "BPE" or model.byte_fallback or not steps or steps[-1].type != "ByteLevel":
        raise RequestError("'tokenizer.json' is not byte-level byte-pair encoding, which alone is exported.")
    if tokenizer.normalizer is not None and tokenizer.normalizer.type != "NFC":
        raise RequestError(
            f"'tokenizer.json' changes text by {tokenizer.normalizer.type}, which GGUF can't say."
        )
    last, first = steps[-1], steps[:-1]
    if last.add_prefix_space:
        raise RequestError("'tokenizer.json' puts a space before texts, which GGUF can't say.")
    found = None
    if last.use_regex and not model.ignore_merges:
        if not first:
            found = _RULES[_GPT2, False]
        elif len(first) == 1 and first[0].type == "Digits" and first[0].individual_digits:
            found = _DIGITS
    elif len(first) == 1 and first[0].type == "Split" and not first[0].invert:
        found = _RULES.get((first[0].pattern.get("Regex", ""), model.ignore_merges))
        found = found if first[0].behavior == "Isolated" else None
    if found is None:
        raise RequestError(
            "'tokenizer.json' cuts text by a rule that llama.cpp has no name for here; those of GPT-2, "
            "Llama 3, Qwen2 and SmolLM are exported."
        )
    return found


def _flat(step: _Cut | None) -> list[_Cut]:
    if step is None:
        return []
    if step.type != "Sequence":
        return [step]
    return [one for inner in step.pretokenizers for one in _flat(inner)]


def _adds_bos(tokenizer: _Tokenizer, config: _Config, bos: str, template: str | None) -> bool:
    """Whether the first token comes by itself.

    A chat is read as it was trained: where the template does not write it, there was none.
    """
    if template is not None and bos not in template and "bos_token" not in template:
        return False
    return bool(config.add_bos_token) or _begins_with(tokenizer.post_processor, bos)


def _begins_with(after: _After | None, bos: str) -> bool:
    if after is None:
        return False
    first = after.single[0].special if after.single else None
    return (first or {}).get("id") == bos or any(_begins_with(one, bos) for one in after.processors)


def _id(token: str | _Token | None, at: dict[str, int]) -> int | None:
    if token is None:
        return None
    return at.get(token if isinstance(token, str) else token.content)


def _template(folder: Path, config: _Config) -> str | None:
    """How a chat is written, without the tags that mark for training what the assistant says."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        try:
            if path.stat().st_size > LIMIT_BYTES:
                raise RequestError(f"'{path.name}' in {folder} is larger than 64 MB.")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(f"'{path.name}' in {folder} can't be read: {error}.") from None
    elif isinstance(config.chat_template, str):
        text = config.chat_template
    else:
        named = {one.name: one.template for one in config.chat_template or []}
        if "default" not in named:
            return None
        text = named["default"]
    return _GENERATION.sub(_plain, text)


def _plain(tag: re.Match[str]) -> str:
    """A tag that every Jinja knows, with the same say over the white space around it."""
    before, end, after = tag.groups()
    return f"{{%{before} {'endif' if end else 'if true'} {after}%}}"
