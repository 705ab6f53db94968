"""Train the n-gram classifiers of `injection` and `offense`: greenroom/data/judges/.

    python scripts/train_judges.py --data DIR [--out DIR] [--share-alike]

DIR holds `safety/*.train.jsonl.gz`. Own rows, grammars and frames: training/injection, training/offense;
harmless prose from training/entities, training/memory, the documentation, LeNER-Br and WikiGold (`text/ner`).
Rows under CC BY-SA are left out unless `--share-alike` asks for them; such weights are for people who may use
them, and never go into the package: `--out` must then name another folder. How the score blends classifier
and signs, and where warning begins, is fitted on scores of texts that were held out (two folds); how each
source fares there is printed. Deterministic; some minutes.

Needs numpy and scipy (a virtual environment of its own will do), and this repository on PYTHONPATH.

A text is a bag of windows (multiple-instance learning): an attack has one that is an attack, a harmless text
none. Each round learns a logistic regression, then takes the strongest windows of every text for the next.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from judge_texts import ROOT, Text, injection_texts, offense_texts
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from greenroom.stages.check import ngrams
from greenroom.stages.check.attacks import KINDS, signs
from greenroom.stages.check.insults import words_in
from greenroom.stages.check.judging import BOUND, LONGEST, WINDOW
from greenroom.stages.check.reading import readings

SHIPPED = ROOT / "greenroom" / "data" / "judges"
WORTH = {"frames": 2.0, "corpus": 3.0, "grammar": 2.0, "own": 2.0, "TuPy-Dataset": 9.0}
"""How much more a text counts: own ones are more varied, and only TuPy has Portuguese comments."""
PENALTY = 1.0
"""Of the squared weights: less and what is rare is learnt by heart, more and it is missed."""
ROUNDS = 2
FOLDS = 2
RULES_WARN, RULES_BLOCK = 1.3, 3.0
"""Log-odds (classes counting alike) from which signs alone warn and block."""
HARDEST = 5
"""Windows of a harmless text that are learnt from in later rounds, beside the whole."""


# learning


class Bag(NamedTuple):
    """A text's windows, and the slots of all its n-grams with their places."""

    slots: np.ndarray
    places: np.ndarray
    windows: np.ndarray


def bag(text: str) -> Bag:
    """Of the plainest reading."""
    folded = readings(text[:LONGEST])[0].folded
    grams, spoken, starts = ngrams.slots(folded)
    at = np.arange(grams.shape[1])
    slots = np.concatenate((grams.T.ravel(), spoken.T.ravel()))
    places = np.concatenate((np.repeat(at, grams.shape[0]), np.repeat(starts, 2)))
    order = np.argsort(places, kind="stable")
    return Bag(slots[order].astype(np.int32), places[order].astype(np.int32), ngrams.windows(folded))


def matrix(bags: Sequence[Bag], chosen: Sequence[Sequence[int]]) -> csr_matrix:
    """One row for each chosen window of each text."""
    columns, lengths, values = [], [], []
    for one, numbers in zip(bags, chosen, strict=True):
        for number in numbers:
            start, end = one.windows[:, number]
            first, last = np.searchsorted(one.places, (start, end))
            columns.append(one.slots[first:last])
            lengths.append(last - first)
            values.append(np.full(last - first, 1 / np.sqrt(max(1, end - start)), np.float32))
    pointers = np.concatenate(([0], np.cumsum(lengths)))
    return csr_matrix(
        (np.concatenate(values), np.concatenate(columns), pointers), (len(lengths), ngrams.SLOTS)
    )


def regress(
    x: csr_matrix, y: np.ndarray, weight: np.ndarray, penalty: float, start: np.ndarray
) -> np.ndarray:
    """Logistic regression with an L2 penalty; the last of what it returns is the bias."""
    transposed = x.T.tocsr()

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        margin = (x @ at[:-1].astype(np.float32) + at[-1]) * y
        value = weight @ np.logaddexp(0, -margin) + penalty * (at[:-1] @ at[:-1]) / 2
        pull = -weight * y / (1 + np.exp(np.clip(margin, -60, 60)))
        return value, np.append(transposed @ pull.astype(np.float32) + penalty * at[:-1], pull.sum())

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60, "maxcor": 6})
    return np.asarray(found.x)


def scores(bags: Sequence[Bag], at: np.ndarray) -> list[np.ndarray]:
    """Log-odds of every window of every text."""
    out = []
    for one in bags:
        total = np.concatenate(([0.0], np.cumsum(at[one.slots])))
        first, last = np.searchsorted(one.places, one.windows)
        length = np.maximum(1, one.windows[1] - one.windows[0])
        out.append((total[last] - total[first]) / np.sqrt(length) + at[-1])
    return out


def weights_of(texts: Sequence[Text], worth: Mapping[str, float] = MappingProxyType({})) -> np.ndarray:
    """Sources count by the root of their size, so that templates drown nothing; classes count alike.

    `worth`: how much more the texts of a source count, by the first word of its name.
    """
    keys = [(one.source, one.is_bad) for one in texts]
    sizes = Counter(keys)
    weight = np.array([sizes[key] ** -0.4 * worth.get(key[0].split(" ")[0], 1.0) for key in keys])
    bad = np.array([one.is_bad for one in texts])
    weight[bad] /= weight[bad].sum()
    weight[~bad] /= weight[~bad].sum()
    return weight * len(texts) / 2


def learn(texts: Sequence[Text], bags: Sequence[Bag], penalty: float) -> np.ndarray:
    """Weights and bias after all rounds."""
    y = np.array([1.0 if one.is_bad else -1.0 for one in texts])
    weight = weights_of(texts, WORTH)
    at = np.zeros(ngrams.SLOTS + 1)
    chosen: list[list[int]] = [[0] for _ in bags]
    for number in range(ROUNDS):
        counts = np.array([len(one) for one in chosen])
        x = matrix(bags, chosen)
        print(f"  round {number + 1}: {x.shape[0]} windows, {x.nnz} n-grams", file=sys.stderr, flush=True)
        at = regress(x, np.repeat(y, counts), np.repeat(weight / np.sqrt(counts), counts), penalty, at)
        if number == ROUNDS - 1:
            break
        for place, found in enumerate(scores(bags, at)):
            take = 1 if texts[place].is_bad else HARDEST
            chosen[place] = [0, *(int(one) for one in np.argsort(-found)[:take] if one)]
    return at


def held_out(texts: Sequence[Text], bags: Sequence[Bag], penalty: float) -> np.ndarray:
    """The score of each text by weights that never saw it: its strongest window."""
    part = np.array([random.Random(one.line or one.text).randrange(FOLDS) for one in texts])
    out = np.zeros(len(texts))
    for number in range(FOLDS):
        seen, unseen = np.flatnonzero(part != number), np.flatnonzero(part == number)
        at = learn([texts[one] for one in seen], [bags[one] for one in seen], penalty)
        out[unseen] = [found.max() for found in scores([bags[one] for one in unseen], at)]
    return out


# the blend of n-grams and signs


def kinds_of(text: str, judge: str) -> set[str]:
    """The signs of a text, or the severities of its list words."""
    folded = readings(text[:LONGEST])[0].folded
    if judge == "injection":
        return {one.kind for one in signs(folded)}
    return {str(one.severity) for one in words_in(folded)}


def blend(
    texts: Sequence[Text], shown: Sequence[set[str]], logits: np.ndarray | None, judge: str
) -> dict[str, Any]:
    """Weights of log-odds and signs, shifted and stretched so that 0.5 warns and 0.8 blocks."""
    names = KINDS if judge == "injection" else ("1", "2", "3")
    columns = [np.zeros(len(texts)) if logits is None else np.clip(logits, -BOUND, BOUND)]
    columns += [np.array([float(name in one) for one in shown]) for name in names]
    lengths = np.array([min(max(len(one.text), WINDOW), LONGEST) for one in texts])
    columns.append(np.log2(lengths / WINDOW) if logits is not None else np.zeros(len(texts)))
    x, y = np.stack(columns, 1), np.array([1.0 if one.is_bad else -1.0 for one in texts])
    weight = weights_of(texts)
    at = regress(csr_matrix(x), y, weight, 5.0, np.zeros(x.shape[1] + 1))
    total = x @ at[:-1] + at[-1]
    warn, block = bounds(texts, total, judge) if logits is not None else (RULES_WARN, RULES_BLOCK)
    stretch = np.log(4) / (block - warn)
    report(judge, texts, (total - warn) * stretch)
    weights = {name: round(float(one * stretch), 4) for name, one in zip(names, at[1:-2], strict=True)}
    return {
        "bias": round(float((at[-1] - warn) * stretch), 4),
        "ngrams": round(float(at[0] * stretch), 4),
        "signs": weights,
        "length": round(float(at[-2] * stretch), 4),
    }


def bounds(texts: Sequence[Text], total: np.ndarray, judge: str) -> tuple[float, float]:
    """Where warning and blocking begin, on texts that were held out.

    `injection`: at 1 % and 0.4 % of harmless texts, sources weighed, without prose, of which hardly any is
    near, and without frames, of which more is near than people ever write.
    `offense`: warning where F1 over the sources is best, but at no more than 0.5 % of ordinary prompts;
    blocking is by severity there.
    """
    bad = np.array([one.is_bad for one in texts])
    weight = weights_of(texts)
    if judge == "injection":
        near = ~bad & np.array([not one.source.startswith(("prose", "frames")) for one in texts])
        return quantile(total[near], weight[near], 0.99), quantile(total[near], weight[near], 0.996)
    prompts = np.array(
        [one.source.startswith(("prompts", "grammar", "sample", "pii", "secrets")) for one in texts]
    )
    drawn = np.array([one.source.startswith("frames") for one in texts])
    tries = np.quantile(total, np.linspace(0.3, 0.95, 60))
    # By count, not by weight: as often as they come, harmless texts are the greater part. What was drawn from
    # frames comes as often as the script wants.
    rude = total[~prompts & ~drawn], bad[~prompts & ~drawn]
    warn = max(tries, key=lambda one: _f1(rude[0] > one, rude[1]))
    warn = max(float(warn), quantile(total[prompts], weight[prompts], 0.995))
    return warn, max(warn + 1.0, float(np.quantile(total[~bad], 0.98)))


def quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    """The value that `share` of the weight lies below."""
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weight[order]), share * weight.sum())])


def _f1(found: np.ndarray, bad: np.ndarray) -> float:
    return float(2 * (found & bad).sum() / (found.sum() + bad.sum()))


def report(judge: str, texts: Sequence[Text], total: np.ndarray) -> None:
    """How each source fares where it was not learnt from: share warned of, and blocked."""
    for source in sorted({one.source for one in texts}):
        for is_bad in (True, False):
            own = total[
                [place for place, one in enumerate(texts) if (one.source, one.is_bad) == (source, is_bad)]
            ]
            if len(own):
                name = f"{judge:<10}{source:<42}{'bad' if is_bad else 'good':<5}{len(own):>6}"
                warned, blocked = np.mean(own >= 0), np.mean(own >= np.log(4))
                print(f"    {name}  warned {warned:.3f}  blocked {blocked:.3f}", file=sys.stderr)


def main() -> int:
    """Train, pack, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--share-alike", action="store_true")
    asked = parser.parse_args()
    if asked.share_alike and asked.out.resolve() == SHIPPED.resolve():
        parser.error("weights made from share-alike rows are not shipped: name another folder with --out")
    columns: list[np.ndarray] = []
    made: dict[str, Any] = {"scales": [], "biases": []}
    for judge, gather in (("injection", injection_texts), ("offense", offense_texts)):
        texts = gather(asked.data, share_alike=asked.share_alike)
        bags = [bag(one.text) for one in texts]
        print(judge, len(texts), "texts,", sum(one.is_bad for one in texts), "bad", file=sys.stderr)
        shown = [kinds_of(one.text, judge) for one in texts]
        made[judge] = {
            "full": blend(texts, shown, held_out(texts, bags, PENALTY), judge),
            "rules": blend(texts, shown, None, judge),
        }
        at = learn(texts, bags, PENALTY)
        scale = float(np.abs(at[:-1]).max()) / 127
        columns.append(np.round(at[:-1] / scale).astype(np.int8))
        made["scales"].append(scale)
        made["biases"].append(round(float(at[-1]), 4))
    asked.out.mkdir(parents=True, exist_ok=True)
    np.save(asked.out / "weights.npy", np.stack(columns, 1), allow_pickle=False)
    (asked.out / "judges.json").write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
