"""The rows of a job as tokens: what is too long or teaches nothing is left out, and counted."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from greenroom.offline.finetune.choices import Choices, Facts, choose
from greenroom.offline.finetune.trainer.chat import Chat, Pair, Tokens
from greenroom.offline.finetune.trainer.folder import Folder, Row, TrainingRefused
from greenroom.offline.finetune.trainer.run import Run
from greenroom.offline.finetune.trainer.sequences import Packed, pack, single

T = TypeVar("T")


class Answers(NamedTuple):
    """Rows of supervised training, and what was chosen from them."""

    train: list[Tokens]
    valid: list[Tokens]
    choices: Choices

    def sequences(self, rows: Sequence[Tokens]) -> list[Packed]:
        """Packed, where that was chosen."""
        chosen = self.choices.hyperparameters
        return pack(rows, chosen.max_length or 1) if chosen.packing else single(rows)


class Preferences(NamedTuple):
    """Rows of preferences, and what was chosen from them."""

    train: list[Pair]
    valid: list[Pair]
    choices: Choices


def answers(run: Run, chat: Chat, *, width: int, positions: int) -> Answers:
    """The job's supervised rows. Raises: TrainingRefused when none can be learned from."""
    read = [_read(run.folder, name, chat.row) for name in ("train.jsonl", "valid.jsonl")]
    train, valid = ([row for row in rows if row.learned] for rows in read)
    _tell_left_out(run.folder, len(read[0]) - len(train), "in them nothing is to be learned")
    choices = _choose(
        run, [len(row.ids) for row in train], has_validation=bool(valid), width=width, positions=positions
    )
    most = choices.hyperparameters.max_length or 1
    fitting = [row for row in train if len(row.ids) <= most]
    return Answers(fitting, [row for row in valid if len(row.ids) <= most], choices)


def preferences(run: Run, chat: Chat, *, width: int, positions: int) -> Preferences:
    """The job's pairs. Raises: TrainingRefused when none can be learned from."""
    read = [_read(run.folder, name, chat.pair) for name in ("train.jsonl", "valid.jsonl")]
    train, valid = ([pair for pair in pairs if pair.chosen != pair.rejected] for pairs in read)
    _tell_left_out(run.folder, len(read[0]) - len(train), "both of their answers are the same")
    choices = _choose(
        run, [pair.longest for pair in train], has_validation=bool(valid), width=width, positions=positions
    )
    most = choices.hyperparameters.max_length or 1
    fitting = [pair for pair in train if pair.longest <= most]
    return Preferences(fitting, [pair for pair in valid if pair.longest <= most], choices)


def _read(folder: Folder, name: str, cut: Callable[[Row], T]) -> list[T]:
    rows = []
    for number, row in enumerate(folder.rows(name), start=1):
        try:
            rows.append(cut(row))
        except (KeyError, TypeError, AttributeError) as error:
            raise TrainingRefused(
                f"{name}, row {number} has not the shape of this method: {type(error).__name__} {error}."
            ) from error
    return rows


def _choose(run: Run, lengths: list[int], *, has_validation: bool, width: int, positions: int) -> Choices:
    if not lengths:
        raise TrainingRefused("train.jsonl has no row that something can be learned from.")
    choices = choose(run.plan, Facts(lengths, has_validation, width, positions))
    if choices.rows == 0:
        raise TrainingRefused(
            f"Every row is longer than {choices.hyperparameters.max_length} tokens; the shortest has"
            f" {min(lengths)}. Set max_length higher, or take a base that reads more."
        )
    left = len(lengths) - choices.rows
    _tell_left_out(run.folder, left, f"they are longer than {choices.hyperparameters.max_length} tokens")
    return choices


def _tell_left_out(folder: Folder, count: int, why: str) -> None:
    if count:
        folder.tell(f"{count} training rows are left out: {why}.", "warn", left_out=count)
