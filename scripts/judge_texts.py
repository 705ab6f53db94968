"""Texts that the judges of `injection` and `offense` learn from: of grammars, frames, rows and prose."""

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
LANGUAGES = ("en", "pt", "es")
DRAWN = {"attack": 900, "hidden": 500, "harmless": 900, "chore": 300}
"""Sentences drawn from each language's grammar."""
DRAWN_OF_LINE = 20
"""Texts drawn from one line of a file of frames, at most."""
ESCAPES = (("\\n", "\1"), ("\\{", "\2"), ("\\}", "\3"), ("\\|", "\4"))
"""What stands for a new line and for the signs of a choice, and what keeps their place while one is drawn."""


class Text(NamedTuple):
    """One training text; `source` only weighs it. Texts drawn from one `line` are held out together."""

    text: str
    is_bad: bool
    source: str
    line: str = ""


# own grammars


def draw(language: str, section: str, count: int, seed: int) -> list[str]:
    """`count` different sentences of a grammar of training/injection."""
    rules: dict[str, list[str]] = {}
    name = ""
    for line in (ROOT / "training" / "injection" / f"grammar.{language}.txt").read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]") and " " not in line and "|" not in line:
            name = line[1:-1]
            rules[name] = []
        elif line and not (line.startswith("# ") and not name):
            rules[name].append(line)
    chance = random.Random(f"{language} {section} {seed}")
    drawn: dict[str, None] = {}
    for _ in range(count * 3):
        drawn[_said(_expand(f"<{section}>", rules, chance), chance)] = None
        if len(drawn) == count:
            break
    return list(drawn)


def _expand(text: str, rules: dict[str, list[str]], chance: random.Random) -> str:
    slot = re.compile(r"<([a-z_]+)(?::([a-z_]+))?>")
    while True:
        chosen = re.sub(r"\{([^{}]*)\}", lambda one: chance.choice(one[1].split("|")), text)
        found = next((one for one in slot.finditer(chosen) if one[1] in rules), None)
        if found is None:
            if chosen == text:
                return text
            text = chosen
            continue
        piece = chance.choice(rules[found[1]])
        if found[2]:
            piece = piece.replace("@", f"<{found[2]}>")
        text = chosen[: found.start()] + piece + chosen[found.end() :]


def _said(text: str, chance: random.Random) -> str:
    """As people type: sometimes a capital, a full stop, no accents, all small or all large."""
    text = " ".join(text.split())
    way = chance.random()
    if way < 0.6:
        text = text[:1].upper() + text[1:]
    elif way > 0.97:
        text = text.upper()
    if chance.random() < 0.4 and text[-1:].isalpha():
        text += chance.choice(".!")
    return text


def framed(folder: str, language: str) -> Iterator[Text]:
    """Texts drawn from training/FOLDER/frames.LANGUAGE.txt, where there is one: some of each line."""
    path = ROOT / "training" / folder / f"frames.{language}.txt"
    if not path.exists():
        return
    rules: dict[str, list[str]] = {}
    name = ""
    written = path.read_text("utf-8")
    for escape, mark in ESCAPES:
        written = written.replace(escape, mark)
    for line in written.splitlines():
        if section := re.fullmatch(r"\[([a-z]+)\]", line):
            name = section[1]
            rules[name] = []
        elif line.startswith(("+ ", "- ")):
            chance = random.Random(line)
            drawn = {_said(_expand(line[2:], rules, chance), chance): None for _ in range(2 * DRAWN_OF_LINE)}
            for text in list(drawn)[:DRAWN_OF_LINE]:
                plain = text
                for escape, mark in ESCAPES:
                    plain = plain.replace(mark, "\n" if escape == "\\n" else escape[1:])
                yield Text(plain, line[0] == "+", f"frames {language}", line)
        elif not line.startswith("#") and name:
            rules[name].append(line)


# rows


def rows(path: Path) -> list[dict[str, Any]]:  # Any: JSON
    """The objects of a JSON Lines file, gzipped or not; none where it is missing."""
    if not path.exists():
        return []
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def may_ship(row: dict[str, Any]) -> bool:
    """Whether weights made from the row may be shipped."""
    return "SA" not in str(row.get("licence", "")).upper().replace("CC0", "").split("BY-")[-1]


def injection_texts(data: Path, *, share_alike: bool) -> list[Text]:
    """Attacks, and what is none: ordinary prompts, documents, rude and unsafe ones, personal data."""
    safety = data / "safety"
    texts = [
        Text(row["text"], row["label"] == "injection", row["source"].split(" ")[0])
        for row in rows(safety / "injection.train.jsonl.gz")
    ]
    texts += [
        Text(row["text"], row["label"] == "injection", "corpus")
        for row in rows(ROOT / "training/injection/own.jsonl")
    ]
    for number, language in enumerate(LANGUAGES):
        for section, count in DRAWN.items():
            texts += [
                Text(one, section in ("attack", "hidden"), f"grammar {section}")
                for one in draw(language, section, count, number)
            ]
        texts += framed("injection", language)
    texts += [Text(row["text"], False, "unsafe") for row in rows(safety / "unsafe_request.train.jsonl.gz")]
    texts += [Text(row["text"], False, "rude") for row in _toxicity(safety, share_alike=share_alike)[::6]]
    for name in ("pii", "secrets"):
        texts += [
            Text(row["text"], False, name)
            for row in rows(safety / f"{name}.train.jsonl.gz")[::8]
            if may_ship(row)
        ]
    texts += [Text(one, False, "sample") for one in _paragraphs()]
    texts += prose(data)
    return texts


def offense_texts(data: Path, *, share_alike: bool) -> list[Text]:
    """Rude, hateful and threatening texts, and what is none."""
    safety = data / "safety"
    texts = [
        Text(row["text"], row["label"] == "toxic", f"{row['source'].split('/')[-1]} {row['lang']}")
        for row in _toxicity(safety, share_alike=share_alike)
    ]
    texts += [
        Text(row["text"], row["label"] == "toxic", f"corpus {row['lang']}")
        for row in rows(ROOT / "training/offense/own.jsonl")
    ]
    texts += [
        Text(row["text"], False, "prompts")
        for row in rows(safety / "injection.train.jsonl.gz")
        if row["label"] == "benign"
    ]
    texts += [
        Text(row["text"], False, "prompts")
        for row in rows(safety / "unsafe_request.train.jsonl.gz")
        if row["label"] == "benign"
    ]
    for number, language in enumerate(LANGUAGES):
        texts += framed("offense", language)
        asked = [one.text for one in framed("injection", language) if not one.is_bad]
        texts += [Text(one, False, "prompts") for one in asked[::3]]
        for section in ("harmless", "chore"):
            drawn = draw(language, section, 500, 100 + number)
            texts += [Text(one, False, f"grammar {section} {language}") for one in drawn]
    texts += [
        Text(row["text"], False, f"prompts {row['lang']}")
        for row in rows(ROOT / "training/injection/own.jsonl")
        if row["label"] == "benign"
    ]
    for name in ("pii", "secrets"):
        texts += [
            Text(row["text"], False, name)
            for row in rows(safety / f"{name}.train.jsonl.gz")[::12]
            if may_ship(row)
        ]
    texts += [Text(one, False, "sample") for one in _paragraphs()]
    texts += prose(data)
    return texts


def _toxicity(safety: Path, *, share_alike: bool) -> list[dict[str, Any]]:
    return [row for row in rows(safety / "toxicity.train.jsonl.gz") if share_alike or may_ship(row)]


def _paragraphs() -> Iterator[str]:
    """Documents that are no attack: the project's own documentation in three languages."""
    for folder in (ROOT / "greenroom" / "data" / "sample", ROOT / "docs"):
        for path in sorted(folder.glob("*.md")):
            yield from (one for one in path.read_text("utf-8").split("\n\n") if len(one) > 40)


def prose(data: Path) -> list[Text]:
    """Long texts that are no attack and no insult: news, law, encyclopedias, talk; sentences in a row."""
    spoken: dict[str, list[str]] = {}
    for language in LANGUAGES:
        lines = (ROOT / "training" / "entities" / f"{language}.txt").read_text("utf-8").splitlines()
        own = [re.sub(r"\[(?:PER|LOC|ORG) ([^\]]*)\]", r"\1", line) for line in lines if line.strip()]
        spoken[f"news {language}"] = own
    ner = data / "text" / "ner"
    law = rows(ner / "pt_train_legal.jsonl")
    spoken["law pt"] = [_joined(row["text"]) for row in law]
    spoken["encyclopedia en"] = [
        _joined(row["text"]) for row in rows(ner / "en_train.jsonl") if row["source"] == "WikiGold"
    ]
    for path in sorted((ROOT / "training" / "memory").glob("talks*.jsonl")):
        for row in rows(path):
            said = [turn["text"] for turn in row["turns"]]
            spoken.setdefault(f"talk {row['lang']}", []).extend(said)
    texts: list[Text] = []
    for source, sentences in spoken.items():
        chance = random.Random(source)
        for _ in range(500):
            size = chance.choice((1, 2, 4, 6, 9, 14))
            if chance.random() < 0.5:
                start = chance.randrange(max(1, len(sentences) - size))
                chosen = sentences[start : start + size]
            else:
                chosen = chance.sample(sentences, min(size, len(sentences)))
            texts.append(Text(chance.choice((" ", " ", "\n")).join(chosen), False, f"prose {source}"))
    return texts


def _joined(tokens: str) -> str:
    """Tokens parted by blanks as people write them."""
    return re.sub(r"([(\[“«]) ", r"\1", re.sub(r" ([.,;:!?)\]%”»])", r"\1", tokens))
