"""The gate of training rows: what is planted in made-up rows of three languages, and what comes through.

Reported on the half of the frames that no threshold was chosen by. Nothing is read. Some 20 s.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from evals.figures import Row, share
from evals.identifiers import planted
from evals.training_rows import LANGUAGES, Made, conversation, rewritten, rows
from greenroom.assembly.training_rows import masks
from greenroom.offline.finetune.rows.options import Asked, Held, Means, Options
from greenroom.offline.finetune.rows.prepare import prepare

CLEAN = 900
PERSONAL = 40
"""Of each kind and language."""
EXACT = NEAR = EVALUATION = 300


class Planted(NamedTuple):
    """A file of rows, and what each line is."""

    lines: list[str]
    kinds: list[str]
    languages: list[str]
    values: list[tuple[str, str, str]]
    """Personal data: language, kind, value."""
    evaluation: list[Asked]


def plant(seed: str, half: int, scale: float = 1.0) -> Planted:
    """Clean rows and, at random places behind what they repeat, all that is planted."""
    random = Random(seed)
    source = rows(random, half)
    clean = list(islice(source, int(CLEAN * scale)))
    asked = list(islice(source, int(EVALUATION * scale)))
    found: list[tuple[str, Made]] = [("clean", one) for one in clean]
    values = []
    for language in LANGUAGES:
        own = (one for one in source if one.language == language)
        for _ in range(int(PERSONAL * scale)):
            for kind, value, sentence in planted(random, language):
                made = next(own)
                said = f"{made.question} {sentence}"
                answer = f"{made.answer} ({value})" if random.random() < 0.3 else made.answer
                values.append((language, kind, value))
                found.append(("personal", Made(conversation(said, answer), language, said, answer)))
    found += [("exact", random.choice(clean)) for _ in range(int(EXACT * scale))]
    for one in random.sample(clean, int(NEAR * scale)):
        how, other = rewritten(one, random)
        found.append((f"near, {how}", other))
    for one in asked:
        if random.random() < 0.4:
            found.append(("evaluation, equal", one))
        else:
            how, other = rewritten(one, random)
            found.append((f"evaluation, {how}", other))
    later = found[len(clean) :]
    random.shuffle(later)
    found[len(clean) :] = later
    return Planted(
        [json.dumps(made.row, ensure_ascii=False) for _, made in found], [kind for kind, _ in found],
        [made.language for _, made in found], values, [Asked((one.question,), one.answer) for one in asked],
    )  # fmt: skip


class Came(NamedTuple):
    """What came through."""

    text: str
    kept: frozenset[int]
    """Places of lines."""


def through(given: Planted) -> Came:
    """The gate itself, over files."""
    with TemporaryDirectory() as folder:
        source, out = Path(folder, "rows.jsonl"), Path(folder, "out")
        source.write_text("\n".join(given.lines) + "\n", encoding="utf-8")
        held = Held("own", given.evaluation)
        prepare(source, None, out, "supervised", Options(), Means(masks, (held,)))
        lineage = (out / "train.lineage.jsonl").read_text(encoding="utf-8").splitlines()
        kept = frozenset(json.loads(one)["line"] - 1 for one in lineage)
        return Came((out / "train.jsonl").read_text(encoding="utf-8"), kept)


def measure(data: Path) -> Iterator[Row]:
    """Figures by language; by kind with `detail`."""
    given = plant("report", 1)
    came = through(given)
    digits = re.sub(r"[ .()/+-]", "", came.text)
    of = "own frames, those held back"
    for language in LANGUAGES:
        hidden = [
            value not in came.text and re.sub(r"[ .()/+-]", "", value) not in digits
            for spoken, _, value in given.values
            if spoken == language
        ]
        yield share("finetune", "personal data masked", of, language, sum(hidden), len(hidden), (">=", 0.99))
        for kind, figure, goal in (
            ("exact", "exact duplicates removed", 1.0), ("near", "near duplicates removed", 0.95),
            ("evaluation", "evaluation rows kept out", 1.0),
        ):  # fmt: skip
            places = _places(given, kind, language)
            gone = sum(one not in came.kept for one in places)
            yield share("finetune", figure, of, language, gone, len(places), (">=", goal))
        places = _places(given, "clean", language) + _places(given, "personal", language)
        stayed = sum(one in came.kept for one in places)
        yield share("finetune", "look-alikes kept", of, language, stayed, len(places), (">=", 0.95))


def _places(given: Planted, kind: str, language: str) -> list[int]:
    return [
        at
        for at, (one, spoken) in enumerate(zip(given.kinds, given.languages, strict=True))
        if one.partition(",")[0] == kind and spoken == language
    ]


def missed(given: Planted, came: Came) -> Counter[str]:
    """By what was done to them: planted rows that came through, clean ones that did not."""
    return Counter(
        kind for at, kind in enumerate(given.kinds) if (at in came.kept) != (kind in ("clean", "personal"))
    )
