"""What can be wrong with a training file: each kind with its remedy, and what holds them together.

An error keeps the file from being trained on; a warning is put right, or is the reader's to judge. Messages
never quote what a row says.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import Struct

from greenroom.errors import MalformedRequest

Level = Literal["error", "warning"]
MOST_OF_A_KIND = 20
"""Problems of one kind that are told one by one; the rest is counted."""


class Kind(NamedTuple):
    """One way to be wrong."""

    remedy: str
    level: Level = "error"


KINDS: Mapping[str, Kind] = {
    # the file
    "unreadable": Kind("Check the path and who may read it."),
    "empty_file": Kind("Write one JSON object a line, a training example each."),
    "compressed": Kind("Unpack it and give the JSONL file inside."),
    "not_utf8": Kind("Save the file as UTF-8, for example: iconv -f LATIN1 -t UTF-8."),
    "utf16": Kind("Save the file as UTF-8 instead of UTF-16."),
    "bom": Kind("Nothing is needed: the mark is left out. Save as UTF-8 without BOM next time.", "warning"),
    "crlf": Kind("Nothing is needed: the line ends are changed.", "warning"),
    "blank_line": Kind("Nothing is needed: empty lines are passed over.", "warning"),
    "nul": Kind("Remove the zero bytes; the file may have been cut off while it was written."),
    "json_array": Kind("Write each element on a line of its own, without the brackets around: jq -c '.[]'."),
    "json_over_lines": Kind("Write each object on one line: jq -c . FILE."),
    "csv": Kind('Turn the table into JSONL: a row becomes {"messages": [user, assistant]}.'),
    "line_too_long": Kind("Split the example; a line may have 4 MB."),
    "too_few_rows": Kind("Add examples: 10 at least, and 50 to 100 before a difference can be seen."),
    "same_as_train": Kind("Give other rows for validation, or none: then a part is held back."),
    # a line
    "broken_json": Kind("Correct the line; it must be one whole JSON object."),
    "cut_off": Kind("The line ends in the middle of an object: write the file again, or remove the line."),
    "several_on_a_line": Kind("Put a line feed between the objects."),
    "not_an_object": Kind("A line must be an object with 'messages', or 'input' and two outputs."),
    "duplicate_key": Kind("Keep one of the two; which one counts is not defined."),
    "not_a_number": Kind("JSON has no NaN or Infinity: use null or leave the field out."),
    "too_deep": Kind("Flatten the row; 100 levels may be inside each other."),
    "lone_surrogate": Kind("Half of a pair was written: write the whole character, or remove it."),
    # a row of conversations
    "prompt_completion": Kind(
        'This form has ended: write {"messages": [{"role": "user", "content": PROMPT}, '
        '{"role": "assistant", "content": COMPLETION}]}.'
    ),
    "foreign_form": Kind(
        'Write {"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}.'
    ),
    "no_messages": Kind("Add 'messages': a list that ends with what the assistant should say."),
    "messages_not_list": Kind("'messages' must be a list of objects with role and content."),
    "empty_messages": Kind("Add messages, or remove the row."),
    "message_not_object": Kind("A message must be an object with role and content."),
    "unknown_role": Kind("Use system, developer, user, assistant or tool."),
    "empty_content": Kind("Give the message a text, or remove it."),
    "bad_content": Kind("'content' must be a text, or a list of parts of type 'text'."),
    "untrainable_part": Kind("Only text is trained here: remove images, sound and files, or the row."),
    "late_system": Kind("System messages go first; move it to the beginning."),
    "last_not_assistant": Kind("End the row with what the assistant should say."),
    "nothing_to_learn": Kind("Give an assistant message the weight 1, or leave weights out."),
    "bad_weight": Kind("'weight' is 0 or 1, and only assistant messages have it."),
    "bad_name": Kind("'name' must be a text."),
    "bad_metadata": Kind('\'metadata\' must be an object, for example {"consent": "true"}.'),
    "legacy_functions": Kind("Use 'tools' and 'tool_calls' instead of 'functions' and 'function_call'."),
    "bad_tool_call": Kind(
        "A call has an id, the type 'function', a name, and as arguments a JSON object as text, no key twice."
    ),
    "no_tool_result": Kind("After a call comes a 'tool' message with its 'tool_call_id' for each call."),
    "stray_tool_result": Kind("'tool_call_id' must be the id of a call in the message before."),
    "bad_tools": Kind("'tools' is a list of {\"type\": \"function\", \"function\": {\"name\": …}}."),
    "unknown_tool": Kind("Describe the function in 'tools', or correct the name."),
    "unknown_field": Kind("Nothing is needed: the field is left out of training.", "warning"),
    "too_long": Kind("The row is left out: shorten it, or raise max_length.", "warning"),
    # a row of preferences
    "no_input": Kind("Add 'input': an object with the 'messages' before the answers."),
    "no_preferred": Kind("Add 'preferred_output': a list with one assistant message."),
    "no_rejected": Kind("Add 'non_preferred_output': a list with one assistant message."),
    "bad_output": Kind("An output is a list with one assistant message that has a text or calls."),
    "same_outputs": Kind("The two outputs must differ; remove the row."),
    "answered_input": Kind("'input' ends with the user's or a tool's message; the answers come after it."),
    # the method
    "wrong_method": Kind("Choose the method that fits the rows, or write the rows for this method."),
    "mixed_methods": Kind("Put conversations and preferences into files of their own."),
}  # fmt: skip


class Problem(Struct, kw_only=True, frozen=True):
    """One thing that is wrong, where, and what mends it."""

    file: str
    line: int
    """From 1; 0 where it is the file as a whole."""
    kind: str
    message: str
    remedy: str
    level: Level

    def said(self) -> str:
        """As a line for people."""
        where = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{where}: {self.message} {self.remedy}"


class Problems:
    """Those of one preparation, the first of each kind one by one."""

    def __init__(self) -> None:
        self.told: list[Problem] = []
        self.counts: Counter[str] = Counter()
        self._of_file: Counter[tuple[str, str]] = Counter()

    def order(self, first: str) -> None:
        """Those of this file before those of others."""
        self.told.sort(key=lambda one: one.file != first)

    def add(self, file: str, line: int, kind: str, message: str) -> None:
        """Note a problem of a kind in `KINDS`."""
        self.counts[kind] += 1
        self._of_file[file, kind] += 1
        if self._of_file[file, kind] <= MOST_OF_A_KIND:
            known = KINDS[kind]
            self.told.append(
                Problem(
                    file=file, line=line, kind=kind, message=message, remedy=known.remedy, level=known.level
                )
            )

    def errors(self) -> tuple[Problem, ...]:
        """What keeps the file from being trained on."""
        return tuple(one for one in self.told if one.level == "error")

    def warnings(self) -> tuple[Problem, ...]:
        """What was put right, or is the reader's to judge."""
        return tuple(one for one in self.told if one.level == "warning")

    def raise_if_any(self) -> None:
        """Raises: Unfit when there is an error."""
        errors = self.errors()
        if errors:
            raise Unfit(errors, {one.kind: self.counts[one.kind] for one in errors})


class Unfit(MalformedRequest):
    """A training file can't be trained on; carries every problem with its line and remedy."""

    code = "invalid_training_file"

    def __init__(self, problems: tuple[Problem, ...], counts: Mapping[str, int]) -> None:
        total = sum(counts.values())
        more = f" And {total - 1} more problems." if total > 1 else ""
        super().__init__(problems[0].said() + more, "training_file")
        self.problems = problems
        self.counts = dict(counts)
        """How often each kind occurs, those that are not told one by one included."""
