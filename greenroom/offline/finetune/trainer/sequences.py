"""What goes through the model at once: rows in sequences, sequences in steps, in an order by seed.

The order depends on the seed and the number of the step alone, so a run that was interrupted sees what it
would have seen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from greenroom.offline.finetune.choices import first_fit
from greenroom.offline.finetune.trainer.chat import IGNORED, Tokens

Batch = dict[str, torch.Tensor]


class Packed(NamedTuple):
    """A sequence of one row or several: token ids, labels, and for each token its place in its own row."""

    ids: list[int]
    labels: list[int]
    places: list[int]


def pack(rows: Sequence[Tokens], room: int) -> list[Packed]:
    """Rows in sequences of at most `room` tokens. No row sees another: each has places of its own."""
    return [
        _joined([rows[index] for index in indices])
        for indices in first_fit([len(row.ids) for row in rows], room)
    ]


def single(rows: Sequence[Tokens]) -> list[Packed]:
    """A sequence for each row."""
    return [_joined([row]) for row in rows]


def collate(sequences: Sequence[Packed], pad: int) -> Batch:
    """`input_ids`, `labels`, and for packed rows `position_ids`, each `(sequences, tokens) int64`.

    What fills up stands at the end, where no token of a row looks. Places that begin anew tell the model
    where a row begins; without packed rows they are left out, and attention takes its fast way.
    """
    longest = max(len(sequence.ids) for sequence in sequences)
    shape = (len(sequences), longest)
    ids = torch.full(shape, pad)
    labels = torch.full(shape, IGNORED)
    places = torch.arange(longest).repeat(len(sequences), 1)
    is_packed = False
    for number, sequence in enumerate(sequences):
        length = len(sequence.ids)
        ids[number, :length] = torch.tensor(sequence.ids)
        labels[number, :length] = torch.tensor(sequence.labels)
        places[number, :length] = torch.tensor(sequence.places)
        places[number, length:] -= length
        is_packed = is_packed or sequence.places[-1] + 1 < length
    batch = {"input_ids": ids, "labels": labels}
    return {**batch, "position_ids": places} if is_packed else batch


def step_of(count: int, of_a_step: int, step: int, seed: int) -> list[int]:
    """Which of `count` sequences step `step`, from 0, takes: each once before any comes again, shuffled."""
    places = range(step * of_a_step, (step + 1) * of_a_step)
    return [_order(count, seed + place // count)[place % count] for place in places]


_orders: dict[tuple[int, int], list[int]] = {}


def _order(count: int, seed: int) -> list[int]:
    """A shuffle of `count` things; the last two are remembered, since a step may lie across them."""
    if (count, seed) not in _orders:
        while len(_orders) > 1:
            _orders.pop(next(iter(_orders)))
        generator = torch.Generator().manual_seed(seed)
        _orders[count, seed] = torch.randperm(count, generator=generator).tolist()
    return _orders[count, seed]


def _joined(rows: Sequence[Tokens]) -> Packed:
    ids = [token for row in rows for token in row.ids]
    # What begins a row is not foretold by the end of another.
    labels = [label for row in rows for label in (IGNORED, *row.labels[1:])]
    return Packed(ids, labels, [place for row in rows for place in range(len(row.ids))])


def stream(texts: Sequence[list[int]], between: int, room: int) -> list[Packed]:
    """Texts as tokens, joined and cut into sequences of `room`: for the part before the rows."""
    flat = [token for text in texts for token in (*text, between)]
    cuts = [flat[start : start + room] for start in range(0, len(flat), room)]
    if len(cuts) > 1 and len(cuts[-1]) < room // 4:
        cuts.pop()
    return [Packed(cut, cut, list(range(len(cut)))) for cut in cuts]
